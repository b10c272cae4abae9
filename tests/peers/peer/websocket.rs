//! WebSocket with Python's `websockets` as a phone (RFC 7118).

use std::process::Command;

use crate::harness::certificates::Authority;
use crate::harness::server::free_port;
use crate::harness::{self, Line, Server, phone};

/// Debian's Python, which has Debian's modules.
pub(crate) fn line(url: &str, tls: Option<(&Authority, &str)>) -> Line {
    let mut command = Command::new("/usr/bin/python3");
    command.arg(format!("{}/tests/peers/scenarios/websocket.py", env!("CARGO_MANIFEST_DIR"))).arg(url);
    if let Some((authority, name)) = tls {
        command.arg(authority.root()).arg(name);
    }
    Line::piped(command, if tls.is_some() { "WSS" } else { "WS" })
}

/// Two phones on WebSockets: one registers, the other writes to it; text, and octets that are no text.
fn two_phones_talk(mut john: Line, mut alice: Line) {
    john.register("john", &[("Accept", "text/plain, image/jpeg")]);
    let photo = harness::data("images/life_640x480.jpg");
    for (kind, body) in [("text/plain", "Glück auf ☕".as_bytes()), ("image/jpeg", &photo)] {
        alice.send(&alice.with_via(&phone::message_to("john").body(kind, body)).octets());
        let received = john.take();
        assert!(received.all("Via")[0].starts_with(&format!("SIP/2.0/{} ", john.protocol())), "{received}");
        assert_eq!(received.body, body);
        let answer = alice.final_response();
        assert_eq!(answer.status(), 200, "{answer}");
    }
}

#[test]
fn phones_on_websockets_talk_at_a_listener_of_its_own_and_at_that_of_http() {
    for shared in [false, true] {
        let at = free_port();
        let (listen, http) = (format!("sip.listen=ws:{at}"), format!("http.listen={at}"));
        let settings = [&*listen, &*http];
        let _server = Server::with(&settings[..if shared { 2 } else { 1 }]);
        let url = format!("ws://{at}/");
        two_phones_talk(line(&url, None), line(&url, None));
    }
}

#[test]
fn a_phone_on_a_secure_websocket_does_the_same_with_a_server_it_knows_by_name() {
    let authority = Authority::new();
    let [cert, key] = authority.sign("server", "DNS:example.com").settings();
    let at = free_port();
    let _server = Server::with(&[&*format!("sip.listen=wss:{at}"), &cert, &key]);
    let url = format!("wss://{at}/");
    let connect = |name: &str| line(&url, Some((&authority, name)));
    two_phones_talk(connect("example.com"), connect("example.com"));
    assert_eq!(connect("example.net").try_request(&phone::message_to("john")), None);
}
