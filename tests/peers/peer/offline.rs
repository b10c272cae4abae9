//! Messages that wait for a user outlive `kill -9`: each that got its 202 comes, in its order; one that comes
//! twice is the same by Call-ID and CSeq.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::{Line, Message, Phone, Server, http, phone};

/// Makes the user known and leaves him without a phone.
pub(crate) fn known_and_gone(server: &Server, user: &str) {
    let phone = Phone::udp(user);
    phone.register(server, &[]);
    let gone = phone.register_request(&[("Contact", "*"), ("Expires", "0")]);
    assert_eq!(Line::tcp(server.sip).request(&gone).status(), 200);
}

/// What waits for john, as operators see it.
fn waiting(server: &Server) -> usize {
    let answer = http::fetch(server.admin, "GET", "/api/v1/offline?aor=john%40example.com", &[]);
    assert_eq!(answer.status(), 200, "{answer}");
    let text = String::from_utf8(answer.body).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    answer["messages"].as_array().unwrap().len()
}

/// A message of a sender, whose number stands in Subject.
fn message(sender: usize, number: usize) -> Message {
    phone::message_to("john")
        .with("Subject", &format!("{sender} {number}"))
        .body("text/plain", format!("number {number} of {sender}").as_bytes())
}

/// Senders that send until all is sent or the server is gone; what got its 202 comes back.
fn send_until_the_crash(server: &mut Server, each: usize, crash_after: usize) -> Vec<Message> {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let count = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..6)
        .map(|sender| {
            let (kept, count, addr) = (kept.clone(), count.clone(), server.sip);
            std::thread::spawn(move || {
                let mut line = Line::tcp(addr);
                for number in 0..each {
                    let request = line.with_via(&message(sender, number));
                    let Some(answer) = line.try_request(&request) else { return };
                    assert_eq!(answer.status(), 202, "{answer}");
                    kept.lock().unwrap().push(request);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    while count.load(Ordering::Relaxed) < crash_after
        && !senders.iter().all(std::thread::JoinHandle::is_finished)
    {
        std::thread::yield_now();
    }
    server.crash_and_restart();
    for sender in senders {
        sender.join().unwrap();
    }
    Arc::try_unwrap(kept).unwrap().into_inner().unwrap()
}

/// What reached the phone: for each branch the message once, in the order of arrival.
#[derive(Default)]
struct Received {
    messages: Vec<Message>,
    branches: HashMap<String, usize>,
}

impl Received {
    fn take(&mut self, phone: &mut Phone) {
        let message = phone.take();
        assert_eq!(message.method(), "MESSAGE");
        let via = message.all("Via")[0].to_owned();
        let repeated = self.branches.entry(via).or_default();
        *repeated += 1;
        if *repeated == 1 {
            self.messages.push(message);
        }
    }
}

#[test]
fn every_202_outlives_kill_9_while_messages_come_and_while_they_are_delivered() {
    const EACH: usize = 150;
    let settings = ["offline.user_messages=5000", "offline.sender_messages=5000", "registrar.min_expires=1"];
    let mut server = Server::with(&settings);
    known_and_gone(&server, "john");
    let kept = send_until_the_crash(&mut server, EACH, 500);
    assert!(kept.len() >= 500, "{} were kept", kept.len());
    assert!(waiting(&server) >= kept.len());

    let mut phone = Phone::udp("john");
    let mut received = Received::default();
    phone.register(&server, &[]);
    for _ in 0..200 {
        received.take(&mut phone);
    }
    server.crash_and_restart();
    phone.register(&server, &[]);
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        // A message leaves the store after the phone's answer, so what comes is asked for first.
        if phone.has_more() {
            received.take(&mut phone);
        } else if waiting(&server) == 0 && !phone.has_more() {
            break;
        }
        assert!(Instant::now() < patience, "{} still wait", waiting(&server));
    }

    let mut copies: HashMap<&str, Vec<&Message>> = HashMap::new();
    for message in &received.messages {
        copies.entry(message.get("Call-ID")).or_default().push(message);
    }
    for sent in &kept {
        let copies = copies.get(sent.get("Call-ID")).unwrap_or_else(|| panic!("lost:\n{sent}"));
        for copy in copies {
            for name in ["CSeq", "From", "To", "Subject", "Content-Type"] {
                assert_eq!(copy.get(name), sent.get(name));
            }
            assert_eq!(copy.body, sent.body);
        }
    }
    let twice = received.messages.len() - copies.len();
    assert!(twice <= 1, "{twice} came twice: only what was under way at the crash may");
    assert_in_order(&received.messages);
}

/// Of each sender the messages come in the order he sent them; one that comes again comes at once.
fn assert_in_order(messages: &[Message]) {
    let mut last: HashMap<&str, usize> = HashMap::new();
    for message in messages {
        let (sender, number) = message.get("Subject").split_once(' ').unwrap();
        let number: usize = number.parse().unwrap();
        let before = last.insert(sender, number);
        assert!(before.is_none_or(|before| before <= number), "{before:?} before {number} of {sender}");
    }
}

#[test]
fn operators_see_who_waits_for_what_and_can_remove_it() {
    let server = Server::start();
    known_and_gone(&server, "john");
    let mut line = Line::tcp(server.sip);
    for number in 0..3 {
        assert_eq!(line.request(&message(0, number)).status(), 202);
    }
    let get = |method: &str, path: &str| {
        let answer = http::fetch(server.admin, method, path, &[]);
        let text = String::from_utf8(answer.body.clone()).unwrap();
        (answer.status(), serde_json::from_str::<serde_json::Value>(&text).unwrap())
    };
    let (status, all) = get("GET", "/api/v1/offline");
    assert_eq!(
        (status, &all["messages"], &all["users"][0]["aor"]),
        (200, &3.into(), &"sip:john@example.com".into())
    );
    let (_, johns) = get("GET", "/api/v1/offline/john@example.com");
    let first = &johns["messages"][0];
    assert_eq!(first["attempts"], 0);
    let shown = johns.to_string();
    assert!(!shown.contains("alice") && !shown.contains("number 0 of"), "{shown}");
    let path = format!("/api/v1/offline/john@example.com/{}", first["id"].as_str().unwrap());
    assert_eq!(get("DELETE", &path), (200, serde_json::json!({ "removed": 1 })));
    let (status, problem) = get("DELETE", &path);
    assert_eq!((status, &problem["status"]), (404, &404.into()));
    assert_eq!(get("DELETE", "/api/v1/offline/john@example.com").1, serde_json::json!({ "removed": 2 }));
    assert_eq!(get("GET", "/api/v1/offline/nobody").0, 400);
    assert_eq!(waiting(&server), 0);
    let metrics = http::fetch(server.admin, "GET", "/metrics", &[]);
    let metrics = String::from_utf8(metrics.body).unwrap();
    for line in ["bespoke_offline_stored_total 3", "bespoke_offline_waiting 0"] {
        assert!(metrics.contains(line), "{line}");
    }
}
