//! The mark in the Record-Route URIs this server writes.
//!
//! It binds the URI to one Call-ID under a key only this server knows: a request that comes back with it
//! belongs to a dialog that was set up through here under the rules of that time, and may go on. Without
//! it, anyone could write our name in a Route and be relayed anywhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Octets of the mark, 96 bits.
const LENGTH: usize = 12;

/// The key of the marks. Dialogs set up under another key are not recognised: give every server of one
/// domain the same, and keep it over restarts.
#[derive(Clone)]
pub struct RouteKey([u8; 32]);

impl RouteKey {
    /// A key that was kept.
    pub const fn new(key: [u8; 32]) -> RouteKey {
        RouteKey(key)
    }

    /// A fresh key from the operating system.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<RouteKey, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(RouteKey(key))
    }

    /// The user part of a Record-Route URI for this dialog.
    pub(crate) fn mark(&self, call_id: &[u8]) -> String {
        // HMAC's construction (RFC 2104), with the key in two roles by their first octet.
        let inner = Sha256::new().chain_update([0x36]).chain_update(self.0).chain_update(call_id).finalize();
        let outer = Sha256::new().chain_update([0x5c]).chain_update(self.0).chain_update(inner).finalize();
        URL_SAFE_NO_PAD.encode(outer.get(..LENGTH).unwrap_or_default())
    }

    /// Whether `user` is the mark of this dialog.
    pub(crate) fn is_mark(&self, user: &[u8], call_id: &[u8]) -> bool {
        let mark = self.mark(call_id);
        // Every octet is looked at, so that the time taken tells nothing.
        user.len() == mark.len() && user.iter().zip(mark.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
    }
}

impl std::fmt::Debug for RouteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RouteKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_holds_for_its_key_and_call_id_only() {
        let key = RouteKey::generate().unwrap();
        let mark = key.mark(b"a@b");
        assert!(key.is_mark(mark.as_bytes(), b"a@b"));
        assert!(!key.is_mark(mark.as_bytes(), b"a@c"));
        assert!(!key.is_mark(b"", b"a@b"));
        assert!(!RouteKey::generate().unwrap().is_mark(mark.as_bytes(), b"a@b"));
    }
}
