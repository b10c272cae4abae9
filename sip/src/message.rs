//! Messages that passed validation: what every element asks of them was found once and is kept as positions.

use bytes::Bytes;

use crate::address::{AddressError, Contact, NameAddr};
use crate::header::{Header, HeaderId, Name};
use crate::index::Start;
use crate::method::{CSeq, Method};
use crate::raw::RawMessage;
use crate::span::Span;
use crate::uri::Uri;
use crate::via::Via;

/// A valid message.
#[derive(Clone, Debug)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A valid request.
#[derive(Clone, Debug)]
pub struct Request {
    raw: RawMessage,
    core: Core,
}

/// A valid response.
#[derive(Clone, Debug)]
pub struct Response {
    raw: RawMessage,
    core: Core,
}

/// What validation found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Core {
    pub(crate) via: ViaSpans,
    pub(crate) from: AddressSpans,
    pub(crate) to: AddressSpans,
    pub(crate) call_id: Span,
    pub(crate) cseq: u32,
    pub(crate) cseq_method: Span,
    pub(crate) max_forwards: Option<u32>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ViaSpans {
    pub(crate) transport: Span,
    pub(crate) host: Span,
    pub(crate) port: Option<u16>,
    pub(crate) params: Span,
    pub(crate) branch: Option<Span>,
}

/// From or To: the value, and its tag.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AddressSpans {
    pub(crate) value: Span,
    pub(crate) tag: Option<Span>,
}

impl Message {
    /// `core` was found in `raw`, whose start line decides what it is.
    #[inline]
    pub(crate) fn new(raw: RawMessage, core: Core) -> Self {
        match raw.start() {
            Start::Response { .. } => Message::Response(Response { raw, core }),
            _ => Message::Request(Request { raw, core }),
        }
    }
}

impl Request {
    /// The method.
    pub fn method(&self) -> Method<'_> {
        Method::of(self.raw.method_octets().unwrap_or_default())
    }

    /// The Request-URI, sharing the message's octets ([`Uri::detached`] to keep it).
    pub fn uri(&self) -> Uri {
        let span = self.uri_span();
        let shared = self.raw.octets().slice(span.start()..span.end());
        Uri::shared(shared).unwrap_or_else(|_| Uri::unreadable())
    }

    /// The Request-URI as written.
    pub fn uri_octets(&self) -> &[u8] {
        self.uri_span().in_buf(self.raw.octets())
    }

    /// Max-Forwards, at most 255 (RFC 3261 §20.22).
    pub const fn max_forwards(&self) -> Option<u32> {
        self.core.max_forwards
    }

    fn uri_span(&self) -> Span {
        match self.raw.start() {
            Start::Request { uri, .. } => uri,
            _ => Span::default(),
        }
    }
}

impl Response {
    /// The status code, 100 to 699.
    pub const fn status(&self) -> u16 {
        match self.raw.start() {
            Start::Response { status, .. } => status,
            _ => 0,
        }
    }

    /// The reason phrase as written.
    pub fn reason(&self) -> &[u8] {
        match self.raw.start() {
            Start::Response { reason, .. } => reason.in_buf(self.raw.octets()),
            _ => b"",
        }
    }

    /// Whether it is a 1xx.
    pub const fn is_provisional(&self) -> bool {
        self.status() < 200
    }
}

macro_rules! both {
    ($message:ty) => {
        impl $message {
            /// The top Via.
            pub fn top_via(&self) -> Via<'_> {
                let (buf, via) = (self.raw.octets(), &self.core.via);
                Via {
                    transport: via.transport.in_buf(buf),
                    host: via.host.in_buf(buf),
                    port: via.port,
                    params: via.params.in_buf(buf),
                }
            }

            /// The branch of the top Via.
            pub fn branch(&self) -> Option<&[u8]> {
                self.core.via.branch.map(|span| span.in_buf(self.raw.octets()))
            }

            /// All Via values from the top; those that can't be read are left out.
            pub fn vias(&self) -> impl Iterator<Item = Via<'_>> {
                self.raw.values(HeaderId::Via).filter_map(Via::parse)
            }

            /// From.
            pub fn from(&self) -> NameAddr<'_> {
                self.core.from.in_buf(self.raw.octets())
            }

            /// To.
            pub fn to(&self) -> NameAddr<'_> {
                self.core.to.in_buf(self.raw.octets())
            }

            /// The tag of From.
            pub fn from_tag(&self) -> Option<&[u8]> {
                self.core.from.tag.map(|span| span.in_buf(self.raw.octets()))
            }

            /// The tag of To.
            pub fn to_tag(&self) -> Option<&[u8]> {
                self.core.to.tag.map(|span| span.in_buf(self.raw.octets()))
            }

            /// Call-ID.
            pub fn call_id(&self) -> &[u8] {
                self.core.call_id.in_buf(self.raw.octets())
            }

            /// CSeq.
            pub fn cseq(&self) -> CSeq<'_> {
                let method = Method::of(self.core.cseq_method.in_buf(self.raw.octets()));
                CSeq { number: self.core.cseq, method }
            }

            /// The Contact values.
            pub fn contacts(&self) -> impl Iterator<Item = Result<Contact<'_>, AddressError>> {
                self.raw.values(HeaderId::Contact).map(Contact::parse)
            }

            /// The body, sharing the message's octets.
            pub fn body(&self) -> Bytes {
                self.raw.body()
            }

            /// The value of the first header `id`. Folds are still in it (`grammar::unfold`).
            pub fn header(&self, id: HeaderId) -> Option<&[u8]> {
                self.raw.header(id)
            }

            /// The value of the first header of that name, compact or not.
            pub fn header_named<'n>(&self, name: impl Into<Name<'n>>) -> Option<&[u8]> {
                self.raw.header_named(name)
            }

            /// The elements of the comma lists of all headers `id`.
            pub fn values(&self, id: HeaderId) -> impl Iterator<Item = &[u8]> {
                self.raw.values(id)
            }

            /// The header lines in order.
            pub fn headers(&self) -> impl DoubleEndedIterator<Item = Header<'_>> + ExactSizeIterator {
                self.raw.headers()
            }

            /// The message as framed.
            pub const fn raw(&self) -> &RawMessage {
                &self.raw
            }
        }
    };
}

both!(Request);
both!(Response);

impl AddressSpans {
    fn in_buf<'b>(&self, buf: &'b [u8]) -> NameAddr<'b> {
        let value = self.value.in_buf(buf);
        // Validation read it once; that it can't be read now does not happen.
        NameAddr::parse(value).unwrap_or(NameAddr { display: b"", uri: value, params: b"" })
    }
}
