//! Quantised blocks as symbols and the bits that follow them (T.81 §F.1.2).

use fearless_simd::Simd;

use super::Block;
use super::tables::{Quantiser, Quantisers};
use crate::lanes::{self, Lanes};

/// Which code a symbol is of; the order of the file.
pub(super) const DC_LUMA: usize = 0;
pub(super) const DC_CHROMA: usize = 2;

/// A symbol, the table it is of, and the bits that follow it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token(u32);

impl Token {
    #[inline(always)]
    fn new(table: usize, symbol: u32, extra: u32) -> Token {
        Token((table as u32) << 24 | symbol << 16 | extra)
    }

    /// Table and symbol: below 1024.
    #[inline(always)]
    pub(super) const fn code(self) -> usize {
        (self.0 >> 16) as usize & 0x3ff
    }

    #[inline(always)]
    pub(super) const fn extra(self) -> u32 {
        self.0 & 0xffff
    }

    /// How many bits follow a symbol: its lower half, of DC codes too, as no difference needs more than 11.
    #[inline(always)]
    pub(super) const fn extra_bits(self) -> u32 {
        self.0 >> 16 & 15
    }
}

/// What a scan is made of.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) list: Vec<Token>,
    /// How often each code comes, by [`Token::code`].
    pub(super) counts: Box<[u32; 1024]>,
    /// The last DC of each component.
    last: [i16; 3],
}

/// Blocks, to be quantised.
struct Quantised<'a> {
    blocks: &'a [Block],
    of_unit: usize,
    group: Option<usize>,
    quantisers: &'a Quantisers,
}

impl Lanes for Quantised<'_> {
    type Made = Tokens;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Tokens {
        let mut tokens = Tokens { list: Vec::new(), counts: Box::new([0; 1024]), last: [0; 3] };
        tokens.list.reserve(self.blocks.len() * 8);
        let units = self.group.map_or(self.blocks.len(), |units| units * self.of_unit);
        for group in self.blocks.chunks(units.max(1)) {
            let (first, others) =
                group.split_at(if self.group.is_some() { self.of_unit.min(group.len()) } else { 0 });
            tokens.follow(first, self.quantisers);
            for unit in others.chunks_exact(self.of_unit) {
                tokens.unit(unit, self.quantisers);
            }
        }
        tokens
    }
}

impl Tokens {
    /// Of all blocks, `of_unit` a unit; in groups of so many units, if they don't all follow each other: the first of a
    /// group is there for the difference to it.
    pub(super) fn of(
        blocks: &[Block],
        of_unit: usize,
        group: Option<usize>,
        quantisers: &Quantisers,
    ) -> Tokens {
        lanes::widest(Quantised { blocks, of_unit, group, quantisers })
    }

    /// The next unit of the scan.
    #[inline(always)]
    fn unit(&mut self, unit: &[Block], quantisers: &Quantisers) {
        match unit {
            [luma @ .., cb, cr] if !luma.is_empty() => {
                for block in luma {
                    self.block(block, 0, DC_LUMA, &quantisers.luma);
                }
                self.block(cb, 1, DC_CHROMA, &quantisers.chroma);
                self.block(cr, 2, DC_CHROMA, &quantisers.chroma);
            }
            _ => {
                for block in unit {
                    self.block(block, 0, DC_LUMA, &quantisers.luma);
                }
            }
        }
    }

    /// Goes on behind a unit that is left out.
    #[inline(always)]
    fn follow(&mut self, unit: &[Block], quantisers: &Quantisers) {
        self.last = match unit {
            [.., luma, cb, cr] => {
                [first(luma, &quantisers.luma), first(cb, &quantisers.chroma), first(cr, &quantisers.chroma)]
            }
            [luma] => [first(luma, &quantisers.luma), 0, 0],
            _ => [0; 3],
        };
    }

    /// The octets of the tokens with the best code there can be.
    pub(super) fn octets(&self) -> f64 {
        let mut bits: u64 = self.list.iter().map(|token| u64::from(token.extra_bits())).sum();
        let mut entropy = 0.0;
        for table in self.counts.as_chunks::<256>().0 {
            let all: f64 = table.iter().map(|&count| f64::from(count)).sum();
            for count in table.iter().filter(|&&count| count > 0).map(|&count| f64::from(count)) {
                entropy += count * (all / count).log2();
            }
        }
        // A code of whole bits for each symbol is a bit longer; zeros are stuffed.
        bits += (entropy * 1.02) as u64;
        bits as f64 / 8.0 * 1.003
    }

    #[inline(always)]
    fn push(&mut self, token: Token) {
        if let Some(count) = self.counts.get_mut(token.code()) {
            *count += 1;
        }
        self.list.push(token);
    }

    #[inline(always)]
    fn block(&mut self, block: &Block, component: usize, table: usize, quantiser: &Quantiser) {
        let (values, mut left) = quantised(block, quantiser);
        let [dc, ..] = values;
        let last = self.last.get_mut(component).map_or(0, |last| std::mem::replace(last, dc));
        let (size, extra) = sized(dc - last);
        self.push(Token::new(table, size, extra));
        let table = table + 1;
        left &= !1;
        let mut behind = 1;
        while left != 0 {
            let at = left.trailing_zeros();
            left &= left - 1;
            let mut run = at - behind;
            behind = at + 1;
            while run > 15 {
                self.push(Token::new(table, 0xf0, 0));
                run -= 16;
            }
            let (size, extra) = sized(values.get(at as usize & 63).copied().unwrap_or_default());
            self.push(Token::new(table, run << 4 | size, extra));
        }
        if behind < 64 {
            self.push(Token::new(table, 0, 0));
        }
    }
}

/// The quantised DC coefficient.
#[inline(always)]
fn first(block: &Block, quantiser: &Quantiser) -> i16 {
    let ([dc, ..], _) = quantised(block, quantiser);
    dc
}

/// How many bits a value takes, and these.
#[inline(always)]
fn sized(value: i16) -> (u32, u32) {
    let size = 16 - value.unsigned_abs().leading_zeros();
    let bits = i32::from(value) + (i32::from(value) >> 31);
    (size, bits as u32 & ((1 << size) - 1))
}

/// The most a coefficient may be, in baseline.
const MOST: u16 = 1023;

/// The coefficients over their steps, rounded, and which of them are not zero.
#[inline(always)]
fn quantised(block: &Block, quantiser: &Quantiser) -> (Block, u64) {
    let mut values = [0i16; 64];
    let mut found = [0u8; 64];
    let steps = quantiser.halves.iter().zip(&quantiser.inverse);
    for ((value, found), (&coefficient, (&half, &inverse))) in
        values.iter_mut().zip(&mut found).zip(block.iter().zip(steps))
    {
        let rounded = coefficient.unsigned_abs() + half;
        let magnitude = ((u32::from(rounded) * u32::from(inverse)) >> 16) as u16;
        let magnitude = magnitude.min(MOST) as i16;
        *value = if coefficient < 0 { -magnitude } else { magnitude };
        *found = u8::from(magnitude != 0);
    }
    let (groups, _) = found.as_chunks::<8>();
    let mask = groups.iter().rev().fold(0, |mask, group| {
        // The product moves the lowest bit of each octet into the highest one.
        mask << 8 | u64::from_le_bytes(*group).wrapping_mul(0x0102_0408_1020_4080) >> 56
    });
    (values, mask)
}
