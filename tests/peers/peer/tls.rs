//! TLS with OpenSSL's client as a phone (RFC 3261 §26.2, RFC 5922).

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::harness::certificates::{Authority, Identity};
use crate::harness::password::JOHN;
use crate::harness::server::free_port;
use crate::harness::{Line, Phone, Server, phone};

/// A server that speaks TLS as `example.com`, and where.
pub(crate) fn secure(identity: &Identity, further: &[&str]) -> (Server, SocketAddr) {
    let at = free_port();
    let [cert, key] = identity.settings();
    let listen = format!("sip.listen=tls:{at}");
    let server = Server::with(&[&[&*listen, &cert, &key], further].concat());
    (server, at)
}

/// OpenSSL's client, which ends unless the server proves to be `name`.
fn s_client(authority: &Authority, at: SocketAddr, name: &str) -> Command {
    let mut command = Command::new("openssl");
    // -quiet: an R at the start of a line would mean "renegotiate" otherwise, and not REGISTER.
    command.args(["s_client", "-quiet", "-verify_quiet", "-verify_return_error", "-verify_hostname", name]);
    command.arg("-CAfile").arg(authority.root()).args(["-connect", &at.to_string(), "-servername", name]);
    command
}

/// A phone of OpenSSL's client.
pub(crate) fn line(authority: &Authority, at: SocketAddr, name: &str) -> Line {
    Line::piped(s_client(authority, at, name), "TLS")
}

/// The same with a certificate of its own.
fn line_of(authority: &Authority, at: SocketAddr, own: &Identity) -> Line {
    let mut command = s_client(authority, at, "example.com");
    command.arg("-cert").arg(&own.cert).arg("-key").arg(&own.key);
    Line::piped(command, "TLS")
}

#[test]
fn openssl_registers_and_gets_its_messages_over_the_connection_it_made() {
    let authority = Authority::new();
    let (server, at) = secure(&authority.sign("server", "DNS:example.com"), &[]);
    let mut john = line(&authority, at, "example.com");
    john.register("john", &[("Accept", "text/plain")]);
    let mut alice = Line::udp(server.sip);
    let text = "0123456789abcdef".repeat(4_096);
    for body in ["Watson, come here.", &text] {
        let message = alice.with_via(&phone::message_to("john").body("text/plain", body.as_bytes()));
        if body.len() > 60_000 {
            alice = Line::tcp(server.sip);
        }
        alice.send(&message.octets());
        let received = john.take();
        assert!(received.all("Via")[0].starts_with("SIP/2.0/TLS "), "{received}");
        assert_eq!(received.body, body.as_bytes());
        assert_eq!(alice.final_response().status(), 200);
    }
}

/// A phone may well name the address that its connection comes from, as over TCP: the way there is the
/// connection, and no new one, for which it would need a certificate and a listener.
#[test]
fn a_contact_with_the_address_of_its_connection_is_reached_over_it() {
    let authority = Authority::new();
    let (server, at) = secure(&authority.sign("server", "DNS:example.com"), &[]);
    let mut john = line(&authority, at, "example.com");
    let seen = john.register("john", &[]).get("Via").to_owned();
    let (_, port) = seen.split_once("rport=").unwrap();
    let port = port.split(';').next().unwrap();
    let contact = format!("<sip:john@127.0.0.1:{port};transport=tls>");
    let away = Phone::udp("john").register_request(&[("Contact", "*"), ("Expires", "0")]);
    assert_eq!(john.request(&away).status(), 200);
    let request = Phone::udp("john").register_request(&[("Contact", &contact)]);
    assert_eq!(john.request(&request).status(), 200);
    let mut alice = Line::udp(server.sip);
    alice.send(&alice.with_via(&phone::message_to("john").body("text/plain", b"to your address")).octets());
    assert_eq!(john.take().body, b"to your address");
    assert_eq!(alice.final_response().status(), 200);
}

#[test]
fn openssl_leaves_a_server_that_is_not_who_it_wanted() {
    let authority = Authority::new();
    let (_server, at) = secure(&authority.sign("server", "DNS:example.com"), &[]);
    let options = phone::message_to("john");
    assert_eq!(line(&authority, at, "example.net").try_request(&options), None);
    let strangers = Authority::new();
    assert_eq!(line(&strangers, at, "example.com").try_request(&options), None);
}

#[test]
fn a_client_is_asked_for_a_certificate_may_have_none_and_none_that_does_not_hold() {
    let authority = Authority::new();
    let root = format!("tls.client_ca={}", authority.root().display());
    let (_server, at) = secure(&authority.sign("server", "DNS:example.com"), &[&root]);
    let asked = Command::new("openssl")
        .args(["s_client", "-connect", &at.to_string()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let asked = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(asked.contains("Acceptable client certificate CA names\nCN = root"), "{asked}");

    line(&authority, at, "example.com").register("john", &[]);
    line_of(&authority, at, &authority.sign("john", "DNS:phone.example.net")).register("john", &[]);
    let stranger = Authority::new().sign("stranger", "DNS:phone.example.net");
    let request = phone::message_to("john");
    assert_eq!(line_of(&authority, at, &stranger).try_request(&request), None);
}

#[test]
fn a_neighbour_known_by_its_certificate_needs_no_password_and_is_believed_and_no_other_is() {
    let authority = Authority::new();
    let root = format!("tls.client_ca={}", authority.root().display());
    let peers = "peer=[{ tls_name = \"presence.example.net\" }]";
    let identity = authority.sign("server", "DNS:example.com");
    let (server, at) = secure(&identity, &[&root, peers, "auth.mode=digest"]);
    server.add_user("john@example.com", "secret");
    let mut john = Phone::udp("john");
    assert_eq!(JOHN.ask(&mut Line::udp(server.sip), &john.register_request(&[])).status(), 200);
    let message = phone::message_to("john")
        .set("From", "<sip:alice@example.com>;tag=a1")
        .with("P-Asserted-Identity", "<sip:alice@example.com>")
        .body("text/plain", b"hello");
    for other in [None, Some("DNS:phone.example.net"), Some("DNS:sub.presence.example.net")] {
        let mut line = match other {
            None => line(&authority, at, "example.com"),
            Some(name) => line_of(&authority, at, &authority.sign("other", name)),
        };
        assert_eq!(line.request(&message).status(), 407, "{other:?}");
    }
    let neighbour = authority.sign("presence", "DNS:presence.example.net");
    let mut neighbour = line_of(&authority, at, &neighbour);
    neighbour.send(&neighbour.with_via(&message).octets());
    let got = john.take();
    assert_eq!(got.get("P-Asserted-Identity"), "<sip:alice@example.com>");
    assert_eq!(neighbour.final_response().status(), 200);
}
