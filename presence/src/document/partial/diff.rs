//! What makes one document of another, as a patch.
//!
//! Each operation is made on a copy of the old document as soon as it is written, so that the selector of the next one
//! is right when its turn comes: a watcher makes the changes in the same order (RFC 5262 §4).

use std::sync::Arc;

use super::super::namespace::{PIDF, PIDF_DIFF, XML};
use super::super::tree::{Attribute, Element, Name, Node};

/// More operations than these are not worth it.
const OPERATIONS: usize = 64;

/// Of elements with more children than these it is not worked out which of them changed.
const CHILDREN: usize = 256;

/// The `pidf-diff`, or `None` if some change can't be said, or takes too many operations.
pub(super) fn patch(old: &Element, new: &Element, version: u32) -> Option<Element> {
    let mut root = Element::new(PIDF_DIFF, "pidf-diff");
    root.name = name(new, "pidf-diff");
    root.declared = new.declared.clone();
    declare(&mut root);
    let entity = new.attribute("entity").unwrap_or_default();
    root = root.with("entity", &entity).with("version", &version.to_string());
    let mut differ = Differ { prefix: root.name.prefix.clone(), root, operations: Vec::new() };
    let mut copy = old.clone();
    differ.element(&mut copy, new, "*").ok()?;
    let mut root = differ.root;
    root.children = differ.operations.into_iter().map(Node::Element).collect();
    Some(root)
}

/// A name of the partial namespace, with a prefix that the document does not use at its root.
pub(super) fn name(document: &Element, local: &str) -> Name {
    let is_free = |prefix: &&str| {
        !document.declared.iter().any(|(known, uri)| &**known == *prefix && &**uri != PIDF_DIFF)
    };
    let prefix = ["p", "pd", "pidf-diff"].into_iter().find(is_free).unwrap_or("partial-pidf");
    Name { namespace: PIDF_DIFF.into(), prefix: prefix.into(), local: local.into() }
}

/// PIDF is the default of a partial document, and its own prefix is declared.
pub(super) fn declare(root: &mut Element) {
    let own = root.name.prefix.clone();
    root.declared.retain(|(prefix, _)| !prefix.is_empty() && *prefix != own);
    root.declared.insert(0, ("".into(), PIDF.into()));
    root.declared.insert(1, (own, PIDF_DIFF.into()));
}

struct Differ {
    /// Of the operations.
    prefix: Box<str>,
    /// Whose declarations the selectors use.
    root: Element,
    operations: Vec<Element>,
}

/// The element has to be replaced as a whole.
struct Whole;

impl Differ {
    /// Makes `old` the same as `new`, which has the same name.
    fn element(&mut self, old: &mut Element, new: &Element, path: &str) -> Result<(), Whole> {
        if self.operations.len() > OPERATIONS || !old.name.same(&new.name) {
            return Err(Whole);
        }
        let has_elements = |element: &Element| element.elements().next().is_some();
        let has_text = |element: &Element| element.children.iter().any(|node| node.text().is_some());
        let elements = has_elements(old) || has_elements(new);
        if elements && (has_text(old) || has_text(new)) {
            return if old.same(new) { Ok(()) } else { Err(Whole) };
        }
        self.attributes(old, new, path)?;
        if elements { self.children(old, new, path) } else { self.text(old, new, path) }
    }

    fn attributes(&mut self, old: &Element, new: &Element, path: &str) -> Result<(), Whole> {
        let find = |element: &Element, name: &Name| {
            element.attributes.iter().find(|attribute| attribute.name.same(name)).cloned()
        };
        for mine in &old.attributes {
            let selector = format!("{path}/@{}", self.attribute_name(&mine.name));
            match find(new, &mine.name) {
                None => self.operation("remove", &selector, None, Vec::new()),
                Some(theirs) if theirs.value() != mine.value() => {
                    self.operation("replace", &selector, None, value(&theirs)?);
                }
                Some(_) => {}
            }
        }
        for theirs in new.attributes.iter().filter(|theirs| find(old, &theirs.name).is_none()) {
            let kind = format!("@{}", self.attribute_name(&theirs.name));
            self.operation("add", path, Some(("type", &kind)), value(theirs)?);
        }
        Ok(())
    }

    fn text(&mut self, old: &Element, new: &Element, path: &str) -> Result<(), Whole> {
        let text = |element: &Element| -> String { element.children.iter().filter_map(Node::text).collect() };
        let (mine, theirs) = (text(old), text(new));
        let selector = format!("{path}/text()");
        let content = || vec![Node::Text(theirs.clone().into())];
        match (mine.is_empty(), theirs.is_empty()) {
            _ if old.children.is_empty() && new.children.is_empty() => {}
            _ if super::super::tree::unescaped(&mine) == super::super::tree::unescaped(&theirs) => {}
            // White space alone is not seen by everyone who reads.
            _ if mine.trim().is_empty() != mine.is_empty()
                || theirs.trim().is_empty() != theirs.is_empty() =>
            {
                return Err(Whole);
            }
            (true, _) => self.operation("add", path, None, content()),
            (_, true) => self.operation("remove", &selector, None, Vec::new()),
            _ => self.operation("replace", &selector, None, content()),
        }
        Ok(())
    }

    fn children(&mut self, old: &mut Element, new: &Element, path: &str) -> Result<(), Whole> {
        if old.children.len().max(new.children.len()) > CHILDREN {
            return Err(Whole);
        }
        let kept = kept(old, new);
        for at in (0..old.children.len()).rev() {
            if !kept.iter().any(|(mine, _)| *mine == at) {
                let selector = format!("{path}/{}", self.step(old, at)?);
                self.operation("remove", &selector, None, Vec::new());
                old.children.remove(at);
            }
        }
        for (at, node) in new.children.iter().enumerate() {
            if kept.iter().any(|(_, theirs)| *theirs == at) {
                continue;
            }
            self.insert(old, at, node, path)?;
        }
        for (at, node) in new.children.iter().enumerate() {
            let (Some(Node::Element(mine)), Some(theirs)) = (old.children.get(at), node.element()) else {
                return Err(Whole);
            };
            if mine.same(theirs) {
                continue;
            }
            let selector = format!("{path}/{}", self.step(old, at)?);
            let before = self.operations.len();
            let mut copy = mine.clone();
            if self.element(&mut copy, theirs, &selector).is_err() {
                self.operations.truncate(before);
                self.operation("replace", &selector, None, vec![node.clone()]);
            }
            if let Some(place) = old.children.get_mut(at) {
                *place = node.clone();
            }
        }
        if self.operations.len() > OPERATIONS { Err(Whole) } else { Ok(()) }
    }

    fn insert(&mut self, old: &mut Element, at: usize, node: &Node, path: &str) -> Result<(), Whole> {
        let content = vec![node.clone()];
        if at >= old.children.len() {
            self.operation("add", path, None, content);
        } else if at == 0 {
            self.operation("add", path, Some(("pos", "prepend")), content);
        } else {
            let selector = format!("{path}/{}", self.step(old, at - 1)?);
            self.operation("add", &selector, Some(("pos", "after")), content);
        }
        old.children.insert(at.min(old.children.len()), node.clone());
        Ok(())
    }

    /// The step that leads to a child as things stand now.
    fn step(&mut self, parent: &Element, at: usize) -> Result<String, Whole> {
        let child = parent.children.get(at).and_then(Node::element).ok_or(Whole)?;
        let position = |is_counted: &dyn Fn(&Element) -> bool| {
            let before = parent.children.get(..=at).unwrap_or_default();
            before.iter().filter_map(Node::element).filter(|element| is_counted(element)).count()
        };
        if child.name.namespace.is_empty() {
            return Ok(format!("*[{}]", position(&|_| true)));
        }
        let name = self.element_name(&child.name);
        let id = child.attribute("id");
        let with_id =
            parent.elements().filter(|other| other.name.same(&child.name) && other.attribute("id") == id);
        if let Some(id) = id.as_ref().filter(|_| with_id.count() == 1) {
            for quote in ['\'', '"'] {
                if !id.contains(quote) {
                    return Ok(format!("{name}[@id={quote}{id}{quote}]"));
                }
            }
        }
        let is_same = |other: &Element| other.name.same(&child.name);
        if parent.elements().filter(|other| is_same(other)).count() == 1 {
            return Ok(name);
        }
        Ok(format!("{name}[{}]", position(&is_same)))
    }

    fn element_name(&mut self, name: &Name) -> String {
        if &*name.namespace == PIDF {
            return name.local.to_string();
        }
        format!("{}:{}", self.prefix_of(&name.namespace, &name.prefix), name.local)
    }

    fn attribute_name(&mut self, name: &Name) -> String {
        if name.namespace.is_empty() {
            return name.local.to_string();
        }
        format!("{}:{}", self.prefix_of(&name.namespace, &name.prefix), name.local)
    }

    /// A prefix that the patch declares for the namespace: the document's own if it is free.
    fn prefix_of(&mut self, namespace: &Arc<str>, wanted: &str) -> String {
        if &**namespace == XML {
            return "xml".into();
        }
        let declared = &mut self.root.declared;
        if let Some((prefix, _)) =
            declared.iter().find(|(prefix, uri)| uri == namespace && !prefix.is_empty())
        {
            return prefix.to_string();
        }
        let is_free =
            |prefix: &str| !prefix.is_empty() && !declared.iter().any(|(known, _)| &**known == prefix);
        let numbered =
            || (1..=declared.len() + 1).map(|number| format!("n{number}")).find(|name| is_free(name));
        let prefix = if is_free(wanted) { wanted.to_owned() } else { numbered().unwrap_or_default() };
        declared.push((prefix.clone().into(), namespace.clone()));
        prefix
    }

    fn operation(&mut self, what: &str, selector: &str, more: Option<(&str, &str)>, content: Vec<Node>) {
        let mut operation = Element::new(PIDF_DIFF, what);
        operation.name.prefix = self.prefix.clone();
        let raw = quick_xml::escape::partial_escape(selector).replace('"', "&quot;");
        operation.attributes.push(Attribute { name: Name::plain("", "sel"), raw: raw.into() });
        if let Some((name, value)) = more {
            operation = operation.with(name, value);
        }
        operation.children = content;
        self.operations.push(operation);
    }
}

/// An attribute's value as text. White space that a text would not keep makes the whole element go.
fn value(attribute: &Attribute) -> Result<Vec<Node>, Whole> {
    let value = attribute.value();
    if value.trim() != value {
        return Err(Whole);
    }
    let raw = quick_xml::escape::partial_escape(&*value);
    Ok(if raw.is_empty() { Vec::new() } else { vec![Node::Text(raw.into())] })
}

/// Which children of both are the same thing in the same order: pairs of child numbers, ascending in both.
fn kept(old: &Element, new: &Element) -> Vec<(usize, usize)> {
    let (mine, theirs) = (keys(old), keys(new));
    let pairs: Vec<(usize, usize)> = theirs
        .iter()
        .filter_map(|(key, at)| mine.iter().find(|(known, _)| known == key).map(|(_, old)| (*old, *at)))
        .collect();
    ascending(&pairs)
}

/// The longest run of pairs in which the old numbers ascend too.
fn ascending(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // For each pair the length of the longest run that ends with it, and the pair before it.
    let mut runs: Vec<(usize, Option<usize>)> = Vec::with_capacity(pairs.len());
    for (at, (old, _)) in pairs.iter().enumerate() {
        let before = (0..at).filter(|&other| pairs.get(other).is_some_and(|(earlier, _)| earlier < old));
        let best = before.max_by_key(|&other| runs.get(other).map_or(0, |(length, _)| *length));
        let length = best.and_then(|best| runs.get(best)).map_or(0, |(length, _)| *length);
        runs.push((length + 1, best));
    }
    let mut at = (0..runs.len()).max_by_key(|&at| runs.get(at).map_or(0, |(length, _)| *length));
    let mut run = Vec::new();
    while let Some(here) = at {
        run.extend(pairs.get(here).copied());
        at = runs.get(here).and_then(|(_, before)| *before);
    }
    run.reverse();
    run
}

/// What each child is: its name, its id, and which of those alike.
fn keys(parent: &Element) -> Vec<((String, usize), usize)> {
    let mut keys: Vec<((String, usize), usize)> = Vec::new();
    for (at, element) in
        parent.children.iter().enumerate().filter_map(|(at, node)| Some((at, node.element()?)))
    {
        let id = element.attribute("id").unwrap_or_default();
        let key = format!("{} {} {id}", element.name.namespace, element.name.local);
        let alike = keys.iter().filter(|((known, _), _)| *known == key).count();
        keys.push(((key, alike), at));
    }
    keys
}
