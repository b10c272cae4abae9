//! Rules that come and go: those that hold for a time (RFC 4745 §7.3), and what a list's watcher sees of a change.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::{Message, Phone, Server, http};
use crate::presence::{PIDF, note, subscribe, text, watch};

fn put(server: &Server, path: &str, kind: &str, body: &str) -> Message {
    let answer = http::send(server.admin, "PUT", path, &[("Content-Type", kind)], body.as_bytes());
    assert!(matches!(answer.status(), 200 | 204), "{answer}");
    answer
}

/// So many seconds from now, as XML writes it.
fn time(from_now: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let written =
        Command::new("date").args(["-u", "-d", &format!("@{}", now + from_now), "+%FT%TZ"]).output();
    String::from_utf8(written.unwrap().stdout).unwrap().trim().to_owned()
}

/// A rule that lets everybody in, from and until so many seconds from now.
fn open_for(server: &Server, from: i64, until: i64) {
    let rules = format!(
        "<cr:ruleset xmlns=\"urn:ietf:params:xml:ns:pres-rules\" xmlns:cr=\"urn:ietf:params:xml:ns:common-policy\">\
         <cr:rule id=\"a\"><cr:conditions><cr:validity><cr:from>{}</cr:from><cr:until>{}</cr:until></cr:validity>\
         </cr:conditions><cr:actions><sub-handling>allow</sub-handling></cr:actions></cr:rule></cr:ruleset>",
        time(from),
        time(until)
    );
    put(server, "/api/v1/presence/john@example.com/rules", "application/auth-policy+xml", &rules);
}

#[test]
fn a_rule_that_ends_and_one_that_begins_are_told_when_they_do() {
    let mut server = Server::with(&["presence.default=pending", "presence.notify_every=1s"]);
    note(&server, "john@example.com", "At home");
    open_for(&server, -3600, 4);
    let mut bob = Phone::udp("bob");
    let request = subscribe(&bob, "john@example.com", &[("Accept", PIDF)]);
    let (_, active) = watch(&server, &mut bob, &request);
    assert!(active.get("Subscription-State").starts_with("active;"), "{active}");
    let state_of = |bob: &mut Phone, state: &str| loop {
        let told = bob.take();
        if told.get("Subscription-State").starts_with(state) {
            break told;
        }
    };
    let pending = state_of(&mut bob, "pending;");
    assert!(!text(&pending).contains("At home"), "{pending}");
    // One that begins while nobody looks counts from the start on.
    open_for(&server, 2, 3600);
    server.crash_and_restart();
    assert!(text(&state_of(&mut bob, "active;")).contains("At home"));
}

#[test]
fn who_watches_a_list_sees_at_once_what_the_rules_of_a_member_say_from_now_on() {
    let server = Server::with(&["presence.notify_every=1s"]);
    put(&server, "/api/v1/lists/all@example.com", "application/json", r#"{"members":["john@example.com"]}"#);
    note(&server, "john@example.com", "At home");
    let mut bob = Phone::tcp("bob");
    let accept = "application/pidf+xml, application/rlmi+xml, multipart/related";
    let request = subscribe(&bob, "all@example.com", &[("Accept", accept), ("Supported", "eventlist")]);
    let (_, first) = watch(&server, &mut bob, &request);
    assert!(text(&first).contains("At home"), "{first}");
    let rules = r#"[{"who":"*","give":"block"}]"#;
    put(&server, "/api/v1/presence/john@example.com/rules", "application/json", rules);
    let told = text(&bob.take());
    assert!(told.contains("reason=\"rejected\"") && !told.contains("At home"), "{told}");
}
