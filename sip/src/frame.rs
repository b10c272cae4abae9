//! Framing: where a message ends (RFC 3261 §18.3), for datagrams and streams.
//!
//! Both find the head's end and the body's length with the same index and the same reader of Content-Length.

mod stream;

use bytes::Bytes;

use crate::index;
use crate::invalid::{Invalid, Kind};
use crate::limits::Limits;
use crate::raw::{Carrier, RawMessage};

pub use stream::StreamFramer;

/// What framing refuses is a message that is not valid, judged in the same place.
pub type FrameError = Invalid;

/// What stood in a datagram, or next on a stream.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "messages are the rule, and their index is held without allocating"
)]
pub enum Framed {
    /// A message.
    Message(RawMessage),
    /// A keepalive that wants a CRLF back (RFC 5626 §3.5.1).
    KeepalivePing,
    /// A CRLF: the answer to a ping, or one that leads a message.
    KeepalivePong,
}

/// Frames a datagram. CRLFs before the message are skipped (RFC 3261 §7.5) and octets past Content-Length
/// ignored (§18.3).
///
/// # Errors
/// [`Invalid`] if the head can't be indexed, is over a limit, or names more octets than came.
#[inline]
pub fn datagram(octets: Bytes, limits: &Limits) -> Result<Framed, FrameError> {
    let leading = leading_crlf(&octets);
    if leading == octets.len() && leading > 0 {
        return Ok(if leading >= 4 { Framed::KeepalivePing } else { Framed::KeepalivePong });
    }
    let octets = if leading == 0 { octets } else { octets.slice(leading..) };
    let mut framed = Framed::Message(RawMessage::unread(octets));
    if let Framed::Message(raw) = &mut framed
        && let Err((kind, offset)) = raw.frame(limits)
    {
        return Err(refused(raw.octets(), kind, offset, Carrier::Datagram, limits));
    }
    Ok(framed)
}

#[inline]
fn leading_crlf(octets: &[u8]) -> usize {
    if octets.first().is_some_and(|&b| b != b'\r') {
        return 0;
    }
    octets.chunks_exact(2).take_while(|pair| pair == b"\r\n").count() * 2
}

/// The refusal of what begins with `octets`, with as much of the head as can be read.
fn refused(octets: &Bytes, kind: Kind, offset: usize, carrier: Carrier, limits: &Limits) -> Invalid {
    let head = index::salvage(octets, limits);
    let readable = octets.slice(..head.len.min(octets.len()));
    Invalid { kind, offset, raw: Box::new(RawMessage::new(readable, head, carrier)) }
}
