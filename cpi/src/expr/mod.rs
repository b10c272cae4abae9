//! Feature-set expressions of RFC 2533 §4.1 as corrected by RFC 2738, with the draft's irregular forms
//! (CPI.md §1.3, rules X1-X6 and S1-S4).
//!
//! `parse` reads the text into filters, `scope` says which message or media type each test is about. Not
//! flattened to a disjunction of everything first: that would mix the whole message's `length` with a type's.

mod parse;
mod scope;
mod test;

use crate::diag::{Diag, Diags};
use crate::model::{Cpi, MediaEntry, WholeLimit};
use crate::{Extensions, Source};

/// Longest text that is read, in octets (rule X6).
pub const MAX_OCTETS: usize = 64 * 1024;
/// Deepest nesting of filters (rule X6).
pub const MAX_DEPTH: usize = 32;
/// Most filters of one expression, and most entries that come out of one (rule X6).
pub const MAX_FILTERS: usize = 256;

/// What an expression says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expression {
    /// Limits on the whole message (rules S1, S3).
    pub whole: Vec<WholeLimit>,
    /// Media entries (rule S2).
    pub media: Vec<MediaEntry>,
    /// Pixel limits that stand above no type: they limit `image/*` and `video/*`, as in a Contact (rule K5).
    pub implicit: Vec<MediaEntry>,
    /// What was tolerated.
    pub diags: Vec<Diag>,
}

impl Expression {
    /// The expression as capabilities; without a media entry, types are unknown (rule D1).
    pub fn into_cpi(self, source: Source) -> Cpi {
        Cpi {
            source,
            whole: self.whole,
            media: (!self.media.is_empty()).then_some(self.media),
            implicit: self.implicit,
            ..Cpi::default()
        }
    }
}

/// Reads an expression. What is over the limits is ignored as a whole, with the diagnostic `too-complex`.
///
/// ```
/// let text = r#"(& (type="image/gif") (media-pix-x<160));q=0.8"#;
/// let expression = cpi::expr::parse(text, &cpi::Extensions::NONE);
/// assert_eq!(expression.media[0].q, 800);
/// assert_eq!(expression.media[0].pix_x.hi, Some(159));
/// assert_eq!(expression.diags, [cpi::Diag::StrictRelation]);
/// ```
pub fn parse(text: &str, extensions: &Extensions) -> Expression {
    let mut diags = Diags::default();
    match parse::filters(text.as_bytes(), extensions, &mut diags).and_then(scope::read) {
        Ok(found) => Expression { diags: diags.into_vec(), ..found },
        Err(TooComplex) => Expression { diags: vec![Diag::TooComplex], ..Expression::default() },
    }
}

/// A limit of rule X6 was hit.
#[derive(Debug)]
struct TooComplex;

/// One filter: what it tests, and how much is liked what holds to it.
#[derive(Debug)]
struct Filter<'e> {
    node: Node<'e>,
    q: u16,
}

#[derive(Debug)]
enum Node<'e> {
    And(Vec<Filter<'e>>),
    Or(Vec<Filter<'e>>),
    Not(Box<Filter<'e>>),
    Test(test::Test<'e>),
}
