//! The tree in the form of `tests/data/messages/INDEX.json`, for `bespoke cpi`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::objlink::{ObjLink, objlinks};
use super::{External, Node, Shape, Tree};
use crate::entity::Entity;
use crate::image;
use crate::settings::Guards;

/// What INDEX.json says of a message's body: the top-level keys `content-adapted`, `mime`, and MIME's share of `diag`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Described {
    /// Content-Adapted of the head, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_adapted: Option<String>,
    /// The tree; `None` without a body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime: Option<DescribedNode>,
    /// The defects that were forgiven.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diag: Vec<String>,
}

/// One node in INDEX.json's form.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DescribedNode {
    /// Its media type.
    pub r#type: String,
    /// Octets of its body as carried.
    pub octets: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Vec<DescribedNode>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_transfer_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pix: Option<[u32; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external: Option<External>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    objlinks: Vec<ObjLink>,
}

/// Describes an entity.
pub fn describe(entity: &Entity, guards: &Guards) -> Described {
    let adapted = entity.field("content-adapted");
    let content_adapted = adapted.map(|value| String::from_utf8_lossy(&grammar::unfold(value)).into_owned());
    if entity.body.is_empty() {
        return Described { content_adapted, ..Described::default() };
    }
    let tree = Tree::read(entity, guards);
    Described { content_adapted, mime: Some(node(&tree, 0, guards)), diag: tree.diags().to_vec() }
}

/// Recursion ends at [`Guards::depth`], because the tree does.
fn node(tree: &Tree, id: usize, guards: &Guards) -> DescribedNode {
    let Some(at) = tree.node(id) else { return DescribedNode::default() };
    let is_multipart = matches!(at.shape, Shape::Multipart { .. });
    let visible = |(name, _): &&(String, String)| name != "boundary";
    DescribedNode {
        r#type: at.content_type.essence.clone(),
        octets: at.body.len(),
        params: is_multipart.then(|| at.content_type.params.iter().filter(visible).cloned().collect()),
        parts: is_multipart.then(|| tree.children(id).map(|child| node(tree, child, guards)).collect()),
        content_id: at.text("content-id"),
        content_disposition: at.text("content-disposition"),
        content_transfer_encoding: at.text("content-transfer-encoding"),
        content_description: at.text("content-description"),
        pix: pixels(tree, id, at, guards),
        external: match &at.shape {
            Shape::External(external) => Some((**external).clone()),
            _ => None,
        },
        objlinks: links(tree, id, at),
    }
}

fn pixels(tree: &Tree, id: usize, at: &Node, guards: &Guards) -> Option<[u32; 2]> {
    if !at.content_type.is_kind("image") {
        return None;
    }
    let probe = image::probe_within(&tree.content(id)?, &guards.image).ok()?;
    Some([probe.width, probe.height])
}

fn links(tree: &Tree, id: usize, at: &Node) -> Vec<ObjLink> {
    let presence =
        at.content_type.is("application/pidf+xml") || at.content_type.is("application/cpim-pidf+xml");
    if presence { tree.content(id).map(|content| objlinks(&content)).unwrap_or_default() } else { Vec::new() }
}
