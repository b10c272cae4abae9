//! Input that means harm, or is merely broken: each gets its answer, and the server goes on.

use crate::deliver;
use crate::harness::{self, Line, Message, Phone, Server, phone};

fn alive(server: &Server) {
    let mut options = phone::message_to("").set("To", "<sip:example.com>").set("CSeq", "1 OPTIONS");
    options.start = "OPTIONS sip:example.com SIP/2.0".to_owned();
    assert_eq!(Line::udp(server.sip).request(&options).status(), 200);
}

fn torture() -> Vec<(String, Vec<u8>)> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/torture");
    let mut all: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "dat"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    all.sort();
    assert_eq!(all.len(), 49);
    all
}

#[test]
fn no_torture_message_crashes_the_server_over_udp_or_tcp() {
    let mut server = Server::start();
    let mut udp = Line::udp(server.sip);
    for (_, octets) in torture() {
        udp.send(&octets);
        // The server may close a stream on what it can't frame.
        let mut tcp = Line::tcp(server.sip);
        tcp.send_what_is_taken(&octets);
    }
    alive(&server);
    server.terminate();
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn a_mime_tree_of_a_thousand_levels_is_answered() {
    let server = Server::start();
    let mut john = Phone::tcp("john");
    john.register(&server, &[("Accept", "text/plain, multipart/mixed, image/gif")]);
    let mut body = b"Content-Type: text/plain\r\n\r\ndeep".to_vec();
    for level in (1..1_000).rev() {
        let head = format!("Content-Type: multipart/mixed;boundary=b{level}\r\n\r\n--b{level}\r\n");
        body = [head.as_bytes(), &body, format!("\r\n--b{level}--\r\n").as_bytes()].concat();
    }
    let body = [b"--b0\r\n", &body[..], b"\r\n--b0--\r\n"].concat();
    let (received, answer) =
        deliver(&server, &mut john, &phone::message_to("john").body("multipart/mixed;boundary=b0", &body));
    assert_eq!(answer.status(), 200, "{answer}");
    assert!(!received.body.is_empty());
    alive(&server);
}

#[test]
fn a_header_line_of_64_kib_is_refused_with_a_reason() {
    let server = Server::start();
    let mut line = Line::tcp(server.sip);
    let request = phone::message_to("john").with("Subject", &"x".repeat(65_536));
    line.send_what_is_taken(&line.with_via(&request).octets());
    match line.try_response() {
        Some(answer) => assert!(matches!(answer.status(), 400 | 413 | 513), "{answer}"),
        None => panic!("the connection was closed without an answer"),
    }
    alive(&server);
}

#[test]
fn a_body_cut_short_in_a_datagram_is_400() {
    let server = Server::start();
    let mut line = Line::udp(server.sip);
    let mut octets = line.with_via(&phone::message_to("john").body("text/plain", &[b'x'; 100])).octets();
    octets.truncate(octets.len() - 40);
    line.send(&octets);
    assert_eq!(line.final_response().status(), 400);
    alive(&server);
}

#[test]
fn a_stream_that_ends_in_a_message_has_it_refused_by_name() {
    let server = Server::start();
    for (cut, reason) in [(1, "Body Shorter Than Content-Length"), (12, "Head Without End")] {
        let mut line = Line::tcp(server.sip);
        let request = line.with_via(&phone::message_to("john").body("text/plain", b"hello")).octets();
        line.send(&request[..request.len() - cut]);
        line.send_no_more();
        let answer = line.final_response();
        assert_eq!((answer.status(), answer.reason()), (400, reason), "{answer}");
        assert!(line.try_response().is_none(), "and closed");
    }
    alive(&server);
}

#[test]
fn who_closes_half_of_a_stream_gets_the_answer_that_takes_longer() {
    let server = Server::start();
    let mut john = Phone::tcp("john");
    john.register(&server, &[]);
    let mut line = Line::tcp(server.sip);
    line.send(&line.with_via(&phone::message_to("john").body("text/plain", b"hello")).octets());
    line.send_no_more();
    john.take();
    assert_eq!(line.final_response().status(), 200);
    assert!(line.try_response().is_none(), "and closed");
}

#[test]
fn a_picture_that_is_only_a_head_is_linked() {
    let server = Server::start();
    let mut john = Phone::tcp("john");
    john.register(&server, &[("Accept", "text/plain, image/png;media-pix-x=max+160")]);
    let photo = harness::data("images/life_640x480.jpg");
    let message: Message = phone::message_to("john").body("image/jpeg", &photo[..200]);
    let (received, answer) = deliver(&server, &mut john, &message);
    assert_eq!(answer.status(), 200, "{answer}");
    assert!(String::from_utf8_lossy(&received.body).contains("http://"), "{received}");
}
