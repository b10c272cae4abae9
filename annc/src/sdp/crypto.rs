//! Keys in `a=crypto` (RFC 4568 §6, §9).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// Master key and salt together, in octets.
const KEY: usize = 30;

/// A crypto suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`
    Sha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`: RTP has short tags, RTCP has long ones.
    Sha1_32,
}

impl Suite {
    /// As written in `a=crypto`.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::Sha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::Sha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// Octets of the tag of an RTP packet.
    pub const fn tag(self) -> usize {
        match self {
            Suite::Sha1_80 => 10,
            Suite::Sha1_32 => 4,
        }
    }
}

/// One `a=crypto` line: its tag, its suite, and the key of who wrote it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// The tag, which the answer repeats.
    pub tag: u32,
    /// The suite.
    pub suite: Suite,
    /// Master key (16 octets) and master salt (14).
    pub secret: [u8; KEY],
}

/// Keys are never shown.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ..", self.tag, self.suite.name())
    }
}

impl Key {
    /// Reads the value of an `a=crypto` line; `None` for one that can't be used: another suite, several keys, an MKI, or
    /// session parameters that would have to be kept to.
    pub fn read(value: &str) -> Option<Key> {
        let mut words = value.split(' ').filter(|word| !word.is_empty());
        let tag = words.next()?.parse().ok()?;
        let name = words.next()?;
        let suite = [Suite::Sha1_80, Suite::Sha1_32].into_iter().find(|suite| suite.name() == name)?;
        let params = words.next()?.strip_prefix("inline:")?;
        if params.contains(';') || !words.all(is_of_no_account) {
            return None;
        }
        let mut parts = params.split('|');
        let encoded = parts.next()?;
        // What follows is how long the key lasts, or an MKI with a colon.
        if parts.any(|part| part.contains(':')) {
            return None;
        }
        let octets = STANDARD.decode(encoded).or_else(|_| STANDARD_NO_PAD.decode(encoded)).ok()?;
        Some(Key { tag, suite, secret: octets.try_into().ok()? })
    }

    /// Whether it encrypts as another does, whatever their tags.
    pub fn is_same(&self, other: &Key) -> bool {
        (self.suite, self.secret) == (other.suite, other.secret)
    }

    /// The value of an `a=crypto` line.
    pub fn write(&self) -> String {
        format!("{} {} inline:{}", self.tag, self.suite.name(), STANDARD.encode(self.secret))
    }
}

/// Session parameters that change nothing in what is sent here.
fn is_of_no_account(parameter: &str) -> bool {
    parameter.starts_with("WSH=") || parameter.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "1 AES_CM_128_HMAC_SHA1_80 inline:C0uJXOJCTk66l01HPVJjFYOy0eSwVbQ7xlMwjcGS";

    #[test]
    fn a_key_is_read_and_written() {
        let key = Key::read(VALUE).unwrap();
        assert_eq!((key.tag, key.suite, key.secret[0]), (1, Suite::Sha1_80, 0x0b));
        assert_eq!(key.write(), VALUE);
        assert!(Key::read(&format!("{VALUE}|2^20")).is_some());
        assert!(Key::read(&format!("{VALUE} WSH=64")).is_some());
        assert!(!format!("{key:?}").contains("C0uJ"));
    }

    #[test]
    fn keys_that_cannot_be_kept_to_are_passed_over() {
        for bad in [
            VALUE.replace("_80", "_256"),
            VALUE.replace("inline:", "uri:"),
            VALUE.replace("cGS", ""),
            format!("{VALUE}|2^20|1:4"),
            format!("{VALUE};inline:x"),
            format!("{VALUE} UNENCRYPTED_SRTP"),
            format!("{VALUE} KDR=1"),
            VALUE.replacen('1', "x", 1),
            String::new(),
        ] {
            assert_eq!(Key::read(&bad), None, "{bad}");
        }
    }
}
