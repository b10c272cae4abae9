//! Who went away before the presentity said a word, kept in the store until it does or his time is over (RFC 3857
//! §4.7.1).

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use presence::document::watcherinfo::WatcherEvent;
use presence::event::Package;
use presence::rules::{Decision, Policy};
use presence::subscription::Resource;
use presence::table::Gone;
use presence::time::Moment;
use presence::waiting::Waiter;
use store::SwapError;
use tokio_util::sync::CancellationToken;

use super::{Presence, Settings};
use crate::rooms::Rooms;

/// Users for whom somebody waits, at most.
const USERS: usize = 100_000;

/// How often it is looked for those whose time is over.
const SWEEP: Duration = Duration::from_secs(3600);

/// One who waits.
#[derive(Clone, Debug)]
pub struct WaitingWatcher {
    /// Who. Personal.
    pub watcher: Arc<str>,
    /// Whether that was proven.
    pub proven: bool,
    /// When he subscribed.
    pub since: SystemTime,
    /// Until when he is remembered.
    pub until: SystemTime,
}

impl Presence {
    /// Who waits for a user's word.
    pub fn waiting(&self, aor: &str) -> Vec<WaitingWatcher> {
        let time = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH);
        let each = self.waiters(aor).into_iter().map(|waiter| WaitingWatcher {
            watcher: waiter.aor,
            proven: waiter.proven,
            since: time(waiter.since),
            until: time(waiter.until),
        });
        each.collect()
    }

    /// The same as they are kept.
    pub(super) fn waiters(&self, aor: &str) -> Vec<Waiter> {
        let now = Moment::from(transport::now()).seconds();
        let mut waiting = self.shelf.waiting(aor);
        waiting.leave(|waiter| waiter.until <= now);
        waiting.waiters
    }

    /// A pending subscription came to its end: its watcher waits, if there is room. Says whether he does.
    pub(super) async fn waits(&self, settings: &Settings, gone: &Gone) -> bool {
        let aor = &gone.resource.aor;
        let is_new = || self.shelf.waited_for() >= USERS && self.shelf.waiting(aor).waiters.is_empty();
        if settings.waiting == 0 || is_new() {
            return false;
        }
        let now = Moment::from(transport::now());
        let waiter = Waiter {
            id: gone.id,
            aor: Arc::clone(&gone.watcher),
            proven: gone.proven,
            since: gone.created_at,
            until: now.seconds().saturating_add(settings.waiting_for.as_secs().max(1)),
        };
        let most = settings.waiting;
        // Many may come to their end in one moment.
        let _turn = self.publishing.turn(aor).await;
        match self.shelf.change_waiting(aor, |waiting| waiting.join(waiter.clone(), most)).await {
            Ok(out) => {
                let stays = out.iter().all(|other| other.id != waiter.id);
                if stays {
                    self.watched(aor, waiter.told(WatcherEvent::Timeout, now));
                }
                self.told(aor, out.iter().filter(|other| other.id != waiter.id), WatcherEvent::Giveup);
                stays
            }
            Err(error) => {
                tracing::warn!(%error, "a watcher who waits can't be stored, and is forgotten");
                false
            }
        }
    }

    /// He came again: his new subscription stands for the old one.
    pub(super) async fn came_again(&self, resource: &Resource, watcher: &str) {
        if resource.package != Package::Presence || self.shelf.waiting(&resource.aor).waiters.is_empty() {
            return;
        }
        let _turn = self.publishing.turn(&resource.aor).await;
        match self.shelf.change_waiting(&resource.aor, |all| all.leave(|one| *one.aor == *watcher)).await {
            Ok(gone) => self.told(&resource.aor, gone.iter(), WatcherEvent::Giveup),
            Err(error) => tracing::warn!(%error, "a watcher who came again still waits"),
        }
    }

    /// The presentity said a word.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn decided(
        &self,
        aor: &Arc<str>,
        rules: &Policy,
        default: Decision,
    ) -> Result<(), SwapError> {
        let now = Moment::from(transport::now());
        let _turn = self.publishing.turn(aor).await;
        let decide = |waiter: &Waiter| rules.decide(&waiter.watcher(), default, now);
        let gone = self
            .shelf
            .change_waiting(aor, |all| all.leave(|waiter| decide(waiter) != Decision::Pending))
            .await?;
        let (refused, approved): (Vec<&Waiter>, Vec<_>) =
            gone.iter().partition(|waiter| decide(waiter) == Decision::Block);
        self.told(aor, refused.into_iter(), WatcherEvent::Rejected);
        self.told(aor, approved.into_iter(), WatcherEvent::Approved);
        Ok(())
    }

    fn told<'w>(&self, aor: &Arc<str>, gone: impl Iterator<Item = &'w Waiter>, event: WatcherEvent) {
        let now = Moment::from(transport::now());
        gone.for_each(|waiter| self.watched(aor, waiter.told(event, now)));
    }

    /// Forgets those whose time is over.
    async fn give_up(&self, now: Moment) {
        for aor in self.shelf.waited_until(now.seconds()) {
            let _turn = self.publishing.turn(&aor).await;
            let is_over = |waiter: &Waiter| waiter.until <= now.seconds();
            match self.shelf.change_waiting(&aor, |waiting| waiting.leave(is_over)).await {
                Ok(gone) => self.told(&aor, gone.iter(), WatcherEvent::Giveup),
                Err(error) => {
                    return tracing::warn!(%error, "watchers whose time is over wait a while longer");
                }
            }
        }
    }
}

/// Forgets those whose time is over, until the server ends.
pub(super) async fn run(rooms: Arc<Rooms>, presence: Arc<Presence>, stop: CancellationToken) {
    loop {
        presence.give_up(Moment::from(transport::now())).await;
        let every = rooms.policy.load().settings.presence.waiting_for;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every.clamp(Duration::from_secs(1), SWEEP)) => {}
        }
    }
}
