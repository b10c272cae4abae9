//! The end: what is under way is finished, what is new is refused.

use std::time::Duration;

use sip::ResponseBuilder;
use tokio::net::TcpStream;
use transport::{BindError, Config, Endpoint};

use crate::harness::{Manner, Peer, Server, config, message, settle};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_drain_answers_what_is_under_way_and_refuses_what_is_new() {
    let mut server = Server::start(Manner::Hand).await;
    let peer = Peer::bind().await;
    let mut wire = server.connect().await;
    wire.send(&message("MESSAGE", "tcp.example;branch=z9hG4bK1", "")).await;
    let (request, transaction) = server.next().await;
    let endpoint = server.endpoint.clone();
    let drain = tokio::spawn(async move { endpoint.drain(PATIENCE).await });
    settle().await;
    peer.send(&message("MESSAGE", "h.example;rport;branch=z9hG4bK2", ""), server.udp).await;
    assert!(peer.receive().await.0.starts_with("SIP/2.0 503"));
    assert!(TcpStream::connect(server.tcp).await.is_err(), "the listener is closed");
    assert!(!drain.is_finished());
    transaction.respond(ResponseBuilder::to_request(&request, 200, "OK").encode());
    assert!(wire.receive().await.starts_with("SIP/2.0 200"));
    // The peer hangs up, so that the connection need not linger.
    drop(wire);
    assert_eq!(drain.await.unwrap(), 0);
    let listen = vec![listen(server.udp)];
    drop(server);
    let bound = Endpoint::bind(Config { listen, ..config() }).await;
    assert!(bound.is_ok(), "the port is free again");
}

fn listen(addr: std::net::SocketAddr) -> transport::Listen {
    transport::Listen { protocol: transport::Protocol::Udp, addr }
}

#[tokio::test(start_paused = true)]
async fn patience_ends_and_the_unanswered_are_counted() {
    let mut server = Server::start(Manner::Hand).await;
    let peer = Peer::bind().await;
    peer.send(&message("MESSAGE", "h.example;rport;branch=z9hG4bK1", ""), server.udp).await;
    let held = server.next().await;
    let before = tokio::time::Instant::now();
    assert_eq!(server.endpoint.drain(Duration::from_secs(5)).await, 1);
    assert!(before.elapsed() >= Duration::from_secs(5));
    drop(held);
}

#[tokio::test]
async fn a_handle_outlives_its_endpoint_without_harm() {
    let mut server = Server::start(Manner::Hand).await;
    let peer = Peer::bind().await;
    peer.send(&message("MESSAGE", "h.example;rport;branch=z9hG4bK1", ""), server.udp).await;
    let (request, transaction) = server.next().await;
    server.endpoint.drain(Duration::ZERO).await;
    transaction.respond(ResponseBuilder::to_request(&request, 200, "OK").encode());
    assert!(peer.arrived().await.is_empty());
    assert_eq!(server.endpoint.waiting().await, 0);
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let server = Server::start(Manner::Hand).await;
    let taken = Endpoint::bind(Config { listen: vec![listen(server.udp)], ..config() }).await;
    match taken {
        Err(error @ BindError::Listen { .. }) => {
            assert!(error.to_string().starts_with(&format!("udp:{}: ", server.udp)), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(Endpoint::bind(Config::default()).await, Err(BindError::NoListeners)));
}
