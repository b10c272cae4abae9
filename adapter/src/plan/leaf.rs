//! The variants of one unit (CPI.md §3.5): what applies to every kind, and texts.

use bytes::Bytes;
use cpi::matching;

use super::context::Context;
use super::protect::Guarding;
use super::unit::{Grade, Make, Unit, Variant};
use super::utility::Utility;
use super::{card, clip, cpim, link, picture, related};
use crate::job::Work;
use crate::mime::{ContentType, Node, Shape, TransferEncoding};
use crate::report::Action;
use crate::settings::Method;

/// Charsets a text can be converted to.
const CHARSETS: [&str; 3] = ["utf-8", "iso-8859-1", "us-ascii"];

/// Everything that can be done with the unit, links included.
pub(crate) fn variants(ctx: &Context, unit: &mut Unit) -> Vec<Variant> {
    let Some(node) = ctx.tree.node(unit.node) else { return Vec::new() };
    let octets = node.body.len() as u64;
    if let Guarding::Untouchable(why) = unit.guarding {
        return vec![Variant::new(Action::Protected, 1000, octets, Make::Carried, why)];
    }
    if let Shape::External(external) = &node.shape {
        return link::received(ctx, unit, node, external);
    }
    if link::goes_with_its_container(ctx, unit.node) {
        return link::variants(ctx, unit, node);
    }
    let mut all = match unit.guarding {
        Guarding::Free if node.content_type.is_kind("image") => picture::variants(ctx, unit, node),
        Guarding::Free if node.content_type.is_kind("text") => texts(ctx, unit, node),
        Guarding::Free => clip::variants(ctx, unit, node),
        _ => keep(ctx, node, unit.pixels).into_iter().collect(),
    };
    let inside = cpim::variant(ctx, unit, node, &mut all);
    all.extend(inside);
    if unit.guarding == Guarding::Free {
        all.extend(decoded(ctx, unit, node));
    }
    all.extend(link::variants(ctx, unit, node));
    if node.is_optional() && !unit.is_root && unit.node != 0 {
        let mut drop = Variant::new(Action::Drop, 0, 0, Make::Nothing, "the sender allows leaving it out");
        drop.ops = vec!["drop"];
        all.push(drop);
    }
    link::prefer(ctx, node, &mut all);
    all.sort_by_key(|variant| variant.action.number());
    all
}

/// V0, if the part is accepted as it is.
pub(crate) fn keep(ctx: &Context, node: &Node, pixels: Option<[u32; 2]>) -> Option<Variant> {
    keep_of(ctx, node, pixels, &[])
}

/// Likewise, with values of what `cpi.extensions` names.
pub(crate) fn keep_of(
    ctx: &Context,
    node: &Node,
    pixels: Option<[u32; 2]>,
    ext: &[(String, u64)],
) -> Option<Variant> {
    let octets = node.body.len() as u64;
    let q = ctx.quality_of(&node.content_type, octets, pixels, ext);
    let coding = node.content_encoding().unwrap_or_else(|| "identity".into());
    if q == 0 || matching::coding_quality(&ctx.cpi, &coding) == 0 {
        return None;
    }
    let why = if ctx.known { "the terminal takes it as it is" } else { "nothing is known of the terminal" };
    let mut kept = Variant::new(Action::Keep, Utility::kept(q).0, octets, Make::Carried, why);
    kept.pixels = pixels;
    Some(kept)
}

/// V1: SIP carries 8 bits, the transfer encoding only costs octets.
fn decoded(ctx: &Context, unit: &Unit, node: &Node) -> Option<Variant> {
    if node.transfer_encoding() == TransferEncoding::Identity {
        return None;
    }
    let content = unit.content.clone()?;
    let octets = content.len() as u64;
    let q = ctx.quality(&node.content_type, octets, unit.pixels);
    let charset_fits = !node.content_type.is_kind("text") || charset_ok(ctx, node, &content);
    (q > 0 && charset_fits).then(|| {
        let why = "without its transfer encoding it has fewer octets";
        let mut variant = Variant::new(Action::Decode, Utility::kept(q).0, octets, Make::Bytes(content), why);
        variant.ops = vec!["decode"];
        variant.pixels = unit.pixels;
        variant
    })
}

fn texts(ctx: &Context, unit: &Unit, node: &Node) -> Vec<Variant> {
    let Some(content) = &unit.content else { return keep(ctx, node, None).into_iter().collect() };
    let mut all = Vec::new();
    if charset_ok(ctx, node, content) {
        all.extend(keep(ctx, node, None));
    } else {
        all.extend(other_charsets(ctx, node, content));
    }
    let plain = ContentType::read(b"text/plain; charset=utf-8");
    if all.is_empty() && card::is_card(&node.content_type) {
        all.extend(card::variants(ctx, node, content));
    }
    let is_marked_up = ["text/html", "text/enriched"].iter().any(|markup| node.content_type.is(markup));
    if all.is_empty() && is_marked_up && ctx.quality(&plain, 0, None) > 0 {
        all.extend(as_plain(ctx, node, content));
    }
    all
}

/// V3 for a charset the terminal does not read. A text that can't be written in a charset makes the job fail; only
/// us-ascii spells out what it does not have.
fn other_charsets(ctx: &Context, node: &Node, content: &Bytes) -> Vec<Variant> {
    let from = node.content_type.param("charset").map(str::to_owned);
    let octets = content.len() as u64;
    let mut all = Vec::new();
    for to in CHARSETS.into_iter().filter(|to| matching::charset_ok(&ctx.cpi, to)) {
        let mut converted = node.content_type.clone();
        converted.params.retain(|(name, _)| name != "charset");
        converted.params.push(("charset".into(), to.into()));
        let q = ctx.quality(&converted, octets, None);
        if q == 0 {
            continue;
        }
        let work = Work::Charset { from: from.clone(), to: to.into() };
        let why = format!("the terminal does not read its charset, but reads {to}");
        let utility = Utility::kept(q).converted(to != "us-ascii");
        let mut variant = Variant::new(Action::Convert, utility.0, octets, Make::Job(work), why);
        variant.content_type = Some(converted.to_string());
        variant.ops = vec!["charset"];
        variant.limit = ctx.tiers(&converted).first().and_then(|tier| tier.length);
        all.push(variant);
    }
    all
}

/// V3 from HTML and text/enriched.
fn as_plain(ctx: &Context, node: &Node, content: &Bytes) -> Option<Variant> {
    let to = CHARSETS.into_iter().find(|to| matching::charset_ok(&ctx.cpi, to))?;
    let plain = ContentType::read(format!("text/plain; charset={to}").as_bytes());
    let tier = *ctx.tiers(&plain).first()?;
    // Reckoned rather too small: that costs one more round, too large costs the text.
    let octets = outside_tags(content).min(tier.length.unwrap_or(u64::MAX));
    let from = node.content_type.param("charset").map(str::to_owned);
    let work = if node.content_type.is("text/enriched") {
        Work::EnrichedToText { from, to: to.into() }
    } else {
        Work::HtmlToText { from, to: to.into() }
    };
    let why = format!("the terminal takes text/plain, but not {}", node.content_type.essence);
    let utility = Utility::kept(tier.q).converted(false);
    let mut variant = Variant::new(Action::Convert, utility.0, octets, Make::Job(work), why);
    variant.content_type = Some(plain.to_string());
    variant.ops = vec!["transcode"];
    variant.limit = tier.length;
    Some(variant)
}

/// Octets of a document that are not in its tags.
fn outside_tags(html: &[u8]) -> u64 {
    let mut inside = false;
    let mut octets = 0;
    for &octet in html {
        inside |= octet == b'<';
        octets += u64::from(!inside);
        inside &= octet != b'>';
    }
    octets
}

/// A part of a NOTIFY left out so that at least its root document arrives (CPI.md §3.8).
pub(crate) fn left_out(ctx: &Context, unit: &Unit) -> Option<Variant> {
    let in_document = unit.node != 0 && related::root(&ctx.tree, 0).is_some();
    let stays = unit.is_root || matches!(unit.guarding, Guarding::Untouchable(_));
    let known = unit.variants.iter().any(|variant| variant.action == Action::Drop);
    if ctx.settings.method != Method::Notify || !in_document || stays || known {
        return None;
    }
    let why = "the terminal can't take it, and a NOTIFY is not refused: the document comes alone";
    let mut drop = Variant::new(Action::Drop, 0, 0, Make::Nothing, why);
    drop.ops = vec!["drop"];
    drop.grade = Grade::RootOnly;
    Some(drop)
}

/// Text that names no charset is utf-8 (RFC 3261 §7.4.1).
fn charset_ok(ctx: &Context, node: &Node, content: &[u8]) -> bool {
    let named = node.content_type.param("charset").unwrap_or("utf-8");
    matching::charset_ok(&ctx.cpi, named)
        || (named.eq_ignore_ascii_case("utf-8")
            && content.is_ascii()
            && matching::charset_ok(&ctx.cpi, "us-ascii"))
}
