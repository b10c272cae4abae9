//! Partial notification (RFC 5262, RFC 5263): the whole state once, then what changed.
//!
//! A watcher holds what it was sent last. [`full`] is that state whole; [`diff`] is what makes the next one of it. Both
//! leave out what only a reader of the text sees (white space between elements, comments), so that every selector
//! finds the same in the watcher's copy as in ours.

mod apply;
mod diff;
mod select;

use bytes::Bytes;

use super::error::DocumentError;
use super::limits::Limits;
use super::namespace::{PIDF, PIDF_DIFF};
use super::tree::Element;
use super::{Document, reader, writer};

/// The media type of both.
pub const MEDIA_TYPE: &str = "application/pidf-diff+xml";

/// The whole state as a `pidf-full`.
pub fn full(document: &Document, version: u32) -> Bytes {
    let mut root = document.root.condensed();
    root.name = diff::name(&root, "pidf-full");
    diff::declare(&mut root);
    root.set_attribute("version", &version.to_string());
    writer::document(&root, PIDF).into()
}

/// What makes `new` of `old`, as a `pidf-diff`. `None` where the whole state would be no longer, or where no selector
/// says what is meant: then [`full`] is what to send.
pub fn diff(old: &Document, new: &Document, version: u32) -> Option<Bytes> {
    let root = diff::patch(&old.root.condensed(), &new.root.condensed(), version)?;
    let written = writer::document(&root, PIDF);
    (written.len() < full(new, version).len()).then(|| written.into())
}

/// What a partial notification holds.
#[derive(Clone, Debug)]
pub enum Partial {
    /// The whole state.
    Full {
        /// Its number.
        version: u32,
        /// The state.
        document: Document,
    },
    /// What changed since the state before.
    Diff {
        /// Its number, one more than that of the state it changes.
        version: u32,
        /// The changes.
        patch: Patch,
    },
}

/// Changes of a document, in order.
#[derive(Clone, Debug)]
pub struct Patch(Element);

impl Partial {
    /// Reads a `pidf-full` or a `pidf-diff`.
    ///
    /// # Errors
    /// [`DocumentError`], also when it has no version.
    pub fn read(octets: &[u8], limits: &Limits) -> Result<Partial, DocumentError> {
        let mut root = reader::read(octets, limits)?.root;
        let version = root.attribute("version").and_then(|version| version.trim().parse().ok());
        let version = version.ok_or(DocumentError::Content("a partial notification has a version"))?;
        if root.name.is(PIDF_DIFF, "pidf-diff") {
            return Ok(Partial::Diff { version, patch: Patch(root) });
        }
        if !root.name.is(PIDF_DIFF, "pidf-full") {
            return Err(DocumentError::Root("pidf-full or pidf-diff"));
        }
        root.attributes.retain(|attribute| !attribute.name.is("", "version"));
        root.name = super::tree::Name::plain(PIDF, "presence");
        root.declared.retain(|(prefix, uri)| !prefix.is_empty() || &**uri == PIDF);
        Ok(Partial::Full { version, document: Document::of(root) })
    }
}

impl Document {
    /// Makes the changes. After an error the document is as it was.
    ///
    /// # Errors
    /// [`DocumentError::Content`] when a selector finds nothing, or more than one; [`DocumentError::Unsupported`] for
    /// selectors beyond names, positions and attributes.
    pub fn apply(&mut self, patch: &Patch) -> Result<(), DocumentError> {
        let mut root = self.root.condensed();
        apply::apply(&mut root, &patch.0)?;
        *self.changed() = root;
        Ok(())
    }
}
