//! What a variant costs (CPI.md §3.6): octets of the whole part with its header and delimiter.

use super::context::Context;
use super::limits::octets;
use super::unit::{Make, Unit, Variant};
use crate::entity::Field;
use crate::mime::Shape;
use crate::rebuild::external::LinkText;
use crate::rebuild::fields;

/// Octets of `Content-Adapted: host;ops=".."` with every word in it.
const NOTE_OCTETS: u64 = 112;

/// Sets the cost of every variant.
pub(crate) fn price(ctx: &Context, unit: &mut Unit) {
    let costs: Vec<u64> = unit.variants.iter().map(|variant| cost(ctx, unit, variant)).collect();
    for (variant, cost) in unit.variants.iter_mut().zip(costs) {
        variant.cost = cost;
    }
}

/// Octets of one variant in its container; of the body, if it is the body.
pub(crate) fn cost(ctx: &Context, unit: &Unit, variant: &Variant) -> u64 {
    let Some(node) = ctx.tree.node(unit.node) else { return 0 };
    let Some(parent) = node.parent else { return variant.octets };
    let delimiter = delimiter(ctx, parent);
    match variant.make {
        Make::Nothing => 0,
        Make::Reference | Make::TheirReference(..) => {
            variant.octets + ctx.settings.host.len() as u64 + NOTE_OCTETS
        }
        Make::Carried => (node.header.len() + node.body.len()) as u64 + delimiter,
        _ => octets(&predicted_fields(ctx, unit, variant)) + 2 + variant.octets + delimiter,
    }
}

/// The fields of a variant, with a link as long as the longest.
pub(crate) fn predicted_fields(ctx: &Context, unit: &Unit, variant: &Variant) -> Vec<Field> {
    let link = LinkText::placeholder(ctx.settings.links.map_or(0, |links| links.url_octets));
    let hash = super::link::is_fixed(ctx, unit).then(|| "x".repeat(40));
    fields::of(ctx, unit, variant, &link, hash.as_deref())
}

/// Octets of the head's fields when the body is this variant of the only unit.
pub(crate) fn head_of_single(ctx: &Context, unit: &Unit, variant: &Variant) -> u64 {
    if matches!(variant.make, Make::Carried) {
        return octets(&ctx.entity.fields);
    }
    // MIME-Version may come in.
    octets(&predicted_fields(ctx, unit, variant)) + 20
}

/// Octets of the head's fields when something below the body changes.
pub(crate) fn head_of_container(ctx: &Context) -> u64 {
    octets(&ctx.entity.fields) + ctx.settings.host.len() as u64 + NOTE_OCTETS
}

/// What the containers cost beside their parts: headers, delimiters, closing delimiters. Those that may go in the end
/// count too, so that the sum is never too small.
pub(crate) fn overhead(ctx: &Context, units: &[Unit]) -> u64 {
    let containers = ctx
        .tree
        .nodes()
        .filter(|(id, node)| matches!(node.shape, Shape::Multipart { .. }) && !is_in_unit(ctx, *id, units));
    containers
        .map(|(_, node)| {
            let Shape::Multipart { boundary, .. } = &node.shape else { return 0 };
            let own = node.parent.map_or(0, |parent| delimiter(ctx, parent));
            node.header.len() as u64 + own + boundary.len() as u64 + 8
        })
        .sum()
}

/// Whether a node is a unit or below one.
pub(crate) fn is_in_unit(ctx: &Context, id: usize, units: &[Unit]) -> bool {
    let mut at = Some(id);
    while let Some(id) = at {
        if units.iter().any(|unit| unit.node == id) {
            return true;
        }
        at = ctx.tree.node(id).and_then(|node| node.parent);
    }
    false
}

/// CRLF, two hyphens, the boundary, CRLF.
fn delimiter(ctx: &Context, parent: usize) -> u64 {
    match ctx.tree.node(parent).map(|node| &node.shape) {
        Some(Shape::Multipart { boundary, .. }) => boundary.len() as u64 + 6,
        _ => 0,
    }
}
