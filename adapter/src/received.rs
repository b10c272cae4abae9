//! Content that lies elsewhere (`message/external-body`, RFC 4483) and that somebody else fetched, in the place of the
//! part that named it. Nothing is fetched here: CPI.md C5 says who may.

use bytes::Bytes;
use cpi::Cpi;

use crate::entity::{Entity, Field};
use crate::mime::{ContentType, Node, Shape, Tree};
use crate::plan::context::Context;
use crate::plan::protect::Guarding;
use crate::plan::received_nodes;
use crate::rebuild::external::hash;
use crate::settings::{Budget, Settings};

/// A part that names its content, for a terminal that does not know such parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    node: usize,
    /// Where it lies: http or https, as the sender wrote it.
    pub url: String,
    /// The octets it has, as the sender says.
    pub size: Option<u64>,
    /// Its media type as the sender says; only content of that type may be used (RFC 2017 §3.1).
    pub media_type: Option<String>,
    /// 40 hex digits of its SHA-1.
    hash: Option<String>,
}

impl Received {
    /// Whether this is what the sender named: its octets, its hash, its type.
    pub fn is(&self, content_type: Option<&str>, content: &[u8]) -> bool {
        let essence = |written: &str| ContentType::read(written.as_bytes()).essence;
        let same_type = match (&self.media_type, content_type) {
            (Some(told), Some(found)) => essence(found) == *told,
            (told, found) => told.is_some() || found.is_some(),
        };
        let same_octets = self.size.is_none_or(|size| size == content.len() as u64);
        same_type
            && same_octets
            && self.hash.as_ref().is_none_or(|told| told.eq_ignore_ascii_case(&hash(content)))
    }
}

/// The parts of a body whose content would have to be fetched for that terminal to see it: it takes no
/// `message/external-body`. None where nothing is known of the terminal.
pub fn received(entity: &Entity, cpi: Option<&Cpi>, settings: &Settings) -> Vec<Received> {
    let ctx = Context::new(entity, cpi, settings, Budget::default());
    if !ctx.known || settings.sealed {
        return Vec::new();
    }
    let nodes = received_nodes(&ctx);
    let all = nodes.into_iter().filter_map(|id| {
        let node = ctx.tree.node(id)?;
        let Shape::External(external) = &node.shape else { return None };
        let taken = ctx.quality(&node.content_type, node.body.len() as u64, None) > 0;
        if taken || Guarding::of(node) != Guarding::Free {
            return None;
        }
        Some(Received {
            node: id,
            url: external.web_url()?.to_owned(),
            size: external.size,
            media_type: external.inner_type.clone(),
            hash: external.hash.clone(),
        })
    });
    all.collect()
}

/// The body with that content in the place of the part that named it, under `content_type` if the sender named none.
/// `None`: it can't be put there.
pub fn with_content(
    entity: &Entity,
    settings: &Settings,
    received: &Received,
    content_type: Option<&str>,
    content: &Bytes,
) -> Option<Entity> {
    let tree = Tree::read(entity, &settings.guards);
    let node = tree.node(received.node)?;
    let fields = fields(&tree, node, received.node, content_type)?;
    let adapted = Field::new(
        "Content-Adapted",
        format!("{};ops=\"fetch\";type=\"message/external-body\"", settings.host),
    );
    if node.parent.is_none() {
        let stays = entity.fields.iter().filter(|field| !is_of_content(field));
        let fields = stays.cloned().chain(fields).chain([adapted]).collect();
        return Some(Entity { fields, body: content.clone() });
    }
    if has_delimiter(&tree, node, content) {
        return None;
    }
    let mut part: Vec<u8> = Vec::new();
    let encoded = fields.iter().any(|field| field.is("content-transfer-encoding"));
    let binary = (!encoded).then(|| Field::new("Content-Transfer-Encoding", "binary"));
    for field in fields.iter().chain(&binary).chain([&adapted]) {
        part.extend_from_slice(&field.name);
        part.extend_from_slice(b": ");
        part.extend_from_slice(&grammar::unfold(&field.value));
        part.extend_from_slice(b"\r\n");
    }
    part.extend_from_slice(b"\r\n");
    part.extend_from_slice(content);
    let (before, after) = (entity.body.get(..node.header.start)?, entity.body.get(node.body.end..)?);
    Some(Entity { fields: entity.fields.clone(), body: [before, &part, after].concat().into() })
}

/// The fields of the content: those of the inner header, with what only the part itself says.
fn fields(tree: &Tree, node: &Node, id: usize, content_type: Option<&str>) -> Option<Vec<Field>> {
    let inner = tree.carried(id);
    let mut fields: Vec<Field> = grammar::fields(&inner)
        .map(|field| Field::new(inner.slice_ref(field.name), inner.slice_ref(field.value)))
        .filter(|field| is_of_content(field) && !field.is("content-length"))
        .collect();
    if !fields.iter().any(|field| field.is("content-type")) {
        fields.insert(0, Field::new("Content-Type", content_type?.to_owned()));
    }
    for name in ["content-id", "content-disposition", "content-description", "content-language"] {
        let known = fields.iter().any(|field| field.is(name));
        fields.extend(node.fields.iter().filter(|field| !known && field.is(name)).cloned());
    }
    Some(fields)
}

fn is_of_content(field: &Field) -> bool {
    let content = field.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
    content && !field.is("content-adapted")
}

/// Whether a container round the part would take some of the content for its delimiter.
fn has_delimiter(tree: &Tree, node: &Node, content: &[u8]) -> bool {
    let mut above = node.parent;
    while let Some(container) = above.and_then(|id| tree.node(id)) {
        if let Shape::Multipart { boundary, .. } = &container.shape
            && memchr::memmem::find(content, &[b"--", &boundary[..]].concat()).is_some()
        {
            return true;
        }
        above = container.parent;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPTS: &[u8] = b"text/plain, image/gif, multipart/mixed";

    fn known() -> Cpi {
        cpi::decode::from_headers([(&b"Accept"[..], ACCEPTS)], &cpi::Extensions::NONE).0
    }

    fn link(more: &str) -> String {
        format!(
            "message/external-body; access-type=URL; URL=\"http://h.example/a.gif\"; expiration=\"Mon, 24 Jun 2030 09:00:00 GMT\"{more}"
        )
    }

    fn alone(more: &str) -> Entity {
        let fields = vec![Field::new("Content-Type", link(more)), Field::new("Content-Description", "A")];
        Entity { fields, body: Bytes::from_static(b"Content-Type: image/gif\r\nContent-ID: <a@b>\r\n\r\n") }
    }

    #[test]
    fn only_for_who_is_known_to_take_no_external_bodies() {
        let settings = Settings::new("h");
        let of = |cpi: Option<&Cpi>| received(&alone("; size=3"), cpi, &settings);
        let found = of(Some(&known()));
        assert_eq!((&*found[0].url, found[0].size), ("http://h.example/a.gif", Some(3)));
        assert_eq!(of(None), []);
        let takes = [(&b"Accept"[..], &b"message/external-body, image/gif"[..])];
        assert_eq!(of(Some(&cpi::decode::from_headers(takes, &cpi::Extensions::NONE).0)), []);
        let sealed = Settings { sealed: true, ..settings.clone() };
        assert_eq!(received(&alone(""), Some(&known()), &sealed), []);
    }

    #[test]
    fn what_is_not_what_the_sender_named_is_not_taken() {
        let hash = hash(b"GIF");
        let named = |more: &str| received(&alone(more), Some(&known()), &Settings::new("h")).remove(0);
        assert!(named("").is(Some("image/gif; x=y"), b"GIF"));
        assert!(named(&format!("; size=3; hash={hash}")).is(None, b"GIF"));
        assert!(!named("").is(Some("text/html"), b"GIF"));
        assert!(!named("; size=4").is(Some("image/gif"), b"GIF"));
        assert!(!named(&format!("; hash={hash}")).is(Some("image/gif"), b"GIG"));
    }

    #[test]
    fn the_content_takes_the_place_of_the_part() {
        let settings = Settings::new("h");
        let put = |entity: &Entity, content: &'static [u8]| {
            let found = received(entity, Some(&known()), &settings);
            with_content(entity, &settings, &found[0], None, &Bytes::from_static(content))
        };
        let whole = put(&alone(""), b"GIF").unwrap();
        assert_eq!((&*whole.body, whole.field("content-type")), (&b"GIF"[..], Some(&b"image/gif"[..])));
        assert_eq!(whole.field("content-id"), Some(&b"<a@b>"[..]));
        assert_eq!(whole.field("content-description"), Some(&b"A"[..]));
        let body = format!(
            "--b\r\n\r\nHello\r\n--b\r\nContent-Type: {}\r\n\r\nContent-Type: image/gif\r\n\r\n\r\n--b--\r\n",
            link("")
        );
        let fields = vec![Field::new("Content-Type", "multipart/mixed; boundary=b")];
        let parts = Entity { fields, body: body.into() };
        let mixed = put(&parts, b"GIF\r\n-").unwrap();
        let tree = Tree::read(&mixed, &settings.guards);
        assert_eq!((&*tree.carried(1), &*tree.carried(2)), (&b"Hello"[..], &b"GIF\r\n-"[..]));
        assert!(tree.node(2).unwrap().content_type.is("image/gif"));
        assert!(put(&parts, b"GIF\r\n--b\r\n\r\nmore").is_none(), "it would end its own part");
    }
}
