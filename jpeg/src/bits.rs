//! The bits of a scan, without the zeros that are stuffed behind 0xFF (T.81 §B.1.1.5).
//!
//! What comes next of the file is copied into a window without those zeros, so that reading from it needs to look for
//! nothing: whether there is enough is asked once a unit.

/// Octets of the window: a power of two.
const WINDOW: usize = 1 << 13;

/// Octets read at once.
const WORD: usize = 8;

/// Bits that a coefficient takes at most: its code and its value.
pub(super) const COEFFICIENT: u32 = 31;

/// Octets that a unit takes at most: six blocks of 64 coefficients, and what is read ahead.
const UNIT: usize = 6 * 64 * COEFFICIENT as usize / 8 + 2 * WORD;

/// The octets of a scan.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// Octets of `data` that lie in the window or lay there.
    taken: usize,
    window: Box<Window>,
    /// Octets of the window that are the file's; zeros follow once `ended`.
    filled: usize,
    /// Where in the window it has to be filled again, or the scan is over.
    limit: usize,
    /// Whether a marker, or the end of the file, follows what lies in the window.
    ended: bool,
}

pub(super) type Window = [u8; WINDOW + WORD];

/// Where the reading stands. It knows nothing of the window's end: there is a unit at least where [`Bits::ready`] was
/// asked before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reader {
    at: usize,
    /// The next bits, the first one highest. Below the counted ones lie bits of what comes next.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// From the first octet behind a scan header.
    pub(super) fn new(data: &'a [u8]) -> Bits<'a> {
        let window = vec![0; WINDOW + WORD].into_boxed_slice();
        let window = window.try_into().unwrap_or_else(|_| Box::new([0; WINDOW + WORD]));
        let mut bits = Bits { data, taken: 0, window, filled: 0, limit: 0, ended: false };
        bits.fill(0);
        bits
    }

    pub(super) fn window(&self) -> &Window {
        &self.window
    }

    /// Sees to it that a unit lies ahead: behind the end of the scan, zeros.
    #[inline(always)]
    pub(super) fn ready(&mut self, reader: &mut Reader) {
        if reader.at > self.limit {
            self.replenish(reader);
        }
    }

    #[cold]
    #[inline(never)]
    fn replenish(&mut self, reader: &mut Reader) {
        if self.ended {
            // Nothing but zeros from here on: again the same ones.
            reader.at = reader.at.min(self.filled + WORD);
            return;
        }
        let left = self.filled.saturating_sub(reader.at);
        self.window.copy_within(self.filled - left..self.filled, 0);
        reader.at = 0;
        self.fill(left);
    }

    /// Fills the window behind its first `left` octets.
    fn fill(&mut self, left: usize) {
        self.filled = left;
        while self.filled < WINDOW - UNIT && !self.ended {
            let room = WINDOW - UNIT - self.filled;
            let rest = self.data.get(self.taken..).unwrap_or_default();
            let rest = rest.get(..room).unwrap_or(rest);
            let plain = memchr::memchr(0xff, rest).unwrap_or(rest.len());
            self.push(plain);
            match self.data.get(self.taken..).unwrap_or_default() {
                _ if plain == room => {}
                [0xff, 0, ..] => {
                    self.push(1);
                    self.taken += 1;
                }
                _ => self.ended = true,
            }
        }
        self.limit = if self.ended { self.filled } else { self.filled - UNIT };
        if self.ended {
            let behind = self.window.get_mut(self.filled..).unwrap_or_default();
            behind.iter_mut().take(UNIT).for_each(|octet| *octet = 0);
        }
    }

    fn push(&mut self, octets: usize) {
        let from = self.data.get(self.taken..self.taken + octets);
        let to = self.window.get_mut(self.filled..self.filled + octets);
        if let (Some(from), Some(to)) = (from, to) {
            to.copy_from_slice(from);
        }
        self.taken += octets;
        self.filled += octets;
    }

    /// Whether more was read than there is.
    pub(super) fn is_past_end(&self, reader: &Reader) -> bool {
        self.ended && (reader.at * 8).saturating_sub(reader.count as usize) > self.filled * 8
    }

    /// Goes on behind the next restart marker; `false` if none comes.
    pub(super) fn restart(&mut self, reader: &mut Reader) -> bool {
        // Whole octets may have been taken ahead, but never a marker.
        let found = self.data.get(self.taken..).and_then(|rest| {
            let at = rest.windows(2).position(|pair| matches!(pair, [0xff, 1..=0xfe]))?;
            let marker = *rest.get(at + 1)?;
            (0xd0..=0xd7).contains(&marker).then_some(at + 2)
        });
        let Some(length) = found else { return false };
        self.taken += length;
        self.ended = false;
        self.fill(0);
        *reader = Reader::default();
        true
    }

    /// Where the marker begins that ends the scan.
    pub(super) fn end(&self) -> usize {
        let rest = self.data.get(self.taken..).unwrap_or_default();
        let ahead = rest.windows(2).position(|pair| matches!(pair, [0xff, 1..=0xcf | 0xd8..=0xfe]));
        self.taken + ahead.unwrap_or(rest.len())
    }
}

impl Reader {
    /// Makes sure of 56 bits.
    #[inline(always)]
    pub(super) fn fill(&mut self, window: &Window) {
        let ahead = window.get(self.at & (WINDOW - 1)..).and_then(|rest| rest.first_chunk::<WORD>());
        self.held |= u64::from_be_bytes(ahead.copied().unwrap_or_default()) >> self.count;
        self.at += ((63 - self.count) >> 3) as usize;
        self.count |= 56;
    }

    /// The next `N` bits, which stay.
    #[inline(always)]
    pub(super) fn peek<const N: u32>(&self) -> usize {
        (self.held >> (64 - N)) as usize
    }

    /// Passes over `n` bits, at most as many as were filled.
    #[inline(always)]
    pub(super) fn skip(&mut self, n: u32) {
        self.held <<= n & 63;
        self.count = self.count.wrapping_sub(n) & 63;
    }

    /// The next `n` bits, at most 15.
    #[inline(always)]
    pub(super) fn bits(&mut self, n: u32) -> u64 {
        let bits = (self.held >> 1) >> (63 - (n & 15));
        self.skip(n & 15);
        bits
    }

    /// Passes over a code and a value, `taken` bits together, and gives the value: the last `size` bits as T.81 §F.2.2.1
    /// extends them, the lower half of the values being negative.
    #[inline(always)]
    pub(super) fn value(&mut self, taken: u32, size: u32) -> i32 {
        let ahead = self.held << ((taken - size) & 63);
        let raw = ((ahead >> 1) >> (63 - (size & 15))) as i32;
        let below = !(ahead as i64 >> 63) as i32;
        self.skip(taken);
        raw + (below & (1 - (1 << (size & 15))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bits: &mut Bits<'_>, reader: &mut Reader) -> usize {
        bits.ready(reader);
        reader.fill(bits.window());
        let octet = reader.peek::<8>();
        reader.skip(8);
        octet
    }

    #[test]
    fn every_octet_comes_once_without_what_was_stuffed() {
        let plain: Vec<u8> = (0..40_000u32).map(|at| if at % 7 == 0 { 0xff } else { at as u8 }).collect();
        let mut stuffed = Vec::new();
        for octet in &plain {
            stuffed.push(*octet);
            if *octet == 0xff {
                stuffed.push(0);
            }
        }
        let length = stuffed.len();
        stuffed.extend([0xff, 0xd9, 1, 2, 3]);
        let (mut bits, mut reader) = (Bits::new(&stuffed), Reader::default());
        for (at, octet) in plain.iter().enumerate() {
            assert_eq!(read(&mut bits, &mut reader), usize::from(*octet), "{at}");
        }
        assert!(!bits.is_past_end(&reader));
        assert_eq!(bits.end(), length);
        for _ in 0..3 * WINDOW {
            assert_eq!(read(&mut bits, &mut reader), 0);
            assert!(bits.is_past_end(&reader));
        }
    }

    #[test]
    fn restarts_begin_behind_their_marker() {
        let data = [1, 2, 0xff, 0xff, 0xd0, 3, 0xff, 0, 0xff, 0xd9];
        let (mut bits, mut reader) = (Bits::new(&data), Reader::default());
        assert_eq!(read(&mut bits, &mut reader), 1);
        assert!(bits.restart(&mut reader));
        assert_eq!((read(&mut bits, &mut reader), read(&mut bits, &mut reader)), (3, 0xff));
        assert!(!bits.restart(&mut reader));
    }

    #[test]
    fn values_are_extended_as_the_standard_draws_it() {
        // A code of two bits, then the value.
        for (size, raw, value) in
            [(0, 0, 0), (1, 0, -1), (1, 1, 1), (3, 0, -7), (3, 3, -4), (3, 4, 4), (15, 0, -32767)]
        {
            let held = 1 << 62 | if size == 0 { 0 } else { (raw as u64) << (62 - size) };
            let mut reader = Reader { at: 0, held, count: 56 };
            assert_eq!(reader.value(2 + size, size), value, "{size} {raw}");
            assert_eq!(reader.count, 56 - 2 - size);
        }
    }
}
