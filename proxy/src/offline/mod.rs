//! Messages for users who can't be reached (RFC 3428 §8, CPI.md 6.6): kept, answered 202, delivered on the
//! user's next REGISTER as if they came then, so that the terminal which registered decides their shape.
//!
//! What holds:
//! - A 202 leaves only after the message is durable, one record of `store` each.
//! - A message is delivered at least once. It goes from the store when its final answer has come; if the
//!   server dies in between, or the answer is lost, it is delivered again with the Call-ID, the CSeq and the
//!   From tag it had, by which a terminal knows it for the same (RFC 3261 §8.2.2.2). Exactly once can't be
//!   had: the terminal and this disk can't decide together.
//! - The messages of a user are delivered one after the other in the order they came. One that comes while
//!   the user can be reached goes its own way and waits for none of them.
//! - Nothing is sent to anyone in answer to a delivery or its failure: a server that wrote to senders would
//!   answer machines that answer it.

mod delivery;
mod eligible;
mod ledger;
mod pack;
mod record;
mod shelf;
mod verdict;

use std::sync::Arc;
use std::time::SystemTime;

use registrar::UserName;
use sip::Uri;
use store::SwapError;

use crate::context::{Best, Final};
use crate::journey::Journey;
use crate::redact::Redacted;
use crate::refuse::{Refused, Reply};
use crate::relay::Standing;
use crate::route::Way;
use crate::source;
use crate::target;

pub(crate) use delivery::{Runs, registered};
pub use ledger::Tally;
use ledger::{Claim, NoPlace};
use record::Front;
pub(crate) use shelf::Place;
use shelf::{Failed, Gone};
pub use shelf::{Offline, Waiting};
pub(crate) use verdict::Outcome;
use verdict::Verdict;

/// Whether a request that ended so has reached nobody who could have taken it.
pub(crate) fn unreached<F: Final>(best: &Best<F>) -> bool {
    match best {
        Best::Answer { best, .. } => matches!(best.status(), 408 | 430 | 480 | 504),
        Best::Internal | Best::Unavailable | Best::Nothing => true,
        Best::Timeout => false,
    }
}

/// Whether a message of that journey would be kept if it reached nobody.
pub(crate) fn would_keep(journey: &Journey, way: &Way) -> bool {
    let quotas = &journey.policy.settings.offline;
    // One in a dialog, or for one terminal of a user (a GRUU), is for nobody else who may register.
    let is_plain = !way.in_dialog()
        && way.routes.is_empty()
        && way.uri.param(b"gr").is_none()
        && journey.request.to_tag().is_none();
    quotas.store && !journey.from_store && is_plain && expiry(journey).is_some()
}

/// Keeps a message that reached nobody. `None`: it is none to keep, and the refusal stands. Else its place
/// if it is durable now, and what to answer.
pub(crate) async fn keep(journey: &Journey, way: &Way) -> Option<(Option<Place>, Reply)> {
    if !would_keep(journey, way) {
        return None;
    }
    let aor: Arc<str> = target::aor(journey, &way.uri)?.aor().into();
    let (claim, front) = describe(journey, Arc::clone(&aor))?;
    let (quotas, offline) = (&journey.policy.settings.offline, &journey.rooms.offline);
    let kept = offline.keep(&claim, front, pack::pack(&journey.request, SystemTime::now()), quotas).await;
    let refused = match kept {
        Ok(place) => {
            journey.note(|| "kept".to_owned());
            // A terminal that came in the meantime was not asked, and its REGISTER found nothing to deliver.
            if offline.registered_since(&aor, journey.arrived) {
                delivery::wake(&journey.rooms, &aor);
            }
            return Some((Some(place), Reply::new(202, "Accepted")));
        }
        Err(Failed::NoPlace(NoPlace::Waits)) => return Some((None, Reply::new(202, "Accepted"))),
        Err(Failed::NoPlace(full)) => Refused::NotKept(match full {
            NoPlace::User => "The user is not there, and too many messages wait already",
            NoPlace::Sender => "The user is not there, and too many messages of this sender wait already",
            NoPlace::All | NoPlace::Waits => "The user is not there, and no further message can be kept",
        }),
        Err(Failed::Store(SwapError::Busy)) => Refused::Busy,
        Err(Failed::Store(error)) => {
            tracing::warn!(%error, "a message for a user who is not there is not kept");
            Refused::NotKept("The user is not there, and the message can't be kept now")
        }
    };
    journey.note(|| refused.to_string());
    Some((None, refused.reply(&journey.policy.settings)))
}

/// Until when a message is worth keeping, if it is.
fn expiry(journey: &Journey) -> Option<SystemTime> {
    let ttl = journey.policy.settings.offline.ttl;
    eligible::until(&journey.request, journey.arrived, SystemTime::now(), ttl)
}

fn describe(journey: &Journey, aor: Arc<str>) -> Option<(Claim, Front)> {
    let request = &journey.request;
    let until = expiry(journey)?;
    let octets = request.raw().head().len() + request.body().len();
    let (octets, expires_at) = (u64::try_from(octets).unwrap_or(u64::MAX), unix_seconds(until));
    let (sender, fingerprint) = (sender(journey), pack::fingerprint(request));
    let front = Front {
        stored_at: unix_seconds(journey.arrived),
        expires_at,
        attempts: 0,
        fingerprint,
        octets,
        local: journey.flow.local,
        remote: journey.flow.remote,
        sender: sender.clone().into(),
        from: request.from().uri_octets().to_vec(),
    };
    Some((Claim { aor, sender: sender.into(), octets, fingerprint, expires_at }, front))
}

/// Whom a message counts for: who proved who he is, whom a peer vouches for, else where it came from, since a
/// From that nobody proved is anybody's.
fn sender(journey: &Journey) -> String {
    let claimed = || journey.request.from().uri().map(|uri| uri.aor()).unwrap_or_default();
    match journey.standing() {
        Standing::Peer => claimed(),
        Standing::User(user) => user.aor(),
        Standing::Stranger => source::of(journey.flow.remote.ip()),
    }
}

/// The user of ours whom [`sender`] wrote down.
fn user(sender: &[u8]) -> Option<UserName> {
    UserName::of(&Uri::parse(sender).ok()?)
}

/// The message of a place was under way to its user, who has answered after all.
pub(crate) async fn answered(journey: &Journey, place: &Place, outcome: Outcome) {
    let gone = match verdict::of(outcome) {
        Verdict::Delivered => Gone::Delivered,
        Verdict::Rejected => Gone::Rejected,
        Verdict::Later | Verdict::Unreached => return,
    };
    journey.rooms.offline.finish(&place.aor, place.number, gone).await;
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// An address of record for the log.
fn shown(aor: &str, open: bool) -> Redacted<'_> {
    Redacted::new(aor.as_bytes(), open)
}
