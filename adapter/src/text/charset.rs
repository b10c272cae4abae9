//! Charsets, by the tables the browsers use.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

/// `bytes` in the charset `to` (`utf-8`, `us-ascii` or `iso-8859-1`, any case). `from` is the label the text
/// came with; without one, or with one that isn't known, UTF-8 is tried and then the charset is guessed. Typographic
/// quotes, dashes and spaces become plain ones where `to` has no other, accented letters lose their accents in
/// US-ASCII. `None`: `to` is another charset, the input isn't text of its own, or it holds what `to`
/// can't write.
pub fn convert_charset(bytes: &[u8], from: Option<&str>, to: &str) -> Option<Vec<u8>> {
    let text = decode(bytes, from)?;
    let is = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(to.trim()));
    if is(&["utf-8", "utf8"]) {
        return Some(text.into_owned().into_bytes());
    }
    if is(&["us-ascii", "ascii"]) {
        return write(&text, |c| c.is_ascii());
    }
    if is(&["iso-8859-1", "latin1"]) {
        return write(&text, |c| c.is_ascii() || ('\u{a0}'..='\u{ff}').contains(&c));
    }
    None
}

/// `bytes` as text, a byte order mark left out. `from` as for [`convert_charset`]. `None` if the octets are not
/// text of that charset.
pub fn decode<'a>(bytes: &'a [u8], from: Option<&str>) -> Option<Cow<'a, str>> {
    let labelled = from.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
    let encoding = labelled.unwrap_or_else(|| guess(bytes));
    let (text, _, damaged) = encoding.decode(bytes);
    (!damaged).then_some(text)
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    if std::str::from_utf8(bytes).is_ok() {
        return UTF_8;
    }
    let mut detector = chardetng::EncodingDetector::new();
    detector.feed(bytes, true);
    detector.guess(None, true)
}

/// Characters up to U+00FF as one octet each, where `has` says so or there is a plain substitute.
fn write(text: &str, has: impl Fn(char) -> bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        if has(c) {
            out.push(u8::try_from(u32::from(c)).ok()?);
        } else {
            out.extend_from_slice(plain(c)?.as_bytes());
        }
    }
    Some(out)
}

/// The customary way to write `c` in US-ASCII.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' => " ",
        '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' => "",
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{2032}' | '\u{b4}' => "'",
        '\u{201c}'..='\u{201e}' | '\u{2033}' | '\u{ab}' | '\u{bb}' => "\"",
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "-",
        '\u{2022}' | '\u{b7}' => "*",
        '\u{2026}' => "...",
        '\u{20ac}' => "EUR",
        '\u{2122}' => "(TM)",
        '\u{a9}' => "(C)",
        '\u{ae}' => "(R)",
        'À'..='Ã' | 'Å' => "A",
        'à'..='ã' | 'å' => "a",
        'Ä' | 'Æ' => "Ae",
        'ä' | 'æ' => "ae",
        'Ç' => "C",
        'ç' => "c",
        'È'..='Ë' => "E",
        'è'..='ë' => "e",
        'Ì'..='Ï' => "I",
        'ì'..='ï' => "i",
        'Ñ' => "N",
        'ñ' => "n",
        'Ò'..='Õ' | 'Ø' => "O",
        'ò'..='õ' | 'ø' => "o",
        'Ö' | 'Œ' => "Oe",
        'ö' | 'œ' => "oe",
        'Ù'..='Û' => "U",
        'ù'..='û' => "u",
        'Ü' => "Ue",
        'ü' => "ue",
        'Ý' => "Y",
        'ý' | 'ÿ' => "y",
        'ß' => "ss",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_decides_what_the_octets_mean() {
        assert_eq!(convert_charset(b"caf\xe9", Some("iso-8859-1"), "utf-8").unwrap(), "café".as_bytes());
        assert_eq!(
            convert_charset(b"\xcf\xf0\xe8", Some("windows-1251"), "UTF-8").unwrap(),
            "При".as_bytes()
        );
        assert_eq!(convert_charset("日本".as_bytes(), Some("utf-8"), "utf8").unwrap(), "日本".as_bytes());
    }

    #[test]
    fn octets_that_are_not_of_their_charset_are_refused() {
        assert_eq!(convert_charset(b"caf\xe9", Some("utf-8"), "utf-8"), None);
    }

    #[test]
    fn text_without_a_label_is_utf8_or_guessed() {
        assert_eq!(convert_charset("naïve".as_bytes(), None, "utf-8").unwrap(), "naïve".as_bytes());
        assert_eq!(
            convert_charset(b"d\xe9j\xe0 vu, na\xefve", Some("x-nonsense"), "utf-8").unwrap(),
            "déjà vu, naïve".as_bytes()
        );
    }

    #[test]
    fn latin1_keeps_accents_and_ascii_spells_them_out() {
        let text = "“Größe” – 5 €".as_bytes();
        assert_eq!(convert_charset(text, None, "ISO-8859-1").unwrap(), b"\"Gr\xf6\xdfe\" - 5 EUR");
        assert_eq!(convert_charset(text, None, "US-ASCII").unwrap(), b"\"Groesse\" - 5 EUR");
    }

    #[test]
    fn what_a_charset_can_not_write_is_refused() {
        assert_eq!(convert_charset("日本".as_bytes(), None, "us-ascii"), None);
        assert_eq!(convert_charset("日本".as_bytes(), None, "iso-8859-1"), None);
        assert_eq!(convert_charset(b"abc", None, "utf-16"), None);
    }

    #[test]
    fn a_byte_order_mark_is_left_out() {
        assert_eq!(convert_charset(b"\xef\xbb\xbfabc", Some("utf-8"), "utf-8").unwrap(), b"abc");
    }
}
