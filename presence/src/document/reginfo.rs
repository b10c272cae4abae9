//! Where a user is registered: application/reginfo+xml (RFC 3680).

use bytes::Bytes;

use super::namespace::REGINFO;
use super::tree::Element;
use super::writer;

/// The media type.
pub const MEDIA_TYPE: &str = "application/reginfo+xml";

/// One address of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its URI.
    pub aor: String,
    /// Unique in the document and the same in all that follow.
    pub id: String,
    /// Whether it has contacts.
    pub state: RegistrationState,
    /// Its contacts, or those that changed.
    pub contacts: Vec<RegisteredContact>,
}

/// How an address of record stands (RFC 3680 §4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegistrationState {
    /// Nothing was registered yet.
    Init,
    /// There are contacts.
    Active,
    /// The last one is gone.
    Terminated,
}

/// One contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredContact {
    /// Unique in the document and the same in all that follow.
    pub id: String,
    /// Its URI.
    pub uri: String,
    /// What it is called.
    pub display_name: Option<String>,
    /// What happened to it last; whether it is active follows from it.
    pub event: ContactEvent,
    /// Seconds since it was registered.
    pub registered: Option<u64>,
    /// Seconds until it ends.
    pub expires: Option<u64>,
    /// Seconds after which the terminal may try again; for [`ContactEvent::Probation`].
    pub retry_after: Option<u64>,
    /// As it was written.
    pub q: Option<String>,
    /// Call-ID of its last REGISTER.
    pub call_id: Option<String>,
    /// CSeq of its last REGISTER.
    pub cseq: Option<u64>,
    /// Parameters of the Contact that the format has no name for, as written; what the terminal can show among them.
    pub unknown_params: Vec<(String, String)>,
}

/// What happened to a contact (RFC 3680 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContactEvent {
    /// A REGISTER made it.
    Registered,
    /// An operator made it.
    Created,
    /// A REGISTER refreshed it.
    Refreshed,
    /// Its time was cut.
    Shortened,
    /// Its time ran out.
    Expired,
    /// It was ended so that the terminal registers anew.
    Deactivated,
    /// The same, but later.
    Probation,
    /// The terminal ended it.
    Unregistered,
    /// It may not be any more.
    Rejected,
}

impl ContactEvent {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Created => "created",
            Self::Refreshed => "refreshed",
            Self::Shortened => "shortened",
            Self::Expired => "expired",
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Unregistered => "unregistered",
            Self::Rejected => "rejected",
        }
    }

    /// Whether the contact is there after it.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Registered | Self::Created | Self::Refreshed | Self::Shortened)
    }
}

impl RegistrationState {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Active => "active",
            Self::Terminated => "terminated",
        }
    }
}

/// The document. `version` begins with 0 and grows by one with each document of a subscription; `full` says that all
/// contacts are in it and not only those that changed.
pub fn reginfo(registrations: &[Registration], version: u32, full: bool) -> Bytes {
    let mut root = Element::new(REGINFO, "reginfo")
        .with("version", &version.to_string())
        .with("state", if full { "full" } else { "partial" });
    for registration in registrations {
        let mut element = Element::new(REGINFO, "registration")
            .with("aor", &registration.aor)
            .with("id", &registration.id)
            .with("state", registration.state.name());
        for contact in &registration.contacts {
            element = element.holding(contact.element());
        }
        root = root.holding(element);
    }
    writer::document(&root, super::namespace::PIDF).into()
}

impl RegisteredContact {
    fn element(&self) -> Element {
        let mut element = Element::new(REGINFO, "contact")
            .with("id", &self.id)
            .with("state", if self.event.is_active() { "active" } else { "terminated" })
            .with("event", self.event.name());
        let numbers = [
            ("duration-registered", self.registered),
            ("expires", self.expires),
            ("retry-after", self.retry_after),
            ("cseq", self.cseq),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                element = element.with(name, &number.to_string());
            }
        }
        for (name, text) in [("q", &self.q), ("callid", &self.call_id)] {
            if let Some(text) = text {
                element = element.with(name, text);
            }
        }
        element = element.holding(Element::new(REGINFO, "uri").text_added(&self.uri));
        if let Some(name) = &self.display_name {
            element = element.holding(Element::new(REGINFO, "display-name").text_added(name));
        }
        for (name, value) in &self.unknown_params {
            let param = Element::new(REGINFO, "unknown-param").with("name", name).text_added(value);
            element = element.holding(param);
        }
        element
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Limits, reader};

    #[test]
    fn what_a_terminal_can_show_is_an_unknown_parameter_as_in_the_example() {
        let contact = RegisteredContact {
            id: "c1".into(),
            uri: "sip:john@192.0.2.7".into(),
            display_name: None,
            event: ContactEvent::Registered,
            registered: Some(12),
            expires: None,
            retry_after: None,
            q: Some("0.8".into()),
            call_id: Some("reg-001@192.0.2.7".into()),
            cseq: Some(1),
            unknown_params: vec![
                ("type".into(), "\"image/gif\"".into()),
                ("media-pix-x".into(), "max+160".into()),
            ],
        };
        let registration = Registration {
            aor: "sip:john@example.com".into(),
            id: "r1".into(),
            state: RegistrationState::Active,
            contacts: vec![contact],
        };
        let written = reader::read(&reginfo(&[registration], 0, true), &Limits::default()).unwrap().root;
        let example = include_bytes!("../../../tests/data/messages/074-reginfo-notify.msg");
        let at = memchr::memmem::find(example, b"\r\n\r\n").unwrap() + 4;
        let expected = reader::read(&example[at..], &Limits::default()).unwrap().root;
        assert!(written.same(&expected));
    }

    #[test]
    fn a_contact_that_ended_is_terminated() {
        for event in [
            ContactEvent::Expired,
            ContactEvent::Deactivated,
            ContactEvent::Probation,
            ContactEvent::Unregistered,
            ContactEvent::Rejected,
        ] {
            assert!(!event.is_active(), "{}", event.name());
        }
    }
}
