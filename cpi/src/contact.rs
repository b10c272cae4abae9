//! The parameters of one Contact: RFC 3840 feature parameters (CPI.md §1.4) and the draft's groups (§1.5).

use crate::{Diag, Extensions, Features, MediaEntry, WholeLimit};

/// What the parameters of one Contact say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactCpi {
    /// The Contact's own preference in thousandths; `None` if not given (rule K7).
    pub q: Option<u16>,
    /// `expires` in seconds; a malformed one is 3600 (RFC 3261 §10.3).
    pub expires: Option<u32>,
    /// Media entries of `type` groups, in order; `None` without such a group.
    pub groups: Option<Vec<MediaEntry>>,
    /// Whole-message limits: `encoding` groups, and `length` before any group (rules K5, K6).
    pub whole: Vec<WholeLimit>,
    /// Pixel limits before any group, on `image/*` and `video/*` (rule K5).
    pub implicit: Vec<MediaEntry>,
    /// Feature parameters.
    pub features: Features,
    /// Every other parameter with its value, names in lower case, in order (`reg-id`, `+sip.instance`, ..).
    pub other: Vec<(String, Option<String>)>,
    /// All parameters as they came, in order, for the echo (rules D3, L6).
    pub raw: Vec<String>,
    /// What was tolerated.
    pub diags: Vec<Diag>,
}

/// Reads the parameters behind one Contact's URI.
pub fn decode(params: grammar::Params<'_>, extensions: &Extensions) -> ContactCpi {
    let _ = (params, extensions);
    ContactCpi::default()
}
