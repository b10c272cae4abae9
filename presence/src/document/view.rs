//! What a watcher may see of a document (RFC 5025 §3.3): which tuples, persons and devices, and which of their elements.
//!
//! What stands beside them in the document is held to the same permissions as what stands in them: a note to
//! `provide-note`, all else to the name of its element.

use std::collections::BTreeSet;

use super::Document;
use super::error::DocumentError;
use super::namespace::{DATA_MODEL, PIDF, PRES_RULES, RPID};
use super::tree::{Element, Node};

/// Permissions of one rule at most, each value counted.
const PERMISSIONS: usize = 256;

/// Elements of RPID and the data model with a permission of their own, `provide-` and the name.
const NAMED: [(&str, &str); 11] = [
    (RPID, "activities"),
    (RPID, "class"),
    (DATA_MODEL, "deviceID"),
    (RPID, "mood"),
    (RPID, "place-is"),
    (RPID, "place-type"),
    (RPID, "privacy"),
    (RPID, "relationship"),
    (RPID, "sphere"),
    (RPID, "status-icon"),
    (RPID, "time-offset"),
];

/// What is shown; by default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    devices: Shown,
    persons: Shown,
    services: Shown,
    /// Every element of what is shown.
    all: bool,
    note: bool,
    user_input: UserInput,
    /// Namespaces and names of further elements.
    elements: BTreeSet<(String, String)>,
}

/// Which of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Shown {
    all: bool,
    by: BTreeSet<(By, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum By {
    Class,
    Occurrence,
    DeviceId,
    ServiceUri,
    ServiceUriScheme,
}

/// How much of `user-input` (RFC 5025 §3.3.2.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum UserInput {
    #[default]
    Nothing,
    Bare,
    Thresholds,
    Full,
}

impl View {
    /// Reads `transformations`.
    pub(super) fn read(transformations: &Element) -> Result<View, DocumentError> {
        let mut view = View::default();
        for permission in transformations.elements() {
            view.grant(permission)?;
            let values = [&view.devices, &view.persons, &view.services].map(|shown| shown.by.len());
            if values.iter().sum::<usize>() + view.elements.len() > PERMISSIONS {
                return Err(DocumentError::TooMany(PERMISSIONS));
            }
        }
        Ok(view)
    }

    fn grant(&mut self, permission: &Element) -> Result<(), DocumentError> {
        const UNKNOWN: DocumentError = DocumentError::Unsupported("a permission that is not known here");
        let name = permission.name.local.strip_prefix("provide-").ok_or(UNKNOWN)?;
        if &*permission.name.namespace != PRES_RULES {
            return Err(UNKNOWN);
        }
        match name {
            "devices" => self.devices.grant(permission, "all-devices")?,
            "persons" => self.persons.grant(permission, "all-persons")?,
            "services" => self.services.grant(permission, "all-services")?,
            "all-attributes" => self.all = true,
            "note" => self.note |= is_true(permission)?,
            "user-input" => self.user_input = self.user_input.max(UserInput::read(permission)?),
            "unknown-attribute" => {
                let of = |name: &str| permission.attribute(name).map(|value| value.trim().to_owned());
                let (Some(namespace), Some(local)) = (of("ns"), of("name")) else {
                    return Err(DocumentError::Content("provide-unknown-attribute has ns and name"));
                };
                if is_true(permission)? && !NAMED.contains(&(&namespace, &local)) {
                    self.elements.insert((namespace, local));
                }
            }
            _ => {
                let known = NAMED.iter().find(|(_, local)| *local == name).ok_or(UNKNOWN)?;
                if is_true(permission)? {
                    self.elements.insert((known.0.to_owned(), known.1.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Shows what another shows as well: permissions add up (RFC 4745 §10).
    pub fn add(&mut self, other: &View) {
        for (mine, theirs) in [
            (&mut self.devices, &other.devices),
            (&mut self.persons, &other.persons),
            (&mut self.services, &other.services),
        ] {
            mine.all |= theirs.all;
            mine.by.extend(theirs.by.iter().cloned());
        }
        self.all |= other.all;
        self.note |= other.note;
        self.user_input = self.user_input.max(other.user_input);
        self.elements.extend(other.elements.iter().cloned());
    }

    /// What both show.
    #[must_use]
    pub fn common(&self, other: &View) -> View {
        let elements = match (self.all, other.all) {
            (true, _) => other.elements.clone(),
            (_, true) => self.elements.clone(),
            _ => self.elements.intersection(&other.elements).cloned().collect(),
        };
        let input = |view: &View| if view.all { UserInput::Full } else { view.user_input };
        View {
            devices: self.devices.common(&other.devices),
            persons: self.persons.common(&other.persons),
            services: self.services.common(&other.services),
            all: self.all && other.all,
            note: (self.all || self.note) && (other.all || other.note),
            user_input: input(self).min(input(other)),
            elements,
        }
    }

    /// Whether nothing is hidden.
    pub const fn is_whole(&self) -> bool {
        self.devices.all && self.persons.all && self.services.all && self.all
    }

    /// The document as it is seen so.
    pub fn of(&self, document: &Document) -> Document {
        let mut seen = document.clone();
        let mut root = document.root.clone();
        self.filter(&mut root, |element| match self.component(element) {
            Some(shown) => shown.shows(element),
            None => self.shows(element),
        });
        for component in root.elements_mut() {
            if self.component(component).is_none() {
                continue;
            }
            let is_tuple = component.name.is(PIDF, "tuple");
            self.filter(component, |element| is_always_shown(element, is_tuple) || self.shows(element));
            for status in component.elements_mut().filter(|element| element.name.is(PIDF, "status")) {
                self.filter(status, |element| element.name.is(PIDF, "basic") || self.shows(element));
            }
        }
        *seen.changed() = root;
        seen
    }

    fn component(&self, element: &Element) -> Option<&Shown> {
        match (&*element.name.namespace, &*element.name.local) {
            (PIDF, "tuple") => Some(&self.services),
            (DATA_MODEL, "person") => Some(&self.persons),
            (DATA_MODEL, "device") => Some(&self.devices),
            _ => None,
        }
    }

    fn shows(&self, element: &Element) -> bool {
        match (&*element.name.namespace, &*element.name.local) {
            _ if self.all => true,
            (PIDF | DATA_MODEL, "note") => self.note,
            (RPID, "user-input") => self.user_input > UserInput::Nothing,
            (namespace, local) => self.elements.contains(&(namespace.to_owned(), local.to_owned())),
        }
    }

    /// Takes out what is not kept, and from `user-input` the attributes that are not shown.
    fn filter(&self, holder: &mut Element, keep: impl Fn(&Element) -> bool) {
        holder.children.retain(|node| node.element().is_none_or(&keep) && !matches!(node, Node::Other(_)));
        let hidden: &[&str] = match self.user_input {
            _ if self.all => &[],
            UserInput::Full => &[],
            UserInput::Thresholds => &["last-input", "since"],
            UserInput::Bare | UserInput::Nothing => &["idle-threshold", "last-input", "since"],
        };
        for input in holder.elements_mut().filter(|element| element.name.is(RPID, "user-input")) {
            input.attributes.retain(|attribute| !hidden.contains(&&*attribute.name.local));
        }
    }
}

impl Shown {
    /// What both show.
    fn common(&self, other: &Shown) -> Shown {
        let by = match (self.all, other.all) {
            (true, _) => other.by.clone(),
            (_, true) => self.by.clone(),
            _ => self.by.intersection(&other.by).cloned().collect(),
        };
        Shown { all: self.all && other.all, by }
    }

    fn grant(&mut self, set: &Element, all: &str) -> Result<(), DocumentError> {
        for member in set.elements() {
            let by = match &*member.name.local {
                _ if &*member.name.namespace != PRES_RULES => None,
                local if local == all => {
                    self.all = true;
                    continue;
                }
                "class" => Some(By::Class),
                "occurrence-id" => Some(By::Occurrence),
                "deviceID" => Some(By::DeviceId),
                "service-uri" => Some(By::ServiceUri),
                "service-uri-scheme" => Some(By::ServiceUriScheme),
                _ => None,
            };
            let by = by.ok_or(DocumentError::Unsupported("a way to name what is shown"))?;
            self.by.insert((by, member.text()));
        }
        Ok(())
    }

    fn shows(&self, component: &Element) -> bool {
        self.all || self.by.iter().any(|(by, value)| by.names(value, component))
    }
}

impl By {
    fn names(self, value: &str, component: &Element) -> bool {
        let text = |namespace, local| component.first(namespace, local).map(Element::text);
        match self {
            Self::Class => text(RPID, "class").is_some_and(|class| class == value),
            Self::Occurrence => component.attribute("id").is_some_and(|id| id == value),
            Self::DeviceId => text(DATA_MODEL, "deviceID").is_some_and(|id| id == value),
            Self::ServiceUri => text(PIDF, "contact").is_some_and(|uri| is_same(&uri, value)),
            Self::ServiceUriScheme => {
                text(PIDF, "contact").is_some_and(|uri| uri.split(':').next() == Some(value))
            }
        }
    }
}

/// Whether both name the same service.
fn is_same(one: &str, other: &str) -> bool {
    let aor = |text: &str| text.parse::<sip::Uri>().ok().map(|uri| uri.aor());
    one == other || aor(one).is_some_and(|one| Some(one) == aor(other))
}

impl UserInput {
    fn read(permission: &Element) -> Result<Self, DocumentError> {
        Ok(match permission.text().as_str() {
            "false" => Self::Nothing,
            "bare" => Self::Bare,
            "thresholds" => Self::Thresholds,
            "full" => Self::Full,
            _ => return Err(DocumentError::Content("provide-user-input is false, bare, thresholds or full")),
        })
    }
}

/// What everybody sees who sees the tuple, person or device (RFC 5025 §3.3.2).
fn is_always_shown(element: &Element, is_tuple: bool) -> bool {
    match (&*element.name.namespace, &*element.name.local) {
        (PIDF, "status" | "contact" | "timestamp") | (RPID, "service-class") => is_tuple,
        (DATA_MODEL, "timestamp") => true,
        (DATA_MODEL, "deviceID") => !is_tuple,
        _ => false,
    }
}

fn is_true(permission: &Element) -> Result<bool, DocumentError> {
    match permission.text().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(DocumentError::Content("a permission is true or false")),
    }
}
