//! Every example message and expression decodes to what INDEX.json says of it.

use serde_json::Value;

use crate::{bespoke, harness};

const KEYS: [&str; 4] = ["cpi", "mime", "content-adapted", "diag"];

fn index() -> serde_json::Map<String, Value> {
    serde_json::from_slice(&harness::data("messages/INDEX.json")).unwrap()
}

#[test]
fn all_66_messages_decode_to_the_index() {
    let mut wrong = Vec::new();
    let messages: Vec<_> = index().into_iter().filter(|(name, _)| name.ends_with(".msg")).collect();
    assert_eq!(messages.len(), 66);
    for (name, expected) in messages {
        let said = bespoke(&["cpi", &format!("tests/data/messages/{name}")]).json();
        for key in KEYS {
            if said.get(key) != expected.get(key) {
                wrong.push(format!("{name} {key}:\n  {:?}\n  {:?}", said.get(key), expected.get(key)));
            }
        }
        assert!(said.as_object().unwrap().keys().all(|key| KEYS.contains(&key.as_str())));
    }
    assert!(wrong.is_empty(), "said, expected:\n{}", wrong.join("\n"));
}

#[test]
fn all_6_expressions_decode_to_the_index() {
    let expressions: Vec<_> = index().into_iter().filter(|(name, _)| name.ends_with(".expr")).collect();
    assert_eq!(expressions.len(), 6);
    for (name, expected) in expressions {
        let said = bespoke(&["cpi", &format!("tests/data/messages/{name}"), "--expr"]).json();
        assert_eq!(said["expect"], expected["expect"], "{name}");
    }
}
