//! Request validation (RFC 3261 §16.3): what a request must pass before anyone thinks about where it goes.
//!
//! Syntax was judged by `sip`, and credentials (step 6) are the business of `authenticate`, which needs to know
//! the request's way.

use std::time::{Duration, SystemTime};

use sip::{HeaderId, Host, Method, Request, Via};

use crate::journey::Journey;
use crate::local;
use crate::loops;
use crate::ours::Place;
use crate::refuse::Refused;

/// What admission found out, for the stages that follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// The second part of our branches (RFC 5393 §4.2.1).
    pub(crate) second_part: String,
}

/// Checks a request, in the order of §16.3. `recipient` says that this server itself will answer it, so
/// that it need not be forwarded.
///
/// # Errors
/// The first check that fails.
pub(crate) fn check(journey: &Journey, recipient: bool) -> Result<Admitted, Refused> {
    let request = &journey.request;
    let uri = &journey.uri;
    let is_taken = match uri.scheme() {
        sip::Scheme::Sip => true,
        // What came over TLS did so all the way (RFC 5630 §3.2): the others had to see to it, as `hop` does for the rest.
        sip::Scheme::Sips => journey.flow.protocol.is_secure(),
        // A tel URI has no route here.
        _ => false,
    };
    if !is_taken {
        return Err(Refused::Scheme);
    }
    if !recipient && request.max_forwards() == Some(0) {
        return Err(Refused::TooManyHops);
    }
    let second_part =
        loops::second_part(request.uri_octets(), request.values(HeaderId::Route), request.call_id());
    // Its mark would stand somewhere in the head of a request that was here before.
    let may_loop = memchr::memmem::find(request.raw().head(), second_part.as_bytes()).is_some();
    let ours = |via: &Via<'_>| is_ours(journey, via.host(), via.port());
    let is_marked = |via: &Via<'_>| via.branch().is_some_and(|branch| loops::is_marked(branch, &second_part));
    if may_loop && request.vias().any(|via| is_marked(&via) && ours(&via)) {
        return Err(Refused::Looped);
    }
    let unsupported = unsupported(request, recipient);
    let judged_later = recipient && request.method() == Method::Register;
    if !judged_later && !unsupported.is_empty() {
        return Err(Refused::BadExtension { unsupported });
    }
    if request.method() == Method::Message && has_expired(request, SystemTime::now()) {
        return Err(Refused::Expired);
    }
    Ok(Admitted { second_part })
}

fn is_ours(journey: &Journey, host: Host<'_>, port: Option<u16>) -> bool {
    journey.policy.ours.place_of(host, port, journey.flow.local.ip()) != Place::Foreign
        || host.is(&journey.policy.settings.host)
}

/// The option tags of Require or Proxy-Require that nobody here understands. The proxy needs none, so that
/// it has none; what is for us may require what we list in Supported. The registrar judges those of a
/// REGISTER itself.
fn unsupported(request: &Request, recipient: bool) -> String {
    let id = if recipient { HeaderId::Require } else { HeaderId::ProxyRequire };
    let tags = request.values(id).filter(|tag| !recipient || !local::supports(tag));
    tags.map(String::from_utf8_lossy).collect::<Vec<_>>().join(", ")
}

/// Whether Expires has passed, counted from Date, or from now without one (RFC 3428 §4). `Expires: 0`
/// without a Date is still delivered: it asks for nothing but no storing.
fn has_expired(request: &Request, now: SystemTime) -> bool {
    let Some(seconds) = request.header(HeaderId::Expires).and_then(grammar::decimal) else { return false };
    let date = request.header(HeaderId::Date).and_then(|date| std::str::from_utf8(date).ok());
    let Some(sent) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else { return false };
    sent.checked_add(Duration::from_secs(seconds)).is_some_and(|end| end < now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;

    fn expired(fields: &str) -> bool {
        let text = format!("MESSAGE sip:a@b SIP/2.0\r\n{fields}");
        has_expired(&request(&text, b"x"), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000))
    }

    #[test]
    fn what_is_for_us_may_require_what_our_supported_lists() {
        let text = "OPTIONS sip:example.com SIP/2.0\r\nRequire: Path, foo\r\nProxy-Require: path\r\n";
        let request = request(text, b"");
        assert_eq!(unsupported(&request, true), "foo");
        assert_eq!(unsupported(&request, false), "path");
    }

    #[test]
    fn a_message_expires_when_date_and_expires_together_have_passed() {
        // 1,000,000,000 s is Sun, 09 Sep 2001 01:46:40 GMT.
        assert!(expired("Date: Sun, 09 Sep 2001 01:45:39 GMT\r\nExpires: 60\r\n"));
        assert!(!expired("Date: Sun, 09 Sep 2001 01:45:40 GMT\r\nExpires: 60\r\n"));
        assert!(!expired("Expires: 0\r\n"));
        assert!(!expired("Date: Sun, 09 Sep 2001 00:00:00 GMT\r\n"));
        assert!(!expired("Date: yesterday\r\nExpires: 60\r\n"));
        assert!(!expired("Date: Sun, 09 Sep 2001 00:00:00 GMT\r\nExpires: 99999999999999999999\r\n"));
    }
}
