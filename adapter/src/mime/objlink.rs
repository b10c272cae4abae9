//! Links of presence documents to external objects (CPI.md §5): BINPIDF's `ObjLink`, RPID's `status-icon` (RFC 4480
//! §3.12), CIPID's `icon`, `card`, `sound` and `map` (RFC 4482 §3).

use std::ops::Range;

use quick_xml::NsReader;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

/// BINPIDF's.
const BINPIDF: &str = "urn:ietf:params:xml:ns:pidf-ext-cont";
const RPID: &str = "urn:ietf:params:xml:ns:pidf:rpid";
const CIPID: &str = "urn:ietf:params:xml:ns:pidf:cipid";

/// Links read from one document at most.
const LIMIT: usize = 128;

/// One `ObjLink`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjLink {
    /// Its attributes as written, the white space before them included.
    pub attributes: String,
    /// `cid:` and a Content-ID, or a URL; outer white space taken away.
    pub target: String,
}

impl serde::Serialize for ObjLink {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.attributes, &self.target).serialize(serializer)
    }
}

/// The `ObjLink`s of a document, up to the place where it stops being XML. A document with a DTD has none.
pub fn objlinks(document: &[u8]) -> Vec<ObjLink> {
    let links = object_links(document).into_iter().filter(|link| link.is_objlink);
    links.map(|link| ObjLink { attributes: link.attributes, target: link.target }).collect()
}

/// A link and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectLink {
    /// Whether it may say the media type of what it leads to.
    pub(crate) is_objlink: bool,
    /// Its attributes as written, the white space before them included.
    pub(crate) attributes: String,
    /// References resolved, outer white space taken away.
    pub(crate) target: String,
    /// Where its tag begins, with the `<`.
    pub(crate) tag: usize,
    /// Where its content stands.
    pub(crate) content: Range<usize>,
}

/// All links of a document, as for [`objlinks`].
pub(crate) fn object_links(document: &[u8]) -> Vec<ObjectLink> {
    let Ok(document) = std::str::from_utf8(document) else { return Vec::new() };
    let mut reader = NsReader::from_str(document);
    reader.config_mut().check_end_names = false;
    let mut links: Vec<ObjectLink> = Vec::new();
    let mut open: Option<ObjectLink> = None;
    while links.len() < LIMIT {
        let before = position(&reader);
        let Ok((namespace, event)) = reader.read_resolved_event() else { break };
        let link = match &event {
            Event::Start(start) => is_objlink(&namespace, start).map(|is_objlink| (is_objlink, start)),
            _ => None,
        };
        if let Some((is_objlink, start)) = link {
            open = Some(ObjectLink {
                is_objlink,
                attributes: start.attributes_raw().to_owned(),
                target: String::new(),
                tag: before,
                content: 0..0,
            });
            let after = position(&reader);
            if let Some(link) = &mut open {
                link.content = after..after;
            }
            continue;
        }
        match event {
            Event::DocType(_) => return Vec::new(),
            Event::Eof => break,
            // What has elements in it is no link.
            Event::Start(_) | Event::Empty(_) => open = None,
            Event::End(_) => {
                if let Some(mut link) = open.take() {
                    link.content.end = before;
                    link.target = link.target.trim().to_owned();
                    links.push(link);
                }
            }
            Event::Text(text) => extend(&mut open, &text),
            Event::CData(text) => extend(&mut open, &text),
            Event::GeneralRef(reference) => extend(&mut open, &resolve(&reference)),
            _ => {}
        }
    }
    links
}

fn position(reader: &NsReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// Whether an element is a link, and then whether it is BINPIDF's.
fn is_objlink(namespace: &ResolveResult<'_>, start: &BytesStart<'_>) -> Option<bool> {
    let ResolveResult::Bound(Namespace(namespace)) = namespace else { return None };
    match (*namespace, start.local_name().into_inner()) {
        (BINPIDF, "ObjLink") => Some(true),
        (RPID, "status-icon") | (CIPID, "icon" | "card" | "sound" | "map") => Some(false),
        _ => None,
    }
}

fn extend(open: &mut Option<ObjectLink>, text: &str) {
    if let Some(link) = open {
        link.target.push_str(text);
    }
}

/// The five predefined entities and character references; anything else is nothing.
fn resolve(reference: &BytesRef<'_>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.into();
    }
    let named: &str = reference;
    match named {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => "",
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        r#"<p xmlns="urn:ietf:params:xml:ns:pidf" xmlns:b="urn:ietf:params:xml:ns:pidf-ext-cont">"#;

    #[test]
    fn references_are_resolved_and_white_space_is_trimmed() {
        let document =
            format!("{HEAD}<b:ObjLink ContentType=\"image/gif\"> http://h/?a&amp;b&#33; </b:ObjLink></p>");
        let all = objlinks(document.as_bytes());
        assert_eq!(all.len(), 1);
        assert_eq!((&*all[0].attributes, &*all[0].target), (" ContentType=\"image/gif\"", "http://h/?a&b!"));
    }

    #[test]
    fn another_namespace_and_a_dtd_have_no_links() {
        assert!(objlinks(b"<p><ObjLink>cid:a</ObjLink></p>").is_empty());
        let document = format!("<!DOCTYPE p [<!ENTITY x \"y\">]>{HEAD}<b:ObjLink>&x;</b:ObjLink></p>");
        assert!(objlinks(document.as_bytes()).is_empty());
    }

    #[test]
    fn rich_presence_links_too_and_each_stands_where_it_says() {
        let document = "\
<presence xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" xmlns=\"urn:x\"><r:status-icon a='1'> cid:1&amp;2 </r:status-icon><icon xmlns=\"urn:ietf:params:xml:ns:pidf:cipid\">cid:3</icon><icon>cid:4</icon><r:icon>cid:5</r:icon><r:status-icon><x/>cid:6</r:status-icon></presence>";
        let links = object_links(document.as_bytes());
        let targets: Vec<_> = links.iter().map(|link| (link.is_objlink, &*link.target)).collect();
        assert_eq!(targets, [(false, "cid:1&2"), (false, "cid:3")]);
        assert_eq!(&document[links[0].content.clone()], " cid:1&amp;2 ");
        assert!(document[links[0].tag..].starts_with("<r:status-icon a="));
        assert!(objlinks(document.as_bytes()).is_empty());
    }

    #[test]
    fn no_more_links_are_read_than_the_limit() {
        let links = "<ObjLink>cid:a</ObjLink>".repeat(LIMIT + 1);
        let text = format!("<presence xmlns=\"urn:ietf:params:xml:ns:pidf-ext-cont\">{links}</presence>");
        assert_eq!(objlinks(text.as_bytes()).len(), LIMIT);
    }
}
