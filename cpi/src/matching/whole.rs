//! What applies to a body beside its media type: coding, charset, language.

use crate::model::{Cpi, Interval, Q_MAX};

/// The limit on the whole body in `coding`: that coding's own limits together, else those of `*`, else none
/// (rule M7). It holds in addition to the limits per type.
pub fn whole_limit(cpi: &Cpi, coding: &str) -> Interval {
    let of = |name: &str| {
        cpi.whole
            .iter()
            .filter(|limit| limit.q > 0 && !limit.length.is_empty())
            .filter(|limit| limit.coding.eq_ignore_ascii_case(name))
            .map(|limit| limit.length)
            .reduce(Interval::intersect)
    };
    of(coding).or_else(|| of("*")).unwrap_or_default()
}

/// How much the content coding is liked, 0 = not accepted. `identity` is accepted unless refused by name,
/// or by `*;q=0` (RFC 9110 §12.5.3); of the others only what is listed (rule G6).
pub fn coding_quality(cpi: &Cpi, coding: &str) -> u16 {
    let of = |name: &str| {
        cpi.whole.iter().filter(|limit| limit.coding.eq_ignore_ascii_case(name)).map(|limit| limit.q).max()
    };
    let unlisted = if coding.eq_ignore_ascii_case("identity") { Q_MAX } else { 0 };
    of(coding).or_else(|| of("*")).unwrap_or(unlisted)
}

/// Whether text in `charset` may be sent as it is: it is listed with q>0; without a list, utf-8 and
/// us-ascii are (rules G6, M12).
pub fn charset_ok(cpi: &Cpi, charset: &str) -> bool {
    let Some(listed) = &cpi.charsets else { return charset_covers("utf-8", charset) };
    let named = listed.iter().find(|preference| preference.name.eq_ignore_ascii_case(charset));
    if let Some(named) = named {
        return named.q > 0;
    }
    listed.iter().any(|preference| {
        preference.q > 0 && (preference.name == "*" || charset_covers(&preference.name, charset))
    })
}

/// Whether text in charset `text` is also text in `accepted`: every us-ascii text is utf-8.
pub(super) fn charset_covers(accepted: &str, text: &str) -> bool {
    accepted.eq_ignore_ascii_case(text)
        || accepted.eq_ignore_ascii_case("utf-8") && text.eq_ignore_ascii_case("us-ascii")
}

/// How much `language` is liked: the q of the longest range that is a prefix of it (RFC 4647 §3.3.1), else
/// that of `*`, else 0; 1000 without a list. It orders alternatives and never blocks (rule M12).
pub fn language_quality(cpi: &Cpi, language: &str) -> u16 {
    let Some(listed) = &cpi.languages else { return Q_MAX };
    listed
        .iter()
        .filter(|preference| preference.name == "*" || is_language_prefix(&preference.name, language))
        .max_by_key(|preference| {
            (if preference.name == "*" { 0 } else { preference.name.len() }, preference.q)
        })
        .map_or(0, |preference| preference.q)
}

fn is_language_prefix(range: &str, language: &str) -> bool {
    language.split_at_checked(range.len()).is_some_and(|(head, tail)| {
        head.eq_ignore_ascii_case(range) && (tail.is_empty() || tail.starts_with('-'))
    })
}
