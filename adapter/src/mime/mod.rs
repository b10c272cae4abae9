//! The MIME tree of a body (RFC 2045, RFC 2046): bounded, with byte-exact leaves.
//!
//! Reading never fails. A multipart that is too deep, has too many parts or too long a part header, or has
//! no boundary, is a leaf that nobody looks into (CPI.md §3.1 step 2). Nodes are ranges into the body, found breadth
//! first without recursion; each octet is looked at once per level, of which there are at most eight.

mod content_type;
mod date;
mod describe;
mod encoding;
mod external;
mod objlink;
mod split;

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

pub use content_type::ContentType;
pub use date::{DateRead, rfc1123};
pub use describe::{Described, describe};
pub use encoding::TransferEncoding;
pub use external::External;
pub use objlink::{ObjLink, objlinks};
pub(crate) use objlink::{ObjectLink, object_links};

use crate::entity::{Entity, Field};
use crate::settings::Guards;

/// A body as a tree. Node 0 is the body as a whole, its fields are those of the message's head.
#[derive(Clone, Debug)]
pub struct Tree {
    body: Bytes,
    nodes: Vec<Node>,
    diags: Vec<String>,
}

/// One node: the body, or a part of a multipart.
#[derive(Clone, Debug)]
pub struct Node {
    /// The multipart it stands in.
    pub parent: Option<usize>,
    /// Its parts.
    pub children: Range<usize>,
    /// Its header fields. Names as written, values with their folds.
    pub fields: Vec<Field>,
    /// Where its header stands in the body, the empty line included; empty for the root.
    pub header: Range<usize>,
    /// Where its own body stands.
    pub body: Range<usize>,
    /// Its Content-Type, or the default of its container.
    pub content_type: ContentType,
    /// What it is.
    pub shape: Shape,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Octets.
    Leaf,
    /// A container with [`Node::children`].
    Multipart {
        /// Its boundary.
        boundary: Bytes,
        /// What stands before the first delimiter.
        preamble: Range<usize>,
        /// What stands after the closing delimiter.
        epilogue: Range<usize>,
    },
    /// `message/external-body` (RFC 2046 §5.2.3).
    External(Box<External>),
    /// A multipart that was not looked into.
    Opaque,
}

impl Tree {
    /// Reads `entity` within `guards`.
    pub fn read(entity: &Entity, guards: &Guards) -> Tree {
        let root =
            Node::new(None, entity.fields.clone(), 0..0, 0..entity.body.len(), "application/octet-stream");
        let mut tree = Tree { body: entity.body.clone(), nodes: vec![root], diags: Vec::new() };
        let mut waiting = VecDeque::from([(0, 1)]);
        while let Some((id, depth)) = waiting.pop_front() {
            tree.open(id, depth, guards);
            waiting.extend(tree.children(id).map(|child| (child, depth + 1)));
        }
        tree
    }

    /// All nodes, containers before their parts.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (usize, &Node)> {
        self.nodes.iter().enumerate()
    }

    /// The root. It is always there.
    pub fn root(&self) -> Option<&Node> {
        self.nodes.first()
    }

    /// One node.
    pub fn node(&self, id: usize) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// The ids of a node's parts.
    pub fn children(&self, id: usize) -> Range<usize> {
        self.node(id).map_or(0..0, |node| node.children.clone())
    }

    /// Octets of the body.
    pub fn slice(&self, range: Range<usize>) -> Bytes {
        if range.start <= range.end && range.end <= self.body.len() {
            self.body.slice(range)
        } else {
            Bytes::new()
        }
    }

    /// A node's body as carried.
    pub fn carried(&self, id: usize) -> Bytes {
        self.node(id).map(|node| self.slice(node.body.clone())).unwrap_or_default()
    }

    /// A node's body with the transfer encoding taken off; `None` if that is unknown or the octets are not in it.
    pub fn content(&self, id: usize) -> Option<Bytes> {
        self.node(id)?.transfer_encoding().decode(&self.carried(id))
    }

    /// The defects that were forgiven, by their names in CPI.md D4.
    pub fn diags(&self) -> &[String] {
        &self.diags
    }

    /// A node's place: `1` the root, `1.2` its second part.
    pub fn path(&self, id: usize) -> String {
        let mut steps = Vec::new();
        let mut at = id;
        while let Some(parent) = self.node(at).and_then(|node| node.parent) {
            steps.push(at.saturating_sub(self.children(parent).start) + 1);
            at = parent;
        }
        steps.push(1);
        let words: Vec<String> = steps.iter().rev().map(ToString::to_string).collect();
        words.join(".")
    }

    /// The ids of a node and all below it, a container before its parts.
    pub fn below(&self, id: usize) -> Vec<usize> {
        let mut all = vec![id];
        let mut next = 0;
        while let Some(&at) = all.get(next) {
            all.extend(self.children(at));
            next += 1;
        }
        all
    }

    fn open(&mut self, id: usize, depth: usize, guards: &Guards) {
        let Some(node) = self.nodes.get(id) else { return };
        if node.content_type.is("message/external-body") {
            let read = External::read(node, &self.slice(node.body.clone()));
            if let Some((external, diags)) = read {
                self.diags.extend(diags);
                self.set_shape(id, Shape::External(Box::new(external)));
            }
        } else if node.content_type.is_kind("multipart") {
            let shape = if depth > guards.depth { None } else { self.open_multipart(id, guards) };
            self.set_shape(id, shape.unwrap_or(Shape::Opaque));
        }
    }

    fn open_multipart(&mut self, id: usize, guards: &Guards) -> Option<Shape> {
        let node = self.nodes.get(id)?;
        if node.transfer_encoding() != TransferEncoding::Identity || node.content_encoding().is_some() {
            return None;
        }
        let boundary = node.content_type.boundary()?;
        let default = if node.content_type.is("multipart/digest") { "message/rfc822" } else { "text/plain" };
        let room = (guards.parts + 1).checked_sub(self.nodes.len())?;
        let found = split::split(&self.body, node.body.clone(), &boundary, room)?;
        let mut parts = Vec::with_capacity(found.parts.len());
        for part in found.parts {
            let header = split::header(&self.body, part.clone(), guards.part_header)?;
            let fields = self.fields(header.clone());
            parts.push(Node::new(Some(id), fields, header.clone(), header.end..part.end, default));
        }
        if !found.closed {
            self.diags.push("no-close-delimiter".into());
        }
        let first = self.nodes.len();
        self.nodes.extend(parts);
        let last = self.nodes.len();
        self.nodes.get_mut(id)?.children = first..last;
        Some(Shape::Multipart { boundary, preamble: found.preamble, epilogue: found.epilogue })
    }

    fn fields(&self, header: Range<usize>) -> Vec<Field> {
        let block = self.slice(header);
        grammar::fields(&block)
            .map(|field| Field::new(block.slice_ref(field.name), block.slice_ref(field.value)))
            .collect()
    }

    fn set_shape(&mut self, id: usize, shape: Shape) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.shape = shape;
        }
    }
}

impl Node {
    fn new(
        parent: Option<usize>,
        fields: Vec<Field>,
        header: Range<usize>,
        body: Range<usize>,
        default: &str,
    ) -> Node {
        let written = fields.iter().find(|field| field.is("content-type"));
        let content_type = written.map_or_else(|| ContentType::new(default), |f| ContentType::read(&f.value));
        Node { parent, children: 0..0, fields, header, body, content_type, shape: Shape::Leaf }
    }

    /// The value of its first field of that name.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|field| field.is(name)).map(|field| &*field.value)
    }

    /// The same as text, folds taken away.
    pub fn text(&self, name: &str) -> Option<String> {
        self.field(name).map(|value| String::from_utf8_lossy(&grammar::unfold(value)).into_owned())
    }

    /// Its Content-Transfer-Encoding.
    pub fn transfer_encoding(&self) -> TransferEncoding {
        self.field("content-transfer-encoding").map_or(TransferEncoding::Identity, TransferEncoding::read)
    }

    /// Its Content-Encoding, `None` for identity.
    pub fn content_encoding(&self) -> Option<String> {
        let value = self.text("content-encoding")?;
        (!value.is_empty() && !value.eq_ignore_ascii_case("identity")).then(|| value.to_ascii_lowercase())
    }

    /// Its Content-ID without white space and angle brackets.
    pub fn content_id(&self) -> Option<String> {
        let value = self.text("content-id")?;
        let bare = value.trim().trim_start_matches('<').trim_end_matches('>').to_owned();
        (!bare.is_empty()).then_some(bare)
    }

    /// Its disposition type, lower-case.
    pub fn disposition(&self) -> Option<String> {
        let value = self.text("content-disposition")?;
        let name = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        (!name.is_empty()).then_some(name)
    }

    /// A parameter of its disposition.
    pub fn disposition_param(&self, name: &str) -> Option<String> {
        let value = self.field("content-disposition")?;
        let found = grammar::params(value).find_name(name.as_bytes())?.value?;
        Some(String::from_utf8_lossy(&found.text()).into_owned())
    }

    /// Whether it may be dropped: `handling=optional` (RFC 3261 §20.11; required is the default).
    pub fn is_optional(&self) -> bool {
        self.disposition_param("handling").is_some_and(|value| value.eq_ignore_ascii_case("optional"))
    }

    /// Whether its Cache-Control has that directive.
    pub fn cache_control(&self, directive: &str) -> bool {
        self.fields
            .iter()
            .filter(|field| field.is("cache-control"))
            .flat_map(|field| grammar::split_commas(&field.value))
            .any(|element| element.eq_ignore_ascii_case(directive.as_bytes()))
    }
}

#[cfg(test)]
mod tests;
