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

use forward::Forward;
use tables::Quantisers;
use tokens::Tokens;

use fearless_simd::Simd;

use crate::lanes::{self, Lanes};

/// The samples of one component, row after row.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    /// Samples of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// All of them.
    pub samples: &'a [u8],
}

/// The coefficients of a block in zigzag order, each times 16.
type Block = [i16; 64];

/// A picture as the frequencies of its blocks.
#[derive(Clone, Debug)]
pub struct Spectrum {
    width: u16,
    height: u16,
    gray: bool,
    /// In the order of the scan: one block a unit of gray; of colour four of luma, one of Cb and one of Cr.
    blocks: Vec<Block>,
}

impl Spectrum {
    /// From gray, or from Y, Cb and Cr; chroma has half the samples either way, rounded up. `None` for anything else,
    /// and for sides that no JPEG can have.
    pub fn of(planes: &[Samples<'_>]) -> Option<Spectrum> {
        let (width, height) = size(planes)?;
        let blocks = lanes::widest(All(planes));
        Some(Spectrum { width, height, gray: planes.len() == 1, blocks })
    }

    /// The file at a quality of 1 to 100, as libjpeg scales the tables of Annex K.
    pub fn write(&self, quality: u8) -> Vec<u8> {
        let quantisers = Quantisers::new(quality);
        let tokens = Tokens::of(&self.blocks, of_unit(self.gray), None, &quantisers);
        file::write(self, &quantisers, &tokens)
    }
}

/// The blocks of all units.
struct All<'a>(&'a [Samples<'a>]);

impl Lanes for All<'_> {
    type Made = Vec<Block>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<Block> {
        let forward = Forward::new(self.0);
        let mut blocks = Vec::with_capacity(forward.count() * of_unit(self.0.len() == 1));
        // No closure: it would be compiled apart, for the narrow vectors.
        for at in 0..forward.count() {
            forward.unit(simd, at, &mut blocks);
        }
        blocks
    }
}

/// A part of a picture's units, that says about how long a file will be.
#[derive(Clone, Debug)]
pub struct Sample {
    gray: bool,
    /// In groups of [`GROUP`] units that follow each other; the first of a group is there for the difference to it.
    blocks: Vec<Block>,
    /// How many units there are for one that counts.
    weight: f64,
}

/// Units of a sample that lie beside each other.
const GROUP: usize = 4;

/// Groups of a sample, at least, if there are as many.
const GROUPS: usize = 50;

impl Sample {
    /// A sample of what [`Spectrum::of`] would take.
    pub fn of(planes: &[Samples<'_>]) -> Option<Sample> {
        size(planes)?;
        Some(lanes::widest(Chosen(planes)))
    }

    /// About how many octets [`Spectrum::write`] will give, by the entropy of the symbols.
    pub fn octets(&self, quality: u8) -> f64 {
        let quantisers = Quantisers::new(quality);
        let of_unit = of_unit(self.gray);
        let tokens = Tokens::of(&self.blocks, of_unit, Some(GROUP), &quantisers);
        file::overhead(self.gray) + tokens.octets() * self.weight
    }
}

/// The groups of units of a sample.
struct Chosen<'a>(&'a [Samples<'a>]);

impl Lanes for Chosen<'_> {
    type Made = Sample;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Sample {
        let gray = self.0.len() == 1;
        let forward = Forward::new(self.0);
        let groups = forward.count().div_ceil(GROUP);
        let every = (groups / GROUPS).clamp(1, 8);
        let mut blocks = Vec::new();
        let mut counted = 0;
        for group in 0..groups {
            // Rows are often a multiple of `every` long: steps in the golden ratio meet no pattern.
            if (group.wrapping_mul(0x9e37_79b9) & 0xffff) * every >= 1 << 16 {
                continue;
            }
            let units = group * GROUP..((group + 1) * GROUP).min(forward.count());
            counted += units.len().saturating_sub(1);
            for at in units {
                forward.unit(simd, at, &mut blocks);
            }
        }
        let weight = forward.count() as f64 / counted.max(1) as f64;
        Sample { gray, blocks, weight }
    }
}

fn of_unit(gray: bool) -> usize {
    if gray { 1 } else { 6 }
}

/// Width and height, if these are the planes of one picture that a JPEG can hold.
fn size(planes: &[Samples<'_>]) -> Option<(u16, u16)> {
    let luma = planes.first()?;
    let (width, height) = (u16::try_from(luma.width).ok()?, u16::try_from(luma.height).ok()?);
    let whole = |plane: &Samples<'_>, width: usize, height: usize| {
        (plane.width, plane.height) == (width, height) && plane.samples.len() == width * height
    };
    let half = (luma.width.div_ceil(2), luma.height.div_ceil(2));
    let fits = whole(luma, luma.width, luma.height)
        && match planes {
            [_] => true,
            [_, cb, cr] => [cb, cr].iter().all(|chroma| whole(chroma, half.0, half.1)),
            _ => false,
        };
    (fits && width > 0 && height > 0).then_some((width, height))
}
