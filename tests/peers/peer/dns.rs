//! Next hops by name (RFC 3263) with dnsmasq as the name server, and with one that never answers.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;

use crate::harness::program::Program;
use crate::harness::server::free_port;
use crate::harness::{Line, Message, Phone, Server, phone};

/// A name server that knows these records, and nothing else below `test`.
fn dnsmasq(records: &[String]) -> (Program, SocketAddr) {
    let at = free_port();
    let mut command = Command::new("/usr/sbin/dnsmasq");
    command
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root"])
        .args([
            "--no-resolv",
            "--no-hosts",
            "--local=/test/",
            "--bind-interfaces",
            "--listen-address=127.0.0.1",
        ])
        .arg(format!("--port={}", at.port()))
        .args(records);
    (Program::serving(command, at), at)
}

fn naptr(domain: &str, order: u8, service: &str, to: &str) -> String {
    format!("--naptr-record={domain},{order},50,s,{service},,{to}")
}

fn srv(service: &str, host: &str, port: u16, priority: u8) -> String {
    format!("--srv-host={service},{host},{port},{priority},0")
}

fn host(name: &str, address: &str) -> String {
    format!("--host-record={name},{address}")
}

/// A server for which everything on the loopback is a peer and may relay.
fn server(names: &[SocketAddr], further: &[&str]) -> Server {
    let names: Vec<String> = names.iter().map(|at| format!("\"{at}\"")).collect();
    let names = format!("dns.servers=[{}]", names.join(", "));
    Server::with(&[&[&*names, "peer=[{address=\"127.0.0.1\"}]"], further].concat())
}

fn message_to(domain: &str) -> Message {
    let message = phone::message_to("bob").set("To", &format!("<sip:bob@{domain}>"));
    Message { start: format!("MESSAGE sip:bob@{domain} SIP/2.0"), ..message.body("text/plain", b"by name") }
}

/// Sends to the domain; the message must reach `bob` and the sender get its 200.
fn reaches(server: &Server, domain: &str, bob: &mut Phone) {
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&message_to(domain)).octets());
    assert_eq!(bob.take().body, b"by name", "{domain}");
    assert_eq!(sender.final_response().status(), 200, "{domain}");
}

#[test]
fn naptr_chooses_the_transport_srv_the_server_and_both_families_are_reached() {
    let (mut tcp, mut other, mut udp) = (Phone::tcp("bob"), Phone::tcp("bob"), Phone::udp("bob"));
    let six_at = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], free_port().port()));
    let mut records = vec![host("one.test", "127.0.0.1"), host("six.test", "::1")];
    for (domain, first, second) in [("tcp.test", "T", "U"), ("udp.test", "U", "T")] {
        for (order, way) in [(10, first), (20, second)] {
            let name = if way == "T" { "_tcp" } else { "_udp" };
            records.push(naptr(domain, order, &format!("SIP+D2{way}"), &format!("_sip.{name}.{domain}")));
        }
        records.push(srv(&format!("_sip._tcp.{domain}"), "one.test", other.addr().port(), 2));
        records.push(srv(&format!("_sip._tcp.{domain}"), "one.test", tcp.addr().port(), 1));
        records.push(srv(&format!("_sip._udp.{domain}"), "one.test", udp.addr().port(), 1));
    }
    records.push(srv("_sip._tcp.srv.test", "one.test", other.addr().port(), 1));
    let (_dnsmasq, names) = dnsmasq(&records);
    let server = server(&[names], &[&format!("sip.listen=tcp:{six_at}")]);
    reaches(&server, "tcp.test", &mut tcp);
    reaches(&server, "udp.test", &mut udp);
    reaches(&server, "srv.test", &mut other);
    reaches(&server, &format!("one.test:{}", udp.addr().port()), &mut udp);
    let mut bob = Phone::tcp_at("bob", SocketAddr::new(six_at.ip(), 0));
    reaches(&server, &format!("six.test:{};transport=tcp", bob.addr().port()), &mut bob);
    assert!(!tcp.has_more() && !other.has_more() && !udp.has_more(), "each got its own and no more");
    let nowhere = Line::tcp(server.sip).request(&message_to("nowhere.test"));
    assert_eq!(nowhere.status(), 404, "{nowhere}");
}

#[test]
fn the_next_server_gets_what_the_first_can_not_take() {
    let (mut tcp, mut udp) = (Phone::tcp("bob"), Phone::udp("bob"));
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let records = [
        host("one.test", "127.0.0.1"),
        srv("_sip._tcp.closed.test", "one.test", free_port().port(), 1),
        srv("_sip._tcp.closed.test", "one.test", tcp.addr().port(), 2),
        srv("_sip._udp.silent.test", "one.test", silent.local_addr().unwrap().port(), 1),
        srv("_sip._udp.silent.test", "one.test", udp.addr().port(), 2),
    ];
    let (_dnsmasq, names) = dnsmasq(&records);
    let server = server(&[names], &["fork.next_after=300ms"]);
    reaches(&server, "closed.test", &mut tcp);
    reaches(&server, "silent.test", &mut udp);
    // What was silent is not tried first again.
    let tried = drain(&silent);
    assert!(tried > 0, "the first server was asked first");
    reaches(&server, "silent.test", &mut udp);
    assert!(!tcp.has_more() && !udp.has_more());
}

/// How many datagrams have come.
fn drain(socket: &UdpSocket) -> usize {
    socket.set_nonblocking(true).unwrap();
    std::iter::from_fn(|| socket.recv(&mut [0; 4_096]).ok()).count()
}

#[test]
fn a_name_server_that_never_answers_costs_its_askers_504_and_nobody_else_anything() {
    const LOST: usize = 100;
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = server(&[silent.local_addr().unwrap()], &["dns.timeout=3s"]);
    let mut john = Phone::tcp("john");
    john.register(&server, &[]);

    let mut sender = Line::tcp(server.sip);
    for number in 0..LOST {
        sender.send(&sender.with_via(&message_to(&format!("lost{number}.test"))).octets());
    }
    let mut before = Vec::new();
    for _ in 0..20 {
        let message = phone::message_to("john").body("text/plain", b"meanwhile");
        sender.send(&sender.with_via(&message).octets());
        assert_eq!(john.take().body, b"meanwhile");
        before.push(sender.final_response().status());
    }
    assert_eq!(before, [200; 20], "what needs no name does not wait for those that do");
    for _ in 0..LOST {
        let answer = sender.final_response();
        assert!(matches!(answer.status(), 503 | 504), "{answer}");
    }
}

#[test]
fn a_second_name_server_is_asked_when_the_first_is_silent() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut bob = Phone::tcp("bob");
    let service = srv("_sip._tcp.far.test", "one.test", bob.addr().port(), 1);
    let (_dnsmasq, names) = dnsmasq(&[host("one.test", "127.0.0.1"), service]);
    let server = server(&[silent.local_addr().unwrap(), names], &[]);
    reaches(&server, "far.test", &mut bob);
}
