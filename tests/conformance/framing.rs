//! Heads that two readers could read differently, over real sockets: all legal spellings are served alike, everything
//! else is 400, and a stream is closed; the log names the source once.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::harness::message::{Message, take_message};
use crate::harness::{Line, PATIENCE, Server};

/// An OPTIONS with `lines` behind what it needs.
fn options(lines: &str) -> Vec<u8> {
    format!(
        "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKf{};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: f\r\n\
         CSeq: 1 OPTIONS\r\n{lines}\r\n",
        crate::harness::phone::serial()
    )
    .into_bytes()
}

const LEGAL: [&str; 6] = [
    "Content-Length: 2\r\n",
    "content-LENGTH:2\r\n",
    "l\t : \t2\r\n",
    "Content-Length :\r\n  2\r\n",
    "L:\r\n\t\r\n 02 \r\n",
    "Subject: \"a\\\0b\"\r\nl: 2\r\n",
];

const REFUSED: [(&str, &str); 10] = [
    ("Content-Length: 2\r\nContent-Length: 3\r\n", "Repeated Content-Length Header"),
    ("Content-Length: 2\r\nl: 2\r\n", "Repeated Content-Length Header"),
    ("Content-Length: 2, 2\r\n", "Bad Content-Length"),
    ("Content-Length: +2\r\n", "Bad Content-Length"),
    ("Content-Length: -2\r\n", "Bad Content-Length"),
    ("Content-Length: 9223372036854775808\r\n", "Bad Content-Length"),
    ("Content-Length: 99999999999999999999\r\n", "Bad Content-Length"),
    ("Subject: a\nContent-Length: 2\r\n", "Bad Line End"),
    ("Subject: a\rContent-Length: 2\r\n", "Bad Line End"),
    ("Subject: a\0b\r\nContent-Length: 2\r\n", "NUL In Head"),
];

#[test]
fn every_legal_spelling_of_a_length_is_served_and_the_stream_goes_on() {
    let server = Server::start();
    let mut stream = connected(&server);
    let mut udp = Line::udp(server.sip);
    for lines in LEGAL {
        let octets = || [options(lines), b"hi".to_vec()].concat();
        udp.send(&octets());
        assert_eq!(udp.final_response().status(), 200, "{lines:?}");
        stream.write_all(&octets()).unwrap();
    }
    let mut pending = Vec::new();
    let answers: Vec<u16> = LEGAL.iter().map(|_| next(&mut stream, &mut pending).unwrap().status()).collect();
    assert_eq!(answers, [200; LEGAL.len()]);
}

#[test]
fn what_can_be_read_in_two_ways_is_400_and_closes_the_stream() {
    let server = Server::start();
    for (lines, reason) in REFUSED {
        let octets = [options(lines), b"hi".to_vec(), options("Content-Length: 0\r\n")].concat();
        let expected = format!("SIP/2.0 400 {reason}");
        let mut udp = Line::udp(server.sip);
        udp.send(&octets);
        assert_eq!(udp.final_response().start, expected, "{lines:?}");
        let mut stream = connected(&server);
        stream.write_all(&octets).unwrap();
        let mut pending = Vec::new();
        assert_eq!(next(&mut stream, &mut pending).unwrap().start, expected, "{lines:?}");
        assert!(next(&mut stream, &mut pending).is_none(), "{lines:?}: the stream goes on");
    }
}

#[test]
fn the_log_names_a_source_of_invalid_messages_once_and_the_counter_has_them_all() {
    let server = Server::start();
    for source in ["127.0.0.1:0", "127.0.0.2:0"] {
        let socket = UdpSocket::bind(source).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        for _ in 0..5 {
            socket.send_to(&options("Content-Length: x\r\n"), server.sip).unwrap();
            socket.recv(&mut [0; 2048]).unwrap();
        }
    }
    let metrics = crate::harness::http::fetch(server.admin, "GET", "/metrics", &[]);
    let counted = "bespoke_sip_invalid_total{reason=\"Content-Length can't be read\"} 10";
    assert!(String::from_utf8_lossy(&metrics.body).contains(counted));
    // What the program writes arrives through a pipe.
    let late = Instant::now() + PATIENCE;
    while !server.log().contains("source=127.0.0.2") && Instant::now() < late {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let log = server.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("invalid message")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    for (line, source) in lines.iter().zip(["127.0.0.1", "127.0.0.2"]) {
        assert!(line.contains(source) && line.contains("Content-Length can't be read"), "{line}");
    }
}

fn connected(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.sip).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The next message, `None` at the connection's end.
fn next(stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<Message> {
    loop {
        if let Some(octets) = take_message(pending) {
            return Some(Message::parse(&octets));
        }
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).ok().filter(|&length| length > 0)?;
        pending.extend(&buffer[..length]);
    }
}
