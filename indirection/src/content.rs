//! What is put into the store, and the link that comes back.

use std::fmt;
use std::time::SystemTime;

use crate::token::Token;

/// What is known of a content beside its octets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The complete Content-Type, parameters included.
    pub content_type: String,
    /// The type the terminal was told of in the inner Content-Type, if not that of the original (CPI.md §4, "inner
    /// Content-Type").
    pub serve_as: Option<String>,
    /// The Content-Encoding of the octets.
    pub content_encoding: Option<String>,
    /// The Content-Disposition.
    pub disposition: Option<String>,
    /// The Content-Description.
    pub description: Option<String>,
    /// Whether every fetch gets these very octets (signed, encrypted, no-transform). Only then a link carries a
    /// hash (CPI.md §4).
    pub fixed: bool,
    /// For whom: an AOR. Only a keyed hash of it is kept, to count what one recipient has lying here.
    pub recipient: Option<String>,
    /// From whom: an AOR, of which only a keyed hash is kept, to count what one sender has lying here.
    pub sender: Option<String>,
    /// Kept at least until then (the MESSAGE's Expires), as far as [`crate::Options::max_ttl`] allows.
    pub keep_until: Option<SystemTime>,
}

/// Where a content is served, and until when: what `message/external-body` says (RFC 4483 §5).
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// The address: the public URL of the store, `/c/`, the token.
    pub url: String,
    /// The token in it.
    pub token: Token,
    /// The last moment it is served; whole seconds.
    pub expires: SystemTime,
    /// Octets of the content.
    pub size: u64,
    /// SHA-1 of the content, if every fetch gets the same octets (RFC 4483 §5.12).
    pub sha1: Option<[u8; 20]>,
}

impl Link {
    /// [`Link::expires`] as RFC 1123 writes it, for the parameter `expiration`.
    pub fn expiration(&self) -> String {
        httpdate::fmt_http_date(self.expires)
    }

    /// [`Link::sha1`] in 40 hex digits, for the parameter `hash`.
    pub fn hash(&self) -> Option<String> {
        self.sha1.as_ref().map(|sum| hex(sum))
    }
}

/// Shows no token.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({:?}, {} octets, until {})", self.token, self.size, self.expiration())
    }
}

/// Two lower-case digits an octet.
pub(crate) fn hex(octets: &[u8]) -> String {
    use fmt::Write;
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        // Writing to a string can't fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// What [`hex`] wrote.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut octets = [0; N];
    for (octet, &[high, low]) in octets.iter_mut().zip(pairs) {
        let digit = |d: u8| char::from(d).to_digit(16).filter(|_| !d.is_ascii_uppercase());
        *octet = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_as_it_was_written() {
        assert_eq!(hex(&[0, 0x9f, 0xff]), "009fff");
        assert_eq!(unhex::<3>("009fff"), Some([0, 0x9f, 0xff]));
        for wrong in ["", "009ff", "009fff00", "009fFF", "00 fff", "+0+f+f"] {
            assert_eq!(unhex::<3>(wrong), None, "{wrong}");
        }
    }
}
