//! multipart/alternative (CPI.md §3.5 composite nodes): which of them stay.

use cpi::matching;

use super::context::Context;
use super::unit::Unit;
use crate::mime::Shape;

/// How many of a container's acceptable alternatives stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All of them.
    All,
    /// The one of the highest q; of equals the better language, then the last.
    Best,
    /// The one of the fewest octets.
    Smallest,
}

/// Whether there is a choice to make under size pressure.
pub(crate) fn exist(ctx: &Context, units: &[Unit]) -> bool {
    containers(ctx, units).next().is_some()
}

/// For each unit, whether it is out because another alternative stands for it.
pub(crate) fn deselected(ctx: &Context, units: &[Unit], mode: Mode) -> Vec<bool> {
    let mut out = vec![false; units.len()];
    for container in containers(ctx, units) {
        let all: Vec<Alternative> =
            ctx.tree.children(container).map(|child| Alternative::new(ctx, units, &out, child)).collect();
        let kept = stay(&all, mode);
        for (at, alternative) in all.iter().enumerate().filter(|(at, _)| !kept.contains(at)) {
            let _ = at;
            for &unit in &alternative.units {
                if let Some(out) = out.get_mut(unit) {
                    *out = true;
                }
            }
        }
    }
    out
}

/// The alternatives that stay, by their place.
fn stay(all: &[Alternative], mode: Mode) -> Vec<usize> {
    let acceptable: Vec<usize> =
        (0..).zip(all).filter(|(_, each)| each.utility > 0).map(|(at, _)| at).collect();
    let each = |at: &usize| all.get(*at);
    if acceptable.is_empty() {
        let last = |holds: &dyn Fn(&Alternative) -> bool| all.iter().rposition(holds);
        let one = last(&|each| each.is_adaptable).or_else(|| last(&|each| each.is_linkable));
        return one.map_or_else(|| (0..all.len()).collect(), |one| vec![one]);
    }
    let one = match mode {
        Mode::All => return acceptable,
        Mode::Best => acceptable.iter().max_by_key(|at| each(at).map(|each| (each.utility, each.language))),
        Mode::Smallest => acceptable.iter().min_by_key(|at| each(at).map(|each| each.octets)),
    };
    one.into_iter().copied().collect()
}

/// Containers that are not part of a unit; outer ones first.
fn containers<'a>(ctx: &'a Context, units: &'a [Unit]) -> impl Iterator<Item = usize> + 'a {
    ctx.tree
        .nodes()
        .filter(|(_, node)| {
            matches!(node.shape, Shape::Multipart { .. }) && node.content_type.is("multipart/alternative")
        })
        .map(|(id, _)| id)
        .filter(|&id| {
            let below = ctx.tree.below(id);
            units.iter().any(|unit| unit.node != id && below.contains(&unit.node))
        })
}

struct Alternative {
    units: Vec<usize>,
    /// What it is worth as it is: the least of its parts; 0 if one of them can't stay as it is.
    utility: u32,
    language: u16,
    octets: usize,
    is_adaptable: bool,
    is_linkable: bool,
}

impl Alternative {
    fn new(ctx: &Context, units: &[Unit], out: &[bool], node: usize) -> Alternative {
        let below = ctx.tree.below(node);
        let own: Vec<usize> = (0..units.len())
            .filter(|&at| {
                units.get(at).is_some_and(|unit| below.contains(&unit.node)) && out.get(at) == Some(&false)
            })
            .collect();
        let each = || own.iter().filter_map(|&at| units.get(at));
        let inner = ctx.tree.node(node);
        let language = inner.and_then(|inner| inner.text("content-language"));
        Alternative {
            utility: each().map(Unit::kept_utility).min().unwrap_or(0),
            language: language.map_or(0, |language| matching::language_quality(&ctx.cpi, language.trim())),
            octets: inner.map_or(0, |inner| inner.body.len()),
            is_adaptable: each().next().is_some() && each().all(Unit::is_adaptable),
            is_linkable: each().next().is_some()
                && each().all(|unit| unit.is_adaptable() || unit.is_linkable()),
            units: own,
        }
    }
}
