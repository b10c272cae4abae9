//! When a rule holds (RFC 4745 §7.3): spans of time, written as pairs of XML's dateTime.

use super::error::DocumentError;
use super::namespace::COMMON_POLICY;
use super::tree::Element;
use crate::time::Moment;

/// Spans of one rule at most.
const SPANS: usize = 64;

/// The times in which a rule holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From and until, the latter excluded; Unix seconds.
    spans: Vec<(u64, u64)>,
}

impl Validity {
    /// Reads a `validity`.
    pub(super) fn read(element: &Element) -> Result<Validity, DocumentError> {
        let mut spans = Vec::new();
        let mut children = element.elements();
        while let Some(from) = children.next() {
            let until = children.next();
            let pair = until.filter(|until| until.name.is(COMMON_POLICY, "until"));
            let (true, Some(until)) = (from.name.is(COMMON_POLICY, "from"), pair) else {
                return Err(DocumentError::Content("validity has pairs of <from> and <until>"));
            };
            if spans.len() == SPANS {
                return Err(DocumentError::TooMany(SPANS));
            }
            let read = |element: &Element| {
                seconds(element.text().trim())
                    .ok_or(DocumentError::Content("a time of validity is no dateTime with its zone"))
            };
            spans.push((read(from)?, read(until)?));
        }
        if spans.is_empty() {
            return Err(DocumentError::Content("validity has pairs of <from> and <until>"));
        }
        Ok(Validity { spans })
    }

    /// Whether it holds at that time.
    pub fn holds(&self, now: Moment) -> bool {
        let now = now.seconds();
        self.spans.iter().any(|(from, until)| (*from..*until).contains(&now))
    }

    /// When that may change next; Unix seconds.
    pub fn next_change(&self, now: Moment) -> Option<u64> {
        let edges = self.spans.iter().flat_map(|(from, until)| [*from, *until]);
        edges.filter(|edge| *edge > now.seconds()).min()
    }
}

/// A dateTime with its zone (XML Schema Part 2 §3.2.7), in Unix seconds; what lies before 1970 is 0. Fractions of a second
/// are cut off.
fn seconds(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once('T')?;
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (time, zone) = rest.split_at_checked(zone_at)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let whole = match time.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit()) => {
            whole
        }
        Some(_) => return None,
        None => time,
    };
    let [hour, minute, second] = numbers(whole, ':', [2, 2, 2])?;
    let sane =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour <= 24 && minute < 60 && second <= 60;
    if !sane {
        return None;
    }
    let ahead = match zone.split_at_checked(1)? {
        ("Z", "") => 0,
        (sign, offset) => {
            let [hours, minutes] = numbers(offset, ':', [2, 2])?;
            let ahead = (hours <= 14 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
            if sign == "-" { -ahead } else { ahead }
        }
    };
    let at = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - ahead;
    Some(u64::try_from(at).unwrap_or(0))
}

/// As many numbers as there are widths, each of so many digits.
fn numbers<const N: usize>(text: &str, between: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut all = [0; N];
    let mut words = text.split(between);
    for (number, width) in all.iter_mut().zip(widths) {
        let word =
            words.next().filter(|word| word.len() == width && word.bytes().all(|b| b.is_ascii_digit()))?;
        *number = word.parse().ok()?;
    }
    words.next().is_none().then_some(all)
}

/// Days since 1970 in the Gregorian calendar: years begin with March, so that the leap day is the last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_zones() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2003-12-24T17:00:00+01:00", 1_072_281_600),
            ("2003-08-15T10:20:00.000-05:00", 1_060_960_800),
            ("2026-12-01T10:11:24.9Z", 1_796_119_884),
            ("1950-01-01T00:00:00Z", 0),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "2003-12-24",
            "2003-12-24T17:00:00",
            "2003-13-24T17:00:00Z",
            "2003-12-24T17:60:00Z",
            "03-12-24T17:00:00Z",
            "2003-12-24T17:00Z",
            "2003-12-24T17:00:00.Z",
            "2003-12-24T17:00:00+1:00",
            "2003-12-24T17:00:00+99:00",
            "2003-12-24T+7:00:00Z",
            "2003-12-24T17:00:00Zulu",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
