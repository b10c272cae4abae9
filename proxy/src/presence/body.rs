//! What a NOTIFY says: the state of what is watched, made once for all who see the same of it with the same terminal.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use cpi::Cpi;
use presence::document::watcherinfo::{self, Watcher, WatcherEvent, WatcherList};
use presence::document::{Document, Form, partial};
use presence::ending::{Ending, Reason};
use presence::event::Package;
use presence::notifier::Format;
use presence::rules::{self, Decision};
use presence::subscription::{Kind, Resource, Subscription};
use presence::table::{Delta, Notice};
use presence::time::Moment;
use presence::watchers::Seen;

use super::Presence;
use super::registrations;
use super::state::{State, entity};
use crate::rooms::Rooms;

/// What the next NOTIFY of a subscription builds upon (RFC 5263).
#[derive(Clone, Debug)]
pub(super) struct Base(Arc<Document>);

/// A body and the fields that describe it.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    pub(super) fields: Vec<(Bytes, Bytes)>,
    pub(super) body: Bytes,
}

impl Made {
    pub(super) fn of(format: Format, body: Bytes) -> Made {
        let name = Bytes::from_static(b"Content-Type");
        Made { fields: vec![(name, Bytes::from_static(format.media_type().as_bytes()))], body }
    }
}

/// The room and its surroundings.
#[derive(Clone, Copy)]
pub(super) struct Maker<'a> {
    pub(super) rooms: &'a Rooms,
    pub(super) presence: &'a Presence,
}

impl Maker<'_> {
    /// What a NOTIFY says, and what the next one builds upon. `message` is what the way there allows for the whole
    /// message, if it is narrow.
    pub(super) async fn body(
        self,
        notice: &Notice<Base>,
        subscription: &Subscription,
        message: Option<u64>,
    ) -> (Arc<Made>, Option<Base>) {
        // Who is sent away is told nothing more.
        if notice.ending.is_some_and(|Ending { reason, .. }| reason != Reason::Timeout) {
            return (Arc::default(), None);
        }
        if notice.kind != Kind::One {
            return (self.of_list(notice, subscription, message).await, None);
        }
        match notice.resource.package {
            Package::Presence => self.of_presence(notice, subscription, message).await,
            Package::Winfo => (self.of_watchers(notice), None),
            Package::Reg => (registrations::body(self.rooms, notice), None),
        }
    }

    async fn of_presence(
        self,
        notice: &Notice<Base>,
        subscription: &Subscription,
        message: Option<u64>,
    ) -> (Arc<Made>, Option<Base>) {
        let aor = &notice.resource.aor;
        let plain = |document: &Document| Arc::new(written(document, notice));
        let watcher = rules::Watcher { aor: &subscription.watcher, proven: subscription.proven };
        let state = self.state(aor);
        // Whom the rules just shut out sees nothing more, though his subscription does not say so yet.
        let default = self.rooms.policy.load().settings.presence.default;
        match notice.decision.min(state.decision(&watcher, default)) {
            Decision::Allow => {}
            Decision::PoliteBlock => return (plain(&Document::closed(&entity(aor))), None),
            Decision::Pending | Decision::Block => return (plain(&Document::pending(&entity(aor))), None),
        }
        let state = state.seen_by(&watcher);
        if notice.format == Format::PidfDiff {
            let (body, document) = self.partially(notice, &state).await;
            return (Arc::new(Made::of(Format::PidfDiff, body)), Some(Base(document)));
        }
        let form = if notice.format == Format::CpimPidf { Form::CpimPidf } else { Form::Pidf };
        (self.cached(&state, form, &notice.cpi, message).await, None)
    }

    /// The state for all whose terminals are of one kind, made for the first of them.
    pub(super) async fn cached(
        self,
        state: &State,
        form: Form,
        cpi: &Arc<Cpi>,
        message: Option<u64>,
    ) -> Arc<Made> {
        let make = || async {
            let made = self.fitted(state, form, cpi, message).await;
            self.presence.states.octets.fetch_add(made.body.len(), Ordering::Relaxed);
            Arc::new(made)
        };
        match state.cell(form, cpi, message) {
            Some(cell) => Arc::clone(cell.get_or_init(make).await),
            None => make().await,
        }
    }

    /// The whole state or what changed of it, with links in place of what it shows: a watcher who puts changes
    /// together keeps no parts.
    async fn partially(self, notice: &Notice<Base>, state: &State) -> (Bytes, Arc<Document>) {
        let document = if state.objects.is_empty() {
            Arc::clone(&state.document)
        } else {
            let narrow = self.presence.shared(super::only(Package::Presence));
            let made = self.fitted(state, Form::Pidf, &narrow, None).await;
            let limits = self.rooms.policy.load().settings.presence.document;
            Arc::new(Document::read(&made.body, &limits).unwrap_or_else(|_| state.without_objects()))
        };
        // RFC 5263 §4.3 begins with 1.
        let version = notice.version.saturating_add(1);
        let changes = notice.base.as_ref().and_then(|Base(old)| partial::diff(old, &document, version));
        (changes.unwrap_or_else(|| partial::full(&document, version)), document)
    }

    /// Who watches the presence of the resource.
    fn of_watchers(self, notice: &Notice<Base>) -> Arc<Made> {
        let aor = &notice.resource.aor;
        let told: Option<Vec<Watcher>> = notice.deltas.as_ref().map(|deltas| {
            let watcher = |delta: &Delta| match delta {
                Delta::Watcher(watcher) => Some(Watcher::clone(watcher)),
                Delta::Contacts(_) | Delta::Member(_) => None,
            };
            deltas.iter().filter_map(watcher).collect()
        });
        let is_full = told.is_none();
        let watchers = told.unwrap_or_else(|| {
            let resource = Resource { package: Package::Presence, aor: Arc::clone(aor) };
            let now = Moment::from(transport::now());
            let share = self.presence.share(&resource);
            let table = share.lock();
            let goes_on = table.of(&resource).filter(|found| !found.is_ending);
            let seen = goes_on.map(|found| Seen {
                id: found.id,
                watcher: found.watcher,
                decision: found.decision,
                since: found.created_at,
                expires_at: Some(found.expires_at),
            });
            let goes_on = seen.map(|seen| seen.watcher(WatcherEvent::Subscribe, now));
            let waiting = self.presence.waiters(aor).into_iter();
            goes_on.chain(waiting.map(|waiter| waiter.told(WatcherEvent::Timeout, now))).collect()
        });
        let list = WatcherList { resource: aor, package: Package::Presence.name(), watchers: &watchers };
        let body = watcherinfo::watcherinfo(&[list], notice.version, is_full);
        Arc::new(Made::of(Format::Watcherinfo, body))
    }
}

fn written(document: &Document, notice: &Notice<Base>) -> Made {
    match notice.format {
        Format::PidfDiff => {
            Made::of(Format::PidfDiff, partial::full(document, notice.version.saturating_add(1)))
        }
        Format::CpimPidf => Made::of(Format::CpimPidf, document.write(Form::CpimPidf)),
        Format::Pidf | Format::Watcherinfo | Format::Reginfo => {
            Made::of(Format::Pidf, document.write(Form::Pidf))
        }
    }
}
