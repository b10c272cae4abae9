//! Where the CRs and LFs of a head are, 64 octets at a time, so that finding a line's end does not wait for what
//! its beginning says.

/// The positions of CR and LF in a buffer, in order.
pub(super) struct Ends<'b> {
    buf: &'b [u8],
    /// Where the block begins that `marks` tells of.
    block: usize,
    /// A bit for every CR or LF of the block that is not yet given, and for other octets below 14.
    marks: u64,
}

const BLOCK: usize = 64;

impl<'b> Ends<'b> {
    /// From octet `at` on.
    #[inline(always)]
    pub(super) fn new(buf: &'b [u8], at: usize) -> Self {
        Ends { buf, block: at, marks: marks_at(buf, at) }
    }

    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<usize> {
        loop {
            while self.marks == 0 {
                self.block += BLOCK;
                if self.block >= self.buf.len() {
                    return None;
                }
                self.marks = marks_at(self.buf, self.block);
            }
            let at = self.block + self.marks.trailing_zeros() as usize;
            self.marks &= self.marks - 1;
            if matches!(self.buf.get(at), Some(b'\r' | b'\n')) {
                return Some(at);
            }
        }
    }
}

#[inline(always)]
fn marks_at(buf: &[u8], at: usize) -> u64 {
    let rest = buf.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(block) => marks(block),
        None => last_marks(rest),
    }
}

/// Of fewer octets than a block has.
#[cold]
fn last_marks(rest: &[u8]) -> u64 {
    let mut block = [b' '; BLOCK];
    block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    marks(&block)
}

#[inline(always)]
fn marks(block: &[u8; BLOCK]) -> u64 {
    let (words, _) = block.as_chunks::<8>();
    words.iter().rev().fold(0, |marks, word| marks << 8 | line_ends(u64::from_le_bytes(*word)))
}

const ONES: u64 = u64::from_le_bytes([1; 8]);

/// A bit for every octet of `word` that is CR or LF, or else below 14.
#[inline(always)]
const fn line_ends(word: u64) -> u64 {
    // Each octet by itself: the top bit is set by the sum from 14 on, or by the octet from 128 on.
    let at_least = ((word & (ONES * 0x7f)) + ONES * (0x80 - 14)) | word;
    gather(!at_least >> 7 & ONES)
}

/// The lowest bits of eight octets that are 0 or 1, side by side: the product has the bit of octet n at 56 + n.
#[inline(always)]
const fn gather(octets: u64) -> u64 {
    octets.wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cr_and_lf_is_given_in_order_from_anywhere() {
        let text: Vec<u8> = (0..400u32)
            .map(|at| {
                if at % 7 == 3 {
                    b'\r'
                } else if at % 11 == 5 {
                    b'\n'
                } else {
                    0x8d
                }
            })
            .collect();
        for start in [0, 1, 63, 64, 65, 335, 336, 399, 400] {
            let mut ends = Ends::new(&text, start);
            let given: Vec<usize> = std::iter::from_fn(|| ends.next()).collect();
            let expected: Vec<usize> = (start..400).filter(|&at| matches!(text[at], b'\r' | b'\n')).collect();
            assert_eq!(given, expected, "{start}");
        }
    }
}
