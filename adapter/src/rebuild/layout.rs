//! References and layout of the documents that show other parts (CPI.md §3.5): application/smil, text/html and presence.
//!
//! Only what must change is replaced, by octet ranges; the rest of the document stays as it was written. Tags are read one
//! after the other, so that their depth costs nothing. No entity is expanded and no DTD is read: a document that brings
//! declarations of its own, or is very large, is not looked into at all.

use std::ops::Range;

use crate::mime::{ContentType, Node, Shape, object_links};

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
    /// pidf+xml: only its links to external objects (CPI.md P5, §5)
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
            Doc::Presence => object_links(text).into_iter().filter_map(|link| object(text, link)).collect(),
            Doc::Smil | Doc::Html => tags(text)
                .flat_map(|tag| tag.attributes)
                .map(|attribute| Reference::new(text, attribute.value))
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
    /// Where it says what type that has, if it may.
    pub(crate) typed: Option<Typed>,
}

/// Where a link says the media type of what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Nowhere yet: the attribute belongs here.
    Missing(usize),
    /// Here.
    Value(Range<usize>),
}

impl Reference {
    fn new(text: &[u8], range: Range<usize>) -> Reference {
        let octets = text.get(range.clone()).unwrap_or_default();
        Reference { target: String::from_utf8_lossy(octets).into_owned(), range, typed: None }
    }

    /// What it may mean, the likeliest first: by `cid:` a Content-ID (RFC 2392), then the same undecoded, as its own
    /// example has it; else a Content-Location.
    pub(crate) fn names(&self) -> Vec<Name> {
        let is_id = self.target.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("cid:"));
        let Some(written) = self.target.get(4..).filter(|_| is_id) else {
            return vec![Name::Location(self.target.clone())];
        };
        let decoded = String::from_utf8(grammar::percent_decode(written.as_bytes()).into_owned()).ok();
        let undecoded = Some(written.to_owned()).filter(|written| Some(written) != decoded.as_ref());
        decoded.into_iter().chain(undecoded).map(Name::Id).collect()
    }
}

/// What a part can be called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// By its Content-ID; that of an external-body is that of its content (RFC 4483 §5.6).
    Id(String),
    /// By its Content-Location.
    Location(String),
}

impl Name {
    /// What a part is called.
    pub(crate) fn all_of(node: &Node) -> impl Iterator<Item = Name> {
        let id = match &node.shape {
            Shape::External(external) => external.content_id(),
            _ => node.content_id(),
        };
        let location = node.text("content-location").map(|location| location.trim().to_owned());
        id.map(Name::Id).into_iter().chain(location.map(Name::Location))
    }
}

/// A replacement: where, and by what.
pub(crate) type Edit = (Range<usize>, Vec<u8>);

/// The edits that make a reference lead to `url`, where there is a `media_type`; `None` leaves what is said now.
pub(crate) fn point_to(reference: &Reference, url: &str, media_type: Option<&str>) -> Vec<Edit> {
    let mut edits = vec![(reference.range.clone(), escape(url).into_bytes())];
    let Some(media_type) = media_type else { return edits };
    match &reference.typed {
        Some(Typed::Missing(at)) => {
            edits.push((*at..*at, format!(" ContentType=\"{}\"", escape(media_type)).into_bytes()));
        }
        Some(Typed::Value(range)) => edits.push((range.clone(), escape(media_type).into_bytes())),
        None => {}
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

/// A link of a presence document, without the white space round it.
fn object(text: &[u8], link: crate::mime::ObjectLink) -> Option<Reference> {
    let tag = tag(text, link.tag + 1).filter(|_| text.get(link.tag) == Some(&b'<'))?;
    let content = text.get(link.content.clone())?;
    let start = link.content.start + content.len() - content.trim_ascii_start().len();
    let range = start..start + content.trim_ascii().len();
    let written = tag
        .attributes
        .iter()
        .find(|attribute| text.get(attribute.name.clone()).is_some_and(|name| name == b"ContentType"));
    let typed = written.map_or(Typed::Missing(tag.name.end), |written| Typed::Value(written.value.clone()));
    Some(Reference { range, target: link.target, typed: link.is_objlink.then_some(typed) })
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
    let mut found = Tag { name: start..name_end, attributes: Vec::new(), end: name_end };
    let mut at = name_end;
    loop {
        at = until(at, &|b| !b.is_ascii_whitespace())?;
        match text.get(at)? {
            b'>' => {
                found.end = at + 1;
                return Some(found);
            }
            b'/' | b'=' => at += 1,
            _ => {
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
        let text = "<p xmlns='urn:ietf:params:xml:ns:pidf-ext-cont' xmlns:b='urn:ietf:params:xml:ns:pidf-ext-cont' xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' xmlns:x='urn:x'><b:ObjLink>\n cid:a@b </b:ObjLink><ObjLink ContentType=\"x/y\">cid:c</ObjLink><ObjLink/><x:ObjLink>cid:d</x:ObjLink><r:status-icon>cid:e</r:status-icon></p>";
        let all = Doc::Presence.references(text.as_bytes());
        assert_eq!(targets(Doc::Presence, text), ["cid:a@b", "cid:c", "cid:e"]);
        let edits = all
            .iter()
            .flat_map(|reference| point_to(reference, "http://h/?a&b", Some("image/gif")))
            .collect();
        let new = String::from_utf8(apply(text.as_bytes(), edits)).unwrap();
        let inside = new.split_once("'urn:x'>").unwrap().1;
        assert_eq!(
            inside,
            "<b:ObjLink ContentType=\"image/gif\">\n http://h/?a&amp;b </b:ObjLink><ObjLink ContentType=\"image/gif\">http://h/?a&amp;b</ObjLink><ObjLink/><x:ObjLink>cid:d</x:ObjLink><r:status-icon>http://h/?a&amp;b</r:status-icon></p>"
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
