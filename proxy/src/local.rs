//! Requests this server itself answers: OPTIONS to it, REGISTER for its domains.

use std::borrow::Cow;
use std::time::SystemTime;

use registrar::{RegisterOutcome, Source};
use sip::{HeaderId, Method, Request};

use crate::authenticate;
use crate::journey::Journey;
use crate::metrics;
use crate::offline;
use crate::ours::Place;
use crate::refuse::{Refused, Reply};
use crate::route::Way;
use crate::target;

/// The methods this server takes, for its users or for itself.
pub(crate) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH";

/// What this server reads itself: the body of no request.
const ACCEPT: &str = "application/sdp";

/// The extensions of REGISTER (RFC 3327, RFC 3840, RFC 5626, RFC 5627) that the registrar knows.
const SUPPORTED: [&str; 4] = ["path", "outbound", "gruu", "pref"];

/// And those of SUBSCRIBE that the presence server knows (RFC 4662, RFC 5367).
const LISTS: [&str; 2] = ["eventlist", "recipient-list-subscribe"];

/// Whether a request that is for us may require this option tag.
pub(crate) fn supports(tag: &[u8]) -> bool {
    SUPPORTED.iter().chain(&LISTS).any(|known| known.as_bytes().eq_ignore_ascii_case(tag))
}

/// Whether this server is the recipient of the request, as far as its Request-URI tells before routing.
pub(crate) fn is_recipient(request: &Request, place: Place) -> bool {
    match request.method() {
        Method::Register => place != Place::Foreign,
        // One with Max-Forwards 0 for somebody else gets a 483 (RFC 4475 §3.3.11) and not our own answer, which
        // RFC 3261 §11 would let us give: the sender would take it for that of whom he asked.
        Method::Options | Method::Other(_) => place != Place::Foreign && request.uri().user().is_none(),
        _ => false,
    }
}

/// Whether the answer is this server's to give.
pub(crate) fn is_answered(journey: &Journey, way: &Way) -> bool {
    is_recipient(&journey.request, journey.place(&way.uri))
}

/// The answer to a request that is for this server, and that may be a repetition of one that was answered 200.
pub(crate) async fn answer(journey: &Journey, way: &Way, repeated: bool) -> Reply {
    match journey.request.method() {
        Method::Register => register(journey, way, repeated).await,
        Method::Options => options(journey),
        // RFC 3261 §8.2.1: what nobody but the recipient could know, and the recipient does not.
        _ => Reply::new(501, "Not Implemented").with("Allow", ALLOW),
    }
}

fn options(journey: &Journey) -> Reply {
    let reply = Reply::new(200, "OK")
        .with("Allow", ALLOW)
        .with("Accept", ACCEPT)
        .with("Accept-Encoding", "identity")
        .with("Accept-Language", "en")
        .with("Supported", SUPPORTED.join(", "));
    // RFC 6665 §4.4.3: what can be subscribed to here.
    match journey.policy.settings.presence.enabled && journey.rooms.presence.get().is_some() {
        true => reply.with("Allow-Events", ::presence::event::allowed()),
        false => reply,
    }
}

async fn register(journey: &Journey, way: &Way, repeated: bool) -> Reply {
    if let Some(outcome) = journey.rooms.registrar.check_require(&journey.request) {
        return reply_of(&outcome);
    }
    if let Err(refused) = authenticate::check_register(journey) {
        journey.note(|| refused.to_string());
        return refused.reply(&journey.policy.settings);
    }
    if !authenticate::is_in_rate(journey, way) {
        metrics::overload("user");
        return Refused::Busy.reply(&journey.policy.settings);
    }
    let flow = journey.flow;
    let source = Source {
        transport: flow.protocol.via().into(),
        local: flow.local,
        remote: flow.remote,
        flow: Some(flow.id),
    };
    let registrar = &journey.rooms.registrar;
    let outcome = match repeated {
        true => registrar.repeat(&journey.request, source, journey.arrived),
        false => registrar.register(&journey.request, source, journey.arrived).await,
    };
    let contacts = outcome.values(HeaderId::Contact).count();
    journey.note(|| format!("{contacts} contacts"));
    reply_of(&outcome)
}

fn reply_of(outcome: &RegisterOutcome) -> Reply {
    let mut reply = Reply::new(outcome.status, outcome.reason);
    for (id, value) in &outcome.headers {
        let value = match id {
            // Terminals set their clocks by it.
            HeaderId::Date => httpdate::fmt_http_date(SystemTime::now()).into_bytes(),
            _ => value.to_vec(),
        };
        reply.headers.push((Cow::Borrowed(id.name()), value));
    }
    reply
}

/// What follows an answer of ours: a user who has a contact now gets what waits for him.
pub(crate) fn follow_up(journey: &Journey, reply: &Reply) {
    let has_contact = reply.headers.iter().any(|(name, _)| name == HeaderId::Contact.name());
    if journey.request.method() != Method::Register || reply.status != 200 || !has_contact {
        return;
    }
    let user = journey.request.to().uri().ok().and_then(|to| match journey.place(&to) {
        Place::Domain => to.account(),
        _ => target::aor(journey, &to).map(|aor| aor.aor()),
    });
    if let Some(user) = user {
        offline::registered(&journey.rooms, &user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;

    #[test]
    fn options_and_unknown_methods_without_a_user_are_ours() {
        for method in ["OPTIONS", "RE%47IST%45R"] {
            let at_us = request(&format!("{method} sip:example.com SIP/2.0\r\n"), b"");
            assert!(is_recipient(&at_us, Place::Domain) && !is_recipient(&at_us, Place::Foreign));
            let fields = "Max-Forwards: 0\r\n";
            let at_john = request(&format!("{method} sip:john@example.com SIP/2.0\r\n{fields}"), b"");
            assert!(!is_recipient(&at_john, Place::Domain), "without hops left it is not ours either");
        }
    }
}
