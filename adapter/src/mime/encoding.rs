//! Content-Transfer-Encoding (RFC 2045 §6).

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// How a part's octets are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferEncoding {
    /// As they are: 7bit, 8bit, binary.
    Identity,
    /// base64
    Base64,
    /// quoted-printable
    QuotedPrintable,
    /// Something else, nobody looks inside (RFC 2045 §6.4).
    Unknown,
}

impl TransferEncoding {
    /// Reads the field's value.
    pub fn read(value: &[u8]) -> TransferEncoding {
        match grammar::trim(value).to_ascii_lowercase().as_slice() {
            b"7bit" | b"8bit" | b"binary" | b"" => TransferEncoding::Identity,
            b"base64" => TransferEncoding::Base64,
            b"quoted-printable" => TransferEncoding::QuotedPrintable,
            _ => TransferEncoding::Unknown,
        }
    }

    /// The octets it carries; `None` if they are not in it.
    pub fn decode(self, carried: &Bytes) -> Option<Bytes> {
        match self {
            TransferEncoding::Identity => Some(carried.clone()),
            TransferEncoding::Base64 => base64(carried).map(Bytes::from),
            TransferEncoding::QuotedPrintable => Some(quoted_printable(carried).into()),
            TransferEncoding::Unknown => None,
        }
    }
}

fn base64(carried: &[u8]) -> Option<Vec<u8>> {
    let compact: Vec<u8> = carried.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    LENIENT.decode(compact).ok()
}

/// Never fails: an `=` that stands for nothing stays as it is (RFC 2045 §6.7 note to implementors).
fn quoted_printable(carried: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(carried.len());
    for line in carried.split_inclusive(|&b| b == b'\n') {
        let (text, end) = match line {
            [text @ .., b'\r', b'\n'] => (text, &b"\r\n"[..]),
            [text @ .., b'\n'] => (text, &b"\n"[..]),
            text => (text, &b""[..]),
        };
        let kept = text.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map_or(0, |at| at + 1);
        let text = if end.is_empty() { text } else { text.get(..kept).unwrap_or_default() };
        let (text, end) = match text {
            [soft @ .., b'='] => (soft, &b""[..]),
            hard => (hard, end),
        };
        unquote(text, &mut out);
        out.extend_from_slice(end);
    }
    out
}

fn unquote(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some((&first, rest)) = text.split_first() {
        if first == b'='
            && let [high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            text = after;
        } else {
            out.push(first);
            text = rest;
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_may_have_line_ends_and_no_padding() {
        let carried = Bytes::from_static(b"aGVs\r\nbG8");
        assert_eq!(TransferEncoding::Base64.decode(&carried).unwrap(), "hello");
        assert_eq!(TransferEncoding::Base64.decode(&Bytes::from_static(b"!!!")), None);
    }

    #[test]
    fn quoted_printable_joins_soft_lines_and_keeps_stray_signs() {
        let carried = Bytes::from_static(b"a=3Db=\r\nc \t\r\nd=zz=4");
        assert_eq!(TransferEncoding::QuotedPrintable.decode(&carried).unwrap(), "a=bc\r\nd=zz=4");
    }
}
