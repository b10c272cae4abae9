//! TLS with OpenSSL's client as a phone (RFC 3261 §26.2, RFC 5922).

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::harness::certificates::{Authority, Identity};
use crate::harness::password::JOHN;
use crate::harness::server::free_port;
use crate::harness::{Line, Message, Phone, Server, phone};

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

/// The same request to the SIPS URI.
fn sips(request: Message) -> Message {
    Message { start: request.start.replacen(" sip:", " sips:", 1), ..request }
}

#[test]
fn a_sips_uri_leads_over_tls_to_who_registered_one_and_to_nobody_else() {
    let authority = Authority::new();
    let (server, at) = secure(&authority.sign("server", "DNS:example.com"), &[]);
    let mut john = line(&authority, at, "example.com");
    let contact = ("Contact", "<sips:john@phone.invalid>;expires=3600");
    let register = Phone::udp("john").register_request(&[contact]);
    assert_eq!(john.request(&register).status(), 400, "a SIPS contact by a SIP URI");
    assert_eq!(john.request(&sips(register.clone())).status(), 200);
    assert_eq!(Line::udp(server.sip).request(&sips(register)).status(), 416, "in clear");
    let mut ann = line(&authority, at, "example.com");
    ann.register("ann", &[]);

    let text = |user: &str| phone::message_to(user).body("text/plain", b"Watson, come here.");
    let mut alice = line(&authority, at, "example.com");
    alice.send(&alice.with_via(&sips(text("john"))).octets());
    assert_eq!(john.take().request_uri(), "sips:john@phone.invalid");
    assert_eq!(alice.final_response().status(), 200);
    let refused = alice.request(&sips(text("ann")));
    assert_eq!(refused.status(), 480, "she is there over TLS, and did not say that she takes no other");
    assert!(refused.get("Warning").starts_with("380 "), "{refused}");
    assert_eq!(alice.request(&sips(text("nobody"))).status(), 404);

    let mut clear = Line::udp(server.sip);
    assert_eq!(clear.request(&sips(text("john"))).status(), 416);
    clear.send(&clear.with_via(&text("john")).octets());
    let got = john.take();
    assert_eq!(got.request_uri(), "sip:john@phone.invalid", "RFC 5630 §5.3");
    assert!(got.all("Via")[0].starts_with("SIP/2.0/TLS "), "{got}");
    assert_eq!(clear.final_response().status(), 200);
}

#[test]
fn a_sips_uri_leads_along_no_route_and_to_no_next_hop_in_clear() {
    let authority = Authority::new();
    let mut neighbour = Phone::udp("neighbour");
    let route = format!("route=[{{ domain = \"example.net\", next_hop = \"{}\" }}]", neighbour.uri());
    let peer = "peer=[{ address = \"127.0.0.0/8\" }]";
    let (_server, at) = secure(&authority.sign("server", "DNS:example.com"), &[&route, peer]);
    let mut alice = line(&authority, at, "example.com");
    let to = |domain: &str| Message {
        start: format!("MESSAGE sip:john@{domain} SIP/2.0"),
        ..phone::message_to("john").body("text/plain", b"Watson, come here.")
    };
    let routed = to("example.org").with("Route", &format!("<{};lr>", neighbour.uri()));
    for request in [to("example.net"), routed] {
        let refused = alice.request(&sips(request.clone()));
        assert_eq!(refused.status(), 480, "{refused}");
        assert!(refused.get("Warning").starts_with("380 "), "{refused}");
        // In clear it goes there, and nothing went before.
        alice.send(&alice.with_via(&request).octets());
        assert!(neighbour.take().request_uri().starts_with("sip:"));
        assert_eq!(alice.final_response().status(), 200);
    }
}

#[test]
fn what_was_kept_for_a_sips_uri_waits_for_a_phone_that_takes_it_and_holds_nothing_up() {
    let authority = Authority::new();
    let (server, at) = secure(&authority.sign("server", "DNS:example.com"), &[]);
    let mut john = Phone::udp("john");
    john.register(&server, &[]);
    let away = john.register_request(&[("Contact", "*"), ("Expires", "0")]);
    assert_eq!(Line::tcp(server.sip).request(&away).status(), 200);
    let text = |body: &[u8]| phone::message_to("john").body("text/plain", body);
    let mut alice = line(&authority, at, "example.com");
    assert_eq!(alice.request(&sips(text(b"for you alone"))).status(), 202);
    assert_eq!(Line::udp(server.sip).request(&text(b"for everybody")).status(), 202);
    john.register(&server, &[]);
    assert_eq!(john.take().body, b"for everybody");
    let mut secret = line(&authority, at, "example.com");
    let contact = ("Contact", "<sips:john@phone.invalid>;expires=3600");
    secret.send(&secret.with_via(&sips(Phone::udp("john").register_request(&[contact]))).octets());
    let (one, other) = (secret.receive(), secret.receive());
    let (ok, got) = if one.start.starts_with("SIP/") { (one, other) } else { (other, one) };
    assert_eq!(ok.status(), 200, "{ok}");
    assert_eq!((got.request_uri(), &*got.body), ("sips:john@phone.invalid", &b"for you alone"[..]));
    secret.send(&got.answer(200, "OK").octets());
}

#[test]
fn who_watches_by_a_sips_uri_is_told_by_one() {
    let authority = Authority::new();
    let (_server, at) = secure(&authority.sign("server", "DNS:example.com"), &["presence.enabled=true"]);
    let mut ann = line(&authority, at, "example.com");
    let subscribe = phone::message_to("john")
        .set("From", "<sip:ann@example.com>;tag=a1")
        .set("CSeq", "1 SUBSCRIBE")
        .with("Event", "presence")
        .with("Expires", "600")
        .with("Contact", "<sips:ann@phone.invalid>");
    let subscribe = Message { start: "SUBSCRIBE sips:john@example.com SIP/2.0".to_owned(), ..subscribe };
    line(&authority, at, "example.com").register("john", &[]);
    let inconsistent = subscribe.clone().set("Contact", "<sip:ann@phone.invalid>").set("Call-ID", "clear");
    assert_eq!(ann.request(&inconsistent).status(), 400, "NOTIFYs would leave in clear");
    ann.send(&ann.with_via(&subscribe).octets());
    // In whichever order.
    let (one, other) = (ann.receive(), ann.receive());
    let (ok, notify) = if one.start.starts_with("SIP/") { (one, other) } else { (other, one) };
    assert_eq!(ok.status(), 200, "{ok}");
    assert_eq!((notify.method(), notify.request_uri()), ("NOTIFY", "sips:ann@phone.invalid"));
    for message in [ok, notify] {
        let contact = message.get("Contact");
        assert!(contact.starts_with("<sips:") && !contact.contains("transport"), "{message}");
    }
}

#[test]
fn the_dialog_of_a_sips_call_stays_on_sips_uris() {
    let authority = Authority::new();
    let (_server, at) = secure(&authority.sign("server", "DNS:example.com"), &[]);
    let mut john = line(&authority, at, "example.com");
    let contact = ("Contact", "<sips:john@phone.invalid>;expires=3600");
    assert_eq!(john.request(&sips(Phone::udp("john").register_request(&[contact]))).status(), 200);
    let mut alice = line(&authority, at, "example.com");
    let invite =
        phone::message_to("john").set("CSeq", "1 INVITE").with("Contact", "<sips:alice@phone.invalid>");
    let invite = Message { start: "INVITE sips:john@example.com SIP/2.0".to_owned(), ..invite };
    alice.send(&alice.with_via(&invite).octets());
    let got = john.receive();
    let routes: Vec<String> = got.all("Record-Route").iter().map(|route| (*route).to_owned()).collect();
    assert_eq!(routes.len(), 2, "{got}");
    assert!(routes.iter().all(|route| route.starts_with("<sips:") && !route.contains("transport")), "{got}");
    john.send(&got.answer(200, "OK").with("Contact", "<sips:john@phone.invalid>").octets());
    let ok = alice.final_response();
    assert_eq!(ok.status(), 200);
    let within = |method: &str, number: u32| {
        let request = Message::new(&format!("{method} sips:john@phone.invalid SIP/2.0"))
            .with("Max-Forwards", "70")
            .with("From", invite.get("From"))
            .with("To", ok.get("To"))
            .with("Call-ID", invite.get("Call-ID"))
            .with("CSeq", &format!("{number} {method}"));
        routes.iter().rev().fold(request, |request, route| request.with("Route", route))
    };
    alice.send(&alice.with_via(&within("ACK", 1)).octets());
    assert_eq!(john.receive().method(), "ACK");
    alice.send(&alice.with_via(&within("BYE", 2)).octets());
    let bye = john.take();
    assert_eq!((bye.method(), bye.request_uri()), ("BYE", "sips:john@phone.invalid"));
    assert_eq!(alice.final_response().status(), 200);
}
