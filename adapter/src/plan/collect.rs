//! Which parts a plan decides about.

use super::context::Context;
use super::price::price;
use super::protect::Guarding;
use super::unit::Unit;
use super::{leaf, related};
use crate::mime::{Node, Shape};

/// The units of a message in the order they stand in it, with their variants priced.
pub(crate) fn units(ctx: &mut Context) -> Vec<Unit> {
    let found = positions(ctx);
    follow_references(ctx, &found);
    found
        .into_iter()
        .map(|(node, is_root)| {
            let mut unit = unit(ctx, node, is_root);
            unit.variants = leaf::variants(ctx, &mut unit);
            unit.variants.extend(leaf::left_out(ctx, &unit));
            price(ctx, &mut unit);
            unit
        })
        .collect()
}

/// The parts that are decided about and name content that lies elsewhere.
pub(crate) fn received(ctx: &Context) -> Vec<usize> {
    let is_link =
        |id: &usize| ctx.tree.node(*id).is_some_and(|node| matches!(node.shape, Shape::External(_)));
    positions(ctx).into_iter().map(|(id, _)| id).filter(is_link).collect()
}

/// A container as one piece, for the link that is the last resort; `None` if some part of it may not be stored.
pub(crate) fn whole(ctx: &Context, units: &[Unit]) -> Option<Unit> {
    if units.iter().any(|unit| unit.node == 0 || !unit.guarding.is_storable()) {
        return None;
    }
    let mut whole = unit(ctx, 0, false);
    let strictest =
        units.iter().map(|unit| unit.guarding).find(|guarding| matches!(guarding, Guarding::Unit(_)));
    let unaltered = || units.iter().map(|unit| unit.guarding).find(|guarding| *guarding != Guarding::Free);
    whole.guarding = strictest.or_else(unaltered).unwrap_or(Guarding::Free);
    let node = ctx.tree.node(0)?;
    whole.variants = super::link::variants(ctx, &whole, node);
    price(ctx, &mut whole);
    (!whole.variants.is_empty()).then_some(whole)
}

/// Leaves and guarded containers, and whether each is the root of a multipart/related.
fn positions(ctx: &Context) -> Vec<(usize, bool)> {
    let mut found = Vec::new();
    let mut waiting = vec![(0, false)];
    while let Some((id, is_root)) = waiting.pop() {
        let Some(node) = ctx.tree.node(id) else { continue };
        let opened =
            matches!(node.shape, Shape::Multipart { .. }) && guarding(ctx, id, node) == Guarding::Free;
        if opened {
            let root = related::root(&ctx.tree, id);
            waiting.extend(ctx.tree.children(id).rev().map(|child| (child, root == Some(child))));
        } else {
            found.push((id, is_root));
        }
    }
    found
}

/// Leaves out what can't be rewritten here, and decides which containers go because only their root is taken.
fn follow_references(ctx: &mut Context, units: &[(usize, bool)]) {
    let mut all = std::mem::take(&mut ctx.related);
    let is_unit = |node: usize| units.iter().any(|(unit, _)| *unit == node);
    all.retain(|related| {
        let root =
            ctx.tree.node(related.root).map(|node| node.content_type.essence.clone()).unwrap_or_default();
        is_unit(related.root) && ctx.type_quality(&root) > 0
    });
    for related in &mut all {
        let container = ctx.tree.node(related.container).map(|node| node.content_type.clone());
        let taken = container.is_none_or(|container| ctx.takes_container(&container));
        let is_root = related::root(&ctx.tree, related.container) == Some(related.root);
        let mut others = units.iter().map(|(unit, _)| *unit).filter(|unit| {
            *unit != related.root && related::holders(&ctx.tree, *unit).any(|id| id == related.container)
        });
        // What lies elsewhere already needs no store.
        let reachable = |node: usize| match ctx.tree.node(node).map(|inner| (inner, &inner.shape)) {
            Some((_, Shape::External(external))) => external.web_url().is_some(),
            Some((inner, _)) => ctx.settings.links.is_some() && guarding(ctx, node, inner).is_storable(),
            None => false,
        };
        // Nothing is lost when only the root stays.
        related.collapses = !taken && is_root && others.all(|other| related.shows(other) && reachable(other));
    }
    ctx.related = all;
}

fn unit(ctx: &Context, node: usize, is_root: bool) -> Unit {
    let inner = ctx.tree.node(node);
    let is_text = inner.is_some_and(|inner| inner.content_type.is_kind("text"));
    let is_icon = inner.and_then(Node::disposition).is_some_and(|disposition| disposition == "icon");
    let guarding = inner.map_or(Guarding::Free, |inner| guarding(ctx, node, inner));
    let content = ctx.tree.content(node);
    Unit {
        node,
        guarding,
        weight: match (is_text || is_root, is_icon) {
            (true, _) => 8,
            (_, true) => 1,
            _ => 2,
        },
        is_root,
        pixels: inner.zip(content.as_ref()).and_then(|(inner, content)| pixels(ctx, inner, content)),
        content,
        variants: Vec::new(),
    }
}

fn guarding(ctx: &Context, id: usize, node: &Node) -> Guarding {
    if id == 0 && ctx.settings.sealed {
        return Guarding::Untouchable("a signature in the head of the message covers it");
    }
    Guarding::of(node)
}

fn pixels(ctx: &Context, node: &Node, content: &[u8]) -> Option<[u32; 2]> {
    if !node.content_type.is_kind("image") {
        return None;
    }
    let probe = crate::image::probe_within(content, &ctx.settings.guards.image).ok()?;
    Some([probe.width, probe.height])
}
