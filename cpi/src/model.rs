//! The data model of CPI.md §0: what a terminal said it can show, after parsing.
//!
//! Equal capabilities of many phones are equal values with equal hashes, so a registrar can hold each
//! once. The serde form is canonical and short: maps are sorted, absent things take no room. It needs a
//! self-describing format (JSON, CBOR).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::feature::Features;

/// The highest preference: `q=1`, in thousandths.
pub const Q_MAX: u16 = 1000;

/// Capabilities and preference information of one terminal (CPI.md §0).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cpi {
    /// Where it was learned, which decides its precedence (rule L4).
    #[serde(rename = "s", default, skip_serializing_if = "is_default")]
    pub source: Source,
    /// The `User-Agent` text, opaque, at most [`crate::decode::USER_AGENT_OCTETS`] octets.
    #[serde(rename = "ua", default, skip_serializing_if = "is_default")]
    pub user_agent: Option<String>,
    /// Limits on the whole message by content coding; empty means `identity` without a limit (rule G6).
    #[serde(rename = "w", default, skip_serializing_if = "is_default")]
    pub whole: Vec<WholeLimit>,
    /// What may be shown. `None`: types unknown, no restriction. Empty: nothing but what is implied
    /// (rules D1, M9).
    #[serde(rename = "m", default, skip_serializing_if = "is_default")]
    pub media: Option<Vec<MediaEntry>>,
    /// Entries that limit `image/*` and `video/*` without listing them as types (rule K5).
    #[serde(rename = "i", default, skip_serializing_if = "is_default")]
    pub implicit: Vec<MediaEntry>,
    /// Character sets in the order given; `None` means utf-8 and us-ascii (rule G6).
    #[serde(rename = "cs", default, skip_serializing_if = "is_default")]
    pub charsets: Option<Vec<Preference>>,
    /// Language ranges in the order given; `None` means all.
    #[serde(rename = "l", default, skip_serializing_if = "is_default")]
    pub languages: Option<Vec<Preference>>,
    /// Largest whole SIP message with its head, in octets (`Max-Size`).
    #[serde(rename = "max", default, skip_serializing_if = "is_default")]
    pub max_size: Option<u64>,
    /// RFC 3840 feature parameters of the Contact.
    #[serde(rename = "f", default, skip_serializing_if = "is_default")]
    pub features: Features,
}

impl Cpi {
    /// Whether nothing is stated that matching could use: no types, no limits, no charsets, no
    /// languages. A user agent or feature tags alone are nothing of that kind.
    pub const fn is_unknown(&self) -> bool {
        !self.has_header_cpi() && self.implicit.is_empty()
    }

    /// Whether any of Accept, Accept-Encoding, Accept-Charset, Accept-Language, Max-Size was read: the
    /// fields that replace kept header CPI in a refresh (rule L5).
    pub const fn has_header_cpi(&self) -> bool {
        self.media.is_some()
            || !self.whole.is_empty()
            || self.charsets.is_some()
            || self.languages.is_some()
            || self.max_size.is_some()
    }

    /// The same capabilities with another source.
    #[must_use]
    pub const fn with_source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }
}

/// Where capabilities were learned. The order is the precedence of rule L4: a greater source wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// Not said.
    #[default]
    #[serde(rename = "-")]
    None,
    /// A device profile of the configuration, selected by User-Agent (rule G7).
    #[serde(rename = "p")]
    Profile,
    /// The answer to an OPTIONS, or a 415, 413 or 513 (rules L7, L8).
    #[serde(rename = "l")]
    Learned,
    /// The binding: REGISTER headers and Contact parameters.
    #[serde(rename = "b")]
    Binding,
    /// The SUBSCRIBE that made the dialog a NOTIFY goes into, or the HTTP request being answered.
    #[serde(rename = "d")]
    Dialog,
}

impl Source {
    /// A word for logs and plans.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Profile => "profile",
            Self::Learned => "learned",
            Self::Binding => "binding",
            Self::Dialog => "dialog",
        }
    }
}

/// A limit on the body as a whole, for one content coding: one element of Accept-Encoding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WholeLimit {
    /// `identity`, `gzip`, .. or `*`, in lower case.
    #[serde(rename = "c")]
    pub coding: String,
    /// Preference in thousandths; 0 refuses the coding.
    #[serde(default = "q_max", skip_serializing_if = "is_q_max")]
    pub q: u16,
    /// Octets of the body as Content-Length counts them.
    #[serde(rename = "n", default, skip_serializing_if = "is_default")]
    pub length: Interval,
}

impl WholeLimit {
    /// A limit for the coding `identity`.
    pub fn identity(length: Interval) -> Self {
        Self { coding: "identity".to_owned(), q: Q_MAX, length }
    }
}

/// One range of media types with what it must hold to: one element of Accept, or one Contact group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MediaEntry {
    /// `type/subtype`, `type/*` or `*/*`, in lower case.
    #[serde(rename = "r")]
    pub range: String,
    /// Media-type parameters that belong to the range; names in lower case.
    #[serde(rename = "p", default, skip_serializing_if = "is_default")]
    pub params: BTreeMap<String, String>,
    /// Preference in thousandths; 0 refuses.
    #[serde(default = "q_max", skip_serializing_if = "is_q_max")]
    pub q: u16,
    /// Octets of the part's body as carried.
    #[serde(rename = "n", default, skip_serializing_if = "is_default")]
    pub length: Interval,
    /// Width in pixels.
    #[serde(rename = "x", default, skip_serializing_if = "is_default")]
    pub pix_x: Interval,
    /// Height in pixels.
    #[serde(rename = "y", default, skip_serializing_if = "is_default")]
    pub pix_y: Interval,
    /// Constraints named in the extension table (`cpi-ext`); names in lower case.
    #[serde(rename = "e", default, skip_serializing_if = "is_default")]
    pub ext: BTreeMap<String, Interval>,
}

impl MediaEntry {
    /// An entry for `range` with `q=1` and no constraint.
    pub fn new(range: impl Into<String>) -> Self {
        Self {
            range: range.into(),
            params: BTreeMap::new(),
            q: Q_MAX,
            length: Interval::UNLIMITED,
            pix_x: Interval::UNLIMITED,
            pix_y: Interval::UNLIMITED,
            ext: BTreeMap::new(),
        }
    }

    /// How many names are constrained.
    pub fn constraints(&self) -> usize {
        self.intervals().filter(|interval| !interval.is_unlimited()).count()
    }

    /// Whether no item can ever hold to it (rule D2): kept, but skipped in matching.
    pub fn is_unsatisfiable(&self) -> bool {
        self.intervals().any(|interval| interval.is_empty())
    }

    fn intervals(&self) -> impl Iterator<Item = &Interval> {
        [&self.length, &self.pix_x, &self.pix_y].into_iter().chain(self.ext.values())
    }
}

/// A range of whole numbers, both ends included; an absent end is open (rule D2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "(Option<u64>, Option<u64>)", into = "(Option<u64>, Option<u64>)")]
pub struct Interval {
    /// The least value.
    pub lo: Option<u64>,
    /// The greatest value.
    pub hi: Option<u64>,
}

impl Interval {
    /// No constraint.
    pub const UNLIMITED: Self = Self { lo: None, hi: None };
    /// Holds no number: what `max-0` says.
    pub const EMPTY: Self = Self { lo: Some(1), hi: Some(0) };

    /// `<= n`
    pub const fn at_most(n: u64) -> Self {
        Self { lo: None, hi: Some(n) }
    }

    /// `>= n`
    pub const fn at_least(n: u64) -> Self {
        Self { lo: Some(n), hi: None }
    }

    /// `= n`
    pub const fn exactly(n: u64) -> Self {
        Self { lo: Some(n), hi: Some(n) }
    }

    /// `< n`
    pub const fn below(n: u64) -> Self {
        match n.checked_sub(1) {
            Some(hi) => Self::at_most(hi),
            None => Self::EMPTY,
        }
    }

    /// `> n`
    pub const fn above(n: u64) -> Self {
        match n.checked_add(1) {
            Some(lo) => Self::at_least(lo),
            None => Self::EMPTY,
        }
    }

    /// What both allow.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self {
            lo: self.lo.max(other.lo),
            hi: match (self.hi, other.hi) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }

    /// Whether `n` lies inside.
    pub fn contains(self, n: u64) -> bool {
        self.lo.is_none_or(|lo| lo <= n) && self.within_high(n)
    }

    /// Whether `n` is not above the upper end; the lower end is not asked (rule M6 for `length`).
    pub fn within_high(self, n: u64) -> bool {
        self.hi.is_none_or(|hi| n <= hi)
    }

    /// Whether no number lies inside.
    pub const fn is_empty(self) -> bool {
        matches!((self.lo, self.hi), (Some(lo), Some(hi)) if lo > hi)
    }

    /// Whether every number lies inside.
    pub const fn is_unlimited(self) -> bool {
        self.lo.is_none() && self.hi.is_none()
    }
}

impl From<(Option<u64>, Option<u64>)> for Interval {
    fn from((lo, hi): (Option<u64>, Option<u64>)) -> Self {
        Self { lo, hi }
    }
}

impl From<Interval> for (Option<u64>, Option<u64>) {
    fn from(interval: Interval) -> Self {
        (interval.lo, interval.hi)
    }
}

/// A charset or a language range with its preference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "(String, u16)", into = "(String, u16)")]
pub struct Preference {
    /// The name in lower case, or `*`.
    pub name: String,
    /// Thousandths; 0 refuses.
    pub q: u16,
}

impl From<(String, u16)> for Preference {
    fn from((name, q): (String, u16)) -> Self {
        Self { name, q }
    }
}

impl From<Preference> for (String, u16) {
    fn from(preference: Preference) -> Self {
        (preference.name, preference.q)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

const fn q_max() -> u16 {
    Q_MAX
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_q_max(q: &u16) -> bool {
    *q == Q_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_bounds_become_inclusive_ones() {
        assert_eq!(Interval::below(160), Interval::at_most(159));
        assert_eq!(Interval::above(15), Interval::at_least(16));
        assert!(Interval::below(0).is_empty());
        assert!(Interval::above(u64::MAX).is_empty());
    }

    #[test]
    fn several_constraints_on_one_name_intersect() {
        let both = Interval::at_least(32).intersect(Interval::at_most(640));
        assert_eq!(both, Interval { lo: Some(32), hi: Some(640) });
        assert!(!both.contains(31) && both.contains(32) && both.contains(640) && !both.contains(641));
        assert!(Interval::exactly(1).intersect(Interval::exactly(2)).is_empty());
    }

    #[test]
    fn equal_capabilities_have_one_stored_form_and_come_back_equal() {
        let mut gif = MediaEntry::new("image/gif");
        gif.pix_x = Interval::at_most(160);
        gif.ext.insert("audio-rate".into(), Interval::exactly(8000));
        let cpi = Cpi {
            source: Source::Binding,
            whole: vec![WholeLimit::identity(Interval::at_most(32768))],
            media: Some(vec![gif]),
            max_size: Some(60000),
            ..Cpi::default()
        };
        let text = serde_json::to_string(&cpi).unwrap();
        assert_eq!(
            text,
            r#"{"s":"b","w":[{"c":"identity","n":[null,32768]}],"m":[{"r":"image/gif","x":[null,160],"e":{"audio-rate":[8000,8000]}}],"max":60000}"#
        );
        assert_eq!(serde_json::from_str::<Cpi>(&text).unwrap(), cpi);
        assert_eq!(serde_json::to_string(&Cpi::default()).unwrap(), "{}");
    }

    #[test]
    fn an_empty_accept_is_kept_apart_from_none() {
        let nothing = Cpi { media: Some(Vec::new()), ..Cpi::default() };
        let text = serde_json::to_string(&nothing).unwrap();
        assert_eq!(serde_json::from_str::<Cpi>(&text).unwrap(), nothing);
        assert!(!nothing.is_unknown());
        assert!(Cpi { user_agent: Some("x".into()), ..Cpi::default() }.is_unknown());
    }
}
