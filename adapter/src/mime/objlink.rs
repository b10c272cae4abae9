//! `ObjLink` of presence documents (BINPIDF, CPI.md §5): which parts and places a document points to.

use quick_xml::NsReader;
use quick_xml::events::{BytesRef, Event};
use quick_xml::name::ResolveResult;

/// The namespace of the element.
const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf-ext-cont";

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

/// The links of a document, up to the place where it stops being XML. A document with a DTD has none.
pub fn objlinks(document: &[u8]) -> Vec<ObjLink> {
    let Ok(document) = std::str::from_utf8(document) else { return Vec::new() };
    let mut reader = NsReader::from_str(document);
    reader.config_mut().check_end_names = false;
    let mut links: Vec<ObjLink> = Vec::new();
    let mut inside = false;
    while links.len() < LIMIT {
        let Ok((namespace, event)) = reader.read_resolved_event() else { break };
        match event {
            Event::DocType(_) => return Vec::new(),
            Event::Eof => break,
            Event::Start(start) => {
                let ours = matches!(namespace, ResolveResult::Bound(ns) if ns.as_ref() == NAMESPACE);
                inside = ours && start.local_name().as_ref() == "ObjLink";
                if inside {
                    let attributes = start.attributes_raw().to_owned();
                    links.push(ObjLink { attributes, target: String::new() });
                }
            }
            Event::End(_) => inside = false,
            Event::Text(text) if inside => extend(&mut links, &text),
            Event::CData(text) if inside => extend(&mut links, &text),
            Event::GeneralRef(reference) if inside => extend(&mut links, &resolve(&reference)),
            _ => {}
        }
    }
    for link in &mut links {
        link.target = link.target.trim().to_owned();
    }
    links
}

fn extend(links: &mut [ObjLink], text: &str) {
    if let Some(link) = links.last_mut() {
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
    fn no_more_links_are_read_than_the_limit() {
        let links = "<ObjLink>cid:a</ObjLink>".repeat(LIMIT + 1);
        let text = format!("<presence xmlns=\"urn:ietf:params:xml:ns:pidf-ext-cont\">{links}</presence>");
        assert_eq!(objlinks(text.as_bytes()).len(), LIMIT);
    }
}
