//! Diagnostics: what was tolerated while reading. A defect in CPI never fails a request (rule D4).

use std::fmt;

use serde::{Serialize, Serializer};

/// How many diagnostics are kept of one message; a hostile one could cause thousands.
pub const MAX_DIAGS: usize = 64;
/// How many octets of a bad value a diagnostic quotes.
pub const QUOTED_OCTETS: usize = 64;

/// A tolerated defect. `Display` and serde give its name, as in INDEX.json.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Diag {
    /// `q=.7`: RFC 3261 §25.1 wants a digit before the point.
    QNoLeadingZero,
    /// A q that is no qvalue, is above 1, or has more than three decimals.
    BadQ(String),
    /// A q beyond the two that rule K4 has a place for.
    ExtraQ,
    /// A constraint that is no cpi-value: dropped (rule G5).
    BadConstraint(String),
    /// A media range that can't be read: the entry is dropped.
    BadRange(String),
    /// A charset, language or coding that is no token: dropped.
    BadToken(String),
    /// A Max-Size that is no number: ignored.
    BadMaxSize(String),
    /// An `expires` that is no number: 3600 (RFC 3261 §10.3).
    BadExpires(String),
    /// A pixel constraint in an `encoding` group, or another place where it says nothing.
    Misplaced(String),
    /// More entries than a terminal can mean; the rest is ignored.
    TooManyEntries,
    /// `<` or `>`, which RFC 2533 doesn't have (rule X1).
    StrictRelation,
    /// A closing parenthesis too many (rule X2).
    ExtraCloseParen,
    /// A closing parenthesis missing at the end (rule X2).
    MissingCloseParen,
    /// A list of filters without an operator (rule X3).
    ImpliedAnd,
    /// A filter that can't be read: dropped.
    BadFilter(String),
    /// An expression over the limits of rule X6: all of it is ignored.
    TooComplex,
}

impl Diag {
    /// The first [`QUOTED_OCTETS`] octets of `value`, as text.
    pub(crate) fn quoted(value: &[u8]) -> String {
        let start = value.get(..QUOTED_OCTETS).unwrap_or(value);
        String::from_utf8_lossy(start).into_owned()
    }

    pub(crate) fn bad_constraint(value: &[u8]) -> Self {
        Self::BadConstraint(Self::quoted(value))
    }

    pub(crate) fn bad_range(value: &[u8]) -> Self {
        Self::BadRange(Self::quoted(value))
    }
}

impl fmt::Display for Diag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QNoLeadingZero => f.write_str("q-no-leading-zero"),
            Self::BadQ(value) => write!(f, "bad-q:{value}"),
            Self::ExtraQ => f.write_str("extra-q"),
            Self::BadConstraint(value) => write!(f, "bad-constraint:{value}"),
            Self::BadRange(value) => write!(f, "bad-range:{value}"),
            Self::BadToken(value) => write!(f, "bad-token:{value}"),
            Self::BadMaxSize(value) => write!(f, "bad-max-size:{value}"),
            Self::BadExpires(value) => write!(f, "bad-expires:{value}"),
            Self::Misplaced(name) => write!(f, "misplaced:{name}"),
            Self::TooManyEntries => f.write_str("too-many-entries"),
            Self::StrictRelation => f.write_str("strict-relation"),
            Self::ExtraCloseParen => f.write_str("extra-close-paren"),
            Self::MissingCloseParen => f.write_str("missing-close-paren"),
            Self::ImpliedAnd => f.write_str("implied-and"),
            Self::BadFilter(text) => write!(f, "bad-filter:{text}"),
            Self::TooComplex => f.write_str("too-complex"),
        }
    }
}

impl Serialize for Diag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A list of diagnostics that stops growing at [`MAX_DIAGS`].
#[derive(Debug, Default)]
pub(crate) struct Diags(Vec<Diag>);

impl Diags {
    pub(crate) fn push(&mut self, diag: Diag) {
        if self.0.len() < MAX_DIAGS {
            self.0.push(diag);
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Diag> {
        self.0
    }
}
