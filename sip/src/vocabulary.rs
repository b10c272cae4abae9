//! rsip's types for programs that use them: our messages, URIs and headers from and to rsip's.
//!
//! An edge only: rsip never reads what came from the network. It keeps values as text and names only some
//! methods and transports, so the way to rsip can fail; the way back is a message like any other, framed
//! and validated.

mod header;
mod uri;

use bytes::Bytes;
use rsip::message::HasHeaders;

use crate::frame::{self, Framed};
use crate::header::HeaderId;
use crate::invalid::Invalid;
use crate::limits::Limits;
use crate::message::{Message, Request, Response};
use crate::method::Method;
use crate::raw::RawMessage;

/// Why something has no counterpart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VocabularyError {
    /// rsip holds text, and the octets are none.
    #[error("octets are no UTF-8")]
    NotText,
    /// rsip does not name this method.
    #[error("rsip has no such method")]
    Method,
    /// rsip does not name this transport.
    #[error("rsip has no such transport")]
    Transport,
    /// rsip reads schemes other than sip and sips as `scheme://`.
    #[error("rsip has no such scheme")]
    Scheme,
    /// rsip's URI has no place for headers.
    #[error("rsip keeps no headers of a URI")]
    UriHeaders,
    /// What rsip holds is no valid URI.
    #[error(transparent)]
    Uri(#[from] crate::uri::UriError),
    /// What rsip holds is no valid message.
    #[error("not a valid message: {0}")]
    Invalid(crate::invalid::Kind),
}

impl TryFrom<Method<'_>> for rsip::Method {
    type Error = VocabularyError;

    fn try_from(method: Method<'_>) -> Result<Self, VocabularyError> {
        let name = |known: &rsip::Method| known.to_string().as_bytes() == method.as_bytes();
        rsip::Method::all().into_iter().find(name).ok_or(VocabularyError::Method)
    }
}

impl From<rsip::Method> for Method<'static> {
    fn from(method: rsip::Method) -> Self {
        match method {
            rsip::Method::Ack => Method::Ack,
            rsip::Method::Bye => Method::Bye,
            rsip::Method::Cancel => Method::Cancel,
            rsip::Method::Info => Method::Info,
            rsip::Method::Invite => Method::Invite,
            rsip::Method::Message => Method::Message,
            rsip::Method::Notify => Method::Notify,
            rsip::Method::Options => Method::Options,
            rsip::Method::PRack => Method::Prack,
            rsip::Method::Publish => Method::Publish,
            rsip::Method::Refer => Method::Refer,
            rsip::Method::Register => Method::Register,
            rsip::Method::Subscribe => Method::Subscribe,
            rsip::Method::Update => Method::Update,
        }
    }
}

impl TryFrom<&Request> for rsip::Request {
    type Error = VocabularyError;

    fn try_from(request: &Request) -> Result<Self, VocabularyError> {
        Ok(rsip::Request {
            method: request.method().try_into()?,
            uri: (&request.uri()).try_into()?,
            version: rsip::Version::V2,
            headers: headers(request.raw())?,
            body: request.body().to_vec(),
        })
    }
}

impl TryFrom<&Response> for rsip::Response {
    type Error = VocabularyError;

    /// rsip keeps the reason only of status codes it has no name for.
    fn try_from(response: &Response) -> Result<Self, VocabularyError> {
        let status_code = match rsip::StatusCode::from(response.status()) {
            rsip::StatusCode::Other(code, _) => rsip::StatusCode::Other(code, text(response.reason())?),
            named => named,
        };
        let headers = headers(response.raw())?;
        Ok(rsip::Response {
            status_code,
            version: rsip::Version::V2,
            headers,
            body: response.body().to_vec(),
        })
    }
}

impl TryFrom<&rsip::Request> for Request {
    type Error = VocabularyError;

    fn try_from(request: &rsip::Request) -> Result<Self, VocabularyError> {
        let uri = crate::uri::Uri::try_from(&request.uri)?;
        let start = format!("{} {uri} SIP/2.0\r\n", request.method);
        match read(start, request, &request.body)? {
            Message::Request(request) => Ok(request),
            Message::Response(_) => Err(VocabularyError::Invalid(crate::invalid::Kind::BadStartLine)),
        }
    }
}

impl TryFrom<&rsip::Response> for Response {
    type Error = VocabularyError;

    /// The reason is rsip's name of the status code, which has no blanks.
    fn try_from(response: &rsip::Response) -> Result<Self, VocabularyError> {
        match read(format!("SIP/2.0 {}\r\n", response.status_code), response, &response.body)? {
            Message::Response(response) => Ok(response),
            Message::Request(_) => Err(VocabularyError::Invalid(crate::invalid::Kind::BadStartLine)),
        }
    }
}

fn headers(raw: &RawMessage) -> Result<rsip::Headers, VocabularyError> {
    let all: Result<Vec<rsip::Header>, _> = raw.headers().map(TryInto::try_into).collect();
    Ok(all?.into())
}

/// Writes a message of rsip's out, with the length its body has, and reads it as one that came in.
fn read(start: String, message: &impl HasHeaders, body: &[u8]) -> Result<Message, VocabularyError> {
    let mut octets = start.into_bytes();
    for header in message.headers().iter() {
        let (name, value) = header::parts(header);
        if HeaderId::of(name.as_bytes()) != HeaderId::ContentLength {
            octets.extend_from_slice(format!("{name}: {}\r\n", value.replace(['\r', '\n'], " ")).as_bytes());
        }
    }
    octets.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    octets.extend_from_slice(body);
    let limits = Limits::default();
    let invalid = |invalid: Invalid| VocabularyError::Invalid(invalid.kind);
    match frame::datagram(Bytes::from(octets), &limits).map_err(invalid)? {
        Framed::Message(raw) => crate::validate::validate(raw, &limits).map_err(invalid),
        _ => Err(VocabularyError::Invalid(crate::invalid::Kind::BadStartLine)),
    }
}

fn text(octets: &[u8]) -> Result<String, VocabularyError> {
    std::str::from_utf8(octets).map(str::to_owned).map_err(|_| VocabularyError::NotText)
}
