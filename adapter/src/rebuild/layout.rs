//! References and layout of the documents that show other parts (CPI.md §3.5): application/smil, text/html and presence.
//!
//! Only what must change is replaced, by octet ranges; the rest of the document stays as it was written. Tags are read one
//! after the other, so that their depth costs nothing. No entity is expanded and no DTD is read: a document that brings
//! declarations of its own, or is very large, is not looked into at all.

use std::ops::Range;

use crate::mime::{ContentType, Node};

/// Octets of a document that is looked into.
const LARGEST: usize = 256 * 1024;

/// References read from one document at most.
const LIMIT: usize = 1024;

/// Attributes read from one tag at most.
const ATTRIBUTES: usize = 128;

/// A kind of document whose references can be rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doc {
    /// application/smil
    Smil,
    /// text/html, application/xhtml+xml
    Html,
    /// pidf+xml: only its ObjLink targets (CPI.md P5, §5)
    Presence,
}

impl Doc {
    /// The kind a media type names.
    pub(crate) fn of(content_type: &ContentType) -> Option<Doc> {
        match content_type.essence.as_str() {
            "application/smil" | "application/smil+xml" => Some(Doc::Smil),
            "text/html" | "application/xhtml+xml" => Some(Doc::Html),
            "application/pidf+xml" | "application/cpim-pidf+xml" => Some(Doc::Presence),
            _ => None,
        }
    }

    /// Whether the document can be followed and changed by its tags alone.
    pub(crate) fn is_plain(text: &[u8]) -> bool {
        text.len() <= LARGEST && !has_declarations(text)
    }

    /// Everything in the document that may be a reference.
    pub(crate) fn references(self, text: &[u8]) -> Vec<Reference> {
        match self {
            Doc::Presence => tags(text).filter_map(|tag| object_link(text, &tag)).take(LIMIT).collect(),
            Doc::Smil | Doc::Html => tags(text)
                .flat_map(|tag| tag.attributes)
                .map(|attribute| Reference::new(text, attribute.value, None))
                .take(LIMIT)
                .collect(),
        }
    }
}

/// A place in a document that names something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Where it stands.
    pub(crate) range: Range<usize>,
    /// What it says.
    pub(crate) target: String,
    /// Where a `ContentType` attribute belongs, if there should be one and is none.
    pub(crate) type_at: Option<usize>,
}

impl Reference {
    fn new(text: &[u8], range: Range<usize>, type_at: Option<usize>) -> Reference {
        let octets = text.get(range.clone()).unwrap_or_default();
        Reference { target: String::from_utf8_lossy(octets).into_owned(), range, type_at }
    }

    /// Whether it names that part: by `cid:` (RFC 2392, also undecoded, as its own example has it), or by its
    /// Content-Location.
    pub(crate) fn names(&self, node: &Node) -> bool {
        let by_id = || {
            let written = self.target.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("cid:"))?;
            let written = self.target.get(written.len()..)?;
            let id = node.content_id()?;
            Some(id.as_bytes() == &*grammar::percent_decode(written.as_bytes()) || id == written)
        };
        let by_location = || node.text("content-location").map(|location| location.trim() == self.target);
        by_id().or_else(by_location).unwrap_or(false)
    }
}

/// A replacement: where, and by what.
pub(crate) type Edit = (Range<usize>, Vec<u8>);

/// The edits that make a reference lead to `url`, served as `media_type`.
pub(crate) fn point_to(reference: &Reference, url: &str, media_type: &str) -> Vec<Edit> {
    let mut edits = vec![(reference.range.clone(), escape(url).into_bytes())];
    if let Some(at) = reference.type_at {
        edits.push((at..at, format!(" ContentType=\"{}\"", escape(media_type)).into_bytes()));
    }
    edits
}

/// The edits that scale a SMIL layout by `new`/`old` (widths of the picture it shows).
pub(crate) fn scale(text: &[u8], new: u32, old: u32) -> Vec<Edit> {
    const SIDES: [&[u8]; 6] = [b"width", b"height", b"left", b"top", b"right", b"bottom"];
    let laid_out = |tag: &Tag| {
        let name = local(text.get(tag.name.clone()).unwrap_or_default());
        name.eq_ignore_ascii_case(b"root-layout") || name.eq_ignore_ascii_case(b"region")
    };
    let sides = tags(text).filter(laid_out).flat_map(|tag| tag.attributes).filter(|attribute| {
        let name = text.get(attribute.name.clone()).unwrap_or_default();
        SIDES.iter().any(|side| name.eq_ignore_ascii_case(side))
    });
    sides.take(LIMIT).filter_map(|attribute| scaled(text, attribute.value, new, old)).collect()
}

fn scaled(text: &[u8], range: Range<usize>, new: u32, old: u32) -> Option<Edit> {
    let value = text.get(range.clone())?;
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, unit) = value.split_at_checked(digits)?;
    if !(unit.is_empty() || unit.eq_ignore_ascii_case(b"px")) {
        return None;
    }
    let pixels = grammar::decimal(number)?;
    let fewer = pixels.checked_mul(u64::from(new))? / u64::from(old.max(1));
    let fewer = if pixels > 0 { fewer.max(1) } else { 0 };
    Some((range.start..range.start + digits, fewer.to_string().into_bytes()))
}

/// The document with all edits made. Overlapping ones are left out.
pub(crate) fn apply(text: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = Vec::with_capacity(text.len() + edits.len() * 64);
    let mut at = 0;
    for (range, new) in edits {
        let Some(before) = text.get(at..range.start) else { continue };
        out.extend_from_slice(before);
        out.extend_from_slice(&new);
        at = range.end;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// The text of an `ObjLink` element.
fn object_link(text: &[u8], tag: &Tag) -> Option<Reference> {
    if local(text.get(tag.name.clone())?) != b"ObjLink" || tag.closed {
        return None;
    }
    let content = text.get(tag.end..)?;
    let content = content.get(..memchr::memchr(b'<', content)?)?;
    let start = content.iter().position(|b| !b.is_ascii_whitespace())?;
    let length = content.trim_ascii().len();
    let typed = tag
        .attributes
        .iter()
        .any(|attribute| text.get(attribute.name.clone()).is_some_and(|name| local(name) == b"ContentType"));
    let range = tag.end + start..tag.end + start + length;
    Some(Reference::new(text, range, (!typed).then_some(tag.name.end)))
}

/// Whether a document type is declared within the document: `<!DOCTYPE smil [ .. ]>`. One that is only named is common.
fn has_declarations(text: &[u8]) -> bool {
    memchr::memmem::find_iter(text, b"<!").any(|at| {
        let rest = text.get(at + 2..).unwrap_or_default();
        let is_type = rest.get(..7).is_some_and(|word| word.eq_ignore_ascii_case(b"DOCTYPE"));
        is_type && rest.iter().find(|b| matches!(b, b'[' | b'>')) != Some(&b'>')
    })
}

fn local(name: &[u8]) -> &[u8] {
    name.rsplit(|&b| b == b':').next().unwrap_or(name)
}

struct Tag {
    name: Range<usize>,
    attributes: Vec<Attribute>,
    /// After its `>`.
    end: usize,
    /// `<x/>`
    closed: bool,
}

struct Attribute {
    name: Range<usize>,
    value: Range<usize>,
}

/// The start tags of a document; comments, CDATA, instructions and declarations are passed over.
fn tags(text: &[u8]) -> impl Iterator<Item = Tag> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += memchr::memchr(b'<', text.get(at..)?)? + 1;
            let rest = text.get(at..)?;
            let skip = |open: &[u8], close: &[u8]| {
                let inside = rest.strip_prefix(open)?;
                let end = memchr::memmem::find(inside, close);
                Some(end.map_or(rest.len(), |end| open.len() + end + close.len()))
            };
            let skipped = skip(b"!--", b"-->")
                .or_else(|| skip(b"![CDATA[", b"]]>"))
                .or_else(|| skip(b"?", b"?>"))
                .or_else(|| skip(b"!", b">"))
                .or_else(|| skip(b"/", b">"));
            if let Some(skipped) = skipped {
                at += skipped;
                continue;
            }
            if rest.first().is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'<' | b'>' | b'=')) {
                continue;
            }
            // A tag that has no end runs to the end of the document: there are no others.
            let tag = tag(text, at)?;
            at = tag.end;
            return Some(tag);
        }
    })
}

fn tag(text: &[u8], start: usize) -> Option<Tag> {
    let is_end = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'>' | b'/' | b'=');
    let until = |from: usize, stop: &dyn Fn(&u8) -> bool| {
        text.get(from..).map(|rest| from + rest.iter().position(stop).unwrap_or(rest.len()))
    };
    let name_end = until(start, &is_end)?;
    let mut found = Tag { name: start..name_end, attributes: Vec::new(), end: name_end, closed: false };
    let mut at = name_end;
    loop {
        at = until(at, &|b| !b.is_ascii_whitespace())?;
        match text.get(at)? {
            b'>' => {
                found.end = at + 1;
                return Some(found);
            }
            b'/' => {
                found.closed = true;
                at += 1;
            }
            b'=' => at += 1,
            _ => {
                found.closed = false;
                let name = at..until(at, &is_end)?;
                let equals = until(name.end, &|b| !b.is_ascii_whitespace())?;
                at = name.end;
                if text.get(equals) == Some(&b'=') {
                    let value_at = until(equals + 1, &|b| !b.is_ascii_whitespace())?;
                    let (value, next) = match text.get(value_at)? {
                        quote @ (b'"' | b'\'') => {
                            let end = until(value_at + 1, &|b| b == quote)?;
                            (value_at + 1..end, end + 1)
                        }
                        _ => {
                            let end = until(value_at, &|b| b.is_ascii_whitespace() || *b == b'>')?;
                            (value_at..end, end)
                        }
                    };
                    if found.attributes.len() < ATTRIBUTES {
                        found.attributes.push(Attribute { name, value });
                    }
                    at = next;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(doc: Doc, text: &str) -> Vec<String> {
        doc.references(text.as_bytes()).into_iter().map(|reference| reference.target).collect()
    }

    #[test]
    fn attributes_are_found_and_comments_are_not() {
        let text =
            r#"<!-- <img src="cid:no"> --><?x a="b"?><p><img src = 'cid:a%40b' alt=x><IMG SRC="c d"/></p>"#;
        assert_eq!(targets(Doc::Html, text), ["cid:a%40b", "x", "c d"]);
    }

    #[test]
    fn an_object_link_is_pointed_to_a_url_with_its_type() {
        let text =
            "<p><b:ObjLink>\n cid:a@b </b:ObjLink><ObjLink ContentType=\"x/y\">cid:c</ObjLink><ObjLink/></p>";
        let all = Doc::Presence.references(text.as_bytes());
        assert_eq!(all.len(), 2);
        let edits =
            all.iter().flat_map(|reference| point_to(reference, "http://h/?a&b", "image/gif")).collect();
        let new = String::from_utf8(apply(text.as_bytes(), edits)).unwrap();
        assert_eq!(
            new,
            "<p><b:ObjLink ContentType=\"image/gif\">\n http://h/?a&amp;b </b:ObjLink><ObjLink ContentType=\"x/y\">http://h/?a&amp;b</ObjLink><ObjLink/></p>"
        );
    }

    #[test]
    fn layouts_scale_in_pixels_and_percentages_stay() {
        let text = r#"<root-layout width="640" height="480px"/><region id="1" left="0" top="50%" width="320"/><img width="640"/>"#;
        let new = String::from_utf8(apply(text.as_bytes(), scale(text.as_bytes(), 160, 640))).unwrap();
        assert_eq!(
            new,
            r#"<root-layout width="160" height="120px"/><region id="1" left="0" top="50%" width="80"/><img width="640"/>"#
        );
    }

    #[test]
    fn declarations_and_huge_documents_are_not_looked_into() {
        let named = br#"<!DOCTYPE smil PUBLIC "-//W3C//DTD SMIL 1.0//EN" "http://www.w3.org/TR/REC-smil/SMIL10.dtd"><smil/>"#;
        assert!(Doc::is_plain(named));
        assert!(!Doc::is_plain(br#"<!doctype smil [<!ENTITY a "<img src='cid:a'/>">]><smil>&a;</smil>"#));
        assert!(!Doc::is_plain(b"<!DOCTYPE smil"));
        assert!(Doc::is_plain(&vec![b' '; LARGEST]) && !Doc::is_plain(&vec![b' '; LARGEST + 1]));
        let deep = [b"<par>".repeat(20_000), b"<img src='cid:x'/>".to_vec()].concat();
        assert_eq!(targets(Doc::Smil, std::str::from_utf8(&deep).unwrap()), ["cid:x"]);
    }

    #[test]
    fn broken_tags_end_the_search_without_a_panic() {
        for text in ["<", "<a", "<a b", "<a b=", "<a b=\"", "<!--", "<a / / =", "< >", "<a b='c"] {
            let _ = targets(Doc::Html, text);
            let _ = targets(Doc::Presence, text);
        }
    }

    #[test]
    fn what_stands_beyond_the_limits_is_not_read() {
        let many = "<img src='cid:a'/>".repeat(LIMIT + 1);
        assert_eq!(targets(Doc::Html, &many).len(), LIMIT);
        let wide = format!("<img {}/>", "x='1' ".repeat(ATTRIBUTES + 1));
        assert_eq!(targets(Doc::Html, &wide).len(), ATTRIBUTES);
        let regions = "<region width='2'/>".repeat(LIMIT + 1);
        assert_eq!(scale(regions.as_bytes(), 1, 2).len(), LIMIT);
    }
}
