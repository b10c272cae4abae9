//! One branch's body: planned, its links stored, its pictures transformed in the pool, put together
//! (CPI.md 3). Never on a thread that signalling runs on, and never longer than the deadline.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use adapter::{
    Adapted, Budget, Built, Entity, Job, JobError, JobOutcome, Link, LinkRequest, Linking, Plan, Refusal,
    Report, Verdict,
};
use cpi::Cpi;
use sip::{HeaderId, Outgoing};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::gate;
use crate::journey::Journey;
use crate::links::{Deposit, Links};
use crate::metrics;
use crate::offload;
use crate::pool::Pool;
use crate::refuse::Refused;
use crate::route::Way;
use crate::settings::Unknown;
use crate::target::Target;

/// Bodies up to this many octets are planned and put together where they are: that reads heads and copies
/// octets, and moving it to another thread would cost more.
const PLANNED_HERE: usize = 16 * 1024;

/// Large bodies that are planned or put together at the same time; others wait for their turn.
static ASIDE: Semaphore = Semaphore::const_new(32);

/// How often a plan may be made anew because something did not come out as predicted or stored.
const ROUNDS: usize = 8;

/// How much of the time there is other servers may have.
const OFFLOAD_SHARE: f32 = 0.6;

/// How much of the time there is may pass with fetching what the sender only named.
const FETCH_SHARE: f32 = 0.5;

/// Octets that adapting adds to a head: Content-Adapted and a note in Content-Description.
const ADDED_HEAD: u64 = 512;

/// What is to be made of a body for one target.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) entity: Arc<Entity>,
    /// As it was received, if contents that it only named were put into it.
    named: Option<Arc<Entity>>,
    pub(crate) cpi: Option<Arc<Cpi>>,
    pub(crate) settings: adapter::Settings,
    /// Octets of the branch's head without the fields of the entity.
    pub(crate) head: u64,
    recipient: String,
    /// What all the work on the body may take, and when that is over.
    patience: Duration,
    deadline: Instant,
}

/// A body that stays as it is, for a terminal of these capabilities.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) cpi: Option<Arc<Cpi>>,
}

/// What was stored for a branch: no content is stored again because a plan is made anew.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    links: Vec<(LinkRequest, Link)>,
    /// How many of the first are in a message that a terminal may have taken.
    sent: usize,
}

impl Stored {
    fn find(&self, wanted: &LinkRequest) -> Option<Link> {
        let same = |known: &LinkRequest| LinkRequest { id: wanted.id, ..known.clone() } == *wanted;
        let (_, link) = self.links.iter().find(|(known, _)| same(known))?;
        Some(Link { id: wanted.id, ..link.clone() })
    }

    /// The terminal refused what it was sent: what led to it is of use only if the next message has it too.
    pub(crate) fn refused(&mut self) {
        self.sent = 0;
    }

    /// A message with the links `used` goes out. Takes out those that are in none.
    fn take_unused(&mut self, used: &[String]) -> Vec<Link> {
        let (sent, rest) = self.links.split_at_checked(self.sent).unwrap_or((&self.links, &[]));
        let is_used = |link: &Link| used.contains(&link.url);
        let unused = rest.iter().filter(|(_, link)| !is_used(link)).map(|(_, link)| link.clone()).collect();
        let still = rest.iter().filter(|(_, link)| is_used(link));
        self.links = sent.iter().chain(still).cloned().collect();
        self.sent = self.links.len();
        unused
    }
}

impl Order {
    /// The order for a target, if its body may be adapted, in a message with a head of `head` octets.
    pub(crate) fn new(
        journey: &Journey,
        way: &Way,
        target: &Target,
        cpi: Option<Arc<Cpi>>,
        head: usize,
    ) -> Option<Order> {
        let method = gate::carrier(journey, way, target)?;
        let settings = settings(journey, method, cpi.as_deref());
        let entity = Arc::new(gate::entity(&journey.request));
        let head = without_fields(head, &entity);
        let recipient = target.binding.as_ref().map(|binding| binding.aor.to_string()).unwrap_or_default();
        let patience = journey.policy.settings.adapt_deadline;
        let deadline = Instant::now() + patience;
        Some(Order { entity, named: None, cpi, settings, head, recipient, patience, deadline })
    }

    /// The same with the contents in it that the sender only named, for a terminal that does not know such parts, as far
    /// as they lie on hosts that are listed.
    pub(crate) async fn with_fetched(self, journey: &Journey) -> Order {
        let Some(fetch) = &journey.policy.settings.fetch else { return self };
        let patience = self.deadline.saturating_duration_since(Instant::now()).mul_f32(FETCH_SHARE);
        let filling =
            journey.fetched.fill(&**fetch, &self.entity, self.cpi.as_deref(), &self.settings, patience);
        match filling.await {
            Some(filled) => {
                let named = self.named.clone().unwrap_or_else(|| Arc::clone(&self.entity));
                Order { entity: Arc::new(filled), named: Some(named), ..self }
            }
            None => self,
        }
    }

    /// Whether the body may be adapted, and would stay as it is: told without a plan. The arguments as those of
    /// [`Order::new`].
    pub(crate) fn is_needless(
        journey: &Journey,
        way: &Way,
        target: &Target,
        cpi: Option<&Cpi>,
        head: usize,
    ) -> bool {
        let Some(method) = gate::carrier(journey, way, target) else { return false };
        let entity = gate::entity(&journey.request);
        let budget = Budget { message: None, head: without_fields(head, &entity) };
        let settings = settings(journey, method, cpi);
        let kept = adapter::is_kept(&entity.fields, &entity.body, cpi, &settings, budget);
        if kept {
            metrics::plan("unchanged");
        }
        kept
    }

    /// The same for a terminal of which more is known now.
    pub(crate) fn relearned(&self, cpi: Arc<Cpi>) -> Order {
        let linking = match self.settings.linking {
            Linking::UnknownTerminal => Linking::AsNeeded,
            other => other,
        };
        Order {
            cpi: Some(cpi),
            settings: adapter::Settings { linking, ..self.settings.clone() },
            ..self.renewed()
        }
    }

    /// The same with all the time there is: for another attempt.
    pub(crate) fn renewed(&self) -> Order {
        Order { deadline: Instant::now() + self.patience, ..self.clone() }
    }

    /// The same with links for all that can be linked (CPI.md I2).
    pub(crate) fn linked(&self) -> Order {
        let settings = adapter::Settings { linking: Linking::Always, ..self.settings.clone() };
        Order { settings, ..self.clone() }
    }

    /// Whether the terminal takes links in place of this body.
    pub(crate) fn accepts_links(&self) -> bool {
        let options =
            cpi::matching::Options { strict_specificity: self.settings.strict_specificity, implied: &[] };
        let stored = self.settings.links.is_some();
        let listed = |cpi: &Cpi| {
            cpi::matching::type_quality(cpi, cpi::matching::EXTERNAL_BODY, &[], options) > 0
                && cpi.media.is_some()
        };
        stored && self.cpi.as_deref().is_some_and(listed)
    }

    /// The plan, within `message` octets for the whole message if the transport says so.
    pub(crate) async fn plan(&self, message: Option<u64>) -> Plan {
        let budget = Budget { message, head: self.head };
        let order = self.clone();
        let plan = move || adapter::plan(&order.entity, order.cpi.as_deref(), &order.settings, budget);
        // Planning that broke would break again, and so would what took all the time: an empty entity's plan
        // lets the body pass as it is.
        let planned = timeout_at(self.deadline, aside(self.entity.body.len(), plan)).await;
        planned
            .ok()
            .flatten()
            .unwrap_or_else(|| adapter::plan(&Entity::default(), None, &self.settings, budget))
    }

    /// Carries a plan out. `None`: the identical body.
    ///
    /// # Errors
    /// [`Refused::Unacceptable`] when nothing that the terminal could take can be made.
    pub(crate) async fn carry_out(
        &self,
        journey: &Journey,
        plan: Plan,
        message: Option<u64>,
        stored: &mut Stored,
    ) -> Result<Option<Box<Adapted>>, Refused> {
        let started = Instant::now();
        let mut used = Vec::new();
        let report = plan.report().clone();
        let result = self.rounds(journey, plan, message, stored, &mut used).await;
        let result = result.map(|adapted| self.since_received(adapted, report));
        if let Some(links) = &journey.rooms.links {
            stored.take_unused(&used).iter().for_each(|link| links.discard(&link.url));
        }
        match &result {
            Ok(None) => metrics::plan("unchanged"),
            Ok(Some(adapted)) => {
                metrics::plan("adapted");
                metrics::adapted(started.elapsed());
                journey.note(|| describe(&adapted.report));
            }
            Err(refused) => {
                metrics::plan("refused");
                journey.note(|| refused.to_string());
            }
        }
        result
    }

    /// The changes to what was received rather than to that with contents put into it.
    fn since_received(&self, adapted: Option<Box<Adapted>>, report: Report) -> Option<Box<Adapted>> {
        let Some(named) = &self.named else { return adapted };
        let (new, report) = match adapted {
            Some(adapted) => (adapted.apply(&self.entity), adapted.report),
            None => (Entity::clone(&self.entity), report),
        };
        Some(Box::new(offload::changes(named, &new, report)))
    }

    async fn rounds(
        &self,
        journey: &Journey,
        mut plan: Plan,
        message: Option<u64>,
        stored: &mut Stored,
        used: &mut Vec<String>,
    ) -> Result<Option<Box<Adapted>>, Refused> {
        if let Some(adapted) = self.offload(journey, &plan, message).await {
            return Ok(Some(adapted));
        }
        for _ in 0..ROUNDS {
            match plan.verdict() {
                Verdict::Unchanged => return Ok(None),
                Verdict::Refuse(refusal) => return Err(unacceptable(refusal)),
                Verdict::Adapt => {}
            }
            let outcomes = run(&journey.rooms.pool, plan.jobs(), self.deadline).await;
            if outcomes.iter().any(|outcome| matches!(outcome.result, Err(JobError::Stopped))) {
                plan = plan.fallback(outcomes);
                continue;
            }
            let storing = timeout_at(self.deadline, self.store(journey, &plan, stored)).await;
            let Some(links) = storing.ok().flatten() else {
                // Nothing can be stored now: what would have been linked must fit or be refused.
                let settings =
                    adapter::Settings { links: None, linking: Linking::AsNeeded, ..self.settings.clone() };
                plan = Order { settings, ..self.clone() }.plan(message).await;
                continue;
            };
            let linked = links.iter().map(|link| link.url.clone()).collect();
            match aside(self.entity.body.len(), move || plan.build(outcomes, links)).await {
                Some(Ok(Built::Done(adapted))) => {
                    *used = linked;
                    return Ok(Some(adapted));
                }
                Some(Ok(Built::Again(next))) => plan = *next,
                Some(Err(refusal)) => return Err(unacceptable(*refusal)),
                None => return Err(Refused::Broken),
            }
        }
        tracing::error!("a plan came to no end and its message is refused");
        Err(Refused::Unacceptable {
            status: 415,
            reason: "the body can't be adapted".into(),
            headers: Vec::new(),
        })
    }

    /// What another server made of the body, if there are such servers, the plan has work for one, and what came
    /// back needs nothing more. Else the plan is carried out here.
    async fn offload(&self, journey: &Journey, plan: &Plan, message: Option<u64>) -> Option<Box<Adapted>> {
        let offload = journey.policy.settings.offload.clone()?;
        let cpi = self.cpi.as_deref()?;
        let is_for_them = matches!(plan.verdict(), Verdict::Adapt) && plan.links().is_empty();
        if !is_for_them || plan.jobs().is_empty() {
            return None;
        }
        let budget = Budget { message, head: self.head };
        let most = [message, cpi.max_size].into_iter().flatten().min();
        let room = most.map(|most| most.saturating_sub(self.head.saturating_add(ADDED_HEAD)));
        // What is left of the time is for doing it here when they can't.
        let patience = self.deadline.saturating_duration_since(Instant::now()).mul_f32(OFFLOAD_SHARE);
        let task = offload::task(&self.entity, cpi, self.settings.implied, room, patience)?;
        let Ok(answer) = offload.adapt(task).await else {
            metrics::fallback("offload");
            return None;
        };
        let offload::Answer::Adapted(new) = answer else { return None };
        let (new, order) = (Arc::new(new), self.clone());
        let checked = Arc::clone(&new);
        let check = move || adapter::plan(&checked, order.cpi.as_deref(), &order.settings, budget);
        let second = timeout_at(self.deadline, aside(new.body.len(), check)).await.ok().flatten()?;
        if !matches!(second.verdict(), Verdict::Unchanged) {
            tracing::warn!("what an adaptation server made does not fit, and is made here");
            metrics::fallback("offload");
            return None;
        }
        Some(Box::new(offload::changes(&self.entity, &new, plan.report().clone())))
    }

    /// Stores what the plan links; `None` if the store did not take all of it.
    async fn store(&self, journey: &Journey, plan: &Plan, stored: &mut Stored) -> Option<Vec<Link>> {
        let requests = plan.links();
        if requests.is_empty() {
            return Some(Vec::new());
        }
        let store: &dyn Links = &**journey.rooms.links.as_ref()?;
        let sender = journey.request.from().uri().map(|uri| uri.aor()).unwrap_or_default();
        let mut links = Vec::with_capacity(requests.len());
        for request in requests {
            if let Some(link) = stored.find(&request) {
                links.push(link);
                continue;
            }
            let deposit = Deposit {
                request: request.clone(),
                recipient: self.recipient.clone(),
                sender: sender.clone(),
                until: expiry(journey),
            };
            match store.store(deposit).await {
                Ok(link) => {
                    stored.links.push((request, link.clone()));
                    links.push(link);
                }
                Err(error) => {
                    tracing::warn!(%error, "content is not stored");
                    return None;
                }
            }
            metrics::link();
        }
        Some(links)
    }
}

/// Octets of a branch's head without the fields of the entity.
fn without_fields(head: usize, entity: &Entity) -> u64 {
    let fields: u64 = entity.fields.iter().map(adapter::Field::octets).sum();
    u64::try_from(head).unwrap_or(u64::MAX).saturating_sub(fields)
}

fn settings(journey: &Journey, method: adapter::Method, cpi: Option<&Cpi>) -> adapter::Settings {
    let policy = &journey.policy.settings;
    let realms: Vec<&str> = policy.domains.iter().map(String::as_str).collect();
    let unknown = cpi.is_none_or(Cpi::is_unknown);
    adapter::Settings {
        method,
        implied: match method {
            adapter::Method::Notify => cpi::matching::implied("NOTIFY", Some("presence")),
            adapter::Method::Message | adapter::Method::Http => policy.adapter.implied,
        },
        links: journey.rooms.links.as_ref().map(|links| links.shape()),
        linking: match policy.unknown {
            Unknown::Indirect if unknown => Linking::UnknownTerminal,
            _ => Linking::AsNeeded,
        },
        sealed: adapter::seals_body(journey.request.headers().map(|h| (h.name, h.value)), &realms),
        ..policy.adapter.clone()
    }
}

/// Runs what reads a body of so many octets where it disturbs nobody; `None` if it panicked.
pub(crate) async fn aside<T: Send + 'static>(
    octets: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if octets <= PLANNED_HERE {
        return Some(work());
    }
    let _turn = ASIDE.acquire().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}

/// Runs jobs in the pool, each until the deadline at most.
pub(crate) async fn run(pool: &Pool, jobs: Vec<Job>, deadline: Instant) -> Vec<JobOutcome> {
    let until = deadline.into_std();
    let mut running = Vec::with_capacity(jobs.len());
    for job in jobs {
        let id = job.id;
        let work = move || job.run(&|| std::time::Instant::now() >= until);
        running.push((id, pool.submit(work)));
    }
    let mut outcomes = Vec::with_capacity(running.len());
    for (id, submitted) in running {
        let stopped = JobOutcome { id, result: Err(JobError::Stopped) };
        let outcome = match submitted {
            Err(full) => {
                tracing::debug!(%full);
                metrics::fallback("busy");
                stopped
            }
            Ok(receiver) => match timeout_at(deadline, receiver).await {
                Ok(Ok(outcome)) => outcome,
                // The work panicked: as if its content could not be read.
                Ok(Err(_)) => JobOutcome { id, result: Err(JobError::Converter("it failed".to_owned())) },
                Err(_) => {
                    metrics::fallback("deadline");
                    stopped
                }
            },
        };
        outcomes.push(outcome);
    }
    outcomes
}

/// Puts an adapted body and its fields into a request.
pub(crate) fn apply(outgoing: &mut Outgoing, adapted: &Adapted) {
    for name in &adapted.remove {
        outgoing.remove(&**name);
    }
    for field in &adapted.set {
        outgoing.set(&field.name[..], &field.value);
    }
    for field in &adapted.append {
        outgoing.append(&field.name[..], &field.value);
    }
    outgoing.set_body(adapted.body.clone());
}

fn unacceptable(refusal: Refusal) -> Refused {
    let accept = refusal.accept.map(|value| ("Accept".into(), value));
    let coding = refusal.accept_encoding.map(|value| ("Accept-Encoding".into(), value));
    Refused::Unacceptable {
        status: refusal.status,
        reason: refusal.warning.into(),
        headers: accept.into_iter().chain(coding).collect(),
    }
}

/// Until when the message itself is good (CPI.md C4: a link lives at least as long).
fn expiry(journey: &Journey) -> Option<SystemTime> {
    let seconds = journey.request.header(HeaderId::Expires).and_then(grammar::decimal)?;
    journey.arrived.checked_add(Duration::from_secs(seconds))
}

/// What was done, for the log: types, octets and operations, nothing a person wrote.
fn describe(report: &adapter::Report) -> String {
    let changed = report.parts.iter().filter(|part| !part.ops.is_empty()).map(|part| {
        let pixels = |size: Option<[u32; 2]>| size.map(|[w, h]| format!(" {w}x{h}")).unwrap_or_default();
        format!(
            "{} {}{} -> {}{} {}",
            part.ops.join("+"),
            part.type_before,
            pixels(part.pixels_before),
            part.octets_after,
            pixels(part.pixels_after),
            part.type_after,
        )
    });
    changed.collect::<Vec<_>>().join(", ")
}
