//! Feature-set expressions: whatever the text, a bounded answer.

use cpi::expr::{MAX_FILTERS, parse};
use cpi::{Extensions, Source};

/// The text of one expression.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let expression = parse(&text, &Extensions::NONE);
    assert!(expression.media.len() <= MAX_FILTERS);
    assert!(expression.media.iter().all(|entry| entry.q <= 1000));
    assert!(serde_json::to_string(&expression).is_ok());
    let _ = expression.into_cpi(Source::Profile);
}
