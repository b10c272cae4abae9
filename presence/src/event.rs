//! Event packages (RFC 6665 §7.2) and the Event header field.

use bytes::Bytes;
use sip::{HeaderId, Request};

/// The packages this server notifies of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Package {
    /// `presence` (RFC 3856).
    Presence,
    /// `presence.winfo` (RFC 3857).
    Winfo,
    /// `reg` (RFC 3680).
    Reg,
}

impl Package {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Presence, Self::Winfo, Self::Reg];

    /// The name in Event and Allow-Events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Winfo => "presence.winfo",
            Self::Reg => "reg",
        }
    }

    /// The package of that name, in any case: terminals write `Presence` too.
    pub fn of(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|package| package.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Seconds a subscription lasts that asks for none (RFC 3856 §6.4, RFC 3857 §4.3, RFC 3680 §4.4).
    pub const fn default_expires(self) -> u32 {
        match self {
            Self::Presence | Self::Winfo => 3600,
            Self::Reg => 3761,
        }
    }

    /// The type of its documents that every subscriber takes.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Presence => "application/pidf+xml",
            Self::Winfo => "application/watcherinfo+xml",
            Self::Reg => "application/reginfo+xml",
        }
    }

    /// One octet in a stored record.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Presence => 0,
            Self::Winfo => 1,
            Self::Reg => 2,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|package| package.code() == code)
    }
}

/// The value of Allow-Events.
pub fn allowed() -> String {
    Package::ALL.map(Package::name).join(", ")
}

/// What an Event header field names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `None`: a package that is not ours, or no readable field at all.
    pub package: Option<Package>,
    /// `id`, which tells subscriptions of one dialog apart.
    pub id: Option<Bytes>,
}

impl Event {
    /// The event of a request; `None` without the header field.
    pub fn of(request: &Request) -> Option<Self> {
        let value = request.header(HeaderId::Event)?;
        let mut params = grammar::params(value);
        let package = params.next().and_then(|name| Package::of(grammar::trim(name.raw)));
        let id = params.find(|param| param.is(b"id")).and_then(|param| param.value);
        Some(Self { package, id: id.map(|id| Bytes::from(id.text().into_owned())) })
    }
}
