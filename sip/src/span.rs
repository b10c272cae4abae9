//! A piece of a message by position, so that what was found once needs no search and no borrow.

/// `len` octets from `at` of the buffer it was made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    at: u32,
    len: u32,
}

impl Span {
    pub(crate) const EMPTY: Span = Span { at: 0, len: 0 };

    pub(crate) const fn new(at: u32, len: u32) -> Self {
        Span { at, len }
    }

    /// The last `len` octets of it, at most all.
    pub(crate) fn last(self, len: usize) -> Self {
        let len = u32::try_from(len).map_or(self.len, |len| len.min(self.len));
        Span { at: self.at + (self.len - len), len }
    }

    /// From `start` to `end`; empty if they are out of order or beyond 32 bits.
    pub(crate) fn between(start: usize, end: usize) -> Self {
        match (u32::try_from(start), u32::try_from(end.saturating_sub(start))) {
            (Ok(at), Ok(len)) => Span { at, len },
            _ => Span::default(),
        }
    }

    /// Where `part`, a piece of `whole`, stands in it. Empty if it is no piece of it.
    pub(crate) fn of(whole: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        match start.checked_add(part.len()) {
            Some(end) if end <= whole.len() => Span::between(start, end),
            _ => Span::default(),
        }
    }

    pub(crate) fn in_buf(self, buf: &[u8]) -> &[u8] {
        buf.get(self.start()..self.end()).unwrap_or_default()
    }

    pub(crate) const fn start(self) -> usize {
        self.at as usize
    }

    pub(crate) const fn end(self) -> usize {
        self.at as usize + self.len as usize
    }
}
