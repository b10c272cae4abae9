//! Tokens, quoted strings, parameters, lists and header blocks: the grammar that SIP (RFC 3261 §25.1),
//! MIME (RFC 2045 §5.1) and HTTP (RFC 9110 §5.6) share.
//!
//! Everything works on octets, because header values may hold any; nothing allocates unless it must
//! unescape. Reading is lenient where the three disagree: folding and white space are accepted around
//! every separator, and what can't be read is handed back as it stands, never a panic.

mod block;
mod list;
mod params;

pub use block::{Field, fields, unfold};
pub use list::{Split, split_commas, split_outside_quotes};
pub use params::{Param, Params, Value, params};

/// Whether `b` may stand in a token (RFC 3261 §25.1). HTTP and MIME allow a few more, see
/// [`is_tchar`].
#[inline]
pub fn is_token_byte(b: u8) -> bool {
    TOKEN_BYTES.get(usize::from(b)).copied().unwrap_or_default()
}

/// Looked up, since nearly every octet of a head is asked for.
static TOKEN_BYTES: [bool; 256] = token_bytes();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where a bad index is an error")]
const fn token_bytes() -> [bool; 256] {
    let mut table = [false; 256];
    let mut b = 0u8;
    loop {
        table[b as usize] = b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        if b == u8::MAX {
            return table;
        }
        b += 1;
    }
}

/// Whether `b` may stand in an HTTP token (RFC 9110 §5.6.2), which a SIP token is a subset of.
pub fn is_tchar(b: u8) -> bool {
    is_token_byte(b) || matches!(b, b'#' | b'$' | b'&' | b'^' | b'|')
}

/// Whether `text` is a SIP token: one octet or more, all of them [`is_token_byte`].
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&b| is_token_byte(b))
}

/// Whether `b` is linear white space, line ends of a folded value included.
pub const fn is_lws(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// `text` without linear white space at its ends.
pub fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&b| !is_lws(b)).unwrap_or(text.len());
    let end = text.iter().rposition(|&b| !is_lws(b)).map_or(start, |at| at + 1);
    text.get(start..end).unwrap_or_default()
}

/// Splits at the first octet for which `at` holds; that octet is in neither half.
pub fn split_once(text: &[u8], at: impl Fn(u8) -> bool) -> Option<(&[u8], &[u8])> {
    let i = text.iter().position(|&b| at(b))?;
    Some((text.get(..i)?, text.get(i + 1..)?))
}

/// `1*DIGIT` as a number. `None` for anything else, and for what does not fit 64 bits.
///
/// ```
/// assert_eq!(grammar::decimal(b"0042"), Some(42));
/// assert_eq!(grammar::decimal(b"+1"), None);
/// assert_eq!(grammar::decimal(b"99999999999999999999"), None);
/// ```
pub fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, &b| {
        if !b.is_ascii_digit() {
            return None;
        }
        sum.checked_mul(10)?.checked_add(u64::from(b - b'0'))
    })
}

/// Writes the last `digits` (16 at most) hexadecimal digits of a number, zeros in front included, in lower case.
///
/// ```
/// let mut text = String::new();
/// grammar::push_hex(&mut text, 0x2af, 4);
/// assert_eq!(text, "02af");
/// ```
pub fn push_hex(out: &mut String, number: u64, digits: u32) {
    let mut written = *b"0000000000000000";
    for (place, octet) in (0..).zip(written.iter_mut().rev()) {
        let nibble = (number >> (4 * place)) as u8 & 0xf;
        *octet = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
    let asked = written.get(written.len().saturating_sub(digits as usize)..).unwrap_or_default();
    out.push_str(std::str::from_utf8(asked).unwrap_or_default());
}

/// Whether all octets are ASCII that is seen, or blanks. Looks at many at a time.
///
/// ```
/// assert!(grammar::is_printable(b"sip:a@b \"c\"") && !grammar::is_printable(b"a\tb"));
/// ```
pub fn is_printable(text: &[u8]) -> bool {
    text.chunks(64).all(|chunk| chunk.iter().fold(true, |all, b| all & matches!(b, b' '..=b'~')))
}

/// The value of `%HH` escapes put in place; a `%` that two hex digits do not follow stays as it is.
///
/// ```
/// assert_eq!(&*grammar::percent_decode(b"a%20b%zz"), b"a b%zz");
/// ```
pub fn percent_decode(text: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return text.into();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out.into()
}

const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10) & 0x0f,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trim_takes_line_ends_of_a_fold_too() {
        assert_eq!(trim(b" \r\n\t a b \r\n"), b"a b");
        assert_eq!(trim(b" \t "), b"");
    }

    #[test]
    fn decimal_refuses_overflow_and_signs() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"18446744073709551616"), None);
        assert_eq!(decimal(b""), None);
        assert_eq!(decimal(b"1 "), None);
    }

    #[test]
    fn percent_decoding_takes_both_cases_and_leaves_stray_signs() {
        assert_eq!(&*percent_decode(b"%4a%4A%"), b"JJ%");
        assert_eq!(&*percent_decode(b"%%41"), b"%A");
    }
}
