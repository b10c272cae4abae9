//! What the caller decides before a plan is made.

use std::fmt;
use std::sync::Arc;

use crate::image;
use crate::job::Converter;

/// How to adapt: what configuration says, and what is known of this message beside its body. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our name in `Content-Adapted`, in notes, and in Content-IDs we make.
    pub host: Arc<str>,
    /// `cpi.tiers`
    pub tiers: Tiers,
    /// `cpi.strict_specificity` (CPI.md M3)
    pub strict_specificity: bool,
    /// What carries the body: says whether a refusal is possible.
    pub method: Method,
    /// Types the terminal takes unasked (CPI.md M9), from [`cpi::matching::implied`].
    pub implied: &'static [&'static str],
    /// What links look like; `None`: there is no store, nothing is linked.
    pub links: Option<LinkShape>,
    /// When to link without trying to adapt (CPI.md §3.7 I2).
    pub linking: Linking,
    /// A digest or a signature in the head covers the body (CPI.md P3, [`crate::seals_body`]): nothing is touched.
    pub sealed: bool,
    /// Limits on what is read.
    pub guards: Guards,
    /// Whether a text/plain first part tells what was dropped (CPI.md §3.9 N2).
    pub drop_note: bool,
    /// Whether what message/cpim wraps is adapted (CPI.md P4).
    pub cpim: bool,
    /// Converters for kinds this room does not have.
    pub converters: Converters,
}

impl Settings {
    /// The defaults for a MESSAGE, with no store.
    pub fn new(host: impl Into<Arc<str>>) -> Settings {
        Settings {
            host: host.into(),
            tiers: Tiers::Honour,
            strict_specificity: false,
            method: Method::Message,
            implied: cpi::matching::implied("MESSAGE", None),
            links: None,
            linking: Linking::AsNeeded,
            sealed: false,
            guards: Guards::default(),
            drop_note: false,
            cpim: false,
            converters: Converters::default(),
        }
    }
}

/// `cpi.tiers` (CPI.md §3.5 V4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tiers {
    /// Only the highest tier that can be reached is used.
    Honour,
    /// What fits any tier stays.
    Minimal,
}

/// What carries the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// MESSAGE, or another request that can be refused.
    Message,
    /// NOTIFY: never refused (CPI.md §3.8).
    Notify,
    /// A fetch over HTTP: there is no message around the body, Max-Size does not count.
    Http,
}

/// What a link will look like, so that its octets are known before it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkShape {
    /// Octets of the longest URL.
    pub url_octets: usize,
    /// Whether the store adapts at the fetch; then no hash is sent, unless the content is fixed (CPI.md §4).
    pub adaptive: bool,
}

/// When to link (CPI.md §3.7 I2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    /// Only what can't be adapted.
    AsNeeded,
    /// `cpi.unknown = indirect` and nothing is known: everything but text/plain.
    UnknownTerminal,
    /// A user's rule, or `fork.mode = indirect`: every part but text/plain and protected ones, where the terminal
    /// takes message/external-body.
    Always,
}

/// Limits on what is read (CPI.md §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// What an image decoder may be asked to do.
    pub image: image::Guards,
    /// Multiparts inside each other.
    pub depth: usize,
    /// Parts in one message.
    pub parts: usize,
    /// Octets of one part's header.
    pub part_header: usize,
}

impl Default for Guards {
    fn default() -> Guards {
        Guards { image: image::Guards::default(), depth: 8, parts: 128, part_header: 8 * 1024 }
    }
}

/// Octets there are for the whole message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// The transport's limit on the whole message (CPI.md §3.4 B2); `None`: none.
    pub message: Option<u64>,
    /// Octets of the forwarded head, empty line and `Content-Length` line included, without the lines of
    /// [`crate::Entity::fields`]: those are counted by the plan.
    pub head: u64,
}

/// The converters, asked in order.
#[derive(Clone, Default)]
pub struct Converters(pub Arc<[Arc<dyn Converter>]>);

impl fmt::Debug for Converters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} converters", self.0.len())
    }
}
