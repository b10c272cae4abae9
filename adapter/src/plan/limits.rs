//! How many octets there are (CPI.md §3.4).

use cpi::{Cpi, matching};

use crate::entity::Field;
use crate::settings::{Budget, Method, Settings};

/// The limits on the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Body octets: what Content-Length may say (M7).
    pub(crate) body: Option<u64>,
    /// Octets of the whole message: Max-Size and the transport.
    pub(crate) message: Option<u64>,
    /// Octets of its head without the fields the plan gives.
    pub(crate) head: u64,
}

impl Limits {
    /// For a body in that content coding.
    pub(crate) fn new(cpi: &Cpi, coding: &str, settings: &Settings, budget: Budget) -> Limits {
        let max_size = if settings.method == Method::Http { None } else { cpi.max_size };
        Limits {
            body: matching::whole_limit(cpi, coding).hi,
            message: least(max_size, budget.message),
            head: budget.head,
        }
    }

    /// Whether there is any.
    pub(crate) const fn exist(&self) -> bool {
        self.body.is_some() || self.message.is_some()
    }

    /// Octets for the body when these fields go out with it.
    pub(crate) fn for_body(&self, fields: u64) -> Option<u64> {
        let left = self.message.map(|message| message.saturating_sub(self.head + fields));
        least(self.body, left)
    }

    /// Whether that body with these fields is inside.
    pub(crate) fn hold(&self, body: u64, fields: u64) -> bool {
        // A head that is over the limit by itself leaves no room, not even for an empty body.
        self.for_body(fields).is_none_or(|room| body <= room)
            && self.message.is_none_or(|message| self.head + fields <= message)
    }
}

/// The smaller of two limits, either of which may be absent.
pub(crate) fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Octets of fields as lines.
pub(crate) fn octets(fields: &[Field]) -> u64 {
    fields.iter().map(Field::octets).sum()
}
