//! Whose presence a list is about: application/resource-lists+xml (RFC 4826 §3, RFC 5367).

use super::error::DocumentError;
use super::limits::Limits;
use super::namespace::RESOURCE_LISTS;
use super::reader;
use super::tree::Element;

/// The media type.
pub const MEDIA_TYPE: &str = "application/resource-lists+xml";

/// Entries of one document at most.
const ENTRIES: usize = 1024;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its URI.
    pub uri: String,
    /// What it is called.
    pub name: Option<String>,
}

/// The entries of all lists in it, those of lists in lists too; each URI once.
///
/// # Errors
/// [`DocumentError`]; entries that stand elsewhere (`external`, `entry-ref`) are [`DocumentError::Unsupported`]: they
/// would have to be fetched.
pub fn resource_lists(octets: &[u8], limits: &Limits) -> Result<Vec<Entry>, DocumentError> {
    let root = reader::read(octets, limits)?.root;
    if !root.name.is(RESOURCE_LISTS, "resource-lists") {
        return Err(DocumentError::Root("resource-lists"));
    }
    let mut entries = Vec::new();
    for list in root.all(RESOURCE_LISTS, "list") {
        collect(list, &mut entries)?;
    }
    Ok(entries)
}

fn collect(list: &Element, entries: &mut Vec<Entry>) -> Result<(), DocumentError> {
    for element in list.elements().filter(|element| &*element.name.namespace == RESOURCE_LISTS) {
        match &*element.name.local {
            "list" => collect(element, entries)?,
            "entry" => {
                let uri = element.attribute("uri").map(|uri| uri.trim().to_owned()).unwrap_or_default();
                if uri.is_empty() {
                    return Err(DocumentError::Content("an entry has no URI"));
                }
                if entries.len() == ENTRIES {
                    return Err(DocumentError::TooMany(ENTRIES));
                }
                let name = element.first(RESOURCE_LISTS, "display-name").map(Element::text);
                if entries.iter().all(|known| known.uri != uri) {
                    entries.push(Entry { uri, name });
                }
            }
            "external" | "entry-ref" => {
                return Err(DocumentError::Unsupported("entries that stand elsewhere are not fetched"));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inner: &str) -> Result<Vec<Entry>, DocumentError> {
        let text = format!(
            "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\" xmlns:cp=\"urn:ietf:params:xml:ns:copyControl\">{inner}</resource-lists>"
        );
        resource_lists(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn lists_in_lists_are_one_list() {
        let entries = read(
            "<list name=\"friends\"><display-name>Friends</display-name><entry uri=\"sip:a@h\" cp:copyControl=\"to\"><display-name>A</display-name></entry><list><entry uri=\"sip:b@h\"/><entry uri=\"sip:a@h\"/></list><x xmlns=\"urn:x\"/></list><list><entry uri=\" sip:c@h \"/></list>",
        )
        .unwrap();
        let uris: Vec<_> = entries.iter().map(|entry| &*entry.uri).collect();
        assert_eq!(uris, ["sip:a@h", "sip:b@h", "sip:c@h"]);
        assert_eq!(entries[0].name.as_deref(), Some("A"));
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn nothing_is_fetched_and_nothing_has_no_end() {
        assert!(matches!(
            read("<list><external anchor=\"http://h/\"/></list>"),
            Err(DocumentError::Unsupported(_))
        ));
        assert!(matches!(read("<list><entry-ref ref=\"x\"/></list>"), Err(DocumentError::Unsupported(_))));
        assert!(matches!(read("<list><entry/></list>"), Err(DocumentError::Content(_))));
        let many: String = (0..=ENTRIES).map(|number| format!("<entry uri=\"sip:{number}@h\"/>")).collect();
        assert_eq!(read(&format!("<list>{many}</list>")), Err(DocumentError::TooMany(ENTRIES)));
        assert_eq!(
            resource_lists(b"<list/>", &Limits::default()),
            Err(DocumentError::Root("resource-lists"))
        );
    }
}
