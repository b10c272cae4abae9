//! Requests this server itself answers: OPTIONS to it, REGISTER for its domains.

use std::borrow::Cow;
use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use registrar::{RegisterOutcome, Source};
use sip::{HeaderId, Method, Request};

use crate::authenticate;
use crate::journey::Journey;
use crate::metrics;
use crate::offline;
use crate::ours::Place;
use crate::refuse::{Refused, Reply};
use crate::route::Way;

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
pub(crate) async fn answer(journey: &Journey, way: &Way, repeated: bool) -> Answer {
    match journey.request.method() {
        Method::Register => register(journey, way, repeated).await,
        Method::Options => options(journey).into(),
        // RFC 3261 §8.2.1: what nobody but the recipient could know, and the recipient does not.
        _ => Reply::new(501, "Not Implemented").with("Allow", ALLOW).into(),
    }
}

/// What is answered, and what follows it.
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    /// A user who has a contact now, and gets what waits for him.
    pub(crate) reachable: Option<String>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self { reply, reachable: None }
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

async fn register(journey: &Journey, way: &Way, repeated: bool) -> Answer {
    let registrar = &journey.rooms.registrar;
    // Nobody is asked for a password in vain; where none is asked for, the registrar looks at this first anyway.
    if registrar.is_guarded()
        && let Some(outcome) = registrar.check_require(&journey.request)
    {
        return reply_of(outcome);
    }
    if let Err(refused) = authenticate::check_register(journey) {
        journey.note(|| refused.to_string());
        return refused.reply(&journey.policy.settings).into();
    }
    if !authenticate::is_in_rate(journey, way) {
        metrics::overload("user");
        return Refused::Busy.reply(&journey.policy.settings).into();
    }
    let flow = journey.flow;
    let source = Source {
        transport: flow.protocol.via().into(),
        local: flow.local,
        remote: flow.remote,
        flow: Some(flow.id),
    };
    let outcome = match repeated {
        true => registrar.repeat(&journey.request, source, journey.arrived),
        false => registrar.register(&journey.request, source, journey.arrived).await,
    };
    let contacts = outcome.values(HeaderId::Contact).count();
    journey.note(|| [itoa::Buffer::new().format(contacts), " contacts"].concat());
    reply_of(outcome)
}

fn reply_of(outcome: RegisterOutcome) -> Answer {
    let mut reply = Reply::new(outcome.status, outcome.reason);
    let headers = outcome.headers.into_iter();
    reply.headers.extend(headers.map(|(id, value)| (Cow::Borrowed(id.name()), Vec::from(value))));
    if outcome.status == 200 {
        // Terminals set their clocks by it (CPI.md 6.1 step 8).
        reply = reply.with(HeaderId::Date.name(), date(SystemTime::now()));
    }
    Answer { reply, reachable: outcome.reachable }
}

thread_local! {
    /// A second and how it is written, which is the same for thousands of answers.
    static WRITTEN: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// As a Date field has it.
fn date(now: SystemTime) -> String {
    let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    WRITTEN.with_borrow_mut(|(of, written)| {
        if *of != second {
            *written = httpdate::fmt_http_date(now);
            *of = second;
        }
        written.clone()
    })
}

/// What follows an answer of ours: a user who has a contact now gets what waits for him.
pub(crate) fn follow_up(journey: &Journey, reachable: Option<&str>) {
    if let Some(user) = reachable {
        offline::registered(&journey.rooms, user);
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
