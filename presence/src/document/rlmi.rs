//! Notifications of a list: application/rlmi+xml and what goes with it (RFC 4662).

use bytes::Bytes;

use super::multipart::{Body, Part, related};
use super::namespace::RLMI;
use super::tree::Element;
use super::writer;

/// The media type of the root.
pub const MEDIA_TYPE: &str = "application/rlmi+xml";

/// A list, or what changed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceList {
    /// Its URI: what was subscribed to.
    pub uri: String,
    /// What it is called.
    pub name: Option<String>,
    /// 0 in the first document of a subscription, one more in each that follows.
    pub version: u32,
    /// Whether all its resources are in it.
    pub full_state: bool,
    /// Its resources.
    pub resources: Vec<Resource>,
}

/// One resource of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its URI.
    pub uri: String,
    /// What it is called in the list.
    pub name: Option<String>,
    /// The subscription to it; `None` while nothing is known of it.
    pub instance: Option<Instance>,
}

/// The subscription that a list has to a resource (RFC 4662 §5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The same as long as it lives.
    pub id: String,
    /// As in Subscription-State.
    pub state: InstanceState,
    /// Why it is terminated, as in Subscription-State.
    pub reason: Option<String>,
    /// Content-ID (without `<>`) of the part that holds the resource's state.
    pub content_id: Option<String>,
}

/// How the subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstanceState {
    /// Its state is known.
    Active,
    /// The presentity has to say.
    Pending,
    /// It is over.
    Terminated,
}

impl InstanceState {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Terminated => "terminated",
        }
    }
}

impl ResourceList {
    /// The root document alone.
    pub fn document(&self) -> Bytes {
        let mut root = Element::new(RLMI, "list")
            .with("uri", &self.uri)
            .with("version", &self.version.to_string())
            .with("fullState", if self.full_state { "true" } else { "false" });
        root = named(root, self.name.as_deref());
        for resource in &self.resources {
            root = root.holding(resource.element());
        }
        writer::document(&root, super::namespace::PIDF).into()
    }

    /// The root and the states of its resources; the parts' Content-IDs are those that the instances name.
    pub fn assemble(&self, content_id: &str, parts: &[Part]) -> Body {
        let root = Part::new("application/rlmi+xml;charset=\"UTF-8\"", content_id, self.document());
        related(&root, parts)
    }
}

impl Resource {
    fn element(&self) -> Element {
        let mut element = named(Element::new(RLMI, "resource").with("uri", &self.uri), self.name.as_deref());
        if let Some(instance) = &self.instance {
            let mut inner =
                Element::new(RLMI, "instance").with("id", &instance.id).with("state", instance.state.name());
            for (name, value) in [("reason", &instance.reason), ("cid", &instance.content_id)] {
                if let Some(value) = value {
                    inner = inner.with(name, value);
                }
            }
            element = element.holding(inner);
        }
        element
    }
}

fn named(element: Element, name: Option<&str>) -> Element {
    match name {
        Some(name) => element.holding(Element::new(RLMI, "name").text_added(name)),
        None => element,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_the_parts_with_the_states_of_its_resources() {
        let instance = |state, reason: Option<&str>, cid: Option<&str>| {
            Some(Instance {
                id: "i".into(),
                state,
                reason: reason.map(Into::into),
                content_id: cid.map(Into::into),
            })
        };
        let resource = |uri: &str, name: Option<&str>, instance| Resource {
            uri: uri.into(),
            name: name.map(Into::into),
            instance,
        };
        let list = ResourceList {
            uri: "sip:friends@example.com".into(),
            name: Some("Friends & others".into()),
            version: 7,
            full_state: true,
            resources: vec![
                resource(
                    "sip:bob@example.com",
                    Some("Bob"),
                    instance(InstanceState::Active, None, Some("1@h")),
                ),
                resource(
                    "sip:jim@example.com",
                    None,
                    instance(InstanceState::Terminated, Some("rejected"), None),
                ),
                resource("sip:ed@example.com", None, instance(InstanceState::Pending, None, None)),
                resource("sip:new@example.com", None, None),
            ],
        };
        assert_eq!(
            String::from_utf8(list.document().to_vec()).unwrap(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"sip:friends@example.com\" version=\"7\" fullState=\"true\"><name>Friends &amp; others</name><resource uri=\"sip:bob@example.com\"><name>Bob</name><instance id=\"i\" state=\"active\" cid=\"1@h\"/></resource><resource uri=\"sip:jim@example.com\"><instance id=\"i\" state=\"terminated\" reason=\"rejected\"/></resource><resource uri=\"sip:ed@example.com\"><instance id=\"i\" state=\"pending\"/></resource><resource uri=\"sip:new@example.com\"/></list>\n"
        );
        let state = Part::new("application/pidf+xml", "1@h", "<presence/>".into());
        let body = list.assemble("root@h", &[state]);
        assert!(body.content_type.contains("type=\"application/rlmi+xml\";start=\"<root@h>\""));
        let text = String::from_utf8(body.octets.to_vec()).unwrap();
        assert!(text.contains("Content-ID: <1@h>\r\n\r\n<presence/>\r\n--part-0--"));
    }
}
