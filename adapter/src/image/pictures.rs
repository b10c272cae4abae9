//! From a file to upright pixels of the wanted size: the front half of a transformation.

use fast_image_resize::Resizer;

use super::decode::{self, Decoded, Film, Frame, Want};
use super::encode::Pictures;
use super::planes;
use super::raster::Raster;
use super::{Guards, ImageError, Kind, Probe, Spec, Work};
use crate::jpeg::Plane;

/// Pixels of all frames of an animation together, beside those of one picture ([`Guards::pixels`]).
const ANIMATION_PIXELS: u64 = 4;

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
    let animated = probe.kind == Kind::Gif && spec.kind == Kind::Gif && spec.animation && probe.frames > 1;
    let mut make = Maker { resizer: Resizer::new(), probe, size, stop, work };
    if !animated {
        let want = Want { at_least: make.lying_size(), ycbcr: spec.kind == Kind::Jpeg };
        make.proceed()?;
        let raster = match decode::still(bytes, probe, want)? {
            Decoded::Raster(raster) => {
                // Rows of a PNG are decoded also where only their average is kept.
                make.work.decoded += if probe.kind == Kind::Png { probe.pixels() } else { raster.count() };
                make.finish(raster)?
            }
            Decoded::Planes(planes) => make.finish_planes(&planes, want.ycbcr)?,
        };
        return Ok(Pictures { frames: vec![Frame { raster, delay: 0 }], repeat: gif::Repeat::Infinite });
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
    while pictures.frames.len() < probe.frames as usize {
        make.proceed()?;
        let Some(Frame { raster, delay }) = film.next_frame()? else { break };
        make.work.decoded += raster.count();
        pictures.frames.push(Frame { raster: make.finish(raster)?, delay });
    }
    Ok(pictures)
}

struct Maker<'a> {
    resizer: Resizer,
    probe: &'a Probe,
    size: (u32, u32),
    stop: &'a dyn Fn() -> bool,
    work: &'a mut Work,
}

impl Maker<'_> {
    fn proceed(&self) -> Result<(), ImageError> {
        if (self.stop)() { Err(ImageError::Stopped) } else { Ok(()) }
    }

    /// The wanted size as it lies in the file.
    fn lying_size(&self) -> (u32, u32) {
        let (width, height) = self.size;
        if self.probe.orientation >= 5 { (height, width) } else { (width, height) }
    }

    /// Scales before it turns: there is less to turn then.
    fn finish(&mut self, raster: Raster) -> Result<Raster, ImageError> {
        self.proceed()?;
        let (width, height) = self.lying_size();
        let scaled = if (raster.width, raster.height) == (width, height) {
            raster
        } else {
            let scaled = raster.scaled(&mut self.resizer, width, height);
            scaled.ok_or(ImageError::Unsupported { kind: self.probe.kind, what: "a picture of this size" })?
        };
        Ok(scaled.upright(self.probe.orientation))
    }

    /// The same for a JPEG that was decoded at a fraction of its size.
    fn finish_planes(&mut self, decoded: &[Plane], ycbcr: bool) -> Result<Raster, ImageError> {
        self.work.decoded += planes::count(decoded);
        self.proceed()?;
        let size = self.lying_size();
        let scaled = planes::scaled(&mut self.resizer, decoded, size, ycbcr);
        let scaled =
            scaled.ok_or(ImageError::Unsupported { kind: Kind::Jpeg, what: "a picture of this size" })?;
        Ok(scaled.upright(self.probe.orientation))
    }
}
