//! Refusals (CPI.md §3.8).

use cpi::matching;

use super::context::Context;
use super::price;
use super::unit::Unit;
use crate::entity::Refusal;

/// Why nothing fits, as a final response.
pub(crate) fn refusal(ctx: &Context, units: &[Unit], blocked: Option<&str>) -> Refusal {
    let coding = ctx.tree.root().and_then(crate::mime::Node::content_encoding);
    if let Some(coding) = coding.filter(|coding| matching::coding_quality(&ctx.cpi, coding) == 0) {
        return unsupported_coding(ctx, &coding);
    }
    if let Some(container) = blocked {
        return unsupported_type(ctx, container);
    }
    let hopeless = units
        .iter()
        .find(|unit| !unit.open().any(|variant| variant.limit.is_none_or(|limit| variant.octets <= limit)));
    if let Some(unit) = hopeless {
        return of_part(ctx, unit);
    }
    let least: u64 = units
        .iter()
        .map(|unit| unit.open().map(|variant| variant.cost).min().unwrap_or(0))
        .sum::<u64>()
        .saturating_add(if ctx.tree.nodes().len() > 1 { price::overhead(ctx, units) } else { 0 });
    match ctx.limits.body.filter(|limit| least > *limit) {
        Some(limit) => too_large(format!(
            "the terminal takes bodies of {limit} octets, this one can't be made that small"
        )),
        None => Refusal {
            status: 513,
            reason: "Message Too Large".into(),
            warning: match ctx.limits.message {
                Some(limit) => format!(
                    "the message may have {limit} octets on its way to the terminal and can't be made that small"
                ),
                None => "the message can't be made small enough for the terminal".into(),
            },
            accept: None,
            accept_encoding: None,
        },
    }
}

fn of_part(ctx: &Context, unit: &Unit) -> Refusal {
    let Some(node) = ctx.tree.node(unit.node) else {
        return unsupported_type(ctx, "application/octet-stream");
    };
    let kind = &node.content_type.essence;
    let octets = node.body.len() as u64;
    let tiers = ctx.tiers(&node.content_type);
    let most = tiers.iter().map(|tier| tier.length.unwrap_or(u64::MAX)).max();
    match most {
        Some(most) if octets > most => too_large(format!(
            "the terminal takes {most} octets of {kind}, this part can't be made that small"
        )),
        _ => unsupported_type(ctx, kind),
    }
}

fn too_large(warning: String) -> Refusal {
    Refusal {
        status: 413,
        reason: "Request Entity Too Large".into(),
        warning,
        accept: None,
        accept_encoding: None,
    }
}

fn unsupported_type(ctx: &Context, kind: &str) -> Refusal {
    let accept = accepted_types(ctx);
    Refusal {
        status: 415,
        reason: "Unsupported Media Type".into(),
        warning: format!(
            "the terminal does not take {}, and nothing it takes can be made of it",
            printable(kind)
        ),
        accept: Some(accept),
        accept_encoding: None,
    }
}

fn unsupported_coding(ctx: &Context, coding: &str) -> Refusal {
    let taken = ctx.cpi.whole.iter().filter(|limit| limit.q > 0).map(|limit| limit.coding.as_str());
    let mut names: Vec<&str> = taken.collect();
    if names.is_empty() {
        names.push("identity");
    }
    names.dedup();
    Refusal {
        status: 415,
        reason: "Unsupported Media Type".into(),
        warning: format!("the terminal does not take the content coding {}", printable(coding)),
        accept: None,
        accept_encoding: Some(names.join(", ")),
    }
}

/// The types only: sizes and preferences of the callee are nobody's business (RFC 3841 §7.2.4).
fn accepted_types(ctx: &Context) -> String {
    let mut names: Vec<String> = Vec::new();
    for entry in ctx.cpi.media.iter().flatten().filter(|entry| entry.q > 0) {
        if !names.contains(&entry.range) {
            names.push(entry.range.clone());
        }
    }
    for implied in ctx.settings.implied.iter().filter(|implied| !implied.starts_with("multipart/")) {
        if ctx.type_quality(implied) > 0 && !names.iter().any(|name| name == implied) {
            names.push((*implied).to_owned());
        }
    }
    names.join(", ")
}

/// For a quoted string of a header.
fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')).take(80).collect()
}
