//! The forward DCT (Arai, Agui and Nakajima's, in floats): eight columns at once, then eight rows at once.

use std::ops::{Add, Mul, Sub};

use super::{Block, Samples};
use crate::jpeg::idct::ZIGZAG;

/// All blocks in the order of the scan.
pub(super) fn blocks(planes: &[Samples<'_>]) -> Vec<Block> {
    let factors = factors();
    let sides = |plane: &Samples<'_>, of: usize| (plane.width.div_ceil(of), plane.height.div_ceil(of));
    let (units, of_unit) = match planes {
        [luma, _, _] => (sides(luma, 16), 6),
        [luma, ..] => (sides(luma, 8), 1),
        [] => return Vec::new(),
    };
    let mut blocks = Vec::with_capacity(units.0 * units.1 * of_unit);
    for (y, x) in (0..units.1).flat_map(|y| (0..units.0).map(move |x| (y, x))) {
        match planes {
            [luma, cb, cr] => {
                for (down, across) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    blocks.push(block(luma, x * 2 + across, y * 2 + down, &factors));
                }
                blocks.push(block(cb, x, y, &factors));
                blocks.push(block(cr, x, y, &factors));
            }
            _ => blocks.extend(planes.first().map(|luma| block(luma, x, y, &factors))),
        }
    }
    blocks
}

/// One sample of each of eight columns (or rows).
#[derive(Clone, Copy)]
struct Lanes([f32; 8]);

impl Add for Lanes {
    type Output = Lanes;

    #[inline(always)]
    fn add(mut self, other: Lanes) -> Lanes {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
        self
    }
}

impl Sub for Lanes {
    type Output = Lanes;

    #[inline(always)]
    fn sub(mut self, other: Lanes) -> Lanes {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a -= b);
        self
    }
}

impl Mul<f32> for Lanes {
    type Output = Lanes;

    #[inline(always)]
    fn mul(mut self, factor: f32) -> Lanes {
        self.0.iter_mut().for_each(|a| *a *= factor);
        self
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

#[inline(always)]
fn turned(lanes: [Lanes; 8]) -> [Lanes; 8] {
    std::array::from_fn(|at| Lanes(lanes.map(|Lanes(row)| row.get(at).copied().unwrap_or_default())))
}

/// What makes the frequencies of both passes coefficients times 16; by column, then row.
fn factors() -> [Lanes; 8] {
    let wave = |at: usize| {
        let angle = at as f32 * std::f32::consts::PI / 16.0;
        if at == 0 { 1.0 } else { angle.cos() * std::f32::consts::SQRT_2 }
    };
    std::array::from_fn(|column| Lanes(std::array::from_fn(|row| 2.0 / (wave(column) * wave(row)))))
}

fn block(plane: &Samples<'_>, x: usize, y: usize, factors: &[Lanes; 8]) -> Block {
    let mut rows = samples(plane, x * 8, y * 8).map(|row| Lanes(row.map(|sample| f32::from(sample) - 128.0)));
    rows = turned(transform(rows));
    let columns = transform(rows);
    let mut natural = [0i16; 64];
    let (pieces, _) = natural.as_chunks_mut::<8>();
    for (to, (Lanes(column), Lanes(factors))) in pieces.iter_mut().zip(columns.iter().zip(factors)) {
        for (to, (value, factor)) in to.iter_mut().zip(column.iter().zip(factors)) {
            // Adding 1.5 * 2^23 leaves the rounded number in the lowest bits.
            *to = (value * factor + 12_582_912.0).to_bits() as i16;
        }
    }
    let mut block = [0; 64];
    for (to, at) in block.iter_mut().zip(ORDER) {
        *to = natural.get(usize::from(at & 63)).copied().unwrap_or_default();
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
