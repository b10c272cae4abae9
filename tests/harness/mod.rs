//! What the end-to-end tests stand on: a server process, phones and senders on raw sockets, pictures
//! measured by their own octets. Nothing here uses the crates under test, so that a mistake in them
//! can't hide itself.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test binary uses its part; a failed step here is a failed test"
)]

pub(crate) mod bombs;
pub(crate) mod certificates;
pub(crate) mod dovecot;
pub(crate) mod http;
pub(crate) mod message;
pub(crate) mod password;
pub(crate) mod phone;
pub(crate) mod picture;
pub(crate) mod program;
pub(crate) mod receiver;
pub(crate) mod server;
pub(crate) mod sipp;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) use message::Message;
pub(crate) use phone::{Line, Phone};
pub(crate) use server::Server;

/// How long a step that must happen may take before the test fails. Far over what any needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Looks again and again until it is so; fails with what it waited for.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let late = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < late, "{what}: not in time");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A file of `tests/data`.
pub(crate) fn data(path: &str) -> Vec<u8> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path);
    std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// The message of `tests/data/messages` whose name begins with `number`.
pub(crate) fn example(number: &str) -> Message {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/messages");
    let mut names = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let file = names
        .find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{number}-")))
        })
        .unwrap_or_else(|| panic!("no message {number}"));
    Message::parse(&std::fs::read(file).unwrap())
}
