//! What can be wrong with a message, and what is done about it. [`Invalid::verdict`] is the one place where a
//! defect becomes an answer, silence or a closed connection.

use std::borrow::Cow;

use crate::header::HeaderId;
use crate::raw::{Carrier, RawMessage};
use crate::via::Via;

/// A message that can't be taken, with what of its head can be read (for the answer).
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind} (octet {offset})")]
pub struct Invalid {
    /// What is wrong.
    pub kind: Kind,
    /// The octet of the message where it is wrong.
    pub offset: usize,
    /// What could be indexed. Boxed: errors are rare, and results stay small.
    pub raw: Box<RawMessage>,
}

/// What is wrong with a message. Never holds or prints input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Kind {
    /// The head does not end with an empty line.
    #[error("the head has no end")]
    Unterminated,
    /// More octets than [`crate::Limits::head`].
    #[error("the head is too long")]
    HeadTooLong,
    /// More octets than [`crate::Limits::line_octets`].
    #[error("a line is too long")]
    LineTooLong,
    /// More than [`crate::Limits::lines`].
    #[error("too many header lines")]
    TooManyLines,
    /// A CR or LF without its other half.
    #[error("a CR or LF stands alone")]
    BareLineEnd,
    /// A NUL outside a quoted pair.
    #[error("a NUL stands in the head")]
    Nul,
    /// A header line without a name or a colon.
    #[error("a header line can't be read")]
    BadHeaderLine,
    /// Content-Length is no number, or one beyond 63 bits.
    #[error("Content-Length can't be read")]
    BadContentLength,
    /// A message on a stream without Content-Length (RFC 3261 §20.14).
    #[error("Content-Length is missing on a stream")]
    MissingContentLength,
    /// A datagram ends before its Content-Length does.
    #[error("the body is cut short")]
    BodyTruncated,
    /// More octets than [`crate::Limits::body`].
    #[error("the body is too long")]
    BodyTooLong,
    /// More octets than [`crate::Limits::buffered`] on one stream.
    #[error("too many octets wait on the stream")]
    TooMuchBuffered,
    /// There is no memory for it: all connections together hold what they may.
    #[error("all connections together hold too many octets")]
    NoRoom,
    /// The start line can't be read.
    #[error("the start line can't be read")]
    BadStartLine,
    /// Another version than SIP/2.0.
    #[error("the SIP version is not 2.0")]
    BadVersion,
    /// The status code is not 100 to 699.
    #[error("the status code can't be read")]
    BadStatus,
    /// The Request-URI can't be read.
    #[error("the Request-URI can't be read")]
    BadUri,
    /// The Request-URI has a header part (RFC 3261 §19.1.1 forbids it there).
    #[error("the Request-URI has headers")]
    UriHeaders,
    /// A mandatory header is missing.
    #[error("{0} is missing")]
    Missing(HeaderId),
    /// A header can't be read.
    #[error("{0} can't be read")]
    Bad(HeaderId),
    /// A header that may stand once stands twice.
    #[error("{0} is repeated")]
    Repeated(HeaderId),
    /// More parameters than [`crate::Limits::params`].
    #[error("{0} has too many parameters")]
    TooManyParams(HeaderId),
    /// More than [`crate::Limits::vias`].
    #[error("too many Via values")]
    TooManyVias,
    /// The method of CSeq is not the request's.
    #[error("CSeq names another method")]
    MethodMismatch,
    /// The Request-URI's scheme is not ours to route (RFC 3261 §16.3 step 2).
    #[error("the scheme of the Request-URI is unknown")]
    UnsupportedScheme,
    /// Max-Forwards is 0 (RFC 3261 §16.3 step 3).
    #[error("Max-Forwards is used up")]
    TooManyHops,
    /// Proxy-Require names what we can't (RFC 3261 §16.3 step 5); answer with Unsupported.
    #[error("Proxy-Require names an unknown extension")]
    UnsupportedExtension,
}

/// What to do about an [`Invalid`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answer it ([`crate::ResponseBuilder::to_request`] takes an [`Invalid`]).
    Answer {
        /// The status code.
        status: u16,
        /// A reason a person understands.
        reason: Cow<'static, str>,
        /// Close the connection behind the answer: where the next message begins is not known.
        close: bool,
    },
    /// Say nothing, count it; a stream goes on.
    Drop,
    /// Say nothing and close the stream.
    Close,
}

impl Invalid {
    /// The policy: a request is answered as [`Kind::answer`] says; a response, an ACK, and whatever has no
    /// readable top Via (RFC 3261 §18.2.2 sends answers there) is not answered. A stream whose framing is
    /// lost, or whose top Via can't be read, is closed.
    pub fn verdict(&self) -> Verdict {
        let stream = self.raw.carrier() == Carrier::Stream;
        let close = stream && self.kind.loses_framing();
        let top_via = self.raw.values(HeaderId::Via).next().and_then(Via::parse);
        let Some(method) = self.raw.method_octets().filter(|method| !method.is_empty()) else {
            // A readable status line under a whole frame is a bad response, anything else is noise.
            return if close || (stream && !self.raw.is_response()) { Verdict::Close } else { Verdict::Drop };
        };
        match (method, top_via) {
            (b"ACK", _) if close => Verdict::Close,
            (b"ACK", _) => Verdict::Drop,
            (_, None) if stream => Verdict::Close,
            (_, None) => Verdict::Drop,
            _ => {
                let (status, reason) = self.kind.answer();
                Verdict::Answer { status, reason, close }
            }
        }
    }
}

impl Kind {
    /// The status and reason that answer it.
    pub fn answer(self) -> (u16, Cow<'static, str>) {
        let fixed = |status, reason: &'static str| (status, Cow::Borrowed(reason));
        match self {
            Kind::Unterminated => fixed(400, "Head Without End"),
            Kind::HeadTooLong => fixed(400, "Head Too Long"),
            Kind::LineTooLong => fixed(400, "Header Line Too Long"),
            Kind::TooManyLines => fixed(400, "Too Many Header Lines"),
            Kind::BareLineEnd => fixed(400, "Bad Line End"),
            Kind::Nul => fixed(400, "NUL In Head"),
            Kind::BadHeaderLine => fixed(400, "Bad Header Line"),
            Kind::BadContentLength => fixed(400, "Bad Content-Length"),
            Kind::MissingContentLength => fixed(400, "Missing Content-Length"),
            Kind::BodyTruncated => fixed(400, "Body Shorter Than Content-Length"),
            Kind::BodyTooLong | Kind::TooMuchBuffered => fixed(413, "Request Entity Too Large"),
            Kind::NoRoom => fixed(503, "No Room For The Message"),
            Kind::BadStartLine | Kind::BadStatus => fixed(400, "Bad Request Line"),
            Kind::BadVersion => fixed(505, "Version Not Supported"),
            Kind::BadUri => fixed(400, "Bad Request-URI"),
            Kind::UriHeaders => fixed(400, "Request-URI With Headers"),
            Kind::MethodMismatch => fixed(400, "CSeq Method Differs"),
            Kind::TooManyVias | Kind::TooManyHops => fixed(483, "Too Many Hops"),
            Kind::UnsupportedScheme => fixed(416, "Unsupported URI Scheme"),
            Kind::UnsupportedExtension => fixed(420, "Bad Extension"),
            Kind::Missing(header) => (400, format!("Missing {header} Header").into()),
            Kind::Bad(header) => (400, format!("Bad {header} Header").into()),
            Kind::Repeated(header) => (400, format!("Repeated {header} Header").into()),
            Kind::TooManyParams(header) => (400, format!("Too Many Parameters In {header}").into()),
        }
    }

    /// Whether it leaves unknown where the message ends.
    pub const fn loses_framing(self) -> bool {
        matches!(
            self,
            Kind::Unterminated
                | Kind::HeadTooLong
                | Kind::LineTooLong
                | Kind::TooManyLines
                | Kind::BareLineEnd
                | Kind::Nul
                | Kind::BadHeaderLine
                | Kind::BadContentLength
                | Kind::Repeated(HeaderId::ContentLength)
                | Kind::MissingContentLength
                | Kind::BodyTruncated
                | Kind::BodyTooLong
                | Kind::TooMuchBuffered
                | Kind::NoRoom
        )
    }
}
