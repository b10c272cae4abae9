//! What happens to registrations, for whoever follows them: the state that a `reg` subscription (RFC 3680)
//! tells its watcher. No SIP here.
//!
//! Follow by subscribing first, then taking a [`Snapshot`] of each AOR, then applying the changes whose
//! version is above that of the snapshot. Nobody waits for a subscriber: one that falls behind is told
//! ([`Lagged`]) and takes its snapshots anew.

use std::sync::Arc;
use std::time::SystemTime;

use sip::Uri;
use store::Version;
use tokio::sync::broadcast;

use crate::binding::Binding;
use crate::record::Stored;
use crate::{Lookup, Registrar};

/// Changes kept for a subscriber that is slow.
const WAITING: usize = 1024;

/// What happened to a Contact (the events of RFC 3680 §5.1 that end or change one).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactEvent {
    /// A REGISTER added it.
    Created,
    /// A REGISTER refreshed it.
    Refreshed,
    /// The operator cut its time.
    Shortened,
    /// Its time is over. Seen when the record is written next, at the latest by the sweep.
    Expired,
    /// A REGISTER removed it.
    Unregistered,
    /// The operator ended it; the terminal may register again at once.
    Deactivated,
    /// The operator ended it; the terminal may register again after these seconds.
    Probation {
        /// Seconds.
        retry_after: u32,
    },
    /// The operator ended it, and the terminal is not wanted.
    Rejected,
}

/// One Contact and what happened to it.
#[derive(Clone, Debug)]
pub struct ContactChange {
    /// As it is now, or as it was last.
    pub binding: Arc<Binding>,
    /// What happened.
    pub event: ContactEvent,
}

/// What one write did to one AOR.
#[derive(Clone, Debug)]
pub struct Change {
    /// The canonical AOR.
    pub aor: Arc<str>,
    /// Of the record that the write made. Larger is later, over all AORs and restarts.
    pub version: Version,
    /// The Contacts it changed, in order.
    pub contacts: Vec<ContactChange>,
}

/// All there is of one AOR at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Of the record; 0 if there is none. Changes up to this version are in it.
    pub version: Version,
    /// Its bindings.
    pub bindings: Vec<Arc<Binding>>,
}

/// A subscriber's end of the feed.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<Arc<Change>>);

/// Changes were lost: snapshots are to be taken anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} changes were lost")]
pub struct Lagged(pub u64);

impl Subscription {
    /// The next change; `None` once the registrar is gone.
    ///
    /// # Errors
    /// [`Lagged`] if changes were lost since the last call. The next call gives the oldest that is left.
    pub async fn next(&mut self) -> Result<Option<Arc<Change>>, Lagged> {
        match self.0.recv().await {
            Ok(change) => Ok(Some(change)),
            Err(broadcast::error::RecvError::Closed) => Ok(None),
            Err(broadcast::error::RecvError::Lagged(lost)) => Err(Lagged(lost)),
        }
    }
}

/// The sender's end.
pub(crate) struct Feed(broadcast::Sender<Arc<Change>>);

impl Default for Feed {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Registrar {
    /// Follows all registrations from now on.
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.feed.0.subscribe())
    }

    /// What there is of an AOR at `now`.
    pub fn snapshot(&self, aor: &Uri, now: SystemTime) -> Snapshot {
        // The version first: what is written in between is then in the bindings and told again.
        let key = self.settings().options.aor(aor);
        let version = key.and_then(|key| self.records.read(key.as_bytes(), |version, _| version));
        let bindings = match self.lookup(aor, now) {
            Lookup::Bindings(bindings) => bindings,
            Lookup::Known | Lookup::Unknown => Vec::new(),
        };
        Snapshot { version: version.unwrap_or(0), bindings }
    }

    /// Tells the subscribers, if there are any; what happened is worked out only then.
    pub(crate) fn publish(
        &self,
        aor: &str,
        version: Version,
        contacts: impl FnOnce() -> Vec<(Stored, ContactEvent)>,
    ) {
        if self.feed.0.receiver_count() == 0 {
            return;
        }
        let aor: Arc<str> = aor.into();
        let contacts: Vec<_> = contacts()
            .into_iter()
            .filter_map(|(stored, event)| {
                let binding = self.binding(stored, &aor)?;
                Some(ContactChange { binding, event })
            })
            .collect();
        if !contacts.is_empty() {
            // The last subscriber may just have gone.
            let _unheard = self.feed.0.send(Arc::new(Change { aor, version, contacts }));
        }
    }

    /// A stored binding with its CPI.
    pub(crate) fn binding(&self, stored: Stored, aor: &Arc<str>) -> Option<Arc<Binding>> {
        let cpi = stored.effective.and_then(|id| self.cpis.find(id));
        Binding::of(stored, Arc::clone(aor), cpi, self.boot).map(Arc::new)
    }
}
