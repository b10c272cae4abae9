//! Values: qvalues, the draft's constraints (`max+640`), and numbers of RFC 2533 and RFC 3840.

use crate::diag::{Diag, Diags};
use crate::model::{Interval, Q_MAX};

/// The greatest number a constraint may name (rule G5).
const MAX_NUMBER: u64 = i64::MAX as u64;

/// A qvalue in thousandths: more than three decimals are cut, above 1 is 1, what is no number is 1
/// (rule G2).
pub(crate) fn quality(text: &[u8], diags: &mut Diags) -> u16 {
    let (whole, decimals) = grammar::split_once(text, |b| b == b'.').unwrap_or((text, b""));
    let digits = whole.iter().chain(decimals).all(u8::is_ascii_digit);
    if !digits || whole.is_empty() && decimals.is_empty() {
        diags.push(Diag::BadQ(Diag::quoted(text)));
        return Q_MAX;
    }
    if whole.is_empty() {
        diags.push(Diag::QNoLeadingZero);
    }
    let fraction = decimals
        .iter()
        .take(3)
        .fold((0, 100), |(sum, place), &digit| (sum + u16::from(digit - b'0') * place, place / 10));
    let at_least_one = whole.iter().any(|&digit| digit != b'0');
    let above_one = at_least_one && (grammar::decimal(whole) != Some(1) || fraction.0 > 0);
    if decimals.len() > 3 || above_one {
        diags.push(Diag::BadQ(Diag::quoted(text)));
    }
    if at_least_one { Q_MAX } else { fraction.0 }
}

/// `cpi-value` of CPI.md §1.1: `max+640`, `max-640`, `min+16`, `min-16`, `640`. `None` if it is none.
pub(crate) fn constraint(text: &[u8]) -> Option<Interval> {
    type Relation = (&'static [u8; 4], fn(u64) -> Interval);
    const RELATIONS: [Relation; 4] = [
        (b"max+", Interval::at_most),
        (b"max-", Interval::below),
        (b"min+", Interval::at_least),
        (b"min-", Interval::above),
    ];
    let (relation, digits) = RELATIONS
        .iter()
        .find_map(|(sign, relation)| Some((*relation, strip_prefix(text, *sign)?)))
        .unwrap_or((Interval::exactly, text));
    grammar::decimal(digits).filter(|&n| n <= MAX_NUMBER).map(relation)
}

/// A constraint in a Contact: that of [`constraint`], or RFC 3840's `#<=640`, `#>=16`, `#=5`, `#16:480`.
pub(crate) fn contact_constraint(text: &[u8]) -> Option<Interval> {
    let Some(numeric) = text.strip_prefix(b"#") else { return constraint(text) };
    let numeric = grammar::trim(numeric);
    if let Some(number) = numeric.strip_prefix(b"<=") {
        return Number::read(number)?.at_most();
    }
    if let Some(number) = numeric.strip_prefix(b">=") {
        return Number::read(number)?.at_least();
    }
    if let Some(number) = numeric.strip_prefix(b"=") {
        return Number::read(number)?.exactly();
    }
    let (low, high) = grammar::split_once(numeric, |b| b == b':')?;
    Some(Number::read(low)?.at_least()?.intersect(Number::read(high)?.at_most()?))
}

fn strip_prefix<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

/// A rational number as RFC 2533 (`-5/2`) and RFC 3840 (`+5.125`) write it. Pixels and octets are whole and
/// not negative, so its relations become intervals of such numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    negative: bool,
    numerator: u128,
    denominator: u128,
}

impl Number {
    /// At most 18 digits on each side, so that nothing overflows.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let text = grammar::trim(text);
        let (negative, text) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            Some((b'+', rest)) => (false, rest),
            _ => (false, text),
        };
        let (numerator, denominator) = if let Some((above, below)) = grammar::split_once(text, |b| b == b'/')
        {
            (digits(grammar::trim(above))?, digits(grammar::trim(below))?)
        } else if let Some((whole, decimals)) = grammar::split_once(text, |b| b == b'.') {
            let scale = 10u128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
            (digits(whole)?.checked_mul(scale)?.checked_add(digits(decimals)?)?, scale)
        } else {
            (digits(text)?, 1)
        };
        let negative = negative && numerator > 0;
        (denominator > 0).then_some(Self { negative, numerator, denominator })
    }

    /// `x <= self`
    pub(crate) fn at_most(self) -> Option<Interval> {
        if self.negative {
            return Some(Interval::EMPTY);
        }
        self.floor().map(Interval::at_most)
    }

    /// `x >= self`
    pub(crate) fn at_least(self) -> Option<Interval> {
        if self.negative {
            return Some(Interval::UNLIMITED);
        }
        self.ceil().map(Interval::at_least)
    }

    /// `x = self`
    pub(crate) fn exactly(self) -> Option<Interval> {
        Some(self.at_least()?.intersect(self.at_most()?))
    }

    /// `x < self`
    pub(crate) fn below(self) -> Option<Interval> {
        if self.negative {
            return Some(Interval::EMPTY);
        }
        self.ceil().map(Interval::below)
    }

    /// `x > self`
    pub(crate) fn above(self) -> Option<Interval> {
        if self.negative {
            return Some(Interval::UNLIMITED);
        }
        self.floor().map(Interval::above)
    }

    fn floor(self) -> Option<u64> {
        whole(self.numerator.checked_div(self.denominator)?)
    }

    fn ceil(self) -> Option<u64> {
        (self.denominator > 0).then(|| whole(self.numerator.div_ceil(self.denominator)))?
    }
}

fn digits(text: &[u8]) -> Option<u128> {
    (text.len() <= 18).then(|| grammar::decimal(text)).flatten().map(u128::from)
}

fn whole(number: u128) -> Option<u64> {
    u64::try_from(number).ok().filter(|&n| n <= MAX_NUMBER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qvalues_of_all_spellings() {
        let rows: [(&str, u16, &[&str]); 13] = [
            (".7", 700, &["q-no-leading-zero"]),
            ("0.7", 700, &[]),
            ("0.75", 750, &[]),
            ("1.000", 1000, &[]),
            ("1", 1000, &[]),
            ("1.", 1000, &[]),
            ("0", 0, &[]),
            ("0.001", 1, &[]),
            ("0.1239", 123, &["bad-q:0.1239"]),
            ("1.5", 1000, &["bad-q:1.5"]),
            ("7", 1000, &["bad-q:7"]),
            ("high", 1000, &["bad-q:high"]),
            (".", 1000, &["bad-q:."]),
        ];
        for (text, expected, names) in rows {
            let mut diags = Diags::default();
            assert_eq!(quality(text.as_bytes(), &mut diags), expected, "{text}");
            let found: Vec<String> = diags.into_vec().iter().map(ToString::to_string).collect();
            assert_eq!(found, names, "{text}");
        }
    }

    #[test]
    fn constraints_of_every_relation_and_the_bad_ones() {
        let rows = [
            ("max+640", Some(Interval::at_most(640))),
            ("max-160", Some(Interval::at_most(159))),
            ("min+32", Some(Interval::at_least(32))),
            ("min-32", Some(Interval::at_least(33))),
            ("MAX+5", Some(Interval::at_most(5))),
            ("4096", Some(Interval::exactly(4096))),
            ("max-0", Some(Interval::EMPTY)),
            ("9223372036854775807", Some(Interval::exactly(i64::MAX as u64))),
            ("9223372036854775808", None),
            ("huge", None),
            ("max640", None),
            ("max+-5", None),
            ("max--5", None),
            ("", None),
            ("max+", None),
        ];
        for (text, expected) in rows {
            assert_eq!(constraint(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn numeric_forms_of_a_contact() {
        let rows = [
            ("#<=640", Some(Interval::at_most(640))),
            ("#>=16", Some(Interval::at_least(16))),
            ("#=5", Some(Interval::exactly(5))),
            ("#16:480", Some(Interval { lo: Some(16), hi: Some(480) })),
            ("#-4:+5.125", Some(Interval::at_most(5))),
            ("#>=5.125", Some(Interval::at_least(6))),
            ("#=2.5", Some(Interval { lo: Some(3), hi: Some(2) })),
            ("#<=-1", Some(Interval::EMPTY)),
            ("#<640", None),
            ("#", None),
            ("max+640", Some(Interval::at_most(640))),
        ];
        for (text, expected) in rows {
            assert_eq!(contact_constraint(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn fractions_round_to_the_whole_numbers_inside() {
        let half = Number::read(b"5/2").unwrap();
        assert_eq!(half.at_most(), Some(Interval::at_most(2)));
        assert_eq!(half.below(), Some(Interval::at_most(2)));
        assert_eq!(half.above(), Some(Interval::at_least(3)));
        assert!(Number::read(b"1/0").is_none());
        assert!(Number::read(b"1234567890123456789").is_none());
    }
}
