//! The bits of a scan, without the zeros that are stuffed behind 0xFF (T.81 §B.1.1.5).

/// Reads from the highest bit down. Behind the end, and behind a marker, it reads zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, the first one highest. Below the counted ones lie bits of the octet that comes next, or zeros.
    held: u64,
    count: u32,
    /// Zeros that were made up.
    invented: u32,
}

/// Bits that a coefficient takes at most: its code and its value.
pub(super) const COEFFICIENT: u32 = 31;

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Bits<'a> {
        Bits { data, at: 0, held: 0, count: 0, invented: 0 }
    }

    /// Makes sure of `needed` bits, at most 56.
    #[inline(always)]
    pub(super) fn fill(&mut self, needed: u32) {
        if self.count >= needed {
            return;
        }
        let ahead = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<8>());
        if let Some(ahead) = ahead {
            let octets = u64::from_be_bytes(*ahead);
            if !has_ff(octets) {
                let whole = (64 - self.count) / 8;
                self.held |= octets >> self.count;
                self.at += whole as usize;
                self.count += whole * 8;
                return;
            }
        }
        *self = self.filled_slowly();
    }

    /// By value, so that the state of the fast way can stay in registers.
    #[cold]
    #[inline(never)]
    fn filled_slowly(mut self) -> Bits<'a> {
        while self.count <= 56 {
            let octet = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xff), Some(0)) => {
                    self.at += 2;
                    0xff
                }
                (Some(0xff), _) | (None, _) => {
                    self.invented = self.invented.saturating_add(8);
                    0
                }
                (Some(&octet), _) => {
                    self.at += 1;
                    octet
                }
            };
            self.held |= u64::from(octet) << (56 - self.count);
            self.count += 8;
        }
        self
    }

    /// The next `N` bits, which stay.
    #[inline(always)]
    pub(super) fn peek<const N: u32>(&self) -> usize {
        (self.held >> (64 - N)) as usize
    }

    /// Passes over `n` bits, at most as many as were filled.
    #[inline(always)]
    pub(super) fn skip(&mut self, n: u32) {
        self.held <<= n;
        self.count = self.count.wrapping_sub(n);
    }

    /// The next `n` bits as T.81 §F.2.2.1 extends them: the lower half of the values is negative.
    #[inline(always)]
    pub(super) fn extended(&mut self, n: u32) -> i32 {
        if n == 0 {
            return 0;
        }
        let value = (self.held >> (64 - n)) as i32;
        self.skip(n);
        extend(value, n)
    }

    /// Whether more was read than there is.
    pub(super) fn is_past_end(&self) -> bool {
        self.invented > self.count
    }

    /// Goes on behind the next restart marker; `false` if none comes.
    pub(super) fn restart(&mut self) -> bool {
        // Whole octets may have been taken ahead, but never a marker.
        let found = self.data.get(self.at..).and_then(|rest| {
            let at = rest.windows(2).position(|pair| matches!(pair, [0xff, 1..=0xfe]))?;
            let marker = *rest.get(at + 1)?;
            (0xd0..=0xd7).contains(&marker).then_some(at + 2)
        });
        let Some(length) = found else { return false };
        (self.at, self.held, self.count, self.invented) = (self.at + length, 0, 0, 0);
        true
    }

    /// Where the marker begins that ends the scan.
    pub(super) fn end(&self) -> usize {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let ahead = rest.windows(2).position(|pair| matches!(pair, [0xff, 1..=0xcf | 0xd8..=0xfe]));
        self.at + ahead.unwrap_or(rest.len())
    }
}

/// T.81 figure F.12.
#[inline(always)]
pub(super) fn extend(value: i32, n: u32) -> i32 {
    let half = 1 << (n - 1);
    if value < half { value - (1 << n) + 1 } else { value }
}

/// Whether one of the eight octets is 0xFF.
fn has_ff(octets: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let inverse = !octets;
    inverse.wrapping_sub(ONES) & !inverse & (ONES << 7) != 0
}
