//! How much of a document is read.

/// What a document may have at most. What is over is refused whole, never cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the document.
    pub octets: usize,
    /// Elements inside one another; more than [`Limits::DEEPEST`] is never read.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Attributes of one element, namespace declarations among them.
    pub attributes: usize,
}

impl Limits {
    /// The depth that no setting exceeds: trees are walked by recursion.
    pub const DEEPEST: usize = 64;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { octets: 256 * 1024, depth: 32, elements: 8192, attributes: 64 }
    }
}
