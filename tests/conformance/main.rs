//! Conformance: `bespoke cpi` against the expected results of every example message and expression, and the
//! verdicts of RFC 4475 and RFC 5118 over UDP and TCP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step here is a failed test"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod framing;
mod torture;
mod torture6;
mod verdict;

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

fn messages() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/messages")
}

fn index() -> serde_json::Map<String, Value> {
    let text = std::fs::read(messages().join("INDEX.json")).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap().as_object().unwrap().clone()
}

fn decode(args: &[&str]) -> Value {
    let out = Command::new(env!("CARGO_BIN_EXE_bespoke")).arg("cpi").args(args).output().unwrap();
    assert!(out.status.success(), "bespoke cpi {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn all_66_messages_decode_to_the_index() {
    let mut wrong = Vec::new();
    let index = index();
    let files = index.iter().filter(|(name, _)| name.ends_with(".msg"));
    for (name, expected) in files.clone() {
        let got = decode(&[messages().join(name).to_str().unwrap()]);
        for key in ["cpi", "mime", "diag", "content-adapted"] {
            if got.get(key) != expected.get(key) {
                wrong.push(format!(
                    "{name} {key}:\n  expected {:?}\n  got      {:?}",
                    expected.get(key),
                    got.get(key)
                ));
            }
        }
    }
    assert_eq!(files.count(), 66);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_6_expressions_decode_to_the_index() {
    let index = index();
    let files: Vec<_> = index.iter().filter(|(name, _)| name.ends_with(".expr")).collect();
    assert_eq!(files.len(), 6);
    for (name, expected) in files {
        let got = decode(&["--expr", messages().join(name).to_str().unwrap()]);
        let got = got.get("expect").unwrap_or(&got);
        assert_eq!(Some(got), expected.get("expect"), "{name}");
    }
}
