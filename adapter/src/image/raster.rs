//! Decoded pixels, and what is done to them between decoder and encoder: scaling down, turning upright,
//! laying over white.

use resample::{Resampler, Samples, Source};

/// What the samples of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Gray
    L8,
    /// Gray and alpha
    La8,
    Rgb8,
    Rgba8,
    /// As JPEG stores it (JFIF), in planes: all of Y, then Cb and Cr with half as many samples either way (rounded up).
    /// Only when the target is JPEG too, to spare two colour conversions.
    Ycbcr420,
}

impl Layout {
    /// Samples of a pixel that lie beside each other.
    pub(super) const fn channels(self) -> usize {
        match self {
            Layout::L8 | Layout::Ycbcr420 => 1,
            Layout::La8 => 2,
            Layout::Rgb8 => 3,
            Layout::Rgba8 => 4,
        }
    }

    /// Whether the last sample of a pixel is its alpha.
    pub(super) const fn has_alpha(self) -> bool {
        matches!(self, Layout::La8 | Layout::Rgba8)
    }

    const fn samples(self) -> Samples {
        match self {
            Layout::L8 | Layout::Ycbcr420 => Samples::One,
            Layout::La8 => Samples::TwoWithAlpha,
            Layout::Rgb8 => Samples::Three,
            Layout::Rgba8 => Samples::FourWithAlpha,
        }
    }
}

/// A picture in memory: rows from the top, pixels from the left, one octet a sample.
#[derive(Clone, Debug)]
pub(super) struct Raster {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) layout: Layout,
    pub(super) pixels: Vec<u8>,
}

impl Raster {
    /// `None` if there are not as many octets as the size asks for.
    pub(super) fn new(width: u32, height: u32, layout: Layout, pixels: Vec<u8>) -> Option<Raster> {
        let planes = sizes(layout, width, height);
        let octets =
            |(w, h): (u32, u32)| (w as usize).checked_mul(h as usize)?.checked_mul(layout.channels());
        let expected = planes.map(octets).try_fold(0usize, |sum, plane| sum.checked_add(plane?))?;
        (pixels.len() == expected && expected > 0).then_some(Raster { width, height, layout, pixels })
    }

    /// The pixels of each plane with its size; of a layout that has no planes, all of them.
    pub(super) fn planes(&self) -> impl Iterator<Item = (u32, u32, &[u8])> {
        let n = self.layout.channels();
        sizes(self.layout, self.width, self.height).scan(&self.pixels[..], move |rest, (width, height)| {
            let (plane, behind) = rest.split_at_checked(width as usize * height as usize * n)?;
            *rest = behind;
            Some((width, height, plane))
        })
    }

    pub(super) fn count(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// This picture at `width` x `height`, by Lanczos over premultiplied alpha.
    pub(super) fn scaled(&self, resampler: &mut Resampler, width: u32, height: u32) -> Option<Raster> {
        let kind = self.layout.samples();
        let mut pixels = Vec::new();
        for ((from_w, from_h, plane), (w, h)) in self.planes().zip(sizes(self.layout, width, height)) {
            let plane = resampler.resample(Source::whole(plane, kind, from_w, from_h), w, h)?;
            pixels = if pixels.is_empty() { plane } else { [pixels, plane].concat() };
        }
        Raster::new(width, height, self.layout, pixels)
    }

    /// This picture turned as its EXIF orientation (1 to 8) says.
    pub(super) fn upright(self, orientation: u8) -> Raster {
        if !(2..=8).contains(&orientation) {
            return self;
        }
        let (width, height) =
            if orientation >= 5 { (self.height, self.width) } else { (self.width, self.height) };
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for (w, h, plane) in self.planes() {
            turn(plane, self.layout.channels(), (w as usize, h as usize), orientation, &mut pixels);
        }
        Raster { width, height, layout: self.layout, pixels }
    }

    /// The same without alpha: what is transparent shows white.
    pub(super) fn over_white(&self) -> std::borrow::Cow<'_, Raster> {
        let over = |sample: u8, alpha: u8| {
            let sum = u32::from(sample) * u32::from(alpha) + 255 * (255 - u32::from(alpha));
            ((sum + 127) / 255) as u8
        };
        let (layout, pixels) = match self.layout {
            Layout::L8 | Layout::Rgb8 | Layout::Ycbcr420 => {
                return std::borrow::Cow::Borrowed(self);
            }
            Layout::La8 => {
                let pairs = self.pixels.as_chunks::<2>().0.iter();
                (Layout::L8, pairs.map(|&[l, a]| over(l, a)).collect())
            }
            Layout::Rgba8 => {
                let quads = self.pixels.as_chunks::<4>().0.iter();
                (Layout::Rgb8, quads.flat_map(|&[r, g, b, a]| [over(r, a), over(g, a), over(b, a)]).collect())
            }
        };
        std::borrow::Cow::Owned(Raster { width: self.width, height: self.height, layout, pixels })
    }

    /// The same with alpha left out, of a picture in which nothing is transparent.
    pub(super) fn without_alpha(self) -> Raster {
        let (layout, pixels) = match self.layout {
            Layout::La8 => (Layout::L8, self.pixels.as_chunks::<2>().0.iter().map(|[l, _]| *l).collect()),
            Layout::Rgba8 => (
                Layout::Rgb8,
                self.pixels.as_chunks::<4>().0.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect(),
            ),
            _ => return self,
        };
        Raster { layout, pixels, ..self }
    }

    /// The same as a JPEG keeps it: gray, or planes with half the chroma; what is transparent shows white.
    pub(super) fn for_jpeg(&self) -> std::borrow::Cow<'_, Raster> {
        let opaque = self.over_white();
        if opaque.layout != Layout::Rgb8 {
            return opaque;
        }
        let (rgb, _) = opaque.pixels.as_chunks::<3>();
        let pixels = jpeg::colour::planes(rgb, opaque.width as usize).concat();
        std::borrow::Cow::Owned(Raster {
            width: opaque.width,
            height: opaque.height,
            layout: Layout::Ycbcr420,
            pixels,
        })
    }

    /// How bright each pixel is, of a picture without transparency.
    pub(super) fn gray(&self) -> Vec<u8> {
        let layout = self.layout;
        self.pixels
            .chunks_exact(layout.channels())
            .take(self.width as usize * self.height as usize)
            .map(|pixel| match (layout, pixel) {
                (Layout::Rgb8, &[r, g, b]) | (_, &[r, g, b, _]) => jpeg::colour::luma([r, g, b]),
                (_, &[l, ..]) => l,
                _ => 0,
            })
            .collect()
    }

    /// The pixels as red, green, blue and alpha. Planes are for JPEG alone: of them this gives the gray.
    pub(super) fn rgba(&self) -> impl Iterator<Item = [u8; 4]> + '_ {
        let layout = self.layout;
        self.pixels.chunks_exact(layout.channels()).map(move |pixel| match (layout, pixel) {
            (_, &[l]) => [l, l, l, 255],
            (_, &[l, a]) => [l, l, l, a],
            (_, &[r, g, b]) => [r, g, b, 255],
            (_, &[r, g, b, a]) => [r, g, b, a],
            _ => [0; 4],
        })
    }
}

/// The size of each plane of a picture.
fn sizes(layout: Layout, width: u32, height: u32) -> impl Iterator<Item = (u32, u32)> {
    let half = (width.div_ceil(2), height.div_ceil(2));
    let chroma = if layout == Layout::Ycbcr420 { 2 } else { 0 };
    std::iter::once((width, height)).chain(std::iter::repeat_n(half, chroma))
}

/// Appends the plane, turned, to `pixels`.
fn turn(plane: &[u8], n: usize, (w, h): (usize, usize), orientation: u8, pixels: &mut Vec<u8>) {
    let (width, height) = if orientation >= 5 { (h, w) } else { (w, h) };
    if n == 1 {
        for y in 0..height {
            let along = |start: usize| plane.get(start..).unwrap_or_default().iter().copied();
            // A row of the turned picture is a row of this one or a column, from one end or the other.
            match orientation {
                2 => pixels.extend(along(y * w).take(w).rev()),
                3 => pixels.extend(along((h - 1 - y) * w).take(w).rev()),
                4 => pixels.extend(along((h - 1 - y) * w).take(w)),
                5 => pixels.extend(along(y).step_by(w).take(h)),
                6 => pixels.extend(along(y).step_by(w).take(h).rev()),
                7 => pixels.extend(along(w - 1 - y).step_by(w).take(h).rev()),
                _ => pixels.extend(along(w - 1 - y).step_by(w).take(h)),
            }
        }
        return;
    }
    for y in 0..height {
        for x in 0..width {
            let (from_x, from_y) = match orientation {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                _ => (w - 1 - y, x),
            };
            let at = (from_y * w + from_x) * n;
            pixels.extend_from_slice(plane.get(at..at + n).unwrap_or_default());
        }
    }
}

/// JFIF 1.02, in 16-bit fixed point.
pub(super) fn ycbcr_to_rgb(y: u8, cb: u8, cr: u8) -> [u8; 4] {
    let (y, cb, cr) = (i32::from(y) << 16, i32::from(cb) - 128, i32::from(cr) - 128);
    let clamp = |sample: i32| ((sample + (1 << 15)) >> 16).clamp(0, 255) as u8;
    [clamp(y + 91_881 * cr), clamp(y - 22_554 * cb - 46_802 * cr), clamp(y + 116_130 * cb), 255]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2x3: a b / c d / e f
    fn letters() -> Raster {
        Raster::new(2, 3, Layout::L8, b"abcdef".to_vec()).unwrap()
    }

    #[test]
    fn each_orientation_turns_the_way_exif_draws_it() {
        let expected: [(u8, u32, &[u8]); 8] = [
            (1, 2, b"abcdef"),
            (2, 2, b"badcfe"),
            (3, 2, b"fedcba"),
            (4, 2, b"efcdab"),
            (5, 3, b"acebdf"),
            (6, 3, b"ecafdb"),
            (7, 3, b"fdbeca"),
            (8, 3, b"bdface"),
        ];
        for (orientation, width, pixels) in expected {
            let turned = letters().upright(orientation);
            assert_eq!(
                (turned.width, turned.pixels.as_slice()),
                (width, pixels),
                "orientation {orientation}"
            );
        }
    }

    #[test]
    fn planes_turn_each_for_itself() {
        let raster = Raster::new(3, 2, Layout::Ycbcr420, b"abcdefABCD".to_vec()).unwrap();
        let turned = raster.upright(6);
        assert_eq!((turned.width, turned.height), (2, 3));
        assert_eq!(turned.pixels, b"daebfcABCD", "one row of two becomes two rows of one");
        assert!(Raster::new(3, 2, Layout::Ycbcr420, vec![0; 9]).is_none());
    }

    #[test]
    fn colours_turn_as_gray_does() {
        let coloured = letters().pixels.iter().flat_map(|&letter| [letter, 0, 255]).collect();
        let coloured = Raster::new(2, 3, Layout::Rgb8, coloured).unwrap();
        for orientation in 1..=8 {
            let gray = letters().upright(orientation).pixels;
            let turned = coloured.clone().upright(orientation).pixels;
            assert_eq!(turned.chunks(3).map(|pixel| pixel[0]).collect::<Vec<_>>(), gray, "{orientation}");
        }
    }

    #[test]
    fn colours_become_planes_with_half_the_chroma() {
        let red = Raster::new(3, 3, Layout::Rgb8, [255, 0, 0].repeat(9)).unwrap();
        let planes = red.for_jpeg().into_owned();
        assert_eq!(planes.layout, Layout::Ycbcr420);
        assert_eq!(planes.pixels, [vec![76; 9], vec![85; 4], vec![255; 4]].concat());
    }

    #[test]
    fn what_is_transparent_shows_white() {
        let raster = Raster::new(3, 1, Layout::Rgba8, vec![9, 9, 9, 0, 9, 8, 7, 255, 0, 0, 0, 128]).unwrap();
        assert_eq!(raster.over_white().pixels, [255, 255, 255, 9, 8, 7, 127, 127, 127]);
    }

    #[test]
    fn a_raster_needs_exactly_its_octets() {
        assert!(Raster::new(2, 2, Layout::Rgb8, vec![0; 11]).is_none());
        assert!(Raster::new(u32::MAX, u32::MAX, Layout::Rgba8, vec![0; 4]).is_none());
    }
}
