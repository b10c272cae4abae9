//! The reasons of a plan.

use super::context::Context;
use super::unit::{Unit, Variant};
use crate::mime::ContentType;
use crate::rebuild::fields;
use crate::report::{Action, PartReport};

/// Every part with what is done to it.
pub(crate) fn parts(ctx: &Context, units: &[Unit], picks: &[Option<usize>]) -> Vec<PartReport> {
    units
        .iter()
        .zip(picks)
        .map(|(unit, pick)| part(ctx, unit, pick.and_then(|pick| unit.variants.get(pick))))
        .collect()
}

fn part(ctx: &Context, unit: &Unit, variant: Option<&Variant>) -> PartReport {
    let node = ctx.tree.node(unit.node);
    let before = node.map(|node| node.content_type.essence.clone()).unwrap_or_default();
    let Some(variant) = variant else {
        return PartReport {
            part: ctx.tree.path(unit.node),
            action: Action::Deselect,
            ops: vec!["select".into()],
            why: "another alternative stands for it".into(),
            type_after: before.clone(),
            type_before: before,
            octets_before: node.map_or(0, |node| node.body.len() as u64),
            octets_after: 0,
            pixels_before: unit.pixels,
            pixels_after: None,
            quality: None,
            utility: 0,
        };
    };
    let product = variant.product.as_ref();
    PartReport {
        part: ctx.tree.path(unit.node),
        action: variant.action,
        ops: fields::ops(variant).into_iter().map(str::to_owned).collect(),
        why: why(unit, variant),
        type_after: type_after(&before, variant),
        type_before: before,
        octets_before: node.map_or(0, |node| node.body.len() as u64),
        octets_after: variant.octets,
        pixels_before: unit.pixels,
        pixels_after: product.map_or(variant.pixels, |product| product.pixels),
        quality: product.and_then(|product| product.quality),
        utility: variant.utility,
    }
}

fn type_after(before: &str, variant: &Variant) -> String {
    match (variant.action, &variant.content_type) {
        (Action::Link, None) => "message/external-body".into(),
        (_, Some(written)) => ContentType::read(written.as_bytes()).essence,
        (_, None) => before.to_owned(),
    }
}

/// The variant's reason, and what went wrong on the way to it.
fn why(unit: &Unit, variant: &Variant) -> String {
    let failed = unit.variants.iter().find_map(|variant| variant.failed.as_deref());
    match failed {
        Some(failed) => format!("{} ({failed})", variant.why),
        None => variant.why.clone(),
    }
}

/// One sentence on the whole.
pub(crate) fn summary(parts: &[PartReport]) -> String {
    let mut counted: Vec<(Action, usize)> = Vec::new();
    for part in parts {
        match counted.iter_mut().find(|(action, _)| *action == part.action) {
            Some((_, count)) => *count += 1,
            None => counted.push((part.action, 1)),
        }
    }
    let words: Vec<String> =
        counted.iter().map(|(action, count)| format!("{count} {}", past(*action))).collect();
    match words.as_slice() {
        [] => "there is no body".into(),
        _ if parts.len() == 1 => {
            format!("the body is {}", parts.first().map_or("kept", |part| past(part.action)))
        }
        _ => format!("{} parts: {}", parts.len(), words.join(", ")),
    }
}

const fn past(action: Action) -> &'static str {
    match action {
        Action::Keep => "kept as it is",
        Action::Decode => "sent without its transfer encoding",
        Action::Strip => "sent without its metadata",
        Action::Convert => "converted",
        Action::Scale => "scaled",
        Action::Shrink => "made smaller",
        Action::Link => "replaced by a link",
        Action::LinkText => "replaced by a text with a link",
        Action::LinkReference => "shown from a link",
        Action::Drop => "left out",
        Action::Deselect => "left for another alternative",
        Action::Protected => "passed untouched",
    }
}
