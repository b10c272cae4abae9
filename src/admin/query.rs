//! Queries of requests to the API, and its answers.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// The value of a key of a query.
pub(super) fn value(query: &str, key: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == key)?;
    Some(String::from_utf8_lossy(&grammar::percent_decode(value.as_bytes())).into_owned())
}

/// An answer in JSON.
pub(super) fn answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_with_its_escapes() {
        assert_eq!(value("limit=5&aor=sip%3Aa%40b", "aor").as_deref(), Some("sip:a@b"));
        assert_eq!(value("limit=5", "aor"), None);
        assert_eq!(value("aor", "aor"), None);
    }
}
