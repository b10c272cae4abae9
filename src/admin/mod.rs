//! The listener of the operators: `/` (a page), `/healthz`, `/readyz`, `/metrics`, `/api/v1/...`, `/adapt`. With a token or
//! roots of clients in place, everything but health asks for the one or a certificate of the others.

mod bindings;
mod links;
mod offline;
mod page;
mod presence;
mod query;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::app::{Certified, problem};
pub(crate) use users::{Desk, Listed, Password, Set, listed};

/// What operators may know.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) metrics: Option<PrometheusHandle>,
    pub(crate) health: Health,
    /// What `Authorization: Bearer` must carry.
    pub(crate) token: Option<Arc<str>>,
    /// Whether a certificate does as well.
    pub(crate) asks_for_certificate: bool,
    /// Name and value of what the page shows, fixed at start.
    pub(crate) facts: Arc<Vec<(String, String)>>,
    /// Messages for users who can't be reached.
    pub(crate) offline: Arc<proxy::Offline>,
    /// Whether persons are shown as they are (`log.redact = false`).
    pub(crate) open: bool,
    pub(crate) registrar: Arc<registrar::Registrar>,
    /// Who has a password.
    pub(crate) desk: Desk,
    /// Content behind links, unless that is switched off or not open yet.
    pub(crate) contents: indirection::Late,
    /// Who watches whom.
    pub(crate) presence: Arc<proxy::Presence>,
    /// `presence.default`
    pub(crate) watcher_rule: proxy::presence_settings::Decision,
}

impl Admin {
    fn is_guarded(&self) -> bool {
        self.token.is_some() || self.asks_for_certificate
    }

    /// Whether a request comes from an operator.
    fn lets_in(&self, request: &Request) -> bool {
        if !self.is_guarded() || request.extensions().get::<Certified>().is_some() {
            return true;
        }
        let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        self.token.as_ref().is_some_and(|token| is_equal(given.as_bytes(), token.as_bytes()))
    }
}

/// Whether the server takes traffic.
#[derive(Clone)]
pub(crate) struct Health {
    store: Option<store::Store>,
    draining: Arc<AtomicBool>,
}

impl Health {
    pub(crate) fn new(store: store::Store) -> Self {
        Self { store: Some(store), draining: Arc::new(AtomicBool::new(false)) }
    }

    /// From now on no traffic should be sent here.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn trouble(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::Relaxed) {
            return Some("draining: it finishes what it has begun and ends");
        }
        let readable_only = self.store.as_ref().is_some_and(|store| !store.is_writable());
        readable_only.then_some("the store can't write: look at the disk of data_dir")
    }
}

/// `/healthz` and `/readyz`, for both listeners.
pub(crate) fn health(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready).with_state(health))
}

async fn ready(State(health): State<Health>) -> Response {
    match health.trouble() {
        None => "ready\n".into_response(),
        Some(trouble) => problem(StatusCode::SERVICE_UNAVAILABLE, trouble),
    }
}

/// Everything of the operators' listener. Users are managed there only behind a token: loopback is open to every
/// program of the machine, and to what a browser is made to send.
pub(crate) fn router(admin: Admin, adapting: Router) -> Router {
    let open = pages(&admin).merge(adapting);
    let open = if admin.is_guarded() { open.merge(users::router(admin.desk.clone())) } else { open };
    let guarded = open.layer(middleware::from_fn_with_state(admin.clone(), check_operator));
    health(admin.health.clone()).merge(guarded)
}

/// The same on a socket that the file system guards.
pub(crate) fn console(admin: Admin) -> Router {
    pages(&admin).merge(users::router(admin.desk.clone())).merge(health(admin.health.clone()))
}

fn pages(admin: &Admin) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .merge(bindings::routes())
        .merge(links::routes())
        .merge(offline::routes())
        .merge(presence::routes())
        .with_state(admin.clone())
        .fallback(|| async {
            problem(
                StatusCode::NOT_FOUND,
                "there are /, /metrics, /healthz, /readyz, /adapt, /api/v1/bindings, /api/v1/links, \
                 /api/v1/offline, /api/v1/presence and /api/v1/lists",
            )
        })
}

async fn page(State(admin): State<Admin>) -> Html<String> {
    Html(page::render(&admin.facts, admin.health.trouble()))
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match &admin.metrics {
        Some(metrics) => {
            let kind = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
            ([kind], metrics.render()).into_response()
        }
        None => problem(StatusCode::SERVICE_UNAVAILABLE, "metrics belong to another server of this process"),
    }
}

async fn check_operator(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    if admin.lets_in(&request) {
        return next.run(request).await;
    }
    let asked = match &admin.token {
        Some(_) => "send the token of admin.token_file as Bearer",
        None => "show a certificate of admin.client_ca",
    };
    let mut answer = problem(StatusCode::UNAUTHORIZED, asked);
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    answer
}

/// In a time that does not tell how much of the token was right.
fn is_equal(given: &[u8], token: &[u8]) -> bool {
    let difference = given.iter().zip(token).fold(0, |difference, (a, b)| difference | (a ^ b));
    given.len() == token.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_right_only_as_a_whole() {
        assert!(is_equal(b"secret", b"secret"));
        for wrong in [&b""[..], b"secre", b"secrets", b"Secret"] {
            assert!(!is_equal(wrong, b"secret"));
        }
    }
}
