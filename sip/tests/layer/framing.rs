//! Framing of datagrams and streams: keepalives, pieces, limits, Content-Length.

use bytes::Bytes;
use sip::{Framed, HeaderId, Kind, Limits, StreamFramer, Verdict, frame};

const HEAD: &str = "MESSAGE sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:b@h>;tag=1\r\n\
    To: <sip:a@example.com>\r\nCall-ID: x\r\nCSeq: 1 MESSAGE\r\n";

fn message(body: &str) -> String {
    format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn bodies(framer: &mut StreamFramer) -> Vec<String> {
    std::iter::from_fn(|| framer.next().unwrap())
        .filter_map(|framed| match framed {
            Framed::Message(raw) => Some(String::from_utf8(raw.body_octets().to_vec()).unwrap()),
            _ => None,
        })
        .collect()
}

fn datagram(text: impl Into<Vec<u8>>) -> Result<Framed, sip::FrameError> {
    frame::datagram(Bytes::from(text.into()), &Limits::default())
}

fn kind<T: std::fmt::Debug>(result: Result<T, sip::Invalid>) -> Kind {
    result.unwrap_err().kind
}

#[test]
fn messages_come_out_of_a_stream_however_it_is_cut() {
    let stream =
        [message("one"), "\r\n\r\n".into(), message(""), "\r\n".into(), message("three\r\n\r\n")].concat();
    for size in [1, 2, 3, 7, 64, 100_000] {
        let mut framer = StreamFramer::new(Limits::default());
        let mut all = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            framer.push(piece);
            all.extend(bodies(&mut framer));
        }
        assert_eq!(all, ["one", "", "three\r\n\r\n"], "pieces of {size}");
        assert_eq!(framer.buffered(), 0);
    }
}

#[test]
fn a_ping_is_two_crlfs_and_a_pong_is_one() {
    let keepalives = |pieces: &[&str]| {
        let mut framer = StreamFramer::new(Limits::default());
        let mut seen = String::new();
        for piece in pieces {
            framer.push(piece.as_bytes());
            while let Some(framed) = framer.next().unwrap() {
                seen.push(match framed {
                    Framed::KeepalivePing => 'i',
                    Framed::KeepalivePong => 'o',
                    Framed::Message(_) => 'm',
                });
            }
        }
        seen
    };
    assert_eq!(keepalives(&["\r\n\r\n"]), "i");
    assert_eq!(keepalives(&["\r\n"]), "o");
    assert_eq!(keepalives(&["\r\n\r", "\n"]), "i");
    assert_eq!(keepalives(&["\r\n", "\r\n"]), "oi");
    assert_eq!(keepalives(&["\r", "\n\r\n\r\n\r\n"]), "ii");
    assert_eq!(keepalives(&["\r\n", &message("x"), "\r\n\r\n"]), "omi");
}

#[test]
fn datagram_keepalives_are_told_from_messages() {
    assert!(matches!(datagram("\r\n\r\n"), Ok(Framed::KeepalivePing)));
    assert!(matches!(datagram("\r\n"), Ok(Framed::KeepalivePong)));
    let Ok(Framed::Message(raw)) = datagram(format!("\r\n\r\n{}", message("hi"))) else { panic!() };
    assert_eq!(raw.body_octets(), b"hi");
    assert!(raw.octets().starts_with(b"MESSAGE"));
}

#[test]
fn noise_in_a_datagram_is_dropped_without_an_answer() {
    for noise in
        [&b""[..], b"\0\0\0\0", b"hello\r\n\r\n", b"\x16\x03\x01", b"SIP/2.0 200 OK\r\n", b"\r", b":\r\n\r\n"]
    {
        let verdict = match datagram(noise) {
            Ok(Framed::Message(raw)) => sip::validate(raw, &Limits::default()).unwrap_err().verdict(),
            other => other.unwrap_err().verdict(),
        };
        assert_eq!(verdict, Verdict::Drop, "{}", noise.escape_ascii());
    }
}

#[test]
fn noise_on_a_stream_closes_it() {
    for noise in
        ["GET / HTTP/1.1\r\nHost: h\r\n\r\n", "hello\r\nContent-Length: 0\r\n\r\n", ":\r\n\r\n", "x\n"]
    {
        let mut framer = StreamFramer::new(Limits::default());
        framer.push(noise.as_bytes());
        let invalid = match framer.next() {
            Ok(Some(Framed::Message(raw))) => sip::validate(raw, &Limits::default()).unwrap_err(),
            other => other.unwrap_err(),
        };
        assert_eq!(invalid.verdict(), Verdict::Close, "{noise}");
    }
}

#[test]
fn a_stream_message_without_content_length_is_refused() {
    let mut framer = StreamFramer::new(Limits::default());
    framer.push(format!("{HEAD}\r\n").as_bytes());
    let invalid = framer.next().unwrap_err();
    assert_eq!(invalid.kind, Kind::MissingContentLength);
    assert!(matches!(invalid.verdict(), Verdict::Answer { status: 400, close: true, .. }));
    framer.push(message("x").as_bytes());
    assert!(matches!(framer.next(), Ok(None)), "a lost stream gives nothing more");
    assert_eq!(framer.buffered(), 0);
}

#[test]
fn both_framings_read_content_length_alike() {
    for (lines, expected) in [
        ("Content-Length: 02\r\n", Ok(2)),
        ("l:\r\n 2\r\n", Ok(2)),
        ("Content-Length: 2\r\nl: 2\r\n", Err(Kind::Repeated(HeaderId::ContentLength))),
        ("Content-Length: 2\r\nl: 3\r\n", Err(Kind::Repeated(HeaderId::ContentLength))),
        ("Content-Length: -2\r\n", Err(Kind::BadContentLength)),
        ("Content-Length: 2, 2\r\n", Err(Kind::BadContentLength)),
        ("Content-Length: 1\r\n 2\r\n", Err(Kind::BadContentLength)),
        ("CONTENT-LENGTH : 18446744073709551616\r\n", Err(Kind::BadContentLength)),
        ("Content-Length: +2\r\n", Err(Kind::BadContentLength)),
        ("Content-Length: 9223372036854775808\r\n", Err(Kind::BadContentLength)),
        ("Content-Length: 9223372036854775807\r\n", Err(Kind::BodyTooLong)),
    ] {
        let text = format!("{HEAD}{lines}\r\nhi");
        let mut framer = StreamFramer::new(Limits::default());
        framer.push(text.as_bytes());
        let octets = |framed: Framed| match framed {
            Framed::Message(raw) => raw.body_octets().len(),
            _ => 0,
        };
        let stream = framer.next().map(|framed| octets(framed.unwrap())).map_err(|e| e.kind);
        let datagram = datagram(text.clone()).map(octets).map_err(|e| e.kind);
        assert_eq!(stream, expected, "{lines}");
        // A datagram that ends too early is cut, however long it says it is.
        let cut = if expected == Err(Kind::BodyTooLong) { Err(Kind::BodyTruncated) } else { expected };
        assert_eq!(datagram, cut, "{lines}");
    }
}

#[test]
fn a_cr_or_lf_alone_is_refused_everywhere() {
    for text in ["A: b\nC: d\r\n", "A: b\rC: d\r\n", "A: b\r\n C\n: d\r\n", "A: b\n\n"] {
        assert_eq!(kind(datagram(format!("{HEAD}{text}\r\n"))), Kind::BareLineEnd, "{text:?}");
    }
    let mut framer = StreamFramer::new(Limits::default());
    framer.push(b"MESSAGE sip:a@b SIP/2.0\nVia: x\n\n");
    assert_eq!(kind(framer.next()), Kind::BareLineEnd);
}

#[test]
fn a_nul_is_refused_in_the_head_but_in_a_quoted_pair_and_in_the_body() {
    for lines in ["A: b\0c\r\n", "A: \"b\0\"\r\n", "A: \\\0\r\n", "A: b\r\n \0\r\n", "A: \"\\\\\0\"\r\n"] {
        let text = format!("{HEAD}{lines}Content-Length: 0\r\n\r\n");
        assert_eq!(kind(datagram(text.clone())), Kind::Nul, "{lines:?}");
        let mut framer = StreamFramer::new(Limits::default());
        framer.push(text.as_bytes());
        let invalid = framer.next().unwrap_err();
        assert!(matches!(invalid.verdict(), Verdict::Answer { status: 400, close: true, .. }), "{lines:?}");
    }
    assert_eq!(kind(datagram("MESSAGE sip:a\0@b SIP/2.0\r\n\r\n")), Kind::Nul);
    for legal in ["A: \"b\\\0\"\r\n\r\n", "A: \"\\\"\\\0\"\r\n\r\n", "\r\n\0"] {
        assert!(matches!(datagram(format!("{HEAD}{legal}")), Ok(Framed::Message(_))), "{legal:?}");
    }
}

#[test]
fn tabs_and_other_controls_in_a_value_are_left_as_they_are() {
    for value in ["a\tb", "a\x07\x0bb", "0123456789012345678\t9"] {
        let Ok(Framed::Message(raw)) = datagram(format!("{HEAD}A: {value}\r\n\r\n")) else {
            panic!("{value:?}")
        };
        assert_eq!(raw.header_named("A"), Some(value.as_bytes()));
    }
}

#[test]
fn lines_without_name_or_colon_are_refused() {
    for text in [": x\r\n", "Name\r\n", "Na me: x\r\n", "Näme: x\r\n"] {
        assert_eq!(kind(datagram(format!("{HEAD}{text}\r\n"))), Kind::BadHeaderLine, "{text:?}");
    }
    assert_eq!(kind(datagram("MESSAGE sip:a@b SIP/2.0\r\n folded: x\r\n\r\n")), Kind::BadHeaderLine);
}

fn limits() -> Limits {
    Limits { head: 400, lines: 8, line_octets: 100, vias: 2, params: 2, body: 10, buffered: 500 }
}

#[test]
fn every_framing_limit_is_hit() {
    let datagram = |text: String| kind(frame::datagram(text.into(), &limits()));
    assert_eq!(datagram(format!("{HEAD}A: {}\r\n\r\n", "x".repeat(100))), Kind::LineTooLong);
    assert_eq!(datagram(format!("{HEAD}{}\r\n", "A: 1\r\n".repeat(10))), Kind::TooManyLines);
    let long = format!("A: {}\r\n", "x".repeat(90)).repeat(3);
    assert_eq!(datagram(format!("{HEAD}{long}\r\n")), Kind::HeadTooLong);
    assert_eq!(datagram(format!("{HEAD}\r\n{}", "x".repeat(11))), Kind::BodyTooLong);
    assert_eq!(datagram(format!("MESSAGE sip:{} SIP/2.0\r\n\r\n", "x".repeat(100))), Kind::LineTooLong);
}

#[test]
fn a_stream_is_refused_before_it_holds_more_than_the_limits() {
    let stream = |text: String, held: usize| {
        let mut framer = StreamFramer::new(limits());
        for octet in text.as_bytes() {
            framer.push(&[*octet]);
            match framer.next() {
                Err(invalid) => return invalid.kind,
                Ok(_) => assert!(framer.buffered() <= held, "{}", framer.buffered()),
            }
        }
        panic!("nothing was refused");
    };
    assert_eq!(stream(format!("{HEAD}A: {}", "x".repeat(10_000)), 400), Kind::LineTooLong);
    assert_eq!(stream("x".repeat(10_000), 100), Kind::LineTooLong);
    assert_eq!(stream(format!("{HEAD}{}", "A: xxxxxxxxxx\r\n".repeat(1000)), 400), Kind::HeadTooLong);
    assert_eq!(stream(format!("{HEAD}Content-Length: 11\r\n\r\n"), 400), Kind::BodyTooLong);
}

#[test]
fn a_flood_in_one_push_gives_the_whole_messages_first() {
    let mut framer = StreamFramer::new(limits());
    framer.push(message("one").as_bytes());
    framer.push(&[b'x'; 1000]);
    assert_eq!(framer.buffered(), message("one").len());
    assert!(matches!(framer.next(), Ok(Some(Framed::Message(_)))));
    let invalid = framer.next().unwrap_err();
    assert_eq!((invalid.kind, invalid.verdict()), (Kind::TooMuchBuffered, Verdict::Close));
}

#[test]
fn a_long_line_on_a_stream_is_answered_from_what_came_before_it() {
    let mut framer = StreamFramer::new(Limits::default());
    framer.push(format!("{HEAD}A: {}", "x".repeat(64 * 1024)).as_bytes());
    let invalid = framer.next().unwrap_err();
    assert!(matches!(invalid.verdict(), Verdict::Answer { status: 400, close: true, .. }));
    assert_eq!(invalid.raw.header(HeaderId::CallId), Some(&b"x"[..]));
    let answer = sip::ResponseBuilder::to_request(&invalid, 400, "Header Line Too Long").encode();
    assert!(answer.len() < 400);
}

#[test]
fn validation_limits_are_hit() {
    let validate = |text: String| match frame::datagram(text.into(), &Limits { head: 4000, ..limits() }) {
        Ok(Framed::Message(raw)) => kind(sip::validate(raw, &limits())),
        other => panic!("{other:?}"),
    };
    let via = "Via: SIP/2.0/UDP h;branch=z9hG4bK1";
    assert_eq!(
        validate(HEAD.replace("Call-ID", &format!("{via}, SIP/2.0/UDP i\r\nCall-ID")) + "\r\n"),
        Kind::TooManyVias
    );
    let params = |header: &str, value: &str| HEAD.replace(value, &format!("{value};a;b;c")) + header + "\r\n";
    assert_eq!(validate(params("", "<sip:b@h>")), Kind::TooManyParams(HeaderId::From));
    assert_eq!(validate(params("", "<sip:a@example.com>")), Kind::TooManyParams(HeaderId::To));
    assert_eq!(validate(params("", "branch=z9hG4bK1")), Kind::TooManyParams(HeaderId::Via));
    let register = HEAD.replace("MESSAGE", "REGISTER") + "m: <sip:c@h>;a;b;c\r\n\r\n";
    assert_eq!(validate(register), Kind::TooManyParams(HeaderId::Contact));
}
