//! The variants of a vCard: the version that the terminal takes (CPI.md §3.5 V3).
//!
//! Which version a terminal means is in the media type: `text/vcard` is 4.0 (RFC 6350 §10.1) unless it says `version=3.0`,
//! `text/directory;profile=vCard` is 3.0 (RFC 2426), and `text/x-vcard` is what phones called 2.1.

use bytes::Bytes;
use cpi::matching;

use super::context::Context;
use super::unit::{Make, Variant};
use super::utility::Utility;
use crate::job::Work;
use crate::mime::{ContentType, Node};
use crate::report::Action;
use crate::text::Version;

/// Types with their versions, the one that says most first.
const FORMS: [(&str, Version); 4] = [
    ("text/vcard; charset=utf-8", Version::V40),
    ("text/vcard; version=3.0; charset=utf-8", Version::V30),
    ("text/directory; profile=vCard; charset=utf-8", Version::V30),
    ("text/x-vcard; charset=utf-8", Version::V21),
];

/// Whether it is one.
pub(super) fn is_card(content_type: &ContentType) -> bool {
    let is_profile =
        || content_type.param("profile").is_some_and(|profile| profile.eq_ignore_ascii_case("vcard"));
    content_type.is("text/vcard")
        || content_type.is("text/x-vcard")
        || (content_type.is("text/directory") && is_profile())
}

/// The other versions that the terminal takes, of those it likes best.
pub(super) fn variants(ctx: &Context, node: &Node, content: &Bytes) -> Vec<Variant> {
    if !matching::charset_ok(&ctx.cpi, "utf-8") && !content.is_ascii() {
        return Vec::new();
    }
    let octets = content.len() as u64;
    let own = &node.content_type.essence;
    let mut found: Vec<(u16, Variant)> = Vec::new();
    for (written, version) in FORMS {
        let new = ContentType::read(written.as_bytes());
        let limit = ctx.tiers(&new).first().and_then(|tier| tier.length);
        // Versions write the same in about as many octets; what comes out is asked again.
        let q = ctx.quality(&new, octets.min(limit.unwrap_or(u64::MAX)), None);
        if q == 0 || new.essence == *own && !written.contains("version=") {
            continue;
        }
        let from = node.content_type.param("charset").map(str::to_owned);
        let work = Work::Cards { from, to: version, media_type: new.essence.clone() };
        let why = format!("the terminal does not take {own}, but {}", new.essence);
        let utility = Utility::kept(q).converted(version == Version::V40);
        let mut variant = Variant::new(Action::Convert, utility.0, octets, Make::Job(work), why);
        variant.content_type = Some(new.written.clone());
        variant.ops = vec!["transcode"];
        variant.limit = limit;
        found.push((q, variant));
    }
    let best = found.iter().map(|(q, _)| *q).max().unwrap_or(0);
    let mut best: Vec<Variant> =
        found.into_iter().filter(|(q, _)| *q == best).map(|(_, variant)| variant).collect();
    // The first says most; of equals the choice would take the one of fewest octets.
    best.truncate(1);
    best
}
