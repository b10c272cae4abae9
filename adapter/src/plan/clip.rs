//! The variants of sound, video and whatever else a converter of the caller's knows (CPI.md §3.5).

use std::sync::Arc;

use bytes::Bytes;

use super::context::Context;
use super::leaf::keep_of;
use super::unit::{Grade, Make, Unit, Variant};
use super::utility::Utility;
use crate::job::{Converter, Offer, Work};
use crate::mime::{ContentType, Node};
use crate::report::Action;

/// Offers of one converter for one part that are looked at.
const MOST_OFFERS: usize = 20;

/// As it is, or by a converter. Sets the unit's pixels.
pub(crate) fn variants(ctx: &Context, unit: &mut Unit, node: &Node) -> Vec<Variant> {
    let content = unit.content.clone().unwrap_or_default();
    let known = ctx
        .settings
        .converters
        .0
        .iter()
        .find_map(|converter| Some((converter, converter.probe(&node.content_type.written, &content)?)));
    let (converter, traits) = match known {
        Some((converter, traits)) => (Some(converter), traits),
        None => (None, Default::default()),
    };
    unit.pixels = traits.pixels;
    let kept = keep_of(ctx, node, traits.pixels, &traits.ext);
    let mut all: Vec<Variant> = kept.into_iter().collect();
    let Some(converter) = converter.filter(|_| unit.content.is_some()) else { return all };
    if !all.is_empty() && !ctx.limits.exist() {
        return all;
    }
    let clip = Clip { ctx, node, converter, content: &content, pixels: unit.pixels };
    let made = clip.made(!all.is_empty());
    all.extend(made);
    all
}

struct Clip<'a> {
    ctx: &'a Context,
    node: &'a Node,
    converter: &'a Arc<dyn Converter>,
    content: &'a Bytes,
    pixels: Option<[u32; 2]>,
}

/// An offer that the terminal takes.
struct Found {
    q: u16,
    /// Whether it is of the type that came.
    is_own: bool,
    /// Whether it is larger than the terminal takes, so that it would have to come out smaller than offered.
    is_over: bool,
    essence: String,
    variant: Variant,
}

impl Clip<'_> {
    /// What can be made of it. Of what is taken as it is only smaller forms of its own type, and only for a budget (V5); of
    /// what is not, its own type if some tier of it can be met (V4), else the types that are liked best (V3).
    fn made(&self, is_kept: bool) -> Vec<Variant> {
        let written = &self.node.content_type.written;
        let wants = |media_type: &str| self.ctx.wants(media_type);
        let offers = self.converter.offers(written, self.content, &wants);
        let mut found: Vec<Found> =
            offers.into_iter().take(MOST_OFFERS).filter_map(|offer| self.variant(offer, is_kept)).collect();
        let has_own = found.iter().any(|found| found.is_own);
        if has_own || is_kept {
            found.retain(|found| found.is_own);
        }
        let best = found.iter().map(|found| found.q).max().unwrap_or(0);
        found.retain(|found| found.q == best);
        // What would have to be squeezed counts only where nothing of that type fits as it is offered.
        let fitting: Vec<String> =
            found.iter().filter(|found| !found.is_over).map(|found| found.essence.clone()).collect();
        found.retain(|found| !found.is_over || !fitting.contains(&found.essence));
        found.into_iter().map(|found| found.variant).collect()
    }

    fn variant(&self, offer: Offer, is_kept: bool) -> Option<Found> {
        let new = ContentType::read(offer.media_type.as_bytes());
        let is_own = new.essence == self.node.content_type.essence;
        let limit = self.ctx.tiers(&new).first().and_then(|tier| tier.length);
        // It is made to fit the limit of its type if it can be at all.
        let octets = limit.map_or(offer.octets, |limit| offer.octets.min(limit));
        let is_over = offer.octets > octets;
        let pixels = offer.shape.pixels;
        let q = self.ctx.quality_of(&new, octets, pixels, &offer.ext);
        if q == 0 || (is_kept && octets >= self.node.body.len() as u64) {
            return None;
        }
        let mut utility = Utility::kept(q);
        if !is_own {
            utility = utility.converted(false);
        }
        // A picture of a video is another thing than the video, whatever its width.
        let same_kind = new.essence.split('/').next() == self.node.content_type.essence.split('/').next();
        if let (Some([wide, _]), Some([old, _]), true) = (pixels, self.pixels, same_kind) {
            utility = utility.scaled(wide, old);
        }
        utility = utility.at_quality(offer.fidelity);
        let action = match (is_kept, is_own) {
            (true, _) => Action::Shrink,
            (false, true) => Action::Scale,
            (false, false) => Action::Convert,
        };
        let why = self.why(&new, is_own, is_kept);
        let content_type = (new.written != self.node.content_type.written).then(|| new.written.clone());
        let converter = Arc::clone(self.converter);
        let work = Work::Convert { converter, from: self.node.content_type.written.clone(), offer };
        let mut variant = Variant::new(action, utility.0, octets, Make::Job(work), why);
        variant.content_type = content_type;
        variant.ops = vec![if is_own { "recompress" } else { "transcode" }];
        variant.limit = limit;
        variant.pixels = pixels;
        variant.grade = if is_kept { Grade::Pressure } else { Grade::Natural };
        Some(Found { q, is_own, is_over, essence: new.essence, variant })
    }

    fn why(&self, new: &ContentType, is_own: bool, is_kept: bool) -> String {
        let own = &self.node.content_type.essence;
        match (is_own, is_kept) {
            (true, true) => "the message has few octets".to_owned(),
            (true, false) => format!("the terminal takes {own}, but not like this"),
            (false, _) => format!("the terminal does not take {own} like this, but {}", new.essence),
        }
    }
}
