//! From the planes of a picture, of a JPEG at a fraction of its size, to the wanted size, each plane by itself: luma to all of
//! it, chroma straight to the half that a JPEG keeps of it.

use resample::{Resampler, Samples, Source};

use super::raster::{Layout, Raster, ycbcr_to_rgb};
use jpeg::Plane;

/// Y, Cb and Cr of a picture of `size`, chroma at half of it, rounded up.
pub(super) fn of([y, cb, cr]: [Vec<u8>; 3], (width, height): (u32, u32)) -> Vec<Plane> {
    let plane = |samples: Vec<u8>, part: u32| Plane {
        stride: width.div_ceil(part) as usize,
        rows: height.div_ceil(part) as usize,
        samples,
        eighths: (u64::from(width) * 8 / u64::from(part), u64::from(height) * 8 / u64::from(part)),
    };
    vec![plane(y, 1), plane(cb, 2), plane(cr, 2)]
}

/// Pixels that were decoded.
pub(super) fn count(planes: &[Plane]) -> u64 {
    planes.first().map_or(0, |luma| luma.stride as u64 * luma.rows as u64)
}

/// The picture at `size`: gray as gray, colours in planes (`ycbcr`) or as red, green and blue.
pub(super) fn scaled(
    resampler: &mut Resampler,
    planes: &[Plane],
    size: (u32, u32),
    ycbcr: bool,
) -> Option<Raster> {
    let (width, height) = size;
    match planes {
        [luma] => Raster::new(width, height, Layout::L8, plane(resampler, luma, size, size)?),
        [y, cb, cr] if ycbcr => {
            let half = (width.div_ceil(2), height.div_ceil(2));
            let mut pixels = plane(resampler, y, size, size)?;
            pixels.extend(plane(resampler, cb, half, size)?);
            pixels.extend(plane(resampler, cr, half, size)?);
            Raster::new(width, height, Layout::Ycbcr420, pixels)
        }
        [y, cb, cr] => {
            let [y, cb, cr] = [y, cb, cr].map(|of| plane(resampler, of, size, size));
            let samples = y?.into_iter().zip(cb?).zip(cr?);
            let pixels = samples.flat_map(|((y, cb), cr)| {
                let [r, g, b, _] = ycbcr_to_rgb(y, cb, cr);
                [r, g, b]
            });
            Raster::new(width, height, Layout::Rgb8, pixels.collect())
        }
        _ => None,
    }
}

/// A plane at `to` samples, of a picture that will have `size`.
fn plane(resampler: &mut Resampler, plane: &Plane, to: (u32, u32), size: (u32, u32)) -> Option<Vec<u8>> {
    let (stride, rows) = (u32::try_from(plane.stride).ok()?, u32::try_from(plane.rows).ok()?);
    // Half of an odd size is rounded up: its last sample stands for pixels beyond the picture too.
    let reach = |extent: f64, to: u32, size: u32, most: usize| {
        let half = to != size;
        let covered = if half { f64::from(to) * 2.0 / f64::from(size) } else { 1.0 };
        (extent * covered).min(most as f64)
    };
    let (across, down) = plane.extent();
    let (across, down) = (reach(across, to.0, size.0, plane.stride), reach(down, to.1, size.1, plane.rows));
    let whole = Source::whole(&plane.samples, Samples::One, stride, rows);
    resampler.resample(Source { extent: (across, down), ..whole }, to.0, to.1)
}
