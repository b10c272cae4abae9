//! What a fetch says about its terminal.

use adapter::Settings;
use adapter::mime::ContentType;
use axum::http::{HeaderMap, header};
use cpi::matching::{self, Item, Options};
use cpi::profile::Profiles;
use cpi::{Cpi, Extensions, MediaEntry, Source};

use crate::record::Record;

/// Most octets of a query that are read.
const QUERY: usize = 8 * 1024;

/// The fields that a query may give for clients that can't set them. What it names takes the place of the header.
const IN_QUERY: [&str; 3] = ["accept", "accept-encoding", "accept-charset"];

/// What a query says beside capabilities, and the capabilities it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    fields: Vec<(String, String)>,
    /// `raw`: the content and no page about it.
    pub(super) raw: bool,
    /// `download`: for saving and not for showing.
    pub(super) download: bool,
}

impl Query {
    pub(super) fn read(query: Option<&str>) -> Query {
        let mut read = Query::default();
        let query = query.filter(|query| query.len() <= QUERY).unwrap_or_default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match &*decoded(name).to_ascii_lowercase() {
                "raw" => read.raw = true,
                "download" => (read.raw, read.download) = (true, true),
                name if IN_QUERY.contains(&name) => read.fields.push((name.to_owned(), decoded(value))),
                _ => {}
            }
        }
        read
    }

    fn names(&self, name: &str) -> bool {
        self.fields.iter().any(|(named, _)| named == name)
    }
}

/// `%41` is `A`. A `+` stays one: `max+160` is written so, and nobody who writes a blank as `+` writes CPI.
fn decoded(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        rest = after;
        match (octet, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                octets.push(u8::try_from(high << 4 | low).unwrap_or_default());
                rest = after.get(2..).unwrap_or_default();
            }
            _ => octets.push(octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// Capabilities that ask for something else than the original.
pub(super) struct Wish {
    pub(super) cpi: Cpi,
}

impl Wish {
    /// `None`: the original octets are what is wanted, because they are fixed, or because the request states
    /// nothing that could limit them.
    pub(super) fn read(head: &HeaderMap, query: &Query, record: &Record, known: &Known) -> Option<Wish> {
        if record.fixed {
            return None;
        }
        let (mut cpi, limited) = limits(head, query, known);
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

/// What a terminal can show, and whether that says more than "all types, any length".
pub(super) fn limits(head: &HeaderMap, query: &Query, known: &Known) -> (Cpi, bool) {
    let (mut cpi, names_charset) = stated(head, query, known);
    let mut limited = is_limited(&cpi) || (names_charset && cpi.charsets.is_some());
    if !limited && let Some(profile) = cpi.user_agent.as_deref().and_then(|ua| known.profiles.find(ua)) {
        cpi = Cpi::clone(profile);
        limited = true;
    }
    // What says nothing about this content must not make it another one in the cache.
    (Cpi { user_agent: None, max_size: None, ..cpi }.with_source(Source::Dialog), limited)
}

/// How requests are read.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) extensions: Extensions,
    pub(crate) profiles: Profiles,
}

/// What a request states, and whether that names charsets.
pub(crate) fn stated(head: &HeaderMap, query: &Query, known: &Known) -> (Cpi, bool) {
    let fields = head.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let fields = fields.filter(|(name, _)| !query.names(name));
    let queried = query.fields.iter().map(|(name, value)| (&**name, value.as_bytes()));
    // In HTTP, unlike CPI.md G6, a request that names no charset takes any (RFC 9110 §12.5.2).
    let names_charset = head.contains_key(header::ACCEPT_CHARSET) || query.names("accept-charset");
    let any_charset = (!names_charset).then_some(("accept-charset", &b"*"[..]));
    let all = fields.chain(queried).chain(any_charset).map(|(name, value)| (name.as_bytes(), value));
    (cpi::decode::from_headers(all, &known.extensions).0, names_charset)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_carries_what_a_client_can_not_put_into_its_head() {
        let query = Query::read(Some("Accept=image%2Fgif;media-pix-x=max+160&raw&x=1&accept-charset=utf-8"));
        let fields = [("accept", "image/gif;media-pix-x=max+160"), ("accept-charset", "utf-8")];
        assert_eq!(query.fields, fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(query.raw && !query.download);
        assert_eq!(Query::read(None), Query::default());
        assert!(Query::read(Some("download")).raw);
        assert_eq!(decoded("%4a%4A%zz%4"), "JJ%zz%4");
        assert_eq!(Query::read(Some(&format!("raw&accept={}", "a".repeat(QUERY)))), Query::default());
    }

    #[test]
    fn the_query_takes_the_place_of_the_header() {
        let head = HeaderMap::from_iter([(header::ACCEPT, "image/png".parse().unwrap())]);
        let known = Known { extensions: Extensions::NONE, profiles: Profiles::default() };
        let (cpi, _) = stated(&head, &Query::read(Some("accept=image/gif")), &known);
        let ranges: Vec<&str> = cpi.media.iter().flatten().map(|entry| &*entry.range).collect();
        assert_eq!(ranges, ["image/gif"]);
    }
}
