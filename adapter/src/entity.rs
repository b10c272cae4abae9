//! What goes in and what comes out: an entity, and the changes to it.

use bytes::Bytes;

use crate::report::Report;

/// One header field of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name as written.
    pub name: Bytes,
    /// The value, outer white space taken away; folds may be in it.
    pub value: Bytes,
}

impl Field {
    /// A field of these octets.
    pub fn new(name: impl Into<Bytes>, value: impl Into<Bytes>) -> Field {
        Field { name: name.into(), value: value.into() }
    }

    /// Whether this is the field `name`; names have no case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The octets of `Name: value CRLF`.
    pub fn octets(&self) -> u64 {
        (self.name.len() + self.value.len() + 4) as u64
    }
}

/// A body and the fields that describe it.
#[derive(Clone, Debug, Default)]
pub struct Entity {
    /// Those of the head for which [`Entity::describes`] holds, in order.
    pub fields: Vec<Field>,
    /// The body as carried.
    pub body: Bytes,
}

impl Entity {
    /// Whether a header field of that name, of a SIP or an HTTP head, belongs into [`Entity::fields`]:
    /// `Content-*` without `Content-Length`, `MIME-Version`, `Cache-Control`. Compact forms (`c`, `e`) must be
    /// given by their long names.
    pub fn describes(name: &[u8]) -> bool {
        if !matches!(name.first(), Some(b'c' | b'C' | b'm' | b'M')) {
            return false;
        }
        let content = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
        (content && !name.eq_ignore_ascii_case(b"content-length"))
            || name.eq_ignore_ascii_case(b"mime-version")
            || name.eq_ignore_ascii_case(b"cache-control")
    }

    /// The value of the first field of that name.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|field| field.is(name)).map(|field| &*field.value)
    }
}

/// A body that fits, and how the head changes with it.
#[derive(Clone, Debug)]
pub struct Adapted {
    /// Fields to set: each takes the place of all fields of its name.
    pub set: Vec<Field>,
    /// Fields to add below those of their name (`Content-Adapted`; others' values stay, CPI.md §3.9 N1).
    pub append: Vec<Field>,
    /// Names of fields to take out.
    pub remove: Vec<Bytes>,
    /// The new body.
    pub body: Bytes,
    /// The plan as it came out, with the real sizes.
    pub report: Report,
}

impl Adapted {
    /// The entity that `base` becomes.
    pub fn apply(&self, base: &Entity) -> Entity {
        let gone = |field: &Field| {
            self.remove.iter().any(|name| field.name.eq_ignore_ascii_case(name))
                || self.set.iter().any(|new| new.name.eq_ignore_ascii_case(&field.name))
        };
        let kept = base.fields.iter().filter(|field| !gone(field));
        let fields = kept.chain(&self.set).chain(&self.append).cloned().collect();
        Entity { fields, body: self.body.clone() }
    }
}

/// Nothing the terminal could take can be made of this body (CPI.md §3.8). For a proxy it is that branch's
/// final response.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[error("{status} {reason}: {warning}")]
pub struct Refusal {
    /// 413, 415 or 513.
    pub status: u16,
    /// The reason phrase of the status line.
    pub reason: String,
    /// For `Warning: 399 host "..."`: what is wrong, for a person. Without quotes and backslashes.
    pub warning: String,
    /// With 415: the media ranges the terminal takes, without parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
    /// With 415 for a coding: the codings it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_encoding: Option<String>,
}
