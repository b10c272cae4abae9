//! Containers (RFC 2046 §5.1): joined again, or gone because one part is all that is left.

use bytes::Bytes;

use super::fields::set;
use super::{Assembly, Piece};
use crate::mime::{ContentType, Node, Shape};

impl Assembly<'_> {
    /// A container of these pieces; `before` parts were in it.
    pub(super) fn container(
        &self,
        id: usize,
        boundary: &Bytes,
        mut pieces: Vec<Piece>,
        before: usize,
    ) -> Option<Piece> {
        let node = self.ctx.tree.node(id)?;
        let relabelled = self.new_type(node);
        let all_there = pieces.len() == before;
        if all_there
            && relabelled.is_none()
            && !self.is_trimmed(node)
            && pieces.iter().all(Piece::is_untouched)
        {
            return Some(Piece {
                untouched: Some(node.header.start..node.body.end),
                fields: node.fields.clone(),
                body: self.ctx.tree.slice(node.body.clone()),
                ops: Vec::new(),
                instead_of: None,
                is_container: true,
                is_guarded: false,
            });
        }
        let mut ops: Vec<&'static str> = pieces.iter().flat_map(|piece| piece.ops.iter().copied()).collect();
        ops.extend(self.ops_of_absent(id));
        if relabelled.is_some() {
            ops.push("layout");
        }
        if !all_there && pieces.len() == 1 {
            let only = pieces.pop()?;
            if !self.is_shown_from_elsewhere(&only, id) {
                return Some(alone(only, node, ops));
            }
            pieces.push(only);
        }
        if pieces.is_empty() {
            return None;
        }
        Some(self.joined(node, boundary, pieces, relabelled, ops))
    }

    /// Whether something before or after its parts has to go.
    fn is_trimmed(&self, node: &Node) -> bool {
        let Shape::Multipart { preamble, epilogue, .. } = &node.shape else { return false };
        self.tight && !(preamble.is_empty() && epilogue.is_empty())
    }

    /// multipart/related for a terminal that takes only multipart/mixed.
    fn new_type(&self, node: &Node) -> Option<ContentType> {
        if self.ctx.takes_container(&node.content_type) {
            return None;
        }
        let mut mixed = ContentType::new("multipart/mixed");
        mixed.params =
            node.content_type.params.iter().filter(|(name, _)| name == "boundary").cloned().collect();
        Some(mixed)
    }

    /// What was done to the parts that left no piece.
    fn ops_of_absent(&self, id: usize) -> Vec<&'static str> {
        let below = self.ctx.tree.below(id);
        let mut ops = Vec::new();
        for (unit, pick) in self.units.iter().zip(self.picks).filter(|(unit, _)| below.contains(&unit.node)) {
            match pick.and_then(|pick| unit.variants.get(pick)) {
                None => ops.push("select"),
                Some(variant) if matches!(variant.action.number(), 6 | 8) => ops.extend(&variant.ops),
                Some(_) => {}
            }
        }
        ops
    }

    /// Whether a part elsewhere in the message names the only part that is left by its Content-ID: then its
    /// container stays.
    fn is_shown_from_elsewhere(&self, only: &Piece, container: usize) -> bool {
        let nodes = self.ctx.tree.nodes();
        let same: Vec<usize> = nodes
            .filter(|(id, node)| *id == container || node.fields == only.fields)
            .map(|(id, _)| id)
            .collect();
        let mut others = self.ctx.related.iter().filter(|related| related.container != container);
        others.any(|related| same.iter().any(|id| related.shows(*id)))
    }

    fn joined(
        &self,
        node: &Node,
        boundary: &Bytes,
        pieces: Vec<Piece>,
        relabelled: Option<ContentType>,
        ops: Vec<&'static str>,
    ) -> Piece {
        let mut fields = node.fields.clone();
        let free = self.free_boundary(boundary, &pieces);
        let mut content_type = relabelled.clone().unwrap_or_else(|| node.content_type.clone());
        if relabelled.is_some() || free != *boundary {
            let text = String::from_utf8_lossy(&free).into_owned();
            for (_, value) in content_type.params.iter_mut().filter(|(name, _)| name == "boundary") {
                value.clone_from(&text);
            }
            set(&mut fields, "Content-Type", content_type.to_string());
        }
        fields.retain(|field| !field.is("content-md5") && !field.is("content-length"));
        let mut body: Vec<u8> = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            body.extend_from_slice(if at == 0 { b"--" } else { b"\r\n--" });
            body.extend_from_slice(&free);
            body.extend_from_slice(b"\r\n");
            self.write(piece, &mut body);
        }
        body.extend_from_slice(b"\r\n--");
        body.extend_from_slice(&free);
        body.extend_from_slice(b"--\r\n");
        Piece {
            untouched: None,
            fields,
            body: body.into(),
            ops,
            instead_of: None,
            is_container: true,
            is_guarded: false,
        }
    }

    fn write(&self, piece: &Piece, out: &mut Vec<u8>) {
        if let Some(range) = &piece.untouched {
            out.extend_from_slice(&self.ctx.tree.slice(range.clone()));
            return;
        }
        for field in &piece.fields {
            out.extend_from_slice(&field.name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(&field.value);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&piece.body);
    }

    /// The old boundary, unless a new body happens to hold it; then the first of a series that no body holds.
    fn free_boundary(&self, old: &Bytes, pieces: &[Piece]) -> Bytes {
        let is_in = |boundary: &[u8], piece: &Piece| {
            let needle = [b"--", boundary].concat();
            memchr::memmem::find(&piece.body, &needle).is_some()
        };
        if !pieces.iter().filter(|piece| !piece.is_untouched()).any(|piece| is_in(old, piece)) {
            return old.clone();
        }
        (0u32..4096)
            .map(|number| Bytes::from(format!("bespoke-{number}")))
            .find(|candidate| !pieces.iter().any(|piece| is_in(candidate, piece)))
            .unwrap_or_else(|| old.clone())
    }
}

/// The only part that is left, in its container's place. It keeps its own description, and takes its container's where
/// it has none.
fn alone(only: Piece, container: &Node, ops: Vec<&'static str>) -> Piece {
    let mut fields = only.fields;
    for name in
        ["content-id", "content-disposition", "content-description", "content-language", "content-adapted"]
    {
        let own = fields.iter().any(|field| field.is(name));
        fields.extend(container.fields.iter().filter(|field| !own && field.is(name)).cloned());
    }
    Piece {
        untouched: None,
        fields,
        instead_of: Some(container.content_type.clone()),
        body: only.body,
        ops,
        is_container: only.is_container,
        is_guarded: only.is_guarded,
    }
}
