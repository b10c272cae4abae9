//! Documents that show other parts: the root of a multipart/related (RFC 2387, CPI.md §3.5), and a presence document
//! wherever it stands (CPI.md §5).

use super::protect::Guarding;
use crate::mime::{Shape, TransferEncoding, Tree};
use crate::rebuild::layout::{Doc, Reference};

/// A container with a document whose references can be followed.
#[derive(Clone, Debug)]
pub(crate) struct Related {
    /// The multipart/related, or the container that a presence document stands in otherwise.
    pub(crate) container: usize,
    /// Its root: the document.
    pub(crate) root: usize,
    /// What that is.
    pub(crate) doc: Doc,
    /// Which parts each reference of it names; references that name none are left out.
    pub(crate) references: Vec<(usize, Reference)>,
    /// Whether the container goes and the root alone stays, with URLs (set when the terminal does not take it).
    pub(crate) collapses: bool,
}

impl Related {
    /// All of them in a tree.
    pub(crate) fn all(tree: &Tree) -> Vec<Related> {
        tree.nodes().filter_map(|(id, _)| Related::of(tree, id)).collect()
    }

    /// The document `root`, if it is one that shows other parts.
    fn of(tree: &Tree, root: usize) -> Option<Related> {
        let node = tree.node(root)?;
        let (doc, id) = (Doc::of(&node.content_type)?, node.parent?);
        // What else knows related parts was written for multipart/related alone.
        if doc != Doc::Presence && self::root(tree, id) != Some(root) {
            return None;
        }
        // A presence document goes out as it is carried, but for its links.
        let rewritable = Guarding::of(node) == Guarding::Free
            || (doc == Doc::Presence
                && !node.cache_control("no-transform")
                && node.transfer_encoding() == TransferEncoding::Identity
                && node.content_encoding().is_none());
        if !rewritable || !matches!(node.shape, Shape::Leaf) {
            return None;
        }
        let text = tree.content(root).filter(|text| Doc::is_plain(text))?;
        let references = doc
            .references(&text)
            .into_iter()
            .flat_map(|reference| {
                let parts = named(tree, id, root, &reference);
                parts.into_iter().map(move |part| (part, reference.clone()))
            })
            .collect();
        Some(Related { container: id, root, doc, references, collapses: false })
    }

    /// The references to one part.
    pub(crate) fn to(&self, child: usize) -> impl Iterator<Item = &Reference> {
        self.references.iter().filter(move |(node, _)| *node == child).map(|(_, reference)| reference)
    }

    /// Whether a reference of the document names that part.
    pub(crate) fn names(&self, reference: &Reference, part: usize) -> bool {
        self.to(part).any(|known| known.target == reference.target)
    }
}

/// The parts a reference names: one beside the document, else the nearest one in the message (CPI.md §5). Of
/// alternatives that have the name, or stand in a container that has it, all: the terminal is given one of them.
fn named(tree: &Tree, container: usize, root: usize, reference: &Reference) -> Vec<usize> {
    let node_of = |id: usize| tree.node(id).filter(|_| id != root);
    let beside = tree.children(container).find(|&id| node_of(id).is_some_and(|node| reference.names(node)));
    let below = |holder: usize| {
        let has_it =
            |id: &usize| *id != holder && node_of(*id).is_some_and(|node| reference.names_by_id(node));
        tree.below(holder).into_iter().find(has_it)
    };
    let holders =
        std::iter::successors(Some(container), |&holder| tree.node(holder).and_then(|node| node.parent));
    let Some(found) = beside.or_else(|| holders.into_iter().find_map(below)) else { return Vec::new() };
    let is_choice =
        |id: usize| tree.node(id).is_some_and(|node| node.content_type.is("multipart/alternative"));
    if is_choice(found) {
        return tree.children(found).collect();
    }
    match tree.node(found).and_then(|node| node.parent).filter(|&parent| is_choice(parent)) {
        Some(parent) => {
            let has_it = |id: &usize| node_of(*id).is_some_and(|node| reference.names(node));
            tree.children(parent).filter(has_it).collect()
        }
        None => vec![found],
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
