//! Certificates that are replaced while phones talk.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::tls::{line, secure};
use crate::harness::certificates::Authority;
use crate::harness::{eventually, phone};

/// Whose certificate a server shows.
fn shown(at: SocketAddr) -> String {
    let client = ["s_client", "-connect", &at.to_string()];
    let output = Command::new("openssl").args(client).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let subject = text.lines().find_map(|line| line.strip_prefix("subject=CN = "));
    subject.unwrap_or_else(|| panic!("no certificate: {text}")).to_owned()
}

#[test]
fn certificates_are_replaced_under_load_and_no_connection_is_dropped() {
    const SENDERS: usize = 3;
    let authority = Authority::new();
    let first = authority.sign("first", "DNS:example.com");
    let (server, at) = secure(&first, &[]);
    let over = Arc::new(AtomicBool::new(false));
    let mut phones = Vec::new();
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        let user = format!("john{number}");
        let mut john = line(&authority, at, "example.com");
        john.register(&user, &[]);
        phones.push(std::thread::spawn(move || {
            while let Some(request) = john.try_next() {
                john.send(&request.answer(200, "OK").octets());
                if request.body == b"the last" {
                    // Open until the answer has arrived.
                    return john;
                }
            }
            panic!("the connection of a phone was dropped");
        }));
        let (mut alice, over) = (line(&authority, at, "example.com"), over.clone());
        senders.push(std::thread::spawn(move || {
            let mut sent = 0;
            loop {
                let last = over.load(Ordering::Relaxed);
                let text: &[u8] = if last { b"the last" } else { b"under load" };
                let answer = alice.request(&phone::message_to(&user).body("text/plain", text));
                assert_eq!(answer.status(), 200, "{answer}");
                sent += 1;
                if last {
                    return sent;
                }
            }
        }));
    }

    assert_eq!(shown(at), "first");
    // By the change of the files alone, and by a signal, which comes at once.
    for (name, signal) in [("second", false), ("third", true)] {
        let next = authority.sign(name, "DNS:example.com");
        std::fs::copy(&next.cert, &first.cert).unwrap();
        std::fs::copy(&next.key, &first.key).unwrap();
        if signal {
            let sent = Command::new("kill").args(["-HUP", &server.pid().to_string()]).status().unwrap();
            assert!(sent.success());
        }
        eventually(&format!("the {name} certificate is shown"), || shown(at) == name);
    }
    over.store(true, Ordering::Relaxed);
    let sent: Vec<usize> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
    assert!(sent.iter().all(|&sent| sent > 2), "{sent:?}");
    assert!(phones.into_iter().all(|phone| phone.join().is_ok()));
}
