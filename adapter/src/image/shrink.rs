//! Averages rows into a smaller picture as a decoder yields them, so that a large picture which is shown small
//! never lies in memory whole.
//!
//! It goes down to no less than twice the wanted size: the filter that scales the rest still decides how the
//! picture looks.

use super::raster::{Layout, Raster};

/// How many times larger than wanted the averaged picture stays.
const SPARE: u32 = 2;

/// The side of the square of pixels that is averaged into one; `None` if there is nothing to average.
pub(super) fn cell(from: (u32, u32), at_least: (u32, u32)) -> Option<u32> {
    let cell = |from: u32, at_least: u32| from / at_least.max(1).saturating_mul(SPARE);
    let cell = cell(from.0, at_least.0).min(cell(from.1, at_least.1));
    (cell >= 2).then_some(cell)
}

/// A picture that grows by rows of the large one.
#[derive(Debug)]
pub(super) struct Shrink {
    layout: Layout,
    from: (u32, u32),
    to: (u32, u32),
    /// Sums of the cells of the row of cells that is under way: the samples, and the pixels that were added.
    sums: Vec<u64>,
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
        Some(Shrink { layout, from, to, sums: vec![0; to.0 as usize * n], taken: 0, pixels })
    }

    /// Takes the next row of the large picture, from the top.
    pub(super) fn row(&mut self, row: &[u8]) {
        let n = self.layout.channels();
        for (cell, sums) in self.sums.chunks_exact_mut(n).enumerate() {
            let start = share(cell, self.from.0, self.to.0) * n;
            let end = share(cell + 1, self.from.0, self.to.0) * n;
            add(self.layout, sums, row.get(start..end).unwrap_or_default());
        }
        self.taken += 1;
        let done = self.pixels.len() / (self.to.0 as usize * n);
        if self.taken as usize == share(done + 1, self.from.1, self.to.1) {
            self.finish_cells(done);
        }
    }

    /// The averages, once all rows were taken.
    pub(super) fn into_raster(self) -> Option<Raster> {
        Raster::new(self.to.0, self.to.1, self.layout, self.pixels)
    }

    fn finish_cells(&mut self, row: usize) {
        let n = self.layout.channels();
        let high = share(row + 1, self.from.1, self.to.1) - share(row, self.from.1, self.to.1);
        for (cell, sums) in self.sums.chunks_exact_mut(n).enumerate() {
            let wide = share(cell + 1, self.from.0, self.to.0) - share(cell, self.from.0, self.to.0);
            let count = (wide * high) as u64;
            match (self.layout, &*sums) {
                (Layout::La8 | Layout::Rgba8, [colours @ .., alpha]) => {
                    let weight = (*alpha).max(1);
                    self.pixels.extend(colours.iter().map(|sum| mean(*sum, weight)));
                    self.pixels.push(mean(*alpha, count));
                }
                (_, samples) => self.pixels.extend(samples.iter().map(|sum| mean(*sum, count))),
            }
            sums.fill(0);
        }
    }
}

/// Where the part `index` of `parts` begins on a line of `whole`: the parts differ by one at most.
fn share(index: usize, whole: u32, parts: u32) -> usize {
    (index as u64 * u64::from(whole) / u64::from(parts.max(1))) as usize
}

fn mean(sum: u64, count: u64) -> u8 {
    ((sum + count / 2) / count.max(1)).min(255) as u8
}

/// Adds pixels to the sums of their cell; colours count by their alpha, as what can't be seen has none.
fn add(layout: Layout, sums: &mut [u64], pixels: &[u8]) {
    match (layout, sums) {
        (Layout::L8, [gray]) => *gray += pixels.iter().map(|&l| u64::from(l)).sum::<u64>(),
        (Layout::La8, [gray, alpha]) => {
            for &[l, a] in pixels.as_chunks::<2>().0 {
                *gray += u64::from(l) * u64::from(a);
                *alpha += u64::from(a);
            }
        }
        (Layout::Rgb8 | Layout::Ycbcr8, [red, green, blue]) => {
            for &[r, g, b] in pixels.as_chunks::<3>().0 {
                *red += u64::from(r);
                *green += u64::from(g);
                *blue += u64::from(b);
            }
        }
        (Layout::Rgba8, [red, green, blue, alpha]) => {
            for &[r, g, b, a] in pixels.as_chunks::<4>().0 {
                *red += u64::from(r) * u64::from(a);
                *green += u64::from(g) * u64::from(a);
                *blue += u64::from(b) * u64::from(a);
                *alpha += u64::from(a);
            }
        }
        _ => {}
    }
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
