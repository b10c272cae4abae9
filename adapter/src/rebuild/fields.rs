//! The header fields of a changed part (CPI.md §3.9).

use crate::entity::Field;
use crate::mime::{ContentType, Node};
use crate::plan::context::Context;
use crate::plan::link;
use crate::plan::unit::{Make, Unit, Variant};
use crate::rebuild::external::{self, LinkText, field};
use crate::report::Action;

/// The words of `ops`, in the order they are written.
pub(crate) const OPS: [&str; 10] = [
    "decode",
    "strip",
    "charset",
    "transcode",
    "scale",
    "recompress",
    "layout",
    "select",
    "indirect",
    "drop",
];

/// The fields of a unit in that variant. `hash` is the content's, for a link to fixed content.
pub(crate) fn of(
    ctx: &Context,
    unit: &Unit,
    variant: &Variant,
    link: &LinkText,
    hash: Option<&str>,
) -> Vec<Field> {
    let Some(node) = ctx.tree.node(unit.node) else { return Vec::new() };
    let mut fields = node.fields.clone();
    match &variant.make {
        Make::Carried | Make::Reference | Make::TheirReference(..) | Make::Nothing => return fields,
        Make::Link => {
            let (content, _) = link::stored(ctx, unit);
            let value = external::content_type(link, content.len(), hash);
            fields.retain(|field| !describes_content(field));
            set(&mut fields, "Content-Type", value);
        }
        Make::LinkEither => {
            fields.retain(|field| !describes_content(field));
            set(&mut fields, "Content-Type", external::ALTERNATIVE);
        }
        Make::LinkText | Make::TheirLink(_) => {
            fields.retain(|field| {
                ["content-transfer-encoding", "content-encoding", "content-md5", "content-length"]
                    .iter()
                    .all(|name| !field.is(name))
            });
            set(&mut fields, "Content-Type", "text/plain; charset=utf-8");
            as_text_disposition(&mut fields, node);
        }
        Make::Bytes(_) | Make::Job(_) => {
            // Some senders write a length into the header of a part.
            fields.retain(|field| !field.is("content-md5") && !field.is("content-length"));
            unencoded(&mut fields, unit.node == 0);
            if let Some(content_type) = &variant.content_type {
                set(&mut fields, "Content-Type", content_type.clone());
            }
        }
    }
    let reported = ops(variant);
    if !reported.is_empty() {
        if let Some(note) = note(unit, node, variant) {
            describe(&mut fields, &ctx.settings.host, &note);
        }
        fields.push(field("Content-Adapted", adapted(ctx, unit, node, &reported)));
    }
    fields
}

/// What was done, as far as it is reported: taking a transfer encoding off alone is not (N4).
pub(crate) fn ops(variant: &Variant) -> Vec<&'static str> {
    let done: Vec<&'static str> = match &variant.product {
        Some(product) => product.ops.clone(),
        None => variant.ops.clone(),
    };
    if done == ["decode"] { Vec::new() } else { in_order(&done) }
}

/// The words once each, in their order.
pub(crate) fn in_order(ops: &[&'static str]) -> Vec<&'static str> {
    OPS.into_iter().filter(|op| ops.contains(op)).collect()
}

/// The value for a part: what it was.
fn adapted(ctx: &Context, unit: &Unit, node: &Node, ops: &[&str]) -> String {
    let kind = &node.content_type.essence;
    let (content, _) = link::stored(ctx, unit);
    let mut value =
        format!("{};ops=\"{}\";type=\"{kind}\";length={}", ctx.settings.host, ops.join(","), content.len());
    if let Some([width, height]) = unit.pixels {
        value.push_str(&format!(";media-pix-x={width};media-pix-y={height}"));
    }
    value
}

/// The value for a message with something changed below, or a container that went.
pub(crate) fn adapted_below(host: &str, ops: &[&str], container: Option<&ContentType>) -> Field {
    let mut value = format!("{host};ops=\"{}\"", ops.join(","));
    if let Some(container) = container {
        value.push_str(&format!(";type=\"{}\"", container.essence));
    }
    field("Content-Adapted", value)
}

/// N2: `<old> -> <new>`, for what the reader still sees as the same thing.
fn note(unit: &Unit, node: &Node, variant: &Variant) -> Option<String> {
    if variant.needs_link() || matches!(variant.make, Make::TheirLink(_)) {
        return None;
    }
    let old_type = &node.content_type.essence;
    let new_type = variant.content_type.as_deref().map(|written| ContentType::read(written.as_bytes()));
    let new_type = new_type.as_ref().map_or(old_type, |new| &new.essence);
    let new_pixels = variant.product.as_ref().map_or(variant.pixels, |product| product.pixels);
    let sized = |pixels: Option<[u32; 2]>| {
        pixels.map(|[width, height]| format!(" {width}x{height}")).unwrap_or_default()
    };
    Some(if new_type != old_type {
        format!("{old_type}{} -> {new_type}{}", sized(unit.pixels), sized(new_pixels))
    } else if unit.pixels != new_pixels {
        format!("{old_type}{} ->{}", sized(unit.pixels), sized(new_pixels))
    } else if variant.action == Action::Convert {
        let old = node.content_type.param("charset").unwrap_or("utf-8");
        let new = ContentType::read(variant.content_type.as_deref().unwrap_or_default().as_bytes());
        format!("{old_type} {old} -> {}", new.param("charset").unwrap_or("utf-8"))
    } else {
        let before = unit.content.as_ref().map_or(node.body.len(), bytes::Bytes::len);
        format!("{old_type} {before} -> {} octets", variant.octets)
    })
}

fn describe(fields: &mut Vec<Field>, host: &str, note: &str) {
    let old = fields.iter().find(|field| field.is("content-description")).map(|field| field.value.clone());
    let mut value = old.map(|old| [&grammar::unfold(&old)[..], b" "].concat()).unwrap_or_default();
    value.extend_from_slice(format!("[adapted by {host}: {note}]").as_bytes());
    set(fields, "Content-Description", value);
}

/// Octets that were decoded are binary; in a SIP or HTTP head the field does not exist.
fn unencoded(fields: &mut Vec<Field>, head: bool) {
    let name = "content-transfer-encoding";
    if head {
        fields.retain(|field| !field.is(name));
    } else if fields.iter().any(|field| field.is(name)) {
        set(fields, "Content-Transfer-Encoding", "binary");
    }
}

/// A text that is shown in place of a file must not be saved under the file's name.
fn as_text_disposition(fields: &mut Vec<Field>, node: &Node) {
    if node.disposition().is_none_or(|disposition| disposition == "render") {
        return;
    }
    let handling =
        node.disposition_param("handling").filter(|handling| grammar::is_token(handling.as_bytes()));
    let handling = handling.map(|handling| format!(";handling={handling}")).unwrap_or_default();
    set(fields, "Content-Disposition", format!("render{handling}"));
}

/// What moves into the inner header of an external-body, or stops being true.
fn describes_content(field: &Field) -> bool {
    let stays = ["content-type", "content-adapted"].iter().any(|name| field.is(name));
    let content = field.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
    content && !stays
}

/// Puts a value in the place of the field's old one, or at the end.
pub(crate) fn set(fields: &mut Vec<Field>, name: &'static str, value: impl Into<bytes::Bytes>) {
    let value = value.into();
    match fields.iter_mut().find(|field| field.is(name)) {
        Some(field) => field.value = value,
        None => fields.push(Field::new(name, value)),
    }
}
