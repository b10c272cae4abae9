//! The hash algorithms of RFC 8760 that this server offers.

use md5::Md5;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A hash algorithm of digest authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `SHA-256`
    Sha256,
    /// `MD5`, for terminals that know no other.
    Md5,
}

/// Octets of the longest hash in hex.
const LONGEST: usize = 64;

impl Algorithm {
    /// Both, the stronger first.
    pub const ALL: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Md5];

    /// The name in a challenge (RFC 8760 §2.2).
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Md5 => "MD5",
        }
    }

    /// The algorithm of that name, any case.
    pub fn from_name(name: &[u8]) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|each| each.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The hash of `parts` with colons between them, in lower-case hex.
    pub(crate) fn digest(self, parts: &[&[u8]]) -> Hex {
        #[cfg(test)]
        work::COUNT.with(|count| count.set(count.get() + 1));
        match self {
            Algorithm::Sha256 => Hex::of(&joined::<Sha256>(parts)),
            Algorithm::Md5 => Hex::of(&joined::<Md5>(parts)),
        }
    }
}

fn joined<D: Digest>(parts: &[&[u8]]) -> sha2::digest::Output<D> {
    let mut hash = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash.finalize()
}

/// A hash in lower-case hex: 64 digits of SHA-256, 32 of MD5.
#[derive(Clone, PartialEq, Eq)]
pub struct Hex {
    digits: [u8; LONGEST],
    length: usize,
}

impl Hex {
    /// Octets beyond the longest hash are left out.
    pub(crate) fn of(hash: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |value: u8| DIGITS.get(usize::from(value & 0x0f)).copied().unwrap_or_default();
        let mut digits = [0; LONGEST];
        for (pair, &octet) in digits.chunks_exact_mut(2).zip(hash) {
            pair.copy_from_slice(&[digit(octet >> 4), digit(octet)]);
        }
        Self { digits, length: (hash.len() * 2).min(LONGEST) }
    }

    /// The digits.
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.length).unwrap_or_default()
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The octets that the digits stand for.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let pairs = self.as_bytes().as_chunks::<2>().0.iter();
        pairs.filter_map(|&[high, low]| Some(value(high)? << 4 | value(low)?)).collect()
    }

    /// Whether `other` has the same digits, in lower case, in a time that does not tell how many of them are
    /// right.
    pub fn is(&self, other: &[u8]) -> bool {
        self.as_bytes().ct_eq(other).into()
    }
}

/// Of a password's hash nothing is shown.
impl std::fmt::Debug for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hex({} digits)", self.length)
    }
}

/// How many hashes were computed, for tests of what a refusal costs.
#[cfg(test)]
pub(crate) mod work {
    use std::cell::Cell;

    thread_local! {
        pub(crate) static COUNT: Cell<usize> = const { Cell::new(0) };
    }

    /// The hashes that `run` computes on this thread.
    pub(crate) fn of<T>(run: impl FnOnce() -> T) -> (T, usize) {
        let before = COUNT.with(Cell::get);
        let done = run();
        (done, COUNT.with(Cell::get) - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_lower_case_hex_of_their_length_and_come_back_as_octets() {
        let sha = Algorithm::Sha256.digest(&[b"abc"]);
        assert_eq!(sha.as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Algorithm::Md5.digest(&[b"a", b"c"]).as_str().len(), 32);
        assert_eq!(Hex::of(&sha.octets()), sha);
    }

    #[test]
    fn a_response_is_right_only_whole_and_in_lower_case() {
        let md5 = Algorithm::Md5.digest(&[b"abc"]);
        assert!(md5.is(b"900150983cd24fb0d6963f7d28e17f72"));
        for wrong in [
            &b""[..],
            b"900150983cd24fb0d6963f7d28e17f7",
            b"900150983cd24fb0d6963f7d28e17f720",
            b"900150983CD24FB0D6963F7D28E17F72",
            b"900150983cd24fb0d6963f7d28e17f73",
        ] {
            assert!(!md5.is(wrong));
        }
    }
}
