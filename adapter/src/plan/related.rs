//! multipart/related whose root shows the other parts (RFC 2387, CPI.md §3.5).

use super::protect::Guarding;
use crate::mime::{Shape, TransferEncoding, Tree};
use crate::rebuild::layout::{Doc, Reference};

/// A container with a root whose references can be followed.
#[derive(Clone, Debug)]
pub(crate) struct Related {
    /// The multipart/related.
    pub(crate) container: usize,
    /// Its root.
    pub(crate) root: usize,
    /// What the root is.
    pub(crate) doc: Doc,
    /// Which part each reference of the root names; references that name none are left out.
    pub(crate) references: Vec<(usize, Reference)>,
    /// Whether the container goes and the root alone stays, with URLs (set when the terminal does not take it).
    pub(crate) collapses: bool,
}

impl Related {
    /// All of them in a tree.
    pub(crate) fn all(tree: &Tree) -> Vec<Related> {
        tree.nodes().filter_map(|(id, _)| Related::of(tree, id)).collect()
    }

    fn of(tree: &Tree, id: usize) -> Option<Related> {
        let root = root(tree, id)?;
        let node = tree.node(root)?;
        let doc = Doc::of(&node.content_type)?;
        // A presence document goes out as it is carried, but for its links.
        let rewritable = Guarding::of(node) == Guarding::Free
            || (doc == Doc::Presence
                && !node.cache_control("no-transform")
                && node.transfer_encoding() == TransferEncoding::Identity
                && node.content_encoding().is_none());
        if !rewritable || !matches!(node.shape, Shape::Leaf) {
            return None;
        }
        let text = tree.content(root)?;
        let others = || tree.children(id).filter(|&child| child != root);
        let named = |reference: Reference| {
            let child = others().find(|&child| tree.node(child).is_some_and(|node| reference.names(node)))?;
            Some((child, reference))
        };
        let references = doc.references(&text).into_iter().filter_map(named).collect();
        Some(Related { container: id, root, doc, references, collapses: false })
    }

    /// The references to one part.
    pub(crate) fn to(&self, child: usize) -> impl Iterator<Item = &Reference> {
        self.references.iter().filter(move |(node, _)| *node == child).map(|(_, reference)| reference)
    }

    /// Whether every other part is named by the root, so that nothing is lost when only the root stays.
    pub(crate) fn names_all(&self, tree: &Tree) -> bool {
        tree.children(self.container).all(|child| child == self.root || self.to(child).next().is_some())
    }
}

/// The root of a multipart/related: the part `start` names, else the first (RFC 2387 §3.2).
pub(crate) fn root(tree: &Tree, container: usize) -> Option<usize> {
    let node = tree.node(container)?;
    if !node.content_type.is("multipart/related") || !matches!(node.shape, Shape::Multipart { .. }) {
        return None;
    }
    let start = node.content_type.param("start").map(|id| id.trim().trim_matches(['<', '>']).to_owned());
    let is_start =
        |&child: &usize| start.is_some() && tree.node(child).and_then(crate::mime::Node::content_id) == start;
    tree.children(container).find(is_start).or_else(|| tree.children(container).next())
}
