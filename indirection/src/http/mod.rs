//! `GET` and `HEAD /c/{token}` (CPI.md §4 C4): the content as this terminal can show it.
//!
//! The road of a fetch: the token is looked up; without capabilities in the request, or for fixed content, the
//! original streams from the disk; else it is adapted by a worker ([`pool`]) and answered. Errors are problem
//! documents (RFC 7807).

mod answer;
mod pool;
mod problem;
mod wish;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use crate::store::{ContentStore, Lookup};
use crate::token::Token;
use pool::Pool;
use problem::Problem;
use wish::Wish;

/// How fetches are answered.
#[derive(Clone)]
pub struct Fetching {
    /// How to adapt; its host is the one in `Content-Adapted`. [`adapter::Method`] and the implied types are set
    /// to those of a fetch.
    pub settings: adapter::Settings,
    /// Extension names known in Accept (`cpi.extensions`).
    pub extensions: cpi::Extensions,
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
            workers,
            queue: workers * 16,
            wait: Duration::from_secs(2),
            deadline: Duration::from_secs(4),
            adapt_octets: 32 << 20,
            now: Arc::new(SystemTime::now),
        }
    }
}

/// The routes of the store: `/c/...`.
pub fn router(store: ContentStore, fetching: Fetching) -> Router {
    let pool = Pool::new(fetching.workers, fetching.queue, fetching.wait, fetching.deadline);
    let settings = adapter::Settings {
        method: adapter::Method::Http,
        implied: cpi::matching::implied("GET", None),
        links: None,
        ..fetching.settings.clone()
    };
    let fetcher = Fetcher { store, pool, fetching: Fetching { settings, ..fetching } };
    Router::new().route("/c/{*token}", any(fetch)).with_state(Arc::new(fetcher))
}

struct Fetcher {
    store: ContentStore,
    pool: Pool,
    fetching: Fetching,
}

async fn fetch(
    State(fetcher): State<Arc<Fetcher>>,
    token: Result<Path<String>, PathRejection>,
    method: Method,
    head: HeaderMap,
) -> Response {
    // What can't be read is nobody's token.
    let token = token.map(|Path(token)| token).unwrap_or_default();
    let answer = match method {
        Method::GET => fetcher.answer(&token, &head, false).await,
        Method::HEAD => fetcher.answer(&token, &head, true).await,
        _ => Err(Problem::MethodNotAllowed),
    };
    let response = answer.unwrap_or_else(IntoResponse::into_response);
    metrics::counter!("bespoke_content_fetches_total", "status" => response.status().as_str().to_owned())
        .increment(1);
    response
}

impl Fetcher {
    async fn answer(&self, token: &str, head: &HeaderMap, head_only: bool) -> Result<Response, Problem> {
        let token = Token::parse(token).ok_or(Problem::NotFound)?;
        let record = match self.store.lookup(&token, (self.fetching.now)()) {
            Lookup::Found(record) => record,
            Lookup::Gone => return Err(Problem::Gone),
            Lookup::Unknown => return Err(Problem::NotFound),
        };
        let path = self.store.path(&record);
        let unreadable = |error| self.unreadable(&token, error);
        let original = || async { answer::original(&record, &path, head_only).await.map_err(unreadable) };
        let Some(wish) = Wish::read(head, &record, &self.fetching.extensions) else {
            return original().await;
        };
        if record.size > self.fetching.adapt_octets {
            if wish.takes(&record, &self.fetching.settings) {
                return original().await;
            }
            return Err(Problem::NotAcceptable("the content is too long to be adapted".into()));
        }
        let place = self.pool.place().await?;
        let octets = tokio::fs::read(&path).await.map_err(unreadable)?;
        let entity = Arc::new(answer::entity(&record, octets));
        let (input, settings) = (entity.clone(), self.fetching.settings.clone());
        let made = place.run(move |stop| adapter::adapt_one(&input, &wish.cpi, &settings, stop)).await?;
        let single = made.map_err(|refusal| Problem::NotAcceptable(refusal.warning))?;
        if single.adapted.is_none() && single.content_type == record.content_type {
            // A slow reader must not keep the octets in memory.
            return original().await;
        }
        Ok(answer::adapted(&entity, single, head_only))
    }

    /// A content that is not there any more has been swept away since it was looked up, or the disk failed.
    fn unreadable(&self, token: &Token, error: std::io::Error) -> Problem {
        let known = || self.store.lookup(token, (self.fetching.now)());
        if error.kind() == std::io::ErrorKind::NotFound && !matches!(known(), Lookup::Found(_)) {
            return Problem::Gone;
        }
        Problem::disk(error)
    }
}
