//! Messages for the tests of this room.

use sip::{Framed, Limits, Message, Request};

/// A request of that start line and those fields; what every request must have is added, and `body`.
pub(crate) fn request(start_and_fields: &str, body: &[u8]) -> Request {
    let method = start_and_fields.split(' ').next().unwrap();
    let (start, fields) = start_and_fields.split_once("\r\n").unwrap();
    let to = if fields.contains("To: ") { "" } else { "To: <sip:annc@example.com>\r\n" };
    let cseq = if fields.contains("CSeq: ") { String::new() } else { format!("CSeq: 1 {method}\r\n") };
    let head = format!(
        "{start}\r\nVia: SIP/2.0/UDP 192.0.2.33:5060;branch=z9hG4bKtest\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.org>;tag=f\r\n{to}Call-ID: test@192.0.2.33\r\n{cseq}{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    let octets = [head.as_bytes(), body].concat();
    let Ok(Framed::Message(raw)) = sip::frame::datagram(octets.into(), &Limits::default()) else { panic!() };
    match sip::validate(raw, &Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}
