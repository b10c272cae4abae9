//! Several publications of one presentity, made one document (RFC 3903 §6, RFC 4479; docs/PRESENCE.md says the policy).

use std::collections::HashMap;
use std::sync::Arc;

use super::Document;
use super::namespace::{BINPIDF, DATA_MODEL, PIDF};
use super::pidf::{is_device, is_person, is_pidf};
use super::tree::{Element, Node};

/// What one source says.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// Its document.
    pub document: &'a Document,
    /// When it was published or changed last: any number that grows. Of equal ones the later in the list is newer.
    pub published_at: u64,
}

/// One document of all publications.
///
/// They stand in the order of the list (the caller's: by first publication, so that a change moves nothing). Of what
/// two say differently, the newer wins: of tuples with one id the whole tuple, of the one person and of devices with
/// one deviceID each kind of element, of notes those in the same language, of other elements each kind; links to
/// external objects add up. Without a publication it is [`Document::closed`].
pub fn compose(publications: &[Publication<'_>], entity: &str) -> Document {
    let mut one = match publications {
        [] => return Document::closed(entity),
        [only] => only.document.clone(),
        many => Composing::new(many).document(),
    };
    one.set_entity(entity);
    one
}

struct Composing<'a> {
    /// The list's, each with its rank: 0 is the newest.
    sources: Vec<(&'a Document, usize)>,
    root: Element,
}

impl<'a> Composing<'a> {
    fn new(publications: &'a [Publication<'a>]) -> Composing<'a> {
        let mut order: Vec<usize> = (0..publications.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse((publications.get(at).map(|p| p.published_at), at)));
        let rank = |at: usize| order.iter().position(|&other| other == at).unwrap_or(usize::MAX);
        let sources = publications.iter().enumerate().map(|(at, one)| (one.document, rank(at))).collect();
        let mut root = Element::new(PIDF, "presence");
        root.declared.push(("".into(), PIDF.into()));
        Composing { sources, root }
    }

    fn document(mut self) -> Document {
        self.declare();
        let mut children = self.tuples();
        children.extend(self.notes());
        children.extend(self.persons());
        children.extend(self.devices());
        children.extend(self.links());
        children.extend(self.others());
        self.root.children = children.into_iter().map(Node::Element).collect();
        self.root.attributes = self.attributes();
        Document::of(self.root)
    }

    /// Prefixes that mean the same to all who use them are declared once, at the root.
    fn declare(&mut self) {
        let mut bindings: Vec<(Box<str>, Arc<str>, bool)> = Vec::new();
        for (document, _) in &self.sources {
            for (prefix, uri) in &document.root.declared {
                match bindings.iter_mut().find(|(known, _, _)| known == prefix) {
                    Some((_, known, is_one)) => *is_one &= known == uri,
                    None => bindings.push((prefix.clone(), uri.clone(), true)),
                }
            }
        }
        let one = bindings.into_iter().filter(|(prefix, _, is_one)| *is_one && !prefix.is_empty());
        self.root.declared.extend(one.map(|(prefix, uri, _)| (prefix, uri)));
    }

    /// Those of the newest that has them; `entity` is the caller's.
    fn attributes(&self) -> Vec<super::tree::Attribute> {
        let mut all: Vec<(usize, super::tree::Attribute)> = Vec::new();
        for (document, rank) in &self.sources {
            for attribute in &document.root.attributes {
                match all.iter_mut().find(|(_, known)| known.name.same(&attribute.name)) {
                    Some(known) if known.0 > *rank => *known = (*rank, attribute.clone()),
                    Some(_) => {}
                    None => all.push((*rank, attribute.clone())),
                }
            }
        }
        all.into_iter().map(|(_, attribute)| attribute).collect()
    }

    /// The children of all roots that the function takes, in order, ready to stand in the new root.
    fn all<'s>(&'s self, is_wanted: impl Fn(&Element) -> bool + 's) -> impl Iterator<Item = Placed> + 's {
        self.sources.iter().flat_map(move |(document, rank)| {
            let wanted: Vec<Placed> = document
                .root
                .elements()
                .filter(|element| is_wanted(element))
                .map(|element| Placed { element: self.transplanted(element, document), rank: *rank })
                .collect();
            wanted
        })
    }

    fn tuples(&self) -> Vec<Element> {
        let mut all: Groups<Placed> = Groups::default();
        for (number, tuple) in self.all(|element| element.name.is(PIDF, "tuple")).enumerate() {
            // One that has no id is nobody else's.
            let id = tuple.element.attribute("id").filter(|id| !id.is_empty());
            let key = id.map_or_else(|| format!("number {number}"), |id| format!("id {id}"));
            match all.of(key) {
                Some(known) if known.rank > tuple.rank => *known = tuple,
                Some(_) => {}
                place @ None => *place = Some(tuple),
            }
        }
        all.list().map(|placed| placed.element).collect()
    }

    fn notes(&self) -> Vec<Element> {
        newest_of_each_kind(self.all(|element| element.name.is(PIDF, "note")), &|note| language(note))
    }

    fn persons(&self) -> Option<Element> {
        merged(self.all(is_person).collect())
    }

    fn devices(&self) -> Vec<Element> {
        let mut groups: Groups<Vec<Placed>> = Groups::default();
        for device in self.all(is_device) {
            groups.of(device_key(&device.element)).get_or_insert_default().push(device);
        }
        groups.list().filter_map(merged).collect()
    }

    /// Each object once, the newest publication's first.
    fn links(&self) -> Vec<Element> {
        let mut all: Vec<Placed> = self.all(is_link).collect();
        all.sort_by_key(|link| link.rank);
        let mut kept: Groups<Element> = Groups::default();
        for link in all {
            kept.of(link.element.text()).get_or_insert(link.element);
        }
        kept.list().collect()
    }

    fn others(&self) -> Vec<Element> {
        let is_other = |element: &Element| {
            !(is_pidf(element) || is_person(element) || is_device(element) || is_link(element))
        };
        newest_of_each_kind(self.all(is_other), &kind)
    }

    /// A copy that means the same in the new root: PIDF's own elements without a prefix, and what its old root declared
    /// and the new one does not is declared on it.
    fn transplanted(&self, element: &Element, from: &Document) -> Element {
        let mut copy = element.clone();
        unprefix(&mut copy);
        for (prefix, uri) in &from.root.declared {
            let is_known = self.root.declared.iter().any(|(known, bound)| known == prefix && bound == uri);
            let is_own = copy.declared.iter().any(|(own, _)| own == prefix);
            if !prefix.is_empty() && !is_known && !is_own {
                copy.declared.push((prefix.clone(), uri.clone()));
            }
        }
        copy
    }
}

/// An element and how new its publication is.
struct Placed {
    element: Element,
    rank: usize,
}

/// Things by name, in the order in which the names came.
struct Groups<T> {
    numbers: HashMap<String, usize>,
    things: Vec<Option<T>>,
}

impl<T> Default for Groups<T> {
    fn default() -> Groups<T> {
        Groups { numbers: HashMap::new(), things: Vec::new() }
    }
}

impl<T> Groups<T> {
    fn of(&mut self, name: String) -> &mut Option<T> {
        let next = self.things.len();
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.things.push(None);
        }
        #[expect(clippy::indexing_slicing, reason = "every number in the map is one of the list")]
        &mut self.things[number]
    }

    fn list(self) -> impl Iterator<Item = T> {
        self.things.into_iter().flatten()
    }
}

fn is_link(element: &Element) -> bool {
    element.name.is(BINPIDF, "ObjLink")
}

/// Of each kind all elements of the newest source that has one, at the place of the first.
fn newest_of_each_kind(all: impl Iterator<Item = Placed>, kind: &dyn Fn(&Element) -> String) -> Vec<Element> {
    let mut groups: Groups<(usize, Vec<Element>)> = Groups::default();
    for Placed { element, rank } in all {
        let (newest, group) = groups.of(kind(&element)).get_or_insert_with(|| (rank, Vec::new()));
        if *newest > rank {
            *newest = rank;
            group.clear();
        }
        if *newest == rank {
            group.push(element);
        }
    }
    groups.list().flat_map(|(_, group)| group).collect()
}

/// Several accounts of one person or device: the newest, and from the others what it does not speak of.
fn merged(mut accounts: Vec<Placed>) -> Option<Element> {
    if accounts.len() < 2 {
        return accounts.pop().map(|only| only.element);
    }
    let newest = accounts.iter().min_by_key(|account| account.rank)?;
    let mut one = newest.element.clone();
    for account in &accounts {
        let missing = account
            .element
            .declared
            .iter()
            .filter(|(prefix, _)| !one.declared.iter().any(|(known, _)| known == prefix));
        let missing: Vec<_> = missing.cloned().collect();
        one.declared.extend(missing);
    }
    let children = accounts.into_iter().flat_map(|Placed { element, rank }| {
        let declared = element.declared.clone();
        let inner: Vec<Placed> = element
            .children
            .into_iter()
            .filter_map(|node| match node {
                Node::Element(child) => Some(Placed { element: carrying(child, &declared), rank }),
                _ => None,
            })
            .collect();
        inner
    });
    let mut children = newest_of_each_kind(children, &kind);
    // Extensions, then deviceID, note and timestamp: the order of the schema (RFC 4479 §5).
    children.sort_by_key(|child| match (&*child.name.namespace, &*child.name.local) {
        (DATA_MODEL, "deviceID") => 1,
        (DATA_MODEL, "note") => 2,
        (DATA_MODEL, "timestamp") => 3,
        _ => 0,
    });
    one.children = children.into_iter().map(Node::Element).collect();
    Some(one)
}

/// With what its old parent declared, where it does not declare it itself.
fn carrying(mut element: Element, declared: &[(Box<str>, Arc<str>)]) -> Element {
    for (prefix, uri) in declared.iter().filter(|(prefix, _)| !prefix.is_empty()) {
        if !element.declared.iter().any(|(own, _)| own == prefix) {
            element.declared.push((prefix.clone(), uri.clone()));
        }
    }
    element
}

/// What an element is, and in which language.
fn kind(element: &Element) -> String {
    format!("{} {} {}", element.name.namespace, element.name.local, language(element))
}

fn language(element: &Element) -> String {
    let language =
        element.attributes.iter().find(|attribute| attribute.name.is(super::namespace::XML, "lang"));
    language.map(|language| language.value().to_ascii_lowercase()).unwrap_or_default()
}

/// The device it is about: its deviceID, else its own id.
fn device_key(device: &Element) -> String {
    match device.first(DATA_MODEL, "deviceID") {
        Some(id) => format!("deviceID {}", id.text()),
        None => format!("id {}", device.attribute("id").unwrap_or_default()),
    }
}

/// PIDF's elements have no prefix in a composed document. A default of their own that is another one goes with it: what
/// needs it declares it again.
fn unprefix(element: &mut Element) {
    if is_pidf(element) {
        element.name.prefix = "".into();
        element.declared.retain(|(prefix, uri)| !prefix.is_empty() || &**uri == PIDF);
    }
    for child in element.elements_mut() {
        unprefix(child);
    }
}
