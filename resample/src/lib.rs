//! Samples of a picture at another size, by Lanczos with three lobes and over premultiplied alpha.
//!
//! A room of its own because of what `fast_image_resize` is: its kernels are generic and are compiled where they are
//! called, some megabytes of them. Here that happens once and optimised, for the pixels that pictures have, and
//! not with each change of what surrounds it.

mod lanczos;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x2, U8x3, U8x4};
use fast_image_resize::{PixelTrait, Resizer};

/// How many samples a pixel has, of one octet each and beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Any one: gray, or a plane.
    One,
    /// One and alpha.
    TwoWithAlpha,
    /// Any three.
    Three,
    /// Three and alpha.
    FourWithAlpha,
}

/// A picture to be resampled: rows from the top, pixels from the left.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// All samples, `width * height` pixels of them.
    pub samples: &'a [u8],
    /// What a pixel is.
    pub kind: Samples,
    /// Pixels across, with those outside `extent`.
    pub width: u32,
    /// Rows, with those outside `extent`.
    pub height: u32,
    /// What of it is the picture, across and down from the upper left, in pixels and parts of them. Those outside
    /// are seen where the filter reaches over the edge.
    pub extent: (f64, f64),
}

impl<'a> Source<'a> {
    /// A picture that is all of its pixels.
    pub fn whole(samples: &'a [u8], kind: Samples, width: u32, height: u32) -> Self {
        Self { samples, kind, width, height, extent: (f64::from(width), f64::from(height)) }
    }
}

/// Resamples pictures, one after the other, with the same memory.
#[derive(Clone, Debug, Default)]
pub struct Resampler(Resizer);

impl Resampler {
    /// The samples of the picture at `width` x `height`. `None` if the source has not as many samples as its size asks
    /// for, or less of a picture than its extent says.
    pub fn resample(&mut self, source: Source<'_>, width: u32, height: u32) -> Option<Vec<u8>> {
        match source.kind {
            Samples::One => self.typed::<U8>(source, width, height),
            Samples::TwoWithAlpha => self.typed::<U8x2>(source, width, height),
            Samples::Three => self.typed::<U8x3>(source, width, height),
            Samples::FourWithAlpha => self.typed::<U8x4>(source, width, height),
        }
    }

    fn typed<P: PixelTrait>(&mut self, source: Source<'_>, width: u32, height: u32) -> Option<Vec<u8>> {
        let Source { samples, extent: (across, down), .. } = source;
        let octets = (width as usize).checked_mul(height as usize)?.checked_mul(P::size())?;
        let view = TypedImageRef::<P>::from_buffer(source.width, source.height, samples).ok()?;
        let mut made = vec![0; octets];
        let mut target = TypedImage::<P>::from_buffer(width, height, &mut made).ok()?;
        let options = lanczos::options().crop(0.0, 0.0, across, down);
        self.0.resize_typed(&view, &mut target, &options).ok()?;
        Some(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_colour_stays_that_colour_at_any_size() {
        let mut resampler = Resampler::default();
        for (kind, pixel) in [
            (Samples::One, &[7][..]),
            (Samples::TwoWithAlpha, &[7, 255]),
            (Samples::Three, &[7, 8, 9]),
            (Samples::FourWithAlpha, &[7, 8, 9, 255]),
        ] {
            let picture = pixel.repeat(40 * 30);
            let made = resampler.resample(Source::whole(&picture, kind, 40, 30), 16, 11).unwrap();
            assert_eq!(made, pixel.repeat(16 * 11), "{kind:?}");
        }
    }

    #[test]
    fn what_is_transparent_lends_its_neighbours_no_colour() {
        let picture = [[200, 0, 0, 255], [0, 200, 0, 0]].concat().repeat(64);
        let source = Source::whole(&picture, Samples::FourWithAlpha, 2, 64);
        let made = Resampler::default().resample(source, 1, 8).unwrap();
        for pixel in made.as_chunks::<4>().0 {
            assert!(pixel[0] >= 198 && pixel[1] <= 1, "{pixel:?}");
        }
    }

    #[test]
    fn only_the_extent_becomes_the_picture() {
        let picture = [[10; 8], [250; 8]].concat().repeat(4);
        let whole = Source::whole(&picture, Samples::One, 16, 4);
        let mut resampler = Resampler::default();
        let made = resampler.resample(Source { extent: (8.0, 4.0), ..whole }, 4, 1).unwrap();
        assert!(made[0] == 10 && made.iter().all(|sample| *sample < 100), "{made:?}");
        assert!(resampler.resample(whole, 4, 1).unwrap()[3] > 240);
    }

    #[test]
    fn a_source_of_too_few_samples_or_too_little_picture_is_none() {
        let mut resampler = Resampler::default();
        let small = Source::whole(&[0; 11], Samples::Three, 2, 2);
        assert_eq!(resampler.resample(small, 1, 1), None);
        let beyond = Source { extent: (3.0, 2.0), ..Source::whole(&[0; 4], Samples::One, 2, 2) };
        assert_eq!(resampler.resample(beyond, 1, 1), None);
    }
}
