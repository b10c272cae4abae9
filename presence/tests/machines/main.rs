//! The machines of the room: PUBLISH step by step, and what a SUBSCRIBE makes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step here is a failed test"
)]

mod backing;
mod publishing;
mod subscribing;

use sip::{Framed, Limits, Message, Request};

/// A request of that method with those lines.
fn request(method: &str, lines: &str) -> Request {
    let text = format!(
        "{method} sip:john@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@example.com>;tag=b\r\nTo: <sip:john@example.com>\r\nCall-ID: c@h\r\nCSeq: 7 {method}\r\n\
         {lines}Content-Length: 0\r\n\r\n"
    );
    let Framed::Message(raw) = sip::frame::datagram(text.into(), &Limits::default()).unwrap() else {
        panic!("no message")
    };
    let Message::Request(request) = sip::validate(raw, &Limits::default()).unwrap() else {
        panic!("no request")
    };
    request
}
