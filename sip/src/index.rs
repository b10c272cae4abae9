//! The index of a head: one pass that notes where the start line and every header line stand, and allocates
//! nothing for a head of up to [`INLINE_LINES`] lines.

use smallvec::SmallVec;

use crate::header::{self, HeaderId};
use crate::invalid::Kind;
use crate::length::Length;
use crate::limits::Limits;
use crate::scan::low_octet;
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
    /// A line that is written at `start`: the name, a colon, a blank, so many octets of value, the line end.
    /// `None` if it is too long for an index.
    pub(crate) fn written(start: usize, name: &[u8], value_len: usize) -> Option<HeaderLine> {
        let name_len = u16::try_from(name.len()).ok()?;
        let (value, value_end) = (start + name.len() + 2, start + name.len() + 2 + value_len);
        let end = u32::try_from(value_end + 2).ok()?;
        let (start, value, value_end) = (start as u32, value as u32, value_end as u32);
        Some(HeaderLine { start, value, value_end, end, name_len, id: HeaderId::of(name) })
    }

    pub(crate) fn name<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        let start = self.start as usize;
        buf.get(start..start + usize::from(self.name_len)).unwrap_or_default()
    }

    pub(crate) fn value<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        buf.get(self.value as usize..self.value_end as usize).unwrap_or_default()
    }

    /// Where the value stands.
    pub(crate) const fn value_span(&self) -> Span {
        Span::new(self.value, self.value_end.saturating_sub(self.value))
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

impl Start {
    pub(crate) const UNREAD: Start = Start::Broken { method: Span::EMPTY, kind: Kind::BadStartLine };
}

impl Default for Head {
    fn default() -> Self {
        Head { start: Start::UNREAD, lines: Lines::new(), len: 0, length: Length::default() }
    }
}

/// A defect and the octet where it stands.
pub(crate) type Defect = (Kind, usize);

/// Indexes the head at the start of `buf`. A broken start line is noted, not refused: the lines below it
/// are needed to answer.
pub(crate) fn index(buf: &[u8], limits: &Limits, head: &mut Head) -> Result<(), Defect> {
    if u32::try_from(buf.len()).is_err() {
        return Err((Kind::HeadTooLong, limits.head));
    }
    let first = whole_start_line(buf)?;
    if first > limits.line_octets || first > limits.head {
        return Err((Kind::LineTooLong, limits.line_octets));
    }
    head.start = start_line(buf.get(..first.saturating_sub(2)).unwrap_or_default());
    let mut at = first;
    let mut lines_left = limits.lines.min(MOST_LINES);
    loop {
        let line = match plain_line(buf.get(at..).unwrap_or_default(), at) {
            Some(line) if line.end() - at <= limits.line_octets => line,
            _ => match scan_line(buf, at, limits)? {
                Some(line) => line,
                None => break,
            },
        };
        if line.end() > limits.head {
            return Err((Kind::HeadTooLong, at));
        }
        lines_left = lines_left.checked_sub(1).ok_or((Kind::TooManyLines, at))?;
        if line.id == HeaderId::ContentLength {
            head.length.add(line.value(buf)).map_err(|kind| (kind, line.value as usize))?;
        }
        at = line.end();
        head.lines.push(line);
    }
    head.len = at + 2;
    if head.len > limits.head { Err((Kind::HeadTooLong, at)) } else { Ok(()) }
}

/// What a limit can't lift: lines are counted in 15 bits where a proxy keeps their order.
const MOST_LINES: usize = 0x7fff;

/// What can be read of a head that [`index`] refused: the lines that are whole, for the answer. Ends at
/// the limits and leaves out what is broken.
pub(crate) fn salvage(buf: &[u8], limits: &Limits) -> Head {
    let buf = buf.get(..buf.len().min(limits.head)).unwrap_or_default();
    let mut at = next_line(buf, 0);
    let first = grammar::trim(buf.get(..at).unwrap_or_default());
    let mut head = Head { start: start_line(first), len: at, ..Head::default() };
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
    if u32::try_from(buf.len()).is_err() {
        return Err((Kind::HeadTooLong, at));
    }
    scan_line(buf, at, limits)?.ok_or((Kind::BadHeaderLine, at))
}

/// The line that begins `rest`, which stands at `at`, if it has the form nearly every line has: a known name of up
/// to 15 octets, a colon, one blank, a value, no fold. `None` for all others, which take the long way.
#[inline(always)]
fn plain_line(rest: &[u8], at: usize) -> Option<HeaderLine> {
    let (id, name_len) = header::at_line_start(rest.first_chunk()?)?;
    let behind = rest.get(usize::from(name_len) + 1..)?;
    let (value, end) = behind.split_at_checked(low_octet(behind)?)?;
    let ([b' ', first, ..], [.., last], [b'\r', b'\n', next, ..]) = (value, value, end) else { return None };
    if *first <= b' ' || *last <= b' ' || is_blank(*next) {
        return None;
    }
    let start = at as u32;
    let colon = start + u32::from(name_len);
    let value_end = colon + 1 + value.len() as u32;
    Some(HeaderLine { start, value: colon + 2, value_end, end: value_end + 2, name_len: name_len.into(), id })
}

/// The line at `at`, none if it is the empty one that ends the head. `buf` has no more octets than 32 bits can
/// count.
#[inline(never)]
fn scan_line(buf: &[u8], at: usize, limits: &Limits) -> Result<Option<HeaderLine>, Defect> {
    let rest = buf.get(at..).unwrap_or_default();
    let (id, name_len, colon) = match rest.first_chunk().and_then(header::at_line_start) {
        Some((id, len)) => (id, u16::from(len), at + usize::from(len)),
        None if rest.starts_with(b"\r\n") => return Ok(None),
        None => scan_name(buf, at)?,
    };
    let LineEnd { mut end, mut nul } = line_end(buf, colon + 1)?;
    while buf.get(end).is_some_and(|&b| is_blank(b)) {
        let folded = line_end(buf, end)?;
        (end, nul) = (folded.end, nul | folded.nul);
    }
    if end - at > limits.line_octets {
        return Err((Kind::LineTooLong, at));
    }
    if nul && !quotes_hold_nuls(buf.get(colon + 1..end).unwrap_or_default()) {
        return Err((Kind::Nul, at));
    }
    let (value, value_end) = trimmed(buf, colon + 1, end - 2);
    let (start, value, value_end, end) = (at as u32, value as u32, value_end as u32, end as u32);
    Ok(Some(HeaderLine { start, value, value_end, end, name_len, id }))
}

/// A name in any form: which header it is, its length, and where its colon stands.
fn scan_name(buf: &[u8], at: usize) -> Result<(HeaderId, u16, usize), Defect> {
    let rest = buf.get(at..).unwrap_or_default();
    let name_len = rest.iter().position(|&b| !grammar::is_token_byte(b)).unwrap_or(rest.len());
    let (name, rest) = rest.split_at_checked(name_len).unwrap_or_default();
    let blanks = rest.iter().position(|&b| !is_blank(b)).unwrap_or(rest.len());
    if rest.get(blanks) != Some(&b':') || name.is_empty() {
        let unfinished = rest.len() == blanks && (blanks == 0 || !name.is_empty());
        return Err((if unfinished { Kind::Unterminated } else { Kind::BadHeaderLine }, at));
    }
    let short = u16::try_from(name_len).map_err(|_| (Kind::LineTooLong, at))?;
    Ok((HeaderId::of(name), short, at + name_len + blanks))
}

/// `start..end` of `buf` without white space at its ends; nearly always one blank in front.
#[inline(always)]
fn trimmed(buf: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    if let Some((b' ', value)) = buf.get(start..end).and_then(<[u8]>::split_first)
        && value.first().is_some_and(|&first| first > b' ')
        && value.last().is_some_and(|&last| last > b' ')
    {
        return (start + 1, end);
    }
    while start < end && buf.get(start).is_some_and(|&b| grammar::is_lws(b)) {
        start += 1;
    }
    while start < end && buf.get(end - 1).is_some_and(|&b| grammar::is_lws(b)) {
        end -= 1;
    }
    (start, end)
}

/// Where a line ends, behind its CRLF, and whether a NUL stands in it.
struct LineEnd {
    end: usize,
    nul: bool,
}

/// The end of the line round `at`. A CR or LF that stands alone is refused: others take it for a line end or for
/// nothing, and what two readers read differently can be smuggled past one.
#[inline(always)]
fn line_end(buf: &[u8], at: usize) -> Result<LineEnd, Defect> {
    let (mut at, mut nul) = (at, false);
    loop {
        let rest = buf.get(at..).unwrap_or_default();
        let low = low_octet(rest).ok_or((Kind::Unterminated, buf.len()))?;
        at += low;
        match rest.get(low..) {
            Some([b'\r', b'\n', ..]) => return Ok(LineEnd { end: at + 2, nul }),
            Some([b'\r']) => return Err((Kind::Unterminated, buf.len())),
            Some([b'\r' | b'\n', ..]) => return Err((Kind::BareLineEnd, at)),
            Some([0, ..]) => nul = true,
            _ => {}
        }
        at += 1;
    }
}

/// Whether every NUL of `value` is escaped in a quoted string, the one place where the grammar has it
/// (`quoted-pair`, RFC 3261 §25.1). Elsewhere a reader that ends strings there sees another message.
#[cold]
fn quotes_hold_nuls(value: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    value.iter().all(|&b| {
        let pair = std::mem::take(&mut escaped);
        match b {
            0 => return pair,
            b'\\' if quoted => escaped = !pair,
            b'"' if !pair => quoted = !quoted,
            _ => {}
        }
        true
    })
}

/// The end of the start line, where no NUL may stand.
fn whole_start_line(buf: &[u8]) -> Result<usize, Defect> {
    let LineEnd { end, nul } = line_end(buf, 0)?;
    if nul { Err((Kind::Nul, 0)) } else { Ok(end) }
}

/// Splits a request line. That the URI has no blank is for [`crate::validate`] to see, it looks at every octet.
fn start_line(line: &[u8]) -> Start {
    if let Some(word) = line.first_chunk::<4>()
        && word.eq_ignore_ascii_case(b"SIP/")
    {
        return status_line(line);
    }
    let method_len = line.iter().position(|&b| !grammar::is_token_byte(b)).unwrap_or(line.len());
    let method = Span::between(0, method_len);
    let broken = |kind| Start::Broken { method, kind };
    let rest = line.get(method_len..).unwrap_or_default();
    // The version has no case (RFC 3261 §7.1).
    let uri_len = match rest.split_last_chunk() {
        Some((uri, b" SIP/2.0")) => uri.len(),
        _ => {
            let Some(space) = memchr::memrchr(b' ', rest) else { return broken(Kind::BadStartLine) };
            let version = rest.get(space + 1..).unwrap_or_default();
            if !version.eq_ignore_ascii_case(b"SIP/2.0") {
                return broken(version_defect(version));
            }
            space
        }
    };
    if method_len == 0 || uri_len < 2 || rest.first() != Some(&b' ') {
        return broken(Kind::BadStartLine);
    }
    Start::Request { method, uri: Span::between(method_len + 1, method_len + uri_len) }
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
