//! The operations of a patch (RFC 5261 §4.3 to §4.5), on a document.

use std::sync::Arc;

use super::super::error::DocumentError;
use super::super::namespace::PIDF_DIFF;
use super::super::tree::{Attribute, Element, Node, push_text};
use super::select::{self, Selected, What};

const MISPLACED: DocumentError =
    DocumentError::Content("an operation of the patch can't be done where it points");

/// Makes the changes of a `pidf-diff`, in order.
pub(super) fn apply(root: &mut Element, patch: &Element) -> Result<(), DocumentError> {
    for operation in patch.elements().filter(|element| &*element.name.namespace == PIDF_DIFF) {
        let mut bindings = patch.declared.clone();
        bindings.extend(operation.declared.iter().cloned());
        let selector =
            operation.attribute("sel").ok_or(DocumentError::Content("an operation has no selector"))?;
        let selected = select::select(root, &selector, &bindings)?;
        match &*operation.name.local {
            "add" => add(root, operation, selected, &bindings)?,
            "replace" => replace(root, operation, selected)?,
            "remove" => remove(root, selected)?,
            _ => return Err(DocumentError::Unsupported("an operation other than add, replace and remove")),
        }
    }
    Ok(())
}

fn add(
    root: &mut Element,
    operation: &Element,
    selected: Selected,
    bindings: &[(Box<str>, Arc<str>)],
) -> Result<(), DocumentError> {
    if selected.what != What::Element {
        return Err(MISPLACED);
    }
    if let Some(kind) = operation.attribute("type") {
        let name =
            kind.strip_prefix('@').ok_or(DocumentError::Unsupported("adding namespace declarations"))?;
        let name = select::attribute_name(name, bindings)?;
        let element = select::at(root, &selected.way)?;
        if element.attributes.iter().any(|attribute| attribute.name.same(&name)) {
            return Err(MISPLACED);
        }
        element.attributes.push(Attribute { name, raw: raw_text(operation).into() });
        return Ok(());
    }
    let new = operation.children.clone();
    match operation.attribute("pos").as_deref() {
        None => splice(select::at(root, &selected.way)?, None, new),
        Some("prepend") => splice(select::at(root, &selected.way)?, Some(0), new),
        Some(side @ ("before" | "after")) => {
            let (last, parents) = selected.way.split_last().ok_or(MISPLACED)?;
            let at = last + usize::from(side == "after");
            splice(select::at(root, parents)?, Some(at), new);
        }
        Some(_) => return Err(MISPLACED),
    }
    Ok(())
}

fn splice(parent: &mut Element, at: Option<usize>, new: Vec<Node>) {
    let at = at.unwrap_or(parent.children.len()).min(parent.children.len());
    let after = parent.children.split_off(at);
    for node in new.into_iter().chain(after) {
        match node {
            Node::Text(text) => push_text(&mut parent.children, &text),
            other => parent.children.push(other),
        }
    }
    *parent = parent.condensed();
}

fn replace(root: &mut Element, operation: &Element, selected: Selected) -> Result<(), DocumentError> {
    let Selected { way, what } = selected;
    match what {
        What::Element => {
            let new = operation.elements().next().ok_or(MISPLACED)?.condensed();
            let (last, parents) = way.split_last().ok_or(MISPLACED)?;
            let place = select::at(root, parents)?.children.get_mut(*last).ok_or(MISPLACED)?;
            *place = Node::Element(new);
        }
        What::Text => {
            let element = select::at(root, &way)?;
            let place = element.children.iter_mut().find(|node| node.text().is_some()).ok_or(MISPLACED)?;
            *place = Node::Text(raw_text(operation).into());
        }
        What::Attribute(namespace, local) => {
            let element = select::at(root, &way)?;
            let mut attributes = element.attributes.iter_mut();
            let place =
                attributes.find(|attribute| attribute.name.is(&namespace, &local)).ok_or(MISPLACED)?;
            place.raw = raw_text(operation).into();
        }
    }
    Ok(())
}

fn remove(root: &mut Element, selected: Selected) -> Result<(), DocumentError> {
    let Selected { way, what } = selected;
    let is_gone = match what {
        What::Element => {
            let (last, parents) = way.split_last().ok_or(MISPLACED)?;
            let children = &mut select::at(root, parents)?.children;
            let is_there = *last < children.len();
            if is_there {
                children.remove(*last);
            }
            is_there
        }
        What::Text => shrinks(&mut select::at(root, &way)?.children, |node| node.text().is_none()),
        What::Attribute(namespace, local) => {
            let attributes = &mut select::at(root, &way)?.attributes;
            shrinks(attributes, |attribute| !attribute.name.is(&namespace, &local))
        }
    };
    if is_gone { Ok(()) } else { Err(MISPLACED) }
}

fn shrinks<T>(all: &mut Vec<T>, keep: impl FnMut(&T) -> bool) -> bool {
    let before = all.len();
    all.retain(keep);
    all.len() < before
}

/// The text of an operation, as it may stand in a text or between quotes.
fn raw_text(operation: &Element) -> String {
    operation.children.iter().filter_map(Node::text).collect::<String>().replace('"', "&quot;")
}
