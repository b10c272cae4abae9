//! Members of lists who are users of other domains: watched at their own presence servers, in the name of who watches the
//! list, if the operator wants that (`presence.elsewhere`). Only domains with a `[[route]]` are asked, and all goes to the
//! next hop that stands there, whatever the other side names.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use presence::backend::{Backend, Known};
use presence::event::Package;
use presence::refusal::{Answer, Refusal};
use presence::subscription::{Id, Resource};
use presence::time::Moment;
use sip::{Request, Response, Uri};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use transport::{Asker, ClientEvent};

use super::{Presence, lists, send};
use crate::journey::Journey;
use crate::metrics;
use crate::rooms::Rooms;

/// SUBSCRIBEs that are under way at the same time.
const SENDING: usize = 64;

/// Subscriptions at other servers.
pub(super) struct Elsewhere {
    table: Mutex<Table>,
    /// Somebody is to be watched of whom nothing was asked yet.
    begun: Notify,
    sending: Semaphore,
}

#[derive(Default)]
struct Table {
    all: HashMap<Id, Entry>,
    /// By who watches whom.
    of: HashMap<(Arc<str>, Arc<str>), Id>,
    /// Those that nobody drives yet.
    fresh: Vec<Id>,
}

struct Entry {
    backend: Backend,
    /// Subscriptions to lists that have the member.
    lists: HashSet<Id>,
    changed: Arc<Notify>,
}

impl Default for Elsewhere {
    fn default() -> Self {
        let sending = Semaphore::new(SENDING);
        Self { table: Mutex::default(), begun: Notify::new(), sending }
    }
}

impl Elsewhere {
    /// A list has that member, who is watched elsewhere from now on, if there are not as many already.
    pub(super) fn join(&self, most: usize, watcher: &Arc<str>, member: &str, list: Id) {
        let mut table = self.lock();
        let key = (Arc::clone(watcher), Arc::from(member));
        if let Some(id) = table.of.get(&key).copied() {
            if let Some(entry) = table.all.get_mut(&id) {
                entry.lists.insert(list);
            }
            return;
        }
        let mut number = [0; 8];
        if table.all.len() >= most || getrandom::fill(&mut number).is_err() {
            return;
        }
        let id = Id(u64::from_be_bytes(number));
        let backend =
            Backend::new(id, Arc::clone(&key.0), Arc::clone(&key.1), Moment::from(transport::now()));
        table.all.insert(id, Entry { backend, lists: HashSet::from([list]), changed: Arc::default() });
        table.of.insert(key, id);
        table.fresh.push(id);
        drop(table);
        self.begun.notify_one();
    }

    /// A list has it no longer.
    pub(super) fn leave(&self, watcher: &Arc<str>, member: &str, list: Id) {
        let mut table = self.lock();
        let id = table.of.get(&(Arc::clone(watcher), Arc::from(member))).copied();
        if let Some(entry) = id.and_then(|id| table.all.get_mut(&id)) {
            entry.lists.remove(&list);
            if entry.lists.is_empty() {
                entry.changed.notify_one();
            }
        }
    }

    /// What is known of a member, as that watcher may see him; `None`: nobody asked.
    pub(super) fn known(&self, watcher: &Arc<str>, member: &str) -> Option<Known> {
        let table = self.lock();
        let id = table.of.get(&(Arc::clone(watcher), Arc::from(member)))?;
        table.all.get(id).map(|entry| entry.backend.known.clone())
    }

    /// Whether a NOTIFY is of one of them.
    pub(super) fn is_for(&self, request: &Request) -> bool {
        let id = request.to_tag().and_then(Backend::of_tag);
        id.is_some_and(|id| self.lock().all.contains_key(&id))
    }

    fn remove(&self, id: Id) {
        let mut table = self.lock();
        if let Some(entry) = table.all.remove(&id) {
            table.of.remove(&(entry.backend.watcher, entry.backend.member));
        }
    }

    fn with<T>(&self, id: Id, look: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.lock().all.get_mut(&id).map(look)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Presence {
    /// Members of a list who are to be watched elsewhere are, from now on.
    pub(super) fn join_elsewhere(&self, rooms: &Rooms, watcher: &Arc<str>, list: Id, members: &[Bytes]) {
        let policy = rooms.policy.load();
        let most = policy.settings.presence.elsewhere;
        if most == 0 {
            return;
        }
        for member in members.iter().filter_map(|member| std::str::from_utf8(member).ok()) {
            let is_asked = || next_hop(rooms, member).is_some();
            if !lists::is_ours(rooms, member) && is_asked() {
                self.elsewhere.join(most, watcher, member, list);
            }
        }
    }
}

/// The answer to a NOTIFY of one of them.
pub(super) fn notified(journey: &Journey, presence: &Presence) -> Answer {
    let limits = journey.policy.settings.presence.document;
    let now = Moment::from(journey.arrived);
    let id = journey.request.to_tag().and_then(Backend::of_tag);
    let told = id.and_then(|id| {
        presence.elsewhere.with(id, |entry| {
            let news = entry.backend.notified(&journey.request, &limits, now)?;
            entry.changed.notify_one();
            Ok((news, Arc::clone(&entry.backend.member)))
        })
    });
    match told.unwrap_or(Err(Refusal::NoSubscription)) {
        Ok((is_news, member)) => {
            if is_news {
                changed(presence, member);
            }
            Answer::new(200, "OK")
        }
        Err(refusal) => {
            journey.note(|| refusal.to_string());
            refusal.answer()
        }
    }
}

/// Lists that have the member tell it.
fn changed(presence: &Presence, member: Arc<str>) {
    presence.changed(&Resource { package: Package::Presence, aor: member }, None);
}

/// Starts what drives each of them, until the server ends.
pub(super) async fn run(rooms: Arc<Rooms>, presence: Arc<Presence>, stop: CancellationToken) {
    if rooms.policy.load().settings.presence.elsewhere > 0 {
        for (id, watcher, members) in presence.lists_there_are() {
            presence.join_elsewhere(&rooms, &watcher, id, &members);
        }
    }
    loop {
        let fresh = std::mem::take(&mut presence.elsewhere.lock().fresh);
        for id in fresh {
            tokio::spawn(drive(Arc::clone(&rooms), Arc::clone(&presence), id, stop.clone()));
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = presence.elsewhere.begun.notified() => {}
        }
    }
}

/// Subscribes when that is due, for as long as a list has the member.
async fn drive(rooms: Arc<Rooms>, presence: Arc<Presence>, id: Id, stop: CancellationToken) {
    let elsewhere = &presence.elsewhere;
    while let Some((is_listed, due, changed_at)) =
        elsewhere.with(id, |entry| (!entry.lists.is_empty(), entry.backend.due, Arc::clone(&entry.changed)))
    {
        // The operator may have thought better of it.
        let is_allowed = rooms.policy.load().settings.presence.elsewhere > 0;
        if !is_listed || !is_allowed {
            if elsewhere.with(id, |entry| entry.backend.is_established()) == Some(true) {
                subscribe(&rooms, &presence, id, true).await;
            }
            // Wanted again meanwhile, it begins anew.
            let is_listed = elsewhere.with(id, |entry| !entry.lists.is_empty());
            if is_listed != Some(true) || !is_allowed {
                return elsewhere.remove(id);
            }
            continue;
        }
        let now = Moment::from(transport::now());
        if due <= now {
            let member = elsewhere.with(id, |entry| Arc::clone(&entry.backend.member));
            let before = elsewhere.with(id, |entry| entry.backend.known.clone());
            let response = subscribe(&rooms, &presence, id, false).await;
            let now = Moment::from(transport::now());
            let after = elsewhere.with(id, |entry| {
                entry.backend.answered(response.as_deref(), now);
                entry.backend.known.clone()
            });
            if let Some(member) = member.filter(|_| before != after) {
                changed(&presence, member);
            }
            continue;
        }
        let wait = Duration::from_millis(due.millis().saturating_sub(now.millis()).max(1));
        tokio::select! {
            () = stop.cancelled() => return,
            () = changed_at.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// One SUBSCRIBE to the next hop of the member's domain, and its final answer.
async fn subscribe(rooms: &Rooms, presence: &Presence, id: Id, is_last: bool) -> Option<Box<Response>> {
    let _place = presence.elsewhere.sending.acquire().await.ok()?;
    let member = presence.elsewhere.with(id, |entry| Arc::clone(&entry.backend.member))?;
    let hop = next_hop(rooms, &member)?;
    let found = rooms.endpoint.locate(&hop, Asker::Operator, |_| true).await.unwrap_or_default();
    for destination in found {
        let contact = send::contact(&rooms.endpoint, destination.protocol(), false);
        let outgoing = presence.elsewhere.with(id, |entry| entry.backend.subscribe(&contact, is_last))?;
        match rooms.endpoint.request(outgoing, destination).last().await {
            Some(ClientEvent::Response(response)) => {
                metrics::presence_request("subscribe-elsewhere", response.status());
                return Some(response);
            }
            Some(ClientEvent::TransportError(_)) => {}
            Some(ClientEvent::Timeout) | None => return None,
        }
    }
    None
}

/// Where the operator has requests for the domain of that member sent.
fn next_hop(rooms: &Rooms, member: &str) -> Option<Uri> {
    let uri: Uri = member.parse().ok()?;
    let host = uri.host_octets()?;
    let policy = rooms.policy.load();
    let route =
        policy.settings.routes.iter().find(|route| route.domain.as_bytes().eq_ignore_ascii_case(host))?;
    route.next_hop.parse().ok()
}
