//! Results in, body out: every limit is asked again with the real sizes (CPI.md §3.1 step 7).

use bytes::Bytes;

use super::decide::Ending;
use super::limits::octets;
use super::unit::{Grade, Make};
use super::{Built, Link, Plan, price};
use crate::entity::{Adapted, Field, Refusal};
use crate::image::ImageError;
use crate::job::{JobError, JobOutcome};
use crate::mime::ContentType;
use crate::rebuild::{self, Picked, Rendered};
use crate::settings::Method;

/// Why what was not made in time is not there.
pub(super) const DEADLINE: &str = "the deadline came first";

impl Plan {
    pub(super) fn finish(
        mut self,
        outcomes: Vec<JobOutcome>,
        links: Vec<Link>,
    ) -> Result<Built, Box<Refusal>> {
        self.take_outcomes(outcomes);
        self.take_links(links);
        self.miss_what_was_asked_for();
        // Each turn ends, or takes at least one variant out or raises the margin; the rounds bound both.
        for _ in 0..=Plan::ROUNDS {
            if self.is_complete() {
                match self.render() {
                    Some(rendered) if self.holds(&rendered) => {
                        return Ok(Built::Done(Box::new(self.adapted(rendered))));
                    }
                    Some(rendered) => self.margin += self.excess(&rendered).max(1),
                    None => self.fail_picked("it could not be put together"),
                }
            }
            self.decide();
            if let Ending::Refused(refusal) = &self.ending {
                if self.ctx.settings.method == Method::Notify {
                    return Ok(Built::Done(Box::new(self.as_received())));
                }
                return Err(Box::new(refusal.clone()));
            }
            if !self.is_complete() {
                self.round += 1;
                if self.round < Plan::ROUNDS {
                    self.report.rounds = self.round;
                    return Ok(Built::Again(Box::new(self)));
                }
                self.give_up_jobs("it did not come out as predicted");
                self.give_up_links("the store gave no link");
            }
        }
        let refusal = super::refuse::refusal(&self.ctx, &self.units, None);
        if self.ctx.settings.method == Method::Notify {
            Ok(Built::Done(Box::new(self.as_received())))
        } else {
            Err(Box::new(refusal))
        }
    }

    pub(super) fn take_outcomes(&mut self, outcomes: Vec<JobOutcome>) {
        for JobOutcome { id, result } in outcomes {
            let Some(unit) = self.units.get_mut(id.unit) else { continue };
            let Some(variant) = unit.variants.get_mut(id.variant).filter(|variant| variant.needs_job())
            else {
                continue;
            };
            match result {
                Ok(product) => {
                    variant.octets = product.bytes.len() as u64;
                    variant.pixels = product.pixels;
                    variant.product = Some(product);
                    if let Some(why) = self.misfit(id.unit, id.variant) {
                        self.fail(id.unit, id.variant, why);
                    } else {
                        self.reprice(id.unit, id.variant);
                    }
                }
                Err(error) => {
                    let stopped = error == JobError::Stopped;
                    self.deadline |= stopped;
                    let why = if stopped { DEADLINE.to_owned() } else { error.to_string() };
                    if matches!(error, JobError::Converter(_)) {
                        // Another offer may be made all the same: of another type, or by another road.
                        self.fail(id.unit, id.variant, why);
                    } else if is_final(&error) {
                        self.fail_jobs(id.unit, Grade::Reserve, &why);
                    } else {
                        let grade = variant.grade;
                        self.fail_jobs(id.unit, grade, &why);
                    }
                }
            }
        }
    }

    /// Why a product can't be sent after all.
    fn misfit(&self, unit: usize, at: usize) -> Option<String> {
        let unit = self.units.get(unit)?;
        let variant = unit.variants.get(at)?;
        if variant.limit.is_some_and(|limit| variant.octets > limit) {
            return Some(format!("it came out with {} octets, too many", variant.octets));
        }
        let node = self.ctx.tree.node(unit.node)?;
        let written = variant.content_type.as_deref().map(|written| ContentType::read(written.as_bytes()));
        let q =
            self.ctx.quality(written.as_ref().unwrap_or(&node.content_type), variant.octets, variant.pixels);
        (q == 0).then(|| "what came out is not what the terminal takes".to_owned())
    }

    fn reprice(&mut self, at: usize, variant: usize) {
        let Some(unit) = self.units.get(at) else { return };
        let Some(cost) = unit.variants.get(variant).map(|made| price::cost(&self.ctx, unit, made)) else {
            return;
        };
        if let Some(made) = self.units.get_mut(at).and_then(|unit| unit.variants.get_mut(variant)) {
            made.cost = cost;
        }
    }

    fn fail(&mut self, unit: usize, variant: usize, why: String) {
        if let Some(unit) = self.units.get_mut(unit) {
            unit.fail(variant, why);
        }
    }

    /// Takes out all work of a unit up to that grade that is not done.
    fn fail_jobs(&mut self, unit: usize, grade: Grade, why: &str) {
        let Some(unit) = self.units.get_mut(unit) else { return };
        let waiting: Vec<usize> = (0..)
            .zip(&unit.variants)
            .filter(|(_, variant)| variant.needs_job() && variant.failed.is_none() && variant.grade <= grade)
            .map(|(at, _)| at)
            .collect();
        for at in waiting {
            unit.fail(at, why.to_owned());
        }
    }

    pub(super) fn give_up_jobs(&mut self, why: &str) {
        for unit in 0..self.units.len() {
            self.fail_jobs(unit, Grade::Reserve, why);
        }
    }

    fn take_links(&mut self, links: Vec<Link>) {
        for link in links {
            if let Some(text) = link.text() {
                self.links.insert(link.id, text);
            }
        }
    }

    /// What was asked for and did not come won't come: a full store, a caller that did not run the job.
    fn miss_what_was_asked_for(&mut self) {
        let missing: Vec<(usize, bool)> = self
            .picked()
            .filter_map(|(at, _, variant, _)| {
                let no_link = variant.needs_link() && !self.links.contains_key(&self.link_id(at));
                (variant.needs_job() || no_link).then_some((at, no_link))
            })
            .collect();
        for (at, no_link) in missing {
            if no_link {
                self.fail_links(at, "the store gave no link");
            } else {
                self.fail_jobs(at, Grade::Reserve, "it was not made");
            }
        }
    }

    fn fail_links(&mut self, at: usize, why: &str) {
        let units = if self.ending == Ending::Whole { &mut self.whole } else { &mut self.units };
        let Some(unit) = units.get_mut(at) else { return };
        for at in 0..unit.variants.len() {
            if unit.variants.get(at).is_some_and(super::unit::Variant::needs_link) {
                unit.fail(at, why.to_owned());
            }
        }
    }

    fn give_up_links(&mut self, why: &str) {
        let known: Vec<usize> = self.links.keys().copied().collect();
        let whole = self.whole_id();
        let units = self.units.iter_mut().enumerate().chain(self.whole.iter_mut().map(|unit| (whole, unit)));
        for (id, unit) in units.filter(|(id, _)| !known.contains(id)) {
            let _ = id;
            for at in 0..unit.variants.len() {
                if unit.variants.get(at).is_some_and(super::unit::Variant::needs_link) {
                    unit.fail(at, why.to_owned());
                }
            }
        }
    }

    fn fail_picked(&mut self, why: &str) {
        let picked: Vec<(usize, usize)> = self
            .picked()
            .filter(|(_, _, variant, _)| !matches!(variant.make, Make::Carried))
            .map(|(at, _, _, pick)| (at, pick))
            .collect();
        let units = if self.ending == Ending::Whole { &mut self.whole } else { &mut self.units };
        for (at, pick) in picked {
            if let Some(unit) = units.get_mut(at) {
                unit.fail(pick, why.to_owned());
            }
        }
    }

    /// Whether nothing is asked for any more.
    fn is_complete(&self) -> bool {
        !matches!(self.ending, Ending::Refused(_))
            && self.picked().all(|(at, _, variant, _)| {
                let linked = !variant.needs_link() || self.links.contains_key(&self.link_id(at));
                !variant.needs_job() && linked
            })
    }

    /// The message; with a line on what was dropped, if that is wanted and fits.
    fn render(&self) -> Option<Rendered> {
        if self.ctx.settings.drop_note
            && let Some(noted) = self.rendered(true).filter(|noted| self.holds(noted))
        {
            return Some(noted);
        }
        self.rendered(false)
    }

    fn rendered(&self, drop_note: bool) -> Option<Rendered> {
        if self.ctx.entity.body.is_empty() {
            return Some(self.received());
        }
        if self.ending != Ending::Whole {
            let picked = Picked { picks: &self.picks, tight: self.tight, drop_note };
            return rebuild::assemble(&self.ctx, &self.units, &picked, &self.links);
        }
        let link = self.links.get(&self.whole_id())?.clone();
        let picked = Picked { picks: &self.picks, tight: false, drop_note };
        rebuild::assemble(&self.ctx, &self.whole, &picked, &rebuild::Links::from([(0, link)]))
    }

    fn holds(&self, rendered: &Rendered) -> bool {
        self.ctx.limits.hold(rendered.body.len() as u64, octets(&rendered.fields))
            && self.container_fits(rendered)
    }

    /// Whether a container keeps to the limit of its own type.
    fn container_fits(&self, rendered: &Rendered) -> bool {
        let written = rendered.fields.iter().find(|field| field.is("content-type"));
        let Some(read) =
            written.map(|field| ContentType::read(&field.value)).filter(|read| read.is_kind("multipart"))
        else {
            return true;
        };
        let tiers = self.ctx.tiers(&read);
        let body = rendered.body.len() as u64;
        tiers.is_empty() || tiers.iter().any(|tier| tier.length.is_none_or(|length| body <= length))
    }

    fn excess(&self, rendered: &Rendered) -> u64 {
        let body = rendered.body.len() as u64;
        let fields = octets(&rendered.fields);
        self.ctx.limits.for_body(fields).map_or(0, |room| body.saturating_sub(room))
    }

    fn received(&self) -> Rendered {
        Rendered {
            fields: self.ctx.entity.fields.clone(),
            body: self.ctx.entity.body.clone(),
            changed: false,
        }
    }

    /// The message as it came, for a NOTIFY that nothing fits.
    fn as_received(&self) -> Adapted {
        self.adapted(self.received())
    }

    fn adapted(&self, rendered: Rendered) -> Adapted {
        let mut report = self.report.clone();
        report.octets_after = rendered.body.len() as u64;
        report.rounds = self.round;
        report.deadline = self.deadline;
        if self.ending == Ending::Parts {
            report.parts = super::explain::parts(&self.ctx, &self.units, &self.picks);
        }
        if !rendered.changed {
            return Adapted {
                set: Vec::new(),
                append: Vec::new(),
                remove: Vec::new(),
                body: rendered.body,
                report,
            };
        }
        let (set, append, remove) = difference(&self.ctx.entity.fields, &rendered.fields);
        Adapted { set, append, remove, body: rendered.body, report }
    }
}

/// What no other setting would change.
fn is_final(error: &JobError) -> bool {
    !matches!(error, JobError::Image(ImageError::CantFit { .. }))
}

/// How the head changes: fields to set, `Content-Adapted` to add, names to take out.
fn difference(old: &[Field], new: &[Field]) -> (Vec<Field>, Vec<Field>, Vec<Bytes>) {
    let is_note = |field: &&Field| field.is("content-adapted");
    let same_name = |a: &Field, b: &Field| a.name.eq_ignore_ascii_case(&b.name);
    let set = new.iter().filter(|field| !is_note(field) && !old.contains(field)).cloned().collect();
    let append = new.iter().filter(|field| is_note(field) && !old.contains(field)).cloned().collect();
    let gone = old.iter().filter(|field| !is_note(field) && !new.iter().any(|kept| same_name(kept, field)));
    let mut remove: Vec<Bytes> = gone.map(|field| field.name.clone()).collect();
    remove.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    (set, append, remove)
}
