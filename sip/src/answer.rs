//! Responses to what we got (RFC 3261 §8.2.6), written straight into the octets that go out.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::address::NameAddr;
use crate::encoded::Encoded;
use crate::frame::{self, Framed};
use crate::header::{Header, HeaderId, Name};
use crate::invalid::Invalid;
use crate::limits::Limits;
use crate::message::Request;
use crate::outgoing::{self, Outgoing};
use crate::raw::RawMessage;
use crate::span::Span;
use crate::via;

/// Octets that the heads of most responses have.
const ROOM: usize = 640;

/// What a response can answer: a valid request, or one that is not, as far as it can be read.
pub trait Answerable {
    /// The message.
    fn message(&self) -> &RawMessage;

    /// Whether its To has a tag, or can't be read, so that it is copied as it stands.
    fn has_to_tag(&self) -> bool {
        self.message().header(HeaderId::To).is_none_or(has_tag)
    }
}

impl Answerable for Request {
    fn message(&self) -> &RawMessage {
        self.raw()
    }

    fn has_to_tag(&self) -> bool {
        self.to_tag().is_some()
    }
}

impl Answerable for Invalid {
    fn message(&self) -> &RawMessage {
        &self.raw
    }
}

impl Answerable for RawMessage {
    fn message(&self) -> &RawMessage {
        self
    }
}

impl<T: Answerable + ?Sized> Answerable for Box<T> {
    fn message(&self) -> &RawMessage {
        (**self).message()
    }

    fn has_to_tag(&self) -> bool {
        (**self).has_to_tag()
    }
}

impl<T: Answerable + ?Sized> Answerable for Arc<T> {
    fn message(&self) -> &RawMessage {
        (**self).message()
    }

    fn has_to_tag(&self) -> bool {
        (**self).has_to_tag()
    }
}

/// Builds a response to a request (RFC 3261 §8.2.6): all Vias in order, From, To with a tag, Call-ID, CSeq;
/// Timestamp in a 100. Lines that the request lacks are left out.
#[derive(Clone, Debug)]
pub struct ResponseBuilder {
    /// The status line and the lines so far.
    head: Vec<u8>,
    /// Where the value of the first Via stands.
    via: Range<usize>,
    /// Where the value of To ends, and the tag it gets there unless another is given; `None` if it has one.
    tag: Option<(usize, String)>,
    body: Bytes,
}

impl ResponseBuilder {
    /// A response without a body. To gets a tag that is the same for every copy of the request (§8.2.7),
    /// unless [`ResponseBuilder::to_tag`] gives one; a 100 gets none.
    pub fn to_request(request: &impl Answerable, status: u16, reason: &str) -> Self {
        let (has_tag, request) = (request.has_to_tag(), request.message());
        let mut head = Vec::with_capacity(ROOM);
        head.extend_from_slice(b"SIP/2.0 ");
        head.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
        head.push(b' ');
        head.extend(reason.bytes().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { b }));
        head.extend_from_slice(b"\r\n");
        let mut response = ResponseBuilder { head, via: 0..0, tag: None, body: Bytes::new() };
        for header in request.headers() {
            match header.id {
                HeaderId::Via if response.via.is_empty() => response.top_via(&header, request.source()),
                HeaderId::To if status > 100 && response.tag.is_none() && !has_tag => {
                    response.to(&header, request);
                }
                HeaderId::Via | HeaderId::From | HeaderId::To | HeaderId::CallId | HeaderId::CSeq => {
                    response.copy_line(&header);
                }
                HeaderId::Timestamp if status == 100 => response.copy_line(&header),
                _ => {}
            }
        }
        response
    }

    /// Gives To this tag, if it has none (dialogs need one that nobody can guess, §19.3).
    #[must_use]
    pub fn to_tag(mut self, tag: &str) -> Self {
        if let Some((_, own)) = &mut self.tag {
            tag.clone_into(own);
        }
        self
    }

    /// Adds a header line.
    #[must_use]
    pub fn header<'n>(mut self, name: impl Into<Name<'n>>, value: impl AsRef<[u8]>) -> Self {
        outgoing::push_line(&mut self.head, name.into().octets(), value.as_ref());
        self
    }

    /// Copies all lines `id` of the request (Record-Route into a response that makes a dialog, §12.1.1).
    #[must_use]
    pub fn copy(mut self, request: &impl Answerable, id: HeaderId) -> Self {
        for header in request.message().headers().filter(|header| header.id == id) {
            self.copy_line(&header);
        }
        self
    }

    /// Sets the body. Its Content-Type is a header like another.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Writes `received` and `rport` into the top Via; done already if the request's source was noted.
    #[must_use]
    pub fn received(mut self, source: SocketAddr) -> Self {
        let value = self.head.get(self.via.clone()).unwrap_or_default();
        if let Some(stamped) = stamped(value, source) {
            let (before, after) = (self.via.len(), stamped.len());
            self.head.splice(self.via.clone(), stamped);
            self.via.end = self.via.start + after;
            if let Some((at, _)) = self.tag.as_mut().filter(|(at, _)| *at > self.via.start) {
                *at = (*at + after).saturating_sub(before);
            }
        }
        self
    }

    /// The response as a message that can still be changed.
    pub fn build(self) -> Outgoing {
        let octets = self.encode().to_bytes();
        match frame::datagram(octets, &Limits::NONE) {
            Ok(Framed::Message(raw)) => Outgoing::over(Arc::new(raw), false),
            // What is written here line by line can be read.
            _ => Outgoing::originate(Vec::new()),
        }
    }

    /// The response for the wire.
    pub fn encode(mut self) -> Encoded {
        if let Some((at, tag)) = self.tag.filter(|(at, _)| *at <= self.head.len()) {
            let behind = self.head.split_off(at);
            self.head.extend_from_slice(b";tag=");
            self.head.extend_from_slice(tag.as_bytes());
            self.head.extend_from_slice(&behind);
        }
        self.head.extend_from_slice(b"Content-Length: ");
        self.head.extend_from_slice(itoa::Buffer::new().format(self.body.len()).as_bytes());
        self.head.extend_from_slice(b"\r\n\r\n");
        Encoded { head: self.head.into(), body: self.body }
    }

    /// Under its name as RFCs write it.
    fn copy_line(&mut self, header: &Header<'_>) {
        outgoing::push_known(&mut self.head, header.id, header.value);
    }

    fn top_via(&mut self, header: &Header<'_>, source: Option<SocketAddr>) {
        let before = self.head.len();
        let stamped = source.and_then(|source| stamped(header.value, source));
        self.copy_line(&Header { value: stamped.as_deref().unwrap_or(header.value), ..*header });
        self.via = before + "Via: ".len()..self.head.len().saturating_sub(2);
    }

    fn to(&mut self, header: &Header<'_>, request: &RawMessage) {
        self.copy_line(header);
        self.tag = Some((self.head.len().saturating_sub(2), stateless_tag(request)));
    }
}

/// The value of a Via line with its first element stamped; `None` if that changes nothing.
pub(crate) fn stamped(value: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let top = grammar::split_commas(value).next()?;
    let stamped = via::stamp(top, source)?;
    if top.len() == value.len() {
        return Some(stamped);
    }
    let span = Span::of(value, top);
    let (before, after) = (value.get(..span.start()), value.get(span.end()..));
    Some([before.unwrap_or_default(), &stamped, after.unwrap_or_default()].concat())
}

fn has_tag(to: &[u8]) -> bool {
    NameAddr::parse(to).map_or(true, |address| address.tag().is_some())
}

/// Whether an ACK acknowledges an answer that [`ResponseBuilder`] gave without a transaction: its To has the
/// tag that its INVITE was given. It ends here (RFC 3261 §8.2.7).
pub(crate) fn acknowledges_stateless_answer(ack: &Request) -> bool {
    ack.to_tag().is_some_and(|tag| tag == stateless_tag(ack.raw()).as_bytes())
}

/// A tag from what every copy of the request has in common, and its CANCEL and its ACK too (§9.2, §17.1.1.3).
fn stateless_tag(request: &RawMessage) -> String {
    let mut hasher = DefaultHasher::new();
    request.values(HeaderId::Via).next().unwrap_or_default().hash(&mut hasher);
    for id in [HeaderId::From, HeaderId::CallId] {
        request.header(id).unwrap_or_default().hash(&mut hasher);
    }
    let cseq = request.header(HeaderId::CSeq).unwrap_or_default();
    cseq.split(u8::is_ascii_whitespace).next().unwrap_or_default().hash(&mut hasher);
    let mut tag = String::with_capacity(16);
    grammar::push_hex(&mut tag, hasher.finish(), 16);
    tag
}
