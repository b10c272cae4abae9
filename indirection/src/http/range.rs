//! `Range` and `If-Range` (RFC 9110 §14): which octets of a representation are wanted.

use std::ops::Range;

use axum::http::{HeaderMap, header};

/// More pieces than anyone needs who reads a picture. Who asks for more gets the whole, as RFC 9110 §14.2 allows.
const MOST_PIECES: usize = 16;

/// What to send of a representation of so many octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// One piece.
    One(Range<u64>),
    /// Several pieces, in the order they were asked for.
    Many(Vec<Range<u64>>),
    /// None of what was asked for is there: 416.
    Nothing,
}

/// What a GET asks for. What can't be read, names other units, or asks for more than there is in all is passed
/// over.
pub(super) fn wanted(head: &HeaderMap, etag: &str, octets: u64) -> Part {
    let Some(asked) = head.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Part::Whole;
    };
    let unchanged = head.get(header::IF_RANGE).is_none_or(|known| known.as_bytes() == etag.as_bytes());
    if !unchanged || head.get_all(header::RANGE).iter().nth(1).is_some() {
        return Part::Whole;
    }
    let Some(specs) = specs(asked) else { return Part::Whole };
    let mut pieces: Vec<Range<u64>> = specs.iter().filter_map(|spec| spec.of(octets)).collect();
    let sum = pieces.iter().fold(0u64, |sum, piece| sum.saturating_add(piece.end - piece.start));
    match pieces.len() {
        0 => Part::Nothing,
        1 => Part::One(pieces.remove(0)),
        _ if sum > octets => Part::Whole,
        _ => Part::Many(pieces),
    }
}

/// One range as written.
enum Spec {
    From(u64),
    Within(u64, u64),
    Last(u64),
}

impl Spec {
    fn of(&self, octets: u64) -> Option<Range<u64>> {
        let range = match *self {
            Spec::From(first) => first..octets,
            Spec::Within(first, last) => first..last.saturating_add(1).min(octets),
            Spec::Last(count) => octets.saturating_sub(count)..octets,
        };
        (range.start < range.end).then_some(range)
    }
}

fn specs(asked: &str) -> Option<Vec<Spec>> {
    let (unit, list) = asked.split_once('=')?;
    unit.trim().eq_ignore_ascii_case("bytes").then_some(())?;
    let mut specs = Vec::new();
    for written in list.split(',').map(str::trim).filter(|written| !written.is_empty()) {
        if specs.len() == MOST_PIECES {
            return None;
        }
        let (first, last) = written.split_once('-')?;
        specs.push(match (first.trim(), last.trim()) {
            ("", last) => Spec::Last(number(last)?),
            (first, "") => Spec::From(number(first)?),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Spec::Within(first, last))?
            }
        });
    }
    (!specs.is_empty()).then_some(specs)
}

/// Digits alone; what is beyond 64 bits is beyond the end too.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str, octets: u64) -> Part {
        let head = HeaderMap::from_iter([(header::RANGE, range.parse().unwrap())]);
        wanted(&head, "\"e\"", octets)
    }

    #[test]
    fn each_form_of_a_range_is_read() {
        assert_eq!(asked("bytes=0-0", 10), Part::One(0..1));
        assert_eq!(asked("bytes=4-", 10), Part::One(4..10));
        assert_eq!(asked("bytes=-3", 10), Part::One(7..10));
        assert_eq!(asked("bytes=-30", 10), Part::One(0..10));
        assert_eq!(asked("Bytes=2-99999999999999999999999", 10), Part::One(2..10));
        assert_eq!(asked("bytes=0-1, 5-6", 10), Part::Many(vec![0..2, 5..7]));
        assert_eq!(asked("bytes=0-1, 10-", 10), Part::One(0..2));
    }

    #[test]
    fn what_is_beyond_the_end_is_nothing() {
        for range in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            assert_eq!(asked(range, 10), Part::Nothing, "{range}");
        }
        assert_eq!(asked("bytes=0-", 0), Part::Nothing);
    }

    #[test]
    fn what_is_no_range_or_asks_for_too_much_is_passed_over() {
        for range in
            ["bytes=", "bytes=a-b", "bytes=5-4", "lines=1-2", "bytes=+1-2", "bytes", "bytes=0-,0-,0-"]
        {
            assert_eq!(asked(range, 10), Part::Whole, "{range}");
        }
        let many = |count: usize| format!("bytes={}", vec!["0-0"; count].join(","));
        assert!(matches!(asked(&many(MOST_PIECES), 100), Part::Many(_)));
        assert_eq!(asked(&many(MOST_PIECES + 1), 100), Part::Whole);
    }

    #[test]
    fn a_range_of_another_representation_is_none() {
        let mut head = HeaderMap::from_iter([(header::RANGE, "bytes=0-1".parse().unwrap())]);
        head.insert(header::IF_RANGE, "\"other\"".parse().unwrap());
        assert_eq!(wanted(&head, "\"e\"", 10), Part::Whole);
        head.insert(header::IF_RANGE, "\"e\"".parse().unwrap());
        assert_eq!(wanted(&head, "\"e\"", 10), Part::One(0..2));
        head.insert(header::IF_RANGE, "Sat, 29 Oct 1994 19:43:31 GMT".parse().unwrap());
        assert_eq!(wanted(&head, "\"e\"", 10), Part::Whole);
    }
}
