//! The unguessable part of a link.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// A SHA-256.
pub(crate) type Sum = [u8; 32];

/// 128 random bits, written in base64url (CPI.md §4 C4). Who knows it may fetch: it goes into no log, which is
/// why `Debug` shows only its beginning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; 16]);

impl Token {
    /// Octets of a written token.
    pub const OCTETS: usize = 22;

    /// A new one from the operating system's generator.
    ///
    /// # Errors
    /// The generator's.
    pub(crate) fn random() -> Result<Token, getrandom::Error> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits)?;
        Ok(Token(bits))
    }

    /// Reads what [`Display`](fmt::Display) wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<Token> {
        if text.len() != Self::OCTETS {
            return None;
        }
        let bits = URL_SAFE_NO_PAD.decode(text).ok()?;
        bits.try_into().ok().map(Token)
    }

    /// The token at the end of a link.
    pub fn of_url(url: &str) -> Option<Token> {
        let (_, token) = url.rsplit_once("/c/")?;
        Token::parse(token)
    }

    /// What the store knows it by. Looking this up in a table says nothing about the token by the time it
    /// takes.
    pub(crate) fn sum(&self) -> Sum {
        Sha256::digest(self.0).into()
    }
}

/// Whether two sums are equal, in a time that does not depend on where they differ.
pub(crate) fn same(a: &Sum, b: &Sum) -> bool {
    let differ = a.iter().zip(b).fold(0u8, |differ, (a, b)| differ | (a ^ b));
    std::hint::black_box(differ) == 0
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        write!(f, "Token({}..)", text.get(..4).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_no_other_way() {
        let token = Token::random().unwrap();
        let text = token.to_string();
        assert_eq!(text.len(), Token::OCTETS);
        assert_eq!(Token::parse(&text), Some(token));
        for wrong in ["", "abc", &text[1..], &format!("{text}="), &"+".repeat(22), &"_".repeat(22)] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tokens_differ_and_hide_in_logs() {
        let (a, b) = (Token::random().unwrap(), Token::random().unwrap());
        assert_ne!(a, b);
        assert!(!same(&a.sum(), &b.sum()));
        assert!(same(&a.sum(), &a.sum()));
        assert!(format!("{a:?}").len() < 16);
    }
}
