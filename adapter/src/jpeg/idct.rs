//! The inverse DCT onto N x N samples from the N x N lowest coefficients of a block: what an 8 x 8 inverse DCT gives,
//! averaged down to N/8.
//!
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

/// Where in a block a coefficient of no use is put.
pub(super) const UNUSED: u8 = 64;

/// The coefficients of a block, column by column, and one that is not used; each times [`scale`] of its row and column.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) coefficients: [f32; UNUSED as usize + 1],
    /// The place in the zigzag of the last one that is not zero.
    pub(super) last: usize,
}

impl Block {
    /// Nothing but zeros.
    pub(super) const fn empty() -> Block {
        Block { coefficients: [0.0; UNUSED as usize + 1], last: 0 }
    }
}

/// What the waves of [`Basis`] leave out.
pub(super) fn scale(frequency: u8) -> f32 {
    if frequency == 0 { 0.125f32.sqrt() } else { 0.5 }
}

/// The basis of `N` samples a side.
#[derive(Debug)]
pub(super) struct Basis<const N: usize> {
    /// For each frequency, its value at each sample of the first half, once a lane; the second half mirrors it, the odd
    /// frequencies with the other sign.
    waves: [[Lanes; 4]; 8],
}

/// Four columns or rows beside each other.
type Lanes = [f32; 4];

#[expect(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "every index is bounded by constants"
)]
impl<const N: usize> Basis<N> {
    pub(super) fn new() -> Basis<N> {
        let mut waves = [[[0.0; 4]; 4]; 8];
        for (frequency, wave) in waves.iter_mut().enumerate().take(N) {
            for (at, value) in wave.iter_mut().enumerate().take(N.div_ceil(2)) {
                let angle = (2 * at + 1) as f32 * frequency as f32 * PI / (2 * N) as f32;
                *value = [angle.cos(); 4];
            }
        }
        Basis { waves }
    }

    /// Writes the samples of a block into `rows` from `left` on, and empties it.
    #[inline(always)]
    pub(super) fn draw(&self, block: &mut Block, rows: &mut [u8], stride: usize, left: usize) {
        if block.last == 0 {
            let [dc, ..] = block.coefficients;
            return write::<N>([[sample(dc + 128.0); 8]; 8], rows, stride, left);
        }
        // Most blocks have no more than the lowest four by four.
        if N <= 4 || REACHED.get(block.last).is_some_and(|&reached| reached <= 4) {
            self.passes::<4>(block, rows, stride, left);
        } else {
            self.passes::<8>(block, rows, stride, left);
        }
    }

    /// Draws the lowest `F` by `F` frequencies in two passes, the lanes of each across what the other sums.
    #[inline(always)]
    fn passes<const F: usize>(&self, block: &mut Block, rows: &mut [u8], stride: usize, left: usize) {
        let (columns, _) = block.coefficients.as_chunks_mut::<4>();
        columns[0][0] += 128.0;
        let mut turned = [[[0.0; 4]; 8]; 2];
        for half in 0..F / 4 {
            let mut lanes = [[0.0; 4]; 8];
            for at in 0..F.min(N) {
                lanes[at] = std::mem::take(&mut columns[at * 2 + half]);
            }
            let summed = self.pass::<F>(&lanes);
            for at in 0..N {
                for lane in 0..4 {
                    turned[at / 4][half * 4 + lane][at % 4] = summed[at][lane];
                }
            }
        }
        let mut shown = [[0u8; 8]; 8];
        for half in 0..N.div_ceil(4) {
            let summed = self.pass::<F>(&turned[half]);
            for at in 0..N {
                for lane in 0..4 {
                    shown[at][half * 4 + lane] = sample(summed[at][lane]);
                }
            }
        }
        write::<N>(shown, rows, stride, left);
    }

    /// Samples from the first `F` frequencies, in four lanes.
    #[inline(always)]
    fn pass<const F: usize>(&self, lanes: &[Lanes; 8]) -> [Lanes; 8] {
        let mut summed = [[0.0; 4]; 8];
        for at in 0..N.div_ceil(2) {
            let mut even = lanes[0];
            let mut odd = [0.0; 4];
            for frequency in 1..F.min(N) {
                let sums = if frequency % 2 == 0 { &mut even } else { &mut odd };
                for lane in 0..4 {
                    sums[lane] += lanes[frequency][lane] * self.waves[frequency][at][lane];
                }
            }
            for lane in 0..4 {
                summed[at][lane] = even[lane] + odd[lane];
                summed[N - 1 - at][lane] = even[lane] - odd[lane];
            }
        }
        summed
    }
}

/// Copies the first `N` samples of the first `N` rows.
#[inline(always)]
fn write<const N: usize>(samples: [[u8; 8]; 8], rows: &mut [u8], stride: usize, left: usize) {
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
    fn a_block_of_one_shade_is_that_shade_at_every_size() {
        fn shown<const N: usize>(last: usize) -> Vec<u8> {
            let (basis, mut rows) = (Basis::<N>::new(), vec![0; 64]);
            let mut block = Block { last, ..Block::empty() };
            block.coefficients[0] = 72.0;
            basis.draw(&mut block, &mut rows, 8, 0);
            rows
        }
        for last in [0, 9, 63] {
            for (size, rows) in [(2, shown::<2>(last)), (3, shown::<3>(last)), (7, shown::<7>(last))] {
                assert_eq!(rows[..size], vec![200; size], "{size}");
                assert_eq!(rows[(size - 1) * 8..][..size], vec![200; size], "{size}");
            }
        }
    }

    #[test]
    fn samples_are_rounded_and_held_within_an_octet() {
        let shown = [-3.0, 0.4, 0.6, 254.4, 254.6, 999.0].map(sample);
        assert_eq!(shown, [0, 0, 1, 254, 255, 255]);
    }
}
