//! Content-Length: the one reader of it. Framing and parsing both use what stands here, because two readers
//! that differ let one request be smuggled in another's body.

use crate::invalid::Kind;

/// The lengths a head has named so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Length {
    named: Option<u64>,
}

impl Length {
    /// Takes in the value of a Content-Length line. Lines that repeat a length are one line; lines that
    /// differ, lists, signs, octets that are no digits and numbers beyond 64 bits are refused.
    pub(crate) fn add(&mut self, value: &[u8]) -> Result<(), Kind> {
        let length = read(value).ok_or(Kind::BadContentLength)?;
        match self.named {
            Some(before) if before != length => Err(Kind::ContentLengthsDiffer),
            _ => {
                self.named = Some(length);
                Ok(())
            }
        }
    }

    /// The length, if any line named one.
    pub(crate) const fn named(self) -> Option<u64> {
        self.named
    }
}

/// One Content-Length value, folds round it allowed.
pub(crate) fn read(value: &[u8]) -> Option<u64> {
    grammar::decimal(grammar::trim(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(values: &[&[u8]]) -> Result<Option<u64>, Kind> {
        let mut length = Length::default();
        values.iter().try_for_each(|value| length.add(value))?;
        Ok(length.named())
    }

    #[test]
    fn repeated_equal_lengths_are_one() {
        assert_eq!(all(&[b"13", b"\r\n 013"]), Ok(Some(13)));
        assert_eq!(all(&[]), Ok(None));
    }

    #[test]
    fn differing_lengths_are_refused() {
        assert_eq!(all(&[b"13", b"5"]), Err(Kind::ContentLengthsDiffer));
    }

    #[test]
    fn signs_lists_folded_digits_and_overflow_are_refused() {
        for bad in [
            &b"-999"[..],
            b"+5",
            b"",
            b"5, 5",
            b"1\r\n 2",
            b"0x10",
            b"18446744073709551616",
            b"5;x",
            b"\xd9\xa3",
        ] {
            assert_eq!(all(&[bad]), Err(Kind::BadContentLength), "{}", bad.escape_ascii());
        }
    }
}
