//! The best JPEG within an octet limit: as large as the lowest quality that still looks fair allows, then at the highest
//! quality that fits. Measured on photos, that is within 0.005 of SSIM of the best size and quality there are, and
//! well above the whole size at a poor quality.
//!
//! A sample of the units says about what a quality takes; each file that is written corrects that, and the logarithm of
//! the size is near linear in that of the quantiser, so a second or third file is the one. Integers and plain float
//! arithmetic in a fixed order: the same picture and limit give the same file.

use resample::Resampler;

use super::encode::{self, Setting, Written};
use super::pictures::Still;
use super::raster::Raster;
use super::search::Found;
use super::{ImageError, Kind, Spec, Work};
use jpeg::write::{Sample, Spectrum};

/// From one scale to the next smaller one: fine enough to lose no quality that is worth naming.
const STEP: f64 = 0.93;

/// Files written at most.
const MAX_ENCODES: u32 = 8;

/// Sizes looked at, at most.
const MAX_SIZES: u32 = 8;

/// How the octets grow with the pixels: smaller pictures have more in each.
const PIXEL_EXPONENT: f64 = 0.85;

/// How the octets of a JPEG shrink as its quantiser grows, before anything is known.
const QUANTISER_EXPONENT: f64 = 0.68;

/// Part of the limit that the first file aims for, as the sample is right within a few per cent.
const FIRST_AIM: f64 = 0.985;

/// Part of the limit that the others aim for.
const AIM: f64 = 0.998;

/// Searches sizes from `size` down, and qualities, for the best file of at most `limit` octets.
pub(super) fn within(
    limit: u64,
    still: &mut Still<'_>,
    spec: &Spec,
    size: (u32, u32),
    stop: &dyn Fn() -> bool,
    work: &mut Work,
) -> Result<Found, ImageError> {
    let highest = spec.quality.clamp(1, 100);
    let range = (spec.floor.quality.clamp(1, highest), highest);
    let sizes = sizes(size, spec);
    let whole = still.at(size)?.for_jpeg().into_owned();
    let mut scales = Scales {
        limit: limit as f64,
        lowest: range.0,
        resampler: Resampler::default(),
        whole,
        sizes: &sizes,
        seen: Vec::new(),
    };
    let mut at = scales.largest(stop)?;
    let mut smallest = u64::MAX;
    loop {
        let Some(&size) = sizes.get(at) else { return Err(ImageError::CantFit { smallest, limit }) };
        let estimates = scales.take(at)?;
        let spectrum =
            if at == 0 { encode::spectrum(&scales.whole) } else { encode::spectrum(&still.at(size)?) };
        let spectrum = spectrum.ok_or(TOO_LARGE)?;
        let mut search =
            Search { limit, range, estimates, spectrum, size, over: range.1 + 1, smallest, found: None };
        search.run(stop, work);
        smallest = search.smallest;
        if let Some((quality, bytes)) = search.found {
            let written = Written { bytes, palette: None };
            return Ok(Found { written, size, setting: Setting::Quality(quality), frames: 1 });
        }
        if stop() {
            return Err(ImageError::Stopped);
        }
        // The sample was wrong about this size; when much is missing, the last size says whether there is any that fits.
        let last = sizes.len() - 1;
        at = if work.encodes >= MAX_ENCODES && at < last { last } else { at + 1 };
    }
}

const TOO_LARGE: ImageError = ImageError::Unsupported { kind: Kind::Jpeg, what: "a picture of this size" };

/// Sizes from `full` down, none below the floor.
fn sizes(full: (u32, u32), spec: &Spec) -> Vec<(u32, u32)> {
    let mut sizes = vec![full];
    let mut scale = 1.0;
    while sizes.len() < 100 {
        scale *= STEP;
        let side = |side: u32| (f64::from(side) * scale).round() as u32;
        let (width, height) = (side(full.0), side(full.1));
        if width.min(height) == 0 || width < spec.floor.width || height < spec.floor.height {
            break;
        }
        if sizes.last() != Some(&(width, height)) {
            sizes.push((width, height));
        }
    }
    sizes
}

/// About the octets that one size of the picture takes.
struct Estimates {
    sample: Sample,
    /// By quality, rising.
    known: Vec<(u8, f64)>,
    /// What the last file was of its estimate.
    correction: f64,
}

impl Estimates {
    /// Looked at, or known from before.
    fn at(&mut self, quality: u8) -> f64 {
        match self.known.binary_search_by_key(&quality, |(quality, _)| *quality) {
            Ok(at) => self.known.get(at).map_or(0.0, |(_, octets)| *octets),
            Err(at) => {
                let octets = self.sample.octets(quality);
                self.known.insert(at, (quality, octets));
                octets
            }
        }
    }

    /// The octets expected at this quality, from the estimates next to it.
    fn expected(&self, quality: u8) -> f64 {
        let at = self.known.partition_point(|(known, _)| *known < quality);
        let at = at.clamp(1, self.known.len().saturating_sub(1).max(1));
        let octets = match (self.known.get(at - 1), self.known.get(at)) {
            (Some(&(low, few)), Some(&(high, many))) => {
                let slope = (many / few).ln() / (step(high) / step(low)).ln();
                few * ((step(quality) / step(low)).ln() * slope).exp()
            }
            (Some(&(known, octets)), None) => {
                octets * ((step(quality) / step(known)).ln() * -QUANTISER_EXPONENT).exp()
            }
            _ => f64::INFINITY,
        };
        octets * self.correction
    }

    /// The highest quality expected to take no more than `octets`, within `range`, both ends included.
    fn highest(&self, octets: f64, range: (u8, u8)) -> Option<u8> {
        let (mut low, mut high) = (range.0, range.1.checked_add(1)?);
        while low < high {
            let middle = low.midpoint(high);
            if self.expected(middle) <= octets { low = middle + 1 } else { high = middle }
        }
        (low > range.0).then(|| low - 1)
    }
}

/// What the tables of a quality are multiplied by.
fn step(quality: u8) -> f64 {
    let quality = f64::from(quality);
    if quality < 50.0 { 5000.0 / quality } else { (200.0 - 2.0 * quality).max(1.0) }
}

/// The sizes, looked at when they are asked for: made of the whole size, which is near enough for a guess.
struct Scales<'a> {
    limit: f64,
    lowest: u8,
    resampler: Resampler,
    whole: Raster,
    sizes: &'a [(u32, u32)],
    seen: Vec<(usize, Estimates)>,
}

impl Scales<'_> {
    /// The largest size whose lowest quality seems to fit, or the last one.
    fn largest(&mut self, stop: &dyn Fn() -> bool) -> Result<usize, ImageError> {
        let last = self.sizes.len() - 1;
        let (mut fits, mut at, mut beyond) = (last + 1, 0, 0);
        for _ in 0..MAX_SIZES {
            if stop() {
                return Err(ImageError::Stopped);
            }
            let octets = self.lowest(at)?;
            // So many steps smaller it should be.
            let steps = (octets / self.limit).ln() / (-2.0 * PIXEL_EXPONENT * STEP.ln());
            if octets <= self.limit {
                fits = at;
                if at == beyond || steps > -0.6 {
                    break;
                }
            } else {
                beyond = at + 1;
            }
            if beyond >= fits {
                break;
            }
            let next = (at as f64 + steps.ceil()).max(0.0) as usize;
            at = next.clamp(beyond, fits.saturating_sub(1).max(beyond));
        }
        Ok(if fits > last { beyond.min(last) } else { fits })
    }

    fn lowest(&mut self, at: usize) -> Result<f64, ImageError> {
        let mut estimates = self.take(at)?;
        let octets = estimates.at(self.lowest);
        self.seen.push((at, estimates));
        Ok(octets)
    }

    fn take(&mut self, at: usize) -> Result<Estimates, ImageError> {
        if let Some(place) = self.seen.iter().position(|(seen, _)| *seen == at) {
            return Ok(self.seen.swap_remove(place).1);
        }
        let (width, height) = self.sizes.get(at).copied().unwrap_or((1, 1));
        let sample = if at == 0 {
            encode::sample(&self.whole)
        } else {
            self.whole.scaled(&mut self.resampler, width, height).and_then(|raster| encode::sample(&raster))
        };
        Ok(Estimates { sample: sample.ok_or(TOO_LARGE)?, known: Vec::new(), correction: 1.0 })
    }
}

/// The search for the quality of one size.
struct Search {
    limit: u64,
    range: (u8, u8),
    estimates: Estimates,
    spectrum: Spectrum,
    size: (u32, u32),
    /// The lowest quality known not to fit.
    over: u8,
    /// Octets of the smallest file.
    smallest: u64,
    /// The highest quality that fits, and its file.
    found: Option<(u8, Vec<u8>)>,
}

impl Search {
    fn run(&mut self, stop: &dyn Fn() -> bool, work: &mut Work) {
        let limit = self.limit as f64;
        self.estimates.at(self.range.0);
        // Twice, as the estimates bend between far qualities.
        for _ in 0..2 {
            let guess = self.estimates.highest(limit, self.range).unwrap_or(self.range.0);
            self.estimates.at(guess);
        }
        let mut next = self.estimates.highest(limit * FIRST_AIM, self.range).or(Some(self.range.0));
        while let Some(quality) = next.filter(|_| work.encodes < MAX_ENCODES && !stop()) {
            self.write(quality, work);
            next = self.next(limit * AIM);
        }
    }

    fn write(&mut self, quality: u8, work: &mut Work) {
        let bytes = self.spectrum.write(quality);
        work.encodes += 1;
        work.encoded += u64::from(self.size.0) * u64::from(self.size.1);
        let octets = bytes.len() as u64;
        self.smallest = self.smallest.min(octets);
        let estimate = self.estimates.expected(quality) / self.estimates.correction;
        self.estimates.correction = octets as f64 / estimate.max(1.0);
        if octets > self.limit {
            self.over = quality;
        } else {
            self.found = Some((quality, bytes));
        }
    }

    /// The highest quality expected to fit between what does and what does not.
    fn next(&self, aim: f64) -> Option<u8> {
        let low = self.found.as_ref().map_or(self.range.0, |(quality, _)| quality + 1);
        let high = self.over.checked_sub(1)?;
        if low > high {
            return None;
        }
        let best = self.estimates.highest(aim, (low, high));
        // With nothing that fits, the lowest quality is worth a try.
        best.or_else(|| self.found.is_none().then_some(low))
    }
}
