//! What hangs on the clock. It stands still, and only [`Clock::advance`] moves it: left to itself, a paused
//! runtime jumps to the next timer even while octets are under way. Paused from the start it counts whole
//! milliseconds, as tokio's timers do.

use std::sync::mpsc;
use std::time::Duration;

use sip::{Method, RequestBuilder};
use tokio::io::AsyncReadExt;
use tokio::time::advance;
use transport::{ClientEvent, Config, Destination, Protocol, TransportError};

use crate::harness::{Manner, Peer, Server, config, message, settle};

/// Holds a blocking task, which keeps tokio from moving the clock by itself.
struct Clock {
    _release: mpsc::Sender<()>,
    ms: u64,
}

impl Clock {
    fn stop() -> Self {
        let (release, held) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || held.recv());
        Self { _release: release, ms: 0 }
    }

    /// Moves to so many milliseconds after the stop.
    async fn advance(&mut self, ms: u64) {
        settle().await;
        advance(Duration::from_millis(ms - self.ms)).await;
        self.ms = ms;
        settle().await;
    }
}

fn to_bob() -> sip::Outgoing {
    let builder = RequestBuilder::new(Method::Message, "sip:bob@example.com").from("<sip:a@h>;tag=1");
    builder.to("<sip:bob@example.com>").call_id("c1").cseq(1).build()
}

/// CPI.md T23: the whole of it but the proxy between.
#[tokio::test(start_paused = true)]
async fn a_dead_destination_is_asked_eleven_times_the_sender_gets_a_100_at_3500_ms_and_never_a_408() {
    let mut server = Server::start(Manner::Hand).await;
    let (sender, dead) = (Peer::bind().await, Peer::bind().await);
    let mut clock = Clock::stop();
    sender.send(&message("MESSAGE", "h.example;rport;branch=z9hG4bK1", ""), server.udp).await;
    let (_, transaction) = server.next().await;
    let destination = Destination::Address { protocol: Protocol::Udp, addr: dead.addr() };
    let client = server.endpoint.request(to_bob(), destination);
    dead.receive().await;
    for at in [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500] {
        clock.advance(at - 1).await;
        assert!(dead.arrived().await.is_empty(), "before {at}");
        assert!(sender.arrived().await.is_empty());
        clock.advance(at).await;
        dead.receive().await;
        assert!(dead.arrived().await.is_empty(), "once at {at}");
        if at == 3500 {
            assert!(sender.receive().await.0.starts_with("SIP/2.0 100"));
        }
    }
    clock.advance(31_999).await;
    let last = tokio::spawn(client.last());
    clock.advance(32_000).await;
    assert!(matches!(last.await.unwrap(), Some(ClientEvent::Timeout)));
    transaction.respond(sip::Encoded {
        head: "SIP/2.0 408 Request Timeout\r\nContent-Length: 0\r\n\r\n".into(),
        body: bytes::Bytes::new(),
    });
    clock.advance(100_000).await;
    assert!(sender.arrived().await.is_empty() && dead.arrived().await.is_empty());
    assert_eq!(server.endpoint.metrics().late_responses.value(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_too_slowly_ends_its_connection() {
    let server = Server::start(Manner::Answer(200)).await;
    let mut clock = Clock::stop();
    let mut wire = server.connect().await;
    let text = message("MESSAGE", "tcp.example;branch=z9hG4bK1", "");
    wire.send(&text[..20]).await;
    clock.advance(6_000).await;
    wire.send(&text[20..40]).await;
    clock.advance(9_999).await;
    assert_eq!(server.endpoint.connections(), 1);
    clock.advance(10_001).await;
    assert!(wire.end().await.is_empty());
    assert_eq!(server.endpoint.metrics().connections_slow.value(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_too_slowly_ends_its_connection() {
    let server = Server::start(Manner::Answer(200)).await;
    let mut clock = Clock::stop();
    let mut wire = server.connect().await;
    let text = message("MESSAGE", "tcp.example;branch=z9hG4bK1", "0123456789");
    wire.send(&text[..text.len() - 5]).await;
    clock.advance(59_999).await;
    assert_eq!(server.endpoint.connections(), 1);
    clock.advance(60_001).await;
    assert!(wire.end().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_and_a_keepalive_keeps_it() {
    let server =
        Server::with(Config { idle: Duration::from_secs(100), ..config() }, Manner::Answer(200)).await;
    let mut clock = Clock::stop();
    let mut wire = server.connect().await;
    clock.advance(99_000).await;
    wire.send("\r\n\r\n").await;
    clock.advance(198_000).await;
    assert_eq!(server.endpoint.connections(), 1);
    clock.advance(199_100).await;
    assert_eq!(wire.end().await, "\r\n");
    assert_eq!(server.endpoint.metrics().connections_idle.value(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_loses_its_connection_and_the_request_fails() {
    let server = Server::start(Manner::Answer(200)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut clock = Clock::stop();
    let mut outgoing = to_bob();
    // More than the socket buffers of both ends hold.
    outgoing.set_body(vec![b'x'; 16 << 20].into());
    let addr = listener.local_addr().unwrap();
    let destination = Destination::Address { protocol: Protocol::Tcp, addr };
    let client = server.endpoint.request(outgoing, destination);
    let held = listener.accept().await.unwrap();
    let last = tokio::spawn(client.last());
    clock.advance(9_999).await;
    assert!(!last.is_finished());
    clock.advance(10_001).await;
    let error = last.await.unwrap();
    assert!(matches!(error, Some(ClientEvent::TransportError(TransportError::WriteTimeout))), "{error:?}");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_end_times_out() {
    let server = Server::start(Manner::Answer(200)).await;
    // A listener whose queue is full answers no more handshakes.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let _filling = std::net::TcpStream::connect(addr).unwrap();
    let mut clock = Clock::stop();
    let destination = Destination::Address { protocol: Protocol::Tcp, addr };
    let client = server.endpoint.request(to_bob(), destination);
    let last = tokio::spawn(client.last());
    clock.advance(4_999).await;
    assert!(!last.is_finished());
    clock.advance(5_001).await;
    let error = last.await.unwrap();
    assert!(matches!(error, Some(ClientEvent::TransportError(TransportError::ConnectTimeout))), "{error:?}");
}

/// More than the kernel holds of a connection.
const MORE_THAN_BUFFERS: usize = 64 << 20;

fn large() -> sip::Outgoing {
    let builder = RequestBuilder::new(Method::Message, "sip:bob@example.com").from("<sip:a@h>;tag=1");
    let builder = builder.to("<sip:bob@example.com>").call_id("c1").cseq(1);
    builder.body(vec![b'x'; MORE_THAN_BUFFERS]).build()
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_given_up() {
    let server = Server::start(Manner::Answer(200)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut clock = Clock::stop();
    let addr = listener.local_addr().unwrap();
    let client = server.endpoint.request(large(), Destination::Address { protocol: Protocol::Tcp, addr });
    let _unread = listener.accept().await.unwrap();
    clock.advance(9_900).await;
    assert_eq!(server.endpoint.connections(), 1);
    let last = tokio::spawn(client.last());
    clock.advance(10_100).await;
    let event = last.await.unwrap();
    assert!(matches!(event, Some(ClientEvent::TransportError(TransportError::WriteTimeout))), "{event:?}");
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_gets_it_all_and_who_reads_too_slowly_does_not() {
    let server = Server::start(Manner::Answer(200)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut clock = Clock::stop();
    let addr = listener.local_addr().unwrap();
    let client = server.endpoint.request(large(), Destination::Address { protocol: Protocol::Tcp, addr });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut some = vec![0; MORE_THAN_BUFFERS / 16];
    for at in [9_000, 18_000, 27_000, 36_000, 45_000, 54_000] {
        clock.advance(at).await;
        assert_eq!(server.endpoint.connections(), 1, "{at}");
        stream.read_exact(&mut some).await.unwrap();
    }
    clock.advance(60_100).await;
    assert_eq!(server.endpoint.connections(), 0);
    drop(client);
}

/// A listener whose queue is full does not answer, as a host behind a filter does not.
#[tokio::test(start_paused = true)]
async fn a_destination_that_does_not_answer_the_handshake_is_given_up() {
    let server = Server::start(Manner::Answer(200)).await;
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let addr = full.local_addr().unwrap().as_socket().unwrap();
    let _waiting = std::net::TcpStream::connect(addr).unwrap();
    let mut clock = Clock::stop();
    let client = server.endpoint.request(to_bob(), Destination::Address { protocol: Protocol::Tcp, addr });
    let last = tokio::spawn(client.last());
    clock.advance(4_900).await;
    assert_eq!(server.endpoint.connections(), 1);
    clock.advance(5_100).await;
    let event = last.await.unwrap();
    assert!(matches!(event, Some(ClientEvent::TransportError(TransportError::ConnectTimeout))), "{event:?}");
}
