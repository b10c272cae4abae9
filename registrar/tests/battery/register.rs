//! REGISTER processing in the order of CPI.md 6.1 (RFC 3261 §10.3).

use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    AOR, House, contacts, example, lines, now, register, register_at, register_for, request, source, uri,
};
use registrar::{Lookup, Source};
use sip::HeaderId;

const PHONE: &str = "Contact: <sip:john@192.0.2.7>";

#[tokio::test]
async fn example_008_is_answered_as_in_016() {
    let house = House::new();
    let outcome = house.send(&request(&example("008-register-contact-gif-tiers")), 0).await;
    assert_eq!((outcome.status, outcome.reason), (200, "OK"));
    let expected = crate::support::response(&example("016-register-200-echo"));
    let contact = expected.header(HeaderId::Contact).unwrap();
    assert_eq!(outcome.values(HeaderId::Contact).collect::<Vec<_>>(), [contact]);
}

#[tokio::test]
async fn every_register_of_the_examples_is_accepted() {
    let house = House::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/messages");
    let mut seen = 0;
    for number in 1..=18 {
        let start = format!("{number:03}-");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let stem = name.strip_suffix(".msg").unwrap_or_default();
            if !stem.starts_with(&start) || !stem.contains("-register-") || stem.contains("-200-") {
                continue;
            }
            // They all have CSeq 1 and one Call-ID: each is the first of its user.
            let text = String::from_utf8(example(stem)).unwrap().replace("john@", &format!("u{number}@"));
            assert_eq!(house.send_text(&text, 0).await.status, 200, "{name}");
            seen += 1;
        }
    }
    assert_eq!(seen, 17);
}

#[tokio::test]
async fn a_200_lists_all_bindings_with_the_time_they_have_left() {
    let house = House::new();
    house.send(&register("a", 1, &["Contact: <sip:john@192.0.2.7>;expires=100"]), 0).await;
    let outcome =
        house.send(&register("b", 1, &["Contact: <sip:john@192.0.2.8>;q=0.3;expires=200"]), 40).await;
    assert_eq!(
        contacts(&outcome),
        ["<sip:john@192.0.2.7>;expires=60", "<sip:john@192.0.2.8>;q=0.3;expires=200"]
    );
}

#[tokio::test]
async fn a_query_changes_nothing_and_needs_no_cseq() {
    let house = House::new();
    house.send(&register("a", 5, &[PHONE, "Accept: image/gif"]), 0).await;
    let before = house.only_binding(0);
    let outcome = house.send(&register("a", 1, &["Accept: image/png"]), 10).await;
    assert_eq!((outcome.status, contacts(&outcome)), (200, vec!["<sip:john@192.0.2.7>;expires=3590".into()]));
    assert_eq!(house.only_binding(10).cpi, before.cpi);
}

#[tokio::test]
async fn wildcard_with_expires_zero_removes_all_bindings() {
    let house = House::new();
    house.send(&register("reg-001@192.0.2.7", 6, &[PHONE, "Contact: <sip:john@192.0.2.9>"]), 0).await;
    house.send(&register("other", 99, &["Contact: <sip:john@192.0.2.8>"]), 0).await;
    let outcome = house.send(&request(&example("064-register-wildcard")), 1).await;
    assert_eq!((outcome.status, contacts(&outcome).len()), (200, 0));
    assert!(matches!(house.find(1), Lookup::Known));
}

#[tokio::test]
async fn wildcard_beside_another_contact_is_400_and_changes_nothing() {
    let house = House::new();
    house.send(&register("reg-001@192.0.2.7", 6, &[PHONE]), 0).await;
    assert_eq!(house.send(&request(&example("065-register-wildcard-bad")), 1).await.status, 400);
    assert_eq!(house.bindings(1).len(), 1);
}

#[tokio::test]
async fn wildcard_needs_expires_and_expires_must_be_zero() {
    let house = House::new();
    house.send(&register("a", 1, &[PHONE]), 0).await;
    for lines in [
        &["Contact: *"][..],
        &["Contact: *", "Expires: 60"],
        &["Contact: *", "Expires: nonsense"],
        &["Contact: *", "Contact: *", "Expires: 0"],
    ] {
        assert_eq!(house.send(&register("a", 9, lines), 1).await.status, 400, "{lines:?}");
    }
    assert_eq!(house.bindings(1).len(), 1);
}

#[tokio::test]
async fn wildcard_whose_cseq_is_not_higher_aborts_for_all_bindings() {
    let house = House::new();
    house.send(&register("other", 1, &["Contact: <sip:john@192.0.2.8>"]), 0).await;
    house.send(&register("a", 5, &[PHONE]), 0).await;
    let outcome = house.send(&register("a", 5, &["Contact: *", "Expires: 0"]), 1).await;
    assert_eq!(outcome.status, 500);
    assert_eq!(house.bindings(1).len(), 2);
}

#[tokio::test]
async fn a_too_brief_expiry_is_423_as_in_067() {
    let house = House::new();
    let outcome = house.send(&request(&example("066-register-too-brief")), 0).await;
    let expected = crate::support::response(&example("067-register-423"));
    assert_eq!((outcome.status, outcome.reason.as_bytes()), (423, expected.reason()));
    assert_eq!(outcome.values(HeaderId::MinExpires).next(), expected.header(HeaderId::MinExpires));
    assert!(matches!(house.find(0), Lookup::Unknown));
}

#[tokio::test]
async fn only_what_is_below_the_minimum_and_below_an_hour_is_too_brief() {
    let house = House::with(|options| options.min_expires = 7200);
    for (expires, status) in [(0, 200), (1, 423), (3599, 423), (3600, 200), (7199, 200)] {
        let contact = format!("Contact: <sip:john@192.0.2.7>;expires={expires}");
        let outcome = house.send(&register(&format!("c{expires}"), 1, &[&contact]), 0).await;
        assert_eq!(outcome.status, status, "{expires}");
    }
}

#[tokio::test]
async fn a_good_and_a_too_brief_contact_store_neither() {
    let house = House::new();
    let both = &[PHONE, "Contact: <sip:john@192.0.2.8>;expires=20"];
    assert_eq!(house.send(&register("a", 1, both), 0).await.status, 423);
    assert!(matches!(house.find(0), Lookup::Unknown));
}

#[tokio::test]
async fn an_equal_or_lower_cseq_is_500_and_another_call_id_updates() {
    let house = House::new();
    house.send(&register("a", 5, &[PHONE]), 0).await;
    for cseq in [5, 4] {
        assert_eq!(house.send(&register("a", cseq, &[PHONE]), 10).await.status, 500);
    }
    assert_eq!(house.only_binding(10).cseq, 5);
    assert_eq!(house.only_binding(10).expires_at, now(3600));

    assert_eq!(house.send(&register("b", 1, &[PHONE]), 10).await.status, 200);
    assert_eq!((&house.only_binding(10).call_id[..], house.only_binding(10).cseq), (&b"b"[..], 1));
    assert_eq!(house.send(&register("b", 2, &[PHONE]), 20).await.status, 200);
    assert_eq!(house.only_binding(20).expires_at, now(3620));
}

#[tokio::test]
async fn one_contact_out_of_order_aborts_the_others_too() {
    let house = House::new();
    house.send(&register("a", 5, &[PHONE]), 0).await;
    let outcome = house.send(&register("a", 5, &["Contact: <sip:john@192.0.2.8>", PHONE]), 1).await;
    assert_eq!(outcome.status, 500);
    assert_eq!(house.bindings(1).len(), 1);
}

#[tokio::test]
async fn an_expired_binding_is_absent_so_that_its_cseq_does_not_count() {
    let house = House::new();
    house.send(&register("a", 5, &["Contact: <sip:john@192.0.2.7>;expires=60"]), 0).await;
    assert_eq!(house.send(&register("a", 5, &[PHONE]), 59).await.status, 500);
    assert_eq!(house.send(&register("a", 5, &[PHONE]), 60).await.status, 200);
}

#[tokio::test]
async fn expiry_comes_from_the_contact_then_the_header_then_the_default() {
    let house = House::with(|options| options.default_expires = 1800);
    for (at, (contact, header, left)) in [
        (";expires=100", "Expires: 200", "100"),
        ("", "Expires: 200", "200"),
        ("", "X: none", "1800"),
        (";expires=soon", "Expires: 200", "3600"),
        ("", "Expires: soon", "3600"),
        (";expires=99999999999", "X: none", "4294967295"),
    ]
    .into_iter()
    .enumerate()
    {
        let contact = format!("Contact: <sip:john@192.0.2.7>{contact}");
        let outcome = house.send(&register(&format!("c{at}"), 1, &[&contact, header]), 0).await;
        assert_eq!(contacts(&outcome), [format!("<sip:john@192.0.2.7>;expires={left}")]);
    }
}

#[tokio::test]
async fn a_longer_expiry_is_shortened_where_the_options_say_so() {
    let house = House::with(|options| options.max_expires = 7200);
    let outcome = house.send(&register("a", 1, &[PHONE, "Expires: 9000"]), 0).await;
    assert_eq!(contacts(&outcome), ["<sip:john@192.0.2.7>;expires=7200"]);
}

#[tokio::test]
async fn expires_zero_removes_one_binding_and_of_an_absent_one_nothing() {
    let house = House::new();
    house.send(&register("a", 1, &[PHONE, "Contact: <sip:john@192.0.2.8>"]), 0).await;
    let gone = &["Contact: <sip:john@192.0.2.8>;expires=0", "Contact: <sip:john@192.0.2.99>;expires=0"];
    let outcome = house.send(&register("a", 2, gone), 0).await;
    assert_eq!(contacts(&outcome), ["<sip:john@192.0.2.7>;expires=3600"]);
}

#[tokio::test]
async fn contacts_are_the_same_by_uri_comparison() {
    let house = House::new();
    house.send(&register("a", 1, &["Contact: <sip:%6aohn@192.0.2.7;x=1>"]), 0).await;
    // x stands in one only: ignored. The transport counts although only one has it.
    house.send(&register("a", 2, &["Contact: <sip:john@192.0.2.7>"]), 0).await;
    let outcome = house.send(&register("a", 3, &["Contact: <sip:john@192.0.2.7;transport=udp>"]), 0).await;
    assert_eq!(
        contacts(&outcome),
        ["<sip:john@192.0.2.7>;expires=3600", "<sip:john@192.0.2.7;transport=udp>;expires=3600"]
    );
}

#[tokio::test]
async fn of_two_bindings_that_a_contact_could_mean_the_one_written_the_same_is_refreshed() {
    let house = House::new();
    house.send(&register("a", 1, &["Contact: <sip:john@192.0.2.7;x=1>, <sip:john@192.0.2.7;x=2>"]), 0).await;
    let outcome = house.send(&register("a", 2, &["Contact: <sip:john@192.0.2.7;x=2>"]), 10).await;
    assert_eq!(
        contacts(&outcome),
        ["<sip:john@192.0.2.7;x=1>;expires=3590", "<sip:john@192.0.2.7;x=2>;expires=3600"]
    );
}

#[tokio::test]
async fn of_one_contact_twice_in_a_request_the_last_counts() {
    let house = House::new();
    let twice = &["Contact: <sip:john@192.0.2.7>;q=0.1, <sip:john@192.0.2.7>;q=0.2"];
    let outcome = house.send(&register("a", 1, twice), 0).await;
    assert_eq!(contacts(&outcome), ["<sip:john@192.0.2.7>;q=0.2;expires=3600"]);
}

#[tokio::test]
async fn an_unknown_option_is_420_and_named_and_the_four_known_ones_are_not() {
    let house = House::new();
    let known = "Require: pref, Path, outbound, gruu";
    assert_eq!(house.send(&register("a", 1, &[PHONE, known]), 0).await.status, 200);
    let outcome = house.send(&register("a", 2, &[PHONE, "Require: path, foo", "Require: bar"]), 0).await;
    assert_eq!((outcome.status, lines(&outcome, HeaderId::Unsupported)), (420, vec!["foo, bar".into()]));
    assert_eq!(house.only_binding(0).cseq, 1);
}

#[tokio::test]
async fn an_aor_that_is_not_of_our_domains_is_404() {
    let house = House::new();
    for aor in ["sip:john@example.org", "sip:example.com"] {
        assert_eq!(house.send(&register_for(aor, "a", 1, &[PHONE]), 0).await.status, 404, "{aor}");
    }
    // RFC 4475 §3.3.13
    for aor in ["tel:+358401234567", "mailto:john@example.com"] {
        assert_eq!(house.send(&register_for(aor, "a", 1, &[PHONE]), 0).await.status, 400, "{aor}");
    }
    assert!(house.registrar().is_empty());
}

#[tokio::test]
async fn an_aor_is_canonical() {
    let house = House::new();
    house.send(&register_for("sip:%6Aohn@EXAMPLE.com;transport=tcp", "a", 1, &[PHONE]), 0).await;
    assert_eq!(house.bindings(0).len(), 1);
    let spelled = house.registrar().lookup(&uri("sip:joh%6e@Example.com;x=1"), now(0));
    assert!(matches!(spelled, Lookup::Bindings(_)));
    assert!(matches!(house.registrar().lookup(&uri("sip:JOHN@example.com"), now(0)), Lookup::Unknown));
}

#[tokio::test]
async fn a_port_or_the_scheme_in_to_makes_no_other_user() {
    let house = House::new();
    for (call, to) in ["sip:john@example.com:5060", "sips:john@example.com"].into_iter().enumerate() {
        let contact = format!("Contact: <sip:john@192.0.2.{call}>");
        let outcome = house.send(&register_for(to, &call.to_string(), 1, &[&contact]), 0).await;
        assert_eq!(outcome.status, 200, "{to}");
        assert_eq!(house.bindings(0).len(), call + 1, "{to}");
    }
    let by_port = house.registrar().lookup(&uri("sip:john@example.com:5070"), now(0));
    assert!(matches!(by_port, Lookup::Bindings(_)));
}

#[tokio::test]
async fn path_is_kept_in_order_and_echoed() {
    let house = House::new();
    let outcome = house.send(&request(&example("068-register-outbound")), 0).await;
    let path = "<sip:VskztcQ%2FS8p4WPbOnHbuyh5iJvJIW3ib@ep1.example.com;lr;ob>";
    assert_eq!((outcome.status, lines(&outcome, HeaderId::Path)), (200, vec![path.into()]));
    let binding = house.only_binding(0);
    assert_eq!(binding.path, [path]);
    assert_eq!(binding.reg_id(), Some(1));
    assert_eq!(binding.instance().as_deref(), Some(&b"urn:uuid:00000000-0000-1000-8000-000A95A0E128"[..]));

    let two = &["Supported: path", "Path: <sip:p2@example.com;lr>, <sip:p1@example.com;lr>", PHONE];
    house.send(&register("b", 1, two), 0).await;
    let bindings = house.bindings(0);
    let second = bindings.iter().find(|binding| binding.call_id == "b").unwrap();
    assert_eq!(second.path, ["<sip:p2@example.com;lr>", "<sip:p1@example.com;lr>"]);
}

#[tokio::test]
async fn path_without_support_is_420_unless_allowed() {
    let lines_sent = &["Path: <sip:p1@example.com;lr>", PHONE];
    let strict = House::new();
    let outcome = strict.send(&register("a", 1, lines_sent), 0).await;
    assert_eq!((outcome.status, lines(&outcome, HeaderId::Unsupported)), (420, vec!["path".into()]));
    let lenient = House::with(|options| options.path_needs_support = false);
    assert_eq!(lenient.send(&register("a", 1, lines_sent), 0).await.status, 200);
}

#[tokio::test]
async fn a_malformed_or_endless_path_is_400() {
    let house = House::with(|options| options.path_values = 2);
    let long = "Path: <sip:a@h;lr>, <sip:b@h;lr>, <sip:c@h;lr>";
    for path in ["Path: sip:p1@example.com;lr", "Path: <nonsense>", long] {
        let outcome = house.send(&register("a", 1, &["Supported: path", path, PHONE]), 0).await;
        assert_eq!(outcome.status, 400, "{path}");
    }
}

#[tokio::test]
async fn a_contact_that_would_break_the_200_is_400() {
    let house = House::new();
    for contact in [
        "Contact: <sip:john@192.0.2.7>;x=\"a\"b",
        "Contact: <sip:john@192.0.2.7>;a b",
        "Contact: <sip:john@192.0.2.7>;x=\"open",
    ] {
        assert_eq!(house.send(&register("a", 1, &[contact]), 0).await.status, 400, "{contact}");
    }
    assert!(house.registrar().is_empty());
}

#[tokio::test]
async fn more_contacts_than_the_limit_are_403_and_none_is_stored() {
    let house = House::with(|options| options.contacts = 2);
    let contact = |n| format!("Contact: <sip:john@192.0.2.{n}>");
    let three: Vec<_> = (1..=3).map(contact).collect();
    let three: Vec<_> = three.iter().map(String::as_str).collect();
    assert_eq!(house.send(&register("a", 1, &three), 0).await.status, 403);
    assert_eq!(house.send(&register("a", 2, &three[..2]), 0).await.status, 200);
    // One goes, another comes: two are left.
    let swap = &["Contact: <sip:john@192.0.2.1>;expires=0", three[2]];
    assert_eq!(house.send(&register("a", 3, swap), 0).await.status, 200);
    assert_eq!(house.bindings(0).len(), 2);

    let five: Vec<_> = (1..=5).map(|n| format!("Contact: <sip:john@192.0.2.{n}>;expires=0")).collect();
    let five: Vec<_> = five.iter().map(String::as_str).collect();
    assert_eq!(house.send(&register("a", 4, &five), 0).await.status, 403);
}

#[tokio::test]
async fn one_user_more_than_the_limit_is_503() {
    let house = House::with(|options| options.users = 1);
    assert_eq!(house.send(&register("a", 1, &[PHONE]), 0).await.status, 200);
    let outcome = house.send(&register_for("sip:eve@example.com", "b", 1, &[PHONE]), 0).await;
    assert_eq!((outcome.status, lines(&outcome, HeaderId::RetryAfter).len()), (503, 1));
    assert_eq!(house.send(&register("a", 2, &[PHONE]), 0).await.status, 200);
}

#[tokio::test]
async fn lookup_orders_by_q_then_by_the_last_refresh() {
    let house = House::new();
    for (at, (host, q)) in [(1, ";q=0.5"), (2, ""), (3, ";q=0.5"), (4, ";q=0.7")].into_iter().enumerate() {
        let contact = format!("Contact: <sip:john@192.0.2.{host}>{q}");
        house.send(&register(&format!("c{host}"), 1, &[&contact]), at as u64).await;
    }
    let order: Vec<_> = house.bindings(9).iter().map(|binding| binding.uri.to_string()).collect();
    assert_eq!(order, [2, 4, 3, 1].map(|host| format!("sip:john@192.0.2.{host}")));
}

#[tokio::test]
async fn an_aor_is_known_for_a_while_after_its_last_binding_ended() {
    let house = House::with(|options| {
        options.remember = Duration::from_secs(1000);
        options.listed = vec!["sip:listed@EXAMPLE.com".into()];
    });
    house.send(&register("a", 1, &["Contact: <sip:john@192.0.2.7>;expires=100"]), 0).await;
    assert!(matches!(house.find(99), Lookup::Bindings(_)));
    assert!(matches!(house.find(100), Lookup::Known));
    assert!(matches!(house.find(1099), Lookup::Known));
    assert!(matches!(house.find(1100), Lookup::Unknown));
    let find = |aor| house.registrar().lookup(&uri(aor), now(0));
    assert!(matches!(find("sip:listed@example.com"), Lookup::Known));
    assert!(matches!(find("sip:never@example.com"), Lookup::Unknown));
    assert!(matches!(find("sip:john@example.org"), Lookup::Unknown));
}

#[tokio::test]
async fn a_sweep_takes_what_has_ended_and_nothing_else() {
    let mut house = House::with(|options| options.remember = Duration::from_secs(1000));
    let brief = "Contact: <sip:john@192.0.2.7>;expires=100";
    house.send(&register("a", 1, &[brief, "Contact: <sip:john@192.0.2.8>;expires=500"]), 0).await;
    house.send(&register_for("sip:eve@example.com", "b", 1, &[brief, "Accept: image/gif"]), 0).await;

    let swept = house.registrar().sweep(now(99)).await;
    assert_eq!((swept.bindings, swept.users, swept.cpis), (0, 0, 0));
    let swept = house.registrar().sweep(now(100)).await;
    assert_eq!((swept.bindings, swept.users), (2, 0));
    assert_eq!((house.registrar().len(), house.bindings(100).len()), (2, 1));
    house.restart();
    let swept = house.registrar().sweep(now(1100)).await;
    assert_eq!((swept.bindings, swept.users), (1, 1));
    assert!(matches!(house.find(1100), Lookup::Known));
    house.registrar().sweep(now(1500)).await;
    assert!(house.registrar().is_empty() && house.registrar().distinct_cpis() == 0);
}

#[tokio::test]
async fn bindings_survive_a_restart_but_their_flows_do_not() {
    let mut house = House::new();
    house.send(&register("a", 1, &[PHONE, "User-Agent: Nokia7650/1.0(05.00)"]), 0).await;
    let before = house.only_binding(1);
    assert_eq!(before.source, source());
    house.restart();
    let after = house.only_binding(1);
    assert_eq!(after.source, Source { flow: None, ..source() });
    assert_eq!((&after.uri, after.expires_at, after.cseq), (&before.uri, before.expires_at, before.cseq));
    assert_eq!(after.user_agent(), Some("Nokia7650/1.0(05.00)"));
    assert_eq!(house.send(&register("a", 1, &[PHONE]), 2).await.status, 500);
}

#[tokio::test]
async fn a_record_that_can_not_be_read_counts_as_empty_and_is_written_over() {
    let house = House::new();
    house.store().space("bindings").swap(AOR.as_bytes(), None, Some("junk".into())).await.unwrap();
    assert!(matches!(house.find(0), Lookup::Unknown));
    assert_eq!(house.send(&register("a", 1, &[PHONE]), 0).await.status, 200);
    assert_eq!(house.bindings(0).len(), 1);
}

#[tokio::test]
async fn changed_options_count_from_the_next_request_on() {
    let house = House::new();
    let options = registrar::Options { domains: vec!["example.org".into()], ..registrar::Options::default() };
    house.registrar().reconfigure(options);
    assert_eq!(house.send(&register("a", 1, &[PHONE]), 0).await.status, 404);
    assert!(house.registrar().is_ours(&uri("sip:x@EXAMPLE.org")));
}

#[tokio::test]
async fn a_record_is_read_for_the_first_lookup_after_it_was_written() {
    let house = House::new();
    let both = ["Contact: <sip:john@192.0.2.7>;expires=500", "Contact: <sip:john@192.0.2.8>;expires=100"];
    house.send(&register("a", 1, &both), 0).await;
    let first = house.bindings(1);
    let again = house.bindings(99);
    assert_eq!(again.len(), 2);
    assert!(first.iter().zip(&again).all(|(first, again)| Arc::ptr_eq(first, again)));
    let left = house.only_binding(100);
    assert_eq!(left.uri, uri("sip:john@192.0.2.7"));
    assert!(first.iter().any(|first| Arc::ptr_eq(first, &left)));

    house.send(&register("a", 2, &both), 200).await;
    let anew = house.bindings(200);
    assert_eq!(anew.len(), 2);
    assert!(anew.iter().all(|anew| anew.cseq == 2 && !first.iter().any(|first| Arc::ptr_eq(first, anew))));
}

/// A REGISTER that asks for a way that nobody reads (RFC 5630).
fn sips(call_id: &str, cseq: u32, lines: &[&str]) -> sip::Request {
    register_at("sips:example.com", AOR, call_id, cseq, lines)
}

#[tokio::test]
async fn a_sips_contact_is_registered_by_sips_uris_all_the_way() {
    let house = House::new();
    let contact = "Contact: <sips:john@192.0.2.7>";
    let path = |uri: &str| format!("Path: <{uri};lr>");
    let (clear, secure) = (path("sip:p@example.com"), path("sips:p@example.com"));
    for (refused, what) in [
        (register("a", 1, &[contact]), "the Request-URI"),
        (register("a", 1, &["Contact: <sip:john@192.0.2.8>, <sips:john@192.0.2.7>"]), "of several"),
        (sips("a", 1, &[contact, "Supported: path", &clear]), "the Path"),
        (sips("a", 1, &[contact, "Supported: path", &secure, &clear]), "some of the Path"),
    ] {
        assert_eq!(house.send(&refused, 0).await.status, 400, "{what}");
    }
    assert!(house.registrar().is_empty());
    assert_eq!(house.send(&sips("a", 2, &[contact, "Supported: path", &secure]), 0).await.status, 200);
    assert!(house.only_binding(0).uri.is_sips());
    // It may be taken away by whatever URI.
    let gone = format!("{contact};expires=0");
    assert_eq!(house.send(&register("a", 3, &[&gone]), 0).await.status, 200);
    assert_eq!(house.bindings(0).len(), 0);
}

#[tokio::test]
async fn a_sip_contact_and_its_sips_contact_take_each_others_place() {
    let house = House::new();
    for (call, scheme) in ["sip", "sips", "sip"].into_iter().enumerate() {
        let contact = format!("Contact: <{scheme}:john@192.0.2.7:5070;x=y>");
        assert_eq!(house.send(&sips(&call.to_string(), 1, &[&contact]), 0).await.status, 200);
        assert_eq!(house.only_binding(0).uri.is_sips(), scheme == "sips");
    }
}

#[tokio::test]
async fn who_registers_by_sips_is_given_gruus_that_are_sips_uris() {
    let house = House::new();
    let instance = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000000000A>\"";
    for scheme in ["sip", "sips"] {
        let line = format!("Contact: <{scheme}:john@192.0.2.7>;{instance}");
        let outcome = house.send(&sips(scheme, 1, &[&line, "Supported: gruu"]), 0).await;
        let contact = lines(&outcome, HeaderId::Contact).remove(0);
        for gruu in ["pub-gruu", "temp-gruu"] {
            let (_, value) = contact.split_once(&format!("{gruu}=\"")).unwrap();
            let value = value.split('"').next().unwrap();
            assert_eq!(value.split(':').next(), Some(scheme), "{contact}");
            let found = house.registrar().lookup(&uri(value), now(0));
            assert!(matches!(found, Lookup::Bindings(_)), "{value}");
        }
    }
}
