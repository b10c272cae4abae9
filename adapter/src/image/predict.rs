//! What a picture will need, before it is made. Fitted to photos, drawings and screenshots, as bits per pixel
//! that grow as a picture shrinks (its detail moves together); the octets of the file that came say how busy
//! it is.

use super::encode::{Setting, uncompressed};
use super::{Kind, Probe, Spec};

/// Thousandths of a bit for each pixel.
type MilliBits = u64;

/// The octets `spec` will need, a bit more rather than less; integers only, so that a plan is the same
/// everywhere. [`Spec::octets`] and [`Spec::floor`] are not looked at.
pub fn predict(probe: &Probe, octets: u64, spec: &Spec) -> u64 {
    let size = (spec.width.clamp(1, probe.width), spec.height.clamp(1, probe.height));
    let setting = spec.palette.map_or(Setting::Full, |colours| Setting::Colours(colours.clamp(2, 256)));
    if let Some(octets) = uncompressed(spec.kind, size, setting) {
        return octets;
    }
    let pixels = u64::from(size.0) * u64::from(size.1);
    let frames = if spec.kind == Kind::Gif && spec.animation { u64::from(probe.frames) } else { 1 };
    let samples =
        probe.pixels().saturating_mul(probe.frames.into()).saturating_mul((probe.depth / 8).max(1).into());
    let source = octets.saturating_mul(8000) / samples.max(1);
    let halvings = tenths_of_halvings(probe.pixels(), pixels);
    let (bits, overhead) = match spec.kind {
        Kind::Jpeg => (jpeg(probe.kind, source, halvings) * quality_factor(spec.quality) / 1000, 620),
        // About a fifth shorter than a PNG.
        Kind::Webp => (full(probe, source, halvings) * 8 / 10, 120),
        Kind::Png if spec.palette.is_none() => (full(probe, source, halvings), 120),
        _ => {
            let colours = u64::from(spec.palette.unwrap_or(256).clamp(2, 256));
            let fewer = halvings > 0 || probe.palette.is_none_or(|has| u64::from(has) > colours);
            let factor = if fewer { palette_factor(colours) } else { 1000 };
            (indexed(probe, source, halvings) * factor / 1000, 3 * colours + 100)
        }
    };
    overhead + pixels.saturating_mul(frames).saturating_mul(bits) / 8000
}

/// How often the sides were halved, in tenths.
fn tenths_of_halvings(from: u64, to: u64) -> u64 {
    let ratio = (from / to.max(1)).max(1);
    // The logarithm of the area counts twice; between powers of two it is taken as straight.
    let whole = u64::from(ratio.ilog2());
    let part = (from * 10 / to.max(1)) >> whole;
    (whole * 10 + part.saturating_sub(10).min(10)) / 2
}

/// At quality 85.
fn jpeg(kind: Kind, source: MilliBits, halvings: u64) -> MilliBits {
    let here = match kind {
        Kind::Jpeg => source,
        Kind::Webp => source * 2,
        Kind::Gif => 500 + source / 3,
        // A palette PNG is a third as long as one in full colour, and photos are seldom palettes.
        Kind::Png => 600 + source / 5,
        // They don't compress, or seldom, so their length says nothing.
        Kind::Bmp | Kind::Tiff | Kind::Ico | Kind::Wbmp => 2500,
    };
    (here.clamp(400, 4000) * 11 / 10 + 40 * halvings).min(4800)
}

/// Thousandths of the octets at quality 85.
fn quality_factor(quality: u8) -> u64 {
    const POINTS: [(u64, u64); 8] =
        [(0, 200), (20, 310), (35, 420), (50, 520), (65, 650), (75, 770), (85, 1000), (100, 3000)];
    let quality = u64::from(quality.min(100));
    let between = POINTS.iter().zip(POINTS.iter().skip(1)).find(|(_, (high, _))| quality <= *high);
    between.map_or(3000, |((q0, f0), (q1, f1))| f0 + (f1 - f0) * (quality - q0) / (q1 - q0))
}

/// With 256 colours.
fn indexed(probe: &Probe, source: MilliBits, halvings: u64) -> MilliBits {
    let photo = 2700 + jpeg(probe.kind, source, halvings) * 17 / 10;
    let drawing =
        source * 11 / 10 + 160 * (halvings + if halvings > 0 { 10 } else { 0 }) + source * halvings / 20;
    let drawn = probe.palette.is_some() && probe.kind != Kind::Bmp;
    (if drawn { photo.min(drawing) } else { photo }).min(10_500)
}

/// Thousandths of the octets with 256 colours.
const fn palette_factor(colours: u64) -> u64 {
    match colours {
        0..=4 => 220,
        5..=16 => 420,
        17..=64 => 690,
        65..=128 => 850,
        _ => 1000,
    }
}

/// In full colour.
fn full(probe: &Probe, source: MilliBits, halvings: u64) -> MilliBits {
    let photo = indexed(probe, source, halvings) * 24 / 10;
    let same = source + source * halvings / 25;
    (if probe.kind == Kind::Png && probe.palette.is_none() { same } else { photo }).min(24_000)
}
