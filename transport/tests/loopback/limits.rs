//! Every limit is reached once.

use sip::{Method, RequestBuilder};
use transport::{ClientEvent, Config, Destination, Protocol, TransportError};

use crate::harness::{Manner, Peer, Server, config, eventually, field, message, reply, settle};

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    for config in [Config { connections: 2, ..config() }, Config { connections_per_source: 2, ..config() }] {
        let server = Server::with(config, Manner::Answer(200)).await;
        let (mut one, two) = (server.connect().await, server.connect().await);
        let three = server.connect().await;
        assert!(three.end().await.is_empty());
        assert_eq!(server.endpoint.metrics().connections_refused.value(), 1);
        one.send(&message("MESSAGE", "tcp.example;branch=z9hG4bK1", "")).await;
        assert!(one.receive().await.starts_with("SIP/2.0 200"), "the others are served");
        drop(two);
        eventually(|| server.endpoint.connections() == 1).await;
        let mut four = server.connect().await;
        four.send("\r\n\r\n").await;
        // There is room again.
        eventually(|| server.endpoint.connections() == 2).await;
    }
}

#[tokio::test]
async fn a_connection_of_ours_beyond_the_limit_fails_its_request() {
    let server = Server::with(Config { connections: 0, ..config() }, Manner::Answer(200)).await;
    let destination = Destination::Address { protocol: Protocol::Tcp, addr: server.tcp };
    let outgoing = RequestBuilder::new(Method::Options, "sip:a@b").build();
    let event = server.endpoint.request(outgoing, destination).last().await;
    assert!(matches!(event, Some(ClientEvent::TransportError(TransportError::Limit))), "{event:?}");
}

#[tokio::test]
async fn a_burst_beyond_the_queue_of_a_shard_is_dropped_and_counted() {
    // The first shard reads the socket, the second gets its messages through its queue.
    let server = Server::with(Config { shards: 2, shard_queue: 4, ..config() }, Manner::Answer(200)).await;
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    // The runtime has one thread, and it is ours until the burst is in the socket.
    for number in 0..100 {
        let text = message("MESSAGE", &format!("h.example;rport;branch=z9hG4bK{number}"), "");
        peer.send_to(text.as_bytes(), server.udp).unwrap();
    }
    let metrics = server.endpoint.metrics();
    eventually(|| metrics.requests_in.value() == 100).await;
    settle().await;
    let (served, dropped) = (u64::try_from(server.seen()).unwrap(), metrics.queue_full.value());
    assert!(served >= 4 && dropped > 0, "{served} {dropped}");
    assert_eq!(served + dropped, metrics.requests_in.value());
}

#[tokio::test]
async fn a_full_queue_makes_a_connection_wait_and_loses_nothing() {
    let server = Server::with(Config { shards: 1, shard_queue: 1, ..config() }, Manner::Answer(200)).await;
    let mut wire = server.connect().await;
    let many: String =
        (0..100).map(|n| message("MESSAGE", &format!("tcp.example;branch=z9hG4bK{n}"), "")).collect();
    wire.send(&many).await;
    for _ in 0..100 {
        assert!(wire.receive().await.starts_with("SIP/2.0 200"));
    }
}

#[tokio::test]
async fn a_transaction_beyond_the_limit_is_answered_503_with_retry_after() {
    let mut server = Server::with(Config { shards: 1, transactions: 1, ..config() }, Manner::Hand).await;
    let peer = Peer::bind().await;
    peer.send(&message("MESSAGE", "h.example;rport;branch=z9hG4bK1", ""), server.udp).await;
    let held = server.next().await;
    peer.send(&message("MESSAGE", "h.example;rport;branch=z9hG4bK2", ""), server.udp).await;
    let (refusal, _) = peer.receive().await;
    assert!(refusal.starts_with("SIP/2.0 503 Service Unavailable"));
    assert_eq!(field(&refusal, "Retry-After"), "5");
    assert_eq!(server.endpoint.metrics().transactions_refused.value(), 1);
    drop(held);
}

#[tokio::test]
async fn what_waits_for_a_connection_is_bounded_in_messages_and_octets() {
    for config in [Config { write_queue: 2, ..config() }, Config { write_octets: 2000, ..config() }] {
        let server = Server::with(config, Manner::Answer(200)).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let destination =
            Destination::Address { protocol: Protocol::Tcp, addr: listener.local_addr().unwrap() };
        let mut failed = 0;
        let clients: Vec<_> = (0..20)
            .map(|_| {
                let outgoing = RequestBuilder::new(Method::Message, "sip:a@b").body(vec![b'x'; 500]).build();
                server.endpoint.request(outgoing, destination.clone())
            })
            .collect();
        settle().await;
        for mut client in clients {
            let event = tokio::select! {
                biased;
                event = client.next() => event,
                () = settle() => None,
            };
            failed +=
                usize::from(matches!(event, Some(ClientEvent::TransportError(TransportError::QueueFull))));
        }
        assert!(failed > 0);
        assert_eq!(server.endpoint.metrics().send_queue_full.value(), u64::try_from(failed).unwrap());
    }
}

#[tokio::test]
async fn a_user_who_does_not_read_loses_provisional_responses_and_not_the_final_one() {
    let server = Server::with(Config { response_queue: 8, ..config() }, Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    let destination = Destination::Address { protocol: Protocol::Udp, addr: peer.addr() };
    let outgoing = RequestBuilder::new(Method::Invite, "sip:a@b").from("<sip:a@b>;tag=1").to("<sip:a@b>");
    let client = server.endpoint.request(outgoing.call_id("c1").cseq(1).build(), destination);
    let (invite, _) = peer.receive().await;
    for _ in 0..20 {
        peer.send(&reply(&invite, 180), server.udp).await;
    }
    let metrics = server.endpoint.metrics();
    eventually(|| metrics.user_queue_full.value() == 16).await;
    peer.send(&reply(&invite, 200), server.udp).await;
    let Some(ClientEvent::Response(last)) = client.last().await else { panic!("no response") };
    assert_eq!(last.status(), 200);
}
