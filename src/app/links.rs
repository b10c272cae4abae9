//! Content behind links, as proxy asks for it and indirection keeps it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use proxy::Pool;
use proxy::links::Links;

use super::StartError;
use crate::config::Config;

/// The content store, or nothing where links are switched off.
pub(super) struct Content {}

/// Opens it.
pub(super) async fn open(
    _config: &Config,
    _http: SocketAddr,
    _pool: Arc<Pool>,
) -> Result<Content, StartError> {
    Ok(Content {})
}

impl Content {
    pub(super) fn links(&self) -> Option<Arc<dyn Links>> {
        None
    }

    pub(super) fn router(&self) -> Router {
        Router::new()
    }

    pub(super) async fn sweep(&self) -> usize {
        0
    }
}
