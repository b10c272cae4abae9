//! Answers that are no content: problem documents (RFC 7807).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::VARY;
use crate::error::ShelfError;

/// Seconds after which a fetch that was turned away may come again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// Why there is no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The token is nobody's.
    NotFound,
    /// Its time is over.
    Gone,
    /// Neither GET nor HEAD.
    MethodNotAllowed,
    /// Nothing the terminal takes can be made of it.
    NotAcceptable(String),
    /// `If-Match` names another representation.
    PreconditionFailed,
    /// No octet of the range is there; how many there are.
    RangeNotSatisfiable(u64),
    /// The body is longer than may be adapted.
    TooLarge(u64),
    /// The body did not come in time.
    Late,
    /// The body is not what `Content-Digest` says.
    OtherDigest,
    /// All workers are busy, or this fetch took too long.
    Busy(&'static str),
    /// Our disk failed; the log says how.
    Broken,
}

impl Problem {
    pub(crate) fn shelf(error: &ShelfError) -> Problem {
        if let ShelfError::Unreachable(_) = error {
            tracing::warn!(%error, "a stored content can't be reached");
            return Problem::Busy("The content can't be reached at the moment.");
        }
        tracing::error!(%error, "a stored content can't be read");
        Problem::Broken
    }

    fn parts(&self) -> (StatusCode, &str) {
        match self {
            Problem::NotFound => (StatusCode::NOT_FOUND, "There is no such content."),
            Problem::Gone => (StatusCode::GONE, "This link has expired."),
            Problem::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "Content is fetched by GET or HEAD.")
            }
            Problem::NotAcceptable(why) => (StatusCode::NOT_ACCEPTABLE, why),
            Problem::PreconditionFailed => {
                (StatusCode::PRECONDITION_FAILED, "The content is not what If-Match names.")
            }
            Problem::RangeNotSatisfiable(_) => {
                (StatusCode::RANGE_NOT_SATISFIABLE, "The content has no octets in that range.")
            }
            Problem::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "The body is too long to be adapted."),
            Problem::Late => (StatusCode::REQUEST_TIMEOUT, "The body did not come in time."),
            Problem::OtherDigest => (StatusCode::BAD_REQUEST, "The body is not what Content-Digest says."),
            Problem::Busy(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
            Problem::Broken => {
                (StatusCode::INTERNAL_SERVER_ERROR, "The content can't be read at the moment.")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, detail) = self.parts();
        let document = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": detail,
        });
        let mut response = (status, document.to_string()).into_response();
        let head = response.headers_mut();
        head.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        head.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match self {
            Problem::MethodNotAllowed => {
                head.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            Problem::NotAcceptable(_) => {
                head.insert(header::VARY, HeaderValue::from_static(VARY));
            }
            Problem::Busy(_) => {
                head.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            Problem::RangeNotSatisfiable(octets) => {
                if let Ok(octets) = HeaderValue::from_str(&format!("bytes */{octets}")) {
                    head.insert(header::CONTENT_RANGE, octets);
                }
            }
            Problem::NotFound
            | Problem::Gone
            | Problem::PreconditionFailed
            | Problem::TooLarge(_)
            | Problem::Late
            | Problem::OtherDigest
            | Problem::Broken => {}
        }
        response
    }
}
