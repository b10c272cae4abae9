//! Presence with passwords on: who may publish, who may watch, and what each is asked (RFC 3856 §6.6, RFC 3903 §14).

use crate::harness::password::{JOHN, Login};
use crate::harness::{Line, Message, Phone, Server, http};
use crate::presence::{PIDF, document, publish, subscribe, text};

const ALICE: Login<'_> = Login { user: "alice", password: "secret" };

fn guarded(settings: &[&str]) -> Server {
    let server = Server::with(&[&["auth.mode=digest", "presence.notify_every=1s"], settings].concat());
    for user in ["john", "alice"] {
        server.add_user(&format!("{user}@example.com"), "secret");
    }
    server
}

fn at_home(user: &str) -> Message {
    publish(user).body(PIDF, document(user, "At home", "").as_bytes())
}

#[test]
fn nobody_but_the_user_publishes_his_presence() {
    let server = guarded(&[]);
    let mut line = Line::tcp(server.sip);
    let asked = line.request(&at_home("john@example.com"));
    assert_eq!(asked.status(), 401, "{asked}");
    assert!(asked.header("WWW-Authenticate").is_some() && asked.header("SIP-ETag").is_none());
    let wrong = Login { password: "guess", ..JOHN };
    assert_eq!(wrong.ask(&mut line, &at_home("john@example.com")).status(), 401);
    let published = JOHN.ask(&mut line, &at_home("john@example.com"));
    assert_eq!(published.status(), 200, "{published}");

    // Another's presence, as himself and under the other's name.
    let as_alice = at_home("john@example.com").set("From", "<sip:alice@example.com>;tag=a1");
    assert_eq!(ALICE.ask(&mut line, &as_alice).status(), 403);
    let forged = at_home("john@example.com");
    let asked = line.request(&forged);
    assert_eq!(line.request(&ALICE.sign(&forged, &asked, 0, 1)).status(), 403);
    let stranger = at_home("john@example.com").set("From", "<sip:eve@elsewhere.test>;tag=e1");
    assert_eq!(line.request(&stranger).status(), 403, "a stranger is no user");
    // A refresh too is the user's alone.
    let refresh = |from: &str| {
        publish("john@example.com").set("From", from).with("SIP-If-Match", published.get("SIP-ETag"))
    };
    assert_eq!(ALICE.ask(&mut line, &refresh("<sip:alice@example.com>;tag=a2")).status(), 403);
    assert_eq!(JOHN.ask(&mut line, &refresh("<sip:john@example.com>;tag=j2")).status(), 200);
    let to_nobody = at_home("nobody@example.com").set("From", "<sip:john@example.com>;tag=j3");
    assert_eq!(JOHN.ask(&mut line, &to_nobody).status(), 404);
}

#[test]
fn a_watcher_proves_who_he_is_and_hears_as_much_as_that_one_may() {
    let server = guarded(&[]);
    let mut line = Line::tcp(server.sip);
    assert_eq!(JOHN.ask(&mut line, &at_home("john@example.com")).status(), 200);
    let path = "/api/v1/presence/john@example.com/rules";
    let rules = br#"[{"who":"*","give":"block"},{"who":"alice@example.com","give":"allow"}]"#;
    assert_eq!(http::send(server.admin, "PUT", path, &[], rules).status(), 200);

    let mut alice = Phone::tcp("alice");
    let request = subscribe(&alice, "john@example.com", &[("Accept", PIDF)]);
    let asked = line.request(&request);
    assert_eq!(asked.status(), 401, "{asked}");
    assert_eq!(Login { password: "guess", ..ALICE }.ask(&mut line, &request).status(), 401);
    assert_eq!(line.request(&JOHN.sign(&request, &asked, 0, 1)).status(), 403, "john is not alice");
    let answer = ALICE.ask(&mut line, &request);
    assert_eq!(answer.status(), 200, "{answer}");
    assert!(text(&alice.take()).contains("At home"));

    // Who only says that he is alice is held to what everybody may.
    let stranger = request.clone().set("From", "<sip:alice@elsewhere.test>;tag=e1").set("Call-ID", "e1");
    assert_eq!(line.request(&stranger).status(), 403);
    // Nobody else goes on in her dialog, or ends it.
    let mut end = request.clone().set("To", answer.get("To")).set("CSeq", "9 SUBSCRIBE").set("Expires", "0");
    end.start = format!("SUBSCRIBE {} SIP/2.0", answer.get("Contact").trim_matches(['<', '>']));
    assert_eq!(line.request(&end).status(), 401);
    assert_eq!(ALICE.ask(&mut line, &end).status(), 200);
}

/// 407 where the request is another server's to answer.
#[test]
fn to_watch_or_to_publish_elsewhere_a_user_is_asked_as_a_proxy_asks() {
    let theirs = Phone::udp("theirs");
    let route = format!("route=[{{domain=\"presence.test\", next_hop=\"sip:{}\"}}]", theirs.addr());
    let server = guarded(&[&route, "proxy.relay=authenticated"]);
    let mut line = Line::tcp(server.sip);
    let alice = Phone::tcp("alice");
    let watch = subscribe(&alice, "bob@presence.test", &[("Accept", PIDF)]);
    let put = at_home("bob@presence.test").set("From", "<sip:alice@example.com>;tag=a1");
    for request in [watch, put] {
        let asked = line.request(&request);
        assert_eq!(asked.status(), 407, "{asked}");
        assert!(asked.header("Proxy-Authenticate").is_some());
        assert_eq!(line.request(&JOHN.sign(&request, &asked, 0, 1)).status(), 403);
    }
    assert!(!theirs.has_more(), "nothing went on without a password");
}

#[test]
fn what_a_proven_user_publishes_and_watches_counts_against_his_rate() {
    let server = guarded(&["limits.user_rate=1"]);
    let mut line = Line::tcp(server.sip);
    let alice = Phone::tcp("alice");
    let watch = || subscribe(&alice, "alice@example.com", &[("Accept", PIDF), ("Expires", "0")]);
    let many: Vec<u16> = (0..6).map(|_| ALICE.ask(&mut line, &watch()).status()).collect();
    assert!(many.contains(&200) && many.contains(&503), "{many:?}");
    let many: Vec<u16> = (0..6).map(|_| JOHN.ask(&mut line, &at_home("john@example.com")).status()).collect();
    assert!(many.contains(&200) && many.contains(&503), "{many:?}");
    assert!(server.metric("bespoke_overload_refused_total{cause=\"user\"}") > 0);
}
