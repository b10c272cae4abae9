//! The inverse DCT onto N x N samples from the N x N lowest coefficients of a block: what an 8 x 8 inverse DCT gives,
//! averaged down to N/8.
//!
//! In floats: each row of a block is one vector where there are eight lanes, and the baseline of x86-64 multiplies four
//! of them at once and no four integers.

use std::f32::consts::PI;

use fearless_simd::prelude::*;
use fearless_simd::{f32x8, i32x8, u16x16};

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

/// Rows and columns of [`ZIGZAG`] that the coefficients up to each place may lie in.
const REACHED: [u8; 64] = {
    let mut reached = [0; 64];
    let (mut most, mut at) = (0, 0);
    while at < 64 {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            let (row, column) = ZIGZAG[at];
            let further = if row > column { row } else { column };
            most = if further + 1 > most { further + 1 } else { most };
            reached[at] = most;
        }
        at += 1;
    }
    reached
};

/// Which row of [`Sums`] takes coefficients of no use.
pub(super) const UNUSED: u8 = 8;

/// One value for each sample of a row.
pub(super) type Row = [f32; 8];

/// A block half way: for each frequency from top to bottom, the sum of its waves from left to right at each sample. A
/// coefficient is added when it is read, so those that are zero cost nothing, and nothing has to be turned.
#[derive(Clone, Debug)]
#[repr(align(32))]
pub(super) struct Sums {
    /// A power of two of them, so that none needs to be looked for.
    rows: [Row; 16],
    /// The place in the zigzag of the last coefficient that is not zero.
    pub(super) last: usize,
}

/// Half a shade, so that cutting rounds, above the middle of all.
const MIDDLE: f32 = 128.5;

impl Sums {
    /// Nothing but zeros.
    pub(super) const fn empty() -> Sums {
        Sums { rows: [[0.0; 8]; 16], last: 0 }
    }

    /// Begins a block with its DC coefficient.
    #[inline(always)]
    pub(super) fn start<S: Simd>(&mut self, simd: S, dc: f32) {
        let [first, ..] = &mut self.rows;
        f32x8::splat(simd, dc + MIDDLE).store_slice(first);
        self.last = 0;
    }

    /// Adds a coefficient, which is times [`scale`] of its row and column.
    #[inline(always)]
    pub(super) fn add<S: Simd>(&mut self, simd: S, coefficient: f32, row: u8, wave: &Row) {
        if let Some(sums) = self.rows.get_mut(usize::from(row & 15)) {
            let sum = f32x8::from_slice(simd, sums) + f32x8::from_slice(simd, wave) * coefficient;
            sum.store_slice(sums);
        }
    }
}

/// What the waves of [`Basis`] leave out.
pub(super) fn scale(frequency: u8) -> f32 {
    if frequency == 0 { 0.125f32.sqrt() } else { 0.5 }
}

/// The waves of a size.
#[derive(Clone, Debug)]
pub(super) struct Basis {
    /// For each frequency, its value at each sample of a row.
    pub(super) across: [Row; 8],
    /// For each frequency, its value at each sample of the first half of a column; the second half mirrors it, the odd
    /// frequencies with the other sign.
    down: [[f32; 4]; 8],
}

impl Basis {
    /// Of `size` samples a side.
    pub(super) fn new(size: usize) -> Basis {
        let value = |frequency: usize, at: usize| {
            let angle = (2 * at + 1) as f32 * frequency as f32 * PI / (2 * size) as f32;
            if frequency < size && at < size { angle.cos() } else { 0.0 }
        };
        Basis {
            across: std::array::from_fn(|frequency| std::array::from_fn(|at| value(frequency, at))),
            down: std::array::from_fn(|frequency| std::array::from_fn(|at| value(frequency, at))),
        }
    }

    /// Writes the `N` x `N` samples of a block into `rows` from `left` on, and empties it.
    #[inline(always)]
    pub(super) fn draw<S: Simd, const N: usize>(
        &self,
        simd: S,
        sums: &mut Sums,
        rows: &mut [u8],
        stride: usize,
        left: usize,
    ) {
        if sums.last == 0 {
            let [[dc, ..], ..] = sums.rows;
            let flat = [dc.clamp(0.0, 255.5) as u8; 8];
            return write::<N>(&[flat; 8], rows, stride, left);
        }
        // Most blocks have no more than the lowest four by four.
        let shown = if N <= 4 || REACHED.get(sums.last).is_some_and(|&reached| reached <= 4) {
            self.columns::<S, N, 4>(simd, sums)
        } else {
            self.columns::<S, N, 8>(simd, sums)
        };
        write::<N>(&shown, rows, stride, left);
    }

    /// The samples of the lowest `F` frequencies from top to bottom, which are zero afterwards.
    #[inline(always)]
    #[expect(
        clippy::indexing_slicing,
        clippy::needless_range_loop,
        reason = "every index is bounded by constants"
    )]
    fn columns<S: Simd, const N: usize, const F: usize>(&self, simd: S, sums: &mut Sums) -> [[u8; 8]; 8] {
        let zero = f32x8::splat(simd, 0.0);
        let mut found = [zero; F];
        for frequency in 0..F.min(N) {
            found[frequency] = f32x8::from_slice(simd, &sums.rows[frequency]);
            if frequency > 0 {
                zero.store_slice(&mut sums.rows[frequency]);
            }
        }
        let mut shown = [zero; 8];
        for at in 0..N.div_ceil(2) {
            let (mut even, mut odd) = (found[0], zero);
            for frequency in 1..F.min(N) {
                let part = found[frequency] * self.down[frequency][at];
                match frequency {
                    1 => odd = part,
                    _ if frequency % 2 == 0 => even += part,
                    _ => odd += part,
                }
            }
            shown[at] = even + odd;
            shown[N - 1 - at] = even - odd;
        }
        octets(simd, shown)
    }
}

/// Rows cut to whole numbers and held within an octet.
#[inline(always)]
fn octets<S: Simd>(simd: S, [a, b, c, d, e, f, g, h]: [f32x8<S>; 8]) -> [[u8; 8]; 8] {
    let upper: [u8; 32] = simd.narrow_u16x16(pair(simd, a, b), pair(simd, c, d)).into();
    let lower: [u8; 32] = simd.narrow_u16x16(pair(simd, e, f), pair(simd, g, h)).into();
    let (Some(&[a, b, c, d]), Some(&[e, f, g, h])) =
        (upper.as_chunks::<8>().0.first_chunk(), lower.as_chunks::<8>().0.first_chunk())
    else {
        return [[0; 8]; 8];
    };
    [a, b, c, d, e, f, g, h]
}

#[inline(always)]
fn pair<S: Simd>(simd: S, a: f32x8<S>, b: f32x8<S>) -> u16x16<S> {
    simd.saturating_narrow_i32x8(whole(simd, a), whole(simd, b)).bitcast()
}

#[inline(always)]
fn whole<S: Simd>(simd: S, row: f32x8<S>) -> i32x8<S> {
    row.max(f32x8::splat(simd, 0.0)).min(f32x8::splat(simd, 255.5)).to_int()
}

/// Copies the first `N` samples of the first `N` rows.
#[inline(always)]
fn write<const N: usize>(samples: &[[u8; 8]; 8], rows: &mut [u8], stride: usize, left: usize) {
    let mut rest = rows.get_mut(left..).unwrap_or_default();
    // What is written too far is written again by the next block, unless it is the last of its row.
    let roomy = left + 8 <= stride;
    for row in samples.iter().take(N) {
        if roomy && let Some(to) = rest.first_chunk_mut::<8>() {
            *to = *row;
        } else if let (Some(to), Some(row)) = (rest.first_chunk_mut::<N>(), row.first_chunk::<N>()) {
            *to = *row;
        }
        rest = rest.get_mut(stride..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{self, Lanes};

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

    struct Shown<const N: usize>(f32, usize);

    impl<const N: usize> Lanes for Shown<N> {
        type Made = Vec<u8>;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Vec<u8> {
            let (mut sums, mut rows) = (Sums::empty(), vec![0; 64]);
            sums.start(simd, self.0);
            sums.last = self.1;
            Basis::new(N).draw::<S, N>(simd, &mut sums, &mut rows, 8, 0);
            rows
        }
    }

    #[test]
    fn a_block_of_one_shade_is_that_shade_at_every_size() {
        for last in [0, 9, 63] {
            let sizes = [
                (2, lanes::widest(Shown::<2>(72.0, last))),
                (3, lanes::widest(Shown::<3>(72.0, last))),
                (7, lanes::widest(Shown::<7>(72.0, last))),
            ];
            for (size, rows) in sizes {
                assert_eq!(rows[..size], vec![200; size], "{size}");
                assert_eq!(rows[(size - 1) * 8..][..size], vec![200; size], "{size}");
            }
        }
    }

    #[test]
    fn samples_are_rounded_and_held_within_an_octet() {
        for (dc, shade) in [(-999.0, 0), (-127.6, 0), (-127.4, 1), (126.4, 254), (126.6, 255), (999.0, 255)] {
            for last in [0, 1] {
                assert_eq!(lanes::widest(Shown::<8>(dc, last)), [shade; 64], "{dc}");
            }
        }
    }
}
