//! SIPp, run by pid with a limit, on scenario files of `tests/peers/scenarios`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// One run of SIPp. Its working folder holds what the scenario reads.
pub(crate) struct Sipp {
    child: Child,
    dir: tempfile::TempDir,
    name: String,
}

impl Sipp {
    /// Starts `scenario` with those arguments; `files` (name, octets) are put in its working folder.
    pub(crate) fn start(scenario: &str, args: &[&str], files: &[(&str, &[u8])]) -> Self {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/scenarios").join(scenario);
        Self::launch(scenario, &["-sf", &file.to_string_lossy()], args, files)
    }

    /// Starts a scenario that SIPp has within it, such as `uac` and `uas`.
    pub(crate) fn built_in(scenario: &str, args: &[&str]) -> Self {
        Self::launch(scenario, &["-sn", scenario], args, &[])
    }

    fn launch(scenario: &str, which: &[&str], args: &[&str], files: &[(&str, &[u8])]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, octets) in files {
            std::fs::write(dir.path().join(name), octets).unwrap();
        }
        let child = Command::new("sipp")
            .current_dir(dir.path())
            .args(which)
            .args(["-i", "127.0.0.1", "-nostdin", "-trace_err", "-trace_msg"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sipp runs (Debian's package sip-tester)");
        Self { child, dir, name: scenario.to_owned() }
    }

    /// Waits for the end; every call must have succeeded.
    pub(crate) fn succeed(mut self) {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "sipp {}: {status}\n{}", self.name, traces(self.dir.path()));
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- sipp {}\n{}---", self.name, traces(self.dir.path()));
        }
    }
}

/// Runs a client scenario against the server to its end.
pub(crate) fn run(server: SocketAddr, scenario: &str, args: &[&str], files: &[(&str, &[u8])]) {
    let target = server.to_string();
    let mut all = vec![target.as_str(), "-m", "1", "-timeout", "20s", "-timeout_error"];
    all.extend(args);
    Sipp::start(scenario, &all, files).succeed();
}

fn traces(dir: &Path) -> String {
    let files = std::fs::read_dir(dir).unwrap().filter_map(|entry| entry.ok().map(|entry| entry.path()));
    files
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .map(|path| {
            String::from_utf8_lossy(&std::fs::read(path).unwrap()).chars().take(6_000).collect::<String>()
        })
        .collect()
}
