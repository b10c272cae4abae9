//! One test of an expression: `tag relation value`.

use crate::Extensions;
use crate::diag::{Diag, Diags};
use crate::entry::{Name, Range, lower};
use crate::model::Interval;
use crate::value::Number;

/// What a test asks.
#[derive(Clone, Debug)]
pub(super) enum Test<'e> {
    /// `type`: one of these ranges; with `refused`, none of them.
    Types { ranges: Vec<Range>, refused: bool },
    /// `encoding`, likewise.
    Codings { names: Vec<String>, refused: bool },
    /// A number that lies in one of the intervals. Never empty.
    Limit { name: Name<'e>, any_of: Vec<Interval> },
    /// A tag that is not CPI, or a test that can't be read: always holds.
    Unknown,
}

impl<'e> Test<'e> {
    /// Reads the text between two parentheses.
    pub(super) fn read(text: &[u8], extensions: &'e Extensions, diags: &mut Diags) -> Self {
        let Some((tag, relation, value)) = split(text) else {
            diags.push(Diag::BadFilter(Diag::quoted(text)));
            return Self::Unknown;
        };
        if relation.is_strict() {
            diags.push(Diag::StrictRelation);
        }
        let is_type = tag.eq_ignore_ascii_case(b"type");
        if is_type || tag.eq_ignore_ascii_case(b"encoding") {
            if relation != Relation::Equal {
                diags.push(Diag::BadFilter(Diag::quoted(text)));
                return Self::Unknown;
            }
            return if is_type { types(value, diags) } else { codings(value, diags) };
        }
        let Some(name) = Name::read(tag, extensions) else { return Self::Unknown };
        match limit(relation, value) {
            Ok(any_of) => Self::Limit { name, any_of },
            Err(bad) => {
                diags.push(Diag::bad_constraint(bad));
                Self::Unknown
            }
        }
    }

    /// How many values it names.
    pub(super) const fn size(&self) -> usize {
        match self {
            Self::Types { ranges, .. } => ranges.len(),
            Self::Codings { names, .. } => names.len(),
            Self::Limit { any_of, .. } => any_of.len(),
            Self::Unknown => 1,
        }
    }

    /// The test that holds where this one doesn't (rule S4).
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Types { ranges, refused } => Self::Types { ranges, refused: !refused },
            Self::Codings { names, refused } => Self::Codings { names, refused: !refused },
            Self::Limit { name, any_of } => Self::Limit { name, any_of: complement(&any_of) },
            Self::Unknown => Self::Unknown,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Equal,
    AtMost,
    AtLeast,
    Below,
    Above,
}

impl Relation {
    /// Rule X1.
    const fn is_strict(self) -> bool {
        matches!(self, Self::Below | Self::Above)
    }
}

fn split(text: &[u8]) -> Option<(&[u8], Relation, &[u8])> {
    let at = text.iter().position(|b| matches!(b, b'=' | b'<' | b'>'))?;
    let (tag, rest) = text.split_at_checked(at)?;
    let (relation, value) = match rest {
        [b'<', b'=', value @ ..] => (Relation::AtMost, value),
        [b'>', b'=', value @ ..] => (Relation::AtLeast, value),
        [b'<', value @ ..] => (Relation::Below, value),
        [b'>', value @ ..] => (Relation::Above, value),
        [_, value @ ..] => (Relation::Equal, value),
        [] => return None,
    };
    let tag = grammar::trim(tag);
    (!tag.is_empty()).then(|| (tag, relation, grammar::trim(value)))
}

/// The elements of `[a, b]`, or the one value.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let set = value.strip_prefix(b"[").map(|inner| inner.strip_suffix(b"]").unwrap_or(inner));
    grammar::split_outside_quotes(set.unwrap_or(value), b',', false).filter(|element| !element.is_empty())
}

fn types<'e>(value: &[u8], diags: &mut Diags) -> Test<'e> {
    let mut ranges = Vec::new();
    for element in elements(value) {
        match Range::with_params(&grammar::Value::read(element).text()) {
            Some(range) => ranges.push(range),
            None => diags.push(Diag::bad_range(element)),
        }
    }
    if ranges.is_empty() { Test::Unknown } else { Test::Types { ranges, refused: false } }
}

fn codings<'e>(value: &[u8], diags: &mut Diags) -> Test<'e> {
    let mut names = Vec::new();
    for element in elements(value) {
        let name = grammar::Value::read(element).text();
        if grammar::is_token(&name) {
            names.push(lower(&name));
        } else {
            diags.push(Diag::BadToken(Diag::quoted(element)));
        }
    }
    if names.is_empty() { Test::Unknown } else { Test::Codings { names, refused: false } }
}

/// The intervals in which a number holds to the relation; `Err` is the value that is none.
fn limit(relation: Relation, value: &[u8]) -> Result<Vec<Interval>, &[u8]> {
    let one = |read: fn(Number) -> Option<Interval>| {
        Number::read(value).and_then(read).map(|interval| vec![interval]).ok_or(value)
    };
    match relation {
        Relation::AtMost => one(Number::at_most),
        Relation::AtLeast => one(Number::at_least),
        Relation::Below => one(Number::below),
        Relation::Above => one(Number::above),
        Relation::Equal => {
            let all = elements(value).map(|element| range(element).ok_or(element));
            let all: Vec<Interval> = all.collect::<Result<_, _>>()?;
            if all.is_empty() { Err(value) } else { Ok(all) }
        }
    }
}

/// `5` or `16..480`, the latter also without brackets round it (rule X5).
fn range(element: &[u8]) -> Option<Interval> {
    let Some(dots) = element.windows(2).position(|pair| pair == b"..") else {
        return Number::read(element)?.exactly();
    };
    let (low, high) = element.split_at_checked(dots)?;
    let high = high.strip_prefix(b"..")?;
    Some(Number::read(low)?.at_least()?.intersect(Number::read(high)?.at_most()?))
}

/// The numbers in none of the intervals.
fn complement(any_of: &[Interval]) -> Vec<Interval> {
    let mut left = vec![Interval::UNLIMITED];
    for interval in any_of.iter().filter(|interval| !interval.is_empty()) {
        let below = interval.lo.map_or(Interval::EMPTY, Interval::below);
        let above = interval.hi.map_or(Interval::EMPTY, Interval::above);
        left = left
            .iter()
            .flat_map(|part| [part.intersect(below), part.intersect(above)])
            .filter(|part| !part.is_empty())
            .collect();
    }
    if left.is_empty() {
        left.push(Interval::EMPTY);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_complement_of_a_set_is_its_gaps() {
        let set = [Interval::exactly(5), Interval { lo: Some(10), hi: Some(20) }];
        assert_eq!(
            complement(&set),
            [Interval::at_most(4), Interval { lo: Some(6), hi: Some(9) }, Interval::at_least(21)]
        );
        assert_eq!(complement(&[Interval::UNLIMITED]), [Interval::EMPTY]);
        assert_eq!(complement(&[Interval::EMPTY]), [Interval::UNLIMITED]);
    }
}
