//! Every example message and expression against INDEX.json: the keys `cpi`, `diag` and `expect`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::fs;
use std::path::PathBuf;

use cpi::Extensions;
use serde_json::{Map, Value, json};

/// What the MIME tree's reader reports, not this crate.
const MIME_DIAGS: [&str; 5] = [
    "lenient-date",
    "no-close-delimiter",
    "external-params-on-inner-header",
    "missing-semicolon-before-size",
    "bad-date",
];

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/messages"))
}

fn index(ending: &str) -> Map<String, Value> {
    let text = fs::read_to_string(folder().join("INDEX.json")).unwrap();
    let all: Map<String, Value> = serde_json::from_str(&text).unwrap();
    all.into_iter().filter(|(name, _)| name.ends_with(ending)).collect()
}

#[expect(clippy::disallowed_methods, reason = "the room opens no files, its tests read their data")]
fn example(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

fn described(octets: &[u8]) -> (Value, Value) {
    let end = octets.windows(2).position(|pair| pair == b"\r\n").unwrap();
    let (start, fields) = octets.split_at(end);
    let pairs = grammar::fields(&fields[2..]).map(|field| (field.name, field.value));
    let (message, diags) = cpi::index::describe(start, pairs, &Extensions::NONE);
    (json!(message), json!(diags))
}

#[test]
fn every_example_message_decodes_to_its_entry() {
    let index = index(".msg");
    assert_eq!(index.len(), 66);
    let mut wrong = Vec::new();
    for (name, expected) in &index {
        let (cpi, diags) = described(&example(name));
        let names = expected["diag"].as_array().cloned().unwrap_or_default();
        let names: Vec<Value> =
            names.into_iter().filter(|diag| !MIME_DIAGS.contains(&diag.as_str().unwrap())).collect();
        if cpi != expected["cpi"] {
            wrong.push(format!("{name}: cpi\n  is     {cpi}\n  wanted {}", expected["cpi"]));
        }
        if diags != json!(names) {
            wrong.push(format!("{name}: diag\n  is     {diags}\n  wanted {names:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_expression_decodes_to_its_entry() {
    let index = index(".expr");
    assert_eq!(index.len(), 6);
    for (name, expected) in &index {
        let text = fs::read_to_string(folder().join(name)).unwrap();
        assert_eq!(text, expected["expr"].as_str().unwrap(), "{name}");
        assert_eq!(json!(cpi::expr::parse(&text, &Extensions::NONE)), expected["expect"], "{name}");
    }
}

fn message(text: &str) -> Value {
    described(format!("{text}\r\n\r\n").as_bytes()).0
}

#[test]
fn an_invite_and_a_notify_tell_no_terminals_capabilities() {
    for method in ["INVITE", "NOTIFY", "PUBLISH"] {
        let head = format!("{method} sip:a@b SIP/2.0\r\nAccept: image/gif\r\nContact: <sip:c@d>");
        assert_eq!(message(&head), Value::Null, "{method}");
    }
}

#[test]
fn a_subscriber_that_puts_cpi_in_its_contact_is_shown() {
    let head = "SUBSCRIBE sip:a@b SIP/2.0\r\nm: \"Doe, <J\" <sip:c@d;x=1,2>;type=\"image/gif\", sip:e@f;q=.5";
    let groups = json!([{ "range": "image/gif", "q": 1000 }]);
    assert_eq!(message(head), json!({ "contacts": [{ "uri": "sip:c@d;x=1,2", "groups": groups }] }));
}

#[test]
fn a_415_to_any_method_teaches_and_other_answers_to_an_invite_do_not() {
    let answer = |status: &str| message(&format!("SIP/2.0 {status}\r\nCSeq: 1 INVITE\r\nAccept: a/b"));
    assert_eq!(answer("415 No"), json!({ "accept": [{ "range": "a/b", "q": 1000 }] }));
    assert_eq!(answer("200 OK"), Value::Null);
}

#[test]
fn the_user_agent_of_a_message_is_the_senders() {
    assert_eq!(message("MESSAGE sip:a@b SIP/2.0\r\nUser-Agent: x"), Value::Null);
    assert_eq!(message("OPTIONS sip:a@b SIP/2.0\r\nUser-Agent: x"), json!({ "user-agent": "x" }));
}

#[test]
fn forms_that_no_example_has() {
    let contact = r#"REGISTER sip:b SIP/2.0
Accept:
Contact: sip:a@b;ob;media-pix-x=max+160;length=max+32768;q=0.8;audio="TRUE""#;
    let limit = json!([null, 160]);
    assert_eq!(
        message(&contact.replace('\n', "\r\n")),
        json!({
            "accept": [],
            "contacts": [{
                "uri": "sip:a@b",
                "q": 800,
                "implicit": [
                    { "range": "image/*", "q": 1000, "media-pix-x": limit },
                    { "range": "video/*", "q": 1000, "media-pix-x": limit },
                ],
                "whole": [{ "coding": "identity", "q": 1000, "length": [null, 32768] }],
                "features": { "audio": ["TRUE"] },
                "other": { "ob": true },
            }],
        })
    );
}
