//! What the configuration says about registration.

use std::time::Duration;

use cpi::Extensions;
use sip::Uri;

use crate::guard::Auth;

/// How a registrar works. Durations and sizes as in the configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// The domains it is responsible for.
    pub domains: Vec<String>,
    /// AORs that exist although they may never have registered.
    pub listed: Vec<String>,
    /// `[auth]`; `None` for `auth.mode = "none"`: everybody is believed.
    pub auth: Option<Auth>,
    /// `registrar.remember`: how long an AOR is known after its last binding ended.
    pub remember: Duration,
    /// `registrar.min_expires`, seconds: less, and less than an hour, is answered 423.
    pub min_expires: u32,
    /// `registrar.default_expires`, seconds, for a Contact that names none.
    pub default_expires: u32,
    /// Seconds to which a longer expiry is shortened.
    pub max_expires: u32,
    /// `cpi.from_register_accept`: Accept and its companions in a REGISTER describe the terminal (rule L1).
    pub from_register_accept: bool,
    /// A Path from a terminal that doesn't say `Supported: path` is refused with 420 (RFC 3327 §5.3).
    pub path_needs_support: bool,
    /// Names beside `length` and `media-pix-*` that carry constraints.
    pub extensions: Extensions,
    /// Bindings of one user; more are answered 403.
    pub contacts: usize,
    /// Octets of one Contact, its URI and parameters together.
    pub contact_octets: usize,
    /// Octets of the URI of one Contact.
    pub contact_uri_octets: usize,
    /// Parameters of one Contact.
    pub contact_params: usize,
    /// Octets of the CPI of one binding.
    pub contact_cpi_octets: usize,
    /// Octets of the CPIs of one user's bindings.
    pub cpi_octets: usize,
    /// Values of one Path.
    pub path_values: usize,
    /// Octets of one Path, all its values together.
    pub path_octets: usize,
    /// Users that have a record; one more is answered 503.
    pub users: usize,
    /// Different CPIs held; a further one is answered 503.
    pub distinct_cpis: usize,
    /// Terminals of which something learned is kept.
    pub learned: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            domains: vec!["localhost".to_owned()],
            listed: Vec::new(),
            auth: None,
            remember: Duration::from_secs(30 * 24 * 3600),
            min_expires: 60,
            default_expires: 3600,
            max_expires: u32::MAX,
            from_register_accept: true,
            path_needs_support: true,
            extensions: Extensions::NONE,
            contacts: 32,
            contact_octets: 8 * 1024,
            contact_uri_octets: 2 * 1024,
            contact_params: 64,
            contact_cpi_octets: 16 * 1024,
            cpi_octets: 64 * 1024,
            path_values: 16,
            path_octets: 4 * 1024,
            users: 10_000_000,
            distinct_cpis: 1_000_000,
            learned: 1_000_000,
        }
    }
}

impl Options {
    /// Whether the host of `uri` is one of the domains.
    pub(crate) fn is_ours(&self, uri: &Uri) -> bool {
        uri.is_sip() && uri.host().is_some_and(|host| self.domains.iter().any(|domain| host.is(domain)))
    }

    /// The one key of a user of ours; `None` for anyone else. A port and the scheme don't count: requests for
    /// the domain find their user whatever port and scheme they were written with, so that a To which names
    /// one must not make a user whom nobody can reach (RFC 5630 §5.3 wants the same of the scheme).
    pub(crate) fn aor(&self, uri: &Uri) -> Option<String> {
        self.is_ours(uri).then(|| uri.account()).flatten()
    }

    /// When an AOR whose last binding ended at `ended` is forgotten, in Unix seconds.
    pub(crate) fn forgotten_at(&self, ended: u64) -> u64 {
        ended.saturating_add(self.remember.as_secs())
    }
}
