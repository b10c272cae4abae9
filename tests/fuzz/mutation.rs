//! Inputs made of others by small changes, and some of nothing but chance.

/// Most octets of an input.
const LONGEST: usize = 16 << 10;

/// Most changes to one input.
const CHANGES: usize = 6;

/// What the formats are made of. Octets alone seldom make one of these by chance.
const WORDS: [&[u8]; 40] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\r\n ",
    b",",
    b";",
    b"=",
    b":",
    b"\"",
    b"\\",
    b"<",
    b">",
    b"(",
    b")",
    b"*",
    b"%00",
    b"--",
    b"\r\n--b\r\n",
    b"--b--",
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"0",
    b"-1",
    b"4294967296",
    b"18446744073709551616",
    b"0.001",
    b"max+3072",
    b"min-1",
    b";q=0.5",
    b"(& (a=1) (| (b<=2) (! (c=[3..4]))))",
    b"Content-Length: 5\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n",
    b"Accept: image/gif;media-pix-x=max+16\r\n",
    b"SIP/2.0",
    b"sip:a@b;lr",
];

/// A sequence that depends on its seed alone (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of `seeds` with a few changes; one time in sixteen octets of chance alone.
    pub(crate) fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if self.below(16) == 0 {
            return self.noise(512);
        }
        let mut input = self.choice(seeds).clone();
        for _ in 0..=self.below(CHANGES) {
            self.change(&mut input, seeds);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let (start, end) = self.range(input.len());
        match self.below(9) {
            0 => self.set(input, |_, random| random.octet()),
            1 => self.set(input, |old, random| old ^ 1 << random.below(8)),
            2 => self.set(input, |old, random| old.wrapping_add(random.octet() % 9).wrapping_sub(4)),
            3 => drop(input.drain(start..end)),
            4 => {
                let copy = input[start..end].to_vec();
                let at = self.below(input.len() + 1);
                input.splice(at..at, copy);
            }
            5 => {
                let other = self.choice(seeds).clone();
                let (from, to) = self.range(other.len());
                input.splice(start..end, other[from..to].to_vec());
            }
            6 => input.truncate(end),
            7 => drop(input.splice(start..start, self.choice(&WORDS).to_vec())),
            _ => {
                let noise = self.noise(8);
                input.splice(start..start, noise);
            }
        }
    }

    fn set(&mut self, input: &mut [u8], new: impl FnOnce(u8, &mut Self) -> u8) {
        let at = self.below(input.len().max(1));
        if let Some(octet) = input.get_mut(at) {
            *octet = new(*octet, self);
        }
    }

    /// A range within `length`, short ones far more often than long ones.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let start = self.below(length + 1);
        let longest = (length - start) >> self.below(8);
        (start, start + self.below(longest + 1))
    }

    fn noise(&mut self, longest: usize) -> Vec<u8> {
        (0..self.below(longest + 1)).map(|_| self.octet()).collect()
    }

    fn choice<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn octet(&mut self) -> u8 {
        self.next() as u8
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
