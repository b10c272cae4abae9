//! What each test is about: the whole message in some coding, or a media type (rules S1-S4).
//!
//! Negations are driven inwards first. A part of the tree that names neither type nor coding is a set of
//! alternatives of constraints; an AND with a type makes entries of it, one without hands it down to the
//! entries below.

use super::test::Test;
use super::{Expression, Filter, MAX_FILTERS, Node, TooComplex};
use crate::entry::{Constraints, Range};
use crate::model::{Interval, Q_MAX, WholeLimit};

/// What the filters say, diagnostics aside.
pub(super) fn read(filter: Filter<'_>) -> Result<Expression, TooComplex> {
    let filter = inward(filter);
    let mut found = Expression::default();
    walk(&filter, &[Alternative::ANY], Share::ONE, &mut found)?;
    Ok(found)
}

/// The filter without negations but those inside its tests (De Morgan; rule S4).
fn inward(filter: Filter<'_>) -> Filter<'_> {
    let node = match filter.node {
        Node::And(all) => Node::And(all.into_iter().map(inward).collect()),
        Node::Or(all) => Node::Or(all.into_iter().map(inward).collect()),
        Node::Not(inner) => negated(*inner).node,
        test @ Node::Test(_) => test,
    };
    Filter { node, q: filter.q }
}

/// A q inside a negation prefers what is not wanted: it is dropped.
fn negated(filter: Filter<'_>) -> Filter<'_> {
    let node = match filter.node {
        Node::And(mut all) if all.len() == 1 => match all.pop() {
            Some(only) => negated(only).node,
            None => Node::Or(all),
        },
        Node::And(all) => Node::Or(all.into_iter().map(negated).collect()),
        Node::Or(all) => Node::And(all.into_iter().map(negated).collect()),
        Node::Not(inner) => inward(*inner).node,
        Node::Test(test) => Node::Test(test.negated()),
    };
    Filter { node, q: Q_MAX }
}

/// Reads one filter below `inherited` constraints.
fn walk(
    filter: &Filter<'_>,
    inherited: &[Alternative],
    share: Share,
    found: &mut Expression,
) -> Result<(), TooComplex> {
    match &filter.node {
        Node::Or(branches) if !is_constraint(filter) => {
            let share = share.times(filter.q);
            branches.iter().try_for_each(|branch| walk(branch, inherited, share, found))
        }
        Node::And(all) => conjunction(all, inherited, share.times(filter.q), found),
        _ => conjunction(std::slice::from_ref(filter), inherited, share, found),
    }
}

/// An AND; anything else counts as one with a single element.
fn conjunction(
    all: &[Filter<'_>],
    inherited: &[Alternative],
    share: Share,
    found: &mut Expression,
) -> Result<(), TooComplex> {
    let mut own = vec![Alternative::ANY];
    for filter in all.iter().filter(|filter| is_constraint(filter)) {
        own = product(&own, &alternatives(filter)?)?;
    }
    let has_coding = all.iter().any(|filter| matches!(filter.node, Node::Test(Test::Codings { .. })));
    let has_type = all.iter().any(|filter| matches!(filter.node, Node::Test(Test::Types { .. })));
    if has_coding || !has_type {
        let best = own.iter().map(|each| each.share).max().unwrap_or(Share::ONE);
        whole_limits(all, take_length(&mut own), (share, share.with(best)), found);
    }
    let mut below = product(inherited, &own)?;
    if has_type {
        entries(all, &below, share, found)?;
        take_length(&mut below);
    }
    let before = found.media.len();
    for filter in all.iter().filter(|filter| is_nested(filter)) {
        walk(filter, &below, share, found)?;
    }
    if !has_type && found.media.len() == before {
        implicit(&own, found);
    }
    Ok(())
}

/// Rule S1, and the `length` of rule S3: `shares` are that of a coding and that of the bare `length`.
fn whole_limits(all: &[Filter<'_>], length: Interval, shares: (Share, Share), found: &mut Expression) {
    let mut named = false;
    for filter in all {
        let Node::Test(Test::Codings { names, refused }) = &filter.node else { continue };
        named = true;
        let q = if *refused { 0 } else { shares.0.times(filter.q).thousandths() };
        for name in names {
            found.whole.push(WholeLimit { coding: name.clone(), q, length });
        }
    }
    if !named && !length.is_unlimited() {
        found.whole.push(WholeLimit { q: shares.1.thousandths(), ..WholeLimit::identity(length) });
    }
}

/// Rule S2: an entry per type and alternative. A type refused beside accepted ones is refused outright, the
/// constraints are about the others.
fn entries(
    all: &[Filter<'_>],
    limits: &[Alternative],
    share: Share,
    found: &mut Expression,
) -> Result<(), TooComplex> {
    let types = || {
        all.iter().filter_map(|filter| match &filter.node {
            Node::Test(Test::Types { ranges, refused }) => Some((ranges, *refused, filter.q)),
            _ => None,
        })
    };
    let accepts = types().any(|(_, refused, _)| !refused);
    let outright = [Alternative::ANY];
    for (ranges, refused, q) in types() {
        let limits = if refused && accepts { &outright[..] } else { limits };
        for range in ranges {
            for limit in limits {
                if found.media.len() >= MAX_FILTERS {
                    return Err(TooComplex);
                }
                let q = if refused { 0 } else { share.times(q).with(limit.share).thousandths() };
                found.media.push(limit.constraints.entry(range.clone(), q));
            }
        }
    }
    Ok(())
}

/// Pixel limits above no type, as in a Contact (rule K5).
fn implicit(own: &[Alternative], found: &mut Expression) {
    let pix_x = hull(own.iter().map(|each| each.constraints.pix_x));
    let pix_y = hull(own.iter().map(|each| each.constraints.pix_y));
    if pix_x.is_unlimited() && pix_y.is_unlimited() {
        return;
    }
    let limits = Constraints { pix_x, pix_y, ..Constraints::default() };
    for text in [b"image/*", b"video/*"] {
        found.implicit.extend(Range::read(text).map(|range| limits.entry(range, Q_MAX)));
    }
}

/// Takes `length` out of all alternatives: the limit that holds for each of them.
fn take_length(alternatives: &mut [Alternative]) -> Interval {
    hull(alternatives.iter_mut().map(|each| std::mem::take(&mut each.constraints.length)))
}

/// The least interval round all of them.
fn hull(intervals: impl Iterator<Item = Interval>) -> Interval {
    let least = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a.min(b));
    let greatest = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a.max(b));
    intervals
        .reduce(|a, b| match (a.is_empty(), b.is_empty()) {
            (true, _) => b,
            (_, true) => a,
            _ => Interval { lo: least(a.lo, b.lo), hi: greatest(a.hi, b.hi) },
        })
        .unwrap_or_default()
}

/// Whether nothing in the filter names a type or a coding.
fn is_constraint(filter: &Filter<'_>) -> bool {
    match &filter.node {
        Node::And(all) | Node::Or(all) => all.iter().all(is_constraint),
        Node::Not(inner) => is_constraint(inner),
        Node::Test(test) => matches!(test, Test::Limit { .. } | Test::Unknown),
    }
}

fn is_nested(filter: &Filter<'_>) -> bool {
    !is_constraint(filter) && !matches!(filter.node, Node::Test(_))
}

/// One of several sets of constraints, with the q on the path to it.
#[derive(Clone, Debug)]
struct Alternative {
    constraints: Constraints,
    share: Share,
}

impl Alternative {
    const ANY: Self = Self { constraints: Constraints::NONE, share: Share::ONE };
}

/// The alternatives of a filter for which [`is_constraint`] holds.
fn alternatives(filter: &Filter<'_>) -> Result<Vec<Alternative>, TooComplex> {
    let mut all = match &filter.node {
        Node::And(parts) => {
            let mut all = vec![Alternative::ANY];
            for part in parts {
                all = product(&all, &alternatives(part)?)?;
            }
            all
        }
        Node::Or(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.append(&mut alternatives(part)?);
                if all.len() > MAX_FILTERS {
                    return Err(TooComplex);
                }
            }
            all
        }
        Node::Test(Test::Limit { name, any_of }) => any_of
            .iter()
            .map(|&interval| {
                let mut each = Alternative::ANY;
                each.constraints.add(*name, interval);
                each
            })
            .collect(),
        Node::Not(_) | Node::Test(_) => vec![Alternative::ANY],
    };
    for each in &mut all {
        each.share = each.share.times(filter.q);
    }
    Ok(all)
}

/// Every pair of both, cut down to what both allow.
fn product(a: &[Alternative], b: &[Alternative]) -> Result<Vec<Alternative>, TooComplex> {
    if a.len().saturating_mul(b.len()) > MAX_FILTERS {
        return Err(TooComplex);
    }
    let pair = |a: &Alternative, b: &Alternative| Alternative {
        constraints: a.constraints.clone().and(&b.constraints),
        share: a.share.with(b.share),
    };
    Ok(a.iter().flat_map(|a| b.iter().map(move |b| pair(a, b))).collect())
}

/// A product of q's, rounded to thousandths once, at the end (rule X4). In units of 10^-18: six factors stay
/// exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Share(u64);

impl Share {
    const SCALE: u64 = 10u64.pow(18);
    const ONE: Self = Self(Self::SCALE);

    fn times(self, q: u16) -> Self {
        let unit = Self::SCALE / u64::from(Q_MAX);
        self.with(Self(u64::from(q.min(Q_MAX)) * unit))
    }

    fn with(self, other: Self) -> Self {
        let product = u128::from(self.0) * u128::from(other.0) / u128::from(Self::SCALE);
        Self(u64::try_from(product).unwrap_or(Self::SCALE))
    }

    fn thousandths(self) -> u16 {
        let unit = Self::SCALE / u64::from(Q_MAX);
        u16::try_from((self.0 + unit / 2) / unit).unwrap_or(Q_MAX)
    }
}
