//! The index of a head: one pass that notes where the start line and every header line stand, and allocates
//! nothing for a head of up to [`INLINE_LINES`] lines.

use smallvec::SmallVec;

use crate::header::HeaderId;
use crate::invalid::Kind;
use crate::length::Length;
use crate::limits::Limits;
use crate::span::Span;

/// Header lines an index holds without an allocation.
pub(crate) const INLINE_LINES: usize = 24;

/// Lines of one message.
pub(crate) type Lines = SmallVec<[HeaderLine; INLINE_LINES]>;

/// Where a header line stands, 20 octets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderLine {
    start: u32,
    value: u32,
    value_end: u32,
    end: u32,
    name_len: u16,
    pub(crate) id: HeaderId,
}

impl HeaderLine {
    pub(crate) fn name<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        let start = self.start as usize;
        buf.get(start..start + usize::from(self.name_len)).unwrap_or_default()
    }

    pub(crate) fn value<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        buf.get(self.value as usize..self.value_end as usize).unwrap_or_default()
    }

    pub(crate) fn raw<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        buf.get(self.start()..self.end()).unwrap_or_default()
    }

    pub(crate) const fn start(&self) -> usize {
        self.start as usize
    }

    pub(crate) const fn end(&self) -> usize {
        self.end as usize
    }
}

/// What a head says before anyone judges it.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) start: Start,
    pub(crate) lines: Lines,
    /// Octets up to and with the empty line.
    pub(crate) len: usize,
    pub(crate) length: Length,
}

/// The start line (RFC 3261 §7.1, §7.2).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    Request {
        method: Span,
        uri: Span,
    },
    Response {
        status: u16,
        reason: Span,
    },
    /// Neither, with what may be its method, and why.
    Broken {
        method: Span,
        kind: Kind,
    },
}

/// A defect and the octet where it stands.
pub(crate) type Defect = (Kind, usize);

/// Indexes the head at the start of `buf`. A broken start line is noted, not refused: the lines below it
/// are needed to answer.
pub(crate) fn index(buf: &[u8], limits: &Limits) -> Result<Head, Defect> {
    let first = line_end(buf, 0)?;
    if first > limits.line_octets || first > limits.head {
        return Err((Kind::LineTooLong, limits.line_octets));
    }
    let start = start_line(buf.get(..first.saturating_sub(2)).unwrap_or_default());
    let mut head = Head { start, lines: Lines::new(), len: 0, length: Length::default() };
    let mut at = first;
    loop {
        if buf.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
            head.len = at + 2;
            break;
        }
        let line = header_line(buf, at, limits)?;
        if line.end() > limits.head {
            return Err((Kind::HeadTooLong, at));
        }
        if head.lines.len() >= limits.lines.min(MOST_LINES) {
            return Err((Kind::TooManyLines, at));
        }
        if line.id == HeaderId::ContentLength {
            head.length.add(line.value(buf)).map_err(|kind| (kind, line.value as usize))?;
        }
        head.lines.push(line);
        at = line.end();
    }
    if head.len > limits.head { Err((Kind::HeadTooLong, at)) } else { Ok(head) }
}

/// What a limit can't lift: lines are counted in 15 bits where a proxy keeps their order.
const MOST_LINES: usize = 0x7fff;

/// What can be read of a head that [`index`] refused: the lines that are whole, for the answer. Ends at
/// the limits and leaves out what is broken.
pub(crate) fn salvage(buf: &[u8], limits: &Limits) -> Head {
    let buf = buf.get(..buf.len().min(limits.head)).unwrap_or_default();
    let mut at = next_line(buf, 0);
    let first = grammar::trim(buf.get(..at).unwrap_or_default());
    let mut head = Head { start: start_line(first), lines: Lines::new(), len: at, length: Length::default() };
    while at < buf.len() && head.lines.len() < limits.lines.min(MOST_LINES) {
        if buf.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
            break;
        }
        at = match header_line(buf, at, limits) {
            Ok(line) => {
                head.lines.push(line);
                line.end()
            }
            Err(_) => next_line(buf, at),
        };
        head.len = at;
    }
    head
}

fn next_line(buf: &[u8], at: usize) -> usize {
    let rest = buf.get(at..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(buf.len(), |end| at + end + 1)
}

/// The header line at `at`, up to the line end that no white space follows.
pub(crate) fn header_line(buf: &[u8], at: usize, limits: &Limits) -> Result<HeaderLine, Defect> {
    let rest = buf.get(at..).unwrap_or_default();
    let name_len = rest.iter().position(|&b| !is_name_byte(b)).unwrap_or(rest.len());
    let after_name = rest.get(name_len..).unwrap_or_default();
    let blanks = after_name.iter().position(|&b| !is_blank(b)).unwrap_or(after_name.len());
    if name_len == 0 || after_name.get(blanks) != Some(&b':') {
        let unfinished = rest.is_empty() || (name_len > 0 && after_name.get(blanks).is_none());
        return Err((if unfinished { Kind::Unterminated } else { Kind::BadHeaderLine }, at));
    }
    let colon = at + name_len + blanks;
    let mut end = line_end(buf, colon + 1)?;
    while buf.get(end).is_some_and(|&b| is_blank(b)) {
        end = line_end(buf, end)?;
    }
    if end - at > limits.line_octets {
        return Err((Kind::LineTooLong, at));
    }
    let value = grammar::trim(buf.get(colon + 1..end).unwrap_or_default());
    let span = if value.is_empty() { Span::between(colon + 1, colon + 1) } else { Span::of(buf, value) };
    let narrow = |octets: usize| u32::try_from(octets).map_err(|_| (Kind::HeadTooLong, at));
    Ok(HeaderLine {
        start: narrow(at)?,
        value: narrow(span.start())?,
        value_end: narrow(span.end())?,
        end: narrow(end)?,
        name_len: u16::try_from(name_len).map_err(|_| (Kind::LineTooLong, at))?,
        id: HeaderId::of(rest.get(..name_len).unwrap_or_default()),
    })
}

/// Behind the CRLF that ends the line round `at`. A CR or LF that stands alone is refused: others take it
/// for a line end or for nothing, and what two readers read differently can be smuggled past one.
fn line_end(buf: &[u8], at: usize) -> Result<usize, Defect> {
    let rest = buf.get(at..).unwrap_or_default();
    let end = memchr::memchr2(b'\r', b'\n', rest).ok_or((Kind::Unterminated, buf.len()))?;
    match rest.get(end..) {
        Some([b'\r', b'\n', ..]) => Ok(at + end + 2),
        Some([b'\r']) => Err((Kind::Unterminated, buf.len())),
        _ => Err((Kind::BareLineEnd, at + end)),
    }
}

fn start_line(line: &[u8]) -> Start {
    if line.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"SIP/")) {
        return status_line(line);
    }
    let method_len = line.iter().position(|&b| !is_name_byte(b)).unwrap_or(line.len());
    let method = Span::between(0, method_len);
    let broken = |kind| Start::Broken { method, kind };
    let Some((after, rest)) = line.get(method_len..).and_then(<[u8]>::split_first) else {
        return broken(Kind::BadStartLine);
    };
    let Some(space) = memchr::memrchr(b' ', rest) else { return broken(Kind::BadStartLine) };
    let (uri, version) = rest.split_at_checked(space).unwrap_or_default();
    if method_len == 0 || *after != b' ' || uri.is_empty() || !uri.iter().all(|&b| is_printable(b)) {
        return broken(Kind::BadStartLine);
    }
    match version.get(1..) {
        // The version has no case (RFC 3261 §7.1).
        Some(version) if version.eq_ignore_ascii_case(b"SIP/2.0") => {
            Start::Request { method, uri: Span::of(line, uri) }
        }
        Some(version) => broken(version_defect(version)),
        None => broken(Kind::BadStartLine),
    }
}

fn status_line(line: &[u8]) -> Start {
    let broken = |kind| Start::Broken { method: Span::default(), kind };
    let Some((version, rest)) = grammar::split_once(line, |b| b == b' ') else {
        return broken(Kind::BadStartLine);
    };
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return broken(version_defect(version));
    }
    // A status line that ends behind the code, without the space of an empty reason, is common and clear.
    let (code, reason) = rest.split_at_checked(3).unwrap_or((rest, &[]));
    match (grammar::decimal(code), reason) {
        (Some(status @ 100..=699), [] | [b' ', ..]) if code.len() == 3 => Start::Response {
            status: u16::try_from(status).unwrap_or_default(),
            reason: Span::of(line, reason.get(1..).unwrap_or_default()),
        },
        _ => broken(Kind::BadStatus),
    }
}

/// Another version of SIP is told from noise: only the first can be answered 505.
fn version_defect(version: &[u8]) -> Kind {
    let number = version.get(4..).unwrap_or_default();
    let numeric = !number.is_empty() && number.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    if version.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"SIP/")) && numeric {
        Kind::BadVersion
    } else {
        Kind::BadStartLine
    }
}

const fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

const fn is_printable(b: u8) -> bool {
    b > b' ' && b != 0x7f
}

fn is_name_byte(b: u8) -> bool {
    NAME_BYTES.get(usize::from(b)).copied().unwrap_or_default()
}

static NAME_BYTES: [bool; 256] = name_bytes();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where a bad index is an error")]
const fn name_bytes() -> [bool; 256] {
    let mut table = [false; 256];
    let mut b = 0u8;
    loop {
        table[b as usize] = grammar::is_token_byte(b);
        if b == u8::MAX {
            return table;
        }
        b += 1;
    }
}
