//! Rules that hold at some times only (RFC 4745 §7.3): when one begins or ends to hold, all who watch are held to what the
//! rules say then.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use presence::time::Moment;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Presence;
use crate::rooms::Rooms;

/// How long it is slept at most: clocks are set.
const LONGEST: Duration = Duration::from_secs(3600);

/// Seconds after which it is tried again what the store did not take.
const AGAIN: u64 = 5;

/// Users whose rules change with time, each once, by when that is.
#[derive(Default)]
pub(super) struct Timed {
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Default)]
struct Queue {
    of_users: HashMap<Arc<str>, u64>,
    ends: BTreeSet<(u64, Arc<str>)>,
}

impl Timed {
    /// A user's rules change at that second next, or no more.
    pub(super) fn expect(&self, aor: &Arc<str>, next: Option<u64>) {
        let mut queue = self.lock();
        if let Some(before) = queue.of_users.remove(aor) {
            queue.ends.remove(&(before, Arc::clone(aor)));
        }
        if let Some(next) = next {
            queue.of_users.insert(Arc::clone(aor), next);
            queue.ends.insert((next, Arc::clone(aor)));
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// The next one whose rules have changed by then, taken out; else when there is one.
    fn take(&self, now: u64) -> Result<Arc<str>, Option<u64>> {
        let mut queue = self.lock();
        match queue.ends.first() {
            Some((next, _)) if *next > now => Err(Some(*next)),
            None => Err(None),
            Some(_) => {
                let (_, aor) = queue.ends.pop_first().ok_or(None)?;
                queue.of_users.remove(&aor);
                Ok(aor)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds watchers to rules as they begin and end, until the server does.
pub(super) async fn run(rooms: Arc<Rooms>, presence: Arc<Presence>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let now = Moment::from(transport::now());
        match presence.timed.take(now.seconds()) {
            Ok(aor) => {
                let default = rooms.policy.load().settings.presence.default;
                if let Err(error) = presence.hold_again(&aor, default).await {
                    tracing::warn!(%error, "watchers are not held yet to rules that have just changed");
                    presence.timed.expect(&aor, Some(now.seconds().saturating_add(AGAIN)));
                }
            }
            Err(next) => {
                let wait = next.map_or(LONGEST, |next| {
                    let left = Moment::from_seconds(next).millis().saturating_sub(now.millis());
                    Duration::from_millis(left.max(1)).min(LONGEST)
                });
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = presence.timed.wake.notified() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_up_in_the_order_their_rules_change_and_each_once() {
        let timed = Timed::default();
        let [ann, bob]: [Arc<str>; 2] = ["ann".into(), "bob".into()];
        timed.expect(&ann, Some(20));
        timed.expect(&bob, Some(10));
        timed.expect(&ann, Some(5));
        assert_eq!(timed.take(4), Err(Some(5)));
        assert_eq!((timed.take(15), timed.take(15)), (Ok(Arc::clone(&ann)), Ok(Arc::clone(&bob))));
        assert_eq!(timed.take(99), Err(None));
        timed.expect(&bob, Some(10));
        timed.expect(&bob, None);
        assert_eq!(timed.take(99), Err(None));
    }
}
