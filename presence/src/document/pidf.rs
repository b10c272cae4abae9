//! A presence document (RFC 3863): read, asked, and written in either form.

use std::borrow::Cow;

use bytes::Bytes;

use super::error::DocumentError;
use super::limits::Limits;
use super::namespace::{BINPIDF, CPIM_PIDF, DATA_MODEL, PIDF};
use super::tree::{Element, Node};
use super::{reader, writer};

/// The two media types of a presence document (CPI.md §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// application/pidf+xml
    Pidf,
    /// application/cpim-pidf+xml, which older phones ask for
    CpimPidf,
}

impl Form {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Form::Pidf => "application/pidf+xml",
            Form::CpimPidf => "application/cpim-pidf+xml",
        }
    }

    /// The form that a media type (without parameters) names.
    pub fn of(media_type: &str) -> Option<Form> {
        [Form::Pidf, Form::CpimPidf]
            .into_iter()
            .find(|form| form.media_type().eq_ignore_ascii_case(media_type))
    }

    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Form::Pidf => PIDF,
            Form::CpimPidf => CPIM_PIDF,
        }
    }
}

/// What a presentity says of itself.
///
/// Unknown elements and attributes stay where they are; a document that is not changed is written octet for octet as it
/// was read, in the form it came in.
#[derive(Clone, Debug)]
pub struct Document {
    pub(crate) root: Element,
    /// As it was read, while nothing has changed.
    source: Option<(Form, Bytes)>,
}

impl Document {
    /// Reads a document of either form; the media type is not asked, the namespace says it.
    ///
    /// # Errors
    /// [`DocumentError`]: nothing of it is used then.
    pub fn read(octets: &Bytes, limits: &Limits) -> Result<Document, DocumentError> {
        let reading = reader::read(octets, limits)?;
        if !reading.root.name.is(PIDF, "presence") {
            return Err(DocumentError::Root("presence"));
        }
        let form = match reading.pidf.as_slice() {
            [only] if only == PIDF => Some(Form::Pidf),
            [only] if only == CPIM_PIDF => Some(Form::CpimPidf),
            _ => None,
        };
        let is_written_so = std::str::from_utf8(octets).is_ok();
        let source = form.filter(|_| is_written_so).map(|form| (form, octets.clone()));
        Ok(Document { root: reading.root, source })
    }

    /// A document that says nothing yet.
    pub fn new(entity: &str) -> Document {
        let mut root = Element::new(PIDF, "presence");
        root.declared.push(("".into(), PIDF.into()));
        Document::of(root.with("entity", entity))
    }

    /// What is told of someone who has published nothing, and, since they must not differ (polite blocking,
    /// RFC 3856 §6.6.2), to a watcher who is not to know: one closed tuple.
    pub fn closed(entity: &str) -> Document {
        Document::new(entity).tuple("closed", false, None)
    }

    /// What is told while the presentity has not yet said who may watch (RFC 3856 §6.6.1): nothing but that.
    pub fn pending(entity: &str) -> Document {
        Document::closed(entity).note("Waiting for the user to allow this subscription")
    }

    /// The same with a tuple more.
    #[must_use]
    pub fn tuple(mut self, id: &str, open: bool, contact: Option<&str>) -> Document {
        let basic = Element::new(PIDF, "basic").text_added(if open { "open" } else { "closed" });
        let mut tuple = Element::new(PIDF, "tuple").with("id", id);
        tuple = tuple.holding(Element::new(PIDF, "status").holding(basic));
        if let Some(contact) = contact {
            tuple = tuple.holding(Element::new(PIDF, "contact").text_added(contact));
        }
        // tuple*, note*, extensions*: the order of the schema (RFC 3863 §4.4).
        let at = self.root.children.iter().rposition(is_tuple).map_or(0, |last| last + 1);
        self.insert(at, tuple);
        self
    }

    /// The same with a note of the presentity more.
    #[must_use]
    pub fn note(mut self, text: &str) -> Document {
        let note = Element::new(PIDF, "note").text_added(text);
        let is_before = |node: &Node| {
            is_tuple(node) || node.element().is_some_and(|element| element.name.is(PIDF, "note"))
        };
        let at = self.root.children.iter().rposition(is_before).map_or(0, |last| last + 1);
        self.insert(at, note);
        self
    }

    /// The same with an external object more (BINPIDF): `cid:` and a Content-ID, or a URL with its media type.
    #[must_use]
    pub fn object(mut self, target: &str, content_type: Option<&str>) -> Document {
        let mut link = Element::new(BINPIDF, "ObjLink");
        link.name.prefix = "b".into();
        if !self.root.declared.iter().any(|(prefix, _)| &**prefix == "b") {
            self.root.declared.push(("b".into(), BINPIDF.into()));
        }
        if let Some(content_type) = content_type {
            link = link.with("ContentType", content_type);
        }
        self.insert(self.root.children.len(), link.text_added(target));
        self
    }

    /// The URI it is about; empty if it does not say.
    pub fn entity(&self) -> Cow<'_, str> {
        self.root.attribute("entity").unwrap_or_default()
    }

    /// Makes it a document about that URI.
    pub fn set_entity(&mut self, entity: &str) {
        if self.entity() != entity {
            self.changed().set_attribute("entity", entity);
        }
    }

    /// The ids of its tuples.
    pub fn tuples(&self) -> impl Iterator<Item = String> {
        self.root.all(PIDF, "tuple").map(|tuple| tuple.attribute("id").unwrap_or_default().into_owned())
    }

    /// The notes of the presentity itself.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.root.all(PIDF, "note").map(Element::text)
    }

    /// Whether any tuple is open.
    pub fn is_open(&self) -> bool {
        self.root
            .all(PIDF, "tuple")
            .filter_map(|tuple| tuple.first(PIDF, "status")?.first(PIDF, "basic"))
            .any(|basic| basic.text() == "open")
    }

    /// Whether both say the same. Prefixes, comments and white space between elements do not count.
    pub fn says_the_same(&self, other: &Document) -> bool {
        self.root.same(&other.root)
    }

    /// The octets, in that form.
    pub fn write(&self, form: Form) -> Bytes {
        match &self.source {
            Some((same, octets)) if *same == form => octets.clone(),
            _ => writer::document(&self.root, form.namespace()).into(),
        }
    }

    pub(crate) fn of(root: Element) -> Document {
        Document { root, source: None }
    }

    /// The root, to be changed.
    pub(crate) fn changed(&mut self) -> &mut Element {
        self.source = None;
        &mut self.root
    }

    fn insert(&mut self, at: usize, element: Element) {
        let children = &mut self.changed().children;
        children.insert(at.min(children.len()), Node::Element(element));
    }
}

fn is_tuple(node: &Node) -> bool {
    node.element().is_some_and(|element| element.name.is(PIDF, "tuple"))
}

/// The persons of RFC 4479 in a root.
pub(crate) fn is_person(element: &Element) -> bool {
    element.name.is(DATA_MODEL, "person")
}

/// The devices of RFC 4479 in a root.
pub(crate) fn is_device(element: &Element) -> bool {
    element.name.is(DATA_MODEL, "device")
}

/// Whether it is of PIDF itself.
pub(crate) fn is_pidf(element: &Element) -> bool {
    &*element.name.namespace == PIDF
}
