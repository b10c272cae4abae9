//! Field values in ASCII: what stands inside a message/external-body goes without a transfer encoding
//! (RFC 2046 §5.2.3), while SIP heads are UTF-8.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Octets of a text in one encoded word, which may have 75 letters in all (RFC 2047 §2).
const WORD_OCTETS: usize = 45;

/// The same value in ASCII, by the rules for that field; `None`: there is no such form.
pub(super) fn value(name: &str, value: String) -> Option<String> {
    match name {
        _ if value.is_ascii() => Some(value),
        "Content-Description" => Some(encoded_words(&value)),
        "Content-Type" | "Content-Disposition" => extended_params(&value),
        _ => None,
    }
}

/// RFC 2047 §2: `=?utf-8?B?..?=`.
fn encoded_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in text.chars() {
        if word.len() + letter.len_utf8() > WORD_OCTETS {
            words.push(std::mem::take(&mut word));
        }
        word.push(letter);
    }
    words.push(word);
    let words = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    words.collect::<Vec<_>>().join(" ")
}

/// RFC 2231 §4: `name*=utf-8''..` for each parameter that is not ASCII.
fn extended_params(value: &str) -> Option<String> {
    let (token, params) = value.split_once(';').unwrap_or((value, ""));
    let mut written = token.is_ascii().then(|| token.trim().to_owned())?;
    for param in grammar::params(params.as_bytes()) {
        let Ok(name) = std::str::from_utf8(param.name) else { continue };
        let text = param.value.map(|value| String::from_utf8_lossy(&value.text()).into_owned());
        // Writing to a string can't fail.
        let _ = match text {
            _ if !name.is_ascii() => continue,
            None => write!(written, "; {name}"),
            Some(text) if grammar::is_token(text.as_bytes()) => write!(written, "; {name}={text}"),
            Some(text) if text.is_ascii() => {
                write!(written, "; {name}=\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            }
            Some(text) => write!(written, "; {name}*=utf-8''{}", percent(&text)),
        };
    }
    Some(written)
}

fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            encoded.push(octet.into());
        } else {
            let _ = write!(encoded, "%{octet:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ascii_stays_and_the_rest_is_written_in_it() {
        let of = |name, text: &str| value(name, text.to_owned());
        assert_eq!(of("Content-Description", "Sunset").as_deref(), Some("Sunset"));
        assert_eq!(of("Content-Description", "Größe").as_deref(), Some("=?utf-8?B?R3LDtsOfZQ==?="));
        assert_eq!(
            of("Content-Disposition", "attachment; filename=\"Größe 1.gif\"; size=3; x=\"a b\"").as_deref(),
            Some("attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe%201.gif; size=3; x=\"a b\"")
        );
        assert_eq!(of("Content-Location", "Größe.gif"), None);
    }

    #[test]
    fn a_long_description_is_many_words_of_whole_letters() {
        let long = "ö".repeat(100);
        let words = encoded_words(&long);
        let read: String = words
            .split(' ')
            .map(|word| {
                assert!(word.len() <= 75);
                let text = word.strip_prefix("=?utf-8?B?").unwrap().strip_suffix("?=").unwrap();
                String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
            })
            .collect();
        assert_eq!(read, long);
    }
}
