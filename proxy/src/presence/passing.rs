//! What watchers of ours said of their terminals when they subscribed elsewhere: the NOTIFYs of those dialogs pass
//! through here and are made to fit (CPI.md 3.1, L4).

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use cpi::{Cpi, Extensions};
use presence::event::{Event, Package};
use presence::notifier::{self, Asked};
use presence::time::Moment;
use sip::{Method, Request};

use crate::journey::Journey;

/// Dialogs that are remembered; the oldest go first.
const DIALOGS: usize = 100_000;

/// Milliseconds that a dialog is remembered after its time: its last NOTIFY comes then.
const AFTERWARDS: u64 = 64_000;

#[derive(Default)]
pub(crate) struct Passing {
    dialogs: Mutex<Dialogs>,
    hasher: RandomState,
    pub(crate) extensions: std::sync::OnceLock<Extensions>,
}

#[derive(Default)]
struct Dialogs {
    /// By Call-ID and the watcher's tag.
    all: HashMap<u64, (Arc<Cpi>, Moment)>,
    order: VecDeque<u64>,
    last: Option<Arc<Cpi>>,
}

impl Passing {
    /// A SUBSCRIBE leaves.
    pub(crate) fn remember(&self, journey: &Journey) {
        let request = &journey.request;
        let is_presence = || Event::of(request).is_some_and(|event| event.package == Some(Package::Presence));
        if request.method() != Method::Subscribe || !is_presence() {
            return;
        }
        let limits = notifier::Limits { min_expires: 0, ..notifier::Limits::default() };
        let none = Extensions::NONE;
        let extensions = self.extensions.get().unwrap_or(&none);
        let Ok(asked) = Asked::read(request, &limits, extensions) else { return };
        // A refresh that says nothing changes nothing, but the time.
        let until = Moment::from(journey.arrived).after(u64::from(asked.expires) * 1000 + AFTERWARDS);
        let key = self.key(request.call_id(), request.from_tag());
        let mut dialogs = self.dialogs.lock().unwrap_or_else(PoisonError::into_inner);
        match dialogs.all.get_mut(&key) {
            Some((cpi, end)) => {
                *end = until;
                if !asked.cpi.is_unknown() {
                    *cpi = Arc::new(asked.cpi);
                }
            }
            None if asked.cpi.is_unknown() => {}
            None => {
                if dialogs.all.len() >= DIALOGS
                    && let Some(oldest) = dialogs.order.pop_front()
                {
                    dialogs.all.remove(&oldest);
                }
                // Terminals of one kind share what they are.
                let last = dialogs.last.take().filter(|last| **last == asked.cpi);
                let cpi = last.unwrap_or_else(|| Arc::new(asked.cpi));
                dialogs.last = Some(Arc::clone(&cpi));
                dialogs.all.insert(key, (cpi, until));
                dialogs.order.push_back(key);
            }
        }
    }

    /// What the watcher of a NOTIFY said, if it passed here.
    pub(crate) fn cpi(&self, request: &Request) -> Option<Arc<Cpi>> {
        if request.method() != Method::Notify {
            return None;
        }
        let key = self.key(request.call_id(), request.to_tag());
        let now = Moment::from(transport::now());
        let dialogs = self.dialogs.lock().unwrap_or_else(PoisonError::into_inner);
        dialogs.all.get(&key).filter(|(_, until)| *until > now).map(|(cpi, _)| Arc::clone(cpi))
    }

    fn key(&self, call_id: &[u8], tag: Option<&[u8]>) -> u64 {
        self.hasher.hash_one((call_id, tag))
    }
}
