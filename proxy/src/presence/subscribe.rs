//! SUBSCRIBE (RFC 6665 §4.2.1): who asks, whether he may, and what is stored of it before the 200.

use std::sync::Arc;

use bytes::Bytes;
use cpi::Cpi;
use presence::document::watcherinfo::WatcherEvent;
use presence::ending::{Ending, Reason};
use presence::event::Package;
use presence::notifier::{self, Asked, Format, New};
use presence::refusal::Refusal;
use presence::rules::{Decision, Watcher};
use presence::subscription::{Id, Kind, Resource, Subscription};
use presence::table::{Entry, Found};
use presence::time::Moment;
use presence::watchers::Seen;
use registrar::Lookup;
use sip::Uri;
use store::SwapError;

use super::identity::{self, Identity};
use super::lists::{self, List};
use super::send::Origin;
use super::{Presence, Settings, reply, unstored};
use crate::journey::Journey;
use crate::refuse::Reply;
use crate::route::Way;
use crate::target;

/// What is to be done once the 200 has left.
pub(super) struct Follow {
    id: Id,
    entry: Entry,
    ended: Option<(Ending, Box<Subscription>)>,
    is_new: bool,
    members: Vec<Bytes>,
}

/// Why there is no 200.
enum Failed {
    Refused(Refusal),
    Answered(Reply),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Follow {
    /// Its NOTIFY is due from now on.
    pub(super) async fn up(self, journey: &Journey, presence: &Presence) {
        if self.is_new && self.entry.kind == Kind::One {
            presence.came_again(&self.entry.resource, &self.entry.watcher).await;
        }
        let share = presence.share(&self.entry.resource);
        let seen = Seen {
            id: self.id,
            watcher: &self.entry.watcher,
            decision: self.entry.decision,
            since: self.entry.created_at,
            expires_at: Some(self.entry.expires_at),
        };
        let change = seen.watcher(WatcherEvent::Subscribe, Moment::from(transport::now()));
        let is_one = self.entry.kind == Kind::One;
        let is_followed = self.is_new && is_one && self.entry.resource.package == Package::Presence;
        let resource = Arc::new(self.entry.resource.clone());
        if self.is_new && !is_one {
            presence.join(self.id, &resource, &self.members);
        }
        // Who only fetches is not waited for by other servers.
        let goes_on = self.ended.is_none();
        let looks_elsewhere = !is_one && self.entry.proven && goes_on;
        let watcher = Arc::clone(&self.entry.watcher);
        {
            let mut table = share.lock();
            match self.is_new {
                true => table.insert(self.id, Entry { ended: self.ended, ..self.entry }, false),
                false => table.refresh(self.id, self.entry, self.ended),
            }
        }
        share.wake.notify_one();
        if looks_elsewhere {
            presence.join_elsewhere(&journey.rooms, &watcher, (self.id, &resource), &self.members);
        }
        if is_followed {
            presence.watched(&resource.aor, change);
        }
        if goes_on {
            let settings = &journey.rooms.policy.load_full().settings.presence;
            presence.keep_current(settings, &resource, self.id, &self.members).await;
        }
    }
}

impl Presence {
    /// Rules, and the list, may have become others while the SUBSCRIBE was on its way into the table, where they are not
    /// held against it; before a crash; or by the operator's default. What they say now holds.
    pub(super) async fn keep_current(
        &self,
        settings: &Settings,
        resource: &Arc<Resource>,
        id: Id,
        members: &[Bytes],
    ) {
        let look = |found: Found<'_>| (found.kind, Arc::clone(found.watcher), found.proven, found.decision);
        let Some((kind, aor, proven, decision)) = self.find(resource, id, look) else { return };
        match kind {
            Kind::Carried => {}
            Kind::List => {
                if !self.is_still(settings, &resource.aor, &aor, members) {
                    let share = self.share(resource);
                    share.lock().end(id, Ending::of(Reason::Deactivated));
                    share.wake.notify_one();
                }
            }
            Kind::One => {
                let is_himself = proven && aor == resource.aor;
                if resource.package != Package::Presence || is_himself {
                    return;
                }
                let watcher = Watcher { aor: &aor, proven };
                let now = Moment::from(transport::now());
                let rules = self.shelf.policy(&resource.aor);
                if rules.decide(&watcher, settings.default, now) != decision
                    && let Err(error) = self.hold_again(&resource.aor, settings.default).await
                {
                    tracing::warn!(%error, "a watcher is not held yet to rules that have just changed");
                }
            }
        }
    }
}

/// The answer, and what follows it.
pub(super) async fn answer(
    journey: &Arc<Journey>,
    way: &Way,
    presence: &Presence,
) -> (Reply, Option<Follow>) {
    let settings = &journey.policy.settings;
    let identity = match identity::of(journey, way) {
        Ok(identity) => identity,
        Err(refused) => {
            journey.note(|| refused.to_string());
            return (refused.reply(settings), None);
        }
    };
    let limits = &settings.presence.subscriptions;
    let result = match Asked::read(&journey.request, limits, &presence.extensions) {
        Ok(asked) if journey.uri.is_sips() && !is_sips(&asked.target) => {
            Err(Refusal::Malformed("SIPS Request-URI Needs A SIPS Contact").into())
        }
        Ok(asked) if journey.request.to_tag().is_some() => go_on(journey, presence, &identity, asked).await,
        Ok(asked) => begin(journey, way, presence, identity, asked).await,
        Err(refusal) => Err(refusal.into()),
    };
    match result {
        Ok((reply, follow)) => (reply, Some(follow)),
        Err(Failed::Answered(reply)) => (reply, None),
        Err(Failed::Refused(refusal)) => {
            journey.note(|| refusal.to_string());
            (reply(refusal.answer()), None)
        }
    }
}

/// Whether NOTIFYs to that Contact go over TLS all the way, as who asks by a SIPS URI has to want
/// (RFC 3261 §8.1.1.8, RFC 5630 §5.1.2).
fn is_sips(target: &[u8]) -> bool {
    Uri::parse(target).is_ok_and(|uri| uri.is_sips())
}

/// A SUBSCRIBE that makes a dialog.
async fn begin(
    journey: &Journey,
    way: &Way,
    presence: &Presence,
    identity: Identity,
    asked: Asked,
) -> Result<(Reply, Follow), Failed> {
    let now = Moment::from(journey.arrived);
    let Watched { resource, kind, members } = watched(journey, way, presence, &identity, &asked)?;
    let decision = match kind {
        Kind::One => decide(journey, presence, &resource, &identity),
        // Each member decides for himself.
        Kind::List | Kind::Carried => Decision::Allow,
    };
    if decision == Decision::Block {
        return Err(Refusal::Blocked.into());
    }
    Format::choose(&asked.cpi, asked.package)?;
    has_room(journey, presence, &resource, &identity)?;
    let (expires, bound) = (asked.expires, bound(journey, &identity, &asked));
    let new = New {
        resource,
        kind,
        members,
        watcher: Arc::clone(&identity.aor),
        proven: identity.proven,
        decision,
        origin: Origin::of(journey).encode(),
    };
    let subscription = asked.subscribe(&journey.request, new, now);
    let id = fresh()?;
    let stored = match expires {
        0 => 0,
        _ => presence.shelf.subscribe(id, None, Some(&subscription)).await.map_err(not_stored)?,
    };
    let entry = presence.entry(&subscription, stored, bound).ok_or(Refusal::NotAcceptable)?;
    presence.begins(&identity.aor, entry.resource.package);
    let reply = accepted(journey, id, expires, subscription.kind);
    let members = subscription.members.clone();
    let ended = (expires == 0).then(|| (Ending::of(Reason::Timeout), Box::new(subscription)));
    Ok((reply, Follow { id, entry, ended, is_new: true, members }))
}

/// What a SUBSCRIBE is to.
struct Watched {
    resource: Resource,
    kind: Kind,
    members: Vec<Bytes>,
}

/// Finds out what a SUBSCRIBE is to: a list that it carries, one that is kept, or one user.
fn watched(
    journey: &Journey,
    way: &Way,
    presence: &Presence,
    identity: &Identity,
    asked: &Asked,
) -> Result<Watched, Failed> {
    let settings = &journey.policy.settings.presence;
    let named = target::aor(journey, &way.uri).map(|uri| uri.aor());
    let list = if asked.carries_list {
        let members = lists::carried(&journey.request, &settings.document)?;
        Some((Kind::Carried, List { owner: None, members }))
    } else {
        named.as_deref().and_then(|aor| presence.list(settings, aor)).map(|list| (Kind::List, list))
    };
    let Some((kind, list)) = list else {
        let aor = identity::presentity(journey, presence, &way.uri).ok_or(Refusal::UnknownUser)?;
        let resource = Resource { package: asked.package, aor };
        return Ok(Watched { resource, kind: Kind::One, members: Vec::new() });
    };
    if asked.package != Package::Presence {
        return Err(Refusal::BadEvent.into());
    }
    if !asked.takes_lists {
        return Err(Refusal::NeedsEventList.into());
    }
    if list.owner.is_some_and(|owner| *owner != *identity.aor) {
        return Err(Refusal::Forbidden("The List Is Another User's").into());
    }
    let aor = named.unwrap_or_else(|| way.uri.aor());
    let resource = Resource { package: asked.package, aor: aor.into() };
    let members = list.members.into_iter().map(Bytes::from).collect();
    Ok(Watched { resource, kind, members })
}

/// A SUBSCRIBE in a dialog of ours: a refresh, or an end.
async fn go_on(
    journey: &Journey,
    presence: &Presence,
    identity: &Identity,
    asked: Asked,
) -> Result<(Reply, Follow), Failed> {
    let now = Moment::from(journey.arrived);
    let id = notifier::goes_on_with(&journey.request).ok_or(Refusal::NoSubscription)?;
    let (version, before) = presence.shelf.subscription(id).ok_or(Refusal::NoSubscription)?;
    let is_over = presence.find(&before.resource, id, |found| found.is_ending || found.expires_at <= now);
    if is_over != Some(false) {
        return Err(Refusal::NoSubscription.into());
    }
    let (expires, bound) = (asked.expires, bound(journey, identity, &asked));
    let next = asked.refresh(&before, &journey.request, Origin::of(journey).encode(), now)?;
    if before.proven && (!identity.proven || identity.aor != before.watcher) {
        return Err(Refusal::Forbidden("The Subscription Is Another User's").into());
    }
    let entry = presence.entry(&next, version, bound).ok_or(Refusal::NotAcceptable)?;
    let record = (expires > 0).then_some(&next);
    let stored = presence.shelf.subscribe(id, Some(version), record).await.map_err(not_stored)?;
    let (reply, members) = (accepted(journey, id, expires, next.kind), next.members.clone());
    let ended = (expires == 0).then(|| (Ending::of(Reason::Timeout), Box::new(next)));
    Ok((reply, Follow { id, entry: Entry { stored, ..entry }, ended, is_new: false, members }))
}

/// What the presentity says of a watcher. Of who watches and of what is registered nobody hears but the user
/// (RFC 3857 §4.6, RFC 3680 §5), and he may always watch himself.
pub(super) fn decide(
    journey: &Journey,
    presence: &Presence,
    resource: &Resource,
    identity: &Identity,
) -> Decision {
    if identity.proven && identity.aor == resource.aor {
        return Decision::Allow;
    }
    match resource.package {
        Package::Winfo | Package::Reg => Decision::Block,
        Package::Presence => {
            let watcher = Watcher { aor: &identity.aor, proven: identity.proven };
            let default = journey.policy.settings.presence.default;
            presence.shelf.policy(&resource.aor).decide(&watcher, default, Moment::from(journey.arrived))
        }
    }
}

fn has_room(
    journey: &Journey,
    presence: &Presence,
    resource: &Resource,
    identity: &Identity,
) -> Result<(), Refusal> {
    let settings = &journey.policy.settings.presence;
    let of_watcher = presence.count(&identity.aor, 0);
    if usize::try_from(of_watcher).unwrap_or(usize::MAX) >= settings.of_watcher {
        return Err(Refusal::Full("Too Many Subscriptions Of This Watcher"));
    }
    if presence.share(resource).lock().count(resource) >= settings.of_presentity {
        return Err(Refusal::Full("Too Many Watchers"));
    }
    if presence.subscriptions() >= settings.most {
        return Err(Refusal::Full("Too Many Subscriptions"));
    }
    Ok(())
}

/// What is known of the terminal otherwise (CPI.md L4): the binding of the same contact, if the watcher is a user of
/// ours and says nothing himself.
fn bound(journey: &Journey, identity: &Identity, asked: &Asked) -> Option<Cpi> {
    if !asked.cpi.is_unknown() {
        return None;
    }
    let uri: Uri = identity.aor.parse().ok()?;
    let registrar = &journey.rooms.registrar;
    let Lookup::Bindings(bindings) = registrar.lookup(&uri, journey.arrived) else { return None };
    let binding = bindings.iter().find(|binding| binding.uri.as_bytes() == &asked.target[..])?;
    let known = registrar.cpi_for(binding, &journey.policy.profiles, journey.arrived)?;
    Some(Cpi::clone(&known))
}

/// The 200, which names where we take requests of the dialog.
fn accepted(journey: &Journey, id: Id, expires: u32, kind: Kind) -> Reply {
    let is_sips = journey.uri.is_sips();
    let contact = super::send::contact(&journey.rooms.endpoint, journey.flow.protocol, is_sips);
    let mut reply = reply(notifier::accepted(&journey.request, expires, kind, &contact));
    reply.tag = Some(id.tag());
    reply
}

fn fresh() -> Result<Id, Failed> {
    let mut number = [0; 8];
    let failed = |_| Failed::Answered(Reply::new(500, "Server Internal Error"));
    getrandom::fill(&mut number).map_err(failed)?;
    Ok(Id(u64::from_be_bytes(number)))
}

fn not_stored(error: SwapError) -> Failed {
    match error {
        // Two at once in one dialog: the other one came first.
        SwapError::Conflict { .. } => Failed::Refused(Refusal::OutOfOrder),
        error => Failed::Answered(unstored(&error)),
    }
}
