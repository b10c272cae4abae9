//! What is done with every part: the stages from "as it is" to a refusal (CPI.md §3.1 steps 4 to 8).

use super::alternative::{self, Mode};
use super::choose::{self, Candidate};
use super::limits::octets;
use super::unit::{Grade, Make, Unit, Variant};
use super::{Plan, explain, price, refuse, related};
use crate::entity::Refusal;
use crate::mime::Shape;
use crate::report::Action;
use crate::settings::Method;

/// How a plan ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Part by part.
    Parts,
    /// One link for the whole body.
    Whole,
    /// Nothing fits.
    Refused(Refusal),
}

/// A pick for each unit, `None` for those that another alternative stands for.
type Picks = Vec<Option<usize>>;

impl Plan {
    /// Decides anew with what is known now.
    pub(super) fn decide(&mut self) {
        let (ending, picks, tight) = self.decision();
        self.ending = ending;
        self.picks = picks;
        self.tight = tight;
        self.explain();
    }

    /// The ending, the picks, and whether they were made under pressure.
    fn decision(&self) -> (Ending, Picks, bool) {
        if self.ctx.entity.body.is_empty() {
            return (Ending::Parts, self.as_it_came(), false);
        }
        let blocked = self.blocked_container();
        if blocked.is_none()
            && let Some((picks, tight)) = self.by_parts()
        {
            return (Ending::Parts, picks, tight);
        }
        if let Some(pick) = self.whole_pick() {
            return (Ending::Whole, vec![Some(pick)], true);
        }
        if let Some(picks) = self.root_only() {
            return (Ending::Parts, picks, true);
        }
        let refusal = refuse::refusal(&self.ctx, &self.units, blocked.as_deref());
        (Ending::Refused(refusal), vec![None; self.units.len()], false)
    }

    fn by_parts(&self) -> Option<(Picks, bool)> {
        if let Some(picks) = self.without_pressure() {
            return Some((picks, false));
        }
        let modes: &[Mode] = if alternative::exist(&self.ctx, &self.units) {
            &[Mode::Best, Mode::Smallest]
        } else {
            &[Mode::All]
        };
        [Grade::Pressure, Grade::Reserve]
            .into_iter()
            .find_map(|grade| modes.iter().find_map(|&mode| self.under_pressure(mode, grade)))
            .map(|picks| (picks, true))
    }

    /// Of a NOTIFY, which is never refused, the root document alone (CPI.md §3.8). Whether it fits is asked when it
    /// is built; if not, the message goes out as it came.
    fn root_only(&self) -> Option<Picks> {
        if self.ctx.settings.method != Method::Notify {
            return None;
        }
        let root = related::root(&self.ctx.tree, 0)?;
        let wanted = |unit: &Unit, variant: &Variant| match variant.make {
            Make::Carried => unit.node == root,
            Make::Nothing => unit.node != root,
            _ => false,
        };
        let pick = |unit: &Unit| {
            unit.variants.iter().position(|variant| variant.failed.is_none() && wanted(unit, variant))
        };
        let picks: Option<Vec<usize>> = self.units.iter().map(pick).collect();
        picks.filter(|_| self.units.len() > 1).map(|picks| picks.into_iter().map(Some).collect())
    }

    /// Each part's best, if that fits.
    fn without_pressure(&self) -> Option<Picks> {
        let open = self.candidates(Mode::All, Grade::Natural)?;
        let best = open.picks(&choose::each_best(&open.parts)?, self.units.len());
        let fits = if self.leaves_all(&best) {
            self.ctx.limits.hold(self.ctx.entity.body.len() as u64, octets(&self.ctx.entity.fields))
        } else if let Some((unit, variant)) = self.single(&best) {
            self.single_fits(unit, variant)
        } else {
            self.parts_budget().is_none_or(|budget| self.cost(&best) <= budget)
        };
        fits.then_some(best)
    }

    fn under_pressure(&self, mode: Mode, grade: Grade) -> Option<Picks> {
        let open = self.candidates(mode, grade)?;
        let budget = if self.is_single() { None } else { self.parts_budget() };
        let chosen = choose::choose(&open.parts, budget)?;
        let picks = open.picks(&chosen, self.units.len());
        let empty = picks.iter().zip(&self.units).all(|(pick, unit)| {
            pick.and_then(|pick| unit.variants.get(pick)).is_none_or(|variant| variant.action == Action::Drop)
        });
        (!empty).then_some(picks)
    }

    /// What may be chosen from. `None` if some part has nothing.
    fn candidates(&self, mode: Mode, grade: Grade) -> Option<Open> {
        let out = alternative::deselected(&self.ctx, &self.units, mode);
        let mut open = Open::default();
        for (at, unit) in self.units.iter().enumerate().filter(|(at, _)| out.get(*at) == Some(&false)) {
            let usable = |variant: &Variant| {
                variant.failed.is_none()
                    && variant.grade <= grade
                    && variant.limit.is_none_or(|limit| variant.octets <= limit)
                    && (!self.is_single() || self.single_fits(unit, variant))
            };
            let variants: Vec<usize> =
                (0..).zip(&unit.variants).filter(|(_, variant)| usable(variant)).map(|(at, _)| at).collect();
            let candidates = variants.iter().filter_map(|&at| unit.variants.get(at));
            let candidates: Vec<Candidate> =
                candidates.map(|variant| variant.candidate(unit.weight)).collect();
            if candidates.is_empty() {
                return None;
            }
            open.units.push(at);
            open.variants.push(variants);
            open.parts.push(candidates);
        }
        Some(open)
    }

    /// Whether the body is one unit.
    fn is_single(&self) -> bool {
        self.units.len() == 1 && self.units.first().is_some_and(|unit| unit.node == 0)
    }

    fn single(&self, picks: &Picks) -> Option<(&Unit, &Variant)> {
        let unit = self.units.first().filter(|_| self.is_single())?;
        Some((unit, unit.variants.get((*picks.first()?)?)?))
    }

    fn single_fits(&self, unit: &Unit, variant: &Variant) -> bool {
        let margin = if matches!(variant.make, Make::Carried) { 0 } else { self.margin };
        self.ctx.limits.hold(variant.octets + margin, price::head_of_single(&self.ctx, unit, variant))
    }

    /// Octets for the parts with their headers and delimiters.
    pub(super) fn parts_budget(&self) -> Option<u64> {
        let body = self.ctx.limits.for_body(price::head_of_container(&self.ctx))?;
        Some(body.saturating_sub(price::overhead(&self.ctx, &self.units) + self.margin))
    }

    fn cost(&self, picks: &Picks) -> u64 {
        let variant = |(unit, pick): (&Unit, &Option<usize>)| {
            pick.and_then(|pick| unit.variants.get(pick)).map(|variant| variant.cost)
        };
        self.units.iter().zip(picks).filter_map(variant).sum()
    }

    fn whole_pick(&self) -> Option<usize> {
        let unit = self.whole.first()?;
        let usable = (0..)
            .zip(&unit.variants)
            .filter(|(_, variant)| variant.failed.is_none() && self.single_fits(unit, variant));
        usable
            .max_by_key(|(at, variant): &(usize, &Variant)| (variant.utility, std::cmp::Reverse(*at)))
            .map(|(at, _)| at)
    }

    /// Whether the identical octets go out.
    pub(super) fn is_untouched(&self) -> bool {
        self.ending == Ending::Parts && self.leaves_all(&self.picks) && (!self.tight || self.is_single())
    }

    fn leaves_all(&self, picks: &Picks) -> bool {
        let carried = |(unit, pick): (&Unit, &Option<usize>)| {
            let variant = pick.and_then(|pick| unit.variants.get(pick));
            variant.is_some_and(|variant| matches!(variant.make, Make::Carried))
        };
        self.ctx.entity.body.is_empty()
            || (self.units.iter().zip(picks).all(carried) && self.refused_containers().next().is_none())
    }

    fn as_it_came(&self) -> Picks {
        let carried = |variant: &Variant| matches!(variant.make, Make::Carried);
        self.units.iter().map(|unit| unit.variants.iter().position(carried)).collect()
    }

    /// The types of containers the terminal does not take, but for those of which only the root stays.
    fn refused_containers(&self) -> impl Iterator<Item = &str> {
        self.ctx.tree.nodes().filter_map(|(id, node)| {
            let is_container = matches!(node.shape, Shape::Multipart { .. });
            let refused = is_container
                && !price::is_in_unit(&self.ctx, id, &self.units)
                && !self.ctx.takes_container(&node.content_type);
            refused.then_some(node.content_type.essence.as_str())
        })
    }

    /// A container that can neither be sent nor take another name, so that its parts can't be sent in it.
    fn blocked_container(&self) -> Option<String> {
        let mixed = self.ctx.type_quality("multipart/mixed") > 0;
        let collapsing = self.ctx.related.iter().any(|related| related.collapses);
        let mut refused = self.refused_containers();
        let goes = |kind: &str| collapsing && kind == "multipart/related";
        if mixed { None } else { refused.find(|kind| !goes(kind)).map(str::to_owned) }
    }

    fn explain(&mut self) {
        let refused = match &self.ending {
            Ending::Refused(refusal) => Some(refusal.warning.clone()),
            _ => None,
        };
        let parts = if refused.is_some() {
            Vec::new()
        } else {
            explain::parts(&self.ctx, self.active(), &self.picks)
        };
        let before = self.ctx.entity.body.len() as u64;
        let after = match self.ending {
            _ if self.is_untouched() || refused.is_some() => before,
            Ending::Parts if !self.is_single() => {
                self.cost(&self.picks) + price::overhead(&self.ctx, &self.units)
            }
            _ => parts.iter().map(|part| part.octets_after).sum(),
        };
        self.report = crate::report::Report {
            summary: refused.unwrap_or_else(|| explain::summary(&parts)),
            known: self.ctx.known,
            budget: self.ctx.limits.for_body(octets(&self.ctx.entity.fields)),
            octets_before: before,
            octets_after: after,
            parts,
            rounds: self.round,
            deadline: self.deadline,
            whole_link: self.ending == Ending::Whole,
        };
    }
}

/// The units that are chosen for, with their usable variants.
#[derive(Default)]
struct Open {
    units: Vec<usize>,
    variants: Vec<Vec<usize>>,
    parts: Vec<Vec<Candidate>>,
}

impl Open {
    fn picks(&self, chosen: &[usize], units: usize) -> Picks {
        let mut picks = vec![None; units];
        for ((unit, variants), &choice) in self.units.iter().zip(&self.variants).zip(chosen) {
            if let Some(pick) = picks.get_mut(*unit) {
                *pick = variants.get(choice).copied();
            }
        }
        picks
    }
}
