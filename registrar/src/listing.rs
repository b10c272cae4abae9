//! What operators see of registrations, and how they end them.

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use sip::Uri;
use store::SwapError;

use crate::binding::Binding;
use crate::feed::ContactEvent;
use crate::record::{Record, Stored, peek};
use crate::{Lookup, Registrar, unix_seconds};

/// How often an ending is decided anew because a REGISTER was faster.
const ATTEMPTS: usize = 32;

/// Some users of many, by AOR.
#[derive(Clone, Debug)]
pub struct Page {
    /// Canonical AORs with their bindings.
    pub users: Vec<(Arc<str>, Vec<Arc<Binding>>)>,
    /// After which AOR the next page begins, if there may be one.
    pub next: Option<Arc<str>>,
}

/// How an operator ends a binding (RFC 3680 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The terminal may register again at once.
    Deactivated,
    /// It may after these seconds.
    Probation {
        /// Seconds.
        retry_after: u32,
    },
    /// It is not wanted.
    Rejected,
    /// It stays for these seconds at most, so that the terminal registers again before.
    Shortened {
        /// Seconds.
        left: u32,
    },
}

/// Why a binding was not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndError {
    /// The user has no such binding, or there is no such user.
    #[error("no such binding")]
    NotFound,
    /// The record changes too fast.
    #[error("the registrar is busy")]
    Busy,
    /// The store takes no writes.
    #[error("the store takes no writes")]
    StoreFailed,
}

impl Registrar {
    /// Up to `limit` users who have bindings at `now`, from the first after `after` on. Reads every record's
    /// key: not for the threads of signalling.
    pub fn page(&self, after: Option<&str>, limit: usize, now: SystemTime) -> Page {
        let seconds = unix_seconds(now);
        let mut first: BinaryHeap<Box<[u8]>> = BinaryHeap::with_capacity(limit.saturating_add(1));
        self.records.scan(|key, _, value| {
            let is_further = after.is_none_or(|after| key > after.as_bytes());
            let is_smaller = first.len() < limit || first.peek().is_some_and(|last| key < &**last);
            if !is_further || !is_smaller || !has_live(value, seconds) {
                return;
            }
            first.push(key.into());
            if first.len() > limit {
                first.pop();
            }
        });
        let is_full = first.len() >= limit;
        let keys = first.into_sorted_vec().into_iter();
        let aors: Vec<Arc<str>> = keys.map(|key| String::from_utf8_lossy(&key).into()).collect();
        let next = aors.last().filter(|_| is_full).cloned();
        let found = |aor: Arc<str>| match self.lookup(&aor.parse().ok()?, now) {
            Lookup::Bindings(bindings) => Some((aor, bindings)),
            Lookup::Known | Lookup::Unknown => None,
        };
        Page { users: aors.into_iter().filter_map(found).collect(), next }
    }

    /// Ends the binding of `aor` whose Contact URI is written as `contact`, or all of them. Returns how many.
    ///
    /// # Errors
    /// [`EndError`]; then nothing has changed.
    pub async fn end(
        &self,
        aor: &Uri,
        contact: Option<&Uri>,
        how: Ending,
        now: SystemTime,
    ) -> Result<usize, EndError> {
        let aor = self.settings().options.aor(aor).ok_or(EndError::NotFound)?;
        let now = unix_seconds(now);
        for _ in 0..ATTEMPTS {
            let (version, record) = self.load(&aor).ok_or(EndError::NotFound)?;
            let devices = record.devices();
            let (live, _) = record.part(now);
            let is_meant = |stored: &Stored| contact.is_none_or(|uri| uri.as_bytes() == &stored.uri[..]);
            let (mut meant, mut left): (Vec<_>, Vec<_>) = live.into_iter().partition(is_meant);
            if meant.is_empty() {
                return Err(EndError::NotFound);
            }
            if let Ending::Shortened { left: seconds } = how {
                meant.iter_mut().for_each(|stored| stored.shorten(now, seconds));
                left.extend(meant.iter().cloned());
            }
            let record = Record::new(left, now, devices);
            match self.records.swap(aor.as_bytes(), Some(version), Some(record.encode())).await {
                Ok(version) => {
                    let ended = meant.len();
                    if !matches!(how, Ending::Shortened { .. }) {
                        meant.iter().for_each(|stored| self.learned.forget(&aor, &stored.uri));
                    }
                    self.publish(&aor, version, || {
                        meant.into_iter().map(|each| (each, how.event())).collect()
                    });
                    return Ok(ended);
                }
                Err(SwapError::Conflict { .. }) => {}
                Err(SwapError::Busy) => return Err(EndError::Busy),
                Err(_) => return Err(EndError::StoreFailed),
            }
        }
        Err(EndError::Busy)
    }
}

impl Ending {
    const fn event(self) -> ContactEvent {
        match self {
            Self::Deactivated => ContactEvent::Deactivated,
            Self::Probation { retry_after } => ContactEvent::Probation { retry_after },
            Self::Rejected => ContactEvent::Rejected,
            Self::Shortened { .. } => ContactEvent::Shortened,
        }
    }
}

/// Whether an encoded record has a binding that has not expired.
fn has_live(record: &[u8], now: u64) -> bool {
    match peek(record) {
        None | Some((_, 0)) => false,
        Some((first_ends, _)) if now < first_ends => true,
        Some(_) => {
            let record = Record::decode(&Bytes::copy_from_slice(record)).unwrap_or_default();
            record.bindings.iter().any(|binding| binding.is_live(now))
        }
    }
}
