//! Text: HTML to plain text, and from one charset to another (CPI.md §3.5 V3). Text is never cut: what can't be
//! converted whole is not converted.

mod charset;
mod html;

pub use charset::{convert_charset, decode};
pub use html::html_to_text;
