//! AORs, Call-IDs and the like in logs: shown as a short mark that is the same for the same value while
//! the server runs, so that lines can be held together without naming anyone. `log.redact = false` opens
//! them.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::OnceLock;

/// A personal value on its way to the log.
#[derive(Clone, Copy)]
pub struct Redacted<'a> {
    value: &'a [u8],
    open: bool,
}

impl<'a> Redacted<'a> {
    /// Wraps `value`; with `open` it is shown as it is, control octets escaped.
    pub const fn new(value: &'a [u8], open: bool) -> Self {
        Redacted { value, open }
    }
}

impl Redacted<'_> {
    /// Writes it as it is displayed.
    pub(crate) fn write(&self, out: &mut String) {
        if self.open {
            return push_escaped(out, self.value);
        }
        // The host part of an address says which domain is concerned, not who.
        let (person, domain) = match grammar::split_once(self.value, |b| b == b'@') {
            Some((person, domain)) => (person, domain.split(|b| matches!(b, b';' | b'>' | b'?')).next()),
            None => (self.value, None),
        };
        out.push('#');
        grammar::push_hex(out, mark(person), 8);
        if let Some(domain) = domain {
            out.push('@');
            push_escaped(out, domain);
        }
    }
}

fn push_escaped(out: &mut String, octets: &[u8]) {
    match std::str::from_utf8(octets) {
        Ok(text)
            if grammar::is_printable(octets) && memchr::memchr3(b'"', b'\'', b'\\', octets).is_none() =>
        {
            out.push_str(text);
        }
        _ => out.extend(octets.escape_ascii().map(char::from)),
    }
}

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = String::new();
        self.write(&mut shown);
        f.write_str(&shown)
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Keyed, so that a mark can't be reversed by trying names.
fn mark(value: &[u8]) -> u64 {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    KEY.get_or_init(RandomState::new).hash_one(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redacted_address_shows_its_domain_and_never_its_user() {
        let shown = Redacted::new(b"sip:john@example.com;user=phone", false).to_string();
        assert!(shown.ends_with("@example.com") && !shown.contains("john"), "{shown}");
        assert_eq!(shown, Redacted::new(b"sip:john@example.com", false).to_string());
    }

    #[test]
    fn an_opened_value_is_shown_with_control_octets_escaped() {
        assert_eq!(Redacted::new(b"a\r\nb", true).to_string(), "a\\r\\nb");
    }
}
