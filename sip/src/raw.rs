//! A framed message: its octets and the index of its head, not yet judged.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::header::{Header, HeaderId, Name};
use crate::index::{self, Defect, Head, HeaderLine, Lines, Start};
use crate::invalid::Kind;
use crate::length::Length;
use crate::limits::Limits;

/// A message cut out of a datagram or a stream. A clone shares the octets.
#[derive(Clone)]
pub struct RawMessage {
    buf: Bytes,
    head: Head,
    carrier: Carrier,
    source: Option<SocketAddr>,
}

/// What a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// UDP: the datagram's end is the message's.
    Datagram,
    /// TCP and what runs over it.
    Stream,
}

impl RawMessage {
    /// `buf` is the head, whose index is `head`, and the body.
    #[inline]
    pub(crate) fn new(buf: Bytes, head: Head, carrier: Carrier) -> Self {
        RawMessage { buf, head, carrier, source: None }
    }

    /// A message of no octets, the base of one we originate.
    pub(crate) fn empty() -> Self {
        RawMessage::new(Bytes::new(), Head::default(), Carrier::Datagram)
    }

    /// A message that is not yet indexed.
    #[inline(always)]
    pub(crate) fn unread(buf: Bytes) -> Self {
        let head = Head { start: Start::UNREAD, lines: Lines::new(), len: 0, length: Length::default() };
        RawMessage { buf, head, carrier: Carrier::Datagram, source: None }
    }

    /// Indexes the head and then keeps as much of the octets as the message has. Works on the message where it
    /// stands, because the index is too large to be moved for nothing.
    #[inline]
    pub(crate) fn frame(&mut self, limits: &Limits) -> Result<(), Defect> {
        index::index(&self.buf, limits, &mut self.head)?;
        let len = self.whole_len(limits)?;
        if len < self.buf.len() {
            self.buf.truncate(len);
        }
        Ok(())
    }

    /// Octets of head and body.
    fn whole_len(&self, limits: &Limits) -> Result<usize, Defect> {
        let head_len = self.head.len;
        let came = self.buf.len().saturating_sub(head_len);
        let body = self.head.length.named().map_or(Ok(came), usize::try_from).unwrap_or(usize::MAX);
        if body > came {
            return Err((Kind::BodyTruncated, head_len));
        }
        if body > limits.body {
            return Err((Kind::BodyTooLong, head_len));
        }
        Ok(head_len + body)
    }

    pub(crate) const fn start(&self) -> Start {
        self.head.start
    }

    /// Notes where the message came from. Whatever is made of a request from then on, forwarded or
    /// answered, has `received` and `rport` in its top Via as RFC 3261 §18.2.1 and RFC 3581 §4 want them.
    pub fn set_source(&mut self, source: SocketAddr) {
        self.source = Some(source);
    }

    /// Where the message came from, if noted.
    pub const fn source(&self) -> Option<SocketAddr> {
        self.source
    }

    /// What the message came in.
    pub const fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// Whether the start line is, or tries to be, a status line.
    pub fn is_response(&self) -> bool {
        match self.head.start {
            Start::Response { .. } => true,
            Start::Request { .. } => false,
            Start::Broken { .. } => self.buf.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"SIP/")),
        }
    }

    /// The method as written, also of a request line that can't be read whole; `None` for a response.
    pub fn method_octets(&self) -> Option<&[u8]> {
        match self.head.start {
            Start::Request { method, .. } => Some(method.in_buf(&self.buf)),
            Start::Broken { method, .. } if !self.is_response() => Some(method.in_buf(&self.buf)),
            _ => None,
        }
    }

    /// The start line without its line end.
    pub fn start_line(&self) -> &[u8] {
        let head = self.head();
        memchr::memchr(b'\r', head).and_then(|end| head.get(..end)).unwrap_or(head)
    }

    /// The header lines in order.
    pub fn headers(&self) -> impl DoubleEndedIterator<Item = Header<'_>> + ExactSizeIterator {
        self.head.lines.iter().map(|line| view(line, &self.buf))
    }

    /// The value of the first header `id`. Folds are still in it (`grammar::unfold`).
    pub fn header(&self, id: HeaderId) -> Option<&[u8]> {
        self.head.lines.iter().find(|line| line.id == id).map(|line| line.value(&self.buf))
    }

    /// The value of the first header of that name, compared without case and across compact forms.
    pub fn header_named<'n>(&self, name: impl Into<Name<'n>>) -> Option<&[u8]> {
        let name = name.into();
        let found = self.head.lines.iter().find(|line| name.matches(line.id, line.name(&self.buf)));
        found.map(|line| line.value(&self.buf))
    }

    /// The elements of the comma lists of all headers `id`, in order. Only for headers that are lists.
    pub fn values(&self, id: HeaderId) -> impl Iterator<Item = &[u8]> {
        let lines = self.head.lines.iter().filter(move |line| line.id == id);
        lines.flat_map(|line| grammar::split_commas(line.value(&self.buf)))
    }

    /// The head: start line, header lines, empty line.
    pub fn head(&self) -> &[u8] {
        self.buf.get(..self.head.len).unwrap_or_default()
    }

    /// The body, sharing the message's octets.
    pub fn body(&self) -> Bytes {
        self.buf.slice(self.head.len.min(self.buf.len())..)
    }

    /// The body's octets.
    pub fn body_octets(&self) -> &[u8] {
        self.buf.get(self.head.len..).unwrap_or_default()
    }

    /// Head and body.
    pub const fn octets(&self) -> &Bytes {
        &self.buf
    }

    pub(crate) fn lines(&self) -> &[HeaderLine] {
        &self.head.lines
    }
}

pub(crate) fn view<'b>(line: &HeaderLine, buf: &'b [u8]) -> Header<'b> {
    Header { id: line.id, name: line.name(buf), value: line.value(buf), raw: line.raw(buf) }
}

/// Sizes only: what stands in a message is not for logs.
impl fmt::Debug for RawMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawMessage")
            .field("lines", &self.head.lines.len())
            .field("head", &self.head.len)
            .field("octets", &self.buf.len())
            .field("carrier", &self.carrier)
            .finish_non_exhaustive()
    }
}
