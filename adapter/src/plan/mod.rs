//! From an entity and a terminal to a plan (CPI.md §3.1), and from its results to a body.
//!
//! | question | module |
//! |---|---|
//! | what is there, and what limits hold | `context`, `limits` |
//! | what must not be touched (§3.2, §3.3) | `protect` |
//! | what can be done with each part (§3.5) | `collect`, `leaf`, `picture`, `clip`, `card`, `cpim`, `link`, `related` |
//! | what it costs and what it is worth (§3.6) | `price`, `utility` |
//! | what is done | `alternative`, `choose`, `decide`; `kept` where nothing is |
//! | what came of it | `finish` |
//! | what is said about it (§3.8) | `refuse`, `explain` |

mod alternative;
mod card;
mod choose;
mod clip;
mod collect;
pub(crate) mod context;
mod cpim;
mod decide;
mod explain;
mod finish;
mod kept;
mod leaf;
pub(crate) mod limits;
pub(crate) mod link;
mod picture;
mod price;
pub(crate) mod protect;
mod refuse;
pub(crate) mod related;
pub(crate) mod unit;
mod utility;

use std::time::SystemTime;

use bytes::Bytes;
use cpi::Cpi;

pub(crate) use collect::received as received_nodes;
pub use cpim::Wrapped;
pub use kept::is_kept;
pub use protect::seals_body;

use crate::entity::{Adapted, Entity, Refusal};
use crate::job::{Job, JobId, JobOutcome, Work};
use crate::rebuild::{Links, external};
use crate::report::Report;
use crate::settings::{Budget, Method, Settings};
use context::Context;
use decide::Ending;
use limits::least;
use unit::{Make, Unit, Variant};

/// What becomes of a body, and why. Made by [`plan()`], finished by [`Plan::build`].
#[derive(Clone, Debug)]
pub struct Plan {
    ctx: Context,
    units: Vec<Unit>,
    /// The body as one unit, for the last resort; at most one.
    whole: Vec<Unit>,
    /// The variant of each unit, or of `whole`; `None` for one that another alternative stands for.
    picks: Vec<Option<usize>>,
    ending: Ending,
    /// Whether octets are so few that what stands round the parts of a container goes.
    tight: bool,
    /// By unit; [`Plan::whole_id`] for the whole.
    links: Links,
    round: u32,
    deadline: bool,
    /// Octets by which a built body was larger than reckoned.
    margin: u64,
    report: Report,
}

/// Makes the plan. Looks at heads of parts only, decodes no pixel.
///
/// `cpi` is what is known of the terminal, `budget` what the way to it allows (CPI.md §3.4).
pub fn plan(entity: &Entity, cpi: Option<&Cpi>, settings: &Settings, budget: Budget) -> Plan {
    let mut ctx = Context::new(entity, cpi, settings, budget);
    let units = collect::units(&mut ctx);
    let whole = collect::whole(&ctx, &units).into_iter().collect();
    let mut plan = Plan {
        ctx,
        units,
        whole,
        picks: Vec::new(),
        ending: Ending::Parts,
        tight: false,
        links: Links::new(),
        round: 0,
        deadline: false,
        margin: 0,
        report: Report::default(),
    };
    plan.decide();
    plan
}

impl Plan {
    /// How often [`Built::Again`] can come at most.
    pub const ROUNDS: u32 = 4;

    /// What is to be done next.
    pub fn verdict(&self) -> Verdict {
        match &self.ending {
            Ending::Refused(_) if self.ctx.settings.method == Method::Notify => Verdict::Unchanged,
            Ending::Refused(refusal) => Verdict::Refuse(refusal.clone()),
            Ending::Whole => Verdict::Adapt,
            Ending::Parts if self.is_untouched() => Verdict::Unchanged,
            Ending::Parts => Verdict::Adapt,
        }
    }

    /// The reasons.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The links it needs that it has not been given yet.
    pub fn links(&self) -> Vec<LinkRequest> {
        self.picked().filter_map(|(at, unit, variant, _)| self.request(at, unit, variant)).collect()
    }

    /// The work it needs that has not been done yet.
    pub fn jobs(&self) -> Vec<Job> {
        let waiting = self.picked().filter(|(_, _, variant, _)| variant.needs_job()).count() as u64;
        let slack = self.slack().map(|slack| slack / waiting.max(1));
        self.picked()
            .filter_map(|(at, unit, variant, pick)| {
                let Make::Job(work) = &variant.make else { return None };
                if variant.product.is_some() {
                    return None;
                }
                let octets = least(variant.limit, self.allowance(unit, variant, slack));
                Some(Job {
                    id: JobId { unit: at, variant: pick },
                    part: self.ctx.tree.path(unit.node),
                    octets,
                    input: unit.content.clone().unwrap_or_default(),
                    work: within(work, octets),
                    guards: self.ctx.settings.guards.image,
                })
            })
            .collect()
    }

    /// Puts the new body together, and holds it against every limit with the real sizes.
    ///
    /// # Errors
    /// [`Refusal`] when nothing that is left can fit. Never for a NOTIFY: it goes out as it came.
    pub fn build(self, outcomes: Vec<JobOutcome>, links: Vec<Link>) -> Result<Built, Box<Refusal>> {
        self.finish(outcomes, links)
    }

    /// The best plan with the work that is done and no more: what the caller takes when its deadline has
    /// come. Its verdict may be a refusal; it may need links.
    #[must_use]
    pub fn fallback(mut self, outcomes: Vec<JobOutcome>) -> Plan {
        self.deadline = true;
        self.take_outcomes(outcomes);
        self.give_up_jobs(finish::DEADLINE);
        self.decide();
        self
    }

    /// The id of the link to the whole body.
    fn whole_id(&self) -> usize {
        self.units.len()
    }

    /// The units that are decided about, which are all parts or the whole.
    fn active(&self) -> &[Unit] {
        if self.ending == Ending::Whole { &self.whole } else { &self.units }
    }

    /// The picked variants: unit, and variant with its index.
    fn picked(&self) -> impl Iterator<Item = (usize, &Unit, &Variant, usize)> {
        let refused = matches!(self.ending, Ending::Refused(_));
        self.active().iter().zip(&self.picks).enumerate().filter(move |_| !refused).filter_map(
            |(at, (unit, pick))| {
                let pick = (*pick)?;
                Some((at, unit, unit.variants.get(pick)?, pick))
            },
        )
    }

    fn link_id(&self, at: usize) -> usize {
        if self.ending == Ending::Whole { self.whole_id() } else { at }
    }

    fn request(&self, at: usize, unit: &Unit, variant: &Variant) -> Option<LinkRequest> {
        let id = self.link_id(at);
        if !variant.needs_link() || self.links.contains_key(&id) {
            return None;
        }
        let node = self.ctx.tree.node(unit.node)?;
        let (content, _) = link::stored(&self.ctx, unit);
        let served = link::served_type(&self.ctx, unit, node);
        Some(LinkRequest {
            id,
            part: self.ctx.tree.path(unit.node),
            content,
            content_type: node.content_type.written.clone(),
            serve_as: (served != node.content_type.essence).then_some(served),
            content_encoding: node.content_encoding(),
            disposition: node.text("content-disposition"),
            description: node.text("content-description"),
            fixed: link::is_fixed(&self.ctx, unit),
        })
    }

    /// Octets that are left when everything comes out as predicted; `None`: there is no limit.
    fn slack(&self) -> Option<u64> {
        let budget = self.parts_budget()?;
        let used: u64 = self.picked().map(|(_, _, variant, _)| variant.cost).sum();
        Some(budget.saturating_sub(used))
    }

    /// What a job may use of the message's budget.
    fn allowance(&self, unit: &Unit, variant: &Variant, slack: Option<u64>) -> Option<u64> {
        if unit.node == 0 {
            let head = price::head_of_single(&self.ctx, unit, variant);
            return self.ctx.limits.for_body(head).map(|room| room.saturating_sub(self.margin));
        }
        // The note may come out a few digits longer than reckoned.
        slack.map(|slack| variant.octets + slack.saturating_sub(8))
    }
}

/// The work within its octets. A JPEG is searched for from the best quality down: the grid only said what to expect.
fn within(work: &Work, octets: Option<u64>) -> Work {
    let mut work = work.clone();
    if let Work::Image(spec) = &mut work
        && octets.is_some()
    {
        spec.octets = octets;
        spec.quality = spec.quality.max(85);
    }
    work
}

/// What is to be done with the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward the identical octets.
    Unchanged,
    /// Get the links, run the jobs, build.
    Adapt,
    /// Nothing fits.
    Refuse(Refusal),
}

/// What came of [`Plan::build`].
#[derive(Clone, Debug)]
pub enum Built {
    /// The new body.
    Done(Box<Adapted>),
    /// Something did not come out as predicted: a new plan that knows what was made. At most
    /// [`Plan::ROUNDS`] times.
    Again(Box<Plan>),
}

/// Content to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRequest {
    /// Goes back in the [`Link`].
    pub id: usize,
    /// The part's place in the tree, as in [`crate::PartReport::part`].
    pub part: String,
    /// The original octets, transfer encoding taken off (except from signed and encrypted content).
    pub content: Bytes,
    /// The complete original Content-Type.
    pub content_type: String,
    /// The type the terminal was told of, if another one than the original's must be served.
    pub serve_as: Option<String>,
    /// The original Content-Encoding.
    pub content_encoding: Option<String>,
    /// The original Content-Disposition.
    pub disposition: Option<String>,
    /// The original Content-Description.
    pub description: Option<String>,
    /// Whether the fetch must serve these very octets (signed, encrypted, no-transform).
    pub fixed: bool,
}

/// Content that is stored.
#[derive(Clone, Debug)]
pub struct Link {
    /// The request's.
    pub id: usize,
    /// Where it is served. What is no visible ASCII, a quote or a backslash in it makes it unusable.
    pub url: String,
    /// Until when.
    pub expires: SystemTime,
}

impl Link {
    fn text(&self) -> Option<external::LinkText> {
        let sane = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'<' | b'>');
        (!self.url.is_empty() && self.url.bytes().all(sane)).then(|| external::LinkText {
            url: self.url.clone(),
            expiration: crate::mime::rfc1123(self.expires),
        })
    }
}
