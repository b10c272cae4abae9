//! Requests of ours: what the other end sees, and what becomes of them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use sip::{Method, Outgoing, RequestBuilder};
use tokio::net::TcpListener;
use transport::{
    Asker, ClientEvent, Config, Destination, Family, LocateError, Lookup, Naptr, Protocol, Resolve, Srv,
    TransportError,
};

use crate::harness::{Manner, Peer, Server, Wire, config, eventually, field, message, reply};

fn outgoing(method: Method<'_>, body: usize) -> Outgoing {
    RequestBuilder::new(method, "sip:bob@example.com")
        .from("<sip:example.com>;tag=1")
        .to("<sip:bob@example.com>")
        .call_id("c1")
        .cseq(1)
        .body(vec![b'x'; body])
        .build()
}

fn to(protocol: Protocol, addr: SocketAddr) -> Destination {
    Destination::Address { protocol, addr }
}

fn status(event: Option<ClientEvent>) -> u16 {
    match event {
        Some(ClientEvent::Response(response)) => response.status(),
        other => panic!("{other:?}"),
    }
}

fn error(event: Option<ClientEvent>) -> TransportError {
    match event {
        Some(ClientEvent::TransportError(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_has_our_via_on_top_and_its_responses_come_back() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    let destination = to(Protocol::Udp, peer.addr());
    let mut client = server.endpoint.request_marked(&outgoing(Method::Options, 0), destination, Some("mark"));
    let (request, from) = peer.receive().await;
    assert_eq!(from, server.udp);
    let via = format!("SIP/2.0/UDP {};branch={};rport", server.udp, client.branch());
    assert_eq!(field(&request, "Via"), via);
    assert!(client.branch().ends_with(".mark"));
    peer.send(&reply(&request, 100), server.udp).await;
    assert_eq!(status(client.next().await), 100);
    peer.send(&reply(&request, 200), server.udp).await;
    assert_eq!(status(client.next().await), 200);
    assert!(client.next().await.is_none(), "the user need not wait for Timer K");
}

#[tokio::test]
async fn a_response_after_the_end_is_stray_and_given_to_no_one() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let destination = to(Protocol::Tcp, listener.local_addr().unwrap());
    let client = server.endpoint.request(outgoing(Method::Options, 0), destination);
    let mut wire = Wire::new(listener.accept().await.unwrap().0);
    let request = wire.receive().await;
    wire.send(&reply(&request, 200)).await;
    assert_eq!(status(client.last().await), 200);
    peer.send(&reply(&request, 404), server.udp).await;
    eventually(|| *server.recorder.strays.lock().unwrap() == [404]).await;
}

#[tokio::test]
async fn two_requests_to_one_address_share_a_connection_whose_via_says_tcp() {
    let server = Server::start(Manner::Answer(200)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let destination = to(Protocol::Tcp, listener.local_addr().unwrap());
    let one = server.endpoint.request(outgoing(Method::Message, 1_000_000), destination.clone());
    let two = server.endpoint.request(outgoing(Method::Message, 0), destination);
    let mut wire = Wire::new(listener.accept().await.unwrap().0);
    for _ in 0..2 {
        let request = wire.receive().await;
        assert!(field(&request, "Via").starts_with(&format!("SIP/2.0/TCP {};branch=z9hG4bK", server.tcp)));
        wire.send(&reply(&request, 200)).await;
    }
    assert_eq!((status(one.last().await), status(two.last().await)), (200, 200));
    assert_eq!(server.endpoint.connections(), 1);
}

#[tokio::test]
async fn a_flow_reaches_who_connected_to_us_and_ends_with_its_connection() {
    let mut server = Server::start(Manner::Hand).await;
    let mut wire = server.connect().await;
    wire.send(&message("REGISTER", "tcp.example;branch=z9hG4bK1", "")).await;
    let (_, transaction) = server.next().await;
    let flow = transaction.flow();
    assert_eq!((flow.protocol, flow.remote), (Protocol::Tcp, wire.stream.local_addr().unwrap()));
    drop(transaction);
    assert!(wire.receive().await.starts_with("SIP/2.0 500"));
    let client = server.endpoint.request(outgoing(Method::Message, 0), Destination::Flow(flow));
    let request = wire.receive().await;
    wire.send(&reply(&request, 200)).await;
    assert_eq!(status(client.last().await), 200);

    drop(wire);
    eventually(|| !server.endpoint.is_open(&flow)).await;
    let client = server.endpoint.request(outgoing(Method::Message, 0), Destination::Flow(flow));
    assert_eq!(error(client.last().await), TransportError::FlowClosed);
}

#[tokio::test]
async fn a_closed_port_refuses_over_udp_and_tcp() {
    let server = Server::start(Manner::Answer(200)).await;
    let closed = Peer::bind().await.addr();
    let client = server.endpoint.request(outgoing(Method::Message, 0), to(Protocol::Udp, closed));
    assert_eq!(error(client.last().await), TransportError::Refused);
    assert!(server.endpoint.metrics().icmp_errors.value() > 0);
    let client = server.endpoint.request(outgoing(Method::Message, 0), to(Protocol::Tcp, closed));
    assert_eq!(error(client.last().await), TransportError::Refused);
}

#[tokio::test]
async fn an_icmp_error_of_one_destination_spares_the_others() {
    let server = Server::start(Manner::Answer(200)).await;
    let (closed, peer) = (Peer::bind().await.addr(), Peer::bind().await);
    for _ in 0..20 {
        let dead = server.endpoint.request(outgoing(Method::Message, 0), to(Protocol::Udp, closed));
        let alive = server.endpoint.request(outgoing(Method::Message, 0), to(Protocol::Udp, peer.addr()));
        let (request, _) = peer.receive().await;
        peer.send(&reply(&request, 200), server.udp).await;
        assert_eq!(status(alive.last().await), 200);
        assert_eq!(error(dead.last().await), TransportError::Refused);
    }
}

#[tokio::test]
async fn what_fits_no_datagram_is_too_long() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    let client = server.endpoint.request(outgoing(Method::Message, 70_000), to(Protocol::Udp, peer.addr()));
    assert_eq!(error(client.last().await), TransportError::MessageTooLong);
}

#[tokio::test]
async fn without_a_socket_of_the_family_there_is_no_way() {
    let server = Server::start(Manner::Answer(200)).await;
    let v6 = "[::1]:5060".parse().unwrap();
    let client = server.endpoint.request(outgoing(Method::Message, 0), to(Protocol::Udp, v6));
    assert_eq!(error(client.last().await), TransportError::NoSocket);
}

#[tokio::test]
async fn a_dropped_invite_is_cancelled_once_it_rings_and_its_487_is_acked() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    let mut client = server.endpoint.request(outgoing(Method::Invite, 0), to(Protocol::Udp, peer.addr()));
    let (invite, _) = peer.receive().await;
    peer.send(&reply(&invite, 180), server.udp).await;
    assert_eq!(status(client.next().await), 180);
    drop(client);
    let (cancel, _) = peer.receive().await;
    assert_eq!((field(&cancel, "CSeq"), field(&cancel, "Via")), ("1 CANCEL", field(&invite, "Via")));
    peer.send(&reply(&cancel, 200), server.udp).await;
    peer.send(&reply(&invite, 487), server.udp).await;
    let (ack, _) = peer.receive().await;
    assert_eq!((field(&ack, "CSeq"), field(&ack, "Via")), ("1 ACK", field(&invite, "Via")));
}

#[tokio::test]
async fn a_stateless_ack_goes_once_with_a_via_of_its_own() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    server.endpoint.send_stateless(&outgoing(Method::Ack, 0), to(Protocol::Udp, peer.addr()), Some("m"));
    let (ack, _) = peer.receive().await;
    assert!(ack.starts_with("ACK ") && field(&ack, "Via").contains(&server.udp.to_string()));
    assert!(field(&ack, "Via").contains(".m;"), "{ack}");
    assert_eq!(server.endpoint.waiting().await, 0);
}

#[tokio::test]
async fn a_branch_tells_nothing_of_the_next() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    let next = || {
        let client = server.endpoint.request(outgoing(Method::Message, 0), to(Protocol::Udp, peer.addr()));
        client.branch().split_once('-').unwrap().1[..16].to_owned()
    };
    let (one, two) = (next(), next());
    let same = one.bytes().zip(two.bytes()).filter(|(a, b)| a == b).count();
    assert!(same < 12, "{one} {two}");
}

#[derive(Debug)]
struct Deaf;

impl Resolve for Deaf {
    fn naptr<'a>(&'a self, _: &'a str) -> Lookup<'a, Naptr> {
        Box::pin(std::future::pending())
    }

    fn srv<'a>(&'a self, _: &'a str) -> Lookup<'a, Srv> {
        Box::pin(std::future::pending())
    }

    fn addresses<'a>(&'a self, _: &'a str, _: Family) -> Lookup<'a, IpAddr> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_does_not_answer_is_given_up() {
    let server = Server::with(Config { resolver: Arc::new(Deaf), ..config() }, Manner::Answer(200)).await;
    for uri in ["sip:edge.example.net", "sip:edge.example.org:5070"] {
        let start = tokio::time::Instant::now();
        let error =
            server.endpoint.locate(&uri.parse().unwrap(), Asker::Stranger, |_| true).await.unwrap_err();
        assert_eq!(error, LocateError::NoAnswer);
        assert!(start.elapsed().as_secs() <= 5, "{uri}");
    }
}

#[derive(Debug)]
struct Table;

impl Resolve for Table {
    fn addresses<'a>(&'a self, host: &'a str, family: Family) -> Lookup<'a, IpAddr> {
        Box::pin(async move {
            assert_eq!(host, "edge.example.net");
            Ok(if family == Family::V4 { vec![[192, 0, 2, 7].into()] } else { Vec::new() })
        })
    }
}

#[tokio::test]
async fn names_go_to_the_resolver_and_numbers_do_not() {
    let server = Server::with(Config { resolver: Arc::new(Table), ..config() }, Manner::Answer(200)).await;
    let first = async |uri: &str| {
        server.endpoint.locate(&uri.parse().unwrap(), Asker::Stranger, |_| true).await.unwrap().remove(0)
    };
    let addr = "192.0.2.7:5070".parse().unwrap();
    let named = Destination::to(Protocol::Tcp, addr, Some("edge.example.net"));
    assert_eq!(first("sip:edge.example.net:5070;transport=tcp").await, named);
    assert_eq!(first("sip:127.0.0.9:5070").await, to(Protocol::Udp, "127.0.0.9:5070".parse().unwrap()));
    assert_eq!(first("sip:[::1]").await, to(Protocol::Udp, "[::1]:5060".parse().unwrap()));
}

#[tokio::test]
async fn the_name_of_the_config_stands_in_via() {
    let server =
        Server::with(Config { sent_by: Some("sip.example.com".into()), ..config() }, Manner::Answer(200))
            .await;
    let expected = format!("sip.example.com:{}", server.udp.port());
    assert_eq!(server.endpoint.sent_by(Protocol::Udp), Some(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_endpoints_on_many_threads_lose_no_request() {
    let (near, far) = (Server::start(Manner::Answer(200)).await, Server::start(Manner::Answer(200)).await);
    for destination in [to(Protocol::Udp, far.udp), to(Protocol::Tcp, far.tcp)] {
        let clients: Vec<_> = (0..500)
            .map(|_| {
                tokio::spawn(
                    near.endpoint.request(outgoing(Method::Message, 400), destination.clone()).last(),
                )
            })
            .collect();
        for client in clients {
            assert_eq!(status(client.await.unwrap()), 200);
        }
    }
    assert_eq!(far.seen(), 1000);
    let metrics = near.endpoint.metrics();
    assert_eq!((metrics.stray_responses.value(), metrics.send_errors.value()), (0, 0));
    assert_eq!(near.endpoint.drain(std::time::Duration::from_secs(1)).await, 0);
}
