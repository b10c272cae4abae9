//! Rules that come and go: those that hold for a time (RFC 4745 §7.3), and what a list's watcher sees of a change.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::server::Setup;
use crate::harness::{Line, Message, Phone, Server, http};
use crate::presence::{PIDF, in_dialog, note, subscribe, text, watch};

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

/// A rule that lets that user in, and shows what is granted.
fn shows(id: &str, user: &str, transformations: &str) -> String {
    format!(
        "<cr:rule id=\"{id}\"><cr:conditions><cr:identity><cr:one id=\"sip:{user}@example.com\"/></cr:identity>\
         </cr:conditions><cr:actions><sub-handling>allow</sub-handling></cr:actions>\
         <cr:transformations>{transformations}</cr:transformations></cr:rule>"
    )
}

const SERVICES: &str = "<provide-services><all-services/></provide-services>";

#[test]
fn each_watcher_is_shown_what_the_rules_grant_him_and_hears_when_that_changes() {
    let server = Server::with(&["presence.notify_every=1s"]);
    let put_rules = |rules: &str| {
        let document = format!(
            "<cr:ruleset xmlns=\"urn:ietf:params:xml:ns:pres-rules\" \
             xmlns:cr=\"urn:ietf:params:xml:ns:common-policy\">{rules}</cr:ruleset>"
        );
        let path = "/api/v1/presence/john@example.com/rules";
        put(&server, path, "application/auth-policy+xml", &document);
    };
    let carl_sees = shows("c", "carl", &format!("{SERVICES}<provide-note>true</provide-note>"));
    put_rules(&(shows("b", "bob", SERVICES) + &carl_sees));
    note(&server, "john@example.com", "At home");
    let mut told = Vec::new();
    let mut phones = ["bob", "carl", "john"].map(Phone::tcp);
    for phone in &mut phones {
        let request = subscribe(phone, "john@example.com", &[("Accept", PIDF)]);
        let (_, notify) = watch(&server, phone, &request);
        assert!(text(&notify).contains("<basic>open</basic>"), "{notify}");
        told.push(text(&notify).contains("At home"));
    }
    assert_eq!(told, [false, true, true], "and he himself sees everything");
    put_rules(&(shows("b", "bob", &format!("{SERVICES}<provide-note>true</provide-note>")) + &carl_sees));
    assert!(text(&phones[0].take()).contains("At home"));
    put_rules(&carl_sees.replace(SERVICES, ""));
    let [_, carl, _] = &mut phones;
    let gone = loop {
        let told = text(&carl.take());
        if !told.contains("<tuple") {
            break told;
        }
    };
    assert!(gone.contains("At home"), "{gone}");
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

/// What the operator gives to whom no rule means holds for who watches already from his next SUBSCRIBE on.
#[test]
fn another_default_holds_from_the_next_refresh_on() {
    let server = Server::set_up(Setup { config: Some(String::new()), ..Setup::default() });
    note(&server, "ann@example.com", "Ann is here");
    let mut bob = Phone::tcp("bob");
    let request = subscribe(&bob, "ann@example.com", &[("Accept", PIDF)]);
    let (answer, first) = watch(&server, &mut bob, &request);
    assert!(text(&first).contains("Ann is here"), "{first}");
    server.reload("[presence]\ndefault = \"pending\"\n");
    assert_eq!(Line::tcp(server.sip).request(&in_dialog(&request, &answer, 2)).status(), 200);
    let mut last = bob.take();
    while !last.get("Subscription-State").starts_with("pending") {
        last = bob.take();
    }
    assert!(!text(&last).contains("Ann is here"), "{last}");
}
