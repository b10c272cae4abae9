//! What is answered to a REGISTER: the one place where refusals become status codes.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use sip::HeaderId;
use store::SwapError;

use crate::record::Stored;

/// Seconds after which a sender may try again when the registrar is too busy.
const RETRY_AFTER: u32 = 5;

/// The answer to a REGISTER, to be put on a response to the request.
#[derive(Clone, PartialEq, Eq)]
pub struct RegisterOutcome {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: &'static str,
    /// Header lines to add, in order.
    pub headers: Vec<(HeaderId, Bytes)>,
}

impl RegisterOutcome {
    fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason, headers: Vec::new() }
    }

    fn with(mut self, id: HeaderId, value: impl Into<Bytes>) -> Self {
        self.headers.push((id, value.into()));
        self
    }

    /// The values of the header lines `id`, in order.
    pub fn values(&self, id: HeaderId) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |(each, _)| *each == id).map(|(_, value)| &value[..])
    }
}

/// Without the header values: Contacts are not for logs.
impl fmt::Debug for RegisterOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegisterOutcome({} {}, {} headers)", self.status, self.reason, self.headers.len())
    }
}

/// The 200 (CPI.md 6.1 step 8): every binding with the time it has left and all its parameters as received
/// (RFC 3840 §6), the Path of the request (RFC 3327 §5.3), Date.
pub(crate) fn accepted(bindings: &[Stored], path: &[Bytes], date: SystemTime, now: u64) -> RegisterOutcome {
    let mut outcome = RegisterOutcome::new(200, "OK");
    for binding in bindings {
        let left = binding.expires_at.saturating_sub(now).to_string();
        let value = [b"<", &binding.uri[..], b">", &binding.params, b";expires=", left.as_bytes()].concat();
        outcome = outcome.with(HeaderId::Contact, value);
    }
    for value in path {
        outcome = outcome.with(HeaderId::Path, value.clone());
    }
    outcome.with(HeaderId::Date, httpdate::fmt_http_date(date))
}

/// Why a REGISTER changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Option tags that are not understood, as a comma list.
    Unsupported(Vec<u8>),
    UnknownUser,
    WildcardMisused,
    MalformedContact,
    ContactTooLong,
    MalformedPath,
    TooBrief {
        min_expires: u32,
    },
    OutOfOrder,
    TooManyContacts,
    CapabilitiesTooLarge,
    RegistrationTooLarge,
    RegistrarFull,
    Busy,
    StoreFailed,
}

impl Refusal {
    /// RFC 3261 names no code for a limit on contacts or their size. 403 says what is meant: understood,
    /// and no use in trying again unchanged.
    pub(crate) fn outcome(self) -> RegisterOutcome {
        let plain = RegisterOutcome::new;
        match self {
            Self::Unsupported(options) => plain(420, "Bad Extension").with(HeaderId::Unsupported, options),
            Self::UnknownUser => plain(404, "Not Found"),
            Self::WildcardMisused => plain(400, "Contact * Needs Expires: 0 And No Other Contact"),
            Self::MalformedContact => plain(400, "Malformed Contact"),
            Self::ContactTooLong => plain(403, "Contact Too Long"),
            Self::MalformedPath => plain(400, "Malformed Path"),
            Self::TooBrief { min_expires } => {
                plain(423, "Interval Too Brief").with(HeaderId::MinExpires, min_expires.to_string())
            }
            // RFC 3261 §10.3 gives no code; 500 as for a CSeq out of order in a dialog (§12.2.2).
            Self::OutOfOrder => plain(500, "CSeq Not Higher Than Before"),
            Self::TooManyContacts => plain(403, "Too Many Contacts"),
            Self::CapabilitiesTooLarge => plain(403, "Capabilities Too Large"),
            Self::RegistrationTooLarge => plain(403, "Registration Too Large"),
            Self::RegistrarFull => busy("Registrar Full"),
            Self::Busy => busy("Registrar Busy"),
            Self::StoreFailed => plain(500, "Registration Can't Be Stored Now"),
        }
    }
}

fn busy(reason: &'static str) -> RegisterOutcome {
    RegisterOutcome::new(503, reason).with(HeaderId::RetryAfter, RETRY_AFTER.to_string())
}

impl From<SwapError> for Refusal {
    fn from(error: SwapError) -> Self {
        match error {
            SwapError::Busy | SwapError::Conflict { .. } => Self::Busy,
            SwapError::Full | SwapError::Unavailable => Self::StoreFailed,
            // An AOR too long for a key is no user's here.
            SwapError::KeyTooLong { .. } => Self::UnknownUser,
            SwapError::ValueTooLong { .. } => Self::RegistrationTooLarge,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_takes_no_write_is_500_and_one_that_is_busy_503() {
        let status = |error: SwapError| Refusal::from(error).outcome().status;
        assert_eq!([status(SwapError::Full), status(SwapError::Unavailable)], [500, 500]);
        assert_eq!([status(SwapError::Busy), status(SwapError::Conflict { current: None })], [503, 503]);
        let (octets, limit) = (2000, 1024);
        assert_eq!(status(SwapError::KeyTooLong { octets, limit }), 404);
        assert_eq!(status(SwapError::ValueTooLong { octets, limit }), 403);
    }

    #[test]
    fn an_outcome_in_a_log_names_nobody() {
        let outcome = RegisterOutcome::new(200, "OK").with(HeaderId::Contact, "<sip:john@192.0.2.7>");
        assert_eq!(format!("{outcome:?}"), "RegisterOutcome(200 OK, 1 headers)");
    }
}
