//! Where contents are adapted: once for all who wish the same, off the threads of sockets, so many at a time.
//!
//! What was made before comes from the [`Cache`]; what is being made is waited for ([`Flights`]); else a worker of
//! the [`Pool`] makes it.

use std::fmt::Write;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use adapter::{Entity, Settings};
use cpi::Cpi;
use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::flight::Flights;
use crate::http::{Fetching, Known, Late, Problem};
use crate::pool::Pool;
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
        match cache.recall(key) {
            Some(made) => Some(made),
            None => cache.fetch(key).await,
        }
    }

    /// What `key` names: made before, being made, or made now out of what `load` gives.
    ///
    /// # Errors
    /// [`Problem::Busy`], or that of `load`.
    pub(crate) async fn make<L>(
        &self,
        key: VariantKey,
        cpi: Cpi,
        deadline: Option<Duration>,
        load: L,
    ) -> Result<Arc<Made>, Problem>
    where
        L: Future<Output = Result<Entity, Problem>> + Send + 'static,
    {
        if let Some(made) = self.cache().and_then(|cache| cache.recall(&key)) {
            metrics::counter!("bespoke_content_variants_total", "from" => "memory").increment(1);
            return Ok(made);
        }
        let this = self.clone();
        let made = self.inner.flights.join(key, || async move { this.work(key, cpi, deadline, load).await });
        made.await.unwrap_or(Err(Problem::Broken))
    }

    async fn work(
        &self,
        key: VariantKey,
        cpi: Cpi,
        deadline: Option<Duration>,
        load: impl Future<Output = Result<Entity, Problem>>,
    ) -> Result<Arc<Made>, Problem> {
        if let Some(cache) = self.cache()
            && let Some(made) = cache.fetch(&key).await
        {
            metrics::counter!("bespoke_content_variants_total", "from" => "disk").increment(1);
            return Ok(made);
        }
        let place = self.inner.pool.place(deadline).await?;
        let entity = load.await?;
        let this = self.clone();
        let made = place.run(move |stop| make(&entity, &cpi, this.settings(), stop)).await?;
        metrics::counter!("bespoke_content_variants_total", "from" => "adapter").increment(1);
        let made = Arc::new(made);
        if let Some(cache) = self.cache() {
            cache.keep(key, &made).await;
        }
        Ok(made)
    }
}

fn make(entity: &Entity, cpi: &Cpi, settings: &Settings, stop: &dyn Fn() -> bool) -> Made {
    let single = match adapter::adapt_one(entity, cpi, settings, stop) {
        Ok(single) => single,
        Err(refusal) => return Made::Refused(refusal.warning),
    };
    let unchanged = entity.field("Content-Type") == Some(single.content_type.as_bytes());
    let new = match &single.adapted {
        None if unchanged => return Made::Original,
        None => entity.clone(),
        Some(adapted) => adapted.apply(entity),
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let fields = new.fields.iter().map(|field| (text(&field.name), text(&field.value))).collect();
    Made::Variant(Variant::new(single.content_type, fields, new.body))
}
