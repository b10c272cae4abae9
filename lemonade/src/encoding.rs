//! Content-Transfer-Encoding of what a server gave out as it is stored (RFC 2045 §6).

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// As mail is written: padding or none, bits left over or none.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// An encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, 8bit or binary.
    Identity,
    /// base64.
    Base64,
    /// quoted-printable.
    QuotedPrintable,
}

/// Why content can't be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// An encoding that RFC 2045 does not have.
    #[error("the content-transfer-encoding is not known")]
    Unknown,
    /// The octets are not what they are said to be.
    #[error("the content is not encoded as is said")]
    Malformed,
}

impl Encoding {
    /// The encoding of that name.
    ///
    /// # Errors
    /// [`EncodingError::Unknown`].
    pub fn from_name(name: &[u8]) -> Result<Encoding, EncodingError> {
        let is = |known: &str| name.trim_ascii().eq_ignore_ascii_case(known.as_bytes());
        match () {
            () if is("7bit") || is("8bit") || is("binary") || is("") => Ok(Encoding::Identity),
            () if is("base64") => Ok(Encoding::Base64),
            () if is("quoted-printable") => Ok(Encoding::QuotedPrintable),
            () => Err(EncodingError::Unknown),
        }
    }

    /// The content without its encoding; never longer than it.
    ///
    /// # Errors
    /// [`EncodingError::Malformed`].
    pub fn decode(self, content: Vec<u8>) -> Result<Vec<u8>, EncodingError> {
        match self {
            Encoding::Identity => Ok(content),
            Encoding::Base64 => base64(&content),
            Encoding::QuotedPrintable => Ok(quoted_printable(&content)),
        }
    }
}

/// What is not of the alphabet is passed over (RFC 2045 §6.8), and nothing counts behind the padding.
fn base64(content: &[u8]) -> Result<Vec<u8>, EncodingError> {
    let end = content.iter().position(|&octet| octet == b'=').unwrap_or(content.len());
    let of_alphabet = |octet: &&u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/');
    let letters: Vec<u8> =
        content.get(..end).unwrap_or_default().iter().filter(of_alphabet).copied().collect();
    if letters.is_empty() && !content.trim_ascii().is_empty() {
        return Err(EncodingError::Malformed);
    }
    LENIENT.decode(letters).map_err(|_| EncodingError::Malformed)
}

/// What is no escape stands as it is, as RFC 2045 §6.7 advises for what is broken.
fn quoted_printable(content: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'=' {
            decoded.push(first);
            continue;
        }
        let hex = |at: usize| after.get(at).and_then(|&octet| char::from(octet).to_digit(16));
        if let (Some(high), Some(low)) = (hex(0), hex(1)) {
            decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
            rest = after.get(2..).unwrap_or_default();
        } else if let Some(next) = after_soft_break(after) {
            rest = next;
        } else {
            decoded.push(first);
        }
    }
    decoded
}

/// What follows a soft line break, perhaps with blanks that somebody added before its end.
fn after_soft_break(after: &[u8]) -> Option<&[u8]> {
    let blanks = after.iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
    let end = after.get(blanks..)?;
    end.strip_prefix(b"\r\n").or_else(|| end.strip_prefix(b"\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(name: &str, content: &str) -> Result<String, EncodingError> {
        let encoding = Encoding::from_name(name.as_bytes())?;
        encoding
            .decode(content.as_bytes().to_vec())
            .map(|octets| String::from_utf8_lossy(&octets).into_owned())
    }

    #[test]
    fn the_example_of_the_draft_is_decoded() {
        let decoded = decode("BASE64", "U2kgdmlzIHBhY2VtLCBwYXJhIGJlbGx1bS4K");
        assert_eq!(decoded.unwrap(), "Si vis pacem, para bellum.\n");
    }

    #[test]
    fn base64_with_line_ends_without_padding_and_with_something_behind_it() {
        assert_eq!(decode("base64", "YW\r\nJj\r\n").unwrap(), "abc");
        assert_eq!(decode("base64", "YWI").unwrap(), "ab");
        assert_eq!(decode("base64", "YWI=\r\n-- footer").unwrap(), "ab");
        assert_eq!(decode("base64", "").unwrap(), "");
        assert_eq!(decode("base64", "Y"), Err(EncodingError::Malformed));
        assert_eq!(decode("base64", "====",), Err(EncodingError::Malformed));
    }

    #[test]
    fn quoted_printable_with_soft_breaks_and_what_is_none() {
        assert_eq!(decode("quoted-printable", "a=3Db=\r\nc= \nd=zz=").unwrap(), "a=bcd=zz=");
    }

    #[test]
    fn identities_stay_and_others_are_not_known() {
        for name in ["7bit", "8BIT", "binary", ""] {
            assert_eq!(decode(name, "x=3D").unwrap(), "x=3D");
        }
        assert_eq!(decode("x-uuencode", "x"), Err(EncodingError::Unknown));
    }
}
