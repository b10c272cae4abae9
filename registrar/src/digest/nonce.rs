//! Nonces: the time they were made and a random number, under a mark that only the server's key makes
//! (RFC 7616 §3.3, §5.4). The server need not remember those it gave out.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Octets of the mark, 128 bits.
const MARK: usize = 16;

/// When a nonce was made, and what tells it from others of that moment. Ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Minted {
    /// Unix milliseconds.
    pub(crate) at: u64,
    pub(crate) random: u64,
}

/// What only this server, or the servers of one domain, can make nonces with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// A key that was kept.
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// A key of this run alone.
    pub(crate) fn generate() -> Self {
        let mut key = [0; 32];
        if getrandom::fill(&mut key).is_err() {
            // The hasher's keys were drawn at another time, when there may have been some.
            key = std::array::from_fn(|at| RandomState::new().hash_one(at).to_be_bytes()[0]);
        }
        Self(key)
    }

    /// The text of a nonce for that realm.
    pub(crate) fn nonce(&self, realm: &str, minted: Minted) -> String {
        let mut octets = [0; 16 + MARK];
        let (time, rest) = octets.split_at_mut(8);
        let (random, mark) = rest.split_at_mut(8);
        time.copy_from_slice(&minted.at.to_be_bytes());
        random.copy_from_slice(&minted.random.to_be_bytes());
        mark.copy_from_slice(&self.mark(realm, minted));
        URL_SAFE_NO_PAD.encode(octets)
    }

    /// Reads a nonce; `None` for one this key did not make for that realm.
    pub(crate) fn read(&self, realm: &str, nonce: &[u8]) -> Option<Minted> {
        let octets: [u8; 16 + MARK] = URL_SAFE_NO_PAD.decode(nonce).ok()?.try_into().ok()?;
        let (at, rest) = octets.split_first_chunk::<8>()?;
        let (random, mark) = rest.split_first_chunk::<8>()?;
        let minted = Minted { at: u64::from_be_bytes(*at), random: u64::from_be_bytes(*random) };
        bool::from(self.mark(realm, minted).ct_eq(mark)).then_some(minted)
    }

    fn mark(&self, realm: &str, minted: Minted) -> [u8; MARK] {
        let parts = [&b"nonce"[..], &minted.at.to_be_bytes(), &minted.random.to_be_bytes(), realm.as_bytes()];
        let mut mark = [0; MARK];
        mark.iter_mut().zip(self.hash(&parts)).for_each(|(to, from)| *to = from);
        mark
    }

    /// A keyed hash of `parts`, the first of which says what for.
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        // A key of any length is taken, so this is never an error.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return [0; 32] };
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Nothing of it is shown.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_read_by_its_key_for_its_realm_only() {
        let (key, minted) = (Key::new([1; 32]), Minted { at: 1_900_000_000_000, random: 7 });
        let nonce = key.nonce("example.com", minted);
        assert!(nonce.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')), "{nonce}");
        assert_eq!(key.read("example.com", nonce.as_bytes()), Some(minted));
        assert_eq!(key.read("example.org", nonce.as_bytes()), None);
        assert_eq!(Key::new([2; 32]).read("example.com", nonce.as_bytes()), None);
        assert_ne!(nonce, key.nonce("example.com", Minted { random: 8, ..minted }));
    }

    #[test]
    fn every_changed_octet_of_a_nonce_is_noticed() {
        let key = Key::new([1; 32]);
        let nonce = key.nonce("example.com", Minted { at: 5, random: 7 });
        for at in 0..nonce.len() {
            let mut octets = nonce.clone().into_bytes();
            octets[at] = if octets[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(key.read("example.com", &octets), None, "{at}");
        }
        for bad in [&b""[..], b"dcd98b7102dd2f0e8b11d0f600bfb0c093", &[0xff; 43]] {
            assert_eq!(key.read("example.com", bad), None);
        }
    }
}
