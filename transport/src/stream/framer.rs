//! Octets in as they come, messages out as they are whole, whatever they travel in.

use sip::{Invalid, Kind, Limits, RawMessage, StreamFramer};

use super::connection::Outbound;
use super::websocket::WebSocketFramer;

/// What stood next.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "messages are the rule, and their index is held without allocating"
)]
pub(super) enum Framed {
    Message(RawMessage),
    /// A keep-alive that wants a CRLF back (RFC 5626 §3.5.1).
    Ping,
    Pong,
    /// To be written at once.
    Frame(Outbound),
}

/// One of the two framings of a connection.
#[derive(Debug)]
pub(super) enum Framer {
    /// Boxed, as idle connections are many and this one is large.
    Sip(Box<StreamFramer>),
    WebSocket(Box<WebSocketFramer>),
}

impl Framer {
    pub(super) fn sip(limits: Limits) -> Self {
        Self::Sip(Box::new(StreamFramer::new(limits)))
    }

    /// `first` is what came behind the handshake already.
    pub(super) fn websocket(limits: Limits, first: &[u8]) -> Self {
        let mut framer = WebSocketFramer::new(limits);
        framer.push(first);
        Self::WebSocket(Box::new(framer))
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        match self {
            Self::Sip(framer) => framer.push(octets),
            Self::WebSocket(framer) => framer.push(octets),
        }
    }

    /// The next thing; `None` until more octets come.
    pub(super) fn next(&mut self) -> Result<Option<Framed>, Invalid> {
        match self {
            Self::Sip(framer) => Ok(framer.next()?.map(Framed::from)),
            Self::WebSocket(framer) => framer.next(),
        }
    }

    /// The stream ended: what is wrong with the message it ended in.
    pub(super) fn end(&mut self) -> Option<Invalid> {
        match self {
            Self::Sip(framer) => framer.end(),
            // Half a WebSocket message is the end of a transport, and no SIP to answer.
            Self::WebSocket(_) => None,
        }
    }

    /// There is no room for the message in hand.
    pub(super) fn no_room(&mut self) -> Result<Framed, Invalid> {
        match self {
            Self::Sip(framer) => Err(framer.give_up(Kind::NoRoom)),
            Self::WebSocket(framer) => Ok(Framed::Frame(framer.give_up())),
        }
    }

    pub(super) fn is_midway(&self) -> bool {
        match self {
            Self::Sip(framer) => framer.is_midway(),
            Self::WebSocket(framer) => framer.is_midway(),
        }
    }

    pub(super) fn in_head(&self) -> bool {
        match self {
            Self::Sip(framer) => framer.in_head(),
            Self::WebSocket(framer) => framer.in_head(),
        }
    }

    /// Whether we ping the other end. A browser answers pings and can send none (RFC 7118 §6).
    pub(super) const fn pings(&self) -> bool {
        matches!(self, Self::WebSocket(_))
    }

    pub(super) fn buffered(&self) -> usize {
        match self {
            Self::Sip(framer) => framer.buffered(),
            Self::WebSocket(framer) => framer.buffered(),
        }
    }
}

impl From<sip::Framed> for Framed {
    fn from(framed: sip::Framed) -> Self {
        match framed {
            sip::Framed::Message(raw) => Self::Message(raw),
            sip::Framed::KeepalivePing => Self::Ping,
            sip::Framed::KeepalivePong => Self::Pong,
        }
    }
}
