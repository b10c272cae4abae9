//! Text: HTML and text/enriched to plain text, vCards from version to version, and from one charset to another (CPI.md §3.5 V3). Text is never cut: what can't be
//! converted whole is not converted.

mod card;
mod charset;
mod enriched;
mod html;

pub use card::{Version, convert_cards};
pub use charset::{convert_charset, decode};
pub use enriched::enriched_to_text;
pub use html::html_to_text;
