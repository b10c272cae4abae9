//! Content behind links, as proxy asks for it and indirection keeps it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use adapter::{Link, LinkShape};
use axum::Router;
use axum::http::StatusCode;
use indirection::{Content, ContentStore, PutError};
use proxy::links::{Deposit, Links, NotStored, Storing};

use super::{StartError, problem, settings};
use crate::config::Config;

/// The content store, or nothing where links are switched off.
#[derive(Clone)]
pub(super) struct Contents {
    store: Option<ContentStore>,
}

/// Opens it. `http` is where the public listener is bound.
pub(super) async fn open(config: &Config, http: SocketAddr) -> Result<Contents, StartError> {
    if config.content.store != "disk" {
        return Ok(Contents { store: None });
    }
    let (folder, options) = (settings::content_folder(config), settings::content(config, http));
    let opened = tokio::task::spawn_blocking(move || ContentStore::open(folder, options, SystemTime::now()));
    let store = opened.await.map_err(|broken| StartError::Runtime(broken.into()))??;
    Ok(Contents { store: Some(store) })
}

impl Contents {
    /// What proxy links with.
    pub(super) fn links(&self) -> Option<Arc<dyn Links>> {
        let store = self.store.clone()?;
        Some(Arc::new(Linked(store)))
    }

    /// `/c/...`, and a problem document for everything else.
    pub(super) fn router(&self, config: &Config) -> Router {
        let routes = match &self.store {
            Some(store) => indirection::router(store.clone(), settings::fetching(config)),
            None => Router::new(),
        };
        routes.fallback(|| async { problem(StatusCode::NOT_FOUND, "there is nothing here") })
    }

    /// Clears away what has expired; how many links that were.
    pub(super) async fn sweep(&self) -> u64 {
        let Some(store) = self.store.clone() else { return 0 };
        let swept = tokio::task::spawn_blocking(move || store.sweep(SystemTime::now())).await;
        swept.map_or(0, |swept| swept.expired)
    }
}

struct Linked(ContentStore);

impl Links for Linked {
    fn shape(&self) -> LinkShape {
        LinkShape { url_octets: self.0.url_octets(), adaptive: true }
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
                keep_until: deposit.until,
            };
            let stored = self.0.put(content, request.content, SystemTime::now()).await;
            let link = stored.map_err(not_stored)?;
            Ok(Link { id: request.id, url: link.url, expires: link.expires })
        })
    }
}

fn not_stored(error: PutError) -> NotStored {
    match error {
        PutError::TooLarge { .. }
        | PutError::RecipientFull { .. }
        | PutError::QuotaFull { .. }
        | PutError::TooManyLinks { .. }
        | PutError::DiskFull => {
            tracing::warn!(%error, "a content was not stored");
            NotStored::Full
        }
        PutError::Disk(_) | PutError::Source(_) | PutError::Random(_) => NotStored::Failed(error.to_string()),
    }
}
