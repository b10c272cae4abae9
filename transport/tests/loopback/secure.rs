//! TLS: whom we believe, who believes us, what a change of certificates changes.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::SanType;
use sip::{Method, RequestBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use transport::{
    BindError, ClientEvent, Config, Destination, Endpoint, Listen, Protocol, TlsFiles, TransportError,
};

use crate::certificates::{Authority, dns, uri};
use crate::harness::{Manner, Server, Wire, config, eventually, field, message, settle};

fn secure(tls: &TlsFiles) -> Config {
    let mut config = Config { tls: tls.clone(), ..config() };
    config.listen.push(Listen { protocol: Protocol::Tls, addr: "127.0.0.1:0".parse().unwrap() });
    config
}

fn over_tls(branch: &str) -> String {
    message("MESSAGE", &format!("tcp.example;branch={branch}"), "hi").replace("SIP/2.0/TCP", "SIP/2.0/TLS")
}

fn options() -> sip::Outgoing {
    RequestBuilder::new(Method::Options, "sip:a@b")
        .from("<sip:a@b>;tag=1")
        .to("<sip:a@b>")
        .call_id("c")
        .cseq(1)
        .build()
}

async fn asked(server: &Server, addr: SocketAddr, name: Option<&str>) -> Result<u16, TransportError> {
    let destination = Destination::to(Protocol::Tls, addr, name);
    match server.endpoint.request(options(), destination).last().await {
        Some(ClientEvent::Response(response)) => Ok(response.status()),
        Some(ClientEvent::TransportError(error)) => Err(error),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_over_tls_is_answered_over_its_connection() {
    let authority = Authority::new();
    let server =
        Server::with(secure(&authority.sign("server", &[dns("example.com")])), Manner::Answer(200)).await;
    let stream = authority.connect(server.at(Protocol::Tls), "example.com", None).await.unwrap();
    let mut wire = Wire::new(stream);
    wire.send(&over_tls("z9hG4bK1")).await;
    let answer = wire.receive().await;
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    assert!(field(&answer, "Via").starts_with("SIP/2.0/TLS tcp.example"), "{answer}");
    wire.send("\r\n\r\n").await;
    let mut pong = [0; 2];
    wire.stream.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
}

#[tokio::test]
async fn a_body_of_a_megabyte_passes_both_ways() {
    let authority = Authority::new();
    let mut server =
        Server::with(secure(&authority.sign("server", &[dns("example.com")])), Manner::Hand).await;
    let stream = authority.connect(server.at(Protocol::Tls), "example.com", None).await.unwrap();
    let mut wire = Wire::new(stream);
    let body = "0123456789abcdef".repeat(1 << 16);
    wire.send(&message("MESSAGE", "tcp.example;branch=z9hG4bK1", &body)).await;
    let (request, transaction) = server.next().await;
    assert_eq!(request.raw().body_octets(), body.as_bytes());
    let answer = sip::ResponseBuilder::to_request(&request, 200, "OK").body(body.clone().into_bytes());
    transaction.respond(answer.encode());
    assert!(wire.receive().await.ends_with(&body));
}

#[tokio::test]
async fn a_server_must_prove_the_name_we_wanted_to_reach() {
    let authority = Authority::new();
    let names = [uri("sip:example.com"), dns("host.example.com"), SanType::IpAddress([127, 0, 0, 1].into())];
    let tls = authority.sign("server", &names);
    let far = Server::with(secure(&tls), Manner::Answer(200)).await;
    let near = Server::with(Config { tls, ..config() }, Manner::Answer(200)).await;
    let at = far.at(Protocol::Tls);
    assert_eq!(asked(&near, at, Some("Example.COM")).await, Ok(200));
    assert_eq!(asked(&near, at, None).await, Ok(200), "its address stands in its certificate");
    // With a SIP URI in it the DNS name says nothing about SIP (RFC 5922 §7.1).
    for other in ["host.example.com", "sub.example.com", "example.org"] {
        assert_eq!(asked(&near, at, Some(other)).await, Err(TransportError::Untrusted), "{other}");
    }
    assert_eq!(near.endpoint.metrics().handshakes_failed.value(), 3);
    assert_eq!(near.endpoint.connections(), 2, "one for each name it proved");
}

#[tokio::test]
async fn a_wildcard_proves_nothing_and_neither_does_a_stranger() {
    let authority = Authority::new();
    let tls = authority.sign("server", &[dns("*.example.com")]);
    let far = Server::with(secure(&tls), Manner::Answer(200)).await;
    let near = Server::with(Config { tls, ..config() }, Manner::Answer(200)).await;
    let at = far.at(Protocol::Tls);
    assert_eq!(asked(&near, at, Some("a.example.com")).await, Err(TransportError::Untrusted));
    let stranger = Authority::new();
    let far =
        Server::with(secure(&stranger.sign("server", &[dns("example.com")])), Manner::Answer(200)).await;
    assert_eq!(
        asked(&near, far.at(Protocol::Tls), Some("example.com")).await,
        Err(TransportError::Untrusted)
    );
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate_and_welcome_without() {
    let authority = Authority::new();
    let mut server =
        Server::with(secure(&authority.sign("server", &[dns("example.com")])), Manner::Hand).await;
    let own = authority.sign("client", &[dns("Presence.example.net"), uri("sip:presence.example.org")]);
    for (own, expected) in [(Some(&own), vec!["presence.example.org".to_owned()]), (None, Vec::new())] {
        let stream = authority.connect(server.at(Protocol::Tls), "example.com", own).await.unwrap();
        let mut wire = Wire::new(stream);
        wire.send(&over_tls(&format!("z9hG4bK{}", expected.len()))).await;
        let (_request, transaction) = server.next().await;
        assert_eq!(server.endpoint.identities(&transaction.flow()), expected);
        transaction.abandon();
    }
    let elsewhere = Authority::new();
    let stranger = elsewhere.sign("client", &[dns("example.net")]);
    let refused = async {
        let mut stream = authority.connect(server.at(Protocol::Tls), "example.com", Some(&stranger)).await?;
        stream.read(&mut [0; 1]).await
    };
    assert!(refused.await.is_err(), "a certificate that does not hold is worse than none");
}

#[tokio::test]
async fn new_certificates_are_shown_to_those_who_come_and_flows_stay() {
    let authority = Authority::new();
    let server =
        Server::with(secure(&authority.sign("server", &[dns("old.example.com")])), Manner::Answer(200)).await;
    let at = server.at(Protocol::Tls);
    let mut before = Wire::new(authority.connect(at, "old.example.com", None).await.unwrap());
    before.send(&over_tls("z9hG4bK1")).await;
    assert!(before.receive().await.starts_with("SIP/2.0 200"));
    server.endpoint.reload_tls(&authority.sign("server", &[dns("new.example.com")])).unwrap();
    assert!(authority.connect(at, "old.example.com", None).await.is_err());
    let mut after = Wire::new(authority.connect(at, "new.example.com", None).await.unwrap());
    for (wire, branch) in [(&mut before, "z9hG4bK2"), (&mut after, "z9hG4bK3")] {
        wire.send(&over_tls(branch)).await;
        assert!(wire.receive().await.starts_with("SIP/2.0 200"));
    }
    assert!(server.recorder.closed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_bad_new_certificate_leaves_the_old_one_in_force() {
    let authority = Authority::new();
    let good = authority.sign("server", &[dns("example.com")]);
    let server = Server::with(secure(&good), Manner::Answer(200)).await;
    let other = authority.sign("other", &[dns("example.com")]);
    let nowhere = Some("/nowhere/cert.pem".into());
    let bad = [
        (TlsFiles { cert: nowhere.clone(), ..good.clone() }, "/nowhere/cert.pem"),
        (TlsFiles { key: good.cert.clone(), ..good.clone() }, "server-cert.pem"),
        (TlsFiles { key: other.key, ..good.clone() }, "is not of this key"),
        (TlsFiles { key: None, ..good.clone() }, "has no key"),
        (TlsFiles { client_ca: good.key.clone(), ..good.clone() }, "holds no certificate"),
        (authority.sign_until("ended", &[dns("example.com")], 2020), "is not good today"),
        (TlsFiles::default(), "must not go"),
    ];
    for (files, said) in bad {
        let error = server.endpoint.reload_tls(&files).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let mut wire = Wire::new(authority.connect(server.at(Protocol::Tls), "example.com", None).await.unwrap());
    wire.send(&over_tls("z9hG4bK1")).await;
    assert!(wire.receive().await.starts_with("SIP/2.0 200"));
}

#[tokio::test]
async fn tls_is_not_served_without_a_certificate() {
    let refused = Endpoint::bind(secure(&TlsFiles::default())).await.unwrap_err();
    assert!(matches!(refused, BindError::NoCertificate { .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_end_is_cut() {
    let authority = Authority::new();
    let server =
        Server::with(secure(&authority.sign("server", &[dns("example.com")])), Manner::Answer(200)).await;
    let mut slow = TcpStream::connect(server.at(Protocol::Tls)).await.unwrap();
    // The beginning of a client's hello.
    slow.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(Wire::new(slow).end().await, "");
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert_eq!(server.endpoint.metrics().handshakes_failed.value(), 1);
    assert!(server.recorder.closed.lock().unwrap().is_empty(), "it never was a flow");
}

#[tokio::test]
async fn sip_in_the_clear_on_a_tls_port_ends_its_connection_alone() {
    let authority = Authority::new();
    let server =
        Server::with(secure(&authority.sign("server", &[dns("example.com")])), Manner::Answer(200)).await;
    let mut clear = Wire::new(TcpStream::connect(server.at(Protocol::Tls)).await.unwrap());
    clear.send(&over_tls("z9hG4bK1")).await;
    clear.end().await;
    eventually(|| server.endpoint.metrics().handshakes_failed.value() == 1).await;
    assert_eq!((server.seen(), server.endpoint.connections()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_shakes_no_hand_fails_its_request_in_time() {
    let server = Server::start(Manner::Answer(200)).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = silent.local_addr().unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(asked(&server, addr, Some("example.com")).await, Err(TransportError::ConnectTimeout));
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn who_says_goodbye_in_tls_still_gets_its_answer() {
    let authority = Authority::new();
    let mut server =
        Server::with(secure(&authority.sign("server", &[dns("example.com")])), Manner::Hand).await;
    let stream = authority.connect(server.at(Protocol::Tls), "example.com", None).await.unwrap();
    let mut wire = Wire::new(stream);
    wire.send(&over_tls("z9hG4bK1")).await;
    let (request, transaction) = server.next().await;
    // close_notify
    wire.stream.get_mut().1.send_close_notify();
    wire.stream.flush().await.unwrap();
    eventually(|| !server.endpoint.is_open(&transaction.flow())).await;
    transaction.respond(sip::ResponseBuilder::to_request(&request, 200, "OK").encode());
    assert!(wire.receive().await.starts_with("SIP/2.0 200"));
    assert_eq!(wire.end().await, "");
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_message_is_told_and_hurts_nobody() {
    let authority = Authority::new();
    let server =
        Server::with(secure(&authority.sign("server", &[dns("example.com")])), Manner::Answer(200)).await;
    let at = server.at(Protocol::Tls);
    let mut one = Wire::new(authority.connect(at, "example.com", None).await.unwrap());
    let mut two = Wire::new(authority.connect(at, "example.com", None).await.unwrap());
    let whole = over_tls("z9hG4bK1");
    one.send(&whole[..whole.len() / 2]).await;
    settle().await;
    one.stream.get_ref().0.set_zero_linger().unwrap();
    drop(one);
    eventually(|| server.recorder.closed.lock().unwrap().len() == 1).await;
    two.send(&whole).await;
    assert!(two.receive().await.starts_with("SIP/2.0 200"));
    eventually(|| server.endpoint.connections() == 1).await;
}

#[tokio::test]
async fn certificates_change_under_load_and_no_request_is_lost() {
    let authority = Arc::new(Authority::new());
    let names = [dns("example.com")];
    let server = Server::with(secure(&authority.sign("server", &names)), Manner::Answer(200)).await;
    let at = server.at(Protocol::Tls);
    let mut phones = Vec::new();
    for phone in 0..8 {
        let authority = Arc::clone(&authority);
        phones.push(tokio::spawn(async move {
            let mut lasting = Wire::new(authority.connect(at, "example.com", None).await.unwrap());
            for round in 0..20 {
                let mut fresh = Wire::new(authority.connect(at, "example.com", None).await.unwrap());
                for wire in [&mut lasting, &mut fresh] {
                    wire.send(&over_tls(&format!("z9hG4bK{phone}.{round}"))).await;
                    assert!(wire.receive().await.starts_with("SIP/2.0 200"));
                }
            }
        }));
    }
    for _ in 0..20 {
        server.endpoint.reload_tls(&authority.sign("server", &names)).unwrap();
        settle().await;
    }
    for phone in phones {
        phone.await.unwrap();
    }
}
