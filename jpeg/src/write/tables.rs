//! Quantisers: the tables of T.81 Annex K, scaled as libjpeg does, which every "quality" is understood by.

use crate::idct::ZIGZAG;

const LUMA: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17,
    22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78,
    87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];

const CHROMA: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/// What divides coefficients, in zigzag order.
#[derive(Clone, Debug)]
pub(super) struct Quantiser {
    /// As the file has it.
    pub(super) steps: [u8; 64],
    /// Half a step of a coefficient times 16.
    pub(super) halves: [u16; 64],
    /// 65536 over a step of a coefficient times 16.
    pub(super) inverse: [u16; 64],
}

impl Quantiser {
    fn new(base: &[u8; 64], quality: u8) -> Quantiser {
        let quality = u32::from(quality.clamp(1, 100));
        let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
        let mut steps = [1; 64];
        for (step, (row, column)) in steps.iter_mut().zip(ZIGZAG) {
            let base = base.get(usize::from(row) * 8 + usize::from(column)).copied().unwrap_or(1);
            *step = ((u32::from(base) * scale + 50) / 100).clamp(1, 255) as u8;
        }
        let halves = steps.map(|step| u16::from(step) * 8);
        let inverse = steps.map(|step| 65_536u32.div_ceil(u32::from(step) * 16) as u16);
        Quantiser { steps, halves, inverse }
    }
}

/// Of luma and of chroma.
#[derive(Clone, Debug)]
pub(super) struct Quantisers {
    pub(super) luma: Quantiser,
    pub(super) chroma: Quantiser,
}

impl Quantisers {
    pub(super) fn new(quality: u8) -> Quantisers {
        Quantisers { luma: Quantiser::new(&LUMA, quality), chroma: Quantiser::new(&CHROMA, quality) }
    }
}
