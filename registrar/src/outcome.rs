//! What is answered to a REGISTER: the one place where refusals become status codes.

use std::fmt;

use bytes::Bytes;
use sip::HeaderId;
use store::SwapError;

use crate::gruu::{self, GruuKey, Temporary};
use crate::instance;
use crate::record::Stored;
use crate::request::Registration;

/// Octets of a Contact beside its URI and parameters: `<`, `>` and `;expires=` with its number.
const ROOM: usize = 32;

/// What of a terminal's extensions the 200 says it knows; not GRUU, which RFC 5627 §5.2 wants left out.
const SUPPORTED: &str = "path, outbound";

/// Seconds after which a sender may try again when the registrar is too busy.
const RETRY_AFTER: u32 = 5;

/// The answer to a REGISTER, to be put on a response to the request.
#[derive(Clone, PartialEq, Eq)]
pub struct RegisterOutcome {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: &'static str,
    /// Header lines to add, in order; a 200 wants a Date beside them, which is its sender's to write.
    pub headers: Vec<(HeaderId, Bytes)>,
    /// The user who has a contact now: his address of record, as [`crate::Binding::aor`] has it.
    pub reachable: Option<String>,
}

impl RegisterOutcome {
    fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason, headers: Vec::new(), reachable: None }
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
/// (RFC 3840 §6), GRUUs for a terminal that takes them (RFC 5627 §5.2), the Path of the request (RFC 3327
/// §5.3), what was done of RFC 5626.
pub(crate) fn accepted(
    bindings: &[Stored],
    registration: Registration<'_>,
    key: &GruuKey,
    now: u64,
) -> RegisterOutcome {
    let mut outcome = RegisterOutcome::new(200, "OK");
    for binding in bindings {
        let mut value = Vec::with_capacity(binding.uri.len() + binding.params.len() + ROOM);
        [b"<", &binding.uri[..], b">", &binding.params].iter().for_each(|part| value.extend_from_slice(part));
        if registration.supports.gruu {
            write_gruus(&mut value, binding, bindings, &registration.aor, key);
        }
        value.extend_from_slice(b";expires=");
        value.extend_from_slice(itoa::Buffer::new().format(binding.left(now)).as_bytes());
        outcome = outcome.with(HeaderId::Contact, value);
    }
    for value in &registration.path {
        outcome = outcome.with(HeaderId::Path, value.clone());
    }
    if registration.is_outbound() {
        outcome = outcome.with(HeaderId::Require, "outbound");
    }
    if registration.supports.path || registration.supports.outbound {
        outcome = outcome.with(HeaderId::Supported, SUPPORTED);
    }
    outcome.reachable = (!bindings.is_empty()).then_some(registration.aor);
    outcome
}

/// `pub-gruu` and `temp-gruu` of the device a binding belongs to.
fn write_gruus(out: &mut Vec<u8>, binding: &Stored, all: &[Stored], aor: &str, key: &GruuKey) {
    let Some(id) = instance::of(&binding.params) else { return };
    // RFC 5630 §5.2.1: of the scheme of the Contact. Both are read back.
    let is_sips = binding.uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"));
    let write = |out: &mut Vec<u8>, gruu: &[u8]| {
        let rest = gruu.strip_prefix(b"sip:").filter(|_| is_sips);
        out.extend_from_slice(if rest.is_some() { b"sips:" } else { b"" });
        out.extend_from_slice(rest.unwrap_or(gruu));
    };
    out.extend_from_slice(b";pub-gruu=\"");
    write(out, &gruu::public(aor, &id));
    out.push(b'"');
    let Some(generation) = binding.gruu else { return };
    // Made of the latest refresh of the device, over whichever flow.
    let of_device = all.iter().filter(|each| each.gruu == binding.gruu && each.is_of_instance(&id));
    let latest = of_device.max_by_key(|each| (each.refreshed_at, each.cseq)).unwrap_or(binding);
    let refresh = (&latest.call_id[..], latest.cseq);
    let temporary = key.temporary(&Temporary { aor, instance: &id, generation, refresh });
    if let Some(gruu) = temporary {
        out.extend_from_slice(b";temp-gruu=\"");
        write(out, &gruu);
        out.push(b'"');
    }
}

/// Why a REGISTER changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Option tags that are not understood, as a comma list.
    Unsupported(Vec<u8>),
    UnknownUser,
    WildcardMisused,
    /// To is no SIP or SIPS URI, so that it can be no AOR (RFC 3261 §10.3, RFC 4475 §3.3.4).
    NoAddressOfRecord,
    MalformedContact,
    ContactTooLong,
    MalformedPath,
    PathTooLong,
    CallIdTooLong,
    /// A SIPS Contact in a REGISTER whose Request-URI or Path is none (RFC 5630 §5.2).
    NotSips,
    /// A Contact that leads back to its own AOR (RFC 5627 §5.1).
    ContactLoops,
    /// A device's Contact that is no SIP URI (RFC 5627 §5.1).
    ContactNotSip,
    /// Several Contacts, one of them with a reg-id (RFC 5626 §6).
    SeveralFlows,
    /// The proxy that the terminal came through can't keep its flow (RFC 5626 §6).
    FirstHopLacksOutbound,
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
            Self::NoAddressOfRecord => plain(400, "To Is No SIP URI"),
            Self::MalformedContact => plain(400, "Malformed Contact"),
            Self::ContactTooLong => plain(403, "Contact Too Long"),
            Self::MalformedPath => plain(400, "Malformed Path"),
            Self::PathTooLong => plain(400, "Path Too Long"),
            Self::NotSips => plain(400, "SIPS Contact Needs A SIPS Request-URI And Path"),
            Self::CallIdTooLong => plain(400, "Call-ID Too Long"),
            Self::ContactLoops => plain(403, "Contact Is Its Own Address Of Record"),
            Self::ContactNotSip => plain(403, "Contact With An Instance Is No SIP URI"),
            Self::SeveralFlows => plain(400, "One Contact Only Where One Has A reg-id"),
            Self::FirstHopLacksOutbound => plain(439, "First Hop Lacks Outbound Support"),
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
