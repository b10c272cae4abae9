//! TCP: framing across segments, the way back, keep-alives, what ends a connection.

use sip::ResponseBuilder;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::harness::{Manner, Server, Wire, eventually, field, message, settle};

#[tokio::test]
async fn requests_in_one_segment_are_answered_over_their_connection() {
    let server = Server::start(Manner::Answer(200)).await;
    let mut wire = server.connect().await;
    let one = message("MESSAGE", "tcp.example;branch=z9hG4bK1", "hello");
    let two = message("OPTIONS", "tcp.example;branch=z9hG4bK2", "");
    wire.send(&[one, two].concat()).await;
    let mut answered = [wire.receive().await, wire.receive().await];
    answered.sort_by_key(|answer| field(answer, "CSeq").to_owned());
    assert!(answered.iter().all(|answer| answer.starts_with("SIP/2.0 200")));
    assert!(field(&answered[0], "Via").ends_with("received=127.0.0.1"));
    assert_eq!((server.seen(), server.endpoint.connections()), (2, 1));
}

#[tokio::test]
async fn a_body_of_a_megabyte_passes_whole() {
    let server = Server::start(Manner::Answer(200)).await;
    let mut wire = server.connect().await;
    let body = "0123456789abcdef".repeat(1 << 16);
    wire.send(&message("MESSAGE", "tcp.example;branch=z9hG4bK1", &body)).await;
    assert!(wire.receive().await.starts_with("SIP/2.0 200"));
    assert_eq!(server.recorder.requests.lock().unwrap()[0].raw().body_octets(), body.as_bytes());
}

#[tokio::test]
async fn a_message_in_pieces_of_one_octet_is_a_message() {
    let server = Server::start(Manner::Answer(200)).await;
    let mut wire = server.connect().await;
    for octet in message("MESSAGE", "tcp.example;branch=z9hG4bK1", "hi").chars() {
        wire.send(&octet.to_string()).await;
        settle().await;
    }
    assert!(wire.receive().await.starts_with("SIP/2.0 200"));
}

#[tokio::test]
async fn a_double_crlf_is_answered_with_one() {
    let server = Server::start(Manner::Answer(200)).await;
    let mut wire = server.connect().await;
    wire.send("\r\n\r\n").await;
    let mut pong = [0; 2];
    wire.stream.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
    wire.send(&message("MESSAGE", "tcp.example;branch=z9hG4bK1", "")).await;
    assert!(wire.receive().await.starts_with("SIP/2.0 200"), "nothing else was sent");
    assert_eq!(server.endpoint.metrics().keepalives.value(), 1);
}

#[tokio::test]
async fn when_its_connection_is_gone_a_response_goes_to_sent_by() {
    let mut server = Server::start(Manner::Hand).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut wire = server.connect().await;
    let port = listener.local_addr().unwrap().port();
    wire.send(&message("MESSAGE", &format!("tcp.example:{port};branch=z9hG4bK1"), "")).await;
    let (request, transaction) = server.next().await;
    let flow = transaction.flow();
    drop(wire);
    eventually(|| !server.endpoint.is_open(&flow)).await;
    transaction.respond(ResponseBuilder::to_request(&request, 200, "OK").encode());
    let mut back = Wire::new(listener.accept().await.unwrap().0);
    assert!(back.receive().await.starts_with("SIP/2.0 200 OK"));
}

#[tokio::test]
async fn lost_framing_is_answered_and_ends_the_connection() {
    let server = Server::start(Manner::Answer(200)).await;
    let mut wire = server.connect().await;
    let bad = message("MESSAGE", "tcp.example;branch=z9hG4bK1", "")
        .replace("Content-Length: 0", "Content-Length: x");
    wire.send(&bad).await;
    let answer = wire.receive().await;
    assert!(answer.starts_with("SIP/2.0 400"), "{answer}");
    assert!(wire.end().await.is_empty());
}

#[tokio::test]
async fn a_body_over_the_limit_gets_its_413_although_the_sender_still_sends() {
    let server = Server::start(Manner::Answer(200)).await;
    let mut wire = server.connect().await;
    let head = message("MESSAGE", "tcp.example;branch=z9hG4bK1", "");
    wire.send(&head.replace("Content-Length: 0", "Content-Length: 9000000")).await;
    wire.send(&"x".repeat(1 << 20)).await;
    assert!(wire.receive().await.starts_with("SIP/2.0 413"));
}

#[tokio::test]
async fn an_invalid_request_in_a_whole_frame_leaves_the_connection_open() {
    let server = Server::start(Manner::Answer(200)).await;
    let mut wire = server.connect().await;
    let good = message("MESSAGE", "tcp.example;branch=z9hG4bK1", "");
    wire.send(&good.replace("CSeq: 1 MESSAGE", "CSeq: 1 INVITE")).await;
    assert!(wire.receive().await.starts_with("SIP/2.0 400"));
    wire.send(&good).await;
    assert!(wire.receive().await.starts_with("SIP/2.0 200"));
}

#[tokio::test]
async fn an_unreadable_top_via_closes_the_connection() {
    let server = Server::start(Manner::Answer(200)).await;
    let mut wire = server.connect().await;
    wire.send(&message("MESSAGE", ";;;", "")).await;
    assert!(wire.end().await.is_empty());
    assert_eq!(server.endpoint.metrics().invalid_closed.value(), 1);
}
