//! What a URLFETCH reply brings (RFC 4467 §8, RFC 5524 §3.2), with the faults of real servers.
//!
//! Dovecot 2.3 puts all metadata into one list where RFC 5524 has one list each, says that what it decoded is still
//! base64, and gives that a size that is wrong by any measure. So lists are read flat, the size is not looked at,
//! and what BINARY brings counts as decoded whatever the structure says.

use crate::word::Word;

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// `type/subtype` in lower case, where the server said it.
    pub media_type: Option<String>,
    /// Content-Transfer-Encoding in lower case, where the server said it and [`Part::octets`] still has it.
    pub encoding: Option<String>,
    /// Whether the server has taken the encoding off.
    pub is_decoded: bool,
    /// The content.
    pub octets: Vec<u8>,
}

/// What became of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It is refused.
    Nil,
    /// The server can't take the encoding off: it is to be asked for the content as it is.
    Undecodable,
    /// The part.
    Part(Part),
}

impl Fetched {
    /// What the words of `* URLFETCH ..` say of their first URL; `None` if they are of something else.
    pub(crate) fn read(words: Vec<Word>) -> Option<Fetched> {
        let mut words = words.into_iter();
        let is_urlfetch = words.next()?.is("*") && words.next()?.is("URLFETCH");
        words.next()?.octets().filter(|_| is_urlfetch)?;
        let mut part = Part { media_type: None, encoding: None, is_decoded: false, octets: Vec::new() };
        let first = words.next()?;
        match first {
            Word::Nil => return Some(Fetched::Nil),
            Word::Atom(octets) | Word::Text(octets) => {
                part.octets = octets;
                return Some(Fetched::Part(part));
            }
            Word::List(_) => {}
        }
        let lists = std::iter::once(first).chain(words).filter_map(|word| match word {
            Word::List(words) => Some(words),
            _ => None,
        });
        let mut items = lists.flatten();
        let mut content = None;
        while let Some(name) = items.next() {
            let (is_binary, is_body) = (name.is("BINARY"), name.is("BODY"));
            if name.is("BODYPARTSTRUCTURE") {
                structure(&mut part, items.next());
            } else if is_binary || is_body {
                content = Some((items.next(), is_binary));
            }
        }
        match content {
            Some((Some(Word::Text(octets) | Word::Atom(octets)), is_binary)) => {
                part.octets = octets;
                part.is_decoded = is_binary;
                part.encoding = part.encoding.filter(|_| !is_binary);
                Some(Fetched::Part(part))
            }
            Some((_, true)) => Some(Fetched::Undecodable),
            _ => Some(Fetched::Nil),
        }
    }
}

/// `("AUDIO" "MPEG" params id description encoding size ..)` (RFC 3501 §7.4.2).
fn structure(part: &mut Part, word: Option<Word>) {
    let Some(Word::List(fields)) = word else { return };
    let text = |at: usize| {
        let octets = fields.get(at).and_then(Word::octets)?;
        std::str::from_utf8(octets).ok().map(str::to_ascii_lowercase)
    };
    if let (Some(kind), Some(subtype)) = (text(0), text(1)) {
        part.media_type = Some(format!("{kind}/{subtype}"));
    }
    part.encoding = text(5);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::{Limits, Reader};
    use crate::word::words;

    fn read(reply: &str) -> Option<Fetched> {
        let mut reader = Reader::new(Limits::default());
        reader.push(reply.as_bytes());
        Fetched::read(words(reader.take().unwrap().unwrap()).unwrap())
    }

    fn part(reply: &str) -> Part {
        match read(reply) {
            Some(Fetched::Part(part)) => part,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_plain_reply_with_a_url_as_a_string_and_as_an_atom() {
        for url in ["\"imap://j@h/I/;uid=1/;section=1.2;urlauth=x\"", "imap://j@h/I/;uid=1"] {
            let part = part(&format!("* URLFETCH {url} {{3}}\r\nabc\r\n"));
            assert_eq!(
                (part.octets.as_slice(), part.is_decoded, part.media_type),
                (&b"abc"[..], false, None)
            );
        }
    }

    #[test]
    fn two_lists_as_the_rfc_has_them_and_one_as_a_real_server_sends() {
        for lists in [
            "(BODYPARTSTRUCTURE (\"AUDIO\" \"MPEG\" () NIL NIL \"BINARY\" 3)) (BINARY ~{3}\r\na\0c)",
            "(BODYPARTSTRUCTURE (\"audio\" \"mpeg\" NIL NIL NIL \"base64\" 18446744073709476815) BINARY ~{3}\r\na\0c)",
            "(BINARY \"a\0c\") (BODYPARTSTRUCTURE (\"audio\" \"mpeg\"))",
        ] {
            let part = part(&format!("* URLFETCH u {lists}\r\n"));
            assert_eq!(part.media_type.as_deref(), Some("audio/mpeg"), "{lists}");
            assert_eq!((part.octets.as_slice(), part.is_decoded, part.encoding), (&b"a\0c"[..], true, None));
        }
    }

    #[test]
    fn a_body_keeps_its_encoding() {
        let part = part(
            "* URLFETCH u (BODYPARTSTRUCTURE (\"A\" \"B\" () NIL NIL \"BASE64\" 4)) (BODY {4}\r\nYQ==)\r\n",
        );
        assert_eq!((part.encoding.as_deref(), part.is_decoded), (Some("base64"), false));
    }

    #[test]
    fn nil_and_what_the_server_could_not_decode() {
        assert_eq!(read("* URLFETCH u NIL\r\n"), Some(Fetched::Nil));
        assert_eq!(
            read("* URLFETCH u (BODYPARTSTRUCTURE (\"I\" \"P\")) (BINARY NIL)\r\n"),
            Some(Fetched::Undecodable)
        );
        assert_eq!(read("* URLFETCH u (X 1)\r\n"), Some(Fetched::Nil));
    }

    #[test]
    fn other_replies_are_not_of_a_url() {
        for reply in ["* OK hi", "* URLFETCH", "* URLFETCH u", "* GENURLAUTH u", "+ go on", "* NO x"] {
            assert_eq!(read(&format!("{reply}\r\n")), None, "{reply}");
        }
    }
}
