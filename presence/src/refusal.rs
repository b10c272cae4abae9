//! What is answered: the one place where refusals of PUBLISH and SUBSCRIBE become status codes.

use sip::HeaderId;

use crate::event;

/// An answer, to be put on a response to the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: &'static str,
    /// Header fields to add, in order.
    pub fields: Vec<(HeaderId, Vec<u8>)>,
}

impl Answer {
    /// An answer without fields of its own.
    pub const fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason, fields: Vec::new() }
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, id: HeaderId, value: impl Into<Vec<u8>>) -> Self {
        self.fields.push((id, value.into()));
        self
    }
}

/// Why a PUBLISH or a SUBSCRIBE changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Event is missing or names a package that is not ours (RFC 6665 §4.2.1.1, RFC 3903 §6 step 2).
    #[error("the event package is not supported")]
    BadEvent,
    /// The request can't be read.
    #[error("{0}")]
    Malformed(&'static str),
    /// SIP-If-Match names no publication (RFC 3903 §6 step 3).
    #[error("no publication has that entity-tag")]
    NoSuchTag,
    /// Expires is above zero and below the least there is.
    #[error("the interval is too brief")]
    TooBrief {
        /// Seconds.
        least: u32,
    },
    /// The type of the body is none that can be published.
    #[error("the body is of no type that can be published")]
    MediaType {
        /// Those that can be.
        accept: &'static str,
    },
    /// The document or its objects are larger than may be published.
    #[error("the document is too large")]
    TooLarge,
    /// The subscriber takes no document that there is (RFC 6665 §4.2.1.1).
    #[error("no type of document that is taken exists")]
    NotAcceptable,
    /// The dialog has no such subscription.
    #[error("there is no such subscription")]
    NoSubscription,
    /// CSeq does not rise in the dialog (RFC 3261 §12.2.2).
    #[error("CSeq is not higher than before")]
    OutOfOrder,
    /// Another subscription in a dialog of ours (RFC 6665 §4.5.2).
    #[error("dialog sharing is not supported")]
    SharedDialog,
    /// The presentity does not want that watcher (RFC 3856 §6.6).
    #[error("the presentity does not allow it")]
    Blocked,
    /// Nobody but its owner may do that.
    #[error("{0}")]
    Forbidden(&'static str),
    /// What is subscribed to is a list, and the subscriber takes none (RFC 4662 §4.1).
    #[error("the resource is a list")]
    NeedsEventList,
    /// Who is meant is no user of ours.
    #[error("there is no such user")]
    UnknownUser,
    /// As many as may be are there already.
    #[error("{0}")]
    Full(&'static str),
}

/// Seconds after which somebody may come again for whom there was no room.
const RETRY_AFTER: &str = "60";

impl Refusal {
    /// The answer.
    pub fn answer(&self) -> Answer {
        match self {
            Self::BadEvent => Answer::new(489, "Bad Event").with(HeaderId::AllowEvents, event::allowed()),
            Self::Malformed(why) => Answer::new(400, why),
            Self::NoSuchTag => Answer::new(412, "Conditional Request Failed"),
            Self::TooBrief { least } => {
                Answer::new(423, "Interval Too Brief").with(HeaderId::MinExpires, least.to_string())
            }
            Self::MediaType { accept } => {
                Answer::new(415, "Unsupported Media Type").with(HeaderId::Accept, *accept)
            }
            Self::TooLarge => Answer::new(413, "Request Entity Too Large"),
            Self::NotAcceptable => Answer::new(406, "Not Acceptable"),
            Self::NoSubscription => Answer::new(481, "Subscription Does Not Exist"),
            Self::OutOfOrder => Answer::new(500, "CSeq Is Not Higher Than Before"),
            Self::SharedDialog => Answer::new(403, "Dialog Sharing Is Not Supported"),
            Self::Blocked => Answer::new(403, "Forbidden"),
            Self::Forbidden(why) => Answer::new(403, why),
            Self::NeedsEventList => {
                Answer::new(421, "Extension Required").with(HeaderId::Require, "eventlist")
            }
            Self::UnknownUser => Answer::new(404, "Not Found"),
            Self::Full(why) => Answer::new(503, why).with(HeaderId::RetryAfter, RETRY_AFTER),
        }
    }
}
