//! Content-Length: the one reader of it. Framing and parsing both use what stands here, because two readers
//! that differ let one request be smuggled in another's body.

use crate::header::HeaderId;
use crate::invalid::Kind;

/// The length a head has named so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Length {
    named: Option<u64>,
}

impl Length {
    /// Takes in the value of a Content-Length line, trimmed. A second line is refused even if it says the same, for there
    /// are readers that add them up or take them for a list; so are lists, signs, octets that are no digits and
    /// numbers beyond 63 bits, which some read as negative.
    pub(crate) fn add(&mut self, value: &[u8]) -> Result<(), Kind> {
        let length = read(value).ok_or(Kind::BadContentLength)?;
        match self.named.replace(length) {
            Some(_) => Err(Kind::Repeated(HeaderId::ContentLength)),
            None => Ok(()),
        }
    }

    /// The length, if a line named one.
    pub(crate) const fn named(self) -> Option<u64> {
        self.named
    }
}

/// One Content-Length value, without the white space round it.
pub(crate) fn read(value: &[u8]) -> Option<u64> {
    grammar::decimal(value).filter(|&length| i64::try_from(length).is_ok())
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
    fn one_length_may_be_padded() {
        assert_eq!(all(&[b"013"]), Ok(Some(13)));
        assert_eq!(all(&[b"9223372036854775807"]), Ok(Some(i64::MAX as u64)));
        assert_eq!(all(&[]), Ok(None));
    }

    #[test]
    fn a_second_length_is_refused_whatever_it_says() {
        let repeated = Err(Kind::Repeated(HeaderId::ContentLength));
        assert_eq!(all(&[b"13", b"5"]), repeated);
        assert_eq!(all(&[b"13", b"13"]), repeated);
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
            b"9223372036854775808",
            b"18446744073709551616",
            b"5;x",
            b"\xd9\xa3",
        ] {
            assert_eq!(all(&[bad]), Err(Kind::BadContentLength), "{}", bad.escape_ascii());
        }
    }
}
