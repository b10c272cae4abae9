//! RFC 1123 dates as senders really write them (CPI.md §4 `expiration`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// How a date could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateRead {
    /// As RFC 1123 writes it. The weekday is not looked at.
    Exact(SystemTime),
    /// With a one-digit day or the month's full name.
    Lenient(SystemTime),
    /// Not at all. Means unknown, not expired.
    Bad,
}

impl DateRead {
    /// Reads `Mon, 24 Jun 2030 09:00:00 GMT` and what comes close.
    pub fn read(text: &str) -> DateRead {
        let Some((time, exact)) = read(text.trim()) else { return DateRead::Bad };
        if exact { DateRead::Exact(time) } else { DateRead::Lenient(time) }
    }

    /// The time, if it could be read.
    pub fn time(self) -> Option<SystemTime> {
        match self {
            DateRead::Exact(time) | DateRead::Lenient(time) => Some(time),
            DateRead::Bad => None,
        }
    }
}

/// A time as RFC 1123 writes it, always 29 octets up to the year 9999.
pub fn rfc1123(time: SystemTime) -> String {
    // httpdate panics outside of 1970..=9999.
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(253_402_300_799);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

fn read(text: &str) -> Option<(SystemTime, bool)> {
    let dated = text.split_once(',').map_or(text, |(_, rest)| rest);
    let mut words = dated.split_whitespace();
    let (day, month, year, clock, zone) =
        (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let name = month.to_ascii_lowercase();
    let known = MONTHS.iter().position(|full| *full == name || full.get(..3) == Some(name.as_str()))?;
    if words.next().is_some() || year.len() != 4 || !zone.eq_ignore_ascii_case("GMT") {
        return None;
    }
    let number = |digits: &str| grammar::decimal(digits.as_bytes());
    let mut parts = clock.split(':');
    let (hour, minute, second) =
        (number(parts.next()?)?, number(parts.next()?)?, number(parts.next().unwrap_or("0"))?);
    let (days, month_number) = (number(day)?, known as u64 + 1);
    if !(1..=31).contains(&days) || hour > 23 || minute > 59 || second > 60 || parts.next().is_some() {
        return None;
    }
    let seconds =
        days_since_epoch(number(year)?, month_number, days)? * 86_400 + hour * 3600 + minute * 60 + second;
    let exact = day.len() == 2 && month.len() == 3;
    Some((UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?, exact))
}

/// Days from 1970-01-01, Gregorian (the months counted from March make leap days the last of a year).
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let before = year * 365 + year / 4 - year / 100 + year / 400;
    (before + (153 * month + 2) / 5 + day - 1).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let time = UNIX_EPOCH + Duration::from_secs(1_908_522_000);
        assert_eq!(rfc1123(time), "Mon, 24 Jun 2030 09:00:00 GMT");
        assert_eq!(DateRead::read(&rfc1123(time)), DateRead::Exact(time));
    }

    #[test]
    fn full_months_and_short_days_are_lenient_and_200x_is_bad() {
        assert!(matches!(DateRead::read("Mon, 24 June 2002 09:00:00 GMT"), DateRead::Lenient(_)));
        assert!(matches!(DateRead::read("Thu, 4 Jul 2002 09:00:00 GMT"), DateRead::Lenient(_)));
        assert_eq!(DateRead::read("Mon, 24 June 200x 09:00:00 GMT"), DateRead::Bad);
        assert_eq!(DateRead::read("Mon, 24 Jun 2030 09:00:00 +0200"), DateRead::Bad);
    }

    #[test]
    fn leap_days_are_counted() {
        let time = DateRead::read("Tue, 29 Feb 2028 00:00:00 GMT").time().unwrap();
        assert_eq!(rfc1123(time), "Tue, 29 Feb 2028 00:00:00 GMT");
    }

    #[test]
    fn a_far_future_is_cut_to_the_year_9999() {
        assert_eq!(rfc1123(UNIX_EPOCH + Duration::from_secs(1 << 50)).len(), 29);
    }
}
