//! Generating `message/external-body` (RFC 4483, RFC 2017, CPI.md §4) and the line of text that stands for one.

use bytes::Bytes;
use sha1::{Digest, Sha1};

use super::seven_bit;
use crate::entity::Field;
use crate::mime::{External, Node};

/// Octets of an RFC 1123 date.
const DATE_OCTETS: usize = 29;

/// A link as it is written.
#[derive(Clone, Debug)]
pub(crate) struct LinkText {
    /// The URL.
    pub(crate) url: String,
    /// The RFC 1123 date until which it holds.
    pub(crate) expiration: String,
}

impl LinkText {
    /// As long as a real one, for reckoning before it exists.
    pub(crate) fn placeholder(url_octets: usize) -> LinkText {
        LinkText { url: "x".repeat(url_octets), expiration: "x".repeat(DATE_OCTETS) }
    }
}

/// SHA-1 as 40 hex digits (RFC 4483 §5.12).
pub(crate) fn hash(content: &[u8]) -> String {
    Sha1::digest(content).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The Content-Type of the part. On one line: RFC 2017's folding of URLs is for mail.
pub(crate) fn content_type(link: &LinkText, size: usize, hash: Option<&str>) -> String {
    let LinkText { url, expiration } = link;
    let mut value = format!(
        "message/external-body; access-type=\"URL\"; expiration=\"{expiration}\"; URL=\"{url}\"; size={size}"
    );
    if let Some(hash) = hash {
        value.push_str("; hash=");
        value.push_str(hash);
    }
    value
}

/// What the content is, for [`inner_header`].
pub(crate) struct Inner<'a> {
    /// Its part.
    pub(crate) node: &'a Node,
    /// Its complete Content-Type.
    pub(crate) content_type: &'a str,
    /// Its Content-ID if the part has none; made from the content, so that it changes when that does.
    pub(crate) content_id: String,
    /// Whether the stored octets are still in the part's transfer encoding.
    pub(crate) encoded: bool,
}

/// The header block that is the part's body. Content-ID and Content-Disposition are always in it.
pub(crate) fn inner_header(inner: &Inner<'_>) -> Bytes {
    let own = |name: &str| inner.node.text(name).filter(|value| !value.is_empty());
    let mut lines = vec![
        ("Content-Type", inner.content_type.to_owned()),
        ("Content-ID", own("content-id").unwrap_or_else(|| inner.content_id.clone())),
        ("Content-Disposition", own("content-disposition").unwrap_or_else(|| "render".into())),
    ];
    let mut optional = |name: &'static str, keep: bool| {
        if let Some(value) = own(&name.to_ascii_lowercase()).filter(|_| keep) {
            lines.push((name, value));
        }
    };
    optional("Content-Description", true);
    optional("Content-Language", true);
    optional("Content-Location", true);
    optional("Content-Encoding", true);
    optional("Content-Transfer-Encoding", inner.encoded);
    let mut block: Vec<u8> = Vec::new();
    let seven_bit = |(name, written)| Some((name, seven_bit::value(name, written)?));
    for (name, value) in lines.into_iter().filter_map(seven_bit) {
        block.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    block.extend_from_slice(b"\r\n");
    block.into()
}

/// The boundary of [`alternatives`]. No line of theirs begins with it: they are fields of one line each, and a text
/// whose hyphens in front are taken off.
const BOUNDARY: &str = "bespoke-link";

/// The Content-Type of [`alternatives`].
pub(crate) const ALTERNATIVE: &str = "multipart/alternative; boundary=bespoke-link";

/// The same link for people and for programs: a text, and an external-body of that Content-Type and body.
pub(crate) fn alternatives(text: &[u8], external_type: &str, external: &[u8]) -> Bytes {
    let text = text.trim_ascii_start();
    let hyphens = text.iter().take_while(|octet| **octet == b'-').count();
    let text = text.get(hyphens..).unwrap_or_default();
    let head = format!("--{BOUNDARY}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
    let between = format!("\r\n--{BOUNDARY}\r\nContent-Type: {external_type}\r\n\r\n");
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    [head.as_bytes(), text, between.as_bytes(), external, end.as_bytes()].concat().into()
}

/// `<orig-..@host>`, the same for the same content.
pub(crate) fn content_id(content: &[u8], host: &str) -> String {
    let hash = hash(content);
    format!("<orig-{}@{host}>", hash.get(..16).unwrap_or(&hash))
}

/// The same in length, without looking at the content.
pub(crate) fn content_id_placeholder(host: &str) -> String {
    format!("<orig-{}@{host}>", "x".repeat(16))
}

/// The link for someone who reads text (V7).
pub(crate) fn as_text(node: &Node, media_type: &str, octets: u64, url: &str) -> Bytes {
    let named = node.text("content-description").or_else(|| node.disposition_param("filename"));
    line(named.as_deref(), media_type, Some(octets), url)
}

/// The same for an external-body that came in.
pub(crate) fn received_as_text(external: &External, url: &str) -> Bytes {
    let media_type = external.inner_type.as_deref().unwrap_or("application/octet-stream");
    line(external.inner_description.as_deref(), media_type, external.size, url)
}

fn line(name: Option<&str>, media_type: &str, octets: Option<u64>, url: &str) -> Bytes {
    let name =
        name.map(str::trim).filter(|name| !name.is_empty()).unwrap_or_else(|| default_name(media_type));
    let size = octets.map(|octets| format!(", {}", size(octets))).unwrap_or_default();
    format!("{name} ({media_type}{size}): {url}").into()
}

fn default_name(media_type: &str) -> &'static str {
    match media_type.split('/').next().unwrap_or_default() {
        "image" => "Picture",
        "audio" => "Sound",
        "video" => "Video",
        "text" => "Text",
        _ => "Attachment",
    }
}

/// Octets for a reader.
pub(crate) fn size(octets: u64) -> String {
    match octets {
        0..=1023 => format!("{octets} octets"),
        1024..=1_048_575 => format!("{} KB", octets.div_ceil(1024)),
        _ => format!("{} MB", octets.div_ceil(1_048_576)),
    }
}

/// A field from text.
pub(crate) fn field(name: &'static str, value: impl Into<String>) -> Field {
    Field::new(name, value.into())
}
