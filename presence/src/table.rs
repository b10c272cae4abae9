//! Who watches what, who is to be told, and when: the subscriptions that are alive, without what only their NOTIFYs
//! need. No clock and no sockets: whoever drives it says what time it is, sends what [`Table::take`] gives, and
//! says what came of it.
//!
//! A subscription has one NOTIFY under way at most; what changes meanwhile is told when that one is answered, and
//! no sooner than the rate allows (RFC 3856 §6.10). So the latest state wins, and a watcher who is slow or dead
//! keeps nobody but himself waiting.

mod entry;
mod take;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

pub use entry::{Delta, Entry, Found};
pub use take::{Gone, Notice, Outcome};

use crate::ending::Ending;
use crate::event::Package;
use crate::rules::Decision;
use crate::subscription::{Id, Kind, Resource, Subscription};
use crate::time::Moment;
use entry::Hot;

/// Entries of the heap beyond two for each subscription, before it is made anew.
const SLACK: usize = 1024;

/// Changes that are kept for one subscription; beyond them it is told everything.
const DELTAS: usize = 64;

/// The subscriptions of some resources. `B` is what the next NOTIFY of a subscription builds upon; it is kept and
/// given back.
#[derive(Debug)]
pub struct Table<B> {
    resources: HashMap<Arc<Resource>, Watched>,
    hot: HashMap<Id, Hot<B>>,
    due: BinaryHeap<Reverse<(Moment, Id)>>,
    /// Milliseconds between two NOTIFYs of a subscription.
    rate: u64,
}

/// One resource.
#[derive(Debug, Default)]
struct Watched {
    subscriptions: Vec<Id>,
    /// Lists that it is a member of.
    lists: Vec<(Id, Arc<Resource>)>,
}

impl<B> Table<B> {
    /// An empty table. `rate` is the time between two NOTIFYs of one subscription, in milliseconds; those that
    /// answer a SUBSCRIBE and those that end it don't wait.
    pub fn new(rate: u64) -> Self {
        Self { resources: HashMap::new(), hot: HashMap::new(), due: BinaryHeap::new(), rate }
    }

    /// Another rate, from the next change on.
    pub const fn set_rate(&mut self, rate: u64) {
        self.rate = rate;
    }

    /// Subscriptions.
    pub fn len(&self) -> usize {
        self.hot.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hot.is_empty()
    }

    /// Takes a subscription up. Its first NOTIFY is due at once, unless it was `told` before.
    pub fn insert(&mut self, id: Id, entry: Entry, told: bool) {
        let resource = self.shared(&entry.resource);
        let watched = self.resources.entry(Arc::clone(&resource)).or_default();
        let slot = u32::try_from(watched.subscriptions.len()).unwrap_or(u32::MAX);
        watched.subscriptions.push(id);
        self.hot.insert(id, Hot::new(entry, resource, slot, told));
        self.schedule(id);
    }

    /// A subscription was refreshed, or ended with `ending` by its own SUBSCRIBE: the NOTIFY of that is due at once
    /// and tells everything.
    pub fn refresh(&mut self, id: Id, entry: Entry, ended: Option<(Ending, Box<Subscription>)>) {
        let Some(hot) = self.hot.get_mut(&id) else { return };
        hot.refresh(entry);
        if let Some((ending, record)) = ended {
            hot.more_mut().ended = Some((ending, Some(record)));
        }
        self.schedule(id);
    }

    /// Ends a subscription from our side; its watcher is told at once.
    pub fn end(&mut self, id: Id, ending: Ending) {
        let Some(hot) = self.hot.get_mut(&id) else { return };
        hot.more_mut().ended.get_or_insert((ending, None));
        hot.urgent = true;
        self.schedule(id);
    }

    /// The presentity decides otherwise; the watcher is told at once.
    pub fn decide(&mut self, id: Id, decision: Decision, stored: u64) {
        let Some(hot) = self.hot.get_mut(&id) else { return };
        (hot.decision, hot.stored, hot.urgent, hot.full) = (decision, stored, true, true);
        self.schedule(id);
    }

    /// The state of a resource changed, by `delta` if that can be told alone. Gives the lists it is a member of,
    /// which are to be [marked](Self::mark), here or in another table.
    pub fn changed(&mut self, resource: &Resource, delta: Option<&Delta>) -> Vec<(Id, Arc<Resource>)> {
        let Some(watched) = self.resources.get(resource) else { return Vec::new() };
        let lists = watched.lists.clone();
        let subscriptions = watched.subscriptions.clone();
        for id in subscriptions {
            self.mark(id, delta.cloned());
        }
        lists
    }

    /// What a subscription watches changed.
    pub fn mark(&mut self, id: Id, delta: Option<Delta>) {
        let Some(hot) = self.hot.get_mut(&id) else { return };
        hot.dirty = true;
        match delta {
            Some(delta) if !hot.full => hot.remember(delta, DELTAS),
            // What a presence document changed in is seen when it is made.
            None if hot.resource.package != Package::Presence || hot.kind != Kind::One => hot.full = true,
            Some(_) | None => {}
        }
        self.schedule(id);
    }

    /// A list has that resource among its members; `of` is what is subscribed to there.
    pub fn listen(&mut self, resource: &Resource, list: Id, of: Arc<Resource>) {
        let resource = self.shared(resource);
        let watched = self.resources.entry(resource).or_default();
        if watched.lists.iter().all(|(known, _)| *known != list) {
            watched.lists.push((list, of));
        }
    }

    /// It has no longer.
    pub fn leave(&mut self, resource: &Resource, list: Id) {
        if let Some(watched) = self.resources.get_mut(resource) {
            watched.lists.retain(|(known, _)| *known != list);
        }
        self.tidy(resource);
    }

    /// The lists that have that resource among their members.
    pub fn lists_of(&self, resource: &Resource) -> Vec<(Id, Arc<Resource>)> {
        self.resources.get(resource).map(|watched| watched.lists.clone()).unwrap_or_default()
    }

    /// What there is of a subscription.
    pub fn find(&self, id: Id) -> Option<Found<'_>> {
        self.hot.get(&id).map(|hot| hot.found(id))
    }

    /// The subscriptions to a resource, in no order.
    pub fn of<'t>(&'t self, resource: &Resource) -> impl Iterator<Item = Found<'t>> {
        let ids = self.resources.get(resource).map(|watched| watched.subscriptions.as_slice());
        ids.unwrap_or_default().iter().filter_map(|id| self.find(*id))
    }

    /// How many subscriptions there are to a resource.
    pub fn count(&self, resource: &Resource) -> usize {
        self.resources.get(resource).map_or(0, |watched| watched.subscriptions.len())
    }

    /// All subscriptions, in no order.
    pub fn all(&self) -> impl Iterator<Item = Found<'_>> {
        self.hot.iter().map(|(id, hot)| hot.found(*id))
    }

    /// The resources that are watched, in no order.
    pub fn resources(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.keys()
    }

    /// When something is due next.
    pub fn next_due(&self) -> Option<Moment> {
        self.due.peek().map(|Reverse((moment, _))| *moment)
    }

    fn shared(&self, resource: &Resource) -> Arc<Resource> {
        match self.resources.get_key_value(resource) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(resource.clone()),
        }
    }

    /// Puts a subscription where its next moment is.
    fn schedule(&mut self, id: Id) {
        let rate = self.rate;
        let Some(hot) = self.hot.get_mut(&id) else { return };
        let due = hot.next_moment(rate);
        if due == hot.due {
            return;
        }
        hot.due = due;
        if let Some(due) = due {
            self.due.push(Reverse((due, id)));
        }
        if self.due.len() > self.hot.len().saturating_mul(2).saturating_add(SLACK) {
            let current = self.hot.iter().filter_map(|(id, hot)| Some(Reverse((hot.due?, *id))));
            self.due = current.collect();
        }
    }

    fn remove(&mut self, id: Id) -> Option<Hot<B>> {
        let hot = self.hot.remove(&id)?;
        if let Some(watched) = self.resources.get_mut(&*hot.resource) {
            let slot = usize::try_from(hot.slot).unwrap_or(usize::MAX);
            if watched.subscriptions.get(slot) == Some(&id) {
                watched.subscriptions.swap_remove(slot);
            }
            if let Some(moved) = watched.subscriptions.get(slot)
                && let Some(moved) = self.hot.get_mut(moved)
            {
                moved.slot = hot.slot;
            }
        }
        self.tidy(&Arc::clone(&hot.resource));
        Some(hot)
    }

    fn tidy(&mut self, resource: &Resource) {
        let is_unwatched = |watched: &Watched| watched.subscriptions.is_empty() && watched.lists.is_empty();
        if self.resources.get(resource).is_some_and(is_unwatched) {
            self.resources.remove(resource);
        }
    }
}

#[cfg(test)]
mod tests;
