//! Replies of a server as they come: lines, with literals in them (RFC 3501 §4.3, RFC 3516 for `~{n}`).
//!
//! A literal is held whole, so its announced size is judged before one octet of it is taken. Some servers leave out
//! the end of the line behind a literal: what begins there with the tag of the command under way is a reply of its
//! own.

/// What one reply may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one line, without its literals.
    pub line: usize,
    /// Octets of all literals of one reply.
    pub literals: usize,
    /// Literals of one reply.
    pub count: usize,
}

impl Default for Limits {
    /// 64 KiB of line, 64 MiB in at most 64 literals.
    fn default() -> Self {
        Limits { line: 64 << 10, literals: 64 << 20, count: 64 }
    }
}

/// Why a reply can't be taken. The connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A line is longer than [`Limits::line`].
    #[error("a line of the server is longer than {0} octets")]
    Line(usize),
    /// Literals are announced that are longer than [`Limits::literals`].
    #[error("the server announces a literal beyond {0} octets")]
    Literal(usize),
    /// More literals than [`Limits::count`].
    #[error("a reply of the server has more than {0} literals")]
    Count(usize),
}

/// A piece of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Of a line: neither its end nor the announcement of a literal is in it.
    Text(Vec<u8>),
    /// A literal.
    Literal(Vec<u8>),
}

/// One reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Text and literals in turn; text first.
    pub pieces: Vec<Piece>,
}

impl Reply {
    /// The text before the first literal.
    pub fn head(&self) -> &[u8] {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => b"",
        }
    }

    /// What follows `tag` and a blank, if the reply begins with them.
    pub fn after(&self, tag: &[u8]) -> Option<&[u8]> {
        self.head().strip_prefix(tag)?.strip_prefix(b" ")
    }
}

/// Cuts what comes into replies.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    buffer: Vec<u8>,
    /// Octets of `buffer` that were searched for the end of a line.
    searched: usize,
    reply: Reply,
    /// Octets of the line and of the literals that `reply` has.
    text: usize,
    octets: usize,
    /// The literal that is being taken: how long it is.
    literal: Option<usize>,
    tag: Vec<u8>,
}

impl Reader {
    /// A reader at the beginning of a reply.
    pub const fn new(limits: Limits) -> Reader {
        Reader {
            limits,
            buffer: Vec::new(),
            searched: 0,
            reply: Reply { pieces: Vec::new() },
            text: 0,
            octets: 0,
            literal: None,
            tag: Vec::new(),
        }
    }

    /// The tag of the command under way.
    pub fn expect(&mut self, tag: &str) {
        self.tag = [tag.as_bytes(), b" "].concat();
    }

    /// Takes what came. Call [`Reader::take`] until it gives nothing before more is pushed: then no more is held than
    /// one reply may have, and what came at once.
    pub fn push(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// Whether octets wait that are not part of a whole reply.
    pub fn has_rest(&self) -> bool {
        !self.buffer.is_empty() || !self.reply.pieces.is_empty()
    }

    /// The next whole reply; `None`: more must come first.
    ///
    /// # Errors
    /// [`ReplyError`]: a limit is passed.
    pub fn take(&mut self) -> Result<Option<Reply>, ReplyError> {
        loop {
            if let Some(length) = self.literal {
                if self.buffer.len() < length {
                    return Ok(None);
                }
                let rest = self.buffer.split_off(length);
                self.reply.pieces.push(Piece::Literal(std::mem::replace(&mut self.buffer, rest)));
                self.literal = None;
            }
            if self.has_lost_end() {
                return Ok(Some(self.end()));
            }
            let Some(mut line) = self.line()? else { return Ok(None) };
            self.text += line.len();
            if self.text > self.limits.line {
                return Err(ReplyError::Line(self.limits.line));
            }
            let announced = announced(&line);
            if let Some((length, start)) = announced {
                line.truncate(start);
                self.announce(length)?;
            }
            self.reply.pieces.push(Piece::Text(line));
            if announced.is_none() {
                return Ok(Some(self.end()));
            }
        }
    }

    fn end(&mut self) -> Reply {
        (self.text, self.octets) = (0, 0);
        std::mem::take(&mut self.reply)
    }

    /// Whether a literal ended and the reply to the command follows, where the line should go on.
    fn has_lost_end(&self) -> bool {
        matches!(self.reply.pieces.last(), Some(Piece::Literal(_)))
            && self.tag.len() > 1
            && self.buffer.starts_with(&self.tag)
    }

    fn announce(&mut self, length: Option<usize>) -> Result<(), ReplyError> {
        let literals = self.limits.literals;
        let sum = length.and_then(|length| self.octets.checked_add(length)).filter(|sum| *sum <= literals);
        self.octets = sum.ok_or(ReplyError::Literal(literals))?;
        self.literal = length;
        let held = self.reply.pieces.iter().filter(|piece| matches!(piece, Piece::Literal(_))).count();
        match held < self.limits.count {
            true => Ok(()),
            false => Err(ReplyError::Count(self.limits.count)),
        }
    }

    /// A whole line without its end.
    fn line(&mut self) -> Result<Option<Vec<u8>>, ReplyError> {
        let fresh = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(at) = fresh.iter().position(|&octet| octet == b'\n').map(|at| at + self.searched) else {
            self.searched = self.buffer.len();
            let too_long = self.buffer.len() > self.limits.line.saturating_add(1);
            return if too_long { Err(ReplyError::Line(self.limits.line)) } else { Ok(None) };
        };
        let rest = self.buffer.split_off(at + 1);
        let mut line = std::mem::replace(&mut self.buffer, rest);
        self.searched = 0;
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(line))
    }
}

/// The literal that a line announces at its end: how long it is (`None`: longer than any number of ours), and where
/// the announcement begins.
fn announced(line: &[u8]) -> Option<(Option<usize>, usize)> {
    let open = line.iter().rposition(|&octet| octet == b'{')?;
    let digits = line.get(open + 1..)?.strip_suffix(b"}")?;
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let before = line.get(..open).unwrap_or_default();
    let start = if before.ends_with(b"~") { open - 1 } else { open };
    Some((std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()), start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(octets: &[u8]) -> Piece {
        Piece::Text(octets.to_vec())
    }

    fn read(octets: &[u8], limits: Limits) -> Result<Vec<Reply>, ReplyError> {
        let mut reader = Reader::new(limits);
        reader.expect("a1");
        let mut replies = Vec::new();
        // One octet at a time: where it is cut makes no difference.
        for octet in octets {
            reader.push(&[*octet]);
            while let Some(reply) = reader.take()? {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    #[test]
    fn lines_and_literals_of_both_kinds_are_cut() {
        let replies =
            read(b"* OK hi\r\n* X {3}\r\na\nb y ~{2}\r\n\0\0)\r\na1 OK\r\n", Limits::default()).unwrap();
        let literal = |octets: &[u8]| Piece::Literal(octets.to_vec());
        assert_eq!(replies[0].pieces, [text(b"* OK hi")]);
        assert_eq!(
            replies[1].pieces,
            [text(b"* X "), literal(b"a\nb"), text(b" y "), literal(b"\0\0"), text(b")")]
        );
        assert_eq!(replies[2].after(b"a1"), Some(&b"OK"[..]));
    }

    #[test]
    fn a_line_whose_end_is_missing_behind_a_literal_ends_where_the_tag_stands() {
        let replies = read(b"* URLFETCH u {0}\r\na1 OK done\r\n", Limits::default()).unwrap();
        assert_eq!(replies[0].pieces, [text(b"* URLFETCH u "), Piece::Literal(Vec::new())]);
        assert_eq!(replies[1].head(), b"a1 OK done");
    }

    #[test]
    fn what_is_announced_beyond_the_limit_is_refused_before_it_comes() {
        let limits = Limits { line: 100, literals: 10, count: 2 };
        for size in ["11", "2147483648", "18446744073709476815", "99999999999999999999999"] {
            let announced = format!("* X {{{size}}}\r\n");
            assert_eq!(read(announced.as_bytes(), limits), Err(ReplyError::Literal(10)), "{size}");
        }
        assert!(read(b"* X {6}\r\n123456 {4}\r\n1234\r\n", limits).is_ok());
        assert_eq!(read(b"* X {6}\r\n123456 {5}\r\n", limits), Err(ReplyError::Literal(10)));
        assert_eq!(read(b"* {1}\r\n1 {1}\r\n2 {1}\r\n", limits), Err(ReplyError::Count(2)));
    }

    #[test]
    fn a_line_beyond_the_limit_is_refused_with_and_without_its_end() {
        let limits = Limits { line: 10, ..Limits::default() };
        assert_eq!(read(b"* 3456789012", limits), Err(ReplyError::Line(10)));
        assert_eq!(read(b"* 34 {1}\r\nx 6789012\r\n", limits), Err(ReplyError::Line(10)));
    }

    #[test]
    fn what_only_looks_like_an_announcement_is_text() {
        for line in ["* OK {}", "* OK {x}", "* OK {1} ", "* OK 1}", "* OK {-1}"] {
            let replies = read(format!("{line}\r\n").as_bytes(), Limits::default()).unwrap();
            assert_eq!(replies[0].pieces, [text(line.as_bytes())]);
        }
    }
}
