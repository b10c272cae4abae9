//! One subscription as the table holds it, and what goes in and out of it.

use std::sync::Arc;

use cpi::Cpi;

use crate::document::reginfo::RegisteredContact;
use crate::document::watcherinfo::Watcher;
use crate::ending::Ending;
use crate::notifier::Format;
use crate::rules::Decision;
use crate::subscription::{Id, Kind, Resource, Subscription};
use crate::time::Moment;

/// A subscription that is taken up or refreshed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it watches.
    pub resource: Resource,
    /// Whether that is a list.
    pub kind: Kind,
    /// Who watches.
    pub watcher: Arc<str>,
    /// Whether that was proven.
    pub proven: bool,
    /// What the presentity says of him.
    pub decision: Decision,
    /// What his terminal takes.
    pub cpi: Arc<Cpi>,
    /// What his documents are written in.
    pub format: Format,
    /// When it ends.
    pub expires_at: Moment,
    /// When it began; Unix seconds.
    pub created_at: u64,
    /// CSeq and version of its next NOTIFY, at least.
    pub floor: u32,
    /// The version of its record in the store.
    pub stored: u64,
    /// Why it ends with its first NOTIFY: it only fetches. With all there is of it, since nothing is stored.
    pub ended: Option<(Ending, Box<Subscription>)>,
}

/// A change that can be told without the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// What happened to a watcher, for `presence.winfo`.
    Watcher(Arc<Watcher>),
    /// A member of a list changed.
    Member(Arc<str>),
    /// What happened to contacts, for `reg`.
    Contacts(Arc<[RegisteredContact]>),
}

/// What can be seen of a subscription.
#[derive(Clone, Copy, Debug)]
pub struct Found<'t> {
    /// Its number.
    pub id: Id,
    /// What it watches.
    pub resource: &'t Arc<Resource>,
    /// Whether that is a list.
    pub kind: Kind,
    /// Who watches.
    pub watcher: &'t Arc<str>,
    /// Whether that was proven.
    pub proven: bool,
    /// What the presentity says of him.
    pub decision: Decision,
    /// What his terminal takes.
    pub cpi: &'t Arc<Cpi>,
    /// When it ends.
    pub expires_at: Moment,
    /// When it began; Unix seconds.
    pub created_at: u64,
    /// The version of its record in the store.
    pub stored: u64,
    /// Whether it ends as soon as its watcher was told.
    pub is_ending: bool,
}

#[derive(Debug)]
pub(super) struct Hot<B> {
    pub(super) resource: Arc<Resource>,
    pub(super) watcher: Arc<str>,
    pub(super) cpi: Arc<Cpi>,
    pub(super) expires_at: Moment,
    /// When its last NOTIFY began.
    pub(super) told_at: Moment,
    /// It is left alone until then.
    pub(super) not_before: Moment,
    /// Where it stands in the heap.
    pub(super) due: Option<Moment>,
    pub(super) created_at: u64,
    pub(super) stored: u64,
    pub(super) cseq: u32,
    pub(super) version: u32,
    pub(super) slot: u32,
    pub(super) decision: Decision,
    pub(super) format: Format,
    pub(super) kind: Kind,
    pub(super) proven: bool,
    /// A NOTIFY is under way.
    pub(super) flying: bool,
    /// There is something to tell.
    pub(super) dirty: bool,
    /// And it does not wait for the rate.
    pub(super) urgent: bool,
    /// Changes alone won't do.
    pub(super) full: bool,
    /// What most subscriptions don't have.
    pub(super) more: Option<Box<More<B>>>,
}

#[derive(Debug)]
pub(super) struct More<B> {
    /// Why it ends, and all there is of it where nothing is stored any more.
    pub(super) ended: Option<(Ending, Option<Box<Subscription>>)>,
    pub(super) deltas: Vec<Delta>,
    pub(super) base: Option<B>,
}

impl<B> Default for More<B> {
    fn default() -> Self {
        Self { ended: None, deltas: Vec::new(), base: None }
    }
}

impl<B> Hot<B> {
    pub(super) fn new(entry: Entry, resource: Arc<Resource>, slot: u32, told: bool) -> Self {
        let mut hot = Self {
            resource,
            watcher: entry.watcher,
            cpi: entry.cpi,
            expires_at: entry.expires_at,
            told_at: Moment::default(),
            not_before: Moment::default(),
            due: None,
            created_at: entry.created_at,
            stored: entry.stored,
            cseq: entry.floor,
            version: 0,
            slot,
            decision: entry.decision,
            format: entry.format,
            kind: entry.kind,
            proven: entry.proven,
            flying: false,
            dirty: !told,
            urgent: !told,
            full: true,
            more: None,
        };
        if told {
            // Of an earlier run: its watcher has seen lower versions than the clock says.
            hot.version = entry.floor;
        }
        if let Some((ending, record)) = entry.ended {
            hot.more_mut().ended = Some((ending, Some(record)));
        }
        hot
    }

    pub(super) fn refresh(&mut self, entry: Entry) {
        self.cpi = entry.cpi;
        self.format = entry.format;
        self.expires_at = entry.expires_at;
        self.decision = entry.decision;
        self.stored = entry.stored;
        self.not_before = Moment::default();
        (self.dirty, self.urgent, self.full) = (true, true, true);
    }

    pub(super) fn more_mut(&mut self) -> &mut More<B> {
        self.more.get_or_insert_default()
    }

    /// Keeps a change, unless there are so many that everything is told instead.
    pub(super) fn remember(&mut self, delta: Delta, most: usize) {
        let deltas = &mut self.more_mut().deltas;
        if deltas.contains(&delta) {
            return;
        }
        if deltas.len() < most {
            return deltas.push(delta);
        }
        deltas.clear();
        self.full = true;
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        self.more.as_ref()?.ended.as_ref().map(|(ending, _)| *ending)
    }

    /// When there is something to do for it; `None` while a NOTIFY is under way.
    pub(super) fn next_moment(&self, rate: u64) -> Option<Moment> {
        if self.flying {
            return None;
        }
        let tell = match () {
            () if self.urgent || self.ending().is_some() => Some(Moment::default()),
            () if self.dirty => Some(self.told_at.after(rate)),
            () => None,
        };
        Some(tell.map_or(self.expires_at, |tell| tell.min(self.expires_at)).max(self.not_before))
    }

    pub(super) fn found(&self, id: Id) -> Found<'_> {
        Found {
            id,
            resource: &self.resource,
            kind: self.kind,
            watcher: &self.watcher,
            proven: self.proven,
            decision: self.decision,
            cpi: &self.cpi,
            expires_at: self.expires_at,
            created_at: self.created_at,
            stored: self.stored,
            is_ending: self.ending().is_some(),
        }
    }
}
