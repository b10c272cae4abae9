//! From elements to octets: what an element needs is declared where it stands, wherever it came from.

use super::namespace;
use super::tree::{Element, Name, Node, built_in};

/// The line every document begins with.
pub(crate) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// A document of that root, PIDF being called `pidf` in it.
pub(crate) fn document(root: &Element, pidf: &str) -> Vec<u8> {
    let mut writer = Writer { out: String::from(DECLARATION), scope: Vec::new(), pidf };
    writer.element(root);
    writer.out.push('\n');
    writer.out.into_bytes()
}

struct Writer<'a> {
    out: String,
    /// Bindings in scope, the innermost last.
    scope: Vec<(&'a str, &'a str)>,
    pidf: &'a str,
}

impl<'a> Writer<'a> {
    fn element(&mut self, element: &'a Element) {
        let outside = self.scope.len();
        self.out.push('<');
        self.name(&element.name);
        for (prefix, uri) in &element.declared {
            if self.bound(prefix) != Some(uri) {
                self.declare(prefix, uri);
            }
        }
        self.need(&element.name, outside);
        for attribute in &element.attributes {
            if !attribute.name.prefix.is_empty() {
                self.need(&attribute.name, outside);
            }
            self.out.push(' ');
            self.name(&attribute.name);
            let quote = if attribute.raw.contains('"') { '\'' } else { '"' };
            self.out.push('=');
            self.out.push(quote);
            self.out.push_str(&attribute.raw);
            self.out.push(quote);
        }
        if element.children.is_empty() {
            self.out.push_str("/>");
        } else {
            self.out.push('>');
            for node in &element.children {
                match node {
                    Node::Element(child) => self.element(child),
                    Node::Text(text) | Node::Other(text) => self.out.push_str(text),
                }
            }
            self.out.push_str("</");
            self.name(&element.name);
            self.out.push('>');
        }
        self.scope.truncate(outside);
    }

    fn name(&mut self, name: &Name) {
        if !name.prefix.is_empty() {
            self.out.push_str(&name.prefix);
            self.out.push(':');
        }
        self.out.push_str(&name.local);
    }

    /// Declares what the name says, unless it is in scope. A tag that declares its prefix otherwise can't come from a
    /// document: whoever renames an element takes such a declaration away.
    fn need(&mut self, name: &'a Name, outside: usize) {
        let bound = self.bound(&name.prefix);
        let is_so = match bound {
            Some(uri) => uri == &*name.namespace,
            None => name.namespace.is_empty() || built_in(&name.prefix) == Some(&*name.namespace),
        };
        let made_here = self
            .scope
            .get(outside..)
            .is_some_and(|here| here.iter().any(|(prefix, _)| *prefix == &*name.prefix));
        if !is_so && !made_here {
            self.declare(&name.prefix, &name.namespace);
        }
    }

    fn bound(&self, prefix: &str) -> Option<&'a str> {
        self.scope.iter().rev().find(|(bound, _)| *bound == prefix).map(|(_, uri)| *uri)
    }

    fn declare(&mut self, prefix: &'a str, uri: &'a str) {
        self.out.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
        self.out.push_str(prefix);
        self.out.push_str("=\"");
        let written = if uri == namespace::PIDF { self.pidf } else { uri };
        self.out.push_str(&quick_xml::escape::escape(written));
        self.out.push('"');
        self.scope.push((prefix, uri));
    }
}
