//! How much of everything is read before a message is refused.

/// Limits of one message and of one connection's buffer. All are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the head: start line, header lines and the empty line.
    pub head: usize,
    /// Header lines, a folded one counted once.
    pub lines: usize,
    /// Octets of one header line with its folds, or of the start line.
    pub line_octets: usize,
    /// Via values of one message.
    pub vias: usize,
    /// Parameters of one value that is read (top Via, From, To, Contact of a REGISTER).
    pub params: usize,
    /// Octets of the body.
    pub body: usize,
    /// Octets a stream may hold unread: what is beyond is refused, however the peer cuts it.
    pub buffered: usize,
}

impl Limits {
    /// For what is no input any more.
    pub(crate) const NONE: Limits = Limits {
        head: usize::MAX,
        lines: usize::MAX,
        line_octets: usize::MAX,
        vias: usize::MAX,
        params: usize::MAX,
        body: usize::MAX,
        buffered: usize::MAX,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head: 64 * 1024,
            lines: 256,
            line_octets: 16 * 1024,
            vias: 70,
            params: 64,
            body: 8 * 1024 * 1024,
            buffered: 8 * 1024 * 1024 + 256 * 1024,
        }
    }
}
