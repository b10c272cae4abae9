//! Members of lists who are users of other domains: watched at their own presence servers, in the name of who watches the
//! list, if the operator wants that (`presence.elsewhere`). Only domains with a `[[route]]` are asked, and all goes to the
//! next hop that stands there, whatever the other side names.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use presence::backend::{Backend, Known};
use presence::refusal::{Answer, Refusal};
use presence::subscription::{Id, Resource, Subscription};
use presence::time::Moment;
use sip::{Request, Response, Uri};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use transport::{Asker, ClientEvent};

use super::members::{Entry, Lists, Members, Room, Step};
use super::{Presence, Settings, lists, send};
use crate::journey::Journey;
use crate::metrics;
use crate::rooms::Rooms;

/// SUBSCRIBEs that are under way at the same time.
const SENDING: usize = 64;

/// How long it is slept at most: what is due may be never.
const LONGEST: Duration = Duration::from_secs(3600);

/// Subscriptions at other servers.
pub(super) struct Elsewhere {
    members: Mutex<Members>,
    /// Somebody is to be watched of whom nothing was asked yet, or waits no longer, or the settings changed.
    begun: Notify,
    sending: Semaphore,
    /// The log says that some wait.
    is_told: AtomicBool,
}

impl Default for Elsewhere {
    fn default() -> Self {
        let sending = Semaphore::new(SENDING);
        Self { members: Mutex::default(), begun: Notify::new(), sending, is_told: AtomicBool::new(false) }
    }
}

impl Elsewhere {
    /// A list has that member, who is watched elsewhere from now on, or waits for room.
    fn join(&self, room: Room, watcher: &Arc<str>, member: &str, list: (Id, Arc<Resource>)) {
        let Some(id) = fresh() else { return };
        let now = Moment::from(transport::now());
        let waits = self.lock().join((Arc::clone(watcher), Arc::from(member)), list, id, room, now);
        self.begun.notify_one();
        if waits && !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                most = room.most,
                of_watcher = room.of_watcher,
                "members of lists wait to be watched at their own servers: as many are as may be"
            );
        }
    }

    /// A list has it no longer.
    pub(super) fn leave(&self, watcher: &Arc<str>, member: &str, list: Id) {
        self.lock().leave(&(Arc::clone(watcher), Arc::from(member)), list);
    }

    /// What is known of a member, as that watcher may see him; `None`: nobody asked.
    pub(super) fn known(&self, watcher: &Arc<str>, member: &str) -> Option<Known> {
        let members = self.lock();
        let entry = members.of(&(Arc::clone(watcher), Arc::from(member)))?;
        Some(entry.backend.known.clone())
    }

    /// Whether a NOTIFY is of one of them.
    pub(super) fn is_for(&self, request: &Request) -> bool {
        let id = request.to_tag().and_then(Backend::of_tag);
        id.is_some_and(|id| self.lock().has(id))
    }

    /// The operator's settings are others.
    pub(super) fn reconfigure(&self) {
        self.lock().all().for_each(|entry| entry.changed.notify_one());
        self.begun.notify_one();
    }

    /// Tells how many there are.
    fn measure(&self) {
        let (watched, waiting) = self.lock().counts();
        if waiting == 0 {
            self.is_told.store(false, Ordering::Relaxed);
        }
        metrics::elsewhere(watched, waiting);
    }

    /// What is to be done for one next. Where it is nothing any more there is room for another.
    fn step(&self, id: Id, room: Room, now: Moment) -> Step {
        let mut members = self.lock();
        let step = members.step(id, room.most > 0, now);
        if matches!(step, Step::Gone) {
            members.admit(room, fresh, now);
            drop(members);
            self.begun.notify_one();
        }
        step
    }

    fn with<T>(&self, id: Id, look: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.lock().get(id).map(look)
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that nobody can guess.
fn fresh() -> Option<Id> {
    let mut number = [0; 8];
    getrandom::fill(&mut number).ok()?;
    Some(Id(u64::from_be_bytes(number)))
}

fn room(settings: &Settings) -> Room {
    Room { most: settings.elsewhere, of_watcher: settings.elsewhere_of_watcher }
}

impl Presence {
    /// Members of a list who are to be watched elsewhere are, from now on. The list's subscription is there, or over.
    pub(super) fn join_elsewhere(
        &self,
        rooms: &Rooms,
        watcher: &Arc<str>,
        (list, of): (Id, &Arc<Resource>),
        members: &[Bytes],
    ) {
        let room = room(&rooms.policy.load().settings.presence);
        if room.most == 0 {
            return;
        }
        for member in members.iter().filter_map(|member| std::str::from_utf8(member).ok()) {
            let is_asked = || next_hop(rooms, member).is_some();
            if !lists::is_ours(rooms, member) && is_asked() {
                self.elsewhere.join(room, watcher, member, (list, Arc::clone(of)));
            }
        }
        if self.find(of, list, |_| ()).is_none() {
            self.leave_elsewhere(watcher, list, members);
        }
    }

    /// That list is over.
    pub(super) fn leave_elsewhere(&self, watcher: &Arc<str>, list: Id, members: &[Bytes]) {
        for member in members.iter().filter_map(|member| std::str::from_utf8(member).ok()) {
            self.elsewhere.leave(watcher, member, list);
        }
        self.elsewhere.begun.notify_one();
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
            Ok(news.then(|| (Arc::clone(&entry.backend.member), entry.lists.clone())))
        })
    });
    match told.unwrap_or(Err(Refusal::NoSubscription)) {
        Ok(news) => {
            if let Some((member, lists)) = news {
                tell(presence, &member, lists);
            }
            Answer::new(200, "OK")
        }
        Err(refusal) => {
            journey.note(|| refusal.to_string());
            refusal.answer()
        }
    }
}

/// The watcher's lists that have the member tell him. Those of others have nothing to tell: nor may they show that
/// something came.
fn tell(presence: &Presence, member: &Arc<str>, lists: Lists) {
    presence.mark_lists(member, lists.into_iter().collect());
}

/// Starts what drives each of them, until the server ends.
pub(super) async fn run(rooms: Arc<Rooms>, presence: Arc<Presence>, stop: CancellationToken) {
    let elsewhere = &presence.elsewhere;
    let mut before = Room { most: 0, of_watcher: 0 };
    loop {
        let room = room(&rooms.policy.load().settings.presence);
        if before.most == 0 && room.most > 0 {
            for (id, Subscription { resource, watcher, members, .. }) in presence.lists_there_are() {
                presence.join_elsewhere(&rooms, &watcher, (id, &Arc::new(resource)), &members);
            }
        } else if room.most > before.most || room.of_watcher > before.of_watcher {
            elsewhere.lock().admit(room, fresh, Moment::from(transport::now()));
        }
        before = room;
        let fresh = elsewhere.lock().fresh();
        elsewhere.measure();
        for id in fresh {
            tokio::spawn(drive(Arc::clone(&rooms), Arc::clone(&presence), id, stop.clone()));
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = elsewhere.begun.notified() => {}
        }
    }
}

/// Subscribes when that is due, for as long as a list has the member.
async fn drive(rooms: Arc<Rooms>, presence: Arc<Presence>, id: Id, stop: CancellationToken) {
    let elsewhere = &presence.elsewhere;
    loop {
        let now = Moment::from(transport::now());
        let room = room(&rooms.policy.load().settings.presence);
        match elsewhere.step(id, room, now) {
            Step::Gone => return,
            Step::End => {
                subscribe(&rooms, &presence, id, true).await;
                let told = elsewhere.lock().ended(id, Moment::from(transport::now()));
                told.into_iter().for_each(|(member, lists)| tell(&presence, &member, lists));
            }
            Step::Ask => ask(&rooms, &presence, id).await,
            Step::Tell(member, lists) => tell(&presence, &member, lists),
            Step::Wait(due, changed) => {
                let wait = Duration::from_millis(due.millis().saturating_sub(now.millis()).max(1));
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = changed.notified() => {}
                    () = tokio::time::sleep(wait.min(LONGEST)) => {}
                }
            }
        }
    }
}

/// One SUBSCRIBE, and what its answer says to the lists.
async fn ask(rooms: &Rooms, presence: &Presence, id: Id) {
    let response = subscribe(rooms, presence, id, false).await;
    let now = Moment::from(transport::now());
    let told = presence.elsewhere.lock().answered(id, response.as_deref(), now);
    told.into_iter().for_each(|(member, lists)| tell(presence, &member, lists));
}

/// One SUBSCRIBE to the next hop of the member's domain, and its final answer.
async fn subscribe(rooms: &Rooms, presence: &Presence, id: Id, is_last: bool) -> Option<Box<Response>> {
    let _place = presence.elsewhere.sending.acquire().await.ok()?;
    let member = presence.elsewhere.with(id, |entry| Arc::clone(&entry.backend.member))?;
    let hop = next_hop(rooms, &member)?;
    let found = rooms.endpoint.locate(&hop, Asker::Operator, |_| true).await.unwrap_or_default();
    for destination in found {
        let contact = send::contact(&rooms.endpoint, destination.protocol(), false);
        let now = Moment::from(transport::now());
        let outgoing =
            presence.elsewhere.with(id, |entry| entry.backend.subscribe(&contact, is_last, now))?;
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
