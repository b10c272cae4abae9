//! Index and validation allocate nothing, whatever the body.

use bytes::Bytes;
use sip::{Framed, Limits, Message, Outgoing, StreamFramer, frame};

fn message(body: usize) -> Bytes {
    let head = format!(
        "MESSAGE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h.example.net:5060;rport;branch=z9hG4bK776asdhds\r\n\
         Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@example.net>;tag=49583\r\nTo: <sip:bob@example.com>\r\n\
         Call-ID: asd88asd77a@192.0.2.4\r\nCSeq: 1 MESSAGE\r\nUser-Agent: x\r\nSupported: path, outbound\r\n\
         Accept: text/plain, image/gif;q=0.5\r\nContent-Type: image/jpeg\r\nContent-Length: {body}\r\n\r\n"
    );
    let whole = Bytes::from([head.as_bytes(), &vec![b'\r'; body]].concat());
    // The first clone of Bytes made from a Vec allocates its count; what a socket hands out has one.
    drop(whole.clone());
    whole
}

fn understood(octets: &Bytes) -> Message {
    let limits = Limits::default();
    let Ok(Framed::Message(raw)) = frame::datagram(octets.clone(), &limits) else { panic!() };
    sip::validate(raw, &limits).unwrap()
}

#[test]
fn index_and_validation_allocate_nothing_whatever_the_body() {
    for body in [0, 30_000, 1_000_000] {
        let octets = message(body);
        let used = allocation_counter::measure(|| drop(understood(&octets)));
        assert_eq!(used.count_total, 0, "{body}");
    }
}

#[test]
fn reading_a_message_allocates_nothing() {
    let Message::Request(request) = understood(&message(30_000)) else { panic!() };
    let used = allocation_counter::measure(|| {
        assert_eq!(request.top_via().port(), Some(5060));
        assert_eq!(request.branch(), request.top_via().branch());
        assert_eq!(request.uri().user(), Some(&b"bob"[..]));
        assert_eq!((request.from_tag(), request.to_tag()), (Some(&b"49583"[..]), None));
        assert_eq!((request.call_id().len(), request.cseq().number, request.body().len()), (21, 1, 30_000));
        assert_eq!(request.header_named("user-agent"), Some(&b"x"[..]));
    });
    assert_eq!(used.count_total, 0);
}

#[test]
fn forwarding_allocates_the_head_and_never_the_body() {
    let Message::Request(request) = understood(&message(1_000_000)) else { panic!() };
    let used = allocation_counter::measure(|| {
        let mut outgoing = Outgoing::from(&request);
        outgoing.push_via("SIP/2.0/UDP us.example.com;branch=z9hG4bKu");
        outgoing.set_max_forwards(69);
        drop(outgoing.encode());
    });
    assert!(used.bytes_total < 4096, "{}", used.bytes_total);
}

#[test]
fn a_stream_gives_its_buffer_back_with_a_long_message() {
    let octets = message(1_000_000);
    let mut framer = StreamFramer::new(Limits::default());
    let used = allocation_counter::measure(|| {
        for piece in octets.chunks(16 * 1024) {
            framer.push(piece);
            assert!(framer.next().is_ok());
        }
        framer.push(b"\r\n");
        assert!(matches!(framer.next(), Ok(Some(Framed::KeepalivePong))));
    });
    assert!(used.bytes_current < 1024, "{}", used.bytes_current);
    assert!(used.bytes_max < 4 * 1024 * 1024, "{}", used.bytes_max);
}
