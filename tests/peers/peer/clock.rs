//! The wall clock of a running server is set, by libfaketime: what was promised in seconds still holds.

use super::offline::known_and_gone;
use crate::harness::http::get;
use crate::harness::server::Setup;
use crate::harness::{Line, Phone, Server, phone};

/// Debian keeps libraries in a folder named after the processor.
fn faketime() -> String {
    let folders = std::fs::read_dir("/usr/lib").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let library = folders.map(|path| path.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    library.expect("Debian's package libfaketime").display().to_string()
}

/// A server whose wall clock is as far off as the file says.
struct Clock {
    dir: tempfile::TempDir,
}

impl Clock {
    fn new() -> Self {
        let clock = Self { dir: tempfile::tempdir().unwrap() };
        clock.set("+0");
        clock
    }

    fn set(&self, off: &str) {
        // Replaced in one step: it is read at every call.
        let (new, file) = (self.dir.path().join("new"), self.dir.path().join("clock"));
        std::fs::write(&new, off).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    fn server(&self, settings: &[&str]) -> Server {
        let file = self.dir.path().join("clock").display().to_string();
        Server::set_up(Setup {
            settings: settings.iter().map(ToString::to_string).collect(),
            environment: vec![
                ("LD_PRELOAD", faketime()),
                ("FAKETIME_TIMESTAMP_FILE", file),
                ("FAKETIME_NO_CACHE", "1".to_owned()),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
                ("DONT_FAKE_MONOTONIC", "1".to_owned()),
            ],
            ..Setup::default()
        })
    }
}

/// The seconds that john's binding has left.
fn left(server: &Server) -> Option<u64> {
    let query = Phone::udp("john").register_request(&[]).without("Contact");
    let answer = Line::tcp(server.sip).request(&query);
    assert_eq!(answer.status(), 200, "{answer}");
    let (_, seconds) = answer.header("Contact")?.split_once("expires=")?;
    seconds.split(';').next().unwrap().parse().ok()
}

#[test]
fn bindings_transactions_and_kept_messages_hold_when_the_wall_clock_is_set() {
    for step in ["+6h", "-6h", "+30d"] {
        let clock = Clock::new();
        let server = clock.server(&[]);
        let mut john = Phone::udp("john");
        john.register(&server, &[]);
        let mut sender = Line::tcp(server.sip);
        // One request is under way while the clock is set.
        sender.send(&sender.with_via(&phone::message_to("john").body("text/plain", b"before")).octets());
        let request = john.receive();
        // Another message waits for a user who is not there.
        known_and_gone(&server, "late");
        let kept = Line::udp(server.sip).request(&phone::message_to("late").body("text/plain", b"kept"));
        assert_eq!(kept.status(), 202, "{kept}");
        clock.set(step);
        john.respond(&request.answer(200, "OK"));
        assert_eq!(sender.final_response().status(), 200, "{step}");

        let seconds = left(&server);
        assert!(seconds.is_some_and(|left| (3_500..=3_600).contains(&left)), "{step}: {seconds:?} left");
        sender.send(&sender.with_via(&phone::message_to("john").body("text/plain", b"after")).octets());
        assert_eq!(john.take().body, b"after", "{step}");
        assert_eq!(sender.final_response().status(), 200, "{step}");
        let mut late = Phone::udp("late");
        late.register(&server, &[]);
        assert_eq!(late.take().body, b"kept", "{step}");
        // A registration of now lasts as long as it says, whatever the clock said before.
        john.register(&server, &[]);
        let seconds = left(&server);
        assert!(seconds.is_some_and(|left| (3_500..=3_600).contains(&left)), "{step}: {seconds:?} left");
    }
}

#[test]
fn a_link_lasts_as_long_as_it_says_when_the_wall_clock_is_set() {
    for step in ["+30d", "-6h"] {
        let clock = Clock::new();
        let server = clock.server(&[]);
        let url = super::web::link(&server);
        clock.set(step);
        assert_eq!(get(server.http, &url, &[]).status(), 200, "{step}");
    }
}
