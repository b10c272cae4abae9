//! Heads and bodies of what is found.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};

use super::condition::{self, Condition};
use super::problem::Problem;
use super::range::{self, Part};
use crate::content::hex;
use crate::error::ShelfError;
use crate::record::Record;
use crate::shelf::Pieces;
use crate::store::ContentStore;
use crate::token::Sum;
use crate::variant::VariantHead;

/// What a fetch says beside what it wants.
pub(super) struct Request<'a> {
    pub(super) head: &'a HeaderMap,
    pub(super) head_only: bool,
    /// For saving and not for showing.
    pub(super) download: bool,
}

impl Request<'_> {
    /// Which part of a representation to send; `None`: the client has it.
    pub(super) fn judge(&self, about: &About) -> Result<Option<Part>, Problem> {
        match condition::judge(self.head, &about.etag) {
            Condition::Known => return Ok(None),
            Condition::Failed => return Err(Problem::PreconditionFailed),
            Condition::Holds => {}
        }
        // Range is defined for GET alone (RFC 9110 §14.2).
        if self.head_only {
            return Ok(Some(Part::Whole));
        }
        match range::wanted(self.head, &about.etag, about.octets) {
            Part::Nothing => Err(Problem::RangeNotSatisfiable(about.octets)),
            part => Ok(Some(part)),
        }
    }
}

/// A representation: its head as it is for all of it.
#[derive(Clone, Debug)]
pub(super) struct About {
    etag: String,
    content_type: HeaderValue,
    octets: u64,
    head: HeaderMap,
}

impl About {
    /// The stored octets.
    pub(super) fn original(record: &Record) -> About {
        let etag = format!("\"o-{}\"", hex(record.blob.get(..16).unwrap_or_default()));
        let mut about = About::new(&record.content_type, record.size, etag);
        about.coding(record.content_encoding.as_deref());
        about
    }

    /// What was made of them.
    pub(super) fn variant(said: &VariantHead, octets: u64) -> About {
        let mut about = About::new(&said.content_type, octets, said.etag.clone());
        about.coding(said.coding.as_deref());
        for adapted in said.adapted.iter().filter_map(|adapted| value(adapted)) {
            about.head.append("content-adapted", adapted);
        }
        about
    }

    fn new(content_type: &str, octets: u64, etag: String) -> About {
        const OPAQUE: HeaderValue = HeaderValue::from_static("application/octet-stream");
        let mut head = HeaderMap::with_capacity(16);
        for (name, value) in [
            (header::VARY, VARY),
            (header::CACHE_CONTROL, "private, no-transform"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
            // The address is the key to the content, and no other site's business.
            (header::REFERRER_POLICY, "no-referrer"),
            (header::ACCEPT_RANGES, "bytes"),
        ] {
            head.insert(name, HeaderValue::from_static(value));
        }
        if let Some(etag) = value(&etag) {
            head.insert(header::ETAG, etag);
        }
        if !is_harmless(content_type) {
            head.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
        }
        let content_type = value(content_type).unwrap_or(OPAQUE);
        head.insert(header::CONTENT_TYPE, content_type.clone());
        head.insert(header::CONTENT_LENGTH, octets.into());
        About { etag, content_type, octets, head }
    }

    /// The answer with octets that are in memory.
    pub(super) fn answer(&self, request: &Request<'_>, octets: &Bytes) -> Result<Response, Problem> {
        match request.judge(self)? {
            Some(part) => self.cut(part, request, octets),
            None => Ok(self.not_modified()),
        }
    }

    fn coding(&mut self, coding: Option<&str>) {
        if let Some(coding) = coding.and_then(value) {
            self.head.insert(header::CONTENT_ENCODING, coding);
        }
    }

    /// 304, with what a 200 would have said of caching (RFC 9110 §15.4.5).
    pub(super) fn not_modified(&self) -> Response {
        let mut head = self.head.clone();
        for name in [header::CONTENT_ENCODING, header::CONTENT_TYPE, header::CONTENT_LENGTH] {
            head.remove(name);
        }
        respond(StatusCode::NOT_MODIFIED, head, Body::empty())
    }

    /// An answer with a part of octets that are in memory.
    fn cut(&self, part: Part, request: &Request<'_>, octets: &Bytes) -> Result<Response, Problem> {
        let piece = |range: &Range<u64>| {
            let at = |octet: u64| usize::try_from(octet).unwrap_or(usize::MAX).min(octets.len());
            octets.slice(at(range.start)..at(range.end))
        };
        let (status, head) = self.begin(&part, request)?;
        let body = match part {
            _ if request.head_only => Body::empty(),
            Part::One(range) => Body::from(piece(&range)),
            Part::Many(ranges) => {
                let pieces = ranges.iter().map(|range| (self.delimiter(range), piece(range)));
                let all = pieces.flat_map(|(delimiter, piece)| [Bytes::from(delimiter), piece]);
                let all: Vec<Bytes> = all.chain([Bytes::from_static(CLOSE)]).collect();
                Body::from_stream(futures_util::stream::iter(all.into_iter().map(Ok::<_, io::Error>)))
            }
            Part::Whole | Part::Nothing => Body::from(octets.clone()),
        };
        Ok(respond(status, head, body))
    }

    /// An answer with a part of what is stored.
    pub(super) async fn stream(
        &self,
        part: Part,
        request: &Request<'_>,
        store: &ContentStore,
        record: &Arc<Record>,
    ) -> Result<Response, ShelfError> {
        let (status, head) = self.begin(&part, request).map_err(|_| ShelfError::Corrupt)?;
        let body = match part {
            _ if request.head_only => Body::empty(),
            Part::One(range) => Body::from_stream(store.read(record, range).await?),
            Part::Many(ranges) => {
                let (store, record) = (store.clone(), Arc::clone(record));
                let pieces: Vec<_> =
                    ranges.into_iter().map(|range| (Bytes::from(self.delimiter(&range)), range)).collect();
                let pieces = futures_util::stream::iter(pieces).then(move |(delimiter, range)| {
                    let (store, record) = (store.clone(), Arc::clone(&record));
                    async move {
                        let piece = store.read(&record, range).await?;
                        let delimiter = futures_util::stream::iter([Ok(delimiter)]);
                        Ok::<_, ShelfError>(delimiter.chain(piece))
                    }
                });
                let close = futures_util::stream::iter([Ok(Bytes::from_static(CLOSE))]);
                Body::from_stream(pieces.try_flatten().chain(close))
            }
            Part::Whole | Part::Nothing => Body::from_stream(checked(
                store.read(record, 0..record.size).await?,
                record.blob,
                record.size,
            )),
        };
        Ok(respond(status, head, body))
    }

    /// Status and head for a part.
    fn begin(&self, part: &Part, request: &Request<'_>) -> Result<(StatusCode, HeaderMap), Problem> {
        let mut head = self.head.clone();
        if request.download {
            head.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
        }
        let (status, octets) = match part {
            Part::Nothing => return Err(Problem::RangeNotSatisfiable(self.octets)),
            Part::Whole => return Ok((StatusCode::OK, head)),
            Part::One(range) => {
                let place = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), self.octets);
                if let Some(place) = value(&place) {
                    head.insert(header::CONTENT_RANGE, place);
                }
                (StatusCode::PARTIAL_CONTENT, range.end - range.start)
            }
            Part::Many(ranges) => {
                let parts =
                    ranges.iter().map(|range| self.delimiter(range).len() as u64 + (range.end - range.start));
                (StatusCode::PARTIAL_CONTENT, parts.sum::<u64>() + CLOSE.len() as u64)
            }
        };
        if let Part::Many(_) = part {
            let pieces = HeaderValue::from_static("multipart/byteranges; boundary=bespoke-part-of-content");
            head.insert(header::CONTENT_TYPE, pieces);
        }
        head.insert(header::CONTENT_LENGTH, octets.into());
        Ok((status, head))
    }

    /// What stands before one of several pieces (RFC 9110 §14.6).
    fn delimiter(&self, range: &Range<u64>) -> Vec<u8> {
        let last = range.end.saturating_sub(1);
        let place = format!("\r\nContent-Range: bytes {}-{last}/{}\r\n\r\n", range.start, self.octets);
        let open: &[u8] = b"\r\n--bespoke-part-of-content\r\nContent-Type: ";
        [open, self.content_type.as_bytes(), place.as_bytes()].concat()
    }
}

fn respond(status: StatusCode, head: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = head;
    response
}

/// What an answer depends on.
pub(super) const VARY: &str = "Accept, Accept-Encoding, Accept-Charset, User-Agent";

/// Ends several pieces. A client finds the pieces by their lengths: a boundary in the content is no harm.
const CLOSE: &[u8] = b"\r\n--bespoke-part-of-content--\r\n";

/// The pieces, of which the last comes only if all together are what was stored: a client sees a broken transfer
/// rather than other octets.
fn checked(
    pieces: Pieces,
    blob: Sum,
    octets: u64,
) -> impl Stream<Item = Result<Bytes, ShelfError>> + Send + 'static {
    let begun = (Sha256::new(), 0u64);
    pieces.scan(begun, move |(sum, seen), piece| {
        let piece = piece.and_then(|piece| {
            sum.update(&piece);
            *seen += piece.len() as u64;
            let is_wrong = *seen > octets || (*seen == octets && Sum::from(sum.clone().finalize()) != blob);
            if is_wrong { Err(ShelfError::Corrupt) } else { Ok(piece) }
        });
        let piece = piece.inspect_err(|error| {
            tracing::error!(%error, "a stored content can't be sent");
        });
        std::future::ready(Some(piece))
    })
}

/// Whether a browser may show it: pictures but SVG, sound, video, plain text. Whatever could carry a script,
/// or isn't known, is for saving (CPI.md §4 C4).
pub(super) fn is_harmless(content_type: &str) -> bool {
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
        let about = |content_type: &str| About::new(content_type, 1, String::new()).content_type;
        assert_eq!(about("multipart/signed;\r\n boundary=x"), "multipart/signed; boundary=x");
        assert_eq!(about("image/\u{1}"), "application/octet-stream");
        let named = "image/jpeg; name=\"Größe.jpg\"";
        assert_eq!(about(named).as_bytes(), named.as_bytes(), "a name that is not ASCII hides no type");
    }

    #[tokio::test]
    async fn octets_that_are_not_those_stored_break_the_transfer() {
        let pieces = |octets: [&'static [u8]; 2]| -> Pieces {
            Box::pin(futures_util::stream::iter(octets.map(|piece| Ok(Bytes::from_static(piece)))))
        };
        let blob = Sum::from(Sha256::digest(b"abcd"));
        let sent = |pieces| checked(pieces, blob, 4).try_collect::<Vec<Bytes>>();
        assert_eq!(sent(pieces([b"ab", b"cd"])).await.unwrap().concat(), b"abcd");
        for wrong in [[&b"ab"[..], b"ce"], [b"abcd", b"e"]] {
            assert!(matches!(sent(pieces(wrong)).await, Err(ShelfError::Corrupt)));
        }
    }
}
