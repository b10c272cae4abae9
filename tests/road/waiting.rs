//! Who asked to watch and went away undecided: he waits until the presentity says a word (RFC 3857 §4.7.1).

use crate::harness::{self, Line, Message, Phone, Server, http};
use crate::presence::{PIDF, in_dialog, subscribe, text, watch};

const PENDING: [&str; 2] = ["presence.default=pending", "presence.notify_every=1s"];

/// What john hears of his watchers, asked anew.
fn winfo(server: &Server) -> String {
    let mut john = Phone::tcp("john");
    let fetch = subscribe(&john, "john@example.com", &[("Event", "presence.winfo"), ("Expires", "0")]);
    text(&watch(server, &mut john, &fetch).1)
}

/// Asks, and is gone again before a word is said.
fn ask_and_leave(server: &Server, user: &str) {
    let mut phone = Phone::tcp(user);
    let fetch = subscribe(&phone, "john@example.com", &[("Accept", PIDF), ("Expires", "0")]);
    watch(server, &mut phone, &fetch);
    harness::eventually("the subscription is over", || winfo(server).contains("status=\"waiting\""));
}

fn watchers_of_john(server: &Server) -> String {
    text(&http::fetch(server.admin, "GET", "/api/v1/presence/john@example.com", &[]))
}

fn rules(server: &Server, rules: &str) {
    let path = "/api/v1/presence/john@example.com/rules";
    let answer = http::send(server.admin, "PUT", path, &[], rules.as_bytes());
    assert_eq!(answer.status(), 200, "{answer}");
}

#[test]
fn who_left_undecided_is_shown_to_the_presentity_after_a_crash_too() {
    let mut server = Server::with(&PENDING);
    ask_and_leave(&server, "bob");
    server.crash_and_restart();
    let told = winfo(&server);
    for piece in ["status=\"waiting\"", "event=\"timeout\"", ">sip:bob@example.com<", "state=\"full\""] {
        assert!(told.contains(piece), "{piece} in {told}");
    }
    assert!(!told.contains("expiration="), "{told}");
    assert!(watchers_of_john(&server).contains("\"waiting\":[{"), "{}", watchers_of_john(&server));

    // The word is said: he waits no longer, and comes in the next time.
    rules(&server, r#"[{"who":"bob@example.com","give":"allow"}]"#);
    assert!(!winfo(&server).contains("bob"), "{}", winfo(&server));
    let mut bob = Phone::tcp("bob");
    let request = subscribe(&bob, "john@example.com", &[("Accept", PIDF)]);
    assert!(watch(&server, &mut bob, &request).1.get("Subscription-State").starts_with("active;"));
}

/// The next document of the winfo subscription that tells of bob; one may tell of more than one step.
fn steps(john: &mut Phone, until: &str) -> String {
    let mut all = String::new();
    while !all.contains(until) {
        all.push_str(&text(&john.take()));
    }
    all
}

#[test]
fn each_step_of_a_watcher_is_told_to_who_follows() {
    let server = Server::with(&PENDING);
    let mut john = Phone::tcp("john");
    let follow = subscribe(&john, "john@example.com", &[("Event", "presence.winfo")]);
    watch(&server, &mut john, &follow);
    let mut bob = Phone::tcp("bob");
    let request = subscribe(&bob, "john@example.com", &[("Accept", PIDF)]);
    let (answer, _) = watch(&server, &mut bob, &request);
    steps(&mut john, "status=\"pending\"");
    watch(&server, &mut bob, &in_dialog(&request, &answer, 2).set("Expires", "0"));
    let waits = steps(&mut john, "status=\"waiting\"");
    assert!(waits.contains("event=\"timeout\""), "{waits}");

    // He comes again: what he was before is over.
    let again = subscribe(&bob, "john@example.com", &[("Accept", PIDF)]);
    watch(&server, &mut bob, &again);
    let both = steps(&mut john, "status=\"pending\"");
    assert!(both.contains("status=\"terminated\"") && both.contains("event=\"giveup\""), "{both}");
    assert!(watchers_of_john(&server).contains("\"waiting\":[]"), "{}", watchers_of_john(&server));
}

#[test]
fn a_word_against_him_ends_his_waiting_too() {
    let server = Server::with(&PENDING);
    ask_and_leave(&server, "bob");
    let mut john = Phone::tcp("john");
    let follow = subscribe(&john, "john@example.com", &[("Event", "presence.winfo")]);
    let (_, full) = watch(&server, &mut john, &follow);
    assert!(text(&full).contains("status=\"waiting\""), "{full}");
    rules(&server, r#"[{"who":"*","give":"block"}]"#);
    let told = text(&john.take());
    assert!(told.contains("status=\"terminated\"") && told.contains("event=\"rejected\""), "{told}");
}

#[test]
fn so_many_wait_and_the_first_of_more_goes() {
    let server = Server::with(&[PENDING[0], PENDING[1], "presence.waiting=2"]);
    for user in ["ann", "bob", "carl"] {
        ask_and_leave(&server, user);
        harness::eventually("that one waits", || winfo(&server).contains(user));
    }
    let told = winfo(&server);
    assert_eq!(told.matches("status=\"waiting\"").count(), 2, "{told}");
    assert!(!told.contains("ann"), "{told}");
    let none = Server::with(&[PENDING[0], PENDING[1], "presence.waiting=0"]);
    let mut phone = Phone::tcp("bob");
    let fetch = subscribe(&phone, "john@example.com", &[("Accept", PIDF), ("Expires", "0")]);
    watch(&none, &mut phone, &fetch);
    let count = || text(&http::fetch(none.admin, "GET", "/api/v1/presence", &[]));
    harness::eventually("the subscription is over", || count().contains("\"subscriptions\":0"));
    assert!(!winfo(&none).contains("waiting"), "{}", winfo(&none));
}

/// Many come to their end in one moment, and none is lost.
#[test]
fn all_wait_who_end_at_the_same_time() {
    let server = Server::with(&PENDING);
    std::thread::scope(|scope| {
        for number in 0..24 {
            let server = &server;
            scope.spawn(move || {
                let mut phone = Phone::udp(&format!("w{number}"));
                let lines = [("Accept", PIDF), ("Expires", "0")];
                let fetch = subscribe(&phone, "john@example.com", &lines);
                watch(server, &mut phone, &fetch);
            });
        }
    });
    harness::eventually("all of them wait", || winfo(&server).matches("status=\"waiting\"").count() == 24);
}

#[test]
fn nobody_waits_for_ever() {
    let server = Server::with(&[PENDING[0], PENDING[1], "presence.waiting_for=2s"]);
    let mut john = Phone::tcp("john");
    let follow = subscribe(&john, "john@example.com", &[("Event", "presence.winfo")]);
    watch(&server, &mut john, &follow);
    let mut bob = Phone::tcp("bob");
    let fetch = subscribe(&bob, "john@example.com", &[("Accept", PIDF), ("Expires", "0")]);
    watch(&server, &mut bob, &fetch);
    let told = steps(&mut john, "event=\"giveup\"");
    assert!(told.contains("status=\"terminated\""), "{told}");
    assert!(watchers_of_john(&server).contains("\"waiting\":[]"), "{}", watchers_of_john(&server));
}

#[test]
fn a_watcher_who_was_let_in_never_waits() {
    let server = Server::with(&["presence.notify_every=1s"]);
    let mut bob = Phone::tcp("bob");
    let fetch = subscribe(&bob, "john@example.com", &[("Accept", PIDF), ("Expires", "0")]);
    let answer: Message = Line::tcp(server.sip).request(&fetch);
    assert_eq!(answer.status(), 200);
    bob.take();
    let count = || text(&http::fetch(server.admin, "GET", "/api/v1/presence", &[]));
    harness::eventually("the subscription is over", || count().contains("\"subscriptions\":0"));
    assert!(!winfo(&server).contains("waiting"));
}
