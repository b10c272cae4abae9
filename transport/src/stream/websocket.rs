//! WebSocket frames (RFC 6455 §5) as the server of RFC 7118 needs them: one SIP message in each message, text
//! or binary. The wire's syntax is tungstenite's; limits, order and closing are ours, as is the buffer, so that
//! an idle connection has none.
//!
//! Deviation from RFC 6455 §8.1: text is not looked through for broken UTF-8. What the SIP grammar takes passes
//! as it does over TCP.

use std::io::Cursor;

use bytes::{Buf, Bytes, BytesMut};
use sip::{Encoded, Invalid, Limits};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::connection::Outbound;
use super::framer::Framed;

/// Close codes (RFC 6455 §7.4.1).
pub(super) const NORMAL: u16 = 1000;
pub(super) const GOING_AWAY: u16 = 1001;
const PROTOCOL_ERROR: u16 = 1002;
const TOO_BIG: u16 = 1009;
const TRY_AGAIN_LATER: u16 = 1013;

/// The longest payload of a control frame (RFC 6455 §5.5).
const CONTROL: u64 = 125;

/// The unread octets of one WebSocket.
#[derive(Debug)]
pub(super) struct WebSocketFramer {
    limits: Limits,
    buf: BytesMut,
    /// The frame whose payload is awaited.
    frame: Option<Frame>,
    /// The payloads so far of a message in several frames.
    message: Option<BytesMut>,
    /// A close frame was queued; what comes is not looked at.
    closing: bool,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    is_final: bool,
    opcode: OpCode,
    mask: [u8; 4],
    len: usize,
}

impl WebSocketFramer {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, buf: BytesMut::new(), frame: None, message: None, closing: false }
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        if !self.closing {
            self.buf.extend_from_slice(octets);
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Framed>, Invalid> {
        loop {
            if self.closing {
                return Ok(None);
            }
            let frame = match self.frame.take().map_or_else(|| self.header(), |frame| Ok(Some(frame))) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(None),
                Err(code) => return Ok(Some(Framed::Frame(self.close(code)))),
            };
            if self.buf.len() < frame.len {
                self.frame = Some(frame);
                return Ok(None);
            }
            let payload = self.payload(frame);
            match self.take(frame, payload) {
                Taken::More => {}
                Taken::Pong => return Ok(Some(Framed::Pong)),
                Taken::Frame(frame) => return Ok(Some(Framed::Frame(frame))),
                Taken::Message(octets) if octets.is_empty() => {}
                Taken::Message(octets) => {
                    return Ok(Some(sip::frame::datagram(octets, &self.limits)?.into()));
                }
            }
        }
    }

    /// Octets held.
    pub(super) fn buffered(&self) -> usize {
        self.buf.len() + self.message.as_ref().map_or(0, BytesMut::len)
    }

    /// Whether a message has begun and is not yet whole.
    pub(super) fn is_midway(&self) -> bool {
        self.buffered() > 0 || self.frame.is_some()
    }

    /// Whether not even a frame's header is here, or it announced no more than a head may have.
    pub(super) fn in_head(&self) -> bool {
        self.message.is_none() && self.frame.is_none_or(|frame| frame.len <= self.limits.head)
    }

    /// There is no room for what comes.
    pub(super) fn give_up(&mut self) -> Outbound {
        self.close(TRY_AGAIN_LATER)
    }

    fn close(&mut self, code: u16) -> Outbound {
        self.closing = true;
        self.buf = BytesMut::new();
        self.message = None;
        close(code)
    }

    /// The next frame's header, or the code of what is wrong with it.
    fn header(&mut self) -> Result<Option<Frame>, u16> {
        let mut cursor = Cursor::new(&self.buf[..]);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| PROTOCOL_ERROR)?;
        let Some((header, len)) = parsed else { return Ok(None) };
        let read = usize::try_from(cursor.position()).unwrap_or_default();
        let FrameHeader { is_final, rsv1, rsv2, rsv3, opcode, mask } = header;
        // No extension was agreed on, and what a client sends is masked (§5.1).
        let Some(mask) = mask.filter(|_| !(rsv1 || rsv2 || rsv3)) else { return Err(PROTOCOL_ERROR) };
        let in_order = match opcode {
            OpCode::Control(_) => is_final && len <= CONTROL,
            OpCode::Data(Data::Continue) => self.message.is_some(),
            OpCode::Data(_) => self.message.is_none(),
        };
        if !in_order {
            return Err(PROTOCOL_ERROR);
        }
        let before = self.message.as_ref().map_or(0, BytesMut::len);
        let allowed = self.limits.head.saturating_add(self.limits.body).saturating_sub(before);
        let len = usize::try_from(len).ok().filter(|len| *len <= allowed).ok_or(TOO_BIG)?;
        self.buf.advance(read);
        Ok(Some(Frame { is_final, opcode, mask, len }))
    }

    /// The payload of a frame that is all here, unmasked.
    fn payload(&mut self, frame: Frame) -> BytesMut {
        let mut payload = self.buf.split_to(frame.len);
        if self.buf.is_empty() {
            // An idle connection keeps no buffer.
            self.buf = BytesMut::new();
        }
        for chunk in payload.chunks_mut(4) {
            chunk.iter_mut().zip(frame.mask).for_each(|(octet, mask)| *octet ^= mask);
        }
        payload
    }

    fn take(&mut self, frame: Frame, payload: BytesMut) -> Taken {
        match frame.opcode {
            OpCode::Control(Control::Ping) => Taken::Frame(control(Control::Pong, &payload, false)),
            OpCode::Control(Control::Close) => {
                let code = payload
                    .get(..2)
                    .map_or(NORMAL, |code| code.iter().fold(0, |n, b| n << 8 | u16::from(*b)));
                let is_code = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
                Taken::Frame(self.close(if is_code { code } else { PROTOCOL_ERROR }))
            }
            OpCode::Control(_) => Taken::Pong,
            OpCode::Data(_) => {
                let whole = match self.message.take() {
                    Some(mut begun) => {
                        begun.extend_from_slice(&payload);
                        begun
                    }
                    None => payload,
                };
                if frame.is_final {
                    return Taken::Message(whole.freeze());
                }
                self.message = Some(whole);
                Taken::More
            }
        }
    }
}

enum Taken {
    More,
    Pong,
    Frame(Outbound),
    Message(Bytes),
}

/// What stands before a message of ours: its frame's header.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    octets: [u8; 10],
    len: usize,
}

impl Envelope {
    /// Text where it is, as JavaScript reads that best; binary for pictures.
    pub(super) fn of(outbound: &Outbound) -> Self {
        let Encoded { head, body } = &outbound.octets;
        if outbound.is_frame || outbound.octets.is_empty() {
            return Self::default();
        }
        let is_text = std::str::from_utf8(head).is_ok() && std::str::from_utf8(body).is_ok();
        let opcode = OpCode::Data(if is_text { Data::Text } else { Data::Binary });
        Self::new(opcode, outbound.octets.len())
    }

    fn new(opcode: OpCode, len: usize) -> Self {
        let mut envelope = Self::default();
        let room = envelope.octets.len();
        let mut rest = &mut envelope.octets[..];
        let header = FrameHeader { opcode, ..FrameHeader::default() };
        // Ten octets are enough for every length without a mask.
        let _enough = header.format(u64::try_from(len).unwrap_or(u64::MAX), &mut rest);
        envelope.len = room - rest.len();
        envelope
    }

    pub(super) fn octets(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

/// A close frame, behind which nothing is written.
pub(super) fn close(code: u16) -> Outbound {
    control(Control::Close, &code.to_be_bytes(), true)
}

/// A ping of ours.
pub(super) fn ping() -> Outbound {
    control(Control::Ping, b"", false)
}

fn control(opcode: Control, payload: &[u8], last: bool) -> Outbound {
    let envelope = Envelope::new(OpCode::Control(opcode), payload.len());
    let head = Bytes::from([envelope.octets(), payload].concat());
    Outbound { octets: Encoded { head, body: Bytes::new() }, blame: None, last, is_frame: true }
}
