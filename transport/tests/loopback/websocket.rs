//! SIP over WebSocket (RFC 7118) with tungstenite at the other end, and by hand what it would never send.

use futures_util::{SinkExt, StreamExt};
use sip::{Method, RequestBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use transport::{ClientEvent, Config, Destination, Flow, Listen, Protocol, TransportError};

use crate::certificates::{Authority, dns};
use crate::harness::{Manner, Server, Wire, config, eventually, field, message, reply, settle};

fn with_ws(config: Config) -> Config {
    let mut listen = config.listen.clone();
    listen.push(Listen { protocol: Protocol::Ws, addr: "127.0.0.1:0".parse().unwrap() });
    Config { listen, ..config }
}

fn asking(protocol: &str) -> tokio_tungstenite::tungstenite::handshake::client::Request {
    let mut request = "ws://example.com/".into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", protocol.parse().unwrap());
    request
}

async fn socket(server: &Server) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(server.at(Protocol::Ws)).await.unwrap();
    let (socket, answer) = client_async(asking("sip"), stream).await.unwrap();
    assert_eq!(answer.headers()["Sec-WebSocket-Protocol"], "sip");
    socket
}

/// As a browser's phone sends it: a host that is none, and no Content-Length.
fn over_ws(method: &str, branch: &str, body: &str) -> String {
    message(method, &format!("df7jal23ls0d.invalid;branch={branch}"), body)
        .replace("SIP/2.0/UDP", "SIP/2.0/WS")
        .replace(&format!("Content-Length: {}\r\n", body.len()), "")
}

async fn text<S>(socket: &mut WebSocketStream<S>) -> String
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    socket.next().await.unwrap().unwrap().into_text().unwrap().to_string()
}

/// A client's frame, its mask all zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[first, 0x80 | 126][..], &len, &[0; 4], payload].concat()
}

/// Past the handshake, in octets.
async fn raw(server: &Server) -> Wire {
    let mut wire = Wire::new(TcpStream::connect(server.at(Protocol::Ws)).await.unwrap());
    wire.send(
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
    )
    .await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(wire.stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    wire
}

async fn close_code(wire: Wire) -> u16 {
    let mut stream = wire.stream;
    let mut octets = Vec::new();
    let _reset = stream.read_to_end(&mut octets).await;
    let at = octets.windows(2).position(|pair| pair == [0x88, 2]).unwrap_or_else(|| panic!("{octets:?}"));
    u16::from_be_bytes([octets[at + 2], octets[at + 3]])
}

#[tokio::test]
async fn text_and_binary_messages_are_requests_and_get_their_answers() {
    let server = Server::with(with_ws(config()), Manner::Answer(200)).await;
    let mut socket = socket(&server).await;
    socket.send(Message::text(over_ws("MESSAGE", "z9hG4bK1", "hello"))).await.unwrap();
    let answer = text(&mut socket).await;
    assert!(answer.starts_with("SIP/2.0 200") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(field(&answer, "Via").starts_with("SIP/2.0/WS df7jal23ls0d.invalid"), "{answer}");
    let binary = [over_ws("MESSAGE", "z9hG4bK2", "").as_bytes(), b"\xff\xfe"].concat();
    socket.send(Message::binary(binary)).await.unwrap();
    assert!(text(&mut socket).await.starts_with("SIP/2.0 200"));
    let bodies: Vec<_> =
        server.recorder.requests.lock().unwrap().iter().map(|r| r.raw().body_octets().to_vec()).collect();
    assert_eq!(bodies, [&b"hello"[..], b"\xff\xfe"]);
}

#[tokio::test]
async fn a_flow_reaches_its_browser_and_no_address_does() {
    let mut server = Server::with(with_ws(config()), Manner::Hand).await;
    let mut socket = socket(&server).await;
    socket.send(Message::text(over_ws("REGISTER", "z9hG4bK1", ""))).await.unwrap();
    let (_, transaction) = server.next().await;
    let flow = transaction.flow();
    transaction.abandon();
    assert_eq!(flow.protocol, Protocol::Ws);
    let outgoing = |body: &[u8]| {
        RequestBuilder::new(Method::Message, "sip:bob@df7jal23ls0d.invalid;transport=ws")
            .from("<sip:a@b>;tag=1")
            .to("<sip:bob@b>")
            .call_id("c")
            .cseq(1)
            .body(body.to_vec())
            .build()
    };
    for (body, is_text) in [(&b"hi"[..], true), (b"\xff\xd8picture", false)] {
        let client = server.endpoint.request(outgoing(body), Destination::Flow(flow));
        let received = socket.next().await.unwrap().unwrap();
        assert_eq!(received.is_text(), is_text);
        let request = String::from_utf8_lossy(&received.into_data()).into_owned();
        assert!(field(&request, "Via").starts_with("SIP/2.0/WS "), "{request}");
        socket.send(Message::text(reply(&request, 200))).await.unwrap();
        let Some(ClientEvent::Response(response)) = client.last().await else { panic!("no response") };
        assert_eq!(response.status(), 200);
    }
    for protocol in [Protocol::Ws, Protocol::Wss] {
        let destination = Destination::Address { protocol, addr: flow.remote };
        let event = server.endpoint.request(outgoing(b""), destination).last().await;
        assert!(matches!(event, Some(ClientEvent::TransportError(TransportError::FlowOnly))), "{event:?}");
    }
    socket.close(None).await.unwrap();
    eventually(|| !server.endpoint.is_open(&flow)).await;
    assert_eq!(*server.recorder.closed.lock().unwrap(), [flow]);
}

#[tokio::test]
async fn a_message_in_fragments_with_a_ping_between_is_a_message() {
    let server = Server::with(with_ws(config()), Manner::Answer(200)).await;
    let mut wire = raw(&server).await;
    let request = over_ws("MESSAGE", "z9hG4bK1", "hello");
    let (one, rest) = request.as_bytes().split_at(10);
    let (two, three) = rest.split_at(20);
    let all =
        [frame(0x01, one), frame(0x89, b"are you there"), frame(0x00, two), frame(0x80, three)].concat();
    for octet in all {
        wire.stream.write_all(&[octet]).await.unwrap();
        settle().await;
    }
    let mut pong = [0; 15];
    wire.stream.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\x8a\x0dare you there");
    let mut head = [0; 4];
    wire.stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[..2], [0x81, 126]);
    assert!(wire.receive().await.starts_with("SIP/2.0 200"));
    assert_eq!(server.recorder.requests.lock().unwrap()[0].raw().body_octets(), b"hello");
    assert_eq!(server.endpoint.buffered(), 0);
}

#[tokio::test]
async fn a_double_crlf_is_a_keepalive_here_too() {
    let server = Server::with(with_ws(config()), Manner::Answer(200)).await;
    let mut socket = socket(&server).await;
    socket.send(Message::text("\r\n\r\n")).await.unwrap();
    assert_eq!(text(&mut socket).await, "\r\n");
    assert_eq!(server.endpoint.metrics().keepalives.value(), 1);
}

#[tokio::test]
async fn a_bad_message_is_answered_and_the_socket_stays() {
    let server = Server::with(with_ws(config()), Manner::Answer(200)).await;
    let mut socket = socket(&server).await;
    let good = over_ws("MESSAGE", "z9hG4bK1", "");
    let short = good.replace("CSeq:", "Content-Length: 5\r\nCSeq:");
    for (bad, expected) in
        [(good.replace("CSeq: 1 MESSAGE", "CSeq: 1 INVITE"), "CSeq"), (short, "Body Shorter")]
    {
        socket.send(Message::text(bad)).await.unwrap();
        let answer = text(&mut socket).await;
        assert!(answer.starts_with(&format!("SIP/2.0 400 {expected}")), "{answer}");
    }
    socket.send(Message::text(good)).await.unwrap();
    assert!(text(&mut socket).await.starts_with("SIP/2.0 200"));
}

#[tokio::test]
async fn a_handshake_without_the_subprotocol_is_refused_with_a_reason() {
    let server = Server::with(with_ws(config()), Manner::Answer(200)).await;
    let stream = TcpStream::connect(server.at(Protocol::Ws)).await.unwrap();
    let Err(Error::Http(refused)) = client_async(asking("chat"), stream).await else { panic!("accepted") };
    assert_eq!(refused.status(), 400);
    let mut plain = Wire::new(TcpStream::connect(server.at(Protocol::Ws)).await.unwrap());
    plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = plain.end().await;
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    assert!(answer.ends_with("Sec-WebSocket-Protocol: sip\n"), "{answer}");
    let mut noise = Wire::new(TcpStream::connect(server.at(Protocol::Ws)).await.unwrap());
    noise.send(&over_ws("MESSAGE", "z9hG4bK1", "")).await;
    assert!(noise.end().await.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    assert_eq!(server.endpoint.metrics().handshakes_failed.value(), 3);
}

#[tokio::test]
async fn what_breaks_the_rules_of_websocket_is_closed_with_its_code() {
    let allowed = sip::Limits { head: 1000, body: 2000, ..sip::Limits::default() };
    let server = Server::with(with_ws(Config { messages: allowed, ..config() }), Manner::Answer(200)).await;
    let mut unmasked = frame(0x81, b"hello");
    unmasked[1] = 126;
    let broken: [(Vec<u8>, u16); 9] = [
        (unmasked, 1002),
        (frame(0xC1, b"a reserved bit"), 1002),
        (frame(0x83, b"an opcode of nobody's"), 1002),
        (frame(0x80, b"a continuation of nothing"), 1002),
        ([frame(0x01, b"one"), frame(0x81, b"another within")].concat(), 1002),
        (frame(0x89, &[b'x'; 126]), 1002),
        (frame(0x09, b"a ping in pieces"), 1002),
        (frame(0x81, &[b'x'; 3001]), 1009),
        ([frame(0x01, &[b'x'; 2000]), frame(0x80, &[b'x'; 1001])].concat(), 1009),
    ];
    for (octets, code) in broken {
        let mut wire = raw(&server).await;
        wire.stream.write_all(&octets).await.unwrap();
        wire.stream.shutdown().await.unwrap();
        assert_eq!(close_code(wire).await, code, "{:?}", &octets[..2]);
    }
    eventually(|| server.endpoint.connections() == 0).await;
    assert_eq!(server.endpoint.buffered(), 0);
}

#[tokio::test]
async fn a_close_is_answered_with_its_code() {
    let server = Server::with(with_ws(config()), Manner::Answer(200)).await;
    let mut socket = socket(&server).await;
    let frame = CloseFrame { code: CloseCode::Away, reason: "leaving".into() };
    socket.close(Some(frame)).await.unwrap();
    let Message::Close(Some(back)) = socket.next().await.unwrap().unwrap() else { panic!("no close") };
    assert_eq!(back.code, CloseCode::Away);
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn a_server_that_ends_says_that_it_goes_away() {
    let server = Server::with(with_ws(config()), Manner::Answer(200)).await;
    let mut socket = socket(&server).await;
    let endpoint = server.endpoint.clone();
    let draining = tokio::spawn(async move { endpoint.drain(std::time::Duration::from_secs(1)).await });
    let Message::Close(Some(said)) = socket.next().await.unwrap().unwrap() else { panic!("no close") };
    assert_eq!(said.code, CloseCode::Away);
    drop(socket);
    assert_eq!(draining.await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_socket_is_pinged_and_one_that_answers_nothing_is_closed() {
    let server = Server::with(with_ws(config()), Manner::Answer(200)).await;
    let mut lively = socket(&server).await;
    let answering = tokio::spawn(async move {
        // Reading is what makes tungstenite answer.
        let mut pings = 0;
        while let Some(Ok(Message::Ping(_))) = lively.next().await {
            pings += 1;
            if pings == 50 {
                break;
            }
        }
        pings
    });
    let mut dead = raw(&server).await;
    let begun = tokio::time::Instant::now();
    let mut octets = Vec::new();
    let _reset = dead.stream.read_to_end(&mut octets).await;
    assert_eq!(begun.elapsed().as_secs(), 120);
    assert_eq!(octets[..6], [0x89, 0, 0x89, 0, 0x89, 0]);
    assert_eq!(server.endpoint.metrics().connections_idle.value(), 1);
    assert_eq!(answering.await.unwrap(), 50, "25 minutes: longer than an idle connection lasts");
}

#[tokio::test(start_paused = true)]
async fn handshakes_and_messages_that_do_not_end_are_cut() {
    let server = Server::with(with_ws(config()), Manner::Answer(200)).await;
    let begun = tokio::time::Instant::now();
    let mut slow = Wire::new(TcpStream::connect(server.at(Protocol::Ws)).await.unwrap());
    slow.send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ").await;
    assert_eq!(slow.end().await, "");
    assert_eq!(begun.elapsed().as_secs(), 10);
    for part in [&frame(0x81, b"hello")[..1], &frame(0x81, b"hello")[..8], &frame(0x01, b"hello")] {
        let mut wire = raw(&server).await;
        let begun = tokio::time::Instant::now();
        wire.stream.write_all(part).await.unwrap();
        let mut octets = Vec::new();
        let _reset = wire.stream.read_to_end(&mut octets).await;
        // A message in fragments may be all body, which has a minute.
        assert_eq!(begun.elapsed().as_secs(), if part[0] == 0x01 { 60 } else { 10 });
    }
    assert_eq!(server.endpoint.metrics().connections_slow.value(), 3);
}

#[tokio::test]
async fn what_all_connections_hold_together_bounds_sockets_too() {
    let server =
        Server::with(with_ws(Config { buffered_octets: 5000, ..config() }), Manner::Answer(200)).await;
    let mut wire = raw(&server).await;
    wire.stream.write_all(&frame(0x01, &[b'x'; 6000])).await.unwrap();
    wire.stream.shutdown().await.unwrap();
    assert_eq!(close_code(wire).await, 1013);
    eventually(|| server.endpoint.buffered() == 0).await;
}

#[tokio::test]
async fn a_page_of_another_origin_is_turned_away() {
    let origins = vec!["https://phone.example.com".to_owned()];
    let server = Server::with(with_ws(Config { origins, ..config() }), Manner::Answer(200)).await;
    for (origin, expected) in [("https://phone.example.com", None), ("https://evil.example", Some(403))] {
        let mut request = asking("sip");
        request.headers_mut().insert("Origin", origin.parse().unwrap());
        let stream = TcpStream::connect(server.at(Protocol::Ws)).await.unwrap();
        let refused = match client_async(request, stream).await {
            Err(Error::Http(refused)) => Some(refused.status().as_u16()),
            other => other.map(|_| None).unwrap(),
        };
        assert_eq!(refused, expected, "{origin}");
    }
}

#[tokio::test]
async fn a_secure_socket_is_a_socket_below_tls() {
    let authority = Authority::new();
    let mut config = Config { tls: authority.sign("server", &[dns("example.com")]), ..config() };
    config.listen.push(Listen { protocol: Protocol::Wss, addr: "[::1]:0".parse().unwrap() });
    let mut server = Server::with(config, Manner::Hand).await;
    let own = authority.sign("client", &[dns("phone.example.com")]);
    let stream = authority.connect(server.at(Protocol::Wss), "example.com", Some(&own)).await.unwrap();
    let (mut socket, _) = client_async(asking("sip"), stream).await.unwrap();
    let request = over_ws("REGISTER", "z9hG4bK1", "").replace("SIP/2.0/WS", "SIP/2.0/WSS");
    socket.send(Message::text(request)).await.unwrap();
    let (request, transaction) = server.next().await;
    let flow = transaction.flow();
    assert_eq!((flow.protocol, flow.local.is_ipv6()), (Protocol::Wss, true));
    assert_eq!(server.endpoint.identities(&flow), ["phone.example.com"]);
    transaction.respond(sip::ResponseBuilder::to_request(&request, 200, "OK").encode());
    assert!(text(&mut socket).await.starts_with("SIP/2.0 200"));
}

/// What an HTTP server hands over after its own handshake.
#[tokio::test]
async fn a_socket_that_somebody_else_accepted_is_adopted() {
    let mut server = Server::with(Config { connections: 1, ..config() }, Manner::Hand).await;
    let (local, remote) = ("127.0.0.1:8080".parse().unwrap(), "192.0.2.7:50000".parse().unwrap());
    let adopt = || -> (DuplexStream, Result<Flow, TransportError>) {
        let (near, far) = tokio::io::duplex(1 << 16);
        (far, server.endpoint.adopt(near, Protocol::Ws, local, remote))
    };
    let (mut far, adopted) = adopt();
    let flow = adopted.unwrap();
    assert_eq!((flow.protocol, flow.local, flow.remote), (Protocol::Ws, local, remote));
    assert_eq!(adopt().1, Err(TransportError::Limit));
    far.write_all(&frame(0x81, over_ws("MESSAGE", "z9hG4bK1", "hi").as_bytes())).await.unwrap();
    let (request, transaction) = server.next().await;
    assert_eq!(transaction.flow(), flow);
    transaction.respond(sip::ResponseBuilder::to_request(&request, 200, "OK").encode());
    let mut head = [0; 4];
    far.read_exact(&mut head).await.unwrap();
    assert_eq!(head[..2], [0x81, 126]);
    drop(far);
    eventually(|| server.endpoint.connections() == 0).await;
}
