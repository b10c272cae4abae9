//! Messages of our own: requests we originate, and responses to what we got (RFC 3261 §8.1.1, §8.2.6).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use bytes::Bytes;

use crate::address::NameAddr;
use crate::encoded::Encoded;
use crate::header::{HeaderId, Name};
use crate::invalid::Invalid;
use crate::message::Request;
use crate::method::Method;
use crate::outgoing::Outgoing;
use crate::raw::RawMessage;

/// Hops a request of ours may take (RFC 3261 §8.1.1.6).
const MAX_FORWARDS: &str = "70";

/// Builds a request.
///
/// ```
/// use sip::{Method, RequestBuilder};
/// let request = RequestBuilder::new(Method::Options, "sip:a@example.com")
///     .from("<sip:example.com>;tag=1")
///     .to("<sip:a@example.com>")
///     .call_id("x@example.com")
///     .cseq(1)
///     .build();
/// assert!(request.encode().head.ends_with(b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"));
/// ```
#[derive(Clone, Debug)]
pub struct RequestBuilder {
    outgoing: Outgoing,
    method: Vec<u8>,
}

impl RequestBuilder {
    /// A request with Max-Forwards 70 and nothing else yet; transport adds the Via.
    pub fn new(method: Method<'_>, uri: impl AsRef<[u8]>) -> Self {
        let mut outgoing = Outgoing::originate([method.as_bytes(), b" - SIP/2.0"].concat());
        outgoing.set_request_uri(uri);
        outgoing.append(HeaderId::MaxForwards, MAX_FORWARDS);
        RequestBuilder { outgoing, method: method.as_bytes().to_vec() }
    }

    /// Sets From, with its tag.
    #[must_use]
    pub fn from(self, value: impl AsRef<[u8]>) -> Self {
        self.set(HeaderId::From, value)
    }

    /// Sets To.
    #[must_use]
    pub fn to(self, value: impl AsRef<[u8]>) -> Self {
        self.set(HeaderId::To, value)
    }

    /// Sets Call-ID.
    #[must_use]
    pub fn call_id(self, value: impl AsRef<[u8]>) -> Self {
        self.set(HeaderId::CallId, value)
    }

    /// Sets CSeq to this number and the method.
    #[must_use]
    pub fn cseq(self, number: u32) -> Self {
        let value = [number.to_string().as_bytes(), b" ", &self.method].concat();
        self.set(HeaderId::CSeq, value)
    }

    /// Adds a header line.
    #[must_use]
    pub fn header<'n>(mut self, name: impl Into<Name<'n>>, value: impl AsRef<[u8]>) -> Self {
        self.outgoing.append(name, value);
        self
    }

    /// Sets the body. Its Content-Type is a header like another.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.outgoing.set_body(body.into());
        self
    }

    /// The request, to be sent.
    pub fn build(self) -> Outgoing {
        self.outgoing
    }

    fn set(mut self, id: HeaderId, value: impl AsRef<[u8]>) -> Self {
        self.outgoing.set(id, value);
        self
    }
}

/// What a response can answer: a valid request, or one that is not, as far as it can be read.
pub trait Answerable {
    /// The message.
    fn message(&self) -> &RawMessage;
}

impl Answerable for Request {
    fn message(&self) -> &RawMessage {
        self.raw()
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
}

impl<T: Answerable + ?Sized> Answerable for std::sync::Arc<T> {
    fn message(&self) -> &RawMessage {
        (**self).message()
    }
}

/// Builds a response to a request (RFC 3261 §8.2.6): all Vias in order, From, To with a tag, Call-ID, CSeq;
/// Timestamp in a 100. Lines that the request lacks are left out.
#[derive(Clone, Debug)]
pub struct ResponseBuilder {
    outgoing: Outgoing,
    status: u16,
    /// The tag To gets unless another is given; `None` if To has one.
    tag: Option<String>,
}

impl ResponseBuilder {
    /// A response without a body. To gets a tag that is the same for every copy of the request (§8.2.7),
    /// unless [`ResponseBuilder::to_tag`] gives one; a 100 gets none.
    pub fn to_request(request: &impl Answerable, status: u16, reason: &str) -> Self {
        let request = request.message();
        let mut outgoing = Outgoing::originate(Vec::new());
        outgoing.set_status(status, reason);
        for header in request.headers() {
            let copied = match header.id {
                HeaderId::Via | HeaderId::From | HeaderId::To | HeaderId::CallId | HeaderId::CSeq => true,
                HeaderId::Timestamp => status == 100,
                _ => false,
            };
            if copied {
                outgoing.append(header.id, header.value);
            }
        }
        if let Some(source) = request.source() {
            outgoing.stamp_received(source);
        }
        let tagged = outgoing.header(HeaderId::To).is_none_or(has_tag);
        ResponseBuilder { tag: (!tagged).then(|| stateless_tag(request)), outgoing, status }
    }

    /// Gives To this tag, if it has none (dialogs need one that nobody can guess, §19.3).
    #[must_use]
    pub fn to_tag(mut self, tag: &str) -> Self {
        if let Some(own) = &mut self.tag {
            tag.clone_into(own);
        }
        self
    }

    /// Adds a header line.
    #[must_use]
    pub fn header<'n>(mut self, name: impl Into<Name<'n>>, value: impl AsRef<[u8]>) -> Self {
        self.outgoing.append(name, value);
        self
    }

    /// Copies all lines `id` of the request (Record-Route into a response that makes a dialog, §12.1.1).
    #[must_use]
    pub fn copy(mut self, request: &impl Answerable, id: HeaderId) -> Self {
        for header in request.message().headers().filter(|header| header.id == id) {
            self.outgoing.append(id, header.value);
        }
        self
    }

    /// Sets the body. Its Content-Type is a header like another.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.outgoing.set_body(body.into());
        self
    }

    /// Writes `received` and `rport` into the top Via; done already if the request's source was noted.
    #[must_use]
    pub fn received(mut self, source: SocketAddr) -> Self {
        self.outgoing.stamp_received(source);
        self
    }

    /// The response as a message that can still be changed.
    pub fn build(mut self) -> Outgoing {
        if self.status > 100
            && let (Some(tag), Some(to)) = (&self.tag, self.outgoing.header(HeaderId::To))
        {
            let value = [to, b";tag=", tag.as_bytes()].concat();
            self.outgoing.set(HeaderId::To, value);
        }
        self.outgoing
    }

    /// The response for the wire.
    pub fn encode(self) -> Encoded {
        self.build().encode()
    }
}

/// A To that can't be read is copied as it stands.
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
    format!("{:016x}", hasher.finish())
}
