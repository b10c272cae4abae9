//! The inverse DCT onto N x N samples from the N x N lowest coefficients of a block: what an 8 x 8 inverse DCT gives,
//! averaged down to N/8.
//!
//! The rows of the first pass are summed as the coefficients come, so a block costs what its coefficients are worth.
//! Floats, because the baseline of x86-64 multiplies four of them at once and no four integers.

use std::f32::consts::PI;

/// Zigzag order: row and column of each coefficient (T.81 figure A.6).
pub(super) const ZIGZAG: [(u8, u8); 64] = zigzag();

const fn zigzag() -> [(u8, u8); 64] {
    let mut order = [(0, 0); 64];
    let (mut row, mut column, mut at) = (0i8, 0i8, 0);
    while at < 64 {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            order[at] = (row as u8, column as u8);
        }
        at += 1;
        let up = (row + column) % 2 == 0;
        match (up, row, column) {
            (true, _, 7) => row += 1,
            (true, 0, _) => column += 1,
            (true, ..) => (row, column) = (row - 1, column + 1),
            (false, 7, _) => column += 1,
            (false, _, 0) => row += 1,
            (false, ..) => (row, column) = (row + 1, column - 1),
        }
    }
    order
}

/// The basis of `N` samples a side, padded to `W` lanes.
#[derive(Debug)]
pub(super) struct Basis<const N: usize, const W: usize> {
    /// For each frequency, its value at each sample.
    waves: [[f32; W]; N],
}

/// A block that is being summed.
#[derive(Clone, Debug)]
pub(super) struct Block<const N: usize, const W: usize> {
    /// For each vertical frequency, its row of samples.
    rows: [[f32; W]; N],
    /// One more than the highest row that is not zero.
    used: usize,
}

impl<const N: usize, const W: usize> Basis<N, W> {
    pub(super) fn new() -> Basis<N, W> {
        let mut waves = [[0.0; W]; N];
        for (frequency, wave) in waves.iter_mut().enumerate() {
            for (at, value) in wave.iter_mut().enumerate().take(N) {
                let angle = (2 * at + 1) as f32 * frequency as f32 * PI / (2 * N) as f32;
                *value = if frequency == 0 { 0.125f32.sqrt() } else { 0.5 * angle.cos() };
            }
        }
        Basis { waves }
    }

    /// A block of one shade.
    #[inline(always)]
    pub(super) fn begin(&self, dc: f32) -> Block<N, W> {
        let mut rows = [[0.0; W]; N];
        if let Some(first) = rows.first_mut() {
            *first = [dc * 0.353_553_4; W];
        }
        Block { rows, used: 1 }
    }

    /// Adds a coefficient of these frequencies, if both are below the size.
    #[inline(always)]
    pub(super) fn add(&self, block: &mut Block<N, W>, (down, across): (u8, u8), value: f32) {
        let (down, across) = (usize::from(down), usize::from(across));
        if let (Some(row), Some(wave)) = (block.rows.get_mut(down), self.waves.get(across)) {
            row.iter_mut().zip(wave).for_each(|(sum, wave)| *sum += value * wave);
            block.used = block.used.max(down + 1);
        }
    }

    /// Writes the samples of a finished block into `rows` from `left` on.
    #[inline(always)]
    pub(super) fn finish(&self, block: &Block<N, W>, rows: &mut [u8], stride: usize, left: usize) {
        let mut sums = [[128.0f32; W]; N];
        for (wave, terms) in self.waves.iter().zip(&block.rows).take(block.used) {
            for (sum, factor) in sums.iter_mut().zip(wave) {
                sum.iter_mut().zip(terms).for_each(|(sum, term)| *sum += factor * term);
            }
        }
        let mut rest = rows.get_mut(left..).unwrap_or_default();
        for sum in sums {
            let samples = sum.map(sample);
            if let (Some(to), Some(samples)) = (rest.first_chunk_mut::<N>(), samples.first_chunk::<N>()) {
                *to = *samples;
            }
            rest = rest.get_mut(stride..).unwrap_or_default();
        }
    }
}

/// Rounded and held within an octet. Adding 1.5 * 2^23 leaves the whole number in the lowest bits of the float, which
/// costs less than the saturating cast.
#[inline(always)]
pub(super) fn sample(value: f32) -> u8 {
    (value.clamp(0.0, 255.0) + 12_582_912.0).to_bits() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zigzag_is_that_of_the_standard() {
        assert_eq!(ZIGZAG[..8], [(0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2)]);
        assert_eq!(ZIGZAG[35], (7, 0));
        assert_eq!(ZIGZAG[63], (7, 7));
        let mut seen = ZIGZAG.to_vec();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 64);
    }

    #[test]
    fn a_dc_of_eight_times_a_shade_is_that_shade_at_every_size() {
        fn shown<const N: usize, const W: usize>() -> Vec<u8> {
            let (basis, mut rows) = (Basis::<N, W>::new(), vec![0; 64]);
            basis.finish(&basis.begin(8.0 * 72.0), &mut rows, 8, 0);
            rows
        }
        for (size, rows) in [(2, shown::<2, 4>()), (3, shown::<3, 4>()), (7, shown::<7, 8>())] {
            assert_eq!(rows[..size], vec![200; size], "{size}");
            assert_eq!(rows[(size - 1) * 8..][..size], vec![200; size], "{size}");
        }
    }

    #[test]
    fn samples_are_rounded_and_held_within_an_octet() {
        let shown = [-3.0, 0.4, 0.6, 254.4, 254.6, 999.0].map(sample);
        assert_eq!(shown, [0, 0, 1, 254, 255, 255]);
    }
}
