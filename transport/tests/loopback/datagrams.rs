//! UDP: the way back, repetitions, what is invalid, foreign or too long.

use sip::ResponseBuilder;
use transport::{Config, Listen, Protocol};

use crate::harness::{Manner, Peer, Server, config, eventually, field, message};

#[tokio::test]
async fn rport_brings_the_response_to_the_source_and_names_it() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    peer.send(&message("MESSAGE", "h.example;rport;branch=z9hG4bK1", "hi"), server.udp).await;
    let (response, from) = peer.receive().await;
    assert!(response.starts_with("SIP/2.0 200 Answer\r\n"));
    assert_eq!(from, server.udp, "the same socket");
    let (via, port) = (field(&response, "Via"), peer.addr().port());
    assert!(via.contains("received=127.0.0.1") && via.contains(&format!("rport={port}")), "{via}");
    assert_eq!(server.recorder.requests.lock().unwrap()[0].raw().body_octets(), b"hi");
}

#[tokio::test]
async fn without_rport_the_response_goes_to_the_port_of_sent_by() {
    let server = Server::start(Manner::Answer(200)).await;
    let (sender, listener) = (Peer::bind().await, Peer::bind().await);
    let via = format!("h.example:{};branch=z9hG4bK1", listener.addr().port());
    sender.send(&message("MESSAGE", &via, ""), server.udp).await;
    assert!(listener.receive().await.0.starts_with("SIP/2.0 200"));
}

#[tokio::test]
async fn a_repeated_request_is_seen_once_and_answered_each_time() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    let text = message("MESSAGE", "h.example;rport;branch=z9hG4bK1", "");
    let mut answers = Vec::new();
    for _ in 0..3 {
        peer.send(&text, server.udp).await;
        answers.push(peer.receive().await.0);
    }
    assert_eq!((server.seen(), &answers[0], &answers[1]), (1, &answers[1], &answers[2]));
}

#[tokio::test]
async fn every_message_of_a_transaction_finds_its_shard() {
    let mut server = Server::with(Config { shards: 7, ..config() }, Manner::Hand).await;
    let peer = Peer::bind().await;
    for number in 0..50 {
        let via = format!("h.example;rport;branch=z9hG4bK{number}");
        peer.send(&message("INVITE", &via, ""), server.udp).await;
        let (request, invite) = server.next().await;
        peer.send(&message("CANCEL", &via, ""), server.udp).await;
        assert!(field(&peer.receive().await.0, "CSeq").ends_with("CANCEL"));
        invite.cancelled().await;
        invite.respond(ResponseBuilder::to_request(&request, 487, "Request Terminated").encode());
        assert!(peer.receive().await.0.starts_with("SIP/2.0 487"));
        peer.send(&message("ACK", &via, ""), server.udp).await;
    }
    assert!(server.recorder.acks.lock().unwrap().is_empty(), "each ACK met its INVITE");
    assert_eq!(server.endpoint.waiting().await, 0);
}

#[tokio::test]
async fn an_ack_for_a_2xx_comes_to_the_handler() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    peer.send(&message("INVITE", "h.example;rport;branch=z9hG4bK1", ""), server.udp).await;
    peer.receive().await;
    peer.send(&message("ACK", "h.example;rport;branch=z9hG4bK2", ""), server.udp).await;
    eventually(|| server.recorder.acks.lock().unwrap().len() == 1).await;
}

#[tokio::test]
async fn a_cancel_for_nothing_is_answered_481() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    peer.send(&message("CANCEL", "h.example;rport;branch=z9hG4bK1", ""), server.udp).await;
    assert!(peer.receive().await.0.starts_with("SIP/2.0 481"));
    assert_eq!(server.seen(), 0);
}

#[tokio::test]
async fn a_transaction_that_is_dropped_answers_500_and_an_abandoned_one_nothing() {
    let mut server = Server::start(Manner::Hand).await;
    let peer = Peer::bind().await;
    peer.send(&message("MESSAGE", "h.example;rport;branch=z9hG4bK1", ""), server.udp).await;
    server.next().await.1.abandon();
    assert!(peer.arrived().await.is_empty());
    peer.send(&message("MESSAGE", "h.example;rport;branch=z9hG4bK2", ""), server.udp).await;
    drop(server.next().await);
    assert!(peer.receive().await.0.starts_with("SIP/2.0 500"));
}

#[tokio::test]
async fn an_invalid_request_is_answered_and_an_invalid_response_is_not() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    let good = message("MESSAGE", "h.example;rport;branch=z9hG4bK1", "");
    peer.send(&good.replace("CSeq: 1 MESSAGE", "CSeq: 1 INVITE"), server.udp).await;
    let (answer, _) = peer.receive().await;
    assert!(answer.starts_with("SIP/2.0 400"), "{answer}");
    assert!(field(&answer, "Via").contains("received=127.0.0.1"));
    peer.send("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n\r\n", server.udp).await;
    peer.send("noise", server.udp).await;
    let metrics = server.endpoint.metrics();
    eventually(|| metrics.invalid_dropped.value() == 2).await;
    assert!(peer.arrived().await.is_empty());
    assert_eq!((metrics.invalid_answered.value(), server.seen()), (1, 0));
}

#[tokio::test]
async fn a_response_whose_top_via_is_not_ours_goes_nowhere() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    let broadcast = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/torture/bcast.dat"));
    peer.socket.send_to(broadcast, server.udp).await.unwrap();
    eventually(|| server.endpoint.metrics().foreign_responses.value() == 1).await;
    assert!(server.recorder.strays.lock().unwrap().is_empty());
}

#[tokio::test]
async fn keepalives_are_counted_and_not_answered() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    peer.send("\r\n\r\n", server.udp).await;
    eventually(|| server.endpoint.metrics().keepalives.value() == 1).await;
    assert!(peer.arrived().await.is_empty());
}

#[tokio::test]
async fn ipv6_sockets_serve_beside_ipv4() {
    let addr = "[::1]:0".parse().unwrap();
    let listen = vec![
        Listen { protocol: Protocol::Udp, addr: "127.0.0.1:0".parse().unwrap() },
        Listen { protocol: Protocol::Udp, addr },
    ];
    let server = Server::with(Config { listen, ..config() }, Manner::Answer(200)).await;
    let v6 = server.endpoint.local_addrs()[1].1;
    let socket = tokio::net::UdpSocket::bind("[::1]:0").await.unwrap();
    socket.send_to(message("MESSAGE", "h.example;rport;branch=z9hG4bK1", "").as_bytes(), v6).await.unwrap();
    let mut octets = [0; 2000];
    let (len, from) = socket.recv_from(&mut octets).await.unwrap();
    assert_eq!(from, v6);
    assert!(String::from_utf8_lossy(&octets[..len]).contains("received=::1"));
}

#[tokio::test]
async fn an_answer_that_no_datagram_holds_becomes_a_500() {
    let mut server = Server::start(Manner::Hand).await;
    let peer = Peer::bind().await;
    peer.send(&message("MESSAGE", "h.example;rport;branch=z9hG4bKlong", ""), server.udp).await;
    let (request, transaction) = server.next().await;
    let answer = sip::ResponseBuilder::to_request(&request, 200, "OK").body(vec![b'x'; 65_507]);
    transaction.respond(answer.build().encode());
    assert!(peer.receive().await.0.starts_with("SIP/2.0 500 "));
}
