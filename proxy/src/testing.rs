//! Messages for the tests of this room.

use sip::{Framed, Limits, Message, Request, Response};

/// A request of that start line and those fields; what every request must have is added, and `body`.
pub(crate) fn request(start_and_fields: &str, body: &[u8]) -> Request {
    let method = start_and_fields.split(' ').next().unwrap();
    let (start, fields) = start_and_fields.split_once("\r\n").unwrap();
    let head = format!(
        "{start}\r\nVia: SIP/2.0/UDP 192.0.2.33:5060;branch=z9hG4bKtest\r\n\
         From: <sip:alice@example.org>;tag=f\r\nTo: <sip:john@example.com>\r\nCall-ID: test@192.0.2.33\r\n\
         CSeq: 1 {method}\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    let octets = [head.as_bytes(), body].concat();
    let Ok(Framed::Message(raw)) = sip::frame::datagram(octets.into(), &Limits::default()) else { panic!() };
    match sip::validate(raw, &Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

/// A response of that status line and those fields; what every response must have is added.
pub(crate) fn response(status_and_fields: &str) -> Response {
    let (status, fields) = status_and_fields.split_once("\r\n").unwrap();
    let head = format!(
        "{status}\r\nVia: SIP/2.0/UDP 192.0.2.33:5060;branch=z9hG4bKtest\r\n\
         From: <sip:alice@example.org>;tag=f\r\nTo: <sip:john@example.com>;tag=t\r\nCall-ID: test@192.0.2.33\r\n\
         CSeq: 1 MESSAGE\r\n{fields}Content-Length: 0\r\n\r\n"
    );
    let octets = head.into_bytes();
    let Ok(Framed::Message(raw)) = sip::frame::datagram(octets.into(), &Limits::default()) else { panic!() };
    match sip::validate(raw, &Limits::default()) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}
