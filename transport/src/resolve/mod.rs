//! Names to addresses: RFC 3263. Numeric hosts need no question.
//!
//! [`Resolve`] answers single questions; the chain over its answers (`locate`) and the choice among records
//! (`select`, pure) stand apart from it, so that tests put a table in its place. All questions go through one
//! [`Desk`], which bounds how many there are at once and remembers failures.

mod desk;
mod dns;
mod locate;
mod question;
mod select;
mod system;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

pub use desk::Asker;
pub(crate) use desk::Desk;
pub use dns::{DnsError, DnsOptions, DnsResolver};
pub use locate::LocateError;
pub(crate) use locate::Locator;
pub(crate) use question::Sockets;
pub use system::SystemResolver;

/// The answer to one question, when it comes. No record of that kind is an empty list.
pub type Lookup<'a, T> = Pin<Box<dyn Future<Output = Result<Vec<T>, LookupError>> + Send + 'a>>;

/// Answers questions about names. Tests put their own in its place.
pub trait Resolve: Send + Sync + Debug + 'static {
    /// The NAPTR records of a domain, in any order. Without a form of its own: none.
    fn naptr<'a>(&'a self, domain: &'a str) -> Lookup<'a, Naptr> {
        let _none_known = domain;
        Box::pin(async { Ok(Vec::new()) })
    }

    /// The SRV records of a service as `_sip._udp.example.com`, in any order. Without a form of its own: none.
    fn srv<'a>(&'a self, service: &'a str) -> Lookup<'a, Srv> {
        let _none_known = service;
        Box::pin(async { Ok(Vec::new()) })
    }

    /// The addresses of a host in one family, best first.
    fn addresses<'a>(&'a self, host: &'a str, family: Family) -> Lookup<'a, IpAddr>;
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

impl Family {
    /// The family of an address.
    pub const fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// What of a NAPTR record matters here (RFC 3403 §4.1); one with a regular expression is left out by whoever
/// reads records, since those of SIP have none (RFC 3263 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// Lower ones first, and higher ones not at all once one was used.
    pub order: u16,
    /// Lower ones first among those of one order.
    pub preference: u16,
    /// `s`: the replacement is a service; `a`: a host.
    pub flags: String,
    /// `SIP+D2U` and the like.
    pub service: String,
    /// The name to ask for next.
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower ones first.
    pub priority: u16,
    /// How often it goes before others of its priority.
    pub weight: u16,
    /// The port there.
    pub port: u16,
    /// The host; `.` or nothing says that the service is not offered.
    pub target: String,
}

/// Why a question has no answer. That there is no such record is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No server answered in time.
    #[error("no answer in time")]
    TimedOut,
    /// The server answered that it can't, or what it sent is no answer.
    #[error("the name servers failed")]
    Failed,
    /// Too many questions wait already.
    #[error("too many questions wait")]
    Busy,
}
