//! GRUUs (RFC 5627): what the 200 gives out, where they lead, when they end.

use crate::support::{AOR, House, contacts, register, uri};
use registrar::{GruuKey, Lookup};

const PHONE: &str = "<sip:john@192.0.2.7>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000000000A>\"";
const TABLET: &str = "<sip:john@192.0.2.8>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000000000B>\"";
const PUBLIC: &str = "sip:john@example.com;gr=urn:uuid:00000000-0000-1000-8000-00000000000A";

/// Registers that Contact; returns its temporary GRUU.
async fn refresh(house: &House, contact: &str, call_id: &str, cseq: u32, at: u64) -> String {
    let line = format!("Contact: {contact}");
    let outcome = house.send(&register(call_id, cseq, &[&line, "Supported: gruu"]), at).await;
    assert_eq!(outcome.status, 200);
    let start = contact.split(';').next().unwrap();
    let of_contact = contacts(&outcome).into_iter().find(|each| each.starts_with(start)).unwrap();
    param(&of_contact, "temp-gruu")
}

fn param(contact: &str, name: &str) -> String {
    let (_, rest) = contact.split_once(&format!(";{name}=\"")).unwrap_or_else(|| panic!("{contact}"));
    rest.split('"').next().unwrap().to_owned()
}

/// The hosts that a request to this URI goes to, or `480` or `404`.
fn found(house: &House, gruu: &str, at: u64) -> String {
    match house.registrar().lookup(&uri(gruu), crate::support::now(at)) {
        Lookup::Bindings(all) => {
            assert!(all.iter().all(|binding| &*binding.aor == AOR));
            all.iter().map(|binding| binding.uri.host().unwrap().to_string()).collect::<Vec<_>>().join(" ")
        }
        Lookup::Known => "480".to_owned(),
        Lookup::Unknown => "404".to_owned(),
    }
}

#[tokio::test]
async fn both_gruus_lead_to_their_device_alone_while_the_aor_leads_to_all() {
    let house = House::new();
    let phone = refresh(&house, PHONE, "a", 1, 0).await;
    let tablet = refresh(&house, TABLET, "b", 1, 0).await;
    assert_eq!(found(&house, PUBLIC, 1), "192.0.2.7");
    assert_eq!(found(&house, &PUBLIC.replace("00A", "00a").replace("john@", "%6aohn@"), 1), "192.0.2.7");
    assert_eq!(
        (found(&house, &phone, 1), found(&house, &tablet, 1)),
        ("192.0.2.7".into(), "192.0.2.8".into())
    );
    assert_eq!(house.bindings(1).len(), 2);
    assert_eq!(found(&house, &PUBLIC.replace("00A", "00C"), 1), "404");
    assert_eq!(found(&house, "sip:eve@example.com;gr=urn:x:1", 1), "404");
    assert_eq!(found(&house, "sip:john@example.com;gr", 1), "404");
}

#[tokio::test]
async fn a_terminal_that_does_not_say_gruu_gets_none_and_its_own_are_ignored() {
    let house = House::new();
    let line = format!("Contact: {PHONE};pub-gruu=\"sip:evil@h;gr=1\";temp-gruu=\"sip:evil@h;gr\"");
    let outcome = house.send(&register("a", 1, &[&line]), 0).await;
    assert_eq!(contacts(&outcome), [format!("{PHONE};expires=3600")]);
    assert_eq!(found(&house, PUBLIC, 1), "192.0.2.7", "the public one needs no asking");
    let outcome = house.send(&register("a", 2, &[&line, "Supported: gruu"]), 0).await;
    assert_eq!(param(&contacts(&outcome)[0], "pub-gruu"), PUBLIC);
}

#[tokio::test]
async fn each_refresh_gives_a_new_temporary_gruu_and_the_old_ones_hold_on() {
    let mut house = House::new();
    let key = || GruuKey::new([9; 32]);
    house.set_gruu_key(key());
    let first = refresh(&house, PHONE, "a", 1, 0).await;
    let second = refresh(&house, PHONE, "a", 2, 10).await;
    assert_ne!(first, second);
    house.restart();
    house.set_gruu_key(key());
    for gruu in [&first, &second] {
        assert_eq!(found(&house, gruu, 20), "192.0.2.7");
    }
    // A query tells the latest.
    let outcome = house.send(&register("q", 1, &["Supported: gruu"]), 20).await;
    assert_eq!(param(&contacts(&outcome)[0], "temp-gruu"), second);
}

#[tokio::test]
async fn temporary_gruus_die_with_the_call_id() {
    let house = House::new();
    let old = refresh(&house, PHONE, "a", 1, 0).await;
    let new = refresh(&house, PHONE, "b", 1, 10).await;
    assert_eq!((found(&house, &old, 10), found(&house, &new, 10)), ("404".into(), "192.0.2.7".into()));
    assert_eq!(found(&house, PUBLIC, 10), "192.0.2.7");
}

#[tokio::test]
async fn another_flow_of_the_device_has_a_call_id_of_its_own_and_ends_none() {
    let house = House::new();
    let one = refresh(&house, &format!("{PHONE};reg-id=1"), "a", 1, 0).await;
    let two = refresh(&house, &format!("{PHONE};reg-id=2"), "b", 1, 1).await;
    assert_eq!(
        (found(&house, &one, 2), found(&house, &two, 2)),
        ("192.0.2.7 192.0.2.7".into(), "192.0.2.7 192.0.2.7".into())
    );
    // The first flow starts anew: everything given out before is void, over both.
    let three = refresh(&house, &format!("{PHONE};reg-id=1"), "c", 1, 3).await;
    assert_eq!((found(&house, &one, 4), found(&house, &two, 4)), ("404".into(), "404".into()));
    assert_eq!(found(&house, &three, 4), "192.0.2.7 192.0.2.7");
}

#[tokio::test]
async fn with_the_last_contact_temporary_gruus_end_and_the_public_one_is_480() {
    let house = House::new();
    let gruu = refresh(&house, PHONE, "a", 1, 0).await;
    refresh(&house, TABLET, "b", 1, 0).await;
    house.send(&register("a", 2, &["Contact: <sip:john@192.0.2.7>;expires=0"]), 1).await;
    assert_eq!((found(&house, &gruu, 1), found(&house, PUBLIC, 1)), ("404".into(), "480".into()));
    // The same Call-ID again is a new start all the same.
    let again = refresh(&house, PHONE, "a", 3, 2).await;
    assert_eq!((found(&house, &gruu, 2), found(&house, &again, 2)), ("404".into(), "192.0.2.7".into()));
}

#[tokio::test]
async fn expiry_ends_temporary_gruus_swept_or_not() {
    let house = House::new();
    let gruu = refresh(&house, PHONE, "a", 1, 0).await;
    for swept in [false, true] {
        if swept {
            house.registrar().sweep(crate::support::now(3600)).await;
        }
        assert_eq!((found(&house, &gruu, 3600), found(&house, PUBLIC, 3600)), ("404".into(), "480".into()));
    }
}

#[tokio::test]
async fn a_contact_that_is_its_own_aor_or_gruu_is_403() {
    let house = House::new();
    let gruu = refresh(&house, PHONE, "a", 1, 0).await;
    for (at, bad) in [AOR, PUBLIC, "sip:%6Aohn@EXAMPLE.com", &gruu].iter().enumerate() {
        let line = format!("Contact: <{bad}>;+sip.instance=\"<urn:x:1>\"");
        let outcome = house.send(&register(&format!("c{at}"), 1, &[&line]), 1).await;
        assert_eq!((outcome.status, outcome.reason), (403, "Contact Is Its Own Address Of Record"), "{bad}");
    }
    let tel = "Contact: <tel:+358401234567>;+sip.instance=\"<urn:x:1>\"";
    assert_eq!(house.send(&register("t", 1, &[tel]), 1).await.status, 403);
    assert_eq!(house.send(&register("t", 2, &["Contact: <sip:eve@example.com>"]), 1).await.status, 200);
}
