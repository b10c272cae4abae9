//! Content behind links, as proxy asks for it and indirection keeps it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use adapter::{Link, LinkShape};
use axum::Router;
use axum::http::StatusCode;
use indirection::{Content, ContentStore, Late, OpenError, Options, PutError, ShelfError, Token, Workshop};
use proxy::links::{Deposit, Links, NotStored, Storing};

use super::{StartError, problem, settings};
use crate::config::Config;

/// The content store, or nothing where links are switched off.
#[derive(Clone)]
pub(super) struct Contents {
    /// Where it is kept; `None`: links are switched off.
    kept: Option<(PathBuf, Options)>,
    store: Late,
    workshop: Workshop,
}

/// Opens it. `http` is where the public listener is bound. A bucket that can't be reached does not keep the server
/// from starting: until it can, nothing is linked.
pub(super) async fn open(
    config: &Config,
    converters: &adapter::Converters,
    http: SocketAddr,
) -> Result<Contents, StartError> {
    let store = Late::default();
    let workshop = Workshop::new(settings::fetching(config, converters), Arc::clone(&store));
    let kept = (config.content.store != "off")
        .then(|| (settings::content_folder(config), settings::content(config, http)));
    let contents = Contents { kept, store, workshop };
    match contents.try_open().await {
        Err(OpenError::Shelf(ShelfError::Unreachable(why))) => {
            tracing::error!(%why, "the bucket of content.store can't be reached: nothing is linked until it can");
            Ok(contents)
        }
        Err(error) => Err(error.into()),
        Ok(()) => Ok(contents),
    }
}

impl Contents {
    async fn try_open(&self) -> Result<(), OpenError> {
        let Some((folder, options)) = &self.kept else { return Ok(()) };
        if self.store.get().is_none() {
            let opened = ContentStore::open(folder, options.clone(), transport::now()).await?;
            // Nobody else opens it.
            let _ = self.store.set(opened);
        }
        Ok(())
    }

    /// What proxy links with.
    pub(super) fn links(&self) -> Option<Arc<dyn Links>> {
        let (_, options) = self.kept.as_ref()?;
        Some(Arc::new(Linked { store: Arc::clone(&self.store), url_octets: options.url_octets() }))
    }

    /// `/adapt`, for the listener of the operators.
    pub(super) fn adapting(&self) -> Router {
        indirection::adapting(self.workshop.clone())
    }

    /// The store itself, for operators.
    pub(super) fn store(&self) -> Late {
        Arc::clone(&self.store)
    }

    /// `/c/...`, and a problem document for everything else.
    pub(super) fn router(&self) -> Router {
        let routes = match &self.kept {
            Some(_) => indirection::router(Arc::clone(&self.store), self.workshop.clone()),
            None => Router::new(),
        };
        routes.fallback(|| async { problem(StatusCode::NOT_FOUND, "there is nothing here") })
    }

    /// Clears away what has expired; how many links that were. Opens the store if that did not work at the start.
    pub(super) async fn sweep(&self) -> u64 {
        if let Err(error) = self.try_open().await {
            tracing::error!(%error, "nothing is linked");
        }
        match self.store.get() {
            Some(store) => store.sweep(transport::now()).await.expired,
            None => 0,
        }
    }
}

struct Linked {
    store: Late,
    url_octets: usize,
}

impl Links for Linked {
    fn shape(&self) -> LinkShape {
        LinkShape { url_octets: self.url_octets, adaptive: true }
    }

    fn store(&self, deposit: Deposit) -> Storing<'_> {
        Box::pin(async move {
            let request = deposit.request;
            let content = Content {
                content_type: request.content_type,
                serve_as: request.serve_as,
                content_encoding: request.content_encoding,
                disposition: request.disposition,
                description: request.description,
                fixed: request.fixed,
                recipient: Some(deposit.recipient),
                sender: Some(deposit.sender).filter(|sender| !sender.is_empty()),
                keep_until: deposit.until,
            };
            let store = self.store.get();
            let store = store.ok_or_else(|| NotStored::Failed("it is not open yet".to_owned()))?;
            let stored = store.put(content, request.content, transport::now()).await;
            let link = stored.map_err(not_stored)?;
            Ok(Link { id: request.id, url: link.url, expires: link.expires })
        })
    }

    fn discard(&self, url: &str) {
        if let (Some(token), Some(store)) = (Token::of_url(url), self.store.get().cloned()) {
            tokio::spawn(async move { store.discard(&token).await });
        }
    }
}

fn not_stored(error: PutError) -> NotStored {
    match error {
        PutError::TooLarge { .. }
        | PutError::RecipientFull { .. }
        | PutError::SenderFull { .. }
        | PutError::QuotaFull { .. }
        | PutError::TooManyLinks { .. }
        | PutError::DiskFull => {
            tracing::warn!(%error, "a content was not stored");
            NotStored::Full
        }
        PutError::Disk(_) | PutError::Unreachable(_) | PutError::Source(_) | PutError::Random(_) => {
            NotStored::Failed(error.to_string())
        }
    }
}
