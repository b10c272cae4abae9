//! A body that this server makes is planned like one that passes (CPI.md §3, [C 3.1.2]).

use std::sync::Arc;

use adapter::{Budget, Built, Entity, JobError, Linking, Method, Plan, Verdict};
use cpi::{Cpi, matching};
use tokio::time::{Instant, timeout_at};

use crate::links::Deposit;
use crate::metrics;
use crate::rooms::Rooms;
use crate::tailor;

/// Octets that the head of a NOTIFY is reckoned to have: one body is for many heads.
pub(super) const HEAD: u64 = 1024;

/// How often a plan may be made anew.
const ROUNDS: usize = 8;

/// What the planner is told.
pub(super) fn settings(rooms: &Rooms) -> adapter::Settings {
    adapter::Settings {
        method: Method::Notify,
        implied: matching::implied("NOTIFY", Some("presence")),
        links: rooms.links.as_ref().map(|links| links.shape()),
        linking: Linking::AsNeeded,
        ..rooms.policy.load().settings.adapter.clone()
    }
}

/// What is made of a body for a terminal; `None`: it stays, or nothing better can be made of it. `owner` is whose
/// content it is.
pub(super) async fn fit(
    rooms: &Rooms,
    settings: &adapter::Settings,
    entity: &Arc<Entity>,
    cpi: &Arc<Cpi>,
    message: Option<u64>,
    owner: &str,
) -> Option<Entity> {
    let deadline = Instant::now() + rooms.policy.load().settings.adapt_deadline;
    let mut settings = settings.clone();
    let mut plan = plan(&settings, entity, cpi, message).await?;
    for _ in 0..ROUNDS {
        if !matches!(plan.verdict(), Verdict::Adapt) {
            metrics::plan("unchanged");
            return None;
        }
        let outcomes = tailor::run(&rooms.pool, plan.jobs(), deadline).await;
        if outcomes.iter().any(|outcome| matches!(outcome.result, Err(JobError::Stopped))) {
            plan = plan.fallback(outcomes);
            continue;
        }
        let storing = timeout_at(deadline, store(rooms, &plan, owner)).await;
        let Some(links) = storing.ok().flatten() else {
            settings = adapter::Settings { links: None, ..settings };
            plan = self::plan(&settings, entity, cpi, message).await?;
            continue;
        };
        match tailor::aside(entity.body.len(), move || plan.build(outcomes, links)).await? {
            Ok(Built::Done(adapted)) => {
                metrics::plan("adapted");
                return Some(adapted.apply(entity));
            }
            Ok(Built::Again(next)) => plan = *next,
            Err(_) => return None,
        }
    }
    None
}

async fn plan(
    settings: &adapter::Settings,
    entity: &Arc<Entity>,
    cpi: &Arc<Cpi>,
    message: Option<u64>,
) -> Option<Plan> {
    let (settings, entity, cpi) = (settings.clone(), Arc::clone(entity), Arc::clone(cpi));
    let budget = Budget { message, head: HEAD };
    let octets = entity.body.len();
    tailor::aside(octets, move || adapter::plan(&entity, Some(&cpi), &settings, budget)).await
}

/// Stores what the plan links. A link is one for all who get the body.
async fn store(rooms: &Rooms, plan: &Plan, owner: &str) -> Option<Vec<adapter::Link>> {
    let mut links = Vec::new();
    for request in plan.links() {
        let deposit = Deposit { request, recipient: owner.to_owned(), sender: owner.to_owned(), until: None };
        match rooms.links.as_ref()?.store(deposit).await {
            Ok(link) => links.push(link),
            Err(error) => {
                tracing::warn!(%error, "a published object is not linked");
                return None;
            }
        }
        metrics::link();
    }
    Some(links)
}

/// Whether all that is left of a body is a link to it.
pub(super) fn is_link(entity: &Entity) -> bool {
    let content_type = entity.field("Content-Type").unwrap_or_default();
    adapter::mime::ContentType::read(content_type).is("message/external-body")
}

/// Octets of body that a terminal takes, and the way to it, where its fields have so many; `None`: any number.
pub(super) fn room(cpi: &Cpi, message: Option<u64>, fields: u64) -> Option<u64> {
    let head = HEAD.saturating_add(fields);
    let of_message = cpi.max_size.into_iter().chain(message).map(|message| message.saturating_sub(head));
    of_message.chain(matching::whole_limit(cpi, "identity").hi).min()
}

/// Whether a body is within that.
pub(super) fn holds(entity: &Entity, cpi: &Cpi, message: Option<u64>) -> bool {
    let octets = u64::try_from(entity.body.len()).unwrap_or(u64::MAX);
    let fields = entity.fields.iter().map(adapter::Field::octets).sum();
    room(cpi, message, fields).is_none_or(|room| octets <= room)
}

/// Whether a terminal takes a body as a whole: its outer type, within its limit.
pub(super) fn is_taken(
    entity: &Entity,
    cpi: &Cpi,
    message: Option<u64>,
    settings: &adapter::Settings,
) -> bool {
    let content_type = entity.field("Content-Type").unwrap_or_default();
    let kind = adapter::mime::ContentType::read(content_type);
    let options =
        matching::Options { strict_specificity: settings.strict_specificity, implied: settings.implied };
    matching::type_quality(cpi, &kind.essence, &[], options) > 0 && holds(entity, cpi, message)
}
