//! The best PNG or GIF within an octet limit, in few encodes: a model of the size (its logarithm is near linear in
//! those of the pixels and of the bits of a colour) says where to try, each try corrects the model, and the first that
//! comes near enough below the limit wins. JPEGs have [`super::fit`].

use resample::Resampler;

use super::decode::Frame;
use super::encode::{self, Pictures, Setting, Written};
use super::{ImageError, Kind, Spec, Work};

/// Attempts at most; the last is the smallest picture the floor allows.
const MAX_ENCODES: u32 = 8;

/// A picture this full of its limit (per cent) is not improved any more.
const NEAR_ENOUGH: u64 = 88;

/// Part of the limit (per cent) a try aims for: the model is right within a few.
const AIM: f64 = 0.96;

/// The prediction is a bit high on purpose; here it should be right.
const CONFIDENCE: f64 = 0.85;

/// How the octets grow with the pixels: smaller pictures have more in each pixel.
const PIXEL_EXPONENT: f64 = 0.85;

/// What was found.
pub(super) struct Found {
    pub(super) written: Written,
    pub(super) size: (u32, u32),
    pub(super) setting: Setting,
    pub(super) frames: u32,
}

impl Found {
    pub(super) fn new(written: Written, pictures: &Pictures, setting: Setting) -> Found {
        let size = pictures.frames.first().map_or((0, 0), |frame| (frame.raster.width, frame.raster.height));
        let frames = u32::try_from(pictures.frames.len()).unwrap_or(u32::MAX);
        Found { written, size, setting, frames }
    }
}

/// Searches settings and scales for the best file of at most `limit` octets. An animation that can't be made so short
/// loses frames, those that stay standing for as much longer, and at last all but the first. `guess`: what the best
/// setting will need.
pub(super) fn within(
    limit: u64,
    mut pictures: Pictures,
    spec: &Spec,
    mut guess: u64,
    stop: &dyn Fn() -> bool,
    work: &mut Work,
) -> Result<Found, ImageError> {
    loop {
        let frames = pictures.frames.len();
        let smallest = match search(limit, &pictures, spec, guess, stop, work) {
            Err(ImageError::CantFit { smallest, .. }) if frames > 1 => smallest,
            found => return found,
        };
        // A bit fewer than fit in proportion: what is left moves more from frame to frame.
        let fit = frames as u64 * limit * 8 / (smallest.max(1) * 10);
        let keep = usize::try_from(fit).unwrap_or(frames).clamp(1, frames / 2);
        pictures.thin_out(keep);
        guess = guess * keep as u64 / frames as u64;
    }
}

fn search(
    limit: u64,
    pictures: &Pictures,
    spec: &Spec,
    guess: u64,
    stop: &dyn Fn() -> bool,
    work: &mut Work,
) -> Result<Found, ImageError> {
    let mut search = Search::new(limit, pictures, spec, guess);
    let mut scaled = Scaled { resampler: Resampler::default(), source: pictures, last: None };
    let mut best: Option<(Found, Try)> = None;
    let mut smallest = u64::MAX;
    while let Some(next) = search.choose(best.as_ref().map(|(_, point)| point)) {
        if stop() {
            break;
        }
        let size = search.size(next);
        let pictures = scaled.at(next.step, size)?;
        let written = encode::write(spec.kind, pictures, search.setting(next))?;
        work.encodes += 1;
        work.encoded += pictures.count();
        let octets = written.bytes.len() as u64;
        smallest = smallest.min(octets);
        search.learn(next, octets);
        if octets <= limit {
            best = Some((Found::new(written, pictures, search.setting(next)), next));
            if octets * 100 >= limit * NEAR_ENOUGH {
                break;
            }
        }
    }
    match best {
        Some((found, _)) => Ok(found),
        None if stop() => Err(ImageError::Stopped),
        None => Err(ImageError::CantFit { smallest, limit }),
    }
}

/// The pictures at the step that was asked for last.
struct Scaled<'a> {
    resampler: Resampler,
    source: &'a Pictures,
    last: Option<(usize, Pictures)>,
}

impl Scaled<'_> {
    fn at(&mut self, step: usize, (width, height): (u32, u32)) -> Result<&Pictures, ImageError> {
        if step == 0 {
            return Ok(self.source);
        }
        if self.last.as_ref().is_none_or(|(last, _)| *last != step) {
            let scale = |frame: &Frame| {
                let raster = frame.raster.scaled(&mut self.resampler, width, height)?;
                Some(Frame { raster, delay: frame.delay })
            };
            let frames = self.source.frames.iter().map(scale).collect::<Option<_>>();
            let frames =
                frames.ok_or(ImageError::Unsupported { kind: Kind::Jpeg, what: "a picture of this size" })?;
            self.last = Some((step, Pictures { frames, repeat: self.source.repeat }));
        }
        Ok(self.last.as_ref().map_or(self.source, |(_, pictures)| pictures))
    }
}

/// A point of the search: a scale step and a level of colours, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Try {
    step: usize,
    level: usize,
}

struct Level {
    setting: Setting,
    /// How good it looks, 0 to 1.
    worth: f64,
    /// Logarithm of its octets beside the other levels.
    cost: f64,
    /// Octets that don't depend on the pixels.
    overhead: f64,
}

struct Search {
    kind: Kind,
    limit: f64,
    levels: Vec<Level>,
    sizes: Vec<(u32, u32)>,
    frames: f64,
    tried: Vec<(Try, f64)>,
    /// Octets of the best setting at full size, before anything was tried.
    guess: f64,
}

impl Search {
    fn new(limit: u64, pictures: &Pictures, spec: &Spec, guess: u64) -> Search {
        let size = pictures.frames.first().map_or((1, 1), |frame| (frame.raster.width, frame.raster.height));
        Search {
            kind: spec.kind,
            limit: limit as f64,
            levels: levels(spec),
            sizes: steps(size, spec),
            frames: pictures.frames.len() as f64,
            tried: Vec::new(),
            guess: guess as f64 * CONFIDENCE,
        }
    }

    fn size(&self, at: Try) -> (u32, u32) {
        self.sizes.get(at.step).copied().unwrap_or((1, 1))
    }

    fn setting(&self, at: Try) -> Setting {
        self.levels.get(at.level).map_or(Setting::Full, |level| level.setting)
    }

    fn learn(&mut self, at: Try, octets: u64) {
        self.tried.push((at, octets as f64));
    }

    /// The most valuable point that the model expects to fit and that is better than `best`; when nothing
    /// fitted yet and nothing is expected to, the smallest of all. `None`: there is nothing left to try.
    fn choose(&self, best: Option<&Try>) -> Option<Try> {
        if self.tried.len() >= MAX_ENCODES as usize {
            return None;
        }
        let last = Try { step: self.sizes.len().checked_sub(1)?, level: self.levels.len().checked_sub(1)? };
        let never_fitted = best.is_none();
        if never_fitted && self.tried.len() + 1 == MAX_ENCODES as usize {
            return self.is_open(last).then_some(last);
        }
        let floor = best.map_or(0.0, |&best| self.worth(best));
        let points = (0..self.sizes.len())
            .flat_map(|step| (0..self.levels.len()).map(move |level| Try { step, level }))
            .filter(|&at| {
                self.is_open(at) && self.worth(at) > floor && self.expected(at) <= self.limit * AIM
            });
        let choice = points.max_by(|&a, &b| self.worth(a).total_cmp(&self.worth(b)));
        choice.or_else(|| (never_fitted && self.is_open(last)).then_some(last))
    }

    /// Whether nothing smaller than `at`, or `at` itself, was tried and found too large.
    fn is_open(&self, at: Try) -> bool {
        self.tried.iter().all(|&(tried, octets)| {
            let not_smaller = at.step <= tried.step && at.level <= tried.level;
            tried != at && !(not_smaller && octets > self.limit)
        })
    }

    fn worth(&self, at: Try) -> f64 {
        let width = |step: usize| self.sizes.get(step).map_or(1.0, |&(width, _)| f64::from(width));
        let level = self.levels.get(at.level).map_or(0.0, |level| level.worth);
        level * (width(at.step) / width(0)).sqrt()
    }

    /// The octets the model expects.
    fn expected(&self, at: Try) -> f64 {
        let Some(level) = self.levels.get(at.level) else { return f64::INFINITY };
        if let Some(octets) = encode::uncompressed(self.kind, self.size(at), level.setting) {
            return octets as f64 * AIM;
        }
        let distance = |tried: Try| tried.step.abs_diff(at.step) * 1000 + tried.level.abs_diff(at.level);
        let nearest = self.tried.iter().min_by_key(|(tried, _)| distance(*tried));
        let (known, octets) = nearest.copied().unwrap_or((Try { step: 0, level: 0 }, self.guess));
        let cost = self.levels.get(known.level).map_or(0.0, |level| level.cost);
        let log = self.variable(known, octets).ln()
            + PIXEL_EXPONENT * (self.pixels(at) / self.pixels(known)).ln()
            + (level.cost - cost) * self.slope(known.step);
        level.overhead + log.exp()
    }

    /// The secant: how much faster than the model thinks the size changes from level to level.
    fn slope(&self, step: usize) -> f64 {
        let mut here = self.tried.iter().rev().filter(|(tried, _)| tried.step == step);
        let (Some(&(a, octets_a)), Some(&(b, octets_b))) = (here.next(), here.next()) else { return 1.0 };
        let cost = |at: Try| self.levels.get(at.level).map_or(0.0, |level| level.cost);
        let measured = self.variable(a, octets_a).ln() - self.variable(b, octets_b).ln();
        let slope = measured / (cost(a) - cost(b));
        if slope.is_finite() { slope.clamp(0.5, 2.0) } else { 1.0 }
    }

    fn variable(&self, at: Try, octets: f64) -> f64 {
        let overhead = self.levels.get(at.level).map_or(0.0, |level| level.overhead);
        (octets - overhead).max(16.0)
    }

    fn pixels(&self, at: Try) -> f64 {
        let (width, height) = self.size(at);
        f64::from(width) * f64::from(height) * self.frames
    }
}

/// Sizes from `full` down in steps of 3/4 (CPI.md §3.5 V5: 1, 3/4, 9/16, 27/64, and on, as the encoder may take any
/// scale), none below the floor.
fn steps(full: (u32, u32), spec: &Spec) -> Vec<(u32, u32)> {
    // What does not compress is reckoned, not tried: there the steps may be fine.
    let exact = matches!(spec.kind, Kind::Bmp | Kind::Wbmp);
    let (most, step) = if exact { (100, 0.95) } else { (16, 0.75) };
    let mut sizes = vec![full];
    let mut share = 1.0f64;
    for _ in 1..most {
        share *= step;
        let scale = |side: u32| (f64::from(side) * share) as u32;
        let (width, height) = (scale(full.0), scale(full.1));
        if width.min(height) == 0 || width < spec.floor.width || height < spec.floor.height {
            break;
        }
        sizes.push((width, height));
    }
    sizes
}

fn levels(spec: &Spec) -> Vec<Level> {
    let most = spec.palette.map_or(256, |colours| colours.clamp(2, 256));
    let colours = [(most, 0.98), (64, 0.9), (16, 0.75)];
    let full =
        Level { setting: Setting::Full, worth: 1.0, cost: indexed_cost(256) + 2.4f64.ln(), overhead: 100.0 };
    if matches!(spec.kind, Kind::Webp | Kind::Wbmp) {
        return vec![full];
    }
    let has_full = matches!(spec.kind, Kind::Png | Kind::Bmp) && spec.palette.is_none();
    let indexed = colours.into_iter().enumerate().filter(|&(at, (colours, _))| at == 0 || colours < most);
    let indexed = indexed.map(|(_, (colours, worth))| Level {
        setting: Setting::Colours(colours),
        worth,
        cost: indexed_cost(colours),
        overhead: f64::from(colours) * 3.0 + 60.0,
    });
    has_full.then_some(full).into_iter().chain(indexed).collect()
}

/// A pixel costs a bit less than the bits of its index.
fn indexed_cost(colours: u16) -> f64 {
    f64::from(colours).log2().max(1.0).ln() * 1.3
}
