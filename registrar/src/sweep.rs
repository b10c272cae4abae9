//! What goes with time: bindings that expired, users who were gone for long, CPIs that no binding has.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use store::Space;
use tokio::task::JoinSet;

use crate::feed::ContactEvent;
use crate::record::{Record, peek};
use crate::{Options, Registrar, unix_seconds};

/// Records that are changed at the same time, so that they share the store's group commits.
const AT_ONCE: usize = 128;

/// What one sweep took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Bindings that had expired.
    pub bindings: usize,
    /// AORs that are not known any more.
    pub users: usize,
    /// CPIs that no binding had.
    pub cpis: usize,
}

impl Registrar {
    /// Takes away what ended before `now`. Nothing depends on when this runs: whatever has expired counts as
    /// gone at once. A record that is changed meanwhile is left for the next sweep.
    pub async fn sweep(self: &Arc<Self>, now: SystemTime) -> Swept {
        let (settings, now) = (self.settings(), unix_seconds(now));
        let mut swept = self.sweep_records(&settings.options, now).await;
        self.learned.clear(now);
        swept.cpis = self.clear_cpis().await;
        swept
    }

    async fn sweep_records(self: &Arc<Self>, options: &Options, now: u64) -> Swept {
        let remember = options.remember.as_secs();
        let records = self.records.clone();
        // A clock that was set back: bindings of the time that did not come to be are counted anew.
        let is_set_back = now < self.swept_at.swap(now, Ordering::Relaxed);
        let due = move || due_keys(&records, now, remember, is_set_back);
        let due = tokio::task::spawn_blocking(due).await;
        let mut swept = Swept::default();
        for keys in due.unwrap_or_default().chunks(AT_ONCE) {
            let mut changes = JoinSet::new();
            for key in keys {
                let (registrar, key, options) = (Arc::clone(self), key.clone(), options.clone());
                changes.spawn(async move { registrar.sweep_one(&key, &options, now).await });
            }
            for one in changes.join_all().await {
                swept.bindings += one.bindings;
                swept.users += one.users;
            }
        }
        swept
    }

    async fn sweep_one(&self, key: &[u8], options: &Options, now: u64) -> Swept {
        let Some(found) = self.records.get(key) else { return Swept::default() };
        let record = Record::decode(&found.value).unwrap_or_default();
        let (ended, devices) = (record.ended_at().unwrap_or_default(), record.devices());
        let aor = String::from_utf8_lossy(key);
        let (mut live, expired) = record.part(now);
        live.iter_mut().for_each(|binding| binding.set_back(now));
        let forgotten = live.is_empty() && options.forgotten_at(ended) <= now;
        let swept = Swept { bindings: expired.len(), users: usize::from(forgotten), cpis: 0 };
        let new = (!forgotten).then(|| Record::new(live, ended, devices).encode());
        let Ok(version) = self.records.swap(key, Some(found.version), new).await else {
            return Swept::default();
        };
        expired.iter().for_each(|binding| self.learned.forget(&aor, &binding.uri));
        self.publish(&aor, version, || {
            expired.into_iter().map(|binding| (binding, ContactEvent::Expired)).collect()
        });
        swept
    }

    async fn clear_cpis(&self) -> usize {
        let clearing = self.cpis.begin_clearing();
        let records = self.records.clone();
        let named = tokio::task::spawn_blocking(move || {
            let mut named = HashSet::new();
            records.scan(|_, _, value| {
                let record = Record::decode(&bytes::Bytes::copy_from_slice(value)).unwrap_or_default();
                for binding in record.bindings {
                    named.extend(binding.headers.into_iter().chain(binding.effective));
                }
            });
            named
        });
        match named.await {
            Ok(named) => self.cpis.clear(clearing, &named).await,
            Err(_) => 0,
        }
    }
}

/// The keys of records in which something has ended; with `is_set_back`, also of those that have something of
/// a time that is still to come.
fn due_keys(records: &Space, now: u64, remember: u64, is_set_back: bool) -> Vec<Box<[u8]>> {
    let mut due = Vec::new();
    records.scan(|key, _, value| {
        let is_due = peek(value).is_some_and(|(ends, count)| {
            let limit = if count > 0 { ends } else { ends.saturating_add(remember) };
            limit <= now
        });
        let is_ahead = || {
            let record = Record::decode(&bytes::Bytes::copy_from_slice(value)).unwrap_or_default();
            record.bindings.iter().any(|binding| binding.refreshed_at > now)
        };
        if is_due || is_set_back && is_ahead() {
            due.push(key.into());
        }
    });
    due
}
