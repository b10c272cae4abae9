//! The forward DCT (Arai, Agui and Nakajima's, in floats): four columns at once, then four rows at once.

use std::ops::{Add, Mul, Sub};

use super::{Block, Samples};
use crate::jpeg::idct::ZIGZAG;

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
    pub(super) fn unit(&self, at: usize, blocks: &mut Vec<Block>) {
        let across = self.units.0.max(1);
        let (x, y) = (at % across, at / across);
        match self.planes {
            [luma, cb, cr] => {
                for (down, across) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    blocks.push(block(luma, x * 2 + across, y * 2 + down, &self.factors));
                }
                blocks.push(block(cb, x, y, &self.factors));
                blocks.push(block(cr, x, y, &self.factors));
            }
            _ => blocks.extend(self.planes.first().map(|luma| block(luma, x, y, &self.factors))),
        }
    }
}

/// One sample of each of four columns (or rows).
#[derive(Clone, Copy)]
struct Lanes([f32; 4]);

impl Add for Lanes {
    type Output = Lanes;

    #[inline(always)]
    fn add(self, other: Lanes) -> Lanes {
        let (Lanes([a, b, c, d]), Lanes([e, f, g, h])) = (self, other);
        Lanes([a + e, b + f, c + g, d + h])
    }
}

impl Sub for Lanes {
    type Output = Lanes;

    #[inline(always)]
    fn sub(self, other: Lanes) -> Lanes {
        let (Lanes([a, b, c, d]), Lanes([e, f, g, h])) = (self, other);
        Lanes([a - e, b - f, c - g, d - h])
    }
}

impl Mul<f32> for Lanes {
    type Output = Lanes;

    #[inline(always)]
    fn mul(self, factor: f32) -> Lanes {
        Lanes(self.0.map(|a| a * factor))
    }
}

/// Eight samples to eight frequencies, each off by a factor that [`factors`] makes good.
#[inline(always)]
fn transform([a, b, c, d, e, f, g, h]: [Lanes; 8]) -> [Lanes; 8] {
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

#[expect(clippy::indexing_slicing, reason = "every index is bounded by constants")]
fn block(plane: &Samples<'_>, x: usize, y: usize, factors: &[[f32; 8]; 8]) -> Block {
    let rows = samples(plane, x * 8, y * 8);
    let mut turned = [[0.0; 8]; 8];
    for half in 0..2 {
        let mut lanes = [Lanes([0.0; 4]); 8];
        for row in 0..8 {
            for lane in 0..4 {
                lanes[row].0[lane] = f32::from(rows[row][half * 4 + lane]) - 128.0;
            }
        }
        let summed = transform(lanes);
        for row in 0..8 {
            for lane in 0..4 {
                turned[half * 4 + lane][row] = summed[row].0[lane];
            }
        }
    }
    let mut natural = [0i16; 64];
    for half in 0..2 {
        let mut lanes = [Lanes([0.0; 4]); 8];
        for column in 0..8 {
            for lane in 0..4 {
                lanes[column].0[lane] = turned[column][half * 4 + lane];
            }
        }
        let summed = transform(lanes);
        for column in 0..8 {
            for lane in 0..4 {
                let row = half * 4 + lane;
                // Adding 1.5 * 2^23 leaves the rounded number in the lowest bits.
                let rounded = summed[column].0[lane] * factors[column][row] + 12_582_912.0;
                natural[column * 8 + row] = rounded.to_bits() as i16;
            }
        }
    }
    let mut block = [0; 64];
    for at in 0..64 {
        block[at] = natural[usize::from(ORDER[at] & 63)];
    }
    block
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
