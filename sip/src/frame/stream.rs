//! Framing of a stream: octets in as they come, messages out as they are whole.

use bytes::{Buf, BytesMut};

use super::{FrameError, Framed, refused};
use crate::index::{self, Head};
use crate::invalid::Kind;
use crate::limits::Limits;
use crate::raw::{Carrier, RawMessage};

/// A buffer that grew beyond this is given back with the message it grew for, so that an idle connection does
/// not keep it.
const KEPT: usize = 64 * 1024;

/// The unread octets of one stream. Every octet is looked at once for the end of a head and once for the
/// index, however small the pieces it comes in.
///
/// ```
/// use sip::{Framed, Limits, StreamFramer};
/// let mut framer = StreamFramer::new(Limits::default());
/// framer.push(b"\r\n\r\nOPTIONS sip:a@b SIP/2.0\r\nContent-Le");
/// assert!(matches!(framer.next(), Ok(Some(Framed::KeepalivePing))));
/// assert!(matches!(framer.next(), Ok(None)));
/// framer.push(b"ngth: 2\r\n\r\nhi");
/// let Ok(Some(Framed::Message(message))) = framer.next() else { panic!() };
/// assert_eq!(message.body_octets(), b"hi");
/// ```
#[derive(Debug)]
pub struct StreamFramer {
    limits: Limits,
    buf: BytesMut,
    state: State,
    /// What was pushed beyond [`Limits::buffered`] is gone: whole messages before it are still given.
    overflowed: bool,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per connection, and messages wait in it without allocating"
)]
enum State {
    /// Before a message; whether a CRLF stood directly before.
    Between { after_crlf: bool },
    /// In a head: octets scanned for its end, and where the current line began.
    Head { scanned: usize, line: usize },
    /// A head is indexed, its body is awaited.
    Body { head: Head, total: usize },
    /// Framing is lost; nothing more is read.
    Lost,
}

impl StreamFramer {
    /// A framer at the start of a stream.
    pub fn new(limits: Limits) -> Self {
        StreamFramer {
            limits,
            buf: BytesMut::new(),
            state: State::Between { after_crlf: false },
            overflowed: false,
        }
    }

    /// Takes in what was read. Call [`StreamFramer::next`] until it gives `None` before the next push: what
    /// exceeds [`Limits::buffered`] is not kept, and an error comes in its place.
    pub fn push(&mut self, octets: &[u8]) {
        if matches!(self.state, State::Lost) || self.overflowed {
            return;
        }
        if self.buf.len().saturating_add(octets.len()) > self.limits.buffered {
            self.overflowed = true;
            return;
        }
        self.buf.extend_from_slice(octets);
    }

    /// The next message or keepalive; `None` until more octets come. A CRLF that is the first half of a
    /// ping cut in two is a pong, then the second half is the ping.
    ///
    /// # Errors
    /// [`FrameError`] once, when the framing is lost; from then on the stream gives nothing.
    #[expect(clippy::should_implement_trait, reason = "an iterator would end at None, this goes on")]
    pub fn next(&mut self) -> Result<Option<Framed>, FrameError> {
        let framed = self.step();
        match framed {
            Ok(None) if self.overflowed && !matches!(self.state, State::Lost) => {
                Err(self.lose(Kind::TooMuchBuffered, self.buf.len()))
            }
            other => other,
        }
    }

    /// The stream ended: what is wrong with the message it ended in, if it did.
    pub fn end(&mut self) -> Option<FrameError> {
        let kind = match &self.state {
            State::Head { .. } => Kind::Unterminated,
            State::Body { .. } => Kind::BodyTruncated,
            State::Between { .. } | State::Lost => return None,
        };
        Some(self.lose(kind, self.buf.len()))
    }

    /// Gives up the message in hand, for a reason its sender is not to blame for; nothing more is read.
    pub fn give_up(&mut self, kind: Kind) -> FrameError {
        self.lose(kind, self.buf.len())
    }

    /// Whether a message has begun and is not yet whole: what a deadline is for.
    pub const fn is_midway(&self) -> bool {
        matches!(self.state, State::Head { .. } | State::Body { .. })
    }

    /// Whether a head has begun and has not ended.
    pub const fn in_head(&self) -> bool {
        matches!(self.state, State::Head { .. })
    }

    /// Octets held.
    pub fn buffered(&self) -> usize {
        self.buf.len()
    }

    fn step(&mut self) -> Result<Option<Framed>, FrameError> {
        loop {
            match self.state {
                State::Lost => return Ok(None),
                State::Between { after_crlf } => match self.between(after_crlf) {
                    Some(keepalive) => return Ok(Some(keepalive)),
                    None if self.in_head() => {}
                    None => return Ok(None),
                },
                State::Head { scanned, line } => {
                    if !self.scan_head(scanned, line)? {
                        return Ok(None);
                    }
                }
                State::Body { total, .. } if self.buf.len() < total => return Ok(None),
                State::Body { .. } => return Ok(self.message()),
            }
        }
    }

    fn between(&mut self, after_crlf: bool) -> Option<Framed> {
        let crlf = |text: &[u8]| text.get(..2) == Some(b"\r\n");
        if after_crlf && crlf(&self.buf) {
            return Some(self.keepalive(2, Framed::KeepalivePing));
        }
        if self.buf.get(..4) == Some(b"\r\n\r\n") {
            return Some(self.keepalive(4, Framed::KeepalivePing));
        }
        if crlf(&self.buf) {
            // `\r\n\r` may become a ping; a lone CRLF is a pong until its other half comes.
            if self.buf.get(2..) == Some(b"\r") {
                return None;
            }
            let pong = self.keepalive(2, Framed::KeepalivePong);
            self.state = State::Between { after_crlf: self.buf.is_empty() };
            return Some(pong);
        }
        if !self.buf.is_empty() && &self.buf[..] != b"\r" {
            self.state = State::Head { scanned: 0, line: 0 };
        }
        None
    }

    fn keepalive(&mut self, octets: usize, which: Framed) -> Framed {
        self.buf.advance(octets);
        self.state = State::Between { after_crlf: false };
        which
    }

    /// Looks for the head's end in what has not been looked at; true once the state moved on.
    fn scan_head(&mut self, mut scanned: usize, mut line: usize) -> Result<bool, FrameError> {
        while let Some(end) = self.buf.get(scanned..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let end = scanned + end;
            if end == 0 || self.buf.get(end - 1) != Some(&b'\r') {
                return Err(self.lose(Kind::BareLineEnd, end));
            }
            scanned = end + 1;
            if scanned - line > self.limits.line_octets {
                return Err(self.lose(Kind::LineTooLong, line));
            }
            if scanned - line == 2 {
                self.head_ended()?;
                return Ok(true);
            }
            line = scanned;
            if scanned > self.limits.head {
                return Err(self.lose(Kind::HeadTooLong, line));
            }
        }
        scanned = self.buf.len();
        if scanned > self.limits.head {
            return Err(self.lose(Kind::HeadTooLong, line));
        }
        if scanned - line > self.limits.line_octets {
            return Err(self.lose(Kind::LineTooLong, line));
        }
        self.state = State::Head { scanned, line };
        Ok(false)
    }

    fn head_ended(&mut self) -> Result<(), FrameError> {
        let mut head = Head::default();
        if let Err((kind, offset)) = index::index(&self.buf, &self.limits, &mut head) {
            return Err(self.lose(kind, offset));
        }
        let Some(length) = head.length.named() else {
            return Err(self.lose(Kind::MissingContentLength, head.len));
        };
        match usize::try_from(length) {
            Ok(length) if length <= self.limits.body => {
                self.state = State::Body { total: head.len + length, head };
                Ok(())
            }
            _ => Err(self.lose(Kind::BodyTooLong, head.len)),
        }
    }

    fn message(&mut self) -> Option<Framed> {
        let State::Body { head, total } =
            std::mem::replace(&mut self.state, State::Between { after_crlf: false })
        else {
            return None;
        };
        let whole = self.buf.split_to(total.min(self.buf.len())).freeze();
        if self.buf.is_empty() && total > KEPT {
            self.buf = BytesMut::new();
        }
        Some(Framed::Message(RawMessage::new(whole, head, Carrier::Stream)))
    }

    fn lose(&mut self, kind: Kind, offset: usize) -> FrameError {
        let lost = std::mem::replace(&mut self.state, State::Lost);
        let mut octets = std::mem::take(&mut self.buf).freeze();
        // Of a head that was read well the body below it is no line.
        if let State::Body { head, .. } = &lost {
            octets.truncate(head.len);
        }
        refused(&octets, kind, offset, Carrier::Stream, &self.limits)
    }
}
