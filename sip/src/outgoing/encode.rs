//! Encoding: base lines that stand side by side are copied in one piece, Content-Length is put right.

use bytes::Bytes;

use super::{FRESH, Line, Outgoing};
use crate::encoded::Encoded;
use crate::header::HeaderId;
use crate::length;

/// `Content-Length: ` and 20 digits, with the line ends of it, of the start line and of the head.
const MOST_LENGTH_LINE: usize = 42;

/// Octets of a line end.
const LINE_END: usize = 2;

/// What becomes of the Content-Length lines.
enum LengthLines {
    /// They are right.
    Keep,
    /// The first is written anew, the others go.
    Correct,
    /// There is none, and one is added.
    Add,
}

impl Outgoing {
    /// Head and body for the wire. Content-Length says what the body has; an untouched message goes out as it
    /// came, even without one.
    pub fn encode(&self) -> Encoded {
        if self.is_untouched() {
            let head = self.base.octets().slice(..self.base.head().len());
            return Encoded { head, body: self.body() };
        }
        self.assemble(b"")
    }

    /// As [`Outgoing::encode`] after [`Outgoing::push_via`], which leaves the message as it is. `via` holds no line end.
    pub fn encode_under(&self, via: &str) -> Encoded {
        self.assemble(&[b"Via: ", via.as_bytes(), b"\r\n"].concat())
    }

    /// With a line above the first Via, or above all lines.
    fn assemble(&self, above: &[u8]) -> Encoded {
        let body = self.body();
        // Room for a start line and a length of ours beside all that is there; exact would be read twice.
        let all = self.start_line().len() + self.base.head().len() + self.text.len() + above.len();
        let mut head = Vec::with_capacity(all + MOST_LENGTH_LINE);
        self.pieces(body.len(), above, |piece| head.extend_from_slice(piece));
        Encoded { head: Bytes::from(head), body }
    }

    /// Octets of the head that [`Outgoing::encode`] gives.
    pub fn head_len(&self) -> usize {
        if self.is_untouched() {
            return self.base.head().len();
        }
        let body_len = self.body_len();
        if matches!(self.length_lines(body_len), LengthLines::Keep) {
            let lines = self.order.iter().filter_map(|&line| self.place(line));
            let octets: usize = lines.map(|line| line.end() - line.start()).sum();
            return self.start_line().len() + 2 * LINE_END + octets;
        }
        let mut octets = 0;
        self.pieces(body_len, b"", |piece| octets += piece.len());
        octets
    }

    pub(super) fn body_len(&self) -> usize {
        self.body.as_ref().map_or_else(|| self.base.body_octets().len(), Bytes::len)
    }

    fn is_untouched(&self) -> bool {
        self.start.is_none()
            && self.body.is_none()
            && self.order.len() == self.base.lines().len()
            && self.order.iter().enumerate().all(|(at, line)| usize::from(line.0) == at)
    }

    /// Gives the pieces of the head in order.
    fn pieces(&self, body_len: usize, above: &[u8], mut put: impl FnMut(&[u8])) {
        put(self.start_line());
        put(b"\r\n");
        let lengths = self.length_lines(body_len);
        let mut corrected = false;
        let mut run: Option<(usize, usize)> = None;
        let top = if above.is_empty() { usize::MAX } else { self.position(HeaderId::Via).unwrap_or(0) };
        for (at, &line) in self.order.iter().enumerate() {
            if at == top {
                self.put_run(run.take(), &mut put);
                put(above);
            }
            let correct = self.id(line) == HeaderId::ContentLength && matches!(lengths, LengthLines::Correct);
            if !correct && let Some((start, end)) = self.base_piece(line) {
                run = match run {
                    Some((from, to)) if to == start => Some((from, end)),
                    _ => {
                        self.put_run(run, &mut put);
                        Some((start, end))
                    }
                };
                continue;
            }
            self.put_run(run.take(), &mut put);
            let header = self.view(line);
            if !correct {
                put(header.raw);
            } else if !std::mem::replace(&mut corrected, true) {
                put(header.name);
                put(format!(": {body_len}\r\n").as_bytes());
            }
        }
        self.put_run(run, &mut put);
        if matches!(lengths, LengthLines::Add) {
            put(format!("Content-Length: {body_len}\r\n").as_bytes());
        }
        put(b"\r\n");
    }

    fn put_run(&self, run: Option<(usize, usize)>, put: &mut impl FnMut(&[u8])) {
        if let Some(piece) = run.and_then(|(start, end)| self.base.octets().get(start..end)) {
            put(piece);
        }
    }

    fn base_piece(&self, line: Line) -> Option<(usize, usize)> {
        if line.0 & FRESH != 0 {
            return None;
        }
        self.base.lines().get(usize::from(line.0)).map(|line| (line.start(), line.end()))
    }

    fn length_lines(&self, body_len: usize) -> LengthLines {
        let right = |value: &[u8]| {
            length::read(value).and_then(|length| usize::try_from(length).ok()) == Some(body_len)
        };
        let mut lines =
            self.order.iter().filter(|&&line| self.id(line) == HeaderId::ContentLength).peekable();
        if lines.peek().is_none() {
            return LengthLines::Add;
        }
        if lines.all(|&line| right(self.view(line).value)) { LengthLines::Keep } else { LengthLines::Correct }
    }
}
