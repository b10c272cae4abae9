//! Header blocks: `Name: value` lines with folding, as in a MIME part or an HTTP head.
//!
//! SIP heads have their own scanner in `sip`, which also enforces limits and keeps an index.

use std::borrow::Cow;

/// One header field of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as written, without white space before the colon.
    pub name: &'a [u8],
    /// The value, outer white space taken away, folds still in place (see [`unfold`]).
    pub value: &'a [u8],
    /// The whole field with its folds and its line end.
    pub raw: &'a [u8],
}

impl Field<'_> {
    /// Whether this is the field `name`; names have no case.
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The fields of `block`, up to its end or its first empty line. Lines end with CRLF or with a bare LF;
/// a line with no colon is skipped.
pub fn fields(block: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = block;
    std::iter::from_fn(move || {
        loop {
            let raw = field(rest)?;
            rest = rest.get(raw.len()..)?;
            if let Some((name, value)) = crate::split_once(raw, |b| b == b':') {
                return Some(Field { name: crate::trim(name), value: crate::trim(value), raw });
            }
        }
    })
}

/// The field at the start of `text`: its line and all lines that begin with white space.
fn field(text: &[u8]) -> Option<&[u8]> {
    let first = line(text)?;
    if matches!(first, b"\n" | b"\r\n" | b"") {
        return None;
    }
    let mut end = first.len();
    while let Some(next) = text.get(end..).and_then(line) {
        let folded = matches!(next.first(), Some(b' ' | b'\t')) && !crate::trim(next).is_empty();
        if !folded {
            break;
        }
        end += next.len();
    }
    text.get(..end)
}

fn line(text: &[u8]) -> Option<&[u8]> {
    if text.is_empty() {
        return None;
    }
    let end = memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1);
    text.get(..end)
}

/// `value` with each fold (line end and the white space round it) turned into one space
/// (RFC 3261 §7.3.1).
///
/// ```
/// assert_eq!(&*grammar::unfold(b"a;\r\n   b=1"), b"a; b=1");
/// ```
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return value.into();
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'\r' | b'\n')) {
        let (before, after) = rest.split_at(at);
        out.extend_from_slice(before);
        while out.last().is_some_and(|b| matches!(b, b' ' | b'\t')) {
            out.pop();
        }
        let next = after.iter().position(|&b| !crate::is_lws(b)).unwrap_or(after.len());
        rest = after.get(next..).unwrap_or_default();
        if !rest.is_empty() && !out.is_empty() {
            out.push(b' ');
        }
    }
    out.extend_from_slice(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_fields_are_one_and_the_empty_line_ends_the_block() {
        let all: Vec<_> = fields(b"A: 1\r\n  2\r\nB :3\nnoise\r\n\r\nC: 4").collect();
        assert_eq!(all.len(), 2);
        assert!(all[0].is(b"a"));
        assert_eq!(&*unfold(all[0].value), b"1 2");
        assert_eq!((all[1].name, all[1].value), (&b"B"[..], &b"3"[..]));
    }

    #[test]
    fn raw_fields_add_up_to_the_block() {
        let block = b"A: 1\r\n\t2\r\nB: 3\r\n";
        let whole: Vec<u8> = fields(block).flat_map(|f| f.raw.to_vec()).collect();
        assert_eq!(whole, block);
    }
}
