//! Heads and bodies of what is found.

use std::io;
use std::path::Path;

use adapter::{Entity, Field, Single};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio_util::io::ReaderStream;

use crate::record::Record;

/// The stored octets, streamed.
pub(super) async fn original(record: &Record, path: &Path, head_only: bool) -> io::Result<Response> {
    let file = tokio::fs::File::open(path).await?;
    let body = if head_only { Body::empty() } else { Body::from_stream(ReaderStream::new(file)) };
    let mut head = head(&record.content_type, record.size);
    if let Some(coding) = record.content_encoding.as_deref().and_then(value) {
        head.insert(header::CONTENT_ENCODING, coding);
    }
    Ok((StatusCode::OK, head, body).into_response())
}

/// What the adapter made of `before`.
pub(super) fn adapted(before: &Entity, single: Single, head_only: bool) -> Response {
    let made = single.adapted.as_ref().map_or_else(|| before.clone(), |adapted| adapted.apply(before));
    let mut head = head(&single.content_type, made.body.len() as u64);
    for field in made.fields.iter().filter(|field| field.is("Content-Adapted")) {
        if let Ok(said) = HeaderValue::from_bytes(&field.value) {
            head.append("content-adapted", said);
        }
    }
    if let Some(coding) =
        made.field("Content-Encoding").and_then(|coding| HeaderValue::from_bytes(coding).ok())
    {
        head.insert(header::CONTENT_ENCODING, coding);
    }
    let body = if head_only { Body::empty() } else { Body::from(made.body) };
    (StatusCode::OK, head, body).into_response()
}

/// The record as the adapter reads it.
pub(super) fn entity(record: &Record, octets: Vec<u8>) -> Entity {
    let fields = [
        ("Content-Type", Some(&record.content_type)),
        ("Content-Encoding", record.content_encoding.as_ref()),
        ("Content-Disposition", record.disposition.as_ref()),
        ("Content-Description", record.description.as_ref()),
    ];
    let fields =
        fields.into_iter().filter_map(|(name, value)| Some(Field::new(name, value?.clone().into_bytes())));
    Entity { fields: fields.collect(), body: octets.into() }
}

fn head(content_type: &str, octets: u64) -> HeaderMap {
    const OPAQUE: HeaderValue = HeaderValue::from_static("application/octet-stream");
    let mut head = HeaderMap::new();
    head.insert(header::CONTENT_TYPE, value(content_type).unwrap_or(OPAQUE));
    head.insert(header::CONTENT_LENGTH, octets.into());
    for (name, value) in [
        (header::VARY, "Accept, Accept-Encoding, Accept-Charset, User-Agent"),
        (header::CACHE_CONTROL, "private, no-transform"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::ACCEPT_RANGES, "none"),
    ] {
        head.insert(name, HeaderValue::from_static(value));
    }
    if !is_harmless(content_type) {
        head.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    head
}

/// Whether a browser may show it: pictures but SVG, sound, video, plain text. Whatever could carry a script,
/// or isn't known, is for saving (CPI.md §4 C4).
fn is_harmless(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let shown = ["image/", "audio/", "video/"].iter().any(|family| essence.starts_with(family));
    essence == "text/plain" || (shown && !essence.ends_with("+xml"))
}

/// As a header value, folds made one space. `None` for what has no place in a header.
fn value(text: &str) -> Option<HeaderValue> {
    let line = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    // Names of files are in any script: what is not ASCII is obs-text (RFC 9110 §5.5).
    HeaderValue::from_bytes(line.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_not_carry_a_script_is_shown() {
        for shown in ["image/gif", "IMAGE/JPEG; name=x", "audio/amr", "text/plain; charset=utf-8"] {
            assert!(is_harmless(shown), "{shown}");
        }
        for saved in ["text/html", "image/svg+xml", "application/xml", "multipart/mixed", "", "text/xml"] {
            assert!(!is_harmless(saved), "{saved}");
        }
    }

    #[test]
    fn a_folded_content_type_goes_on_one_line() {
        let folded = "multipart/signed;\r\n boundary=x";
        assert_eq!(head(folded, 1)[header::CONTENT_TYPE], "multipart/signed; boundary=x");
        assert_eq!(head("image/\u{1}", 1)[header::CONTENT_TYPE], "application/octet-stream");
    }

    #[test]
    fn a_name_that_is_not_ascii_does_not_hide_the_type() {
        let named = "image/jpeg; name=\"Größe.jpg\"";
        assert_eq!(head(named, 1)[header::CONTENT_TYPE].as_bytes(), named.as_bytes());
    }
}
