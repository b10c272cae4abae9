//! Path (RFC 3327) and Outbound (RFC 5626) as the registrar sees them (CPI.md 6.4).

use crate::support::{House, contacts, example, lines, now, register, request};
use registrar::{Binding, by_terminal};
use sip::HeaderId;
use std::sync::Arc;

const ONE: &str = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"";
const OTHER: &str = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E129>\"";
const OUTBOUND: &str = "Supported: path, outbound";

fn contact(host: &str, params: &str) -> String {
    format!("Contact: <sip:john@{host};transport=tcp>;{params}")
}

fn ports(ways: &[Arc<Binding>]) -> Vec<u16> {
    ways.iter().map(|way| way.uri.port().unwrap()).collect()
}

#[tokio::test]
async fn example_068_is_answered_as_in_069() {
    let house = House::new();
    let outcome = house.send(&request(&example("068-register-outbound")), 0).await;
    let expected = crate::support::response(&example("069-register-outbound-200"));
    assert_eq!((outcome.status, outcome.reason), (200, "OK"));
    for id in [HeaderId::Path, HeaderId::Require, HeaderId::Supported] {
        assert_eq!(outcome.values(id).next(), expected.header(id), "{id:?}");
    }
    // All but the temporary GRUU, which only its registrar can make.
    let cut = |contact: &str| {
        let (before, rest) = contact.split_once(";temp-gruu=\"sip:tgruu.").unwrap();
        let (_, after) = rest.split_once("@example.com;gr\"").unwrap();
        format!("{before}|{after}")
    };
    let expected = std::str::from_utf8(expected.header(HeaderId::Contact).unwrap()).unwrap();
    assert_eq!(cut(&contacts(&outcome)[0]), cut(expected));
    let binding = house.only_binding(0);
    assert_eq!(binding.reg_id(), Some(1));
    assert_eq!(binding.path, ["<sip:VskztcQ%2FS8p4WPbOnHbuyh5iJvJIW3ib@ep1.example.com;lr;ob>"]);
}

#[tokio::test]
async fn a_first_hop_without_outbound_is_439_as_in_070() {
    let house = House::new();
    let text = String::from_utf8(example("068-register-outbound")).unwrap();
    let expected = crate::support::response(&example("070-register-439"));
    for bad in [text.replace(";lr;ob>", ";lr>"), text.replace("Path:", "X-Path:")] {
        let outcome = house.send_text(&bad, 0).await;
        assert_eq!((outcome.status, outcome.reason.as_bytes()), (439, expected.reason()));
    }
    assert!(house.bindings(0).is_empty());
}

#[tokio::test]
async fn the_first_hop_is_the_bottom_most_value_of_path() {
    let house = House::new();
    let text = String::from_utf8(example("068-register-outbound")).unwrap();
    let above = text.replace("Path: ", "Path: <sip:core.example.com;lr>, ");
    assert_eq!(house.send_text(&above, 0).await.status, 200);
    let ob_above =
        text.replace("Path: ", "Path: <sip:core.example.com;lr;ob>, ").replace(";lr;ob>\r\n", ";lr>\r\n");
    assert_eq!(house.send_text(&ob_above, 0).await.status, 439);
}

#[tokio::test]
async fn without_outbound_at_the_first_hop_a_reg_id_is_ignored_where_it_was_not_asked_for() {
    let house = House::new();
    let text = String::from_utf8(example("068-register-outbound")).unwrap();
    let text = text.replace(";lr;ob>", ";lr>").replace("path, outbound, gruu", "path");
    let outcome = house.send_text(&text, 0).await;
    assert_eq!((outcome.status, lines(&outcome, HeaderId::Require).len()), (200, 0));
    assert!(contacts(&outcome)[0].contains(";reg-id=1;"), "it is echoed");
    assert_eq!(house.only_binding(0).reg_id(), None);
}

#[tokio::test]
async fn a_flow_is_refreshed_by_instance_and_reg_id_whatever_its_uri() {
    let house = House::new();
    let first = contact("192.0.2.7:5001", &format!("{ONE};reg-id=1"));
    let outcome = house.send(&register("a", 1, &[&first, OUTBOUND]), 0).await;
    assert_eq!(lines(&outcome, HeaderId::Require), ["outbound"]);
    let moved = contact("192.0.2.7:5002", &format!("{};reg-id=1", ONE.to_ascii_lowercase()));
    house.send(&register("b", 1, &[&moved, OUTBOUND]), 10).await;
    assert_eq!(house.only_binding(10).uri.port(), Some(5002));
    // Another reg-id and another instance are bindings of their own, even with the same URI.
    house.send(&register("c", 1, &[&contact("192.0.2.7:5002", &format!("{ONE};reg-id=2"))]), 10).await;
    house.send(&register("d", 1, &[&contact("192.0.2.7:5002", &format!("{OTHER};reg-id=1"))]), 10).await;
    assert_eq!(house.bindings(10).len(), 3);
    let gone = contact("192.0.2.7:5002", &format!("{ONE};reg-id=1;expires=0"));
    house.send(&register("e", 1, &[&gone]), 20).await;
    let left: Vec<_> = house.bindings(20).iter().map(|binding| binding.call_id.clone()).collect();
    assert_eq!(left, ["c", "d"]);
}

#[tokio::test]
async fn a_flow_that_was_refreshed_out_of_order_is_500() {
    let house = House::new();
    let first = contact("192.0.2.7:5001", &format!("{ONE};reg-id=1"));
    house.send(&register("a", 5, &[&first]), 0).await;
    let moved = contact("192.0.2.7:5002", &format!("{ONE};reg-id=1"));
    assert_eq!(house.send(&register("a", 5, &[&moved]), 1).await.status, 500);
}

#[tokio::test]
async fn a_reg_id_without_an_instance_or_out_of_range_is_ignored() {
    let house = House::new();
    for (at, params) in
        ["reg-id=1", &format!("{ONE};reg-id=0"), &format!("{ONE};reg-id=2147483648")].iter().enumerate()
    {
        let one = contact(&format!("192.0.2.{at}"), params);
        let outcome = house.send(&register(&format!("c{at}"), 1, &[&one, OUTBOUND]), 0).await;
        assert_eq!((outcome.status, lines(&outcome, HeaderId::Require).len()), (200, 0), "{params}");
    }
    assert!(house.bindings(0).iter().all(|binding| binding.reg_id().is_none()));
}

#[tokio::test]
async fn of_several_contacts_none_may_be_a_flow_unless_the_others_are_removed() {
    let house = House::new();
    let flow = contact("192.0.2.7:5001", &format!("{ONE};reg-id=1"));
    let plain = "Contact: <sip:john@192.0.2.8>";
    let refused = house.send(&register("a", 1, &[&flow, plain, OUTBOUND]), 0).await;
    assert_eq!((refused.status, house.bindings(0).len()), (400, 0));
    house.send(&register("b", 1, &[plain]), 0).await;
    let removed = format!("{plain};expires=0");
    assert_eq!(house.send(&register("c", 1, &[&flow, &removed, OUTBOUND]), 1).await.status, 200);
    assert_eq!(house.only_binding(1).reg_id(), Some(1));
    let outcome = house.send(&register("c", 2, &[plain, "Contact: <sip:john@192.0.2.9>"]), 1).await;
    assert_eq!(outcome.status, 200, "no flow among them");
}

#[tokio::test]
async fn path_is_kept_in_order_and_echoed_and_survives_a_restart() {
    let mut house = House::new();
    let paths =
        ["Path: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>;x=1", "Path: <sip:p3.example.com;lr>"];
    let outcome = house
        .send(&register("a", 1, &[paths[0], paths[1], "Supported: path", "Contact: <sip:john@h>"]), 0)
        .await;
    let values = ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>;x=1", "<sip:p3.example.com;lr>"];
    assert_eq!(lines(&outcome, HeaderId::Path), values);
    house.restart();
    assert_eq!(house.only_binding(0).path, values);
    house.send(&register("a", 2, &["Contact: <sip:john@h>"]), 1).await;
    assert!(house.only_binding(1).path.is_empty(), "a refresh without Path comes another way");
}

#[tokio::test]
async fn path_from_a_terminal_that_does_not_know_it_is_420_unless_that_is_switched_off() {
    let lines_of = ["Path: <sip:p1.example.com;lr>", "Contact: <sip:john@h>"];
    let house = House::new();
    let refused = house.send(&register("a", 1, &lines_of), 0).await;
    assert_eq!((refused.status, lines(&refused, HeaderId::Unsupported)), (420, vec!["path".to_owned()]));
    let house = House::with(|options| options.path_needs_support = false);
    assert_eq!(house.send(&register("a", 1, &lines_of), 0).await.status, 200);
    assert_eq!(house.only_binding(0).path.len(), 1);
}

#[tokio::test]
async fn the_extensions_of_register_may_be_required() {
    let house = House::new();
    let requires = "Require: path, outbound, gruu, pref";
    let outcome = house.send(&register("a", 1, &[requires, "Contact: <sip:john@h>"]), 0).await;
    assert_eq!(outcome.status, 200);
}

#[tokio::test]
async fn the_ways_to_one_terminal_stand_together_the_latest_first() {
    let house = House::new();
    for (port, params, at) in [
        (5001, format!("{ONE};reg-id=1;q=0.9"), 0),
        (5002, format!("{OTHER};q=1.0"), 1),
        (5003, format!("{ONE};reg-id=2;q=0.5"), 2),
        (5004, "q=0.7".to_owned(), 3),
        (5005, "q=0.7".to_owned(), 4),
    ] {
        let one = contact(&format!("192.0.2.7:{port}"), &params);
        assert_eq!(house.send(&register(&format!("c{port}"), 1, &[&one]), at).await.status, 200);
    }
    let terminals: Vec<_> = by_terminal(house.bindings(5)).iter().map(|ways| ports(ways)).collect();
    assert_eq!(terminals, [vec![5002], vec![5005], vec![5004], vec![5003, 5001]]);
    assert_eq!(house.bindings(5)[0].refreshed_at, now(1));
}
