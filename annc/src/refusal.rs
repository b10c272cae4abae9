//! What a refused call is answered: the reasons of RFC 4240 §3 and of draft-cook-lemonade-streaming §2.4, in one place.

use crate::clip::ClipError;
use crate::order::OrderError;
use crate::sdp::{Disagreement, SdpError};
use crate::source::SourceError;

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The Request-URI orders nothing.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The announcement could not be fetched.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What was fetched can't be played.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// The description can't be read.
    #[error(transparent)]
    Description(#[from] SdpError),
    /// The body is no description.
    #[error("the body is no session description")]
    Body,
    /// Nothing in common.
    #[error(transparent)]
    Disagreement(#[from] Disagreement),
    /// An extension is required that is not known.
    #[error("an extension is required that is not known: {0}")]
    Extension(String),
    /// The session timer is too short.
    #[error("the session interval is below {0} s")]
    Interval(u32),
    /// As many play as may.
    #[error("as many announcements play as may")]
    Full,
    /// All octets that announcements may hold are held.
    #[error("announcements hold as much memory as they may")]
    Memory,
    /// The INVITE has no Contact, so that nothing could be said in its dialog.
    #[error("an INVITE has a Contact")]
    NoContact,
    /// No ports, no thread, no randomness.
    #[error("no port for RTP is free")]
    Ports,
    /// The caller may not use the service.
    #[error("announcements are for the users of this server")]
    Stranger,
    /// A request in a dialog that is not known.
    #[error("there is no such dialog")]
    NoDialog,
    /// A request out of order.
    #[error("the request comes out of order")]
    Sequence,
    /// Something of ours in the dialog has no answer yet (RFC 3261 §14.2, RFC 3311 §5.2).
    #[error("a request of this side is under way")]
    Pending,
    /// The caller gave up.
    #[error("the caller gave up")]
    Cancelled,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The status.
    pub status: u16,
    /// Its reason phrase.
    pub reason: &'static str,
    /// Header lines: name and value.
    pub headers: Vec<(&'static str, String)>,
    /// A warn-code and the text of a Warning.
    pub warning: Option<(u16, String)>,
}

/// RFC 4240: the resource is not there.
const NOT_FOUND: &str = "Announcement content not found";
/// RFC 4240: something went wrong on the way.
const NOT_RETRIEVED: &str = "Announcement content could not be retrieved";

impl Refusal {
    /// The answer. `failed` is the status for what could not be fetched though it may be there: 400 as RFC 4240 has
    /// it, or 404 as draft-cook-lemonade-streaming has it.
    pub fn verdict(&self, failed: u16) -> Verdict {
        let plain = |status, reason| Verdict { status, reason, headers: Vec::new(), warning: None };
        let warned = |status, reason, code| Verdict {
            warning: Some((code, self.to_string())),
            ..plain(status, reason)
        };
        match self {
            Refusal::Order(OrderError::NoPlay) => plain(400, "Mandatory play parameter missing"),
            Refusal::Order(OrderError::Parameter(_)) => warned(400, "Bad Announcement Parameter", 399),
            Refusal::Source(SourceError::NotAuthorized) => plain(404, "Not authorized to access resource"),
            Refusal::Source(SourceError::NotFound(_) | SourceError::NotAllowed | SourceError::Url(_)) => {
                warned(404, NOT_FOUND, 399)
            }
            Refusal::Source(SourceError::NotRetrieved(_) | SourceError::TooLarge(_) | SourceError::Late) => {
                warned(failed, NOT_RETRIEVED, 399)
            }
            Refusal::Clip(ClipError::Late) => warned(503, "Service Unavailable", 399),
            // The media type that is not supported is that of the announcement; Accept says what a body may be.
            Refusal::Clip(_) => Verdict { headers: accept(), ..warned(415, "Unsupported Media Type", 399) },
            Refusal::Body => Verdict { headers: accept(), ..warned(415, "Unsupported Media Type", 399) },
            Refusal::Description(_) => warned(400, "Bad Session Description", 399),
            Refusal::Disagreement(why) => warned(488, "Not Acceptable Here", why.code()),
            Refusal::Extension(tags) => {
                Verdict { headers: vec![("Unsupported", tags.clone())], ..plain(420, "Bad Extension") }
            }
            Refusal::Interval(least) => Verdict {
                headers: vec![("Min-SE", least.to_string())],
                ..plain(422, "Session Interval Too Small")
            },
            Refusal::NoContact => warned(400, "Missing Contact", 399),
            Refusal::Full => warned(486, "Busy Here", 399),
            Refusal::Ports | Refusal::Memory => warned(503, "Service Unavailable", 399),
            Refusal::Stranger => warned(403, "Forbidden", 399),
            Refusal::NoDialog => plain(481, "Call/Transaction Does Not Exist"),
            Refusal::Sequence => plain(500, "Server Internal Error"),
            Refusal::Pending => plain(491, "Request Pending"),
            Refusal::Cancelled => plain(487, "Request Terminated"),
        }
    }
}

fn accept() -> Vec<(&'static str, String)> {
    vec![("Accept", "application/sdp".to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_are_those_of_the_drafts() {
        let answer = |refusal: Refusal| {
            let verdict = refusal.verdict(400);
            (verdict.status, verdict.reason)
        };
        assert_eq!(answer(OrderError::NoPlay.into()), (400, "Mandatory play parameter missing"));
        assert_eq!(answer(SourceError::NotAuthorized.into()), (404, "Not authorized to access resource"));
        assert_eq!(answer(SourceError::NotFound("x".into()).into()), (404, "Announcement content not found"));
        assert_eq!(answer(SourceError::Late.into()), (400, "Announcement content could not be retrieved"));
        assert_eq!(Refusal::Source(SourceError::Late).verdict(404).status, 404);
        assert_eq!(answer(ClipError::Nothing.into()).0, 415);
        assert_eq!((answer(ClipError::Transcode.into()).0, answer(ClipError::Late.into()).0), (415, 503));
        assert_eq!(answer(Disagreement::Codec.into()).0, 488);
        assert_eq!(Refusal::Disagreement(Disagreement::Codec).verdict(400).warning.unwrap().0, 305);
        assert_eq!((answer(Refusal::Full).0, answer(Refusal::Ports).0), (486, 503));
    }

    #[test]
    fn what_a_refusal_needs_stands_in_its_headers() {
        let headers = |refusal: Refusal| refusal.verdict(400).headers;
        assert_eq!(headers(Refusal::Body), [("Accept", "application/sdp".to_owned())]);
        assert_eq!(headers(Refusal::Interval(90)), [("Min-SE", "90".to_owned())]);
        assert_eq!(headers(Refusal::Extension("foo".into())), [("Unsupported", "foo".to_owned())]);
    }
}
