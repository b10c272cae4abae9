//! `GET` and `HEAD /c/{token}` (CPI.md §4 C4): the content as this terminal can show it.
//!
//! The road of a fetch: the token is looked up; a browser that opens the link gets a [`page`] about the content; without
//! capabilities in the request, or for fixed content, the original is sent; else what the [`Workshop`] makes of it.
//! Conditions and ranges (RFC 9110 §13, §14) hold for the original and for what was made alike. Errors are problem
//! documents (RFC 7807).

mod adapt;
mod answer;
mod condition;
mod page;
mod part;
mod problem;
mod range;
mod ready;
mod wish;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use adapter::Entity;
use axum::Router;
use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use cpi::Cpi;

use crate::error::ShelfError;
use crate::record::Record;
use crate::store::{ContentStore, Lookup};
use crate::tally;
use crate::token::Token;
use crate::variant::Made;
use crate::workshop::{Order, Parts, Workshop};
use answer::{About, Request};
use ready::{Ready, Words};
use wish::{Query, Wish};

pub use adapt::{adapting, content_digest};
pub(crate) use part::LONGEST as PATH;
pub(crate) use problem::Problem;
pub(crate) use wish::Known;

/// How fetches are answered.
#[derive(Clone)]
pub struct Fetching {
    /// How to adapt; its host is the one in `Content-Adapted`. [`adapter::Method`] and the implied types are set
    /// to those of a fetch.
    pub settings: adapter::Settings,
    /// Extension names known in Accept (`cpi.extensions`).
    pub extensions: cpi::Extensions,
    /// What terminals can show that say nothing but their name (CPI.md G7).
    pub profiles: cpi::profile::Profiles,
    /// Adaptations at the same time.
    pub workers: usize,
    /// Fetches that may wait for a worker; one more gets its 503 at once.
    pub queue: usize,
    /// How long a fetch waits for a worker.
    pub wait: Duration,
    /// How long an adaptation may take (CPI.md §3.1).
    pub deadline: Duration,
    /// Most octets that are read into memory to be adapted.
    pub adapt_octets: u64,
    /// The clock.
    pub now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl Fetching {
    /// As many workers as there are cores, 16 waiting for each, 2 seconds to wait, 4 to adapt.
    pub fn new(settings: adapter::Settings) -> Fetching {
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Fetching {
            settings,
            extensions: cpi::Extensions::NONE,
            profiles: cpi::profile::Profiles::default(),
            workers,
            queue: workers * 16,
            wait: Duration::from_secs(2),
            deadline: Duration::from_secs(4),
            adapt_octets: 32 << 20,
            now: Arc::new(SystemTime::now),
        }
    }

    pub(crate) fn known(&self) -> Known {
        Known { extensions: self.extensions.clone(), profiles: self.profiles.clone() }
    }
}

/// A store, as soon as it is open.
pub type Late = Arc<OnceLock<ContentStore>>;

/// The routes of the store: `/c/...`.
pub fn router(store: Late, workshop: Workshop) -> Router {
    let fetcher = Fetcher { store, workshop, ready: Ready::default() };
    Router::new().route("/c/{*token}", any(fetch)).with_state(Arc::new(fetcher))
}

struct Fetcher {
    store: Late,
    workshop: Workshop,
    ready: Ready,
}

async fn fetch(State(fetcher): State<Arc<Fetcher>>, request: axum::extract::Request) -> Response {
    let (uri, head) = (request.uri(), request.headers());
    // What is escaped is nobody's token.
    let token = uri.path().strip_prefix("/c/").unwrap_or_default();
    let head_only = request.method() == Method::HEAD;
    let answer = if head_only || request.method() == Method::GET {
        let query = Query::read(uri.query());
        let words = Words::of(token, uri.query(), head);
        let request = Request { head, head_only, download: query.download };
        fetcher.answer(token, &request, &query, words).await
    } else {
        Err(Problem::MethodNotAllowed)
    };
    let response = answer.unwrap_or_else(IntoResponse::into_response);
    tally::fetch(response.status());
    response
}

impl Fetcher {
    async fn answer(
        &self,
        token: &str,
        request: &Request<'_>,
        query: &Query,
        words: Option<Words>,
    ) -> Result<Response, Problem> {
        let (token, part) = token.split_once('/').map_or((token, None), |(token, part)| (token, Some(part)));
        let token = Token::parse(token).ok_or(Problem::NotFound)?;
        let store = self.store.get().ok_or(Problem::Busy("The store is not open yet."))?;
        let record = match store.lookup(&token, self.workshop.now()) {
            Lookup::Found(record) => record,
            Lookup::Gone => return Err(Problem::Gone),
            Lookup::Unknown => return Err(Problem::NotFound),
        };
        let ready = words.as_ref().and_then(|words| self.ready.find(words, &record));
        if let Some((about, made)) = &ready
            && let Made::Variant(variant) = &**made
        {
            tally::variant(tally::From::Memory);
            return about.answer(request, &variant.body);
        }
        if let Some(part) = part {
            let made = self.part(store, &token, &record, request, query, part).await?;
            return self.variant(&made, request, &record, words);
        }
        if page::is_wanted(request.head, query, &record) {
            return Ok(page::answer(&record, request.head_only));
        }
        let Some(wish) = Wish::read(request.head, query, &record, self.workshop.known()) else {
            return self.original(store, &token, &record, request).await;
        };
        if record.size > self.workshop.most_octets() {
            if wish.takes(&record, self.workshop.settings()) {
                return self.original(store, &token, &record, request).await;
            }
            return Err(Problem::NotAcceptable("the content is too long to be adapted".into()));
        }
        let made = self.make(store, &token, &record, wish).await?;
        match &*made {
            Made::Original => self.original(store, &token, &record, request).await,
            Made::Variant(_) | Made::Refused(_) => self.variant(&made, request, &record, words),
        }
    }

    fn variant(
        &self,
        made: &Arc<Made>,
        request: &Request<'_>,
        record: &Arc<Record>,
        words: Option<Words>,
    ) -> Result<Response, Problem> {
        match &**made {
            Made::Variant(variant) => {
                let about = Arc::new(About::variant(&variant.head, variant.body.len() as u64));
                if let Some(words) = words {
                    self.ready.keep(words, record, made, &about);
                }
                about.answer(request, &variant.body)
            }
            Made::Original => Err(Problem::Broken),
            Made::Refused(why) => Err(Problem::NotAcceptable(why.clone())),
        }
    }

    async fn original(
        &self,
        store: &ContentStore,
        token: &Token,
        record: &Arc<Record>,
        request: &Request<'_>,
    ) -> Result<Response, Problem> {
        let about = About::original(record);
        let Some(part) = request.judge(&about)? else { return Ok(about.not_modified()) };
        let sent = about.stream(part, request, store, record).await;
        sent.map_err(|error| unreadable(store, token, self.workshop.now(), error))
    }

    async fn make(
        &self,
        store: &ContentStore,
        token: &Token,
        record: &Arc<Record>,
        wish: Wish,
    ) -> Result<Arc<Made>, Problem> {
        let parts =
            is_multipart(record).then(|| Parts { url: store.url_of(token), expires: record.expires() });
        let fields = [
            Some(&*record.content_type),
            record.content_encoding.as_deref(),
            record.disposition.as_deref(),
            // What links to parts is for this link alone.
            parts.as_ref().map(|parts| &*parts.url),
        ];
        let key = self.workshop.key(record.blob, &fields, &wish.cpi);
        let (store, token, record, workshop) =
            (store.clone(), *token, Arc::clone(record), self.workshop.clone());
        let load = async move {
            let octets = store.load(&record).await;
            let octets = octets.map_err(|error| unreadable(&store, &token, workshop.now(), error))?;
            Ok(entity(&record, octets))
        };
        self.workshop.make(key, wish.cpi, Order { parts, ..Order::default() }, load).await
    }

    /// What a part of a multipart is for this terminal.
    async fn part(
        &self,
        store: &ContentStore,
        token: &Token,
        record: &Arc<Record>,
        request: &Request<'_>,
        query: &Query,
        path: &str,
    ) -> Result<Arc<Made>, Problem> {
        let has_parts = is_multipart(record) && !record.fixed && record.size <= self.workshop.most_octets();
        if !has_parts || !part::is_path(path) {
            return Err(Problem::NotFound);
        }
        let (cpi, limited) = wish::limits(request.head, query, self.workshop.known());
        let cpi = if limited { cpi } else { Cpi::default() };
        let key =
            self.workshop.key(record.blob, &[Some(&record.content_type), Some("part"), Some(path)], &cpi);
        let (store, token, record, workshop) =
            (store.clone(), *token, Arc::clone(record), self.workshop.clone());
        let path = path.to_owned();
        let load = async move {
            let octets = store.load(&record).await;
            let octets = octets.map_err(|error| unreadable(&store, &token, workshop.now(), error))?;
            let guards = workshop.settings().guards;
            let cut = move || part::of(&entity(&record, octets), &path, &guards);
            let part = tokio::task::spawn_blocking(cut).await.map_err(|_| Problem::Broken)?;
            part.ok_or(Problem::NotFound)
        };
        self.workshop.make(key, cpi, Order { is_cut: true, ..Order::default() }, load).await
    }
}

fn is_multipart(record: &Record) -> bool {
    record.content_type.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
}

/// A content that is not there any more has been swept away since it was looked up, or the disk failed.
fn unreadable(store: &ContentStore, token: &Token, now: SystemTime, error: ShelfError) -> Problem {
    let known = || matches!(store.lookup(token, now), Lookup::Found(_));
    if matches!(error, ShelfError::Missing) && !known() {
        return Problem::Gone;
    }
    Problem::shelf(&error)
}

/// The record as the adapter reads it.
fn entity(record: &Record, octets: bytes::Bytes) -> Entity {
    let fields = [
        ("Content-Type", Some(&record.content_type)),
        ("Content-Encoding", record.content_encoding.as_ref()),
        ("Content-Disposition", record.disposition.as_ref()),
    ];
    let fields = fields
        .into_iter()
        .filter_map(|(name, value)| Some(adapter::Field::new(name, value?.clone().into_bytes())));
    Entity { fields: fields.collect(), body: octets }
}
