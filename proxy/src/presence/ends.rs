//! Publications end when their time is over, and those for one user change one after the other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use presence::event::Package;
use presence::subscription::Resource;
use presence::time::Moment;
use store::SwapError;
use tokio::sync::{MutexGuard, Notify};
use tokio_util::sync::CancellationToken;

use super::Presence;
use super::turns::Turns;
use crate::metrics;

/// How often it is measured what there is.
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// Users whose publications are looked at before others may run.
const BATCH: usize = 64;

#[derive(Default)]
pub(super) struct Ends {
    queue: Mutex<Queue>,
    wake: Notify,
    turns: Turns,
}

/// Each user once, where his first publication ends.
#[derive(Default)]
struct Queue {
    heap: BinaryHeap<Reverse<(u64, Arc<str>)>>,
    of_users: HashMap<Arc<str>, u64>,
}

impl Ends {
    /// The user's turn to have his publications changed; they are given in the order they were asked for.
    pub(super) async fn turn(&self, aor: &str) -> MutexGuard<'_, ()> {
        self.turns.of(aor).await
    }

    /// A user's first publication ends at that second.
    pub(super) fn expect(&self, aor: &str, end: Option<u64>) {
        let Some(end) = end else { return };
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (aor, is_later) = match queue.of_users.get_key_value(aor) {
            Some((known, earlier)) => (Arc::clone(known), *earlier <= end),
            None => (Arc::from(aor), false),
        };
        // What ends later is found when the earlier one is looked at.
        if is_later {
            return;
        }
        queue.of_users.insert(Arc::clone(&aor), end);
        queue.heap.push(Reverse((end, aor)));
        drop(queue);
        self.wake.notify_one();
    }

    /// Users of whom something may have ended at `now`.
    fn take(&self, now: u64) -> Vec<Arc<str>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut over = Vec::new();
        while over.len() < BATCH
            && let Some(Reverse((end, _))) = queue.heap.peek()
            && *end <= now
        {
            let Some(Reverse((end, aor))) = queue.heap.pop() else { break };
            if queue.of_users.get(&aor) == Some(&end) {
                queue.of_users.remove(&aor);
                over.push(aor);
            }
        }
        over
    }

    fn next(&self) -> Option<u64> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.heap.peek().map(|Reverse((end, _))| *end)
    }
}

/// Takes away what has ended, until the server does.
pub(super) async fn run(presence: Arc<Presence>, stop: CancellationToken) {
    drop_orphans(&presence).await;
    loop {
        let now = Moment::from(transport::now());
        let over = presence.publishing.take(now.seconds());
        if over.is_empty() {
            metrics::watched(presence.subscriptions(), presence.presentities());
            let next = presence.publishing.next().map_or(COUNT_EVERY, |next| {
                Duration::from_millis(Moment::from_seconds(next).millis().saturating_sub(now.millis()))
            });
            let next = next.min(COUNT_EVERY);
            tokio::select! {
                () = stop.cancelled() => return,
                () = presence.publishing.wake.notified() => {}
                () = tokio::time::sleep(next) => {}
            }
            continue;
        }
        for aor in over {
            end(&presence, &aor, now).await;
        }
        tokio::task::yield_now().await;
    }
}

/// Drops objects that no publication shows, as a crash between two writes leaves them.
async fn drop_orphans(presence: &Presence) {
    let mut dropped = 0_usize;
    for (aor, digest) in presence.shelf.objects() {
        // Not between the object and the record of a PUBLISH.
        let _turn = presence.publishing.turn(&aor).await;
        if !presence.shelf.published(&aor).1.shows(&digest) {
            presence.shelf.drop_object(&aor, &digest).await;
            dropped += 1;
        }
    }
    if dropped > 0 {
        tracing::info!(objects = dropped, "objects of publications that never came to be are gone");
    }
}

async fn end(presence: &Presence, aor: &Arc<str>, now: Moment) {
    let _turn = presence.publishing.turn(aor).await;
    let (version, current) = presence.shelf.published(aor);
    let Some(next) = current.without_expired(now.seconds()) else {
        return presence.publishing.expect(aor, current.next_end());
    };
    match presence.shelf.publish(aor, version, &next).await {
        Ok(_) => {
            for digest in current.digests().filter(|digest| next.digests().all(|known| known != *digest)) {
                presence.shelf.drop_object(aor, digest).await;
            }
            presence.publishing.expect(aor, next.next_end());
            let resource = Resource { package: Package::Presence, aor: Arc::clone(aor) };
            presence.changed(&resource, None);
        }
        // Somebody else wrote, and says when it ends.
        Err(SwapError::Conflict { .. }) => presence.publishing.expect(aor, Some(now.seconds())),
        Err(error) => {
            tracing::warn!(%error, "publications that have ended are not removed yet");
            presence.publishing.expect(aor, Some(now.seconds().saturating_add(5)));
        }
    }
}
