//! The selectors of patches (RFC 5261 §4.1): names, positions, attributes. No other XPath.

use std::sync::Arc;

use super::super::error::DocumentError;
use super::super::tree::{Element, Name, Node, built_in};

/// What a selector leads to: a way of child numbers from the root, and what is meant there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) way: Vec<usize>,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Element,
    Text,
    /// Its namespace and its local name.
    Attribute(Arc<str>, String),
}

/// Prefixes of the patch: an unprefixed element is of its default namespace (RFC 5261 §4.2.2).
pub(super) type Bindings = [(Box<str>, Arc<str>)];

const NOTHING: DocumentError = DocumentError::Content("a selector of the patch finds nothing, or several");
const BEYOND: DocumentError =
    DocumentError::Unsupported("a selector of the patch asks for more than is done");

/// The one node that a selector finds.
pub(super) fn select(root: &Element, selector: &str, bindings: &Bindings) -> Result<Selected, DocumentError> {
    let mut steps = split(selector.trim().trim_start_matches('/'))?.into_iter();
    let first = steps.next().ok_or(NOTHING)?;
    if !Step::read(first, bindings)?.finds(root, 1, 1) {
        return Err(NOTHING);
    }
    let mut at = root;
    let mut way = Vec::new();
    let mut steps = steps.peekable();
    while let Some(step) = steps.next() {
        let what = if step == "text()" {
            What::Text
        } else if let Some(name) = step.strip_prefix('@') {
            let (namespace, local) = expanded(name, bindings, "")?;
            What::Attribute(namespace, local.to_owned())
        } else {
            let (child, next) = child(at, &Step::read(step, bindings)?)?;
            way.push(child);
            at = next;
            continue;
        };
        return if steps.peek().is_none() { Ok(Selected { way, what }) } else { Err(BEYOND) };
    }
    Ok(Selected { way, what: What::Element })
}

/// The element at the end of a way.
pub(super) fn at<'a>(root: &'a mut Element, way: &[usize]) -> Result<&'a mut Element, DocumentError> {
    let mut at = root;
    for &child in way {
        at = match at.children.get_mut(child) {
            Some(Node::Element(element)) => element,
            _ => return Err(NOTHING),
        };
    }
    Ok(at)
}

fn child<'a>(parent: &'a Element, step: &Step<'_>) -> Result<(usize, &'a Element), DocumentError> {
    let mut found = None;
    let (mut any, mut named) = (0, 0);
    for (number, node) in parent.children.iter().enumerate() {
        let Some(element) = node.element() else { continue };
        any += 1;
        named += usize::from(step.is_called(element));
        if step.finds(element, any, named) && found.replace((number, element)).is_some() {
            return Err(NOTHING);
        }
    }
    found.ok_or(NOTHING)
}

/// The steps of a selector; a `/` in quotes is none.
fn split(selector: &str) -> Result<Vec<&str>, DocumentError> {
    let mut steps = Vec::new();
    let mut start = 0;
    let mut quote = None;
    for (at, octet) in selector.bytes().enumerate() {
        match (quote, octet) {
            (None, b'\'' | b'"') => quote = Some(octet),
            (Some(open), _) if open == octet => quote = None,
            (None, b'/') => {
                steps.push(selector.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    steps.push(selector.get(start..).unwrap_or_default());
    if steps.iter().any(|step| step.is_empty()) { Err(BEYOND) } else { Ok(steps) }
}

struct Step<'a> {
    /// `None`: any element.
    name: Option<(Arc<str>, &'a str)>,
    position: Option<usize>,
    attributes: Vec<(Arc<str>, &'a str, &'a str)>,
}

impl<'a> Step<'a> {
    fn read(text: &'a str, bindings: &Bindings) -> Result<Step<'a>, DocumentError> {
        let name_end = text.find('[').unwrap_or(text.len());
        let (name, mut rest) = text.split_at_checked(name_end).ok_or(BEYOND)?;
        let name = if name == "*" { None } else { Some(expanded(name, bindings, default(bindings))?) };
        let mut step = Step { name, position: None, attributes: Vec::new() };
        while let Some(inside) = rest.strip_prefix('[') {
            let end = predicate_end(inside).ok_or(BEYOND)?;
            let (predicate, after) = inside.split_at_checked(end).ok_or(BEYOND)?;
            rest = after.get(1..).unwrap_or_default();
            step.predicate(predicate.trim(), bindings)?;
        }
        if rest.is_empty() { Ok(step) } else { Err(BEYOND) }
    }

    fn predicate(&mut self, text: &'a str, bindings: &Bindings) -> Result<(), DocumentError> {
        if let Ok(position) = text.parse::<usize>() {
            return if self.position.replace(position).is_none() && self.attributes.is_empty() {
                Ok(())
            } else {
                Err(BEYOND)
            };
        }
        let (name, value) = text.strip_prefix('@').and_then(|text| text.split_once('=')).ok_or(BEYOND)?;
        let value = value.trim();
        let quoted = ['\'', '"'].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        let (namespace, local) = expanded(name.trim(), bindings, "")?;
        self.attributes.push((namespace, local, quoted.ok_or(BEYOND)?));
        Ok(())
    }

    fn is_called(&self, element: &Element) -> bool {
        self.name.as_ref().is_none_or(|(namespace, local)| element.name.is(namespace, local))
    }

    /// `any` and `named`: which element it is among its siblings, and among those of its name.
    fn finds(&self, element: &Element, any: usize, named: usize) -> bool {
        let position = if self.name.is_some() { named } else { any };
        let has = |(namespace, local, value): &(Arc<str>, &str, &str)| {
            let named = element.attributes.iter().find(|attribute| attribute.name.is(namespace, local));
            named.is_some_and(|attribute| attribute.value() == *value)
        };
        self.is_called(element)
            && self.position.is_none_or(|wanted| wanted == position)
            && self.attributes.iter().all(has)
    }
}

fn predicate_end(text: &str) -> Option<usize> {
    let mut quote = None;
    text.bytes().position(|octet| match (quote, octet) {
        (None, b'\'' | b'"') => {
            quote = Some(octet);
            false
        }
        (Some(open), _) if open == octet => {
            quote = None;
            false
        }
        (None, b']') => true,
        _ => false,
    })
}

fn default(bindings: &Bindings) -> &str {
    bindings.iter().rev().find(|(prefix, _)| prefix.is_empty()).map_or("", |(_, uri)| uri)
}

/// The name that a written one is, where unprefixed ones are of `unprefixed`.
pub(super) fn expanded<'a>(
    written: &'a str,
    bindings: &Bindings,
    unprefixed: &str,
) -> Result<(Arc<str>, &'a str), DocumentError> {
    let (prefix, local) = written.split_once(':').unwrap_or(("", written));
    if !super::super::reader::is_name(local) {
        return Err(BEYOND);
    }
    if prefix.is_empty() {
        return Ok((unprefixed.into(), local));
    }
    let bound = bindings.iter().rev().find(|(known, _)| &**known == prefix);
    let uri = bound.map(|(_, uri)| uri.clone()).or_else(|| built_in(prefix).map(Arc::from));
    uri.map(|uri| (uri, local)).ok_or(BEYOND)
}

/// A name as an attribute of that prefix.
pub(super) fn attribute_name(written: &str, bindings: &Bindings) -> Result<Name, DocumentError> {
    let (namespace, local) = expanded(written, bindings, "")?;
    let prefix = written.split_once(':').map_or("", |(prefix, _)| prefix);
    Ok(Name { namespace, prefix: prefix.into(), local: local.into() })
}
