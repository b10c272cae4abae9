//! Links in place of parts: V6, V7, and references in the root of a multipart/related (CPI.md §3.5, §4).

use bytes::Bytes;
use cpi::matching;

use super::context::Context;
use super::protect::Guarding;
use super::related::Related;
use super::unit::{Grade, Make, Unit, Variant};
use super::utility::Utility;
use super::{picture, related};
use crate::mime::{ContentType, External, Node, TransferEncoding};
use crate::rebuild::external::{self, Inner, LinkText};
use crate::report::Action;
use crate::settings::Linking;

/// The links the unit can be replaced by.
pub(crate) fn variants(ctx: &Context, unit: &Unit, node: &Node) -> Vec<Variant> {
    let Some(shape) = ctx.settings.links else { return Vec::new() };
    if unit.is_root || !unit.guarding.is_storable() {
        return Vec::new();
    }
    let link = LinkText::placeholder(shape.url_octets);
    if let Some(related) = shown_by(ctx, unit.node) {
        return vec![by_reference(ctx, unit, node, related, &link)];
    }
    let served = served_type(ctx, unit, node);
    let mut all = Vec::new();
    if let Some(related) = shown_by_presence(ctx, unit.node)
        && !matching::accepts_external_body(&ctx.cpi, &served, ctx.options())
    {
        return vec![by_reference(ctx, unit, node, related, &link)];
    }
    if !ctx.known && ctx.settings.linking == Linking::UnknownTerminal {
        all.push(either(ctx, unit, node, &link));
    } else if matching::accepts_external_body(&ctx.cpi, &served, ctx.options()) {
        let octets =
            body(ctx, unit, node, &external::content_id_placeholder(&ctx.settings.host)).len() as u64;
        let utility = Utility::linked(ctx.type_quality(&served));
        let mut variant = Variant::new(Action::Link, utility.0, octets, Make::Link, why(unit));
        variant.ops = vec!["indirect"];
        all.push(variant);
    }
    if matches!(unit.guarding, Guarding::Unit(_)) {
        return all;
    }
    let (content, _) = stored(ctx, unit);
    let text = external::as_text(node, &node.content_type.essence, content.len() as u64, &link.url);
    all.extend(as_text(ctx, &served, text.len() as u64, Make::LinkText, why(unit)));
    all
}

/// Both kinds of links for a terminal of which nobody knows what it takes (CPI.md C3).
fn either(ctx: &Context, unit: &Unit, node: &Node, link: &LinkText) -> Variant {
    let hash = is_fixed(ctx, unit).then(|| "x".repeat(40));
    let content_id = external::content_id_placeholder(&ctx.settings.host);
    let octets = alternatives(ctx, unit, node, link, &content_id, hash.as_deref()).len() as u64;
    let why = "nothing is known of the terminal: it gets a link it can follow and one that people can";
    let mut variant =
        Variant::new(Action::Link, Utility::linked(cpi::Q_MAX).0, octets, Make::LinkEither, why);
    variant.ops = vec!["indirect"];
    variant.content_type = Some(external::ALTERNATIVE.into());
    variant
}

/// The body of a multipart/alternative of both kinds of links, the plainest first (RFC 2046 §5.1.4).
pub(crate) fn alternatives(
    ctx: &Context,
    unit: &Unit,
    node: &Node,
    link: &LinkText,
    content_id: &str,
    hash: Option<&str>,
) -> Bytes {
    let (content, _) = stored(ctx, unit);
    let text = external::as_text(node, &node.content_type.essence, content.len() as u64, &link.url);
    let external_type = external::content_type(link, content.len(), hash);
    external::alternatives(&text, &external_type, &body(ctx, unit, node, content_id))
}

/// What can be done with an external-body that came in: it is never fetched (CPI.md C5).
pub(crate) fn received(ctx: &Context, unit: &Unit, node: &Node, link: &External) -> Vec<Variant> {
    let octets = node.body.len() as u64;
    if let Some(related) = left_of(ctx, unit.node) {
        return by_their_reference(link, related, unit.node).into_iter().collect();
    }
    let q = ctx.quality(&node.content_type, octets, None);
    if q > 0 {
        let why = "the terminal takes links";
        return vec![Variant::new(Action::Keep, Utility::kept(q).0, octets, Make::Carried, why)];
    }
    let Some(url) = link.web_url().filter(|_| unit.guarding == Guarding::Free) else { return Vec::new() };
    let inner = link.inner_type.as_deref().unwrap_or("application/octet-stream");
    let text = external::received_as_text(link, url);
    let why = "the terminal does not take message/external-body, but text";
    let make = Make::TheirLink(url.to_owned());
    let mut all: Vec<Variant> =
        as_text(ctx, inner, text.len() as u64, make, why.into()).into_iter().collect();
    if node.is_optional() && unit.node != 0 {
        let mut drop = Variant::new(Action::Drop, 0, 0, Make::Nothing, "the sender allows leaving it out");
        drop.ops = vec!["drop"];
        all.push(drop);
    }
    all
}

/// CPI.md §3.7 I2: what comes before any adapting.
pub(crate) fn prefer(ctx: &Context, node: &Node, all: &mut [Variant]) {
    let any_link = |variant: &Variant| variant.needs_link();
    let no_text = |variant: &Variant| matches!(variant.make, Make::Link | Make::Reference);
    let first = match ctx.settings.linking {
        Linking::AsNeeded => return,
        Linking::UnknownTerminal if ctx.known => return,
        Linking::UnknownTerminal => all.iter().any(any_link),
        Linking::Always => all.iter().any(no_text),
    };
    if !first || node.content_type.is("text/plain") {
        return;
    }
    for variant in all.iter_mut().filter(|variant| !variant.needs_link()) {
        variant.grade = Grade::Reserve;
    }
}

/// The octets to store, and whether they are still in the part's transfer encoding.
pub(crate) fn stored(ctx: &Context, unit: &Unit) -> (Bytes, bool) {
    let carried = ctx.tree.carried(unit.node);
    let encoding = ctx.tree.node(unit.node).map_or(TransferEncoding::Identity, Node::transfer_encoding);
    if encoding == TransferEncoding::Identity {
        return (carried, false);
    }
    match (unit.guarding, &unit.content) {
        // HTTP has no transfer encoding: who follows the link would get the encoded text for the picture.
        (Guarding::Free | Guarding::Unaltered(_), Some(content)) => (content.clone(), false),
        _ => (carried, true),
    }
}

/// Whether a fetch must give the very octets.
pub(crate) fn is_fixed(ctx: &Context, unit: &Unit) -> bool {
    unit.guarding != Guarding::Free || ctx.settings.links.is_none_or(|links| !links.adaptive)
}

/// The type the store will serve: its own, or one the terminal takes that it can be made into at the fetch.
pub(crate) fn served_type(ctx: &Context, unit: &Unit, node: &Node) -> String {
    let own = node.content_type.essence.clone();
    if ctx.type_quality(&own) > 0 || is_fixed(ctx, unit) {
        return own;
    }
    let candidates: Vec<&str> = match () {
        () if unit.pixels.is_some() => {
            picture::WRITTEN.into_iter().filter_map(|kind| picture::name(ctx, kind)).collect()
        }
        () if node.content_type.is("text/html") => vec!["text/plain"],
        () => Vec::new(),
    };
    // The first of equals.
    let best = candidates.into_iter().rev().max_by_key(|candidate| ctx.type_quality(candidate));
    best.filter(|best| ctx.type_quality(best) > 0).map_or(own, str::to_owned)
}

/// The complete Content-Type of what is served.
pub(crate) fn served_content_type(ctx: &Context, unit: &Unit, node: &Node) -> String {
    let served = served_type(ctx, unit, node);
    if served == node.content_type.essence { node.content_type.written.clone() } else { served }
}

/// The body of the external-body part.
pub(crate) fn body(ctx: &Context, unit: &Unit, node: &Node, content_id: &str) -> Bytes {
    let content_type = served_content_type(ctx, unit, node);
    let (_, encoded) = stored(ctx, unit);
    external::inner_header(&Inner {
        node,
        content_type: &content_type,
        content_id: content_id.into(),
        encoded,
    })
}

/// V7, if such a text is taken.
fn as_text(ctx: &Context, served: &str, octets: u64, make: Make, why: String) -> Option<Variant> {
    let text = ContentType::read(b"text/plain; charset=utf-8");
    let text_q = ctx.quality(&text, octets, None);
    if text_q == 0 {
        return None;
    }
    let q = match ctx.type_quality(served) {
        0 => text_q,
        q => q,
    };
    let mut variant = Variant::new(Action::LinkText, Utility::linked_as_text(q).0, octets, make, why);
    variant.ops = vec!["indirect"];
    variant.content_type = Some("text/plain; charset=utf-8".into());
    Some(variant)
}

fn why(unit: &Unit) -> String {
    match unit.guarding.why() {
        Some(why) => format!("it can't be sent as it is, and {why}: the store serves these very octets"),
        None => "it can't be sent, or only worse than a link: the store serves it".into(),
    }
}

/// The multipart/related whose root shows this part and can be rewritten. A presence document is only when its
/// container goes (CPI.md P5).
fn shown_by(ctx: &Context, node: usize) -> Option<&Related> {
    use crate::rebuild::layout::Doc;
    let mut others = ctx.related.iter().filter(|related| related.doc != Doc::Presence || related.collapses);
    others.find(|related| related.shows(node))
}

/// The presence document that shows this part, if its container stays.
fn shown_by_presence(ctx: &Context, node: usize) -> Option<&Related> {
    use crate::rebuild::layout::Doc;
    ctx.related.iter().find(|related| related.doc == Doc::Presence && related.shows(node))
}

/// Whether the part's container goes, so that only a reference is left of it.
pub(crate) fn goes_with_its_container(ctx: &Context, node: usize) -> bool {
    left_of(ctx, node).is_some()
}

/// The document that is left of a container which goes, if it shows that part of it.
fn left_of(ctx: &Context, node: usize) -> Option<&Related> {
    let mut going = ctx.related.iter().filter(|related| related.collapses && related.shows(node));
    going.find(|related| related::holders(&ctx.tree, node).any(|id| id == related.container))
}

fn by_reference(ctx: &Context, unit: &Unit, node: &Node, related: &Related, link: &LinkText) -> Variant {
    let q = match ctx.type_quality(&node.content_type.essence) {
        0 => cpi::Q_MAX,
        q => q,
    };
    let longer: usize = related
        .octets(unit.node)
        .map(|octets| link.url.len().saturating_sub(octets) + node.content_type.essence.len() + 16)
        .sum();
    let why = if related.collapses {
        "the terminal does not take multipart/related: the document shows it from the store"
    } else {
        "the document shows it from the store"
    };
    let utility = Utility::linked(q);
    let mut variant = Variant::new(Action::LinkReference, utility.0, longer as u64, Make::Reference, why);
    variant.ops = vec!["layout", "indirect"];
    variant.demanded = fetched_size(ctx, unit, &served_type(ctx, unit, node));
    variant
}

/// The size in which the terminal will see a picture that it fetches from the store, if it is not the picture's own.
fn fetched_size(ctx: &Context, unit: &Unit, served: &str) -> Option<[u32; 2]> {
    let [width, height] = unit.pixels.filter(|_| !is_fixed(ctx, unit))?;
    let tiers = ctx.tiers(&ContentType::new(served));
    let size = tiers.iter().find_map(|tier| matching::fit(width, height, &tier.pix_x, &tier.pix_y))?;
    (size != (width, height)).then_some([size.0, size.1])
}

/// The link that came in, said by the document itself.
fn by_their_reference(link: &External, related: &Related, child: usize) -> Option<Variant> {
    let url = link.web_url()?;
    let media_type = link.inner_type.clone();
    let said = media_type.as_ref().map_or(0, |said| said.len() + 16);
    let longer: usize = related.octets(child).map(|octets| url.len().saturating_sub(octets) + said).sum();
    let why = "the terminal does not take multipart/related: the document says the link itself";
    let make = Make::TheirReference(url.to_owned(), media_type);
    let mut variant =
        Variant::new(Action::LinkReference, Utility::linked(cpi::Q_MAX).0, longer as u64, make, why);
    variant.ops = vec!["layout", "indirect"];
    Some(variant)
}
