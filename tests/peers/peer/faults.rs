//! Peers that misbehave below SIP: who stops reading, resets in the middle, or is not there at all.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use super::offline::known_and_gone;
use super::{tls, websocket};
use crate::harness::certificates::Authority;
use crate::harness::server::free_port;
use crate::harness::{Line, Message, Phone, Server, eventually, phone};

fn to_john(body: &[u8]) -> Message {
    phone::message_to("john").body("text/plain", body)
}

#[test]
fn a_phone_that_stops_reading_costs_its_senders_an_answer_and_others_nothing() {
    const LARGE: usize = 4 << 20;
    let server = Server::with(&["offline.store=false", "limits.buffered=48MiB"]);
    let mut stuck = Line::tcp(server.sip);
    stuck.register("stuck", &[]);
    let mut john = Phone::tcp("john");
    john.register(&server, &[]);
    let (before, _) = server.memory_kib();

    // More than the window and the buffers of the system hold.
    let large = vec![b'x'; LARGE];
    let mut senders: Vec<Line> = (0..8).map(|_| Line::tcp(server.sip)).collect();
    for sender in &mut senders {
        sender.send(&sender.with_via(&phone::message_to("stuck").body("text/plain", &large)).octets());
    }
    let mut refused = 0;
    for sender in &mut senders {
        sender.send(&sender.with_via(&to_john(b"meanwhile")).octets());
        assert_eq!(john.take().body, b"meanwhile");
        loop {
            let answer = sender.final_response();
            if answer.get("To").contains("john") {
                assert_eq!(answer.status(), 200);
                break;
            }
            assert!(matches!(answer.status(), 408 | 480 | 500..600), "{answer}");
            refused += 1;
        }
    }
    let (_, most) = server.memory_kib();
    assert!(most - before < 96 * 1024, "it held {} MiB more", (most - before) / 1024);
    // What took nothing for long enough is closed, and what waited for it is refused.
    eventually("the connection is given up", || server.metric("bespoke_sip_connections_slow_total") == 1);
    assert!(refused > 0 || matches!(senders[7].final_response().status(), 408 | 480 | 500..600));
    while stuck.try_next().is_some() {}
}

#[test]
fn connections_that_are_reset_in_mid_message_take_nobody_with_them() {
    let server = Server::start();
    let mut john = Phone::tcp("john");
    john.register(&server, &[]);
    let whole = to_john(&[b'x'; 4_000]).octets();
    for cut in [20, 200, whole.len() - 3_000, whole.len() - 1] {
        for _ in 0..20 {
            let mut line = Line::tcp(server.sip);
            let options = phone::message_to("nobody");
            line.send(&line.with_via(&options).octets());
            line.send(&whole[..cut]);
            // The answer to the first lies there unread when it closes: that makes it a reset.
            assert!(line.wait_readable());
        }
    }
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&to_john(b"still here")).octets());
    assert_eq!(john.take().body, b"still here");
    assert_eq!(sender.final_response().status(), 200);
    assert!(!john.has_more(), "a message cut short reaches nobody");
}

#[test]
fn a_message_that_its_phone_resets_half_way_is_kept_and_comes_whole() {
    let server = Server::start();
    let mut john = Line::tcp(server.sip);
    john.register("john", &[]);
    let body: Vec<u8> = (0..8_u32 << 20).map(|n| b'a' + (n % 23) as u8).collect();
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&to_john(&body[..7 << 20])).octets());
    assert!(john.wait_readable());
    drop(john);
    assert_eq!(sender.final_response().status(), 202);
    let mut john = Line::tcp(server.sip);
    john.register("john", &[]);
    assert!(john.take().body == body[..7 << 20], "all of it, as it was sent");
}

/// Its program is killed, its system closes the connection, and it comes back over a new one.
#[test]
fn phones_on_tls_and_websockets_that_died_get_their_messages_when_they_are_back() {
    let authority = Authority::new();
    let at = free_port();
    let listen = format!("sip.listen=ws:{at}");
    let (server, secure_at) = tls::secure(&authority.sign("server", "DNS:example.com"), &[&listen]);
    let over_tls = || tls::line(&authority, secure_at, "example.com");
    let over_websocket = || websocket::line(&format!("ws://{at}/"), None);
    let lines: [(&str, &dyn Fn() -> Line); 2] = [("john", &over_tls), ("jane", &over_websocket)];
    for (user, open) in lines {
        let mut phone = open();
        phone.register(user, &[]);
        drop(phone);
        let mut sender = Line::tcp(server.sip);
        let texts = ["one", "two", "three"];
        for text in texts {
            let answer = sender.request(&phone::message_to(user).body("text/plain", text.as_bytes()));
            assert_eq!(answer.status(), 202, "{answer}");
        }
        let mut phone = open();
        phone.register(user, &[]);
        for text in texts {
            assert_eq!(phone.take().body, text.as_bytes());
        }
    }
}

/// One terminal of three is a black hole: a socket that takes and says nothing, or an address where
/// connections come to nothing. The message arrives at the others, whatever the order.
#[test]
fn one_black_hole_of_three_contacts_swallows_no_message() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let full = Full::new();
    let holes = [
        format!("sip:john@{}", silent.local_addr().unwrap()),
        format!("sip:john@{};transport=tcp", full.listener.local_addr().unwrap()),
    ];
    for hole in &holes {
        for q in [["1.0", "0.5", "0.1"], ["0.5", "0.5", "0.5"], ["0.1", "0.5", "1.0"]] {
            let server = Server::with(&["fork.next_after=300ms"]);
            let (mut one, mut two) = (Phone::udp("john"), Phone::tcp("john"));
            for (number, (uri, q)) in [hole, &one.uri(), &two.uri()].into_iter().zip(q).enumerate() {
                let contact = format!("<{uri}>;q={q};+sip.instance=\"<urn:uuid:0-{number}>\"");
                one.register(&server, &[("Contact", &contact)]);
            }
            let mut sender = Line::tcp(server.sip);
            sender.send(&sender.with_via(&to_john(b"past the hole")).octets());
            let reached = if q[2] == "1.0" { &mut two } else { &mut one };
            assert_eq!(reached.take().body, b"past the hole", "{hole} {q:?}");
            let answer = sender.final_response();
            assert_eq!(answer.status(), 200, "{hole} {q:?}: {answer}");
        }
    }
}

/// A listener whose backlog is full: the system drops what further connections begin with.
struct Full {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Full {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at: SocketAddr = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&at, Duration::from_millis(300)).ok();
        let waiting: Vec<_> = std::iter::from_fn(connect).take(10_000).collect();
        assert!(waiting.len() < 10_000, "a backlog has an end");
        Self { listener, _waiting: waiting }
    }
}

#[test]
fn a_user_whose_only_contact_is_a_black_hole_gets_it_when_he_returns() {
    let server = Server::start();
    let full = Full::new();
    known_and_gone(&server, "john");
    let mut john = Phone::tcp("john");
    let contact = format!("<sip:john@{};transport=tcp>", full.listener.local_addr().unwrap());
    john.register(&server, &[("Contact", &contact)]);
    let mut sender = Line::tcp(server.sip);
    let answer = sender.request(&to_john(b"for later"));
    assert_eq!(answer.status(), 202, "{answer}");
    john.register(&server, &[]);
    assert_eq!(john.take().body, b"for later");
}
