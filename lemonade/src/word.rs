//! The words of a reply: atoms, strings, NIL and lists (RFC 3501 §9).

use crate::reply::{Piece, Reply};

/// Lists within lists that are read.
const DEPTH: usize = 16;

/// Words of one reply that are read.
const WORDS: usize = 4096;

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// An atom or a number, as written.
    Atom(Vec<u8>),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    /// NIL.
    Nil,
    /// What stands in parentheses.
    List(Vec<Word>),
}

impl Word {
    /// The octets of an atom or a string.
    pub fn octets(&self) -> Option<&[u8]> {
        match self {
            Word::Atom(octets) | Word::Text(octets) => Some(octets),
            Word::Nil | Word::List(_) => None,
        }
    }

    /// Whether it is that atom, in any case.
    pub fn is(&self, name: &str) -> bool {
        matches!(self, Word::Atom(octets) if octets.eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// Why a reply has no words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// Lists stand too deep in lists.
    #[error("lists of the server are more than {DEPTH} deep")]
    Depth,
    /// There are too many words.
    #[error("a reply of the server has more than {WORDS} words")]
    Count,
    /// A quoted string has no end.
    #[error("a string of the server has no end")]
    String,
}

/// All words of a reply. Lists that are not closed end with it, and what closes none is passed over: a real server
/// leaves a parenthesis out, and its data is good all the same.
///
/// # Errors
/// [`WordError`] if it can't be read.
pub fn words(reply: Reply) -> Result<Vec<Word>, WordError> {
    let mut open = Open::default();
    for piece in reply.pieces {
        match piece {
            Piece::Literal(octets) => open.push(Word::Text(octets))?,
            Piece::Text(text) => open.text(&text)?,
        }
    }
    Ok(open.end())
}

/// Lists that are open; the first is the reply.
struct Open {
    lists: Vec<Vec<Word>>,
    count: usize,
}

impl Default for Open {
    fn default() -> Self {
        Open { lists: vec![Vec::new()], count: 0 }
    }
}

impl Open {
    fn push(&mut self, word: Word) -> Result<(), WordError> {
        self.count += 1;
        if self.count > WORDS {
            return Err(WordError::Count);
        }
        if let Some(list) = self.lists.last_mut() {
            list.push(word);
        }
        Ok(())
    }

    fn text(&mut self, text: &[u8]) -> Result<(), WordError> {
        let mut rest = text;
        while let Some((&first, after)) = rest.split_first() {
            rest = match first {
                b' ' => after,
                b'(' => {
                    if self.lists.len() > DEPTH {
                        return Err(WordError::Depth);
                    }
                    self.lists.push(Vec::new());
                    after
                }
                b')' => {
                    self.close()?;
                    after
                }
                b'"' => {
                    let (string, after) = quoted(after).ok_or(WordError::String)?;
                    self.push(Word::Text(string))?;
                    after
                }
                _ => {
                    let end = rest.iter().position(|b| matches!(b, b' ' | b'(' | b')'));
                    let (atom, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or_default();
                    self.push(match atom.eq_ignore_ascii_case(b"NIL") {
                        true => Word::Nil,
                        false => Word::Atom(atom.to_vec()),
                    })?;
                    after
                }
            };
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), WordError> {
        if self.lists.len() < 2 {
            return Ok(());
        }
        let list = self.lists.pop().unwrap_or_default();
        self.push(Word::List(list))
    }

    fn end(mut self) -> Vec<Word> {
        while self.lists.len() > 1 {
            let list = self.lists.pop().unwrap_or_default();
            if let Some(outer) = self.lists.last_mut() {
                outer.push(Word::List(list));
            }
        }
        self.lists.pop().unwrap_or_default()
    }
}

/// A quoted string behind its first quote, and what follows it.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut string = Vec::new();
    let mut rest = text;
    loop {
        let (&first, after) = rest.split_first()?;
        rest = after;
        match first {
            b'"' => return Some((string, rest)),
            b'\\' => {
                let (&escaped, after) = rest.split_first()?;
                string.push(escaped);
                rest = after;
            }
            octet => string.push(octet),
        }
    }
}

/// `text` as a quoted string for a command; `None` if it holds what no quoted string may (CR, LF, NUL, no ASCII).
pub(crate) fn quote(text: &[u8]) -> Option<Vec<u8>> {
    let mut quoted = vec![b'"'];
    for &octet in text {
        if matches!(octet, b'\r' | b'\n' | 0) || !octet.is_ascii() {
            return None;
        }
        if matches!(octet, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(octet);
    }
    quoted.push(b'"');
    Some(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Word>, WordError> {
        words(Reply { pieces: vec![Piece::Text(text.as_bytes().to_vec())] })
    }

    #[test]
    fn atoms_strings_nil_and_lists_are_words() {
        let read = read(r#"* X "a \"b\"" NIL (1 (2 "()") ) {x"#).unwrap();
        let (atom, text) =
            (|s: &str| Word::Atom(s.as_bytes().to_vec()), |s: &str| Word::Text(s.as_bytes().to_vec()));
        let inner = Word::List(vec![atom("2"), text("()")]);
        let list = Word::List(vec![atom("1"), inner]);
        assert_eq!(read, [atom("*"), atom("X"), text("a \"b\""), Word::Nil, list, atom("{x")]);
    }

    #[test]
    fn lists_without_an_end_and_ends_without_a_list_are_lived_with() {
        assert_eq!(read("a (b"), read("a (b)"));
        assert_eq!(read("a) b"), read("a b"));
    }

    #[test]
    fn depth_count_and_strings_without_an_end_are_errors() {
        assert_eq!(read(&"(".repeat(17)), Err(WordError::Depth));
        assert!(read(&"(".repeat(16)).is_ok());
        assert_eq!(read(&"a ".repeat(4097)), Err(WordError::Count));
        assert_eq!(read("\"abc"), Err(WordError::String));
        assert_eq!(read("\"abc\\"), Err(WordError::String));
    }

    #[test]
    fn what_is_quoted_reads_back_and_nothing_breaks_out_of_it() {
        let quoted = quote(br#"a"b\c"#).unwrap();
        assert_eq!(read(std::str::from_utf8(&quoted).unwrap()).unwrap(), [Word::Text(br#"a"b\c"#.to_vec())]);
        assert_eq!(quote(b"a\r\nb"), None);
        assert_eq!(quote("é".as_bytes()), None);
    }
}
