//! Lists: values separated by an octet that counts only outside quoted strings and angle brackets.

/// The elements of a comma list (`1#element`), trimmed, empty ones left out. Commas in quoted strings
/// and inside `<...>` do not separate: `<sip:a@b;x=1,2>, "Doe, J" <sip:c@d>` has two elements.
///
/// ```
/// let elements: Vec<_> = grammar::split_commas(b"\"Doe, J\" <sip:a@b?x=1,2> , sip:c@d,,").collect();
/// assert_eq!(elements, [&b"\"Doe, J\" <sip:a@b?x=1,2>"[..], b"sip:c@d"]);
/// ```
pub fn split_commas(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    split_outside_quotes(value, b',', true).filter(|element| !element.is_empty())
}

/// The trimmed pieces of `value` between octets `separator` that stand outside quoted strings, and with
/// `brackets` also outside `<...>`. Empty pieces are kept; an empty value is one empty piece.
pub const fn split_outside_quotes(value: &[u8], separator: u8, brackets: bool) -> Split<'_> {
    Split { rest: Some(value), separator, brackets }
}

/// Iterator of [`split_outside_quotes`].
#[derive(Clone, Debug)]
pub struct Split<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
    brackets: bool,
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let (piece, after) = match end_of_piece(rest, self.separator, self.brackets) {
            Some(at) => (rest.get(..at)?, Some(rest.get(at + 1..)?)),
            None => (rest, None),
        };
        self.rest = after;
        Some(crate::trim(piece))
    }
}

fn end_of_piece(text: &[u8], separator: u8, brackets: bool) -> Option<usize> {
    let opening = if brackets { b'<' } else { b'"' };
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        at += memchr::memchr3(separator, b'"', opening, rest)?;
        match text.get(at)? {
            b'"' => at = behind_quote(text, at + 1)?,
            b'<' if brackets => at += memchr::memchr(b'>', text.get(at..)?)? + 1,
            _ => return Some(at),
        }
    }
}

/// Behind the quote that closes the string which begins at `at`; `None` if none does.
fn behind_quote(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        match text.get(at)? {
            b'"' => return Some(at + 1),
            // What follows is escaped.
            _ => at += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_quote_does_not_close_the_string() {
        let pieces: Vec<_> = split_outside_quotes(br#"a="x\";y";b"#, b';', false).collect();
        assert_eq!(pieces, [&br#"a="x\";y""#[..], b"b"]);
    }

    #[test]
    fn every_octet_means_what_it_means_one_by_one() {
        // As the grammar is read octet by octet.
        let slow = |text: &[u8], brackets: bool| {
            let (mut quoted, mut escaped, mut angle) = (false, false, false);
            text.iter().position(|&b| {
                match b {
                    _ if escaped => escaped = false,
                    b'\\' if quoted => escaped = true,
                    b'"' if !angle => quoted = !quoted,
                    _ if quoted => {}
                    b'<' if brackets => angle = true,
                    b'>' if brackets => angle = false,
                    _ => return b == b',' && !angle,
                }
                false
            })
        };
        const OCTETS: &[u8; 6] = b"\",<>\\a";
        for number in 0..6_usize.pow(6) {
            let text: Vec<u8> = (0..6).map(|place| OCTETS[number / 6_usize.pow(place) % 6]).collect();
            for brackets in [true, false] {
                let found = end_of_piece(&text, b',', brackets);
                assert_eq!(found, slow(&text, brackets), "{} {brackets}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn an_open_quote_runs_to_the_end() {
        assert_eq!(split_commas(b"a, \"b, c").collect::<Vec<_>>(), [&b"a"[..], b"\"b, c"]);
    }

    #[test]
    fn a_folded_list_has_its_elements_trimmed() {
        assert_eq!(split_commas(b"a\r\n , b").collect::<Vec<_>>(), [&b"a"[..], b"b"]);
    }
}
