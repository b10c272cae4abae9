//! Why a document is not read.

/// What is wrong with a document. No text of the document is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// More than [`super::Limits::octets`].
    #[error("the document has more than {0} octets")]
    TooLong(usize),
    /// More than [`super::Limits::depth`].
    #[error("its elements are nested more than {0} deep")]
    TooDeep(usize),
    /// More than [`super::Limits::elements`].
    #[error("it has more than {0} elements")]
    TooMany(usize),
    /// More than [`super::Limits::attributes`].
    #[error("an element has more than {0} attributes")]
    TooWide(usize),
    /// Another encoding than UTF-8 or UTF-16, or octets that are not what the encoding says.
    #[error("it is neither UTF-8 nor UTF-16")]
    Encoding,
    /// A document type declaration: none is read (CPI.md §3.1).
    #[error("it has a document type declaration")]
    Dtd,
    /// An entity other than the five of XML and characters by number.
    #[error("it uses an entity that it can't have declared (octet {0})")]
    Entity(usize),
    /// A prefix that stands for no namespace, or a declaration that namespaces forbid.
    #[error("its namespaces are wrong (octet {0})")]
    Namespace(usize),
    /// It is not well-formed XML.
    #[error("it is not XML (octet {0})")]
    Malformed(usize),
    /// It is XML, but its root is another one.
    #[error("its root element is not <{0}>")]
    Root(&'static str),
    /// Something that its format asks for is not there, or is not what it must be.
    #[error("{0}")]
    Content(&'static str),
    /// Something that is understood, but not done.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl DocumentError {
    /// Whether less of it would have been read.
    pub fn is_size(&self) -> bool {
        matches!(self, Self::TooLong(_) | Self::TooDeep(_) | Self::TooMany(_) | Self::TooWide(_))
    }
}
