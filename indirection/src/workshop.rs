//! Where contents are adapted: once for all who wish the same, off the threads of sockets, so many at a time.
//!
//! What was made before comes from the [`Cache`]; what is being made is waited for ([`Flights`]); else a worker of
//! the [`Pool`] makes it.

use std::fmt::Write;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use adapter::{Entity, Link, LinkRequest, LinkShape, Settings};
use bytes::Bytes;
use cpi::Cpi;
use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::flight::Flights;
use crate::http::{Fetching, Known, Late, PATH, Problem};
use crate::pool::Pool;
use crate::tally;
use crate::token::Sum;
use crate::variant::{Made, Variant, VariantKey};

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Workshop {
    inner: Arc<Inner>,
}

struct Inner {
    fetching: Fetching,
    known: Known,
    settings: Settings,
    /// Of what the settings and this program make of things.
    edition: Sum,
    pool: Pool,
    store: Late,
    flights: Flights<VariantKey, Result<Arc<Made>, Problem>>,
}

impl Workshop {
    /// A workshop with the limits of `fetching`, which keeps what it makes beside the contents of `store`.
    pub fn new(fetching: Fetching, store: Late) -> Workshop {
        let settings = Settings {
            method: adapter::Method::Http,
            implied: cpi::matching::implied("GET", None),
            links: None,
            ..fetching.settings.clone()
        };
        let mut said = String::from(env!("CARGO_PKG_VERSION"));
        // Writing to a string can't fail.
        let _ = write!(said, "{settings:?}");
        let pool = Pool::new(fetching.workers, fetching.queue, fetching.wait, fetching.deadline);
        let edition = Sha256::digest(said).into();
        let known = fetching.known();
        let flights = Flights::default();
        let inner = Inner { fetching, known, settings, edition, pool, store, flights };
        Workshop { inner: Arc::new(inner) }
    }

    fn cache(&self) -> Option<&Cache> {
        self.inner.store.get().map(|store| &store.inner.cache)
    }

    pub(crate) fn known(&self) -> &Known {
        &self.inner.known
    }

    /// The longest body that is adapted.
    pub(crate) fn most_octets(&self) -> u64 {
        self.inner.fetching.adapt_octets
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.inner.fetching.now)()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The name of what comes of a content with that SHA-256 and those fields for `cpi`.
    pub(crate) fn key(&self, blob: Sum, fields: &[Option<&str>], cpi: &Cpi) -> VariantKey {
        let mut sum = Sha256::new().chain_update(self.inner.edition);
        for field in fields {
            let field = field.map_or("-".into(), |field| format!("+{} {field}", field.len()));
            sum.update(field);
        }
        // The canonical form of what was said: blanks, folds and the order of headers are gone from it.
        sum.update(serde_json::to_vec(cpi).unwrap_or_default());
        VariantKey { blob, wish: sum.finalize().into() }
    }

    /// What `key` names, if it was made before.
    pub(crate) async fn made_before(&self, key: &VariantKey) -> Option<Arc<Made>> {
        let cache = self.cache()?;
        if let Some(made) = cache.recall(key) {
            tally::variant(tally::From::Memory);
            return Some(made);
        }
        cache.fetch(key).await.inspect(|_| tally::variant(tally::From::Disk))
    }

    /// What `key` names: made before, being made, or made now out of what `load` gives.
    ///
    /// # Errors
    /// [`Problem::Busy`], or that of `load`.
    pub(crate) async fn make<L>(
        &self,
        key: VariantKey,
        cpi: Cpi,
        order: Order,
        load: L,
    ) -> Result<Arc<Made>, Problem>
    where
        L: Future<Output = Result<Entity, Problem>> + Send + 'static,
    {
        if let Some(made) = self.cache().and_then(|cache| cache.recall(&key)) {
            tally::variant(tally::From::Memory);
            return Ok(made);
        }
        let this = self.clone();
        let made = self.inner.flights.join(key, || async move { this.work(key, cpi, order, load).await });
        made.await.unwrap_or(Err(Problem::Broken))
    }

    async fn work(
        &self,
        key: VariantKey,
        cpi: Cpi,
        order: Order,
        load: impl Future<Output = Result<Entity, Problem>>,
    ) -> Result<Arc<Made>, Problem> {
        if let Some(cache) = self.cache()
            && let Some(made) = cache.fetch(&key).await
        {
            tally::variant(tally::From::Disk);
            return Ok(made);
        }
        let place = self.inner.pool.place(order.deadline).await?;
        let entity = load.await?;
        let this = self.clone();
        let made = place.run(move |stop| make(&entity, &cpi, this.settings(), &order, stop)).await?;
        tally::variant(tally::From::Adapter);
        let made = Arc::new(made);
        if let Some(cache) = self.cache() {
            cache.keep(key, &made).await;
        }
        Ok(made)
    }
}

/// What is said of a body beside for whom it is adapted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// What it may take, if that is less than the workshop's own deadline.
    pub(crate) deadline: Option<Duration>,
    /// Where the parts of a multipart are served, for terminals that take the parts and no multipart.
    pub(crate) parts: Option<Parts>,
    /// It is cut out of something else: nobody has its octets if they are not what was made.
    pub(crate) is_cut: bool,
}

/// The address under which each part of a multipart is served by its path.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) url: String,
    pub(crate) expires: SystemTime,
}

impl Parts {
    fn shape(&self) -> LinkShape {
        LinkShape { url_octets: self.url.len() + 1 + PATH, adaptive: true }
    }

    /// The whole has no link of its own here: it is what was asked for.
    fn link(&self, request: &LinkRequest) -> Option<Link> {
        request.part.contains('.').then(|| Link {
            id: request.id,
            url: format!("{}/{}", self.url, request.part),
            expires: self.expires,
        })
    }
}

fn make(entity: &Entity, cpi: &Cpi, settings: &Settings, order: &Order, stop: &dyn Fn() -> bool) -> Made {
    let single = match &order.parts {
        None => adapter::adapt_one(entity, cpi, settings, stop),
        Some(parts) => {
            let settings = Settings { links: Some(parts.shape()), ..settings.clone() };
            adapter::adapt_linked(entity, cpi, &settings, &|request| parts.link(request), stop)
        }
    };
    let single = match single {
        Ok(single) => single,
        Err(refusal) => return Made::Refused(refusal.warning),
    };
    let unchanged = entity.field("Content-Type") == Some(single.content_type.as_bytes()) && !order.is_cut;
    let new = match &single.adapted {
        None if unchanged => return Made::Original,
        None => entity.clone(),
        Some(adapted) => adapted.apply(entity),
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let fields = new.fields.iter().map(|field| (text(&field.name), text(&field.value))).collect();
    // Its octets and no more: what they were cut out of, or grown in, does not count in the cache.
    let body = Bytes::copy_from_slice(&new.body);
    Made::Variant(Variant::new(single.content_type, fields, body))
}
