//! Requests that we originate (RFC 3261 §8.1.1).

use bytes::Bytes;

use crate::header::{HeaderId, Name};
use crate::method::Method;
use crate::outgoing::Outgoing;

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
