//! Elements in memory: namespaces resolved, text and attributes as they were written.

use std::borrow::Cow;
use std::sync::Arc;

use quick_xml::escape;

use super::namespace;

/// An element with all that is in it.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) name: Name,
    /// Namespace declarations in its tag: prefix (empty: the default) and URI.
    pub(crate) declared: Vec<(Box<str>, Arc<str>)>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) children: Vec<Node>,
}

/// What a name is, and how it was spelt.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    /// Empty: no namespace.
    pub(crate) namespace: Arc<str>,
    /// Empty: none.
    pub(crate) prefix: Box<str>,
    pub(crate) local: Box<str>,
}

/// An attribute; namespace declarations are none.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: Name,
    /// As written between its quotes, references unresolved.
    pub(crate) raw: Box<str>,
}

/// What stands in an element.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Element(Element),
    /// As written, references unresolved; CDATA sections are written as text.
    Text(Box<str>),
    /// A comment or a processing instruction, with its delimiters.
    Other(Box<str>),
}

impl Name {
    pub(crate) fn is(&self, namespace: &str, local: &str) -> bool {
        &*self.local == local && &*self.namespace == namespace
    }

    pub(crate) fn same(&self, other: &Name) -> bool {
        self.local == other.local && self.namespace == other.namespace
    }

    /// A name without a prefix.
    pub(crate) fn plain(namespace: &str, local: &str) -> Name {
        Name { namespace: namespace.into(), prefix: "".into(), local: local.into() }
    }
}

impl Attribute {
    pub(crate) fn new(local: &str, value: &str) -> Attribute {
        Attribute { name: Name::plain("", local), raw: escape::escape(value).into() }
    }

    pub(crate) fn value(&self) -> Cow<'_, str> {
        unescaped(&self.raw)
    }
}

impl Element {
    pub(crate) fn new(namespace: &str, local: &str) -> Element {
        Element {
            name: Name::plain(namespace, local),
            declared: Vec::new(),
            attributes: Vec::new(),
            children: Vec::new(),
        }
    }

    /// The same with that attribute more.
    pub(crate) fn with(mut self, local: &str, value: &str) -> Element {
        self.attributes.push(Attribute::new(local, value));
        self
    }

    /// The same with that text more.
    pub(crate) fn text_added(mut self, text: &str) -> Element {
        if !text.is_empty() {
            self.children.push(Node::Text(escape::partial_escape(text).into()));
        }
        self
    }

    /// The same with that child more.
    pub(crate) fn holding(mut self, child: Element) -> Element {
        self.children.push(Node::Element(child));
        self
    }

    /// An attribute that has no namespace.
    pub(crate) fn attribute(&self, local: &str) -> Option<Cow<'_, str>> {
        self.attributes.iter().find(|attribute| attribute.name.is("", local)).map(Attribute::value)
    }

    /// Sets an attribute that has no namespace.
    pub(crate) fn set_attribute(&mut self, local: &str, value: &str) {
        match self.attributes.iter_mut().find(|attribute| attribute.name.is("", local)) {
            Some(attribute) => attribute.raw = escape::escape(value).into(),
            None => self.attributes.push(Attribute::new(local, value)),
        }
    }

    pub(crate) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(Node::element)
    }

    pub(crate) fn elements_mut(&mut self) -> impl Iterator<Item = &mut Element> {
        self.children.iter_mut().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            _ => None,
        })
    }

    /// The children of that name.
    pub(crate) fn all<'a>(&'a self, namespace: &'a str, local: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements().filter(move |element| element.name.is(namespace, local))
    }

    /// The first child of that name.
    pub(crate) fn first(&self, namespace: &str, local: &str) -> Option<&Element> {
        self.elements().find(|element| element.name.is(namespace, local))
    }

    /// The text in it, that of its children left out; references resolved, outer white space taken away.
    pub(crate) fn text(&self) -> String {
        let raw: String = self.children.iter().filter_map(Node::text).collect();
        unescaped(&raw).trim().to_owned()
    }

    /// Replaces all that is in it.
    pub(crate) fn set_text(&mut self, text: &str) {
        self.children = vec![Node::Text(escape::partial_escape(text).into())];
    }

    /// Whether both say the same, however they spell it: prefixes, comments and the order of attributes don't count,
    /// white space between elements doesn't either.
    pub(crate) fn same(&self, other: &Element) -> bool {
        if !self.name.same(&other.name) || self.attributes.len() != other.attributes.len() {
            return false;
        }
        let attributes = self.attributes.iter().all(|mine| {
            other
                .attributes
                .iter()
                .any(|theirs| mine.name.same(&theirs.name) && mine.value() == theirs.value())
        });
        attributes && content(self).eq(content(other))
    }

    /// Without what only a reader of the text sees: white space between elements, comments, instructions.
    pub(crate) fn condensed(&self) -> Element {
        let mut children: Vec<Node> = Vec::with_capacity(self.children.len());
        let is_text = self.elements().next().is_none();
        for node in &self.children {
            match node {
                Node::Element(element) => children.push(Node::Element(element.condensed())),
                Node::Text(text) if is_text || !is_blank(text) => push_text(&mut children, text),
                Node::Text(_) | Node::Other(_) => {}
            }
        }
        Element {
            name: self.name.clone(),
            declared: self.declared.clone(),
            attributes: self.attributes.clone(),
            children,
        }
    }
}

impl Node {
    pub(crate) fn element(&self) -> Option<&Element> {
        match self {
            Node::Element(element) => Some(element),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Adds text, to the text before it if there is one.
pub(crate) fn push_text(children: &mut Vec<Node>, text: &str) {
    if let Some(Node::Text(before)) = children.last_mut() {
        *before = [before, text].concat().into();
    } else {
        children.push(Node::Text(text.into()));
    }
}

/// References resolved. What was read has none that can't be.
pub(crate) fn unescaped(raw: &str) -> Cow<'_, str> {
    escape::unescape(raw).unwrap_or(Cow::Borrowed(raw))
}

pub(crate) fn is_blank(text: &str) -> bool {
    text.bytes().all(|octet| octet.is_ascii_whitespace())
}

#[derive(PartialEq)]
enum Content<'a> {
    Element(Same<'a>),
    Text(String),
}

struct Same<'a>(&'a Element);

impl PartialEq for Same<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.same(other.0)
    }
}

/// What counts of an element's content: text joined where a comment stood between.
fn content(element: &Element) -> impl Iterator<Item = Content<'_>> {
    let is_text = element.elements().next().is_none();
    let mut all: Vec<Content<'_>> = Vec::with_capacity(element.children.len());
    for node in &element.children {
        match node {
            Node::Element(element) => all.push(Content::Element(Same(element))),
            Node::Text(text) if is_text || !is_blank(text) => {
                let text = unescaped(text).replace("\r\n", "\n");
                match all.last_mut() {
                    Some(Content::Text(before)) => before.push_str(&text),
                    _ => all.push(Content::Text(text)),
                }
            }
            Node::Text(_) | Node::Other(_) => {}
        }
    }
    all.into_iter()
}

/// Whether the prefix is one that nobody may declare.
pub(crate) fn is_reserved(prefix: &str) -> bool {
    matches!(prefix, "xml" | "xmlns")
}

/// The namespace `xml:` stands for without a declaration.
pub(crate) fn built_in(prefix: &str) -> Option<&'static str> {
    (prefix == "xml").then_some(namespace::XML)
}
