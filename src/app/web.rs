//! The HTTP listeners: an accept loop with limits round an axum router, and the door through which a WebSocket
//! leaves for the SIP side (RFC 7118).
//!
//! axum's own `serve` has neither a limit on connections nor a deadline for a head, so hyper is driven here.

use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use futures_util::future::Either;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::{Audience, Endpoint, Protocol, UpgradeRefused};

/// Connections of one listener at once; further ones wait in the backlog. A WebSocket is none once it is one.
const CONNECTIONS: usize = 1024;
/// From the first octet of a request to the end of its head.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// The longest one connection may last: it ends transfers to readers who stopped reading.
const LIFETIME: Duration = Duration::from_secs(600);
/// The pause after the operating system refused a connection (no file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Octets of a head.
const HEAD: usize = 32 << 10;
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 64;
/// How long a quiet HTTP/2 connection waits before it asks whether anyone is there, and then for the answer.
const QUIET: Duration = Duration::from_secs(30);

/// A bound listener.
pub(super) struct Web {
    listener: TcpListener,
    address: SocketAddr,
    door: Option<Door>,
    secure: Option<(Endpoint, Audience)>,
}

/// On a request whose client showed a certificate that holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Certified;

/// Where WebSockets for SIP leave HTTP.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) endpoint: Endpoint,
    /// `Ws` or `Wss`.
    pub(super) protocol: Protocol,
    /// Origins whose pages may; none: all.
    pub(super) origins: Arc<[String]>,
}

impl Web {
    pub(super) async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, door: None, secure: None })
    }

    /// The same with a door to SIP.
    pub(super) fn with_door(self, door: Option<Door>) -> Self {
        Self { door, ..self }
    }

    /// The same over TLS, with the certificates of `endpoint`.
    pub(super) fn with_tls(self, endpoint: Option<Endpoint>, audience: Audience) -> Self {
        Self { secure: endpoint.map(|endpoint| (endpoint, audience)), ..self }
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
                        Ok((stream, remote)) => {
                            let host = Host { router: router.clone(), door: self.door.clone(), remote };
                            let secure = self.secure.clone();
                            spawner.spawn(connection(stream, host, secure, stop.clone(), permit));
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

/// What answers on one connection.
struct Host {
    router: Router,
    door: Option<Door>,
    remote: SocketAddr,
}

async fn connection(
    stream: TcpStream,
    host: Host,
    secure: Option<(Endpoint, Audience)>,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
) {
    let Ok(local) = stream.local_addr() else { return };
    // An answer is written in one piece, and nothing is gained by holding it back.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a socket keeps its delay");
    }
    let Some((endpoint, audience)) = secure else { return serve(stream, host, local, stop).await };
    match endpoint.secure(stream, audience).await {
        Ok((stream, shaken)) => {
            let certified = axum::Extension(Certified);
            let router = if shaken.is_certified { host.router.layer(certified) } else { host.router };
            let host = Host { router, ..host };
            match shaken.is_http2 {
                false => serve(stream, host, local, stop).await,
                true => serve_http2(stream, host, stop).await,
            }
        }
        Err(error) => tracing::debug!(%error, "no TLS for HTTP"),
    }
}

/// Serves one connection that has no address, of programs of this machine.
pub(super) async fn local_connection<S>(
    stream: S,
    router: Router,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    serve(stream, Host { router, door: None, remote: nowhere }, nowhere, stop).await;
}

async fn serve<S>(stream: S, host: Host, local: SocketAddr, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Host { router, door, remote } = host;
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        match door.as_ref().filter(|_| wants_websocket(request.headers())) {
            Some(door) => Either::Left(ready(Ok(door.clone().open(request, local, remote)))),
            None => Either::Right(router.call(request)),
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    until_end(connection, http1::UpgradeableConnection::graceful_shutdown, stop).await;
}

/// HTTP/2 as agreed on in TLS. A WebSocket asks for HTTP/1.1 there (RFC 8441 is not spoken).
async fn serve_http2<S>(stream: S, host: Host, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let head = u32::try_from(HEAD).unwrap_or(u32::MAX);
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(head)
        .keep_alive_interval(QUIET)
        .keep_alive_timeout(QUIET)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(host.router));
    until_end(connection, http2::Connection::graceful_shutdown, stop).await;
}

/// Until the client ends the connection, its time is over, or, after `stop`, what it asked for is answered.
async fn until_end<C>(connection: C, close: impl FnOnce(Pin<&mut C>), stop: CancellationToken)
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = tokio::time::timeout(LIFETIME, connection.as_mut()) => ended,
        () = stop.cancelled() => {
            close(connection.as_mut());
            tokio::time::timeout(LIFETIME, connection).await
        }
    };
    if let Ok(Err(error)) = ended {
        tracing::debug!(%error, "an HTTP connection broke");
    }
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    let asked = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    asked.is_some_and(|asked| asked.split(',').any(|one| one.trim().eq_ignore_ascii_case("websocket")))
}

impl Door {
    /// Answers a handshake; the stream goes over to SIP behind a 101.
    fn open(self, mut request: Request<Incoming>, local: SocketAddr, remote: SocketAddr) -> Response {
        let lines = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let lines: Vec<_> = lines.collect();
        let judged = transport::judge_upgrade(request.method().as_str(), &lines, &self.origins);
        let accept = match judged {
            Ok(accept) => accept,
            Err(refused) => return refusal(refused),
        };
        let answer = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::UPGRADE, "websocket")
            .header(header::CONNECTION, "Upgrade")
            .header(header::SEC_WEBSOCKET_ACCEPT, accept)
            .header(header::SEC_WEBSOCKET_PROTOCOL, "sip")
            .body(Body::empty());
        let Ok(answer) = answer else {
            return problem(StatusCode::INTERNAL_SERVER_ERROR, "the handshake could not be answered");
        };
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            match upgrade.await {
                Ok(stream) => {
                    if let Err(error) =
                        self.endpoint.adopt(TokioIo::new(stream), self.protocol, local, remote)
                    {
                        tracing::debug!(%error, from = %remote, "a WebSocket was not taken");
                    }
                }
                Err(error) => tracing::debug!(%error, from = %remote, "a WebSocket broke in its handshake"),
            }
        });
        answer
    }
}

fn refusal(refused: UpgradeRefused) -> Response {
    let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST);
    problem(status, &refused.to_string())
}

/// A problem document (RFC 7807), as every HTTP error here is one.
pub(crate) fn problem(status: axum::http::StatusCode, detail: &str) -> axum::response::Response {
    use axum::response::IntoResponse;
    let title = status.canonical_reason().unwrap_or("Error");
    let body = serde_json::json!({ "title": title, "status": status.as_u16(), "detail": detail });
    let kind = (axum::http::header::CONTENT_TYPE, "application/problem+json");
    (status, [kind], format!("{body}\n")).into_response()
}
