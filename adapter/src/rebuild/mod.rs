//! From a choice to octets (CPI.md §3.1 step 7): what was not touched goes out byte for byte.

pub(crate) mod external;
pub(crate) mod fields;
pub(crate) mod layout;
mod multipart;
mod seven_bit;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use bytes::Bytes;

use crate::entity::Field;
use crate::mime::{ContentType, Node, Shape, TransferEncoding};
use crate::plan::context::Context;
use crate::plan::link;
use crate::plan::protect::Guarding;
use crate::plan::related::Related;
use crate::plan::unit::{Make, Unit, Variant};
use crate::report::Action;
use external::{LinkText, field};
use layout::Doc;

/// The links of a plan by the index of their unit.
pub(crate) type Links = BTreeMap<usize, LinkText>;

/// A message put together.
#[derive(Clone, Debug)]
pub(crate) struct Rendered {
    /// All fields of the entity.
    pub(crate) fields: Vec<Field>,
    /// Its body.
    pub(crate) body: Bytes,
    /// Whether anything is not as it came.
    pub(crate) changed: bool,
}

/// What was chosen.
pub(crate) struct Picked<'a> {
    /// The variant of each unit, `None` for one that another alternative stands for.
    pub(crate) picks: &'a [Option<usize>],
    /// Whether what stands before and after the parts of a container goes (RFC 2046 §5.1.1: it is to be ignored).
    pub(crate) tight: bool,
    /// Whether a text that comes first tells what was dropped.
    pub(crate) drop_note: bool,
}

/// Puts the message together. `None`: something that was picked is not there yet, or nothing is left.
pub(crate) fn assemble(
    ctx: &Context,
    units: &[Unit],
    picked: &Picked<'_>,
    links: &Links,
) -> Option<Rendered> {
    let mut by_node = vec![None; ctx.tree.nodes().len()];
    for (at, unit) in units.iter().enumerate() {
        *by_node.get_mut(unit.node)? = Some(at);
    }
    let assembly = Assembly {
        ctx,
        units,
        picks: picked.picks,
        tight: picked.tight,
        drop_note: picked.drop_note,
        links,
        by_node,
    };
    let piece = assembly.node(0).ok()??.into_body();
    if piece.is_untouched() {
        return Some(Rendered {
            fields: ctx.entity.fields.clone(),
            body: ctx.entity.body.clone(),
            changed: false,
        });
    }
    let fields = assembly.head(&piece);
    Some(Rendered { fields, body: piece.body, changed: true })
}

/// A part as it goes out.
#[derive(Clone, Debug)]
struct Piece {
    /// Where it stands in the old body with its header, if nothing of it changed.
    untouched: Option<Range<usize>>,
    fields: Vec<Field>,
    body: Bytes,
    /// What was done to it and below it.
    ops: Vec<&'static str>,
    /// The container that went because this is all that is left of it.
    instead_of: Option<ContentType>,
    /// Whether it is a container.
    is_container: bool,
    /// Whether its octets must not be touched, not even to take the transfer encoding off.
    is_guarded: bool,
}

impl Piece {
    fn is_untouched(&self) -> bool {
        self.untouched.is_some()
    }

    /// A part that became the body has no transfer encoding any more: SIP and HTTP heads don't say one.
    fn into_body(mut self) -> Piece {
        if self.instead_of.is_none() || self.is_guarded {
            return self;
        }
        let name = "content-transfer-encoding";
        let written =
            self.fields.iter().find(|field| field.is(name)).map(|field| TransferEncoding::read(&field.value));
        if let Some(body) = written.and_then(|encoding| encoding.decode(&self.body)) {
            self.body = body;
            self.fields.retain(|field| !field.is(name));
        }
        self
    }
}

/// Something that was picked is not made yet.
struct Missing;

struct Assembly<'a> {
    ctx: &'a Context,
    units: &'a [Unit],
    picks: &'a [Option<usize>],
    tight: bool,
    drop_note: bool,
    links: &'a Links,
    by_node: Vec<Option<usize>>,
}

impl Assembly<'_> {
    /// A part and all below it; `None` if it is left out. Recursion ends with the tree's depth.
    fn node(&self, id: usize) -> Result<Option<Piece>, Missing> {
        let node = self.ctx.tree.node(id).ok_or(Missing)?;
        match (self.by_node.get(id).copied().flatten(), &node.shape) {
            (Some(unit), _) => self.unit(unit, node),
            (None, Shape::Multipart { boundary, .. }) => {
                let children = self.ctx.tree.children(id);
                let count = children.len();
                let mut pieces = Vec::with_capacity(count);
                for child in children {
                    pieces.extend(self.node(child)?);
                }
                Ok(self.container(id, boundary, pieces, count))
            }
            (None, _) => Err(Missing),
        }
    }

    fn unit(&self, at: usize, node: &Node) -> Result<Option<Piece>, Missing> {
        let unit = self.units.get(at).ok_or(Missing)?;
        let Some(pick) = self.picks.get(at).copied().flatten() else { return Ok(None) };
        let variant = unit.variants.get(pick).ok_or(Missing)?;
        let Some(body) = self.body(at, unit, variant, node)? else { return Ok(None) };
        let is_carried = matches!(variant.make, Make::Carried);
        let edited = self.edited(unit.node, &body);
        let noted = if at == 0 { self.noted(unit, variant, &body) } else { None };
        if is_carried && edited.is_none() && noted.is_none() {
            return Ok(Some(Piece {
                untouched: Some(node.header.start..node.body.end),
                fields: node.fields.clone(),
                body,
                ops: Vec::new(),
                instead_of: None,
                is_container: false,
                is_guarded: unit.guarding != Guarding::Free,
            }));
        }
        let mut fields = self.fields(at, unit, variant);
        let mut ops = fields::ops(variant);
        let body = match edited {
            Some(edited) => {
                ops.push("layout");
                fields.push(self.layout_note());
                edited
            }
            None => noted.unwrap_or(body),
        };
        let is_guarded = unit.guarding != Guarding::Free;
        Ok(Some(Piece {
            untouched: None,
            fields,
            body,
            ops,
            instead_of: None,
            is_container: false,
            is_guarded,
        }))
    }

    /// The text with a line on what was dropped (CPI.md §3.9 N2).
    fn noted(&self, unit: &Unit, variant: &Variant, body: &Bytes) -> Option<Bytes> {
        let node = self.ctx.tree.node(unit.node)?;
        let charset = node.content_type.param("charset").unwrap_or("utf-8").to_ascii_lowercase();
        let is_ascii_like =
            matches!(charset.as_str(), "utf-8" | "us-ascii") || charset.starts_with("iso-8859-");
        let is_text = node.content_type.is("text/plain") && is_ascii_like && unit.guarding == Guarding::Free;
        let as_it_was = match variant.make {
            Make::Carried => node.transfer_encoding() == TransferEncoding::Identity,
            Make::Bytes(_) => true,
            _ => false,
        };
        if !self.drop_note || !is_text || !as_it_was {
            return None;
        }
        let mut text = body.to_vec();
        for (unit, pick) in self.units.iter().zip(self.picks) {
            let dropped = pick
                .and_then(|pick| unit.variants.get(pick))
                .filter(|variant| variant.action == Action::Drop);
            let Some(node) = self.ctx.tree.node(unit.node).filter(|_| dropped.is_some()) else { continue };
            let size = external::size(node.body.len() as u64);
            let line =
                format!("\r\n[{} left out: {}, {size}]", self.ctx.settings.host, node.content_type.essence);
            text.extend_from_slice(line.as_bytes());
        }
        (text.len() > body.len()).then(|| text.into())
    }

    fn layout_note(&self) -> Field {
        fields::adapted_below(&self.ctx.settings.host, &["layout"], None)
    }

    /// The octets of a unit; `None` if it is left out.
    fn body(&self, at: usize, unit: &Unit, variant: &Variant, node: &Node) -> Result<Option<Bytes>, Missing> {
        let link = || self.links.get(&at).ok_or(Missing);
        let body = match &variant.make {
            Make::Carried => self.ctx.tree.carried(unit.node),
            Make::Bytes(bytes) => bytes.clone(),
            Make::Job(_) => variant.product.as_ref().ok_or(Missing)?.bytes.clone(),
            Make::Link => {
                link()?;
                let (content, _) = link::stored(self.ctx, unit);
                let content_id = external::content_id(&content, &self.ctx.settings.host);
                link::body(self.ctx, unit, node, &content_id)
            }
            Make::LinkEither => {
                let (content, _) = link::stored(self.ctx, unit);
                let content_id = external::content_id(&content, &self.ctx.settings.host);
                let hash = link::is_fixed(self.ctx, unit).then(|| external::hash(&content));
                link::alternatives(self.ctx, unit, node, link()?, &content_id, hash.as_deref())
            }
            Make::LinkText => {
                let (content, _) = link::stored(self.ctx, unit);
                external::as_text(node, &node.content_type.essence, content.len() as u64, &link()?.url)
            }
            Make::TheirLink(url) => match &node.shape {
                Shape::External(link) => external::received_as_text(link, url),
                _ => return Err(Missing),
            },
            Make::Reference | Make::TheirReference(..) | Make::Nothing => return Ok(None),
        };
        Ok(Some(body))
    }

    fn fields(&self, at: usize, unit: &Unit, variant: &Variant) -> Vec<Field> {
        let nothing = LinkText { url: String::new(), expiration: String::new() };
        let link = self.links.get(&at).unwrap_or(&nothing);
        let is_link = matches!(variant.make, Make::Link);
        let hash = (is_link && link::is_fixed(self.ctx, unit))
            .then(|| external::hash(&link::stored(self.ctx, unit).0));
        fields::of(self.ctx, unit, variant, link, hash.as_deref())
    }

    /// The root of a multipart/related with the references and the layout its parts now have; `None`: as it was.
    fn edited(&self, node: usize, body: &Bytes) -> Option<Bytes> {
        let related = self.ctx.related.iter().find(|related| related.root == node)?;
        let led = self.led(related);
        let mut edits = Vec::new();
        for reference in related.doc.references(body) {
            let to = related.group(&reference.target).and_then(|group| led.get(&group));
            edits.extend(
                to.into_iter().flat_map(|(url, kind)| layout::point_to(&reference, url, kind.as_deref())),
            );
        }
        if related.doc == Doc::Smil
            && let Some((new, old)) = self.shrinkage(related)
        {
            edits.extend(layout::scale(body, new, old));
        }
        (!edits.is_empty()).then(|| layout::apply(body, edits).into())
    }

    /// Where references lead that name the same, and what type that has: to the first that is picked of what they name.
    fn led(&self, related: &Related) -> HashMap<usize, (String, Option<String>)> {
        let mut led = HashMap::new();
        for (at, unit, variant) in self.picked_of(related) {
            let to = match &variant.make {
                Make::TheirReference(url, media_type) => Some((url.clone(), media_type.clone())),
                Make::Reference => self
                    .links
                    .get(&at)
                    .zip(self.ctx.tree.node(unit.node))
                    .map(|(link, node)| (link.url.clone(), Some(link::served_type(self.ctx, unit, node)))),
                _ => None,
            };
            let Some(to) = to else { continue };
            for group in related.groups(unit.node) {
                led.entry(*group).or_insert_with(|| to.clone());
            }
        }
        led
    }

    /// By how much the pictures a document shows got smaller because the terminal's screen is: the strongest.
    fn shrinkage(&self, related: &Related) -> Option<(u32, u32)> {
        self.picked_of(related)
            .filter_map(|(_, unit, variant)| Some((*variant.demanded?.first()?, *unit.pixels?.first()?)))
            .filter(|(new, old)| new < old)
            .min_by(|a, b| (u64::from(a.0) * u64::from(b.1)).cmp(&(u64::from(b.0) * u64::from(a.1))))
    }

    /// What was picked for the parts that a document shows.
    fn picked_of(&self, related: &Related) -> impl Iterator<Item = (usize, &Unit, &Variant)> {
        self.units.iter().enumerate().filter(|(_, unit)| related.shows(unit.node)).filter_map(|(at, unit)| {
            let pick = self.picks.get(at).copied().flatten()?;
            Some((at, unit, unit.variants.get(pick)?))
        })
    }

    /// The fields of the message's head.
    fn head(&self, piece: &Piece) -> Vec<Field> {
        let mut fields = piece.fields.clone();
        let old = &self.ctx.entity.fields;
        if let Some(container) = &piece.instead_of {
            let layout_only = self.layout_note();
            fields.retain(|field| *field != layout_only);
            let stays = |field: &&Field| field.is("mime-version") || field.is("cache-control");
            fields.splice(0..0, old.iter().filter(stays).cloned());
            let note = fields::adapted_below(
                &self.ctx.settings.host,
                &fields::in_order(&piece.ops),
                Some(container),
            );
            fields.push(note);
        } else if piece.is_container && !fields::in_order(&piece.ops).is_empty() {
            fields.push(fields::adapted_below(&self.ctx.settings.host, &fields::in_order(&piece.ops), None));
        }
        let content_type = fields.iter().find(|field| field.is("content-type"));
        let structured = content_type.is_some_and(|field| {
            let read = ContentType::read(&field.value);
            read.is_kind("multipart") || read.is("message/external-body")
        });
        if structured && !fields.iter().any(|field| field.is("mime-version")) {
            fields.insert(0, field("MIME-Version", "1.0"));
        }
        fields
    }
}
