//! Delimiters (RFC 2046 §5.1.1) and part headers.

use std::ops::Range;

/// Where the parts of a multipart stand.
pub(super) struct Found {
    /// Each part with its header.
    pub(super) parts: Vec<Range<usize>>,
    /// Before the first delimiter.
    pub(super) preamble: Range<usize>,
    /// After the closing delimiter's line.
    pub(super) epilogue: Range<usize>,
    /// Whether there is a closing delimiter.
    pub(super) closed: bool,
}

/// The parts between the delimiters in `within`. `None`: there is no delimiter, or more than `room` parts.
pub(super) fn split(body: &[u8], within: Range<usize>, boundary: &[u8], room: usize) -> Option<Found> {
    let needle = [b"--", boundary].concat();
    let text = body.get(within.clone())?;
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut preamble = None;
    let mut open: Option<usize> = None;
    for at in memchr::memmem::find_iter(text, &needle) {
        let Some(line) = delimiter(text, at, needle.len()) else { continue };
        if at < open.unwrap_or(0) {
            continue;
        }
        let end = before_line_end(text, at);
        match open.take() {
            Some(start) => parts.push(start..end.max(start)),
            None => preamble = Some(0..end),
        }
        if parts.len() > room {
            return None;
        }
        if line.closing {
            return Some(found(&within, parts, preamble?, line.end..text.len(), true));
        }
        open = Some(line.end);
    }
    let start = open?;
    // A last delimiter with nothing after it closes, for all that its two hyphens are missing.
    if !grammar::trim(text.get(start..)?).is_empty() || parts.is_empty() {
        parts.push(start..text.len());
    }
    (parts.len() <= room)
        .then(|| found(&within, parts, preamble.unwrap_or(0..0), text.len()..text.len(), false))
}

fn found(
    within: &Range<usize>,
    parts: Vec<Range<usize>>,
    preamble: Range<usize>,
    epilogue: Range<usize>,
    closed: bool,
) -> Found {
    let shift = |range: Range<usize>| range.start + within.start..range.end + within.start;
    Found {
        parts: parts.into_iter().map(shift).collect(),
        preamble: shift(preamble),
        epilogue: shift(epilogue),
        closed,
    }
}

struct Line {
    end: usize,
    closing: bool,
}

/// Whether the boundary found at `at` is a delimiter line: at a line's start, nothing but white space after it.
fn delimiter(text: &[u8], at: usize, length: usize) -> Option<Line> {
    if at > 0 && text.get(at - 1) != Some(&b'\n') {
        return None;
    }
    let mut rest = text.get(at + length..)?;
    let closing = rest.starts_with(b"--");
    if closing {
        rest = rest.get(2..)?;
    }
    let padding = rest.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(rest.len());
    let line_end = match rest.get(padding..)? {
        [] => 0,
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        _ => return None,
    };
    let after = text.len() - rest.len() + padding;
    Some(Line { end: after + line_end, closing })
}

/// The line end before a delimiter belongs to the delimiter.
fn before_line_end(text: &[u8], at: usize) -> usize {
    let Some(before) = text.get(..at) else { return at };
    match before {
        [.., b'\r', b'\n'] => at - 2,
        [.., b'\n'] => at - 1,
        _ => at,
    }
}

/// The header of a part: up to and with its first empty line. A part that begins with no field has none.
/// `None`: longer than `limit`.
pub(super) fn header(body: &[u8], part: Range<usize>, limit: usize) -> Option<Range<usize>> {
    let text = body.get(part.clone())?;
    let mut at = 0;
    loop {
        if at > limit {
            return None;
        }
        let rest = text.get(at..)?;
        let window = rest.get(..limit + 2).unwrap_or(rest);
        let Some(length) = memchr::memchr(b'\n', window).map(|end| end + 1) else {
            let is_field = rest.len() <= limit && (at > 0 || rest.contains(&b':'));
            let too_long = rest.len() > window.len();
            return match (too_long, is_field) {
                (true, _) => None,
                (false, true) => Some(part),
                (false, false) => Some(part.start..part.start + at),
            };
        };
        let line = rest.get(..length)?;
        if matches!(line, b"\n" | b"\r\n") {
            return Some(part.start..part.start + at + length);
        }
        if at == 0 && !line.contains(&b':') {
            return Some(part.start..part.start);
        }
        at += length;
    }
}
