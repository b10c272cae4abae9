//! How streams end: half of them, in the middle of a message, by a reset; and who hears of it.

use sip::{Method, RequestBuilder, ResponseBuilder};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use transport::{ClientEvent, Config, Destination, Protocol, TransportError};

use crate::harness::{Manner, Server, Wire, config, eventually, field, message};

#[tokio::test]
async fn a_stream_that_ends_inside_a_body_has_its_request_answered() {
    let server = Server::start(Manner::Answer(200)).await;
    let mut wire = server.connect().await;
    let whole = message("MESSAGE", "tcp.example;branch=z9hG4bK1", "hello");
    wire.send(&whole[..whole.len() - 2]).await;
    wire.stream.shutdown().await.unwrap();
    let answer = wire.receive().await;
    assert!(answer.starts_with("SIP/2.0 400 Body Shorter Than Content-Length\r\n"), "{answer}");
    assert!(field(&answer, "Via").ends_with("branch=z9hG4bK1;received=127.0.0.1"), "{answer}");
    assert_eq!(wire.end().await, "");
    assert_eq!(server.seen(), 0);
}

#[tokio::test]
async fn a_stream_that_ends_inside_a_head_has_its_request_answered() {
    let server = Server::start(Manner::Answer(200)).await;
    let mut wire = server.connect().await;
    let whole = message("MESSAGE", "tcp.example;branch=z9hG4bK1", "");
    wire.send(whole.trim_end()).await;
    wire.stream.shutdown().await.unwrap();
    let answer = wire.end().await;
    assert!(answer.starts_with("SIP/2.0 400 Head Without End\r\n"), "{answer}");
}

#[tokio::test]
async fn what_can_not_be_answered_ends_in_silence() {
    let server = Server::start(Manner::Answer(200)).await;
    for noise in
        ["MESSAGE sip:bob@example.com SIP/2.0\r\nVia: SIP/2", "\u{16}\u{3}\u{1}", "GET / HTTP/1.1\r\n"]
    {
        let mut wire = server.connect().await;
        wire.send(noise).await;
        wire.stream.shutdown().await.unwrap();
        assert_eq!(wire.end().await, "");
    }
    eventually(|| server.endpoint.metrics().invalid_dropped.value() == 3).await;
}

#[tokio::test]
async fn who_sends_nothing_more_still_gets_the_answers_to_what_it_asked() {
    let mut server = Server::start(Manner::Hand).await;
    let mut wire = server.connect().await;
    let one = message("MESSAGE", "tcp.example;branch=z9hG4bK1", "hello");
    let two = message("OPTIONS", "tcp.example;branch=z9hG4bK2", "");
    let half = message("MESSAGE", "tcp.example;branch=z9hG4bK3", "cut");
    wire.send(&[&one, &two, &half[..half.len() - 1]].concat()).await;
    wire.stream.shutdown().await.unwrap();
    let (first, second) = (server.next().await, server.next().await);
    assert!(wire.receive().await.starts_with("SIP/2.0 400"));
    eventually(|| !server.endpoint.is_open(&first.1.flow())).await;
    for (request, transaction) in [first, second] {
        transaction.respond(ResponseBuilder::to_request(&request, 200, "OK").encode());
        assert!(wire.receive().await.starts_with("SIP/2.0 200"));
    }
    // All is answered: the connection ends at once.
    assert_eq!(wire.end().await, "");
    eventually(|| server.endpoint.connections() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_half_closed_does_not_wait_longer_than_a_transaction_lasts() {
    let mut server = Server::start(Manner::Hand).await;
    let mut wire = server.connect().await;
    wire.send(&message("INVITE", "tcp.example;branch=z9hG4bK1", "")).await;
    wire.stream.shutdown().await.unwrap();
    let (_request, transaction) = server.next().await;
    let begun = tokio::time::Instant::now();
    wire.end().await;
    assert_eq!(begun.elapsed().as_secs(), 32);
    transaction.abandon();
}

#[tokio::test]
async fn an_answer_that_a_reset_meets_goes_to_sent_by() {
    let mut server = Server::start(Manner::Hand).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut wire = server.connect().await;
    let requests: String =
        (0..3).map(|n| message("MESSAGE", &format!("tcp.example:{port};branch=z9hG4bK{n}"), "")).collect();
    wire.send(&requests).await;
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(server.next().await);
    }
    let flow = asked[0].1.flow();
    // A whole close, which looks like half of one until something is written.
    drop(wire);
    eventually(|| !server.endpoint.is_open(&flow)).await;
    for (request, transaction) in asked {
        transaction.respond(ResponseBuilder::to_request(&request, 200, "OK").encode());
    }
    let mut back = Wire::new(listener.accept().await.unwrap().0);
    for _ in 0..3 {
        assert!(back.receive().await.starts_with("SIP/2.0 200 OK"));
    }
}

#[tokio::test]
async fn a_handler_hears_once_of_each_flow_that_closed() {
    let mut server = Server::start(Manner::Hand).await;
    let (mut halved, mut reset) = (server.connect().await, server.connect().await);
    halved.send(&message("MESSAGE", "tcp.example;branch=z9hG4bK1", "")).await;
    let (request, transaction) = server.next().await;
    halved.stream.shutdown().await.unwrap();
    let closed = &server.recorder.closed;
    eventually(|| *closed.lock().unwrap() == [transaction.flow()]).await;
    let destination = Destination::Flow(transaction.flow());
    let outgoing = RequestBuilder::new(Method::Options, "sip:a@b").build();
    let event = server.endpoint.request(outgoing, destination).last().await;
    assert!(matches!(event, Some(ClientEvent::TransportError(TransportError::FlowClosed))), "{event:?}");
    transaction.respond(ResponseBuilder::to_request(&request, 200, "OK").encode());
    assert!(halved.receive().await.starts_with("SIP/2.0 200"));
    assert_eq!(halved.end().await, "");
    reset.send("MESSAGE sip:bob@example.com SIP/2.0\r\nVia: SI").await;
    reset.stream.set_zero_linger().unwrap();
    drop(reset);
    eventually(|| closed.lock().unwrap().len() == 2).await;
    eventually(|| server.endpoint.connections() == 0).await;
    assert_eq!(closed.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_all_connections_hold_together_is_bounded() {
    let server = Server::with(Config { buffered_octets: 10_000, ..config() }, Manner::Answer(200)).await;
    let head = |n: u32| {
        message("MESSAGE", &format!("tcp.example;branch=z9hG4bK{n}"), "")
            .replace("Content-Length: 0", "Content-Length: 7000")
    };
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    one.send(&[head(1), "x".repeat(6000)].concat()).await;
    eventually(|| server.endpoint.buffered() > 6000).await;
    two.send(&[head(2), "x".repeat(6000)].concat()).await;
    let refused = two.receive().await;
    assert!(refused.starts_with("SIP/2.0 503 No Room For The Message"), "{refused}");
    assert_eq!(two.end().await, "");
    one.send(&"x".repeat(1000)).await;
    assert!(one.receive().await.starts_with("SIP/2.0 200"), "the first is served");
    eventually(|| server.endpoint.buffered() == 0).await;
    assert_eq!(server.endpoint.metrics().buffers_full.value(), 1);
}

#[tokio::test]
async fn what_waits_to_be_written_counts_too() {
    let server = Server::with(Config { buffered_octets: 1000, ..config() }, Manner::Answer(200)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let destination = Destination::Address { protocol: Protocol::Tcp, addr: listener.local_addr().unwrap() };
    let outgoing = RequestBuilder::new(Method::Message, "sip:a@b").body(vec![b'x'; 2000]).build();
    let event = server.endpoint.request(outgoing, destination).last().await;
    assert!(matches!(event, Some(ClientEvent::TransportError(TransportError::QueueFull))), "{event:?}");
    assert_eq!(server.endpoint.buffered(), 0);
}
