//! Writing baseline JPEGs (ITU-T T.81) in two halves, so that trying several qualities costs little: the frequencies of
//! a picture ([`Spectrum`]), which don't depend on the quality, and the file at one quality.
//!
//! Gray, or YCbCr in 4:2:0, one scan, Huffman tables made for the picture. Nothing else is written than what shows it.

mod code;
mod file;
mod forward;
mod tables;
#[cfg(test)]
mod tests;
mod tokens;

use tables::Quantisers;
use tokens::Tokens;

/// The samples of one component, row after row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Samples<'a> {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) samples: &'a [u8],
}

/// The coefficients of a block in zigzag order, each times 16.
pub(crate) type Block = [i16; 64];

/// A picture as the frequencies of its blocks.
#[derive(Clone, Debug)]
pub(crate) struct Spectrum {
    width: u16,
    height: u16,
    gray: bool,
    /// In the order of the scan: one block a unit of gray; of colour four of luma, one of Cb and one of Cr.
    blocks: Vec<Block>,
}

impl Spectrum {
    /// From gray, or from Y, Cb and Cr; chroma has half the samples either way, rounded up. `None` for anything else,
    /// and for sides that no JPEG can have.
    pub(crate) fn of(planes: &[Samples<'_>]) -> Option<Spectrum> {
        let luma = planes.first()?;
        let (width, height) = (u16::try_from(luma.width).ok()?, u16::try_from(luma.height).ok()?);
        if width == 0 || height == 0 {
            return None;
        }
        let whole = |plane: &Samples<'_>, width: usize, height: usize| {
            (plane.width, plane.height) == (width, height) && plane.samples.len() == width * height
        };
        let half = (luma.width.div_ceil(2), luma.height.div_ceil(2));
        let fits = match planes {
            [y] => whole(y, y.width, y.height),
            [y, cb, cr] => {
                whole(y, y.width, y.height) && [cb, cr].iter().all(|chroma| whole(chroma, half.0, half.1))
            }
            _ => false,
        };
        fits.then(|| Spectrum { width, height, gray: planes.len() == 1, blocks: forward::blocks(planes) })
    }

    /// The file at a quality of 1 to 100, as libjpeg scales the tables of Annex K.
    pub(crate) fn write(&self, quality: u8) -> Vec<u8> {
        let quantisers = Quantisers::new(quality);
        let mut tokens = Tokens::default();
        for unit in self.units() {
            tokens.unit(unit, &quantisers);
        }
        file::write(self, &quantisers, &tokens)
    }

    /// About how many octets [`Spectrum::write`] will give, from one unit in `every`, by the entropy of the symbols.
    pub(crate) fn estimate(&self, quality: u8, every: usize) -> f64 {
        let every = every.max(1);
        let quantisers = Quantisers::new(quality);
        let mut tokens = Tokens::default();
        let mut before = None;
        let mut taken = 0;
        for (at, unit) in self.units().enumerate() {
            // Rows are often a multiple of `every` long: the step in the golden ratio meets no pattern.
            if (at.wrapping_mul(0x9e37_79b9) & 0xffff) * every < 1 << 16 {
                if let Some(before) = before {
                    tokens.follow(before, &quantisers);
                }
                tokens.unit(unit, &quantisers);
                taken += 1;
            }
            before = Some(unit);
        }
        let all = self.blocks.len() / self.of_unit();
        file::overhead(self.gray) + tokens.octets() * all as f64 / f64::from(taken.max(1))
    }

    fn of_unit(&self) -> usize {
        if self.gray { 1 } else { 6 }
    }

    /// The pieces of the scan.
    pub(crate) fn units(&self) -> impl Iterator<Item = &[Block]> {
        self.blocks.chunks_exact(self.of_unit())
    }
}
