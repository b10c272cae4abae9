//! The external objects a document points to (CPI.md §5): BINPIDF's ObjLink, and what RPID and CIPID have for the
//! same.

use std::borrow::Cow;

use super::Document;
use super::namespace::{BINPIDF, CIPID, DATA_MODEL, PIDF, RPID};
use super::tree::{Element, Node};

/// Links read from one document at most; those beyond stay as they are.
const LIMIT: usize = 128;

/// A link to an external object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What kind of link.
    pub kind: ObjectKind,
    /// What it says, outer white space taken away: `cid:` and a Content-ID, or a URL.
    pub target: String,
    /// The media type, if the link names one (ObjLink only).
    pub content_type: Option<String>,
    /// What it belongs to.
    pub place: Place,
}

/// The kinds of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// `ObjLink` (BINPIDF)
    ObjLink,
    /// `status-icon` (RFC 4480 §3.12)
    StatusIcon,
    /// `icon` (RFC 4482 §3.4)
    Icon,
    /// `card` (RFC 4482 §3.1)
    Card,
    /// `sound` (RFC 4482 §3.6)
    Sound,
    /// `map` (RFC 4482 §3.5)
    Map,
}

/// What a link belongs to, with the id that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The presentity
    Presentity,
    /// A tuple
    Tuple(String),
    /// The status of a tuple
    Status(String),
    /// A person (RFC 4479)
    Person(String),
    /// A device (RFC 4479)
    Device(String),
}

/// Where a link leads from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `cid:` and a Content-ID, or a URL.
    pub uri: String,
    /// The media type there; said in an ObjLink only. `None` leaves what is said now.
    pub content_type: Option<String>,
}

impl Object {
    /// The Content-ID it names, without `<>`; `None` if it is no `cid:`.
    pub fn content_id(&self) -> Option<Cow<'_, str>> {
        let written = self.written_content_id()?;
        Some(match grammar::percent_decode(written.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(written),
            Cow::Owned(octets) => Cow::Owned(String::from_utf8_lossy(&octets).into_owned()),
        })
    }

    /// Whether it names the part with that Content-ID (without `<>`): decoded, and once more as it is written, since
    /// RFC 2392's own example leaves `%25` undecoded.
    pub fn names(&self, content_id: &str) -> bool {
        self.content_id().is_some_and(|decoded| decoded == content_id)
            || self.written_content_id() == Some(content_id)
    }

    fn written_content_id(&self) -> Option<&str> {
        let scheme = self.target.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("cid:"))?;
        self.target.get(scheme.len()..)
    }
}

impl ObjectKind {
    fn of(element: &Element) -> Option<ObjectKind> {
        Some(match (&*element.name.namespace, &*element.name.local) {
            (BINPIDF, "ObjLink") => ObjectKind::ObjLink,
            (RPID, "status-icon") => ObjectKind::StatusIcon,
            (CIPID, "icon") => ObjectKind::Icon,
            (CIPID, "card") => ObjectKind::Card,
            (CIPID, "sound") => ObjectKind::Sound,
            (CIPID, "map") => ObjectKind::Map,
            _ => return None,
        })
    }
}

impl Document {
    /// Its links, in the order they stand in.
    pub fn objects(&self) -> Vec<Object> {
        let mut all = Vec::new();
        collect(&self.root, &Place::Presentity, &mut all);
        all
    }

    /// Lets each link lead where the function says; `None` leaves it. Answers how many were changed.
    pub fn relink(&mut self, mut to: impl FnMut(&Object) -> Option<Target>) -> usize {
        if self.objects().is_empty() {
            return 0;
        }
        let mut walk = Walk { left: LIMIT, changed: 0, to: &mut to };
        let mut root = self.root.clone();
        walk.relink(&mut root, &Place::Presentity);
        let changed = walk.changed;
        if changed > 0 {
            *self.changed() = root;
        }
        changed
    }

    /// Takes the links away that the function does not keep. Answers how many are gone.
    pub fn unlink(&mut self, keep: impl Fn(&Object) -> bool) -> usize {
        let mut gone = 0;
        let mut root = self.root.clone();
        prune(&mut root, &Place::Presentity, &keep, &mut gone);
        if gone > 0 {
            *self.changed() = root;
        }
        gone
    }
}

fn collect(holder: &Element, place: &Place, all: &mut Vec<Object>) {
    for child in holder.elements() {
        if let Some(object) = object(child, place) {
            if all.len() == LIMIT {
                return;
            }
            all.push(object);
        } else if let Some(inner) = inner(child, place) {
            collect(child, &inner, all);
        }
    }
}

struct Walk<'a> {
    left: usize,
    changed: usize,
    to: &'a mut dyn FnMut(&Object) -> Option<Target>,
}

impl Walk<'_> {
    fn relink(&mut self, holder: &mut Element, place: &Place) {
        for child in holder.elements_mut() {
            if let Some(object) = object(child, place) {
                if self.left == 0 {
                    return;
                }
                self.left -= 1;
                let Some(target) = (self.to)(&object) else { continue };
                self.changed += 1;
                child.set_text(&target.uri);
                if let (ObjectKind::ObjLink, Some(content_type)) = (object.kind, &target.content_type) {
                    child.set_attribute("ContentType", content_type);
                }
            } else if let Some(inner) = inner(child, place) {
                self.relink(child, &inner);
            }
        }
    }
}

fn prune(holder: &mut Element, place: &Place, keep: &dyn Fn(&Object) -> bool, gone: &mut usize) {
    let before = holder.children.len();
    holder.children.retain(|node| {
        let object = node.element().and_then(|element| object(element, place));
        object.is_none_or(|object| keep(&object))
    });
    *gone += before - holder.children.len();
    for node in &mut holder.children {
        if let Node::Element(child) = node
            && let Some(inner) = inner(child, place)
        {
            prune(child, &inner, keep, gone);
        }
    }
}

fn object(element: &Element, place: &Place) -> Option<Object> {
    Some(Object {
        kind: ObjectKind::of(element)?,
        target: element.text(),
        content_type: element.attribute("ContentType").map(Cow::into_owned),
        place: place.clone(),
    })
}

/// The place that an element is for what stands in it, if links are looked for there.
fn inner(element: &Element, place: &Place) -> Option<Place> {
    let id = || element.attribute("id").unwrap_or_default().into_owned();
    Some(match (place, &*element.name.namespace, &*element.name.local) {
        (Place::Presentity, PIDF, "tuple") => Place::Tuple(id()),
        (Place::Presentity, DATA_MODEL, "person") => Place::Person(id()),
        (Place::Presentity, DATA_MODEL, "device") => Place::Device(id()),
        (Place::Tuple(tuple), PIDF, "status") => Place::Status(tuple.clone()),
        _ => return None,
    })
}
