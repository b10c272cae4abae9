//! The program as its users see it: commands, exit codes, what they print; and a running server as its
//! operators see it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step here is a failed test"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod bindings;
mod commands;
mod examples;
mod operators;
mod users;

use std::path::Path;
use std::process::{Command, Output};

/// What a run of the program said.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn bespoke(args: &[&str]) -> Said {
    bespoke_in(Path::new(env!("CARGO_MANIFEST_DIR")), args)
}

fn bespoke_in(folder: &Path, args: &[&str]) -> Said {
    let run = Command::new(env!("CARGO_BIN_EXE_bespoke")).args(args).current_dir(folder).output();
    let Output { status, stdout, stderr } = run.unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    Said { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

impl Said {
    /// Its output as JSON; the run must have succeeded.
    fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }
}
