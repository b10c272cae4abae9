//! The variants of a picture (CPI.md §3.5 V2 to V5).

use bytes::Bytes;
use cpi::matching::fit;

use super::context::{Context, Step};
use super::leaf::keep;
use super::unit::{Grade, Make, Unit, Variant};
use super::utility::Utility;
use crate::image::{self, Kind, Probe, Spec};
use crate::job::Work;
use crate::mime::{ContentType, Node};
use crate::report::Action;

/// The grid of V5.
const QUALITIES: [u8; 5] = [85, 75, 65, 50, 35];
const COLOURS: [u16; 3] = [256, 64, 16];
/// 1, 3/4, 9/16, 27/64.
const SCALES: [(u32, u32); 4] = [(1, 1), (3, 4), (9, 16), (27, 64)];
/// The formats V3 can make, in the order of preference among equals.
pub(crate) const WRITTEN: [Kind; 6] = [Kind::Jpeg, Kind::Png, Kind::Gif, Kind::Webp, Kind::Bmp, Kind::Wbmp];
/// No side is made smaller by V5.
const LEAST_SIDE: u32 = 32;

/// V0 to V5. Sets the unit's pixels.
pub(crate) fn variants(ctx: &Context, unit: &mut Unit, node: &Node) -> Vec<Variant> {
    let content = unit.content.clone().unwrap_or_default();
    let Ok(probe) = image::probe_within(&content, &ctx.settings.guards.image) else {
        return keep(ctx, node, None).into_iter().collect();
    };
    unit.pixels = Some([probe.width, probe.height]);
    let picture = Picture { ctx, node, content: &content, probe: &probe };
    let mut all: Vec<Variant> = keep(ctx, node, unit.pixels).into_iter().collect();
    let own = picture.own_type();
    let found = own.map(|(kind, own)| picture.reach(kind, &own)).unwrap_or_default();
    if let Some(kept) = all.first_mut() {
        kept.why = format!(
            "the terminal takes {} of {}x{} as it is",
            node.content_type.essence, probe.width, probe.height
        );
    }
    // A tier below one that can be reached counts only when nothing else does.
    let better = found.iter().map(|found| found.q).max().unwrap_or(0);
    for kept in all.iter_mut().filter(|kept| kept.utility < u32::from(better) && ctx.honours_tiers()) {
        kept.grade = Grade::Reserve;
    }
    all.extend(found.into_iter().flat_map(|found| found.variants));
    if all.is_empty() {
        all.extend(picture.renamed());
    }
    if all.is_empty() {
        all.extend(picture.converted());
    }
    all.extend(picture.stripped());
    all
}

/// The name a picture of that format may be sent under: the one the terminal lists, or the registered one of a format
/// that `image/*` can be trusted with.
pub(crate) fn name(ctx: &Context, kind: Kind) -> Option<&'static str> {
    let listed = kind.names().iter().copied().find(|name| ctx.lists(name));
    listed.or_else(|| kind.is_common().then(|| kind.media_type()))
}

struct Picture<'a> {
    ctx: &'a Context,
    node: &'a Node,
    content: &'a Bytes,
    probe: &'a Probe,
}

/// What reaches one tier.
struct Reached {
    q: u16,
    variants: Vec<Variant>,
}

impl Picture<'_> {
    /// The format its type names, if we write it, and the type.
    fn own_type(&self) -> Option<(Kind, ContentType)> {
        let kind = Kind::of_type(&self.node.content_type.essence).filter(|kind| kind.is_writable())?;
        Some((kind, self.node.content_type.clone()))
    }

    /// The highest tier of a type that can be reached by fewer pixels or octets. With `cpi.tiers=minimal` nothing,
    /// if the picture already fits one. Under a budget also what saves octets in the tier it is in.
    fn reach(&self, kind: Kind, media_type: &ContentType) -> Vec<Reached> {
        let carried = self.node.body.len() as u64;
        let kept = self.ctx.quality(media_type, carried, Some([self.probe.width, self.probe.height]));
        for tier in self.ctx.tiers(media_type) {
            let Some((width, height)) = fit(self.probe.width, self.probe.height, &tier.pix_x, &tier.pix_y)
            else {
                continue;
            };
            let same = (width, height) == (self.probe.width, self.probe.height);
            let as_is = same && tier.q == kept && kind == self.probe.kind;
            if kept > 0 && (as_is || (!self.ctx.honours_tiers() && tier.q <= kept)) {
                return self.pressed(kind, media_type, &tier, width, height);
            }
            if kept > 0 && !self.ctx.honours_tiers() {
                continue;
            }
            let variants = self.grid(kind, media_type, &tier, [width, height]);
            if !variants.is_empty() {
                return vec![Reached { q: tier.q, variants }];
            }
        }
        Vec::new()
    }

    /// It stays in its tier; smaller forms are there for a budget only.
    fn pressed(
        &self,
        kind: Kind,
        media_type: &ContentType,
        tier: &Step,
        width: u32,
        height: u32,
    ) -> Vec<Reached> {
        if !self.ctx.limits.exist() {
            return Vec::new();
        }
        let mut variants = self.grid(kind, media_type, tier, [width, height]);
        for variant in &mut variants {
            variant.grade = variant.grade.max(Grade::Pressure);
        }
        vec![Reached { q: 0, variants }]
    }

    /// The same octets under the name the terminal has for their format.
    fn renamed(&self) -> Option<Variant> {
        let known = ContentType::new(name(self.ctx, self.probe.kind)?);
        let pixels = [self.probe.width, self.probe.height];
        let q = self.ctx.quality(&known, self.content.len() as u64, Some(pixels));
        if q == 0 || known.essence == self.node.content_type.essence {
            return None;
        }
        let why = format!("the terminal knows it as {}", known.essence);
        let make = Make::Bytes(self.content.clone());
        let octets = self.content.len() as u64;
        let mut variant = Variant::new(Action::Convert, Utility::kept(q).0, octets, make, why);
        variant.ops = vec!["transcode"];
        variant.pixels = Some(pixels);
        variant.content_type = Some(known.essence);
        Some(variant)
    }

    /// V3 to the accepted type of the highest q that we write; black and white only if there is no other.
    fn converted(&self) -> Vec<Variant> {
        let own = self.node.content_type.essence.as_str();
        let mut reached: Vec<(Kind, Reached)> = WRITTEN
            .into_iter()
            .flat_map(|kind| name(self.ctx, kind).into_iter().map(move |name| (kind, name)))
            .filter(|(_, name)| *name != own)
            .filter_map(|(kind, name)| Some((kind, self.reach_new(kind, name)?)))
            .collect();
        let best = reached.iter().map(|(_, reached)| reached.q).max().unwrap_or(0);
        reached.retain(|(_, reached)| reached.q == best);
        if reached.iter().any(|(kind, _)| *kind != Kind::Wbmp) {
            reached.retain(|(kind, _)| *kind != Kind::Wbmp);
        }
        reached.into_iter().flat_map(|(_, reached)| reached.variants).collect()
    }

    fn reach_new(&self, kind: Kind, name: &str) -> Option<Reached> {
        let media_type = ContentType::new(name);
        for tier in self.ctx.tiers(&media_type) {
            let size = fit(self.probe.width, self.probe.height, &tier.pix_x, &tier.pix_y);
            let Some((width, height)) = size else { continue };
            let variants = self.grid(kind, &media_type, &tier, [width, height]);
            if !variants.is_empty() {
                return Some(Reached { q: tier.q, variants });
            }
        }
        None
    }

    /// The tier's size at full quality if that has few enough octets, and the grid of V5 as far as it is needed.
    fn grid(&self, kind: Kind, media_type: &ContentType, tier: &Step, size: [u32; 2]) -> Vec<Variant> {
        let plain = self.variant(kind, media_type, tier, size, size, Knob::None);
        let inside = |variant: &Variant| tier.length.is_none_or(|length| variant.octets <= length);
        let fits = inside(&plain);
        let [width, height] = size;
        let changed = kind != self.probe.kind || size != [self.probe.width, self.probe.height];
        let mut all: Vec<Variant> = Vec::new();
        if fits && (changed || self.node.content_type.essence != media_type.essence) {
            all.push(plain.clone());
        }
        if fits && !self.ctx.limits.exist() {
            return all;
        }
        let knobs = knobs(kind);
        let floor = [tier.pix_x.lo, tier.pix_y.lo].map(|lo| lo.unwrap_or(0).max(LEAST_SIDE.into()));
        let mut smallest: Option<Variant> = None;
        for (numerator, denominator) in SCALES {
            let scaled =
                [width, height].map(|side| u64::from(side) * u64::from(numerator) / u64::from(denominator));
            let small = scaled.iter().zip(floor).any(|(&side, least)| side < least);
            if small && numerator != denominator {
                break;
            }
            let scaled = scaled.map(|side| u32::try_from(side.max(1)).unwrap_or(u32::MAX));
            for &knob in &knobs {
                let mut step = self.variant(kind, media_type, tier, size, scaled, knob);
                step.grade = if fits { Grade::Pressure } else { Grade::Natural };
                if self.is_poor(&step, size, tier.q) {
                    step.grade = Grade::Reserve;
                } else if let Make::Job(Work::Image(spec)) = &mut step.make {
                    // The encoder's own search must not end below what was just found too poor.
                    spec.floor.width = spec.floor.width.max(spec.width.min(self.probe.width / 4));
                }
                if smallest.as_ref().is_none_or(|smallest| step.octets < smallest.octets) {
                    smallest = Some(step.clone());
                }
                if inside(&step) {
                    all.push(step);
                }
            }
        }
        all.extend(smallest.map(|smallest| self.last_try(kind, smallest, tier, floor)));
        all
    }

    /// The lowest step, reckoned with the fewest octets that the encoder's own search may reach below it.
    fn last_try(&self, kind: Kind, smallest: Variant, tier: &Step, floor: [u64; 2]) -> Variant {
        let mut size = smallest.pixels.unwrap_or([self.probe.width, self.probe.height]);
        loop {
            let less = size.map(|side| side / 4 * 3);
            if less.iter().zip(floor).any(|(&side, least)| u64::from(side) < least) {
                break;
            }
            size = less;
        }
        let [width, height] = size;
        let mut spec = Spec::new(kind, width, height);
        spec.quality = QUALITIES.into_iter().min().unwrap_or(spec.quality);
        spec.palette = knobs(kind).contains(&Knob::Colours(16)).then_some(16);
        let predicted = self.predicted(&spec);
        let octets = tier.length.map_or(predicted, |length| predicted.min(length));
        let mut last = Variant { grade: Grade::Reserve, octets, ..smallest };
        if let Make::Job(Work::Image(spec)) = &mut last.make {
            spec.floor = image::Floor::LOWEST;
            spec.floor.width = floor_of(tier.pix_x.lo, spec.floor.width);
            spec.floor.height = floor_of(tier.pix_y.lo, spec.floor.height);
        }
        last
    }

    /// CPI.md §3.7 I1: what a link would serve better.
    fn is_poor(&self, variant: &Variant, demanded: [u32; 2], q: u16) -> bool {
        let [wide, _] = variant.pixels.unwrap_or(demanded);
        let narrow = demanded.first().is_some_and(|&demanded| wide < demanded) && wide < self.probe.width / 4;
        narrow || variant.utility * 1000 < 350 * u32::from(q)
    }

    fn variant(
        &self,
        kind: Kind,
        media_type: &ContentType,
        tier: &Step,
        demanded: [u32; 2],
        size: [u32; 2],
        knob: Knob,
    ) -> Variant {
        let [width, height] = size;
        let transcoded = media_type.essence != self.node.content_type.essence || kind != self.probe.kind;
        let scaled = size != [self.probe.width, self.probe.height];
        let pressed = knob != Knob::None || size != demanded;
        let mut spec = Spec::new(kind, width, height);
        let mut utility = Utility::kept(tier.q);
        if transcoded {
            utility = utility.converted(is_lossless(self.probe.kind) && kind.is_lossless());
        }
        if scaled {
            utility = utility.scaled(width, self.probe.width);
        }
        match knob {
            Knob::None => {}
            Knob::Quality(quality) => {
                spec.quality = quality;
                utility = utility.at_quality(quality);
            }
            Knob::Colours(colours) => {
                spec.palette = Some(colours);
                utility = utility.with_colours(colours);
            }
        }
        spec.floor.width = floor_of(tier.pix_x.lo, spec.floor.width);
        spec.floor.height = floor_of(tier.pix_y.lo, spec.floor.height);
        let octets = self.predicted(&spec);
        let action = match (pressed, scaled, transcoded) {
            (true, ..) => Action::Shrink,
            (_, _, true) => Action::Convert,
            _ => Action::Scale,
        };
        let why = self.why(media_type, tier, demanded, action);
        let mut variant = Variant::new(action, utility.0, octets, Make::Job(Work::Image(spec)), why);
        variant.limit = tier.length;
        variant.pixels = Some(size);
        variant.demanded = (demanded != [self.probe.width, self.probe.height]).then_some(demanded);
        variant.content_type =
            (media_type.essence != self.node.content_type.essence).then(|| media_type.essence.clone());
        let done =
            [("transcode", transcoded), ("scale", scaled), ("recompress", pressed && knob != Knob::None)];
        variant.ops = done.into_iter().filter(|(_, done)| *done).map(|(op, _)| op).collect();
        variant
    }

    /// Drawings are far smaller than the model, made for photos, says; a smaller one is hardly larger than it was.
    /// Saying too little costs one more round, saying too much costs the picture.
    fn predicted(&self, spec: &Spec) -> u64 {
        let carried = self.content.len() as u64;
        let drawn = |kind: Kind| matches!(kind, Kind::Png | Kind::Gif);
        let most = if drawn(self.probe.kind) && drawn(spec.kind) { carried * 2 + 2048 } else { u64::MAX };
        image::predict(self.probe, carried, spec).min(most)
    }

    fn why(&self, media_type: &ContentType, tier: &Step, demanded: [u32; 2], action: Action) -> String {
        let mut why = String::new();
        let own = &self.node.content_type.essence;
        if media_type.essence != *own {
            why.push_str(&format!(
                "the terminal does not take {own} like this, but {}; ",
                media_type.essence
            ));
        }
        let [width, height] = demanded;
        if demanded != [self.probe.width, self.probe.height] {
            let bounds = match (tier.pix_x.hi, tier.pix_y.hi) {
                (Some(wide), Some(high)) => format!("{wide}x{high} pixels"),
                (Some(wide), None) => format!("{wide} pixels of width"),
                (_, high) => format!("{} pixels of height", high.unwrap_or_default()),
            };
            why.push_str(&format!("it takes up to {bounds}, the picture becomes {width}x{height}; "));
        }
        if action == Action::Shrink {
            match tier.length {
                Some(length) => why.push_str(&format!("it takes {length} octets of it; ")),
                None => why.push_str("the message has few octets; "),
            }
        }
        why.trim_end_matches("; ").to_owned()
    }

    /// V2: the same picture without its metadata; only for the octets it saves.
    fn stripped(&self) -> Option<Variant> {
        if !self.probe.metadata || (!self.ctx.limits.exist() && self.kept().is_some()) {
            return None;
        }
        let stripped = image::strip(self.content)?;
        let octets = stripped.len() as u64;
        let q =
            self.ctx.quality(&self.node.content_type, octets, Some([self.probe.width, self.probe.height]));
        if q == 0 {
            return None;
        }
        let why = "without its metadata it has fewer octets";
        let mut variant = Variant::new(Action::Strip, Utility::kept(q).0, octets, Make::Bytes(stripped), why);
        variant.ops = vec!["strip"];
        variant.pixels = Some([self.probe.width, self.probe.height]);
        variant.grade = if self.kept().is_some() { Grade::Pressure } else { Grade::Natural };
        Some(variant)
    }

    fn kept(&self) -> Option<Variant> {
        keep(self.ctx, self.node, Some([self.probe.width, self.probe.height]))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knob {
    None,
    Quality(u8),
    Colours(u16),
}

fn knobs(kind: Kind) -> Vec<Knob> {
    match kind {
        Kind::Jpeg => QUALITIES.into_iter().map(Knob::Quality).collect(),
        Kind::Png | Kind::Gif | Kind::Bmp => COLOURS.into_iter().map(Knob::Colours).collect(),
        Kind::Webp | Kind::Tiff | Kind::Ico | Kind::Wbmp => vec![Knob::None],
    }
}

/// GIF has lost its colours before it comes to us: making it a PNG loses nothing more.
fn is_lossless(source: Kind) -> bool {
    !matches!(source, Kind::Jpeg | Kind::Webp)
}

fn floor_of(lo: Option<u64>, least: u32) -> u32 {
    lo.and_then(|lo| u32::try_from(lo).ok()).map_or(least, |lo| lo.max(least))
}
