//! The messages that wait: in the store as records, in memory as the ledger of them.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use store::{FetchError, OnDisk, Record, Space, Store, SwapError, Version};

use super::ledger::{Claim, Ledger, NoPlace, Tally};
use super::record::{FRONT, Front, key, read_key};
use super::unix_seconds;
use crate::metrics;
use crate::settings::Offline as Quotas;

/// The name of the space; part of the format on disk.
const SPACE: &str = "offline";

/// Octets of one record, at most: the largest message there may be, and its front.
const RECORD: usize = 64 * 1024 * 1024;

/// Expired messages cleared away in one sweep; the rest is for the next.
const SWEEP: usize = 10_000;

/// Marks of recent REGISTERs, found by a hash of their user.
const MARKS: usize = 4096;

/// All messages that wait.
pub struct Offline {
    space: Space,
    ledger: Mutex<Ledger>,
    /// When somebody of that hash registered, Unix microseconds. Two users of one hash cost a look too many.
    registered: Box<[AtomicU64]>,
    hasher: RandomState,
}

/// Where a kept message is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) aor: Arc<str>,
    pub(crate) number: u64,
}

/// What operators may know of a message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number among those of its user; later ones are larger.
    pub id: u64,
    /// The URI of its From. Personal.
    pub from: Vec<u8>,
    /// Its octets.
    pub octets: u64,
    /// When it came.
    pub stored_at: SystemTime,
    /// Until when it is good.
    pub expires_at: SystemTime,
    /// Deliveries that came to nothing.
    pub attempts: u32,
}

/// Why a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It arrived.
    Delivered,
    /// The recipient does not want it or can't have it.
    Rejected,
    /// It was tried too often.
    GivenUp,
    /// It was good until then.
    Expired,
    /// The operator removed it.
    Removed,
    /// Its record can't be read.
    Unreadable,
}

impl Gone {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Gone::Delivered => "delivered",
            Gone::Rejected => "rejected",
            Gone::GivenUp => "given_up",
            Gone::Expired => "expired",
            Gone::Removed => "removed",
            Gone::Unreadable => "unreadable",
        }
    }
}

/// Why a message is not kept, or its record not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failed {
    /// A quota is full.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] SwapError),
}

impl Offline {
    /// How the store must hold the messages: [`store::Options::on_disk`] must have it.
    pub const fn on_disk() -> OnDisk {
        OnDisk { space: SPACE, front: FRONT, value_limit: RECORD }
    }

    /// Takes up what `store` holds.
    pub fn open(store: &Store) -> Offline {
        let space = store.space(SPACE);
        let mut ledger = Ledger::default();
        let mut unreadable = 0_usize;
        space.scan(|key, version, front| {
            let read = read_key(key).zip(Front::read(front));
            let Some(((aor, number), (front, _))) = read else {
                unreadable += 1;
                return;
            };
            let claim = Claim {
                aor: aor.into(),
                sender: String::from_utf8_lossy(&front.sender).into(),
                octets: front.octets,
                fingerprint: front.fingerprint,
                expires_at: front.expires_at,
            };
            ledger.load(&claim, number, version);
        });
        if unreadable > 0 {
            tracing::error!(messages = unreadable, "kept messages can't be read, and are left as they are");
        }
        metrics::waiting(ledger.all());
        let registered = std::iter::repeat_with(AtomicU64::default).take(MARKS).collect();
        Offline { space, ledger: Mutex::new(ledger), registered, hasher: RandomState::new() }
    }

    /// Writes a message and returns when it is durable.
    pub(crate) async fn keep(
        &self,
        claim: &Claim,
        front: Front,
        message: Bytes,
        quotas: &Quotas,
    ) -> Result<Place, Failed> {
        let now = transport::now();
        let number = match self.ledger().claim(claim, unix_micros(now), quotas) {
            Ok(number) => number,
            Err(full) => {
                metrics::not_kept(full.label());
                return Err(full.into());
            }
        };
        // Given back if the store refuses, or whoever waits for it goes away.
        let mut claimed = Claimed { offline: self, aor: &claim.aor, number, durable: false };
        match self.space.swap(&key(&claim.aor, number), None, Some(front.with(&message))).await {
            Ok(version) => {
                claimed.durable = true;
                self.ledger().settle(&claim.aor, number, version);
                metrics::kept();
                self.measure();
                Ok(Place { aor: Arc::clone(&claim.aor), number })
            }
            Err(error) => {
                metrics::not_kept("store");
                Err(error.into())
            }
        }
    }

    /// Says that a user registered.
    pub(crate) fn mark(&self, aor: &str) {
        if let Some(mark) = self.registered.get(self.slot(aor)) {
            mark.store(unix_micros(transport::now()), Ordering::Relaxed);
        }
    }

    /// Whether a user may have registered since then.
    pub(crate) fn registered_since(&self, aor: &str, then: SystemTime) -> bool {
        let mark = self.registered.get(self.slot(aor));
        mark.is_some_and(|mark| mark.load(Ordering::Relaxed) >= unix_micros(then))
    }

    fn slot(&self, aor: &str) -> usize {
        let marks = u64::try_from(MARKS).unwrap_or(1);
        usize::try_from(self.hasher.hash_one(aor) % marks).unwrap_or_default()
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // No code of ours panics while it holds the lock, so a poisoned state is still whole.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record as it is on the disk; `None` if it is no longer there.
    pub(crate) async fn fetch(&self, aor: &str, number: u64) -> Result<Option<Record>, FetchError> {
        let found = self.space.fetch(&key(aor, number)).await?;
        if found.is_none() {
            self.ledger().strike(aor, number);
        }
        Ok(found)
    }

    /// Replaces a record, of which an attempt was counted.
    pub(crate) async fn rewrite(&self, place: (&str, u64), version: Version, record: Bytes) {
        let (aor, number) = place;
        match self.space.swap(&key(aor, number), Some(version), Some(record)).await {
            Ok(version) => self.ledger().settle(aor, number, version),
            Err(SwapError::Conflict { current: Some(version) }) => {
                self.ledger().settle(aor, number, version);
            }
            Err(SwapError::Conflict { current: None }) => drop(self.ledger().strike(aor, number)),
            Err(error) => tracing::warn!(%error, "an attempt to deliver a message is not counted"),
        }
    }

    /// Takes a message away. If the disk does not take that now, the message is delivered no more while this
    /// process runs, and the sweep tries again. Says whether it was there.
    pub(crate) async fn finish(&self, aor: &str, number: u64, why: Gone) -> bool {
        let key = key(aor, number);
        let Some(record) = self.space.read(&key, |version, _| version) else {
            self.ledger().strike(aor, number);
            return false;
        };
        match self.space.swap(&key, Some(record), None).await {
            Ok(_) => {
                self.ledger().strike(aor, number);
                metrics::gone(why.label());
                self.measure();
                true
            }
            Err(SwapError::Conflict { current: None }) => {
                self.ledger().strike(aor, number);
                false
            }
            Err(error) => {
                tracing::warn!(%error, "a message that waits no longer is not removed yet");
                self.ledger().done(aor, number);
                true
            }
        }
    }

    /// Clears away what has expired, and what could not be removed before. Gives how many.
    pub async fn sweep(&self, now: SystemTime) -> usize {
        let over = self.ledger().over(unix_seconds(now), SWEEP);
        for (aor, number, why) in &over {
            self.finish(aor, *number, *why).await;
        }
        over.len()
    }

    /// What waits altogether.
    pub fn all(&self) -> Tally {
        self.ledger().all()
    }

    /// Users behind `after` (empty: from the first) for whom something waits, by their addresses of record.
    pub fn users(&self, after: &str, most: usize) -> Vec<(Arc<str>, Tally)> {
        self.ledger().users(after, most)
    }

    /// The messages that wait for a user, in the order they will be delivered.
    pub fn waiting(&self, aor: &str) -> Vec<Waiting> {
        let numbers = self.ledger().numbers(aor);
        let read = |number: u64| {
            let (front, _) = self.space.read(&key(aor, number), |_, front| {
                Front::read(front).map(|(front, rest)| (front, rest.len()))
            })??;
            Some(Waiting {
                id: number,
                from: front.from,
                octets: front.octets,
                stored_at: UNIX_EPOCH + Duration::from_secs(front.stored_at),
                expires_at: UNIX_EPOCH + Duration::from_secs(front.expires_at),
                attempts: front.attempts,
            })
        };
        numbers.into_iter().filter_map(read).collect()
    }

    /// Removes one message that waits for a user, or all of them. Gives how many there were.
    pub async fn remove(&self, aor: &str, id: Option<u64>) -> usize {
        let numbers = self.ledger().numbers(aor);
        let mut removed = 0;
        for number in numbers.into_iter().filter(|number| id.is_none_or(|id| id == *number)) {
            removed += usize::from(self.finish(aor, number, Gone::Removed).await);
        }
        removed
    }

    fn measure(&self) {
        metrics::waiting(self.all());
    }
}

/// A place in the ledger that is given back unless its message becomes durable.
struct Claimed<'a> {
    offline: &'a Offline,
    aor: &'a str,
    number: u64,
    durable: bool,
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        if !self.durable {
            self.offline.ledger().strike(self.aor, self.number);
        }
    }
}

/// Sizes only: who waits for what is not for logs.
impl fmt::Debug for Offline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offline").field("waiting", &self.all()).finish_non_exhaustive()
    }
}

fn unix_micros(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
