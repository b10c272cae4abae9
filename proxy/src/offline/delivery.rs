//! Delivery runs: when a user registers, what waits for him goes out on the road of any request, one message
//! after the other. Never two runs for one user, and only so many at all.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use sip::{HeaderId, Request, Uri};
use store::{FetchError, Record, Version};
use tokio::sync::oneshot;
use transport::{Flow, Protocol};

use super::record::Front;
use super::shelf::Gone;
use super::verdict::{self, Outcome, Verdict};
use super::{pack, shown, unix_seconds};
use crate::journey::Journey;
use crate::metrics;
use crate::ours::Place;
use crate::refuse::Refused;
use crate::rooms::Rooms;
use crate::route::Way;
use crate::upstream::Upstream;
use crate::{fork, loops, target};

/// Seconds within which attempts for one message count as one: a terminal that registers again and again
/// while it can't be reached must not use them all up.
const APART: u64 = 60;

/// Which users' messages are being delivered or are about to be. Never more users than there are with
/// something waiting.
#[derive(Debug, Default)]
pub(crate) struct Runs(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: VecDeque<Arc<str>>,
    /// Queued or running; whether the user registered again since the run began.
    users: HashMap<Arc<str>, bool>,
    workers: usize,
}

/// A user of ours has registered and can be reached: delivers what waits for him.
pub(crate) fn registered(rooms: &Arc<Rooms>, aor: &str) {
    rooms.offline.mark(aor);
    wake(rooms, aor);
}

/// Delivers what waits for a user, if anything does.
pub(crate) fn wake(rooms: &Arc<Rooms>, aor: &str) {
    if !rooms.offline.ledger().waits(aor) {
        return;
    }
    let most = rooms.policy.load().settings.offline.deliveries.max(1);
    if rooms.runs.enqueue(aor, most) {
        tokio::spawn(work(Arc::clone(rooms)));
    }
}

impl Runs {
    /// Says whether one more worker is to be started.
    fn enqueue(&self, aor: &str, workers: usize) -> bool {
        let mut state = self.lock();
        if let Some(again) = state.users.get_mut(aor) {
            *again = true;
            return false;
        }
        let aor: Arc<str> = aor.into();
        state.users.insert(Arc::clone(&aor), false);
        state.next.push_back(aor);
        let more = state.workers < workers;
        state.workers += usize::from(more);
        more
    }

    /// The next user, or the end of the worker that asked.
    fn take(&self) -> Option<Arc<str>> {
        let mut state = self.lock();
        let next = state.next.pop_front();
        match &next {
            Some(aor) => drop(state.users.insert(Arc::clone(aor), false)),
            None => state.workers = state.workers.saturating_sub(1),
        }
        next
    }

    /// A run is through.
    fn end(&self, aor: &Arc<str>) {
        let mut state = self.lock();
        match state.users.get(aor) {
            Some(true) => state.next.push_back(Arc::clone(aor)),
            _ => drop(state.users.remove(aor)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of ours panics while it holds the lock, so a poisoned state is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn work(rooms: Arc<Rooms>) {
    while let Some(aor) = rooms.runs.take() {
        if AssertUnwindSafe(run(&rooms, &aor)).catch_unwind().await.is_err() {
            tracing::error!("a delivery broke off; what waits is kept");
        }
        rooms.runs.end(&aor);
    }
}

/// Delivers what waits for one user until nothing is left or nobody is there.
async fn run(rooms: &Arc<Rooms>, aor: &Arc<str>) {
    let mut behind = 0;
    loop {
        let next = rooms.offline.ledger().next(aor, behind);
        let Some((number, _, expires_at)) = next else { return };
        behind = number;
        if expires_at <= unix_seconds(transport::now()) {
            rooms.offline.finish(aor, number, Gone::Expired).await;
            continue;
        }
        let kept = match read(rooms, aor, number).await {
            Ok(Some(kept)) => kept,
            Ok(None) => continue,
            Err(error) => return tracing::warn!(%error, "kept messages can't be read now"),
        };
        let Some(outcome) = attempt(rooms, aor, &kept).await else { return };
        let verdict = verdict::of(outcome);
        conclude(rooms, aor, &kept, outcome, verdict).await;
        if verdict == Verdict::Unreached {
            return;
        }
    }
}

/// A message taken from the store.
struct Kept {
    number: u64,
    version: Version,
    front: Front,
    octets: Bytes,
    request: Request,
}

impl Kept {
    /// Whom it is for, by the scheme it was sent by: one to a SIPS URI leads over TLS alone whenever it goes.
    fn uri(&self, aor: &str) -> Option<Uri> {
        match aor.strip_prefix("sip:").filter(|_| self.request.uri().is_sips()) {
            Some(rest) => format!("sips:{rest}").parse().ok(),
            None => aor.parse().ok(),
        }
    }
}

async fn read(rooms: &Rooms, aor: &str, number: u64) -> Result<Option<Kept>, FetchError> {
    let Some(Record { version, value }) = rooms.offline.fetch(aor, number).await? else { return Ok(None) };
    let read = Front::read(&value).and_then(|(front, message)| {
        let octets = value.slice_ref(message);
        Some((front, octets.clone(), pack::unpack(octets)?))
    });
    let Some((front, octets, request)) = read else {
        tracing::error!("a kept message can't be read and is removed");
        rooms.offline.finish(aor, number, Gone::Unreadable).await;
        return Ok(None);
    };
    Ok(Some(Kept { number, version, front, octets, request }))
}

/// Sends a message on its road. `None`: there is nobody to send it to.
async fn attempt(rooms: &Arc<Rooms>, aor: &Arc<str>, kept: &Kept) -> Option<Outcome> {
    // Deliveries take their place among the requests on the road, and wait for it.
    let permit = Arc::clone(&rooms.permits).acquire_owned().await.ok()?;
    let uri = kept.uri(aor)?;
    let flow = Flow { protocol: Protocol::Udp, local: kept.front.local, remote: kept.front.remote, id: 0 };
    let sender = super::user(&kept.front.sender);
    let journey = Arc::new(Journey::from_store(Arc::clone(rooms), kept.request.clone(), flow, sender));
    if journey.place(&uri) != Place::Domain {
        return None;
    }
    let way = Way::to(uri);
    let groups = match target::find(&journey, &way) {
        Ok(groups) => groups,
        // Others may be for the phones there are.
        Err(Refused::SipsNotAllowed) => return Some(Outcome::Refused(416)),
        Err(_) => return None,
    };
    let request = &journey.request;
    let second_part =
        loops::second_part(request.uri_octets(), request.values(HeaderId::Route), request.call_id());
    let (tell, told) = oneshot::channel();
    let upstream = Upstream::to_store(Arc::clone(&journey), tell);
    // In a task of its own: when one contact has taken the message, the others' silence is not waited for.
    tokio::spawn(async move {
        fork::run(journey, way, second_part, groups, upstream).await;
        drop(permit);
    });
    Some(told.await.unwrap_or(Outcome::Silence))
}

async fn conclude(rooms: &Rooms, aor: &str, kept: &Kept, outcome: Outcome, verdict: Verdict) {
    let policy = rooms.policy.load_full();
    let (quotas, open) = (&policy.settings.offline, policy.settings.open_logs);
    metrics::attempt(match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Rejected => "rejected",
        Verdict::Later => "refused",
        Verdict::Unreached => "unreached",
    });
    match verdict {
        Verdict::Delivered => drop(rooms.offline.finish(aor, kept.number, Gone::Delivered).await),
        Verdict::Rejected => {
            tracing::info!(to = %shown(aor, open), ?outcome, "a kept message is not wanted, and goes");
            rooms.offline.finish(aor, kept.number, Gone::Rejected).await;
        }
        Verdict::Later | Verdict::Unreached => {
            let now = unix_seconds(transport::now());
            if !rooms.offline.ledger().counts(aor, kept.number, now, APART) {
                return;
            }
            let front = Front { attempts: kept.front.attempts.saturating_add(1), ..kept.front.clone() };
            let attempts = front.attempts;
            if attempts >= quotas.attempts {
                tracing::warn!(to = %shown(aor, open), attempts, ?outcome, "a kept message is given up");
                rooms.offline.finish(aor, kept.number, Gone::GivenUp).await;
            } else {
                tracing::debug!(to = %shown(aor, open), attempts, ?outcome, "a kept message waits on");
                let record = front.with(&kept.octets);
                rooms.offline.rewrite((aor, kept.number), kept.version, record).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_queued_once_and_run_again_only_after_a_register_during_the_run() {
        let runs = Runs::default();
        assert!(runs.enqueue("a", 1));
        assert!(!runs.enqueue("a", 1), "queued already");
        assert!(!runs.enqueue("b", 1), "one worker is at work");
        let first = runs.take().unwrap();
        assert_eq!(&*first, "a");
        runs.end(&first);
        let second = runs.take().unwrap();
        runs.enqueue("b", 1);
        runs.end(&second);
        assert_eq!(runs.take().as_deref(), Some("b"));
        runs.end(&second);
        assert_eq!(runs.take(), None);
        assert!(runs.enqueue("c", 1), "the worker has ended");
    }
}
