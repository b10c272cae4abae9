//! The HTTP listeners: an accept loop with limits round an axum router.
//!
//! axum's own `serve` has neither a limit on connections nor a deadline for a head, so hyper is driven here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections of one listener at once; further ones wait in the backlog.
const CONNECTIONS: usize = 1024;
/// From the first octet of a request to the end of its head.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// The longest one connection may last: it ends transfers to readers who stopped reading.
const LIFETIME: Duration = Duration::from_secs(600);
/// The pause after the operating system refused a connection (no file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener.
pub(super) struct Web {
    listener: TcpListener,
    address: SocketAddr,
}

impl Web {
    pub(super) async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens, port 0 resolved.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `router` until `stop`, then lets requests in progress end.
    pub(super) fn serve(self, router: Router, stop: CancellationToken, tasks: &TaskTracker) {
        let (spawner, limit) = (tasks.clone(), Arc::new(Semaphore::new(CONNECTIONS)));
        tasks.spawn(async move {
            let accepting = async {
                loop {
                    let Ok(permit) = Arc::clone(&limit).acquire_owned().await else { return };
                    match self.listener.accept().await {
                        Ok((stream, _)) => {
                            spawner.spawn(connection(stream, router.clone(), stop.clone(), permit));
                        }
                        Err(error) => {
                            tracing::warn!(%error, "no HTTP connection could be taken");
                            tokio::time::sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
            };
            tokio::select! {
                () = accepting => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = tokio::time::timeout(LIFETIME, connection.as_mut()) => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(LIFETIME, connection).await
        }
    };
    if let Ok(Err(error)) = ended {
        tracing::debug!(%error, "an HTTP connection broke");
    }
}

/// A problem document (RFC 7807), as every HTTP error here is one.
pub(crate) fn problem(status: axum::http::StatusCode, detail: &str) -> axum::response::Response {
    use axum::response::IntoResponse;
    let title = status.canonical_reason().unwrap_or("Error");
    let body = serde_json::json!({ "title": title, "status": status.as_u16(), "detail": detail });
    let kind = (axum::http::header::CONTENT_TYPE, "application/problem+json");
    (status, [kind], format!("{body}\n")).into_response()
}
