//! Lists: one subscription to many (RFC 4662), kept or carried (RFC 5367); and rules as a document (RFC 5025).

use crate::harness::phone::serial;
use crate::harness::{Line, Message, Phone, Server, http};
use crate::parts;
use crate::presence::{note, subscribe, text, watch};

const ACCEPT: &str = "application/pidf+xml, application/rlmi+xml, multipart/related";

fn put(server: &Server, path: &str, kind: &str, body: &str) -> Message {
    let answer = http::send(server.admin, "PUT", path, &[("Content-Type", kind)], body.as_bytes());
    assert!(matches!(answer.status(), 200 | 204), "{answer}");
    answer
}

#[test]
fn one_subscription_tells_of_all_members_and_then_of_each_that_changes() {
    let server = Server::with(&["presence.notify_every=1s"]);
    put(
        &server,
        "/api/v1/lists/friends@example.com",
        "application/json",
        r#"{"members":["ann@example.com","carl@example.com","eve@example.net"],"owner":"bob@example.com"}"#,
    );
    note(&server, "ann@example.com", "Ann is here");
    let rules = r#"[{"who":"*","give":"block"}]"#;
    put(&server, "/api/v1/presence/carl@example.com/rules", "application/json", rules);
    let mut bob = Phone::tcp("bob");
    let lines = [("Accept", ACCEPT), ("Supported", "eventlist")];
    let request = subscribe(&bob, "friends@example.com", &lines);
    let (answer, full) = watch(&server, &mut bob, &request);
    assert_eq!((answer.get("Require"), full.get("Require")), ("eventlist", "eventlist"));
    let all = parts(&full);
    assert!(all[0].get("Content-Type").starts_with("application/rlmi+xml"));
    let root = text(&all[0]);
    for piece in [
        "fullState=\"true\"",
        "version=\"0\"",
        "uri=\"sip:friends@example.com\"",
        "uri=\"sip:ann@example.com\"",
        "state=\"active\"",
        "state=\"terminated\" reason=\"rejected\"",
        "<resource uri=\"sip:eve@example.net\"/>",
    ] {
        assert!(root.contains(piece), "{piece} in {root}");
    }
    assert_eq!(all.len(), 2, "only of Ann there is something to tell");
    assert!(text(&all[1]).contains("Ann is here"));
    let id = all[1].get("Content-ID").trim_matches(['<', '>']).to_owned();
    assert!(root.contains(&format!("cid=\"{id}\"")), "{root}");

    note(&server, "ann@example.com", "Ann is away");
    let changed = parts(&bob.take());
    let root = text(&changed[0]);
    assert!(root.contains("fullState=\"false\"") && root.contains("version=\"1\""), "{root}");
    assert!(!root.contains("carl@"), "{root}");
    assert!(text(&changed[1]).contains("Ann is away"));
}

#[test]
fn a_list_is_for_who_takes_lists_and_for_its_owner() {
    let server = Server::with(&[
        r#"list=[{uri="friends@example.com", owner="bob@example.com", members=["ann@example.com"]}]"#,
    ]);
    let mut line = Line::tcp(server.sip);
    let bob = Phone::tcp("bob");
    let plain = line.request(&subscribe(&bob, "friends@example.com", &[("Accept", ACCEPT)]));
    assert_eq!((plain.status(), plain.get("Require")), (421, "eventlist"));
    let carl = Phone::tcp("carl");
    let lines = [("Accept", ACCEPT), ("Supported", "eventlist")];
    assert_eq!(line.request(&subscribe(&carl, "friends@example.com", &lines)).status(), 403);
}

#[test]
fn a_list_that_a_subscribe_carries_is_watched() {
    let server = Server::start();
    note(&server, "ann@example.com", "Ann is here");
    let mut bob = Phone::tcp("bob");
    let lines = [("Accept", ACCEPT), ("Supported", "eventlist"), ("Require", "recipient-list-subscribe")];
    let list = "<?xml version=\"1.0\"?><resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list>\
                <entry uri=\"sip:ann@example.com\"/><entry uri=\"sip:dan@example.com\"/></list></resource-lists>";
    let request = subscribe(&bob, "rls@example.com", &lines)
        .with("Content-Disposition", "recipient-list")
        .body("application/resource-lists+xml", list.as_bytes());
    let (_, full) = watch(&server, &mut bob, &request);
    let all = parts(&full);
    assert_eq!(all.len(), 3);
    assert!(text(&all[1]).contains("Ann is here") && text(&all[2]).contains("closed"));
    let mut line = Line::tcp(server.sip);
    let other = request.clone().set("Call-ID", &format!("c{}@x", serial()));
    assert_eq!(line.request(&other.clone().set("Content-Type", "text/plain")).status(), 415);
    assert_eq!(line.request(&other.body("application/resource-lists+xml", b"<x/>")).status(), 400);
}

#[test]
fn rules_may_come_as_the_document_of_rfc_5025() {
    let server = Server::with(&["presence.default=block"]);
    let document = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <cr:ruleset xmlns=\"urn:ietf:params:xml:ns:pres-rules\" xmlns:pr=\"urn:ietf:params:xml:ns:pres-rules\" \
        xmlns:cr=\"urn:ietf:params:xml:ns:common-policy\"><cr:rule id=\"a\"><cr:conditions><cr:identity>\
        <cr:one id=\"sip:bob@example.com\"/></cr:identity></cr:conditions><cr:actions>\
        <pr:sub-handling>allow</pr:sub-handling></cr:actions></cr:rule></cr:ruleset>";
    let path = "/api/v1/presence/john@example.com/rules";
    put(&server, path, "application/auth-policy+xml", document);
    let mut bob = Phone::tcp("bob");
    let request = subscribe(&bob, "john@example.com", &[("Accept", "application/pidf+xml")]);
    watch(&server, &mut bob, &request);
    let carl = Phone::tcp("carl");
    let refused = Line::tcp(server.sip).request(&subscribe(&carl, "john@example.com", &[]));
    assert_eq!(refused.status(), 403);
    let got = http::fetch(server.admin, "GET", path, &[]);
    assert_eq!((got.status(), text(&got).as_str()), (200, document));
    let bad = http::send(
        server.admin,
        "PUT",
        path,
        &[("Content-Type", "application/auth-policy+xml")],
        b"<!DOCTYPE x><x/>",
    );
    assert_eq!(bad.status(), 400);
}
