//! From an entity and a terminal to a plan (CPI.md §3.1).

use std::time::SystemTime;

use bytes::Bytes;
use cpi::Cpi;

use crate::entity::{Adapted, Entity, Refusal};
use crate::job::{Job, JobOutcome};
use crate::report::Report;
use crate::settings::{Budget, Settings};

/// What becomes of the body.
#[derive(Clone, Debug)]
pub struct Plan {
    report: Report,
}

/// Makes the plan.
pub fn plan(_entity: &Entity, _cpi: Option<&Cpi>, _settings: &Settings, _budget: Budget) -> Plan {
    Plan { report: Report::default() }
}

impl Plan {
    /// What is to be done next.
    pub fn verdict(&self) -> Verdict {
        Verdict::Unchanged
    }

    /// The reasons.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The links it needs that it has not been given yet.
    pub fn links(&self) -> Vec<LinkRequest> {
        Vec::new()
    }

    /// The work it needs that has not been done yet.
    pub fn jobs(&self) -> Vec<Job> {
        Vec::new()
    }

    /// Puts the new body together, and holds it against every limit with the real sizes.
    ///
    /// # Errors
    /// [`Refusal`] when nothing that is left can fit.
    pub fn build(self, _outcomes: Vec<JobOutcome>, _links: Vec<Link>) -> Result<Built, Box<Refusal>> {
        Ok(Built::Again(Box::new(self)))
    }

    /// The best plan with the work that is done and no more: what the caller takes when its deadline has
    /// come. Its verdict may be a refusal; it may need links.
    #[must_use]
    pub fn fallback(self, _outcomes: Vec<JobOutcome>) -> Plan {
        self
    }
}

/// What is to be done with the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward the identical octets.
    Unchanged,
    /// Get the links, run the jobs, build.
    Adapt,
    /// Nothing fits.
    Refuse(Refusal),
}

/// What came of [`Plan::build`].
#[derive(Clone, Debug)]
pub enum Built {
    /// The new body.
    Done(Box<Adapted>),
    /// Something did not come out as predicted: a new plan that knows what was made. At most
    /// [`Plan::ROUNDS`] times.
    Again(Box<Plan>),
}

/// Content to store.
#[derive(Clone, Debug)]
pub struct LinkRequest {
    /// Goes back in the [`Link`].
    pub id: usize,
    /// The part's place in the tree, as in [`crate::PartReport::part`].
    pub part: String,
    /// The original octets, transfer encoding taken off.
    pub content: Bytes,
    /// The complete original Content-Type.
    pub content_type: String,
    /// The type the terminal was told of, if another one than the original's must be served.
    pub serve_as: Option<String>,
    /// The original Content-Encoding.
    pub content_encoding: Option<String>,
    /// The original Content-Disposition.
    pub disposition: Option<String>,
    /// The original Content-Description.
    pub description: Option<String>,
    /// Whether the fetch must serve these very octets (signed, encrypted, no-transform).
    pub fixed: bool,
}

/// Content that is stored.
#[derive(Clone, Debug)]
pub struct Link {
    /// The request's.
    pub id: usize,
    /// Where it is served. No white space, quotes or backslashes.
    pub url: String,
    /// Until when.
    pub expires: SystemTime,
}

/// Whether the head of a request covers its body, so that it must not be touched (CPI.md P3): credentials
/// with `qop=auth-int` for a realm that is not among `ours`, or `Identity` with `Identity-Info` (RFC 4474).
pub fn seals_body<'a>(head: impl IntoIterator<Item = (&'a [u8], &'a [u8])>, ours: &[&str]) -> bool {
    let (mut identity, mut info) = (false, false);
    for (name, value) in head {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if (is("authorization") || is("proxy-authorization")) && covers_body(value, ours) {
            return true;
        }
        identity |= is("identity") || is("y");
        info |= is("identity-info") || is("n");
    }
    identity && info
}

fn covers_body(credentials: &[u8], ours: &[&str]) -> bool {
    let Some((_, rest)) = grammar::split_once(grammar::trim(credentials), grammar::is_lws) else {
        return false;
    };
    let (mut auth_int, mut foreign) = (false, true);
    for piece in grammar::split_commas(rest) {
        for param in grammar::params(piece) {
            let value = param.value.map(|value| value.text().into_owned()).unwrap_or_default();
            if param.is(b"qop") {
                auth_int = value.eq_ignore_ascii_case(b"auth-int");
            } else if param.is(b"realm") {
                foreign = !ours.iter().any(|realm| realm.as_bytes() == value);
            }
        }
    }
    auth_int && foreign
}
