//! The forward DCT (Arai, Agui and Nakajima's, in floats): eight columns at once, then eight rows at once.

use fearless_simd::prelude::*;
use fearless_simd::{f32x8, i32x8, u8x16};

use super::{Block, Samples};
use crate::idct::ZIGZAG;

/// Makes the blocks of units of a picture.
pub(super) struct Forward<'a, 'b> {
    planes: &'a [Samples<'b>],
    factors: [[f32; 8]; 8],
    /// Units from left to right and from top to bottom.
    units: (usize, usize),
}

impl<'a, 'b> Forward<'a, 'b> {
    pub(super) fn new(planes: &'a [Samples<'b>]) -> Forward<'a, 'b> {
        let of = if planes.len() > 1 { 16 } else { 8 };
        let units = planes.first().map_or((0, 0), |y| (y.width.div_ceil(of), y.height.div_ceil(of)));
        Forward { planes, factors: factors(), units }
    }

    /// How many units there are.
    pub(super) fn count(&self) -> usize {
        self.units.0 * self.units.1
    }

    /// Appends the blocks of a unit, by its place in the scan.
    #[inline(always)]
    pub(super) fn unit<S: Simd>(&self, simd: S, at: usize, blocks: &mut Vec<Block>) {
        let across = self.units.0.max(1);
        let (x, y) = (at % across, at / across);
        match self.planes {
            [luma, cb, cr] => {
                for (down, across) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    blocks.push(block(simd, luma, x * 2 + across, y * 2 + down, &self.factors));
                }
                blocks.push(block(simd, cb, x, y, &self.factors));
                blocks.push(block(simd, cr, x, y, &self.factors));
            }
            [luma] => blocks.push(block(simd, luma, x, y, &self.factors)),
            _ => {}
        }
    }
}

/// Eight samples to eight frequencies, each off by a factor that [`factors`] makes good.
#[inline(always)]
fn transform<S: Simd>([a, b, c, d, e, f, g, h]: [f32x8<S>; 8]) -> [f32x8<S>; 8] {
    let (ah, bg, cf, de) = (a + h, b + g, c + f, d + e);
    let (even, odd) = (ah + de, bg + cf);
    let (rest, last) = (ah - de, bg - cf);
    let tilted = (last + rest) * 0.707_106_77;
    let (k, l, m) = ((d - e) + (c - f), (c - f) + (b - g), (b - g) + (a - h));
    let shared = (k - m) * 0.382_683_43;
    let (two, four, three) = (k * 0.541_196_1 + shared, m * 1.306_563 + shared, l * 0.707_106_77);
    let (up, down) = ((a - h) + three, (a - h) - three);
    [even + odd, up + four, rest + tilted, down - two, even - odd, down + two, rest - tilted, up - four]
}

/// What makes the frequencies of both passes coefficients times 16; by column, then row.
fn factors() -> [[f32; 8]; 8] {
    let wave = |at: usize| {
        let angle = at as f32 * std::f32::consts::PI / 16.0;
        if at == 0 { 1.0 } else { angle.cos() * std::f32::consts::SQRT_2 }
    };
    std::array::from_fn(|column| std::array::from_fn(|row| 2.0 / (wave(column) * wave(row))))
}

#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "every index is bounded by constants")]
fn block<S: Simd>(simd: S, plane: &Samples<'_>, x: usize, y: usize, factors: &[[f32; 8]; 8]) -> Block {
    let [a, b, c, d, e, f, g, h] = samples(plane, x * 8, y * 8);
    let (a, b, c, d) = (floats(simd, a), floats(simd, b), floats(simd, c), floats(simd, d));
    let (e, f, g, h) = (floats(simd, e), floats(simd, f), floats(simd, g), floats(simd, h));
    let columns = transform(turned(simd, transform([a, b, c, d, e, f, g, h])));
    let mut natural = [0i16; 64];
    for pair in 0..4 {
        let (one, other) = (pair * 2, pair * 2 + 1);
        let (one, other) =
            (rounded(simd, columns[one], &factors[one]), rounded(simd, columns[other], &factors[other]));
        let both = simd.narrow_i32x8(one, other);
        both.store_slice(&mut natural[pair * 16..pair * 16 + 16]);
    }
    let mut block = [0; 64];
    for at in 0..64 {
        block[at] = natural[usize::from(ORDER[at] & 63)];
    }
    block
}

#[inline(always)]
fn rounded<S: Simd>(simd: S, column: f32x8<S>, factors: &[f32; 8]) -> i32x8<S> {
    // Adding 1.5 * 2^23 leaves the rounded number in the lowest bits.
    (column * f32x8::from_slice(simd, factors) + 12_582_912.0).bitcast()
}

/// Samples around the middle of all.
#[inline(always)]
fn floats<S: Simd>(simd: S, [a, b, c, d, e, f, g, h]: [u8; 8]) -> f32x8<S> {
    let octets = u8x16::simd_from(simd, [a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0]);
    let (lower, upper) = simd.widen_u16x8(simd.widen_u8x16(octets).0);
    simd.cvt_f32_i32x8(simd.combine_u32x4(lower, upper).bitcast()) - 128.0
}

/// Rows as columns: three times every row is threaded into the one four below it.
#[inline(always)]
fn turned<S: Simd>(simd: S, rows: [f32x8<S>; 8]) -> [f32x8<S>; 8] {
    threaded(simd, threaded(simd, threaded(simd, rows)))
}

#[inline(always)]
fn threaded<S: Simd>(simd: S, [a, b, third, fourth, e, f, g, h]: [f32x8<S>; 8]) -> [f32x8<S>; 8] {
    let ((a, b), (c, d)) = (simd.interleave_f32x8(a, e), simd.interleave_f32x8(b, f));
    let ((e, f), (g, h)) = (simd.interleave_f32x8(third, g), simd.interleave_f32x8(fourth, h));
    [a, b, c, d, e, f, g, h]
}

/// For each place of the zigzag, where the coefficient lies column by column.
const ORDER: [u8; 64] = {
    let mut order = [0; 64];
    let mut at = 0;
    while at < 64 {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            order[at] = ZIGZAG[at].1 * 8 + ZIGZAG[at].0;
        }
        at += 1;
    }
    order
};

/// Eight rows of eight samples; beyond the picture its last ones again.
#[inline(always)]
fn samples(plane: &Samples<'_>, left: usize, top: usize) -> [[u8; 8]; 8] {
    let inside = left + 8 <= plane.width && top + 8 <= plane.height;
    if inside {
        let rest = plane.samples.get(top * plane.width + left..).unwrap_or_default();
        return std::array::from_fn(|row| {
            rest.get(row * plane.width..).and_then(|row| row.first_chunk()).copied().unwrap_or_default()
        });
    }
    std::array::from_fn(|row| {
        let y = (top + row).min(plane.height.saturating_sub(1));
        std::array::from_fn(|column| {
            let x = (left + column).min(plane.width.saturating_sub(1));
            plane.samples.get(y * plane.width + x).copied().unwrap_or_default()
        })
    })
}
