//! Kamailio as a neighbour over TLS: as the next hop of a domain, and as the sender of our users' messages.

use std::net::SocketAddr;
use std::process::Command;

use crate::harness::certificates::Authority;
use crate::harness::program::Program;
use crate::harness::server::free_port;
use crate::harness::{Line, Message, Phone, Server, phone};

/// A running Kamailio whose certificate is for `localhost`.
struct Kamailio {
    sip: SocketAddr,
    tls: SocketAddr,
    /// Ends before its folder goes.
    _program: Program,
    _dir: tempfile::TempDir,
}

impl Kamailio {
    /// Starts it between a phone on UDP and `next`, which it believes if `authority` signed it.
    fn start(authority: &Authority, phone: SocketAddr, next: SocketAddr) -> Self {
        let (sip, tls) = (free_port(), free_port());
        let dir = tempfile::tempdir().unwrap();
        let own = authority.sign("kamailio", "DNS:localhost");
        let files = format!(
            "verify_certificate = yes\nprivate_key = {}\ncertificate = {}\nca_list = {}\n",
            own.key.display(),
            own.cert.display(),
            authority.root().display()
        );
        let profile = |side: &str| format!("[{side}:default]\nmethod = TLSv1.2+\n{files}\n");
        std::fs::write(dir.path().join("tls.cfg"), profile("server") + &profile("client")).unwrap();
        let config = include_str!("../scenarios/kamailio.cfg")
            .replace("@SIP@", &sip.to_string())
            .replace("@TLS@", &tls.to_string())
            .replace("@PHONE@", &phone.to_string())
            .replace("@NEXT@", &next.to_string())
            .replace("@MODULES@", &modules())
            .replace("@DIR@", &dir.path().to_string_lossy());
        let file = dir.path().join("kamailio.cfg");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("/usr/sbin/kamailio");
        command.args(["-DD", "-E", "-m", "64", "-M", "8", "-Y"]).arg(dir.path()).arg("-f").arg(file);
        Self { sip, tls, _program: Program::serving(command, tls), _dir: dir }
    }
}

/// Debian keeps modules in a folder named after the processor.
fn modules() -> String {
    let folders = std::fs::read_dir("/usr/lib").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let folder = folders.map(|path| path.join("kamailio/modules")).find(|path| path.join("tls.so").exists());
    format!("{}/", folder.expect("Debian's package kamailio-tls-modules").display())
}

/// A server that speaks TLS at `at`, sends the domains `by-name.test` and `by-address.test` to `next` over TLS,
/// and believes whom the authority signed.
fn server(authority: &Authority, at: SocketAddr, next: SocketAddr) -> Server {
    let [cert, key] = authority.sign("bespoke", "DNS:example.com").settings();
    let root = authority.root();
    let (ca, client_ca) = (format!("tls.ca={}", root.display()), format!("tls.client_ca={}", root.display()));
    let route = |domain: &str, host: &str| {
        let hop = format!("sip:{host}:{};transport=tls", next.port());
        format!("{{domain=\"{domain}\", next_hop=\"{hop}\"}}")
    };
    let routes =
        format!("route=[{}, {}]", route("by-name.test", "localhost"), route("by-address.test", "127.0.0.1"));
    let listen = format!("sip.listen=tls:{at}");
    let peer = "peer=[{address=\"127.0.0.1\"}]";
    Server::with(&[&listen, &cert, &key, &ca, &client_ca, &routes, peer])
}

/// A MESSAGE from a user of ours to one of another domain.
fn message_to_domain(domain: &str) -> Message {
    let message = phone::message_to("bob").set("To", &format!("<sip:bob@{domain}>"));
    let message = message.set("From", "<sip:john@example.com>;tag=1").body("text/plain", b"over TLS");
    Message { start: format!("MESSAGE sip:bob@{domain} SIP/2.0"), ..message }
}

#[test]
fn kamailio_is_the_next_hop_if_its_certificate_is_for_its_name_and_sees_ours() {
    let authority = Authority::new();
    let mut bob = Phone::udp("bob");
    let at = free_port();
    let kamailio = Kamailio::start(&authority, bob.addr(), at);
    let server = server(&authority, at, kamailio.tls);
    let mut john = Line::tcp(server.sip);
    for _ in 0..3 {
        john.send(&john.with_via(&message_to_domain("by-name.test")).octets());
        let received = bob.take();
        assert_eq!(received.get("X-Certificate"), "bespoke verified 1");
        assert!(received.all("Via")[1].starts_with("SIP/2.0/TLS "), "{received}");
        assert_eq!(received.body, b"over TLS");
        assert_eq!(john.final_response().status(), 200);
    }
    let refused = john.request(&message_to_domain("by-address.test"));
    assert!(matches!(refused.status(), 500..600), "{refused}");
    assert!(!bob.has_more(), "nothing goes to one who is not who the route names");
}

#[test]
fn kamailio_sends_its_users_messages_over_tls() {
    let authority = Authority::new();
    let unused = Phone::udp("unused");
    let at = free_port();
    let kamailio = Kamailio::start(&authority, unused.addr(), at);
    let server = server(&authority, at, kamailio.tls);
    let mut john = Phone::tcp("john");
    john.register(&server, &[("Accept", "text/plain")]);
    let mut alice = Line::udp(kamailio.sip);
    for number in 0..20 {
        let text = format!("{number} {}", "x".repeat(number * 100));
        let message = phone::message_to("john").body("text/plain", text.as_bytes());
        alice.send(&alice.with_via(&message).octets());
        let received = john.take();
        assert!(received.all("Via")[1].starts_with("SIP/2.0/TLS "), "{received}");
        assert_eq!(received.body, text.as_bytes());
        assert_eq!(alice.final_response().status(), 200);
    }
    let unknown = alice.request(&phone::message_to("nobody"));
    assert_eq!(unknown.status(), 404, "{unknown}");
}
