//! The presence server: PUBLISH and SUBSCRIBE are answered here, NOTIFYs are made for each watcher's terminal, and
//! sent. What the requests mean and when who is told is the crate `presence`'s; here are the store, the sockets, the
//! planner and the clock.
//!
//! | | |
//! |---|---|
//! | whose business a request is | [`is_for`] |
//! | RFC 3903 | `publish` |
//! | RFC 6665 §4.2.1 | `subscribe` |
//! | when who is told | `drive`, over tables that each hold a share of all resources |
//! | what a NOTIFY says | `body`, for each distinct terminal once; `fit` plans it |
//! | what a NOTIFY of a list says | `listing` |
//! | where it goes | `send` |
//! | NOTIFYs of others that pass through | `passing` |

mod body;
mod drive;
mod elsewhere;
mod ends;
mod fit;
mod identity;
mod listing;
mod lists;
mod members;
mod passing;
mod publish;
mod registrations;
mod send;
pub mod settings;
mod shelf;
mod state;
mod subscribe;
#[cfg(test)]
mod tests;
mod timed;
mod turns;
mod view;
mod waiting;

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cpi::{Cpi, Extensions, Source};
use presence::document::watcherinfo::Watcher;
use presence::ending::{Ending, Reason};
use presence::event::{Event, Package};
use presence::notifier;
use presence::subscription::{Id, Kind, Resource, Subscription};
use presence::table::{Entry, Found, Table};
use presence::time::Moment;
use sip::{Method, Request};
use store::{OnDisk, Store};
use tokio::sync::{Notify, Semaphore};

use crate::journey::Journey;
use crate::metrics;
use crate::ours::Place;
use crate::refuse::Reply;
use crate::route::Way;
use crate::upstream::Upstream;

pub(crate) use drive::start;
pub use lists::{List, ListError};
pub(crate) use settings::Settings;
pub use view::{Published, RulesError, Watching};
pub use waiting::WaitingWatcher;

use body::Base;
use elsewhere::Elsewhere;
use ends::Ends;
use passing::Passing;
use shelf::Shelf;
use state::States;
use timed::Timed;
use turns::Turns;

/// Tables; each resource is in one of them.
const TABLES: usize = 16;

/// All of presence.
pub struct Presence {
    shelf: Shelf,
    tables: Box<[Share]>,
    hasher: RandomState,
    /// Each distinct CPI once.
    cpis: Mutex<HashSet<Arc<Cpi>>>,
    /// Subscriptions of each watcher, by a hash of his address.
    of_watchers: Mutex<HashMap<u64, u32>>,
    states: States,
    elsewhere: Elsewhere,
    publishing: Ends,
    timed: Timed,
    /// Rules are changed and put in force, and those that begin or end with time are, one after the other: else older
    /// ones would come to hold after newer ones.
    ruling: Turns,
    /// NOTIFYs that leave at the same time.
    slots: Arc<Semaphore>,
    /// NOTIFYs that are not answered and are no longer waited for.
    silent: Arc<Semaphore>,
    extensions: Extensions,
    /// Watchers of ours at other presence servers.
    passing: Passing,
    /// Subscriptions to `reg`, and a word when there is one.
    followers: AtomicUsize,
    followed: Notify,
}

/// A share of all subscriptions.
struct Share {
    table: Mutex<Table<Base>>,
    wake: Notify,
}

/// NOTIFYs to dead watchers that are given the time of Timer F beside those that leave.
const SILENT: usize = 50_000;

impl Presence {
    /// How the store must hold published objects: [`store::Options::on_disk`] must have it.
    pub const fn on_disk() -> OnDisk {
        Shelf::on_disk()
    }

    /// Takes up what `store` holds.
    pub fn open(store: &Store, settings: &Settings, extensions: Extensions) -> Presence {
        let rate = millis(settings.rate);
        let share = || Share { table: Mutex::new(Table::new(rate)), wake: Notify::new() };
        let cpis = Mutex::default();
        let passing = Passing::open(store, extensions.clone(), |cpi| shared(&cpis, cpi));
        let presence = Presence {
            passing,
            shelf: Shelf::open(store),
            tables: std::iter::repeat_with(share).take(TABLES).collect(),
            hasher: RandomState::new(),
            cpis,
            of_watchers: Mutex::default(),
            states: States::default(),
            elsewhere: Elsewhere::default(),
            publishing: Ends::default(),
            timed: Timed::default(),
            ruling: Turns::default(),
            slots: Arc::new(Semaphore::new(settings.sending.clamp(1, Semaphore::MAX_PERMITS))),
            silent: Arc::new(Semaphore::new(SILENT)),
            extensions,
            followers: AtomicUsize::new(0),
            followed: Notify::new(),
        };
        presence.take_up(settings);
        presence
    }

    /// Subscriptions go on where they were; who watches somebody about whom something came in the last moments
    /// before the end is told again, since that end may have come first. A list that is another one in the config by now
    /// ends.
    fn take_up(&self, settings: &Settings) {
        const MOMENTS: u64 = 60;
        // NOTIFYs of the last run may have been ahead of the clock by a few.
        const AHEAD: u64 = 60_000;
        let mut latest = 0;
        self.shelf.each_published(|aor, publications| {
            latest = latest.max(publications.changed_at);
            self.publishing.expect(aor, publications.next_end());
        });
        let mut fresh = HashSet::new();
        self.shelf.each_published(|aor, publications| {
            if publications.changed_at.saturating_add(MOMENTS) >= latest {
                fresh.insert(aor.to_owned());
            }
        });
        let now = Moment::from(transport::now());
        // At once: one may have begun or ended while nobody looked.
        self.shelf.each_timed(|aor| self.timed.expect(&aor.into(), Some(now.seconds())));
        self.shelf.each_subscription(|id, version, subscription| {
            let is_fresh = fresh.contains(&*subscription.resource.aor);
            let Some(entry) = self.entry(&subscription, version, None) else { return };
            let entry = Entry { floor: notifier::floor(now.after(AHEAD)).max(entry.floor), ..entry };
            self.begins(&entry.watcher, entry.resource.package);
            self.join(id, &Arc::new(subscription.resource.clone()), &subscription.members);
            let share = self.share(&subscription.resource);
            let is_other_list = entry.kind == Kind::List
                && !self.is_still(settings, &entry.resource.aor, &entry.watcher, &subscription.members);
            let mut table = share.lock();
            table.insert(id, entry, !is_fresh);
            if is_other_list {
                table.end(id, Ending::of(Reason::Deactivated));
            }
        });
    }

    /// Subscriptions to lists whose watchers proved who they are.
    fn lists_there_are(&self) -> Vec<(Id, Subscription)> {
        let mut all = Vec::new();
        self.shelf.each_subscription(|id, _, subscription| {
            if subscription.kind != Kind::One && subscription.proven {
                all.push((id, subscription));
            }
        });
        all
    }

    /// Subscriptions there are.
    pub fn subscriptions(&self) -> usize {
        self.tables.iter().map(|share| share.lock().len()).sum()
    }

    /// Users who have published something.
    pub fn presentities(&self) -> usize {
        self.shelf.presentities()
    }

    fn share(&self, resource: &Resource) -> &Share {
        let at = usize::try_from(self.hasher.hash_one(resource)).unwrap_or_default() % TABLES;
        #[expect(clippy::indexing_slicing, reason = "there are as many, and none are taken away")]
        &self.tables[at]
    }

    /// The state of a resource changed: who watches it is told when it is his turn.
    fn changed(&self, resource: &Resource, delta: Option<&presence::table::Delta>) {
        let share = self.share(resource);
        let lists = share.lock().changed(resource, delta);
        share.wake.notify_one();
        self.mark_lists(&resource.aor, lists);
    }

    /// A member of those lists is told anew.
    fn mark_lists(&self, member: &Arc<str>, lists: Vec<(Id, Arc<Resource>)>) {
        for (list, of) in lists {
            let share = self.share(&of);
            share.lock().mark(list, Some(presence::table::Delta::Member(Arc::clone(member))));
            share.wake.notify_one();
        }
    }

    /// Whoever watches a resource is told to subscribe anew.
    fn end_all(&self, resource: &Resource) {
        let share = self.share(resource);
        let mut table = share.lock();
        let all: Vec<Id> = table.of(resource).map(|found| found.id).collect();
        all.into_iter().for_each(|id| table.end(id, Ending::of(Reason::Deactivated)));
        drop(table);
        share.wake.notify_one();
    }

    /// Something happened to a watcher of a presentity, who may follow that.
    fn watched(&self, aor: &Arc<str>, change: Watcher) {
        let resource = Resource { package: Package::Winfo, aor: Arc::clone(aor) };
        self.changed(&resource, Some(&presence::table::Delta::Watcher(Arc::new(change))));
    }

    /// The same value for all who have the same capabilities.
    fn shared(&self, cpi: Cpi) -> Arc<Cpi> {
        shared(&self.cpis, cpi)
    }

    /// What the watcher of a NOTIFY said when his SUBSCRIBE passed here.
    pub(crate) fn passing_cpi(&self, request: &Request) -> Option<Arc<Cpi>> {
        if request.method() == Method::Notify { self.passing.cpi(request) } else { None }
    }

    /// How a subscription stands in its table. `bound` is what is known of the watcher's terminal otherwise.
    fn entry(&self, subscription: &Subscription, stored: u64, bound: Option<Cpi>) -> Option<Entry> {
        let package = subscription.resource.package;
        let stated = notifier::read_capabilities(&subscription.capabilities, &self.extensions);
        let format = notifier::Format::choose(&stated, package).ok()?;
        let cpi = if stated.is_unknown() { bound.unwrap_or_else(|| only(package)) } else { stated };
        Some(Entry {
            resource: subscription.resource.clone(),
            kind: subscription.kind,
            watcher: Arc::clone(&subscription.watcher),
            proven: subscription.proven,
            decision: subscription.decision,
            cpi: self.shared(cpi),
            format,
            expires_at: Moment::from_seconds(subscription.expires_at),
            created_at: subscription.created_at,
            floor: subscription.floor,
            stored,
            ended: None,
        })
    }

    /// Counts subscriptions of a watcher up or down, and gives how many there are then.
    fn count(&self, watcher: &str, by: i32) -> u32 {
        let mut all = self.of_watchers.lock().unwrap_or_else(PoisonError::into_inner);
        let watcher = self.hasher.hash_one(watcher);
        let count = all.entry(watcher).or_default();
        *count = count.saturating_add_signed(by);
        let left = *count;
        if left == 0 {
            all.remove(&watcher);
        }
        left
    }

    /// One more subscription of a watcher.
    fn begins(&self, watcher: &str, package: Package) {
        self.count(watcher, 1);
        if package == Package::Reg {
            self.followers.fetch_add(1, Ordering::Relaxed);
            self.followed.notify_one();
        }
    }

    /// One less.
    fn ends(&self, watcher: &str, package: Package) {
        self.count(watcher, -1);
        if package == Package::Reg {
            self.followers.fetch_sub(1, Ordering::Relaxed);
            self.followed.notify_one();
        }
    }

    /// What there is of a subscription, wherever it is.
    fn find<T>(&self, resource: &Resource, id: Id, look: impl FnOnce(Found<'_>) -> T) -> Option<T> {
        self.share(resource).lock().find(id).map(look)
    }
}

impl Share {
    fn lock(&self) -> MutexGuard<'_, Table<Base>> {
        // No code of ours panics while it holds the lock, so a poisoned state is still whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who says nothing of his terminal takes the documents of the package and nothing else (RFC 3856 §6.5).
fn only(package: Package) -> Cpi {
    let entry = cpi::MediaEntry::new(package.media_type());
    Cpi { media: Some(vec![entry]), source: Source::Dialog, ..Cpi::default() }
}

/// The same value for all who have the same capabilities; those that nobody has any more go.
fn shared(all: &Mutex<HashSet<Arc<Cpi>>>, cpi: Cpi) -> Arc<Cpi> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.get(&cpi) {
        return Arc::clone(known);
    }
    if all.len() == all.capacity() {
        all.retain(|cpi| Arc::strong_count(cpi) > 1);
    }
    let cpi = Arc::new(cpi);
    all.insert(Arc::clone(&cpi));
    cpi
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a request is for the presence server: a PUBLISH for a user of ours, a SUBSCRIBE to what is notified of
/// here, or one in a dialog of ours. SUBSCRIBEs to other packages of a user go to his terminals, which may know them.
pub(crate) fn is_for(journey: &Journey, uri: &sip::Uri) -> bool {
    let request = &journey.request;
    if !journey.policy.settings.presence.enabled || journey.rooms.presence.get().is_none() {
        return false;
    }
    match request.method() {
        Method::Publish => journey.place(uri) != Place::Foreign,
        Method::Subscribe => journey.place(uri) != Place::Foreign && is_subscription(request, uri),
        Method::Notify => {
            journey.rooms.presence.get().is_some_and(|presence| presence.elsewhere.is_for(request))
        }
        _ => false,
    }
}

fn is_subscription(request: &Request, uri: &sip::Uri) -> bool {
    if notifier::goes_on_with(request).is_some() {
        return true;
    }
    let is_ours = Event::of(request).is_none_or(|event| event.package.is_some());
    // To nobody's terminal could it go on.
    is_ours || uri.user().is_none()
}

/// A request goes on to others: what a watcher of ours says of his terminal is remembered for the NOTIFYs that come.
pub(crate) async fn passes(journey: &Journey) {
    if let Some(presence) = journey.rooms.presence.get()
        && passing::is_to_be_known(&journey.request)
    {
        Box::pin(presence.passing.remember(journey, |cpi| presence.shared(cpi))).await;
    }
}

/// Answers a request that [`is_for`] the presence server.
pub(crate) async fn serve(journey: &Arc<Journey>, way: &Way, mut upstream: Upstream) {
    let Some(presence) = journey.rooms.presence.get() else { return };
    match journey.request.method() {
        Method::Publish => {
            let (reply, changed) = publish::answer(journey, way, presence).await;
            metrics::presence_request("publish", reply.status);
            upstream.reply(&reply);
            if let Some(resource) = changed {
                presence.changed(&resource, None);
            }
        }
        Method::Notify => {
            let answer = elsewhere::notified(journey, presence);
            metrics::presence_request("notify", answer.status);
            upstream.reply(&reply(answer));
        }
        _ => {
            let (reply, follow) = subscribe::answer(journey, way, presence).await;
            metrics::presence_request("subscribe", reply.status);
            upstream.reply(&reply);
            if let Some(follow) = follow {
                follow.up(journey, presence).await;
            }
        }
    }
}

/// An answer of the crate `presence` as this room sends them.
fn reply(answer: presence::refusal::Answer) -> Reply {
    let fields = answer.fields.into_iter().map(|(id, value)| (id.name().into(), value));
    Reply { headers: fields.collect(), ..Reply::new(answer.status, answer.reason) }
}

/// Whatever the store says when it does not take a write.
fn unstored(error: &store::SwapError) -> Reply {
    tracing::warn!(%error, "presence can't be stored");
    Reply::new(503, "Service Unavailable").with("Retry-After", "5")
}
