//! The page for a person who opens a link in a browser: what it is, how big it is, the picture, a button to save it.
//!
//! It needs no script and allows none: everything in it that came from a sender is escaped text, or loaded from the
//! same link under the rules of a content.

use std::fmt::Write;
use std::sync::LazyLock;

use adapter::mime::ContentType;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cpi::matching::{self, Options};
use sha2::{Digest, Sha256};

use super::answer::{VARY, is_harmless};
use super::wish::Query;
use crate::record::Record;

/// Letters of a name or a type that are shown.
const SHOWN: usize = 200;

/// Whether a browser asks to show the link as a document of its own: it says so, or wants HTML more than what the
/// content is.
pub(super) fn is_wanted(head: &HeaderMap, query: &Query, record: &Record) -> bool {
    if query.raw {
        return false;
    }
    if let Some(place) = head.get("sec-fetch-dest") {
        return place.as_bytes() == b"document";
    }
    let accept = head.get_all(header::ACCEPT).iter().map(|value| (&b"Accept"[..], value.as_bytes()));
    let (cpi, _) = cpi::decode::from_headers(accept, &cpi::Extensions::NONE);
    let names_html = cpi.media.iter().flatten().any(|entry| entry.range == "text/html" && entry.q > 0);
    let wanted = |media_type: &str| matching::type_quality(&cpi, media_type, &[], Options::default());
    let content = ContentType::read(record.content_type.as_bytes());
    names_html
        && !content.essence.eq_ignore_ascii_case("text/html")
        && wanted("text/html") > wanted(&content.essence)
}

pub(super) fn answer(record: &Record, head_only: bool) -> Response {
    let page = render(record);
    let mut head = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "private, no-store"),
        (header::VARY, VARY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        head.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        head.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    head.insert(header::CONTENT_LENGTH, page.len().into());
    (StatusCode::OK, head, if head_only { String::new() } else { page }).into_response()
}

/// Nothing but pictures, sound and video from here, and the one style sheet below.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'sha256-{style}'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    )
});

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:45em;margin:2em auto;padding:0 1em;\
color:#222;background:#fff}h1{font-size:1.3em;overflow-wrap:anywhere}img,video{max-width:100%;height:auto}\
a.save{display:inline-block;padding:.5em 1.2em;border-radius:.4em;background:#15599b;color:#fff;\
text-decoration:none}p.about{color:#555}";

fn render(record: &Record) -> String {
    let content_type = ContentType::read(record.content_type.as_bytes());
    let name = escaped(&name(record, &content_type));
    let essence = escaped(&content_type.essence);
    let size = size(record.size);
    let shown = match content_type.essence.split('/').next() {
        _ if !is_harmless(&content_type.essence) => "",
        Some("image") => "<p><img src=\"?raw\" alt=\"\"></p>",
        Some("audio") => "<p><audio src=\"?raw\" controls></audio></p>",
        Some("video") => "<p><video src=\"?raw\" controls></video></p>",
        _ => "",
    };
    let mut page = String::with_capacity(2048);
    // Writing to a string can't fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
         <title>{name}</title><style>{STYLE}</style></head>\n<body><h1>{name}</h1>\n{shown}\n\
         <p class=\"about\">{essence}, {size}</p>\n\
         <p><a class=\"save\" href=\"?download\" download>Download</a></p></body></html>\n"
    );
    page
}

/// What the sender called it.
fn name(record: &Record, content_type: &ContentType) -> String {
    let disposition = record.disposition.as_deref().map(|value| ContentType::read(value.as_bytes()));
    let filename = disposition.as_ref().and_then(|value| value.param("filename"));
    let named = record.description.as_deref().or(filename).or_else(|| content_type.param("name"));
    let named = named.map(str::trim).filter(|name| !name.is_empty()).unwrap_or("A file for you");
    named.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars().take(SHOWN) {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// For people: `3.1 kB`.
fn size(octets: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match UNITS.into_iter().find(|(unit, _)| octets >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", octets / unit, octets % unit / (unit / 10)),
        None => format!("{octets} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        let sizes = [0, 999, 1000, 3073, 12_345_678, 1_000_000_000].map(size);
        assert_eq!(sizes, ["0 bytes", "999 bytes", "1.0 kB", "3.0 kB", "12.3 MB", "1.0 GB"]);
    }

    #[test]
    fn what_a_sender_wrote_is_text_and_no_markup() {
        assert_eq!(escaped("<b a=\"x\" b='y'>&"), "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;");
        assert_eq!(escaped(&"a".repeat(1000)).len(), SHOWN);
    }
}
