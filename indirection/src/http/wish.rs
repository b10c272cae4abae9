//! What a fetch says about its terminal.

use adapter::Settings;
use adapter::mime::ContentType;
use axum::http::{HeaderMap, header};
use cpi::matching::{self, Item, Options};
use cpi::{Cpi, Extensions, MediaEntry, Source};

use crate::record::Record;

/// Capabilities that ask for something else than the original.
pub(super) struct Wish {
    pub(super) cpi: Cpi,
}

impl Wish {
    /// `None`: the original octets are what is wanted, because they are fixed, or because the request states
    /// nothing that could limit them.
    pub(super) fn read(head: &HeaderMap, record: &Record, extensions: &Extensions) -> Option<Wish> {
        if record.fixed {
            return None;
        }
        let fields = head.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        // In HTTP, unlike CPI.md G6, a request that names no charset takes any (RFC 9110 §12.5.2).
        let any_charset =
            (!head.contains_key(header::ACCEPT_CHARSET)).then_some((&b"Accept-Charset"[..], &b"*"[..]));
        let (cpi, _) = cpi::decode::from_headers(fields.chain(any_charset), extensions);
        let mut cpi = cpi.with_source(Source::Dialog);
        let limited = is_limited(&cpi) || (any_charset.is_none() && cpi.charsets.is_some());
        if let Some(told) = &record.serve_as {
            keep_to(&mut cpi, told);
            return Some(Wish { cpi });
        }
        limited.then_some(Wish { cpi })
    }

    /// Whether the original will do, as far as can be said without looking at it.
    pub(super) fn takes(&self, record: &Record, settings: &Settings) -> bool {
        let content_type = ContentType::read(record.content_type.as_bytes());
        let params: Vec<(&str, &str)> =
            content_type.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let item = Item {
            media_type: &content_type.essence,
            params: &params,
            length: Some(record.size),
            ..Item::default()
        };
        let options = Options { strict_specificity: settings.strict_specificity, implied: settings.implied };
        let charset = content_type.param("charset").unwrap_or("utf-8");
        // Of a multipart, the parts would have to be asked for.
        !content_type.is_kind("multipart")
            && matching::quality(&self.cpi, &item, options) > 0
            && matching::coding_quality(&self.cpi, "identity") > 0
            && matching::whole_limit(&self.cpi, "identity").hi.is_none_or(|most| record.size <= most)
            && (!content_type.is_kind("text") || matching::charset_ok(&self.cpi, charset))
    }
}

/// Whether anything but "all types, any length" is said.
fn is_limited(cpi: &Cpi) -> bool {
    let free = |entry: &MediaEntry| entry.range == "*/*" && entry.q > 0 && entry.constraints() == 0;
    let types = cpi.media.as_ref().is_some_and(|media| media.is_empty() || !media.iter().all(free));
    types || cpi.whole.iter().any(|whole| whole.length.hi.is_some())
}

/// The terminal was told of the type `told` and may use no other (RFC 2017 §3.1), unless it says now that it
/// can't take that.
fn keep_to(cpi: &mut Cpi, told: &str) {
    let essence = told.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some(media) = &mut cpi.media else {
        cpi.media = Some(vec![MediaEntry::new(essence)]);
        return;
    };
    let covers = |entry: &MediaEntry| {
        let family = entry.range.strip_suffix('*');
        entry.range == "*/*"
            || entry.range == essence
            || family.is_some_and(|family| essence.starts_with(family))
    };
    if media.iter().any(|entry| covers(entry) && entry.q > 0) {
        media.retain(covers);
        let own = media.iter().any(|entry| entry.range == essence);
        media.retain(|entry| !own || entry.range == essence);
        media.iter_mut().for_each(|entry| entry.range.clone_from(&essence));
    }
}
