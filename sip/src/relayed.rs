//! A response on its way back (RFC 3261 §16.7 step 3): what came, without the Via that we put on its request.

use bytes::Bytes;

use crate::encoded::Encoded;
use crate::header::HeaderId;
use crate::message::Response;
use crate::outgoing::Outgoing;
use crate::raw::RawMessage;
use crate::{length, scan};

impl Response {
    /// The response without its topmost Via value, and otherwise octet for octet as it came; Content-Length says what
    /// the body has.
    pub fn relayed(&self) -> Encoded {
        spliced(self.raw()).unwrap_or_else(|| {
            let mut outgoing = Outgoing::from(self);
            outgoing.pop_via();
            outgoing.encode()
        })
    }
}

/// As nearly all are: the top Via has a line of its own, and the length is right.
fn spliced(raw: &RawMessage) -> Option<Encoded> {
    let octets = raw.octets();
    let via = raw.lines().iter().find(|line| line.id == HeaderId::Via)?;
    if scan::holds(via.value(octets), b',') || !has_right_length(raw) {
        return None;
    }
    let before = octets.get(..via.start())?;
    let after = octets.get(via.end()..raw.head().len())?;
    Some(Encoded { head: Bytes::from([before, after].concat()), body: raw.body() })
}

fn has_right_length(raw: &RawMessage) -> bool {
    let body = u64::try_from(raw.body_octets().len()).ok();
    let lines = raw.lines().iter().filter(|line| line.id == HeaderId::ContentLength);
    let mut lengths = lines.map(|line| length::read(line.value(raw.octets()))).peekable();
    lengths.peek().is_some() && lengths.all(|length| length == body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Framed, Limits, Message, frame, validate};

    fn response(vias: &str, rest: &str) -> Response {
        let text = format!(
            "SIP/2.0 200 OK\r\n{vias}From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: x\r\n\
             CSeq: 1 MESSAGE\r\n{rest}"
        );
        let limits = Limits::default();
        let Ok(Framed::Message(raw)) = frame::datagram(text.into(), &limits) else { panic!("framed") };
        let Ok(Message::Response(response)) = validate(raw, &limits) else { panic!("valid") };
        response
    }

    #[test]
    fn both_ways_give_the_same_octets() {
        let ours = "SIP/2.0/UDP us;branch=z9hG4bKu";
        let theirs = "SIP/2.0/UDP h;branch=z9hG4bK1";
        for vias in [
            format!("Via: {ours}\r\nVia: {theirs}\r\n"),
            format!("v: {ours}\r\nX: y\r\nv : {theirs}\r\n"),
            format!("Via: {ours}, {theirs}\r\n"),
            format!("Via: {ours};x=\"a,b\"\r\nVia: {theirs}\r\n"),
            format!("Via: {ours}\r\n"),
        ] {
            for rest in ["Content-Length: 2\r\n\r\nhi", "\r\nhi", "l: 0\r\n\r\n"] {
                let response = response(&vias, rest);
                let mut outgoing = Outgoing::from(&response);
                outgoing.pop_via();
                assert_eq!(response.relayed().to_bytes(), outgoing.encode().to_bytes(), "{vias}{rest}");
            }
        }
    }
}
