//! REGISTERs that want too much, or would break the answer to others.

use bytes::Bytes;
use proptest::prelude::*;
use registrar::RegisterOutcome;
use sip::{Framed, HeaderId, Limits, Message};

use crate::support::{House, lines, now, register, source};

fn contact(params: &str) -> String {
    format!("Contact: <sip:john@192.0.2.7>{params}")
}

/// Sends a REGISTER with one Contact to a fresh house; what is refused leaves nothing behind.
async fn refused(change: impl FnOnce(&mut registrar::Options), fields: &[&str]) -> (u16, &'static str) {
    let house = House::with(change);
    let outcome = house.send(&register("a", 1, fields), 0).await;
    assert_eq!(house.registrar().len(), 0, "{outcome:?}");
    (outcome.status, outcome.reason)
}

#[tokio::test]
async fn every_limit_on_what_is_kept_is_an_answer_and_keeps_nothing() {
    let plain = contact("");
    let long_uri = format!("Contact: <sip:{}@192.0.2.7>", "j".repeat(100));
    let uri = refused(|options| options.contact_uri_octets = 64, &[&long_uri]).await;
    assert_eq!(uri, (403, "Contact Too Long"));
    let long = contact(&format!(";x={}", "y".repeat(100)));
    assert_eq!(refused(|options| options.contact_octets = 100, &[&long]).await, (403, "Contact Too Long"));
    let many = contact(&";x".repeat(5));
    assert_eq!(refused(|options| options.contact_params = 4, &[&many]).await, (403, "Contact Too Long"));
    let cpi = refused(|options| options.contact_cpi_octets = 20, &[&plain, "Accept: image/gif"]).await;
    assert_eq!(cpi, (403, "Capabilities Too Large"));
    let knows = "Supported: path";
    let three = "Path: <sip:a;lr>, <sip:b;lr>, <sip:c;lr>";
    let values = refused(|options| options.path_values = 2, &[&plain, knows, three]).await;
    assert_eq!(values, (400, "Path Too Long"));
    let octets = refused(|options| options.path_octets = 29, &[&plain, knows, three]).await;
    assert_eq!(octets, (400, "Path Too Long"));
    let other = ["Path: <tel:1>", "Path: sip:a;lr", "Path: <nonsense", "Path: <sip:a;lr>\u{7}"];
    for bad in other {
        assert_eq!(refused(|_| {}, &[&plain, knows, bad]).await, (400, "Malformed Path"), "{bad:?}");
    }
    let others: Vec<_> = (0..3).map(|n| format!("Contact: <sip:john@192.0.2.{n}>")).collect();
    let others: Vec<_> = others.iter().map(String::as_str).collect();
    assert_eq!(refused(|options| options.contacts = 2, &others).await, (403, "Too Many Contacts"));
}

#[tokio::test]
async fn a_call_id_that_is_too_long_to_keep_is_400() {
    let house = House::new();
    let outcome = house.send(&register(&"c".repeat(513), 1, &[&contact("")]), 0).await;
    assert_eq!((outcome.status, outcome.reason), (400, "Call-ID Too Long"));
    assert_eq!(house.send(&register(&"c".repeat(512), 1, &[&contact("")]), 0).await.status, 200);
}

#[tokio::test]
async fn all_that_one_user_may_have_kept_is_bounded() {
    let house = House::with(|options| options.contacts = 4);
    let filler = "y".repeat(7900);
    for number in 0..10 {
        let path = format!("Path: <sip:{}@h;lr>", "p".repeat(3000));
        let contact = format!("Contact: <sip:john@192.0.2.{number}>;x={filler}");
        let call_id = format!("{}{number}", "c".repeat(500));
        house.send(&register(&call_id, 1, &[&contact, &path, "Supported: path"]), 0).await;
    }
    assert_eq!(house.bindings(0).len(), 4);
    let mut octets = 0;
    house.store().space("bindings").scan(|_, _, value| octets += value.len());
    assert!(octets <= 4 * (8 * 1024 + 4 * 1024 + 512 + 256), "{octets}");
}

/// The answer as it goes over the wire.
fn answer(outcome: &RegisterOutcome) -> Vec<u8> {
    let mut octets = format!(
        "SIP/2.0 {} {}\r\nVia: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=1\r\n\
         To: <sip:a@h>;tag=2\r\nCall-ID: x\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n",
        outcome.status, outcome.reason
    )
    .into_bytes();
    for (id, value) in &outcome.headers {
        octets.extend_from_slice(id.name().as_bytes());
        octets.extend_from_slice(b": ");
        octets.extend_from_slice(value);
        octets.extend_from_slice(b"\r\n");
    }
    octets.extend_from_slice(b"\r\n");
    octets
}

/// A REGISTER of those raw octets behind `Contact:`, if it is a message at all.
fn raw_register(contact: &[u8], path: &[u8]) -> Option<sip::Request> {
    let head = b"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKr\r\n\
        Max-Forwards: 70\r\nTo: <sip:john@example.com>\r\nFrom: <sip:john@example.com>;tag=1\r\nCall-ID: raw\r\n\
        CSeq: 1 REGISTER\r\nSupported: path, gruu, outbound\r\nContact: ";
    let octets = [&head[..], contact, b"\r\nPath: ", path, b"\r\nContent-Length: 0\r\n\r\n"].concat();
    let limits = Limits::default();
    let Ok(Framed::Message(raw)) = sip::frame::datagram(Bytes::from(octets), &limits) else { return None };
    match sip::validate(raw, &limits) {
        Ok(Message::Request(request)) => Some(request),
        _ => None,
    }
}

/// Octets like those of a Contact's parameters, with what could break them among them.
fn params() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            &b";x=y"[..], b";q=0.5", b";expires=60", b";+sip.instance=\"<urn:x:1>\"", b";reg-id=1", b";audio",
            b";type=\"image/gif\"", b";x=\"a;b,c\"", b";x=\"a\\\"b\"", b" ", b"\t", b"\r\n ", b";", b",",
            b"<sip:b@h>", b"=", b"<", b">", b";pub-gruu=\"x\"", b";x=[::1]", b";methods=\"MESSAGE\"", b"?a=b",
        ]).prop_map(<[u8]>::to_vec),
        3 => prop::sample::select(vec![
            &b"\""[..], b"\\", b"\r", b"\n", b"\0", b"\x7f", b"\x01", b"\xff", b"\xc3\xa4", b"%00", b"\\\x80",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

#[test]
fn whatever_was_accepted_the_answer_is_read_with_each_contact_by_itself() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (house, users) = (House::new(), std::cell::Cell::new(0));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let accepted = std::cell::Cell::new(0);
    let outcome = runner.run(&(params(), params()), |(params, path)| {
        let contact = [&b"<sip:john@192.0.2.7>"[..], &params].concat();
        let path = [&b"<sip:p@h;lr;ob>"[..], &path].concat();
        let Some(request) = raw_register(&contact, &path) else { return Ok(()) };
        users.set(users.get() + 1);
        // One of its own beside it, which must stay as it is.
        let own = "Contact: <sip:john@192.0.2.200>;expires=900";
        let registrar = house.registrar();
        runtime.block_on(async {
            house.send(&register(&format!("w{}", users.get()), 1, &["Contact: *", "Expires: 0"]), 0).await;
            house.send(&register(&format!("o{}", users.get()), 1, &[own]), 0).await;
        });
        let outcome = runtime.block_on(registrar.register(&request, source(), now(1)));
        if outcome.status != 200 {
            return Ok(());
        }
        accepted.set(accepted.get() + 1);
        let octets = answer(&outcome);
        let limits = Limits::default();
        let framed = sip::frame::datagram(Bytes::from(octets.clone()), &limits);
        let Ok(Framed::Message(raw)) = framed else { panic!("{}", octets.escape_ascii()) };
        let Ok(Message::Response(response)) = sip::validate(raw, &limits) else {
            panic!("{}", octets.escape_ascii())
        };
        let listed = response.contacts().filter(Result::is_ok).count();
        prop_assert_eq!(listed, lines_of(&outcome), "{}", octets.escape_ascii());
        prop_assert_eq!(response.contacts().count(), listed);
        let paths = outcome.values(HeaderId::Path).count();
        prop_assert_eq!(response.values(HeaderId::Path).count(), paths, "{}", octets.escape_ascii());
        let own_line = outcome
            .values(HeaderId::Contact)
            .any(|line| line.starts_with(b"<sip:john@192.0.2.200>;expires=899"));
        prop_assert!(own_line, "{}", octets.escape_ascii());
        Ok(())
    });
    outcome.unwrap();
    assert!(accepted.get() > 300, "{}", accepted.get());
}

fn lines_of(outcome: &RegisterOutcome) -> usize {
    outcome.values(HeaderId::Contact).count()
}

#[tokio::test]
async fn one_bad_contact_is_400_and_the_good_one_beside_it_is_not_kept() {
    let house = House::new();
    for bad in [";x=\"open", ";x=a\"b", ";x=\"a\u{1}b\"", ";a b=c"] {
        let both = [contact(""), format!("Contact: <sip:john@192.0.2.8>{bad}")];
        let outcome = house.send(&register("a", 1, &[&both[0], &both[1]]), 0).await;
        assert_eq!(outcome.status, 400, "{bad:?}");
        assert_eq!(lines(&outcome, HeaderId::Contact).len(), 0);
    }
    assert!(house.bindings(0).is_empty());
}
