//! What operators see of presence, and change: watchers, publications, rules.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use presence::document::watcherinfo::WatcherEvent;
use presence::document::{self, DocumentError};
use presence::ending::{Ending, Reason};
use presence::event::Package;
use presence::rules::{Decision, Policy, Rules, Watcher};
use presence::subscription::{Id, Resource, Subscription};
use presence::table::Found;
use presence::time::Moment;
use presence::watchers::Seen;
use store::SwapError;

use super::lists::canonical;
use super::{Presence, Settings};

/// Octets of a document of rules, at most.
const MOST_OCTETS: usize = 64 * 1024;

/// A subscription.
#[derive(Clone, Debug)]
pub struct Watching {
    /// Who watches. Personal.
    pub watcher: Arc<str>,
    /// Whether that was proven.
    pub proven: bool,
    /// The package.
    pub package: &'static str,
    /// What the presentity says of him.
    pub decision: Decision,
    /// When it ends.
    pub expires_at: SystemTime,
}

/// A publication.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Octets of its document.
    pub octets: usize,
    /// Objects that came with it.
    pub objects: usize,
    /// Octets of them.
    pub object_octets: u64,
    /// When the document came.
    pub published_at: SystemTime,
    /// When it ends.
    pub expires_at: SystemTime,
}

/// Why rules are not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// More than [`Presence::MOST_RULES`].
    #[error("more rules than a presentity may have")]
    TooMany,
    /// The document can't be read, or asks for what is not done here.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The store does not take them.
    #[error(transparent)]
    Store(#[from] SwapError),
}

impl Presence {
    /// Rules of one presentity, at most.
    pub const MOST_RULES: usize = 1000;

    /// Other rules of the operator, which are in force by now. Who watches a list that has other members is to
    /// subscribe anew.
    pub fn reconfigure(&self, before: &Settings, settings: &Settings) {
        for share in &self.tables {
            share.lock().set_rate(super::millis(settings.rate));
        }
        for list in before.lists.iter().chain(&settings.lists) {
            let Some(aor) = canonical(&list.uri) else { continue };
            if self.list(before, &aor) != self.list(settings, &aor) {
                self.end_all(&Resource { package: Package::Presence, aor: aor.into() });
            }
        }
        self.elsewhere.reconfigure();
    }

    /// Who watches a user.
    pub fn watchers(&self, aor: &str) -> Vec<Watching> {
        let of_package = |package: Package| {
            let resource = Resource { package, aor: aor.into() };
            let table = self.share(&resource).lock();
            let watching = table.of(&resource).map(|found| Watching {
                watcher: Arc::clone(found.watcher),
                proven: found.proven,
                package: package.name(),
                decision: found.decision,
                expires_at: time(found.expires_at.seconds()),
            });
            watching.collect::<Vec<_>>()
        };
        Package::ALL.into_iter().flat_map(of_package).collect()
    }

    /// What is published for a user.
    pub fn published(&self, aor: &str) -> Vec<Published> {
        let (_, publications) = self.shelf.published(aor);
        let entries = publications.entries.iter().map(|entry| Published {
            octets: entry.document.len(),
            objects: entry.objects.len(),
            object_octets: entry.objects.iter().map(|object| u64::from(object.octets)).sum(),
            published_at: time(entry.published_at / 1000),
            expires_at: time(entry.expires_at),
        });
        entries.collect()
    }

    /// The rules of a user.
    pub fn rules(&self, aor: &str) -> Policy {
        self.shelf.policy(aor)
    }

    /// The same as the document they came as (RFC 5025), if they did.
    pub fn rules_document(&self, aor: &str) -> Option<Bytes> {
        self.shelf.rules_document(aor)
    }

    /// Replaces the rules of a user by a document of RFC 5025, as [`Self::set_rules`].
    ///
    /// # Errors
    /// [`RulesError`].
    pub async fn set_rules_document(
        &self,
        aor: &str,
        document: Bytes,
        default: Decision,
    ) -> Result<(), RulesError> {
        let limits = document::Limits { octets: MOST_OCTETS, ..document::Limits::default() };
        let rules = document::rules::Rules::read(&document, &limits)?;
        // As it is told from a list by.
        let document = Bytes::from(document.trim_ascii().to_vec());
        let _turn = self.ruling.of(aor).await;
        let hid = self.shelf.policy(aor).hides();
        self.shelf.set_rules_document(aor, document).await?;
        let rules = Policy::Document(rules);
        self.timed.expect(&aor.into(), rules.next_change(Moment::from(transport::now())));
        let held = self.hold(aor, &rules, default).await;
        self.shown(aor, hid || rules.hides());
        held
    }

    /// Replaces the rules of a user, durably, and holds all who watch him to them. `default` is for those whom no
    /// rule means.
    ///
    /// # Errors
    /// [`RulesError`].
    pub async fn set_rules(&self, aor: &str, rules: &Rules, default: Decision) -> Result<(), RulesError> {
        if rules.rules.len() > Self::MOST_RULES {
            return Err(RulesError::TooMany);
        }
        let _turn = self.ruling.of(aor).await;
        let hid = self.shelf.policy(aor).hides();
        self.shelf.set_rules(aor, rules).await?;
        self.timed.expect(&aor.into(), None);
        let held = self.hold(aor, &Policy::Listed(rules.clone()), default).await;
        self.shown(aor, hid);
        held
    }

    /// Whoever watches a user may see more or less of him from now on, if that depends on rules at all.
    pub(super) fn shown(&self, aor: &str, depends: bool) {
        if depends {
            self.changed(&Resource { package: Package::Presence, aor: aor.into() }, None);
        }
    }

    /// Holds all who watch a user to what his rules say by now, and expects their next change.
    pub(super) async fn hold_again(&self, aor: &Arc<str>, default: Decision) -> Result<(), RulesError> {
        let _turn = self.ruling.of(aor).await;
        let rules = self.shelf.policy(aor);
        self.timed.expect(aor, rules.next_change(Moment::from(transport::now())));
        let held = self.hold(aor, &rules, default).await;
        self.shown(aor, rules.hides());
        held
    }

    /// Holds all who watch a user to his rules, in their turn.
    async fn hold(&self, aor: &str, rules: &Policy, default: Decision) -> Result<(), RulesError> {
        let now = Moment::from(transport::now());
        let resource = Resource { package: Package::Presence, aor: aor.into() };
        let changed: Vec<(Id, Arc<str>, Decision, Decision, u64, Moment)> = {
            let table = self.share(&resource).lock();
            let is_himself = |found: &Found<'_>| found.proven && **found.watcher == *aor;
            let others = table.of(&resource).filter(|found| !found.is_ending && !is_himself(found));
            let decided = others.filter_map(|found| {
                let watcher = Watcher { aor: found.watcher, proven: found.proven };
                let decision = rules.decide(&watcher, default, now);
                let watcher = Arc::clone(found.watcher);
                (decision != found.decision).then_some((
                    found.id,
                    watcher,
                    found.decision,
                    decision,
                    found.created_at,
                    found.expires_at,
                ))
            });
            decided.collect()
        };
        for (id, watcher, before, decision, since, expires_at) in changed {
            if decision == Decision::Block {
                self.share(&resource).lock().end(id, Ending::of(Reason::Rejected));
                continue;
            }
            let Some((version, subscription)) = self.shelf.subscription(id) else { continue };
            let next = Subscription { decision, ..subscription };
            match self.shelf.subscribe(id, Some(version), Some(&next)).await {
                Ok(stored) => self.share(&resource).lock().decide(id, decision, stored),
                // It was refreshed meanwhile: whoever did that sees to it that these rules hold.
                Err(SwapError::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
            if before == Decision::Pending {
                let seen = Seen { id, watcher: &watcher, decision, since, expires_at: Some(expires_at) };
                let change = seen.watcher(WatcherEvent::Approved, Moment::from(transport::now()));
                self.watched(&resource.aor, change);
            }
        }
        // Whoever watches a list may see another of its members from now on.
        let lists = {
            let share = self.share(&resource);
            share.wake.notify_one();
            share.lock().lists_of(&resource)
        };
        self.mark_lists(&resource.aor, lists);
        self.decided(&resource.aor, rules, default).await?;
        Ok(())
    }
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH)
}
