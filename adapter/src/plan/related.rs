//! Documents that show other parts: the root of a multipart/related (RFC 2387, CPI.md §3.5), and a presence document
//! wherever it stands (CPI.md §5).

use std::collections::HashMap;

use super::protect::Guarding;
use crate::mime::{Node, Shape, TransferEncoding, Tree};
use crate::rebuild::layout::{Doc, Name, Reference};

/// A container with a document whose references can be followed.
#[derive(Clone, Debug)]
pub(crate) struct Related {
    /// The multipart/related, or the container that a presence document stands in otherwise.
    pub(crate) container: usize,
    /// Its root: the document.
    pub(crate) root: usize,
    /// What that is.
    pub(crate) doc: Doc,
    /// The octets of its references, those together that name the same: one part, or alternatives.
    references: Vec<Vec<usize>>,
    /// Which of these a reference is that says this; one that names nothing is left out.
    targets: HashMap<String, usize>,
    /// Which of them name a part.
    shown: HashMap<usize, Vec<usize>>,
    /// Whether the container goes and the root alone stays, with URLs (set when the terminal does not take it).
    pub(crate) collapses: bool,
}

impl Related {
    /// All of them in a tree.
    pub(crate) fn all(tree: &Tree) -> Vec<Related> {
        let is_document = |(id, node): (usize, &Node)| Doc::of(&node.content_type).map(|doc| (id, doc));
        let documents: Vec<(usize, Doc)> = tree.nodes().filter_map(is_document).collect();
        if documents.is_empty() {
            return Vec::new();
        }
        let names = Names::of(tree);
        documents.into_iter().filter_map(|(id, doc)| Related::of(&names, id, doc)).collect()
    }

    /// The document `root`, if it is one that shows other parts.
    fn of(names: &Names<'_>, root: usize, doc: Doc) -> Option<Related> {
        let tree = names.tree;
        let node = tree.node(root)?;
        let container = node.parent?;
        // What else knows related parts was written for multipart/related alone.
        if doc != Doc::Presence && self::root(tree, container) != Some(root) {
            return None;
        }
        // A presence document goes out as it is carried, but for its links.
        let rewritable = Guarding::of(node) == Guarding::Free
            || (doc == Doc::Presence
                && !node.cache_control("no-transform")
                && node.transfer_encoding() == TransferEncoding::Identity
                && node.content_encoding().is_none());
        if !rewritable || !matches!(node.shape, Shape::Leaf) {
            return None;
        }
        let text = tree.content(root).filter(|text| Doc::is_plain(text))?;
        let mut related = Related {
            container,
            root,
            doc,
            references: Vec::new(),
            targets: HashMap::new(),
            shown: HashMap::new(),
            collapses: false,
        };
        let mut known = HashMap::new();
        for reference in doc.references(&text) {
            related.follow(names, &mut known, &reference);
        }
        Some(related)
    }

    fn follow(&mut self, names: &Names<'_>, known: &mut HashMap<Parts, usize>, reference: &Reference) {
        let at = match self.targets.get(&reference.target) {
            Some(at) => *at,
            None => {
                let Some(parts) = names.find(self, reference) else { return };
                let next = self.references.len();
                let at = *known.entry(parts).or_insert_with_key(|parts| {
                    for part in names.parts(parts).filter(|part| *part != self.root) {
                        self.shown.entry(part).or_default().push(next);
                    }
                    self.references.push(Vec::new());
                    next
                });
                self.targets.insert(reference.target.clone(), at);
                at
            }
        };
        if let Some(references) = self.references.get_mut(at) {
            references.push(reference.range.len());
        }
    }

    /// Whether a reference of the document names that part.
    pub(crate) fn shows(&self, part: usize) -> bool {
        work::look();
        self.shown.contains_key(&part)
    }

    /// The octets of each reference to that part.
    pub(crate) fn octets(&self, part: usize) -> impl Iterator<Item = usize> {
        let references = self.groups(part).iter().filter_map(|at| self.references.get(*at));
        references.flatten().copied().inspect(|_| work::look())
    }

    /// Which groups of references name that part.
    pub(crate) fn groups(&self, part: usize) -> &[usize] {
        work::look();
        self.shown.get(&part).map(Vec::as_slice).unwrap_or_default()
    }

    /// Which of them a reference is in that says this.
    pub(crate) fn group(&self, target: &str) -> Option<usize> {
        work::look();
        self.targets.get(target).copied()
    }
}

/// Parts that a reference names.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Parts {
    One(usize),
    /// All in a container of alternatives: the terminal is given one of them.
    All(usize),
    /// Those of them that are called so.
    Called(usize, Name),
}

/// What the parts of a tree are called.
struct Names<'t> {
    tree: &'t Tree,
    /// By the container that they stand in.
    beside: HashMap<(usize, Name), Vec<usize>>,
    /// The first two that have a Content-ID, by each container above them.
    below: HashMap<(usize, Name), [Option<usize>; 2]>,
}

impl<'t> Names<'t> {
    fn of(tree: &'t Tree) -> Names<'t> {
        let mut names = Names { tree, beside: HashMap::new(), below: HashMap::new() };
        for (id, node) in tree.nodes() {
            let (Some(parent), called) = (node.parent, Name::all_of(node)) else { continue };
            for name in called {
                if matches!(name, Name::Id(_)) {
                    for holder in holders(tree, parent) {
                        let first = names.below.entry((holder, name.clone())).or_default();
                        if let Some(free) = first.iter_mut().find(|free| free.is_none()) {
                            *free = Some(id);
                        }
                    }
                }
                names.beside.entry((parent, name)).or_default().push(id);
            }
        }
        names
    }

    /// What a reference names: a part beside the document, else one below its container, else, from a presence
    /// document, the nearest one in the message (CPI.md §5).
    fn find(&self, from: &Related, reference: &Reference) -> Option<Parts> {
        let all = reference.names();
        let is_other = |id: &&usize| **id != from.root;
        let beside = |name: &Name| {
            work::look();
            let found = self.beside.get(&(from.container, name.clone()))?.iter().find(is_other)?;
            Some((*found, name.clone()))
        };
        let below = |holder: usize| {
            all.iter().find_map(|name| {
                work::look();
                let found = self.below.get(&(holder, name.clone()))?.iter().flatten().find(is_other)?;
                Some((*found, name.clone()))
            })
        };
        let far = if from.doc == Doc::Presence { usize::MAX } else { 1 };
        let (found, name) = all
            .iter()
            .find_map(beside)
            .or_else(|| holders(self.tree, from.container).take(far).find_map(below))?;
        let is_choice =
            |id: usize| self.tree.node(id).is_some_and(|node| node.content_type.is("multipart/alternative"));
        let parent = self.tree.node(found).and_then(|node| node.parent);
        Some(match parent.filter(|parent| is_choice(*parent)) {
            _ if is_choice(found) => Parts::All(found),
            Some(parent) => Parts::Called(parent, name),
            None => Parts::One(found),
        })
    }

    fn parts(&self, parts: &Parts) -> impl Iterator<Item = usize> {
        let (range, list) = match parts {
            Parts::One(id) => (*id..id.saturating_add(1), None),
            Parts::All(id) => (self.tree.children(*id), None),
            Parts::Called(id, name) => (0..0, self.beside.get(&(*id, name.clone()))),
        };
        range.chain(list.into_iter().flatten().copied()).inspect(|_| work::look())
    }
}

/// A node and the containers above it, the nearest first.
pub(crate) fn holders(tree: &Tree, node: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(node), |&holder| tree.node(holder).and_then(|node| node.parent))
}

/// How often something was looked at, for tests that hold a plan to it.
mod work {
    #[cfg(test)]
    thread_local!(pub(crate) static LOOKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });

    pub(super) fn look() {
        #[cfg(test)]
        LOOKS.set(LOOKS.get() + 1);
    }
}

/// The root of a multipart/related: the part `start` names, else the first (RFC 2387 §3.2).
pub(crate) fn root(tree: &Tree, container: usize) -> Option<usize> {
    let node = tree.node(container)?;
    if !node.content_type.is("multipart/related") || !matches!(node.shape, Shape::Multipart { .. }) {
        return None;
    }
    let start = node.content_type.param("start").map(|id| id.trim().trim_matches(['<', '>']).to_owned());
    let is_start =
        |&child: &usize| start.is_some() && tree.node(child).and_then(crate::mime::Node::content_id) == start;
    tree.children(container).find(is_start).or_else(|| tree.children(container).next())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use cpi::{Cpi, Extensions};

    use super::work::LOOKS;
    use crate::{Budget, Built, Entity, Field, Link, LinkShape, Settings, plan};

    /// Documents of a message, references of each, and alternatives that all of them name.
    const DOCUMENTS: usize = 40;
    const REFERENCES: usize = 1024;
    const CHOICES: usize = 60;

    /// The name of all, each time spelt otherwise.
    fn spelt(number: usize) -> String {
        let spell = |(at, letter): (usize, char)| match number >> at & 1 {
            0 => letter.to_string(),
            _ => format!("%{:02x}", u32::from(letter)),
        };
        "abcdefghij".chars().enumerate().map(spell).collect()
    }

    fn hostile(kind: &str, open: &str, link: impl Fn(usize) -> String) -> Entity {
        let image =
            |_| "--a\r\nContent-Type: image/gif\r\nContent-ID: <abcdefghij>\r\n\r\nGIF\r\n".to_owned();
        let choices: String = (0..CHOICES).map(image).collect();
        let links: String = (0..REFERENCES).map(link).collect();
        let documents: String = (1..DOCUMENTS)
            .map(|_| format!("--m\r\nContent-Type: {kind}\r\n\r\n{open}{links}</x>\r\n"))
            .collect();
        let body = format!(
            "--m\r\nContent-Type: {kind}\r\n\r\n{open}{links}</x>\r\n\
             --m\r\nContent-Type: multipart/alternative;boundary=a\r\n\r\n{choices}--a--\r\n{documents}--m--\r\n"
        );
        let content_type = Field::new("Content-Type", "multipart/related;boundary=m");
        Entity { fields: vec![content_type], body: body.into() }
    }

    /// How often something was looked at for the whole way of that message to a terminal, and what came of it.
    fn looked(entity: &Entity, accept: &str) -> (usize, String) {
        let headers = [(&b"Accept"[..], accept.as_bytes())];
        let (cpi, _): (Cpi, _) = cpi::decode::from_headers(headers, &Extensions::NONE);
        let settings = Settings {
            links: Some(LinkShape { url_octets: 40, adaptive: false }),
            ..Settings::new("proxy.example.com")
        };
        LOOKS.set(0);
        let mut plan = plan(entity, Some(&cpi), &settings, Budget::default());
        loop {
            let link = |id| Link { id, url: "https://store.example.com/c/1".into(), expires: UNIX_EPOCH };
            let links = plan.links().into_iter().map(|request| link(request.id)).collect();
            match plan.build(Vec::new(), links).unwrap() {
                Built::Again(next) => plan = *next,
                Built::Done(adapted) => {
                    let body = adapted.apply(entity).body;
                    return (LOOKS.get(), String::from_utf8_lossy(&body).into_owned());
                }
            }
        }
    }

    #[test]
    fn references_to_many_alternatives_are_followed_once_and_not_once_for_each_of_them() {
        let image = |number| format!("<img src='cid:{}'/>", spelt(number));
        let html = hostile("text/html", "<x>", image);
        let (looks, body) = looked(&html, "text/html, image/png, multipart/related, multipart/alternative");
        assert_eq!(body.matches("https://store.example.com/c/1'").count(), REFERENCES);
        assert!(looks <= REFERENCES * (CHOICES + 16), "{looks}");

        let link = |number| format!("<ObjLink>cid:{}</ObjLink>", spelt(number));
        let presence =
            hostile("application/pidf+xml", "<x xmlns='urn:ietf:params:xml:ns:pidf-ext-cont'>", link);
        let accept = "application/pidf+xml, multipart/related, multipart/alternative";
        let (looks, body) = looked(&presence, accept);
        // So many links of one document are read.
        assert_eq!(body.matches("https://store.example.com/c/1<").count(), DOCUMENTS * 128);
        assert!(looks <= DOCUMENTS * 128 * 16 + 128 * CHOICES + DOCUMENTS * CHOICES * 16, "{looks}");
    }
}
