//! What watchers of ours said of their terminals when they subscribed elsewhere: the NOTIFYs of those dialogs pass
//! through here and are made to fit (CPI.md 3.1, L4). Kept in the store for as long as the subscription lasts.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cpi::{Cpi, Extensions};
use presence::event::{Event, Package};
use presence::notifier::{self, Asked};
use presence::time::Moment;
use sha2::{Digest as _, Sha256};
use sip::{Method, Request};
use store::{Space, Store, SwapError};

use super::shelf;
use crate::journey::Journey;

/// Name of the space; part of the format on disk.
const SPACE: &str = "presence-passing";

/// Dialogs that are remembered; of more those that end first go.
const DIALOGS: usize = 100_000;

/// Octets of what was said in all of them together, likewise.
const OCTETS: usize = 64 * 1024 * 1024;

/// Seconds that a dialog is remembered after its time: its last NOTIFY comes then.
const AFTERWARDS: u64 = 64;

/// Dialogs that are over and forgotten with one that is remembered.
const FORGOTTEN: usize = 16;

pub(super) struct Passing {
    space: Space,
    dialogs: Mutex<Dialogs>,
    extensions: Extensions,
}

/// A digest of the Call-ID and the watcher's tag.
type Key = [u8; 16];

#[derive(Default)]
struct Dialogs {
    all: HashMap<Key, Dialog>,
    /// By their end.
    ends: BTreeSet<(u64, Key)>,
    octets: usize,
}

#[derive(Clone)]
struct Dialog {
    cpi: Arc<Cpi>,
    /// Unix seconds.
    until: u64,
    octets: usize,
}

impl Passing {
    /// Takes up what `store` holds. What is equal is kept once, as `shared` gives it.
    pub(super) fn open(store: &Store, extensions: Extensions, shared: impl Fn(Cpi) -> Arc<Cpi>) -> Passing {
        let space = store.space(SPACE);
        let mut dialogs = Dialogs::default();
        space.scan(|key, _, value| {
            let read = Key::try_from(key).ok().zip(shelf::read_said(Bytes::copy_from_slice(value)));
            let Some((key, (until, said))) = read else {
                return tracing::error!("what a watcher said who subscribed elsewhere can't be read");
            };
            let cpi = shared(notifier::read_capabilities(&said, &extensions));
            dialogs.insert(key, Dialog { cpi, until, octets: value.len() });
        });
        Passing { space, dialogs: Mutex::new(dialogs), extensions }
    }

    /// A SUBSCRIBE leaves. Comes back when it is durable what it says.
    pub(super) async fn remember(&self, journey: &Journey, shared: impl Fn(Cpi) -> Arc<Cpi>) {
        let request = &journey.request;
        let limits = notifier::Limits { min_expires: 0, ..notifier::Limits::default() };
        let Ok(asked) = Asked::read(request, &limits, &self.extensions) else { return };
        let key = key(request.call_id(), request.from_tag());
        let now = Moment::from(journey.arrived).seconds();
        let until = now.saturating_add(asked.expires.into()).saturating_add(AFTERWARDS);
        let cpi = (!asked.cpi.is_unknown()).then(|| shared(asked.cpi));
        // A refresh that says nothing changes nothing, but the time.
        let said = match &cpi {
            Some(_) => asked.capabilities,
            None => match self.space.get(&key).and_then(|record| shelf::read_said(record.value)) {
                Some((_, said)) => said,
                None => return,
            },
        };
        let record = shelf::write_said(until, &said);
        let gone = {
            let mut dialogs = self.lock();
            let Some(cpi) = cpi.or_else(|| dialogs.all.get(&key).map(|known| Arc::clone(&known.cpi))) else {
                return;
            };
            dialogs.remember(key, Dialog { cpi, until, octets: record.len() }, now)
        };
        let mut written = self.put(&key, Some(record)).await;
        for key in gone {
            written = written.and(self.put(&key, None).await);
        }
        if let Err(error) = written {
            tracing::warn!(%error, "what a watcher said who subscribes elsewhere is not stored");
        }
    }

    /// What the watcher of a NOTIFY said, if it passed here.
    pub(super) fn cpi(&self, request: &Request) -> Option<Arc<Cpi>> {
        let key = key(request.call_id(), request.to_tag());
        let now = Moment::from(transport::now()).seconds();
        let dialogs = self.lock();
        dialogs.all.get(&key).filter(|dialog| dialog.until > now).map(|dialog| Arc::clone(&dialog.cpi))
    }

    async fn put(&self, key: &Key, record: Option<Bytes>) -> Result<(), SwapError> {
        shelf::put(&self.space, key, record).await
    }

    fn lock(&self) -> MutexGuard<'_, Dialogs> {
        self.dialogs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dialogs {
    /// Gives those that are to be forgotten for it.
    fn remember(&mut self, key: Key, dialog: Dialog, now: u64) -> Vec<Key> {
        let mut gone = self.over(now, FORGOTTEN);
        self.insert(key, dialog);
        gone.extend(self.shrink(DIALOGS, OCTETS));
        // One that was over and subscribes again stays.
        gone.retain(|key| !self.all.contains_key(key));
        gone
    }

    fn insert(&mut self, key: Key, dialog: Dialog) {
        self.remove(&key);
        self.octets += dialog.octets;
        self.ends.insert((dialog.until, key));
        self.all.insert(key, dialog);
    }

    fn remove(&mut self, key: &Key) {
        if let Some(known) = self.all.remove(key) {
            self.octets -= known.octets;
            self.ends.remove(&(known.until, *key));
        }
    }

    /// Takes out those that end first while there are more than that.
    fn shrink(&mut self, most: usize, octets: usize) -> Vec<Key> {
        let mut gone = Vec::new();
        while self.all.len() > most || self.octets > octets {
            let Some(&(_, key)) = self.ends.first() else { break };
            self.remove(&key);
            gone.push(key);
        }
        gone
    }

    /// Takes out those whose time is over, so many at most.
    fn over(&mut self, now: u64, most: usize) -> Vec<Key> {
        let mut gone = Vec::new();
        while let Some(&(until, key)) = self.ends.first()
            && until <= now
            && gone.len() < most
        {
            self.remove(&key);
            gone.push(key);
        }
        gone
    }
}

/// Whether a request may be one that is remembered.
pub(super) fn is_to_be_known(request: &Request) -> bool {
    request.method() == Method::Subscribe
        && Event::of(request).is_some_and(|event| event.package == Some(Package::Presence))
}

fn key(call_id: &[u8], tag: Option<&[u8]>) -> Key {
    let digest = Sha256::new().chain_update(call_id).chain_update([0]).chain_update(tag.unwrap_or_default());
    let digest: [u8; 32] = digest.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialog(until: u64, octets: usize) -> Dialog {
        Dialog { cpi: Arc::default(), until, octets }
    }

    fn of(untils: &[u64]) -> Dialogs {
        let mut dialogs = Dialogs::default();
        for (at, until) in (0..).zip(untils) {
            dialogs.insert([at; 16], dialog(*until, 10));
        }
        dialogs
    }

    #[test]
    fn of_too_many_those_that_end_first_go() {
        let mut dialogs = of(&[30, 10, 20, 40]);
        assert_eq!(dialogs.shrink(3, 1000), [[1; 16]]);
        assert_eq!(dialogs.shrink(3, 25), [[2; 16]], "octets count too");
        assert_eq!((dialogs.all.len(), dialogs.octets), (2, 20));
        assert!(dialogs.shrink(3, 25).is_empty());
    }

    #[test]
    fn what_is_over_is_forgotten_a_few_at_a_time() {
        let mut dialogs = of(&[3, 1, 2, 9]);
        assert_eq!(dialogs.over(5, 2), [[1; 16], [2; 16]]);
        assert_eq!(dialogs.over(5, 2), [[0; 16]]);
        assert!(dialogs.over(5, 2).is_empty());
        dialogs.insert([3; 16], dialog(20, 70));
        assert_eq!((dialogs.ends.len(), dialogs.octets), (1, 70), "a refresh takes the old place away");
    }

    #[test]
    fn a_dialog_that_was_over_and_begins_again_is_kept() {
        let mut dialogs = of(&[3, 1, 9]);
        assert_eq!(
            dialogs.remember([0; 16], dialog(20, 10), 5),
            [[1; 16]],
            "and not the one that is remembered"
        );
        assert_eq!(
            dialogs.all.keys().copied().collect::<std::collections::BTreeSet<_>>(),
            [[0; 16], [2; 16]].into()
        );
    }

    #[test]
    fn a_dialog_is_its_call_and_the_tag_of_the_watcher() {
        assert_eq!(key(b"call", Some(b"tag")), key(b"call", Some(b"tag")));
        assert_ne!(key(b"call", Some(b"tag")), key(b"callt", Some(b"ag")));
        assert_ne!(key(b"call", None), key(b"other", None));
    }
}
