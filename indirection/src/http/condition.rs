//! `If-Match` and `If-None-Match` (RFC 9110 §13). There are no dates: what a link serves never changes.

use axum::http::header::HeaderName;
use axum::http::{HeaderMap, header};

/// What the conditions of a GET or HEAD mean for a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It is sent.
    Holds,
    /// The client has it: 304.
    Known,
    /// The client wants another: 412.
    Failed,
}

pub(super) fn judge(head: &HeaderMap, etag: &str) -> Condition {
    if head.contains_key(header::IF_MATCH) && !lists(head, &header::IF_MATCH, etag, false) {
        return Condition::Failed;
    }
    if lists(head, &header::IF_NONE_MATCH, etag, true) { Condition::Known } else { Condition::Holds }
}

/// Whether `etag`, which is a strong one, is in the list; weak ones in the list count where they may.
fn lists(head: &HeaderMap, name: &HeaderName, etag: &str, weakly: bool) -> bool {
    let values = head.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag == etag || (weakly && tag.strip_prefix("W/") == Some(etag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_compared_as_rfc_9110_says() {
        let cases = [
            (header::IF_NONE_MATCH, "\"a\"", Condition::Known),
            (header::IF_NONE_MATCH, "\"b\", W/\"a\"", Condition::Known),
            (header::IF_NONE_MATCH, "*", Condition::Known),
            (header::IF_NONE_MATCH, "\"b\"", Condition::Holds),
            (header::IF_MATCH, "\"a\"", Condition::Holds),
            (header::IF_MATCH, "*", Condition::Holds),
            (header::IF_MATCH, "W/\"a\"", Condition::Failed),
            (header::IF_MATCH, "\"b\"", Condition::Failed),
        ];
        for (name, value, expected) in cases {
            let head = HeaderMap::from_iter([(name.clone(), value.parse().unwrap())]);
            assert_eq!(judge(&head, "\"a\""), expected, "{name}: {value}");
        }
        assert_eq!(judge(&HeaderMap::new(), "\"a\""), Condition::Holds);
    }
}
