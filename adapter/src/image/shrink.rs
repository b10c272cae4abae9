//! Averages rows into a smaller picture as a decoder yields them, so that a large picture which is shown small
//! never lies in memory whole.
//!
//! It goes down to no less than twice the wanted size: the filter that scales the rest still decides how the
//! picture looks.

use super::raster::{Layout, Raster};

/// How many times larger than wanted the averaged picture stays.
const SPARE: u32 = 2;

/// The largest cell: the sums of one row more lie within 16 bits, those of one pixel more to either side within 32.
const LARGEST: u32 = 256;

/// The side of the square of pixels that is averaged into one; `None` if there is nothing to average.
pub(super) fn cell(from: (u32, u32), at_least: (u32, u32)) -> Option<u32> {
    let cell = |from: u32, at_least: u32| from / at_least.max(1).saturating_mul(SPARE);
    let cell = cell(from.0, at_least.0).min(cell(from.1, at_least.1)).min(LARGEST);
    (cell >= 2).then_some(cell)
}

/// A picture that grows by rows of the large one.
#[derive(Debug)]
pub(super) struct Shrink {
    layout: Layout,
    from: (u32, u32),
    to: (u32, u32),
    /// For each sample of a row, the sum over those rows of the cells under way in which nothing is transparent.
    plain: Vec<u16>,
    /// The same over the other rows. Colours count by their alpha, as what can't be seen has none.
    sums: Vec<u32>,
    /// Whether no pixel was transparent so far, and whether none of the cells under way was.
    opaque: bool,
    plainly: bool,
    /// Rows taken.
    taken: u32,
    pixels: Vec<u8>,
}

impl Shrink {
    /// From a picture of `from` towards one that is at least `at_least`; `None` if there is nothing to average.
    pub(super) fn new(layout: Layout, from: (u32, u32), at_least: (u32, u32)) -> Option<Shrink> {
        let cell = cell(from, at_least)?;
        let to = (from.0 / cell, from.1 / cell);
        let n = layout.channels();
        let pixels = Vec::with_capacity(to.0 as usize * to.1 as usize * n);
        let samples = from.0 as usize * n;
        let sums = if layout.has_alpha() { vec![0; samples] } else { Vec::new() };
        Some(Shrink {
            layout,
            from,
            to,
            plain: vec![0; samples],
            sums,
            opaque: true,
            plainly: true,
            taken: 0,
            pixels,
        })
    }

    /// Takes the next row of the large picture, from the top.
    pub(super) fn row(&mut self, row: &[u8]) {
        match self.layout {
            Layout::La8 if !is_opaque::<2>(row) => self.weigh::<2>(row),
            Layout::Rgba8 if !is_opaque::<4>(row) => self.weigh::<4>(row),
            _ => self.plain.iter_mut().zip(row).for_each(|(sum, &sample)| *sum += u16::from(sample)),
        }
        self.taken += 1;
        let done = self.pixels.len() / (self.to.0 as usize * self.layout.channels());
        if self.taken as usize == share(done + 1, self.from.1, self.to.1) {
            let high = share(done + 1, self.from.1, self.to.1) - share(done, self.from.1, self.to.1);
            match self.layout.channels() {
                1 => self.finish_cells::<1>(high),
                2 => self.finish_cells::<2>(high),
                3 => self.finish_cells::<3>(high),
                _ => self.finish_cells::<4>(high),
            }
        }
    }

    /// The averages, once all rows were taken; without alpha if nothing is transparent.
    pub(super) fn into_raster(self) -> Option<Raster> {
        let raster = Raster::new(self.to.0, self.to.1, self.layout, self.pixels)?;
        Some(if self.opaque { raster.without_alpha() } else { raster })
    }

    /// Adds a row in which something is transparent; the last sample of a pixel is its alpha.
    fn weigh<const N: usize>(&mut self, row: &[u8]) {
        (self.opaque, self.plainly) = (false, false);
        let ((sums, _), (pixels, _)) = (self.sums.as_chunks_mut::<N>(), row.as_chunks::<N>());
        for (sums, pixel) in sums.iter_mut().zip(pixels) {
            let alpha = u32::from(pixel.last().copied().unwrap_or_default());
            for (at, (sum, &sample)) in sums.iter_mut().zip(pixel).enumerate() {
                *sum += u32::from(sample) * if at + 1 == N { 1 } else { alpha };
            }
        }
    }

    /// Writes the means of a row of cells, `high` pixels each.
    fn finish_cells<const N: usize>(&mut self, high: usize) {
        let (plain, _) = self.plain.as_chunks::<N>();
        let (weighed, _) = self.sums.as_chunks::<N>();
        let mut end = 0;
        for cell in 0..self.to.0 as usize {
            let start = std::mem::replace(&mut end, share(cell + 1, self.from.0, self.to.0));
            let mut sums = [0u32; N];
            for column in plain.get(start..end).unwrap_or_default() {
                sums.iter_mut().zip(column).for_each(|(sum, &add)| *sum += u32::from(add));
            }
            let count = ((end - start) * high) as f32;
            let means = if self.plainly {
                // No more than 24 bits: they convert several at once.
                let part = 1.0 / count;
                sums.map(|sum| (sum.cast_signed() as f32 * part + 0.5) as i32 as u8)
            } else {
                // What is opaque counts by an alpha of 255.
                sums.iter_mut().take(N - 1).for_each(|sum| *sum *= u32::from(u8::MAX));
                for column in weighed.get(start..end).unwrap_or_default() {
                    sums.iter_mut().zip(column).for_each(|(sum, add)| *sum += add);
                }
                weighed_means(sums, count)
            };
            self.pixels.extend_from_slice(&means);
        }
        self.plain.fill(0);
        if !self.plainly {
            self.sums.fill(0);
        }
        self.plainly = true;
    }
}

/// Means over alpha, which is the last sum; its own is over `count` pixels.
fn weighed_means<const N: usize>(sums: [u32; N], count: f32) -> [u8; N] {
    let alpha = sums.last().copied().unwrap_or_default();
    let part = 1.0 / alpha.max(1) as f32;
    let mut means = sums.map(|sum| (sum as f32 * part + 0.5) as u8);
    if let Some(last) = means.last_mut() {
        *last = (alpha as f32 / count + 0.5) as u8;
    }
    means
}

/// Whether no pixel of the row is transparent; the last of `N` samples (2 or 4) is its alpha.
fn is_opaque<const N: usize>(row: &[u8]) -> bool {
    let (words, rest) = row.as_chunks::<8>();
    let all = words.iter().fold(u64::MAX, |all, word| all & u64::from_le_bytes(*word));
    let alphas = if N == 2 { 0xff00_ff00_ff00_ff00 } else { 0xff00_0000_ff00_0000 };
    all & alphas == alphas && rest.chunks_exact(N).all(|pixel| pixel.last() == Some(&u8::MAX))
}

/// Where the part `index` of `parts` begins on a line of `whole`: the parts differ by one at most.
fn share(index: usize, whole: u32, parts: u32) -> usize {
    (index as u64 * u64::from(whole) / u64::from(parts.max(1))) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shrunk(layout: Layout, from: (u32, u32), at_least: (u32, u32), pixels: &[u8]) -> Option<Raster> {
        let mut shrink = Shrink::new(layout, from, at_least)?;
        pixels.chunks_exact(from.0 as usize * layout.channels()).for_each(|row| shrink.row(row));
        shrink.into_raster()
    }

    #[test]
    fn nothing_is_averaged_below_twice_the_wanted_size() {
        assert!(Shrink::new(Layout::L8, (399, 400), (100, 100)).is_none());
        let shrink = Shrink::new(Layout::L8, (400, 900), (100, 100)).unwrap();
        assert_eq!(shrink.to, (200, 450));
        assert!(Shrink::new(Layout::L8, (400, 100), (100, 100)).is_none(), "the shorter side decides");
    }

    #[test]
    fn cells_are_means_also_where_the_size_does_not_divide() {
        let ramp: Vec<u8> = (0..9).flat_map(|y| (0..9).map(move |x| x * 10 + y)).collect();
        let raster = shrunk(Layout::L8, (9, 9), (2, 2), &ramp).unwrap();
        assert_eq!((raster.width, raster.height), (4, 4));
        // Cells begin at 0, 2, 4 and 6; the last is three wide and high.
        assert_eq!(raster.pixels, [6, 26, 46, 71, 8, 28, 48, 73, 10, 30, 50, 75, 12, 32, 52, 77]);
    }

    #[test]
    fn what_is_transparent_lends_no_colour() {
        let rows = [[255, 0, 0, 255], [0, 255, 0, 0]].concat().repeat(8);
        let raster = shrunk(Layout::Rgba8, (4, 4), (1, 1), &rows).unwrap();
        assert_eq!((raster.width, raster.pixels), (2, [255, 0, 0, 128].repeat(4)));
        let opaque = shrunk(Layout::Rgba8, (4, 4), (1, 1), &[9, 8, 7, 255].repeat(16)).unwrap();
        assert_eq!((opaque.layout, opaque.pixels), (Layout::Rgb8, [9, 8, 7].repeat(4)));
        let clear = shrunk(Layout::La8, (4, 4), (1, 1), &[9, 0].repeat(16)).unwrap();
        assert_eq!(clear.pixels, [0; 8]);
    }

    #[test]
    fn rows_that_are_missing_make_no_raster() {
        let mut shrink = Shrink::new(Layout::L8, (8, 8), (2, 2)).unwrap();
        shrink.row(&[1; 8]);
        assert!(shrink.into_raster().is_none());
    }
}
