//! From a file to upright pixels of the wanted size: the front half of a transformation.

use resample::Resampler;

use super::decode::{self, Decoded, Frame, Want};
use super::encode::Pictures;
use super::film::Film;
use super::icc::ToSrgb;
use super::planes;
use super::raster::Raster;
use super::{Guards, ImageError, Kind, Probe, Spec, Work};

/// Pixels of all frames of an animation together, beside those of one picture ([`Guards::pixels`]).
const ANIMATION_PIXELS: u64 = 4;

/// A picture, or the first one of several, decoded as large as is wanted at most.
pub(super) struct Still<'a> {
    decoded: Decoded,
    probe: &'a Probe,
    resampler: Resampler,
    ycbcr: bool,
    /// Set where its colours are not those of sRGB.
    to_srgb: Option<ToSrgb>,
}

/// Decodes what pictures of `size` (upright) and below can be made of.
pub(super) fn still<'a>(
    bytes: &[u8],
    probe: &'a Probe,
    spec: &Spec,
    size: (u32, u32),
    stop: &dyn Fn() -> bool,
    work: &mut Work,
) -> Result<Still<'a>, ImageError> {
    proceed(stop)?;
    let to_srgb = ToSrgb::of(bytes, probe.kind);
    let ycbcr = spec.kind == Kind::Jpeg && to_srgb.is_none();
    let decoded = decode::still(bytes, probe, Want { at_least: lying(size, probe), ycbcr })?;
    work.decoded += match &decoded {
        // Rows of a PNG are decoded also where only their average is kept.
        _ if probe.kind == Kind::Png => probe.pixels(),
        Decoded::Raster(raster) => raster.count(),
        Decoded::Planes(planes) => planes::count(planes),
    };
    proceed(stop)?;
    Ok(Still { decoded, probe, resampler: Resampler::default(), ycbcr, to_srgb })
}

impl Still<'_> {
    /// The picture upright and at `size`. It is scaled before it is turned: there is less to turn then.
    pub(super) fn at(&mut self, size: (u32, u32)) -> Result<Raster, ImageError> {
        let (width, height) = lying(size, self.probe);
        let scaled = match &self.decoded {
            Decoded::Raster(raster) if (raster.width, raster.height) == (width, height) => {
                Some(raster.clone())
            }
            Decoded::Raster(raster) => raster.scaled(&mut self.resampler, width, height),
            Decoded::Planes(planes) => {
                planes::scaled(&mut self.resampler, planes, (width, height), self.ycbcr)
            }
        };
        let mut scaled = scaled.ok_or(unscaled(self.probe))?;
        if let Some(to_srgb) = &self.to_srgb {
            to_srgb.apply(&mut scaled);
        }
        Ok(scaled.upright(self.probe.orientation))
    }

    /// The same for an encoder of several frames.
    pub(super) fn alone(mut self, size: (u32, u32)) -> Result<Pictures, ImageError> {
        let raster = self.at(size)?;
        Ok(Pictures { frames: vec![Frame { raster, delay: 0 }], repeat: gif::Repeat::Infinite })
    }
}

/// Decodes `bytes`, scales to `size` (upright) and turns upright.
pub(super) fn read(
    bytes: &[u8],
    probe: &Probe,
    spec: &Spec,
    size: (u32, u32),
    guards: &Guards,
    stop: &dyn Fn() -> bool,
    work: &mut Work,
) -> Result<Pictures, ImageError> {
    let moves = probe.kind.is_animatable() && probe.frames > 1;
    let animated = moves && spec.kind == Kind::Gif && spec.animation;
    if !animated {
        return still(bytes, probe, spec, size, stop, work)?.alone(size);
    }
    let frames = u64::from(probe.frames);
    let limit = guards.pixels.saturating_mul(ANIMATION_PIXELS);
    let pixels = probe.pixels().saturating_mul(frames);
    if pixels > limit {
        return Err(ImageError::TooManyPixels { pixels, limit });
    }
    let kept = frames * u64::from(size.0) * u64::from(size.1);
    if kept > guards.pixels {
        return Err(ImageError::TooManyPixels { pixels: kept, limit: guards.pixels });
    }
    let mut film = Film::open(bytes, probe)?;
    let mut pictures = Pictures { frames: Vec::new(), repeat: film.repeat() };
    let mut resampler = Resampler::default();
    let to_srgb = ToSrgb::of(bytes, probe.kind);
    while pictures.frames.len() < probe.frames as usize {
        proceed(stop)?;
        let Some(Frame { raster, delay }) = film.next_frame()? else { break };
        work.decoded += raster.count();
        let mut raster = if (raster.width, raster.height) == size {
            raster
        } else {
            raster.scaled(&mut resampler, size.0, size.1).ok_or(unscaled(probe))?
        };
        if let Some(to_srgb) = &to_srgb {
            to_srgb.apply(&mut raster);
        }
        pictures.frames.push(Frame { raster, delay });
    }
    Ok(pictures)
}

fn proceed(stop: &dyn Fn() -> bool) -> Result<(), ImageError> {
    if stop() { Err(ImageError::Stopped) } else { Ok(()) }
}

/// An upright size as it lies in the file.
fn lying((width, height): (u32, u32), probe: &Probe) -> (u32, u32) {
    if probe.orientation >= 5 { (height, width) } else { (width, height) }
}

const fn unscaled(probe: &Probe) -> ImageError {
    ImageError::Unsupported { kind: probe.kind, what: "a picture of this size" }
}
