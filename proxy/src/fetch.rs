//! Content that a sender only named (`message/external-body`, RFC 4483), fetched for a terminal that does not know such
//! parts, as this room needs it. Only from hosts that the operator listed (CPI.md C5): who writes a URL must not
//! choose what this server connects to.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use adapter::{Entity, Received};
use bytes::Bytes;
use cpi::Cpi;
use tokio::sync::Mutex;

use crate::metrics;

/// Parts of one message whose content is fetched; further ones become text links.
const PARTS: usize = 4;

/// Content that was fetched.
#[derive(Clone, Debug)]
pub struct Found {
    /// The type its server says.
    pub content_type: Option<String>,
    /// The octets, without a content coding.
    pub content: Bytes,
}

/// Why a content was not fetched. Names no URL: it is the key to somebody's picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFetched {
    /// Its host, or one it was sent on to, is not listed.
    #[error("a host that is not listed in fetch.allow")]
    NotListed,
    /// It is longer than may be fetched, or than it was said to be.
    #[error("more octets than may be fetched")]
    TooLarge,
    /// It did not come in time.
    #[error("no whole answer in time")]
    Late,
    /// The server answered with something else.
    #[error("{0}")]
    Failed(String),
}

/// A content, when it comes.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Found, NotFetched>> + Send + 'a>>;

/// Fetches contents of others.
pub trait Fetch: Debug + Send + Sync + 'static {
    /// Whether the URL leads to a listed host.
    fn is_listed(&self, url: &str) -> bool;

    /// Fetches a content of at most `most` octets; returns within `patience`.
    fn fetch(&self, url: String, most: Option<u64>, patience: Duration) -> Fetching<'_>;
}

/// What was fetched for one message, once for all its branches.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Vec<(String, Option<Found>)>>);

impl Memory {
    /// The body with its contents in it, as far as they are to be had; `None`: nothing changed.
    pub(crate) async fn fill(
        &self,
        fetch: &dyn Fetch,
        entity: &Arc<Entity>,
        cpi: Option<&Cpi>,
        settings: &adapter::Settings,
        patience: Duration,
    ) -> Option<Entity> {
        let named = adapter::received(entity, cpi, settings);
        let listed = named.into_iter().filter(|part| fetch.is_listed(&part.url)).take(PARTS);
        let mut filled: Option<Entity> = None;
        // From the last to the first: what comes in shifts only what stands behind it.
        for part in listed.collect::<Vec<_>>().into_iter().rev() {
            let Some(found) = self.get(fetch, &part, patience).await else { continue };
            let base = filled.as_ref().unwrap_or(entity);
            let new =
                adapter::with_content(base, settings, &part, found.content_type.as_deref(), &found.content);
            filled = new.or(filled);
        }
        filled
    }

    async fn get(&self, fetch: &dyn Fetch, part: &Received, patience: Duration) -> Option<Found> {
        let mut known = self.0.lock().await;
        if let Some((_, found)) = known.iter().find(|(url, _)| *url == part.url) {
            return found.clone();
        }
        let fetched = fetch.fetch(part.url.clone(), part.size, patience).await;
        let checked = fetched.and_then(|found| {
            let is_it = part.is(found.content_type.as_deref(), &found.content);
            let other = || NotFetched::Failed("not the content that the sender named".to_owned());
            is_it.then_some(found).ok_or_else(other)
        });
        metrics::fetched(checked.is_ok());
        let found = checked
            .inspect_err(|why| tracing::info!(%why, "a content elsewhere is not fetched and goes as a link"))
            .ok();
        known.push((part.url.clone(), found.clone()));
        found
    }
}
