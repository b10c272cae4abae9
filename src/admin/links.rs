//! `/api/v1/links`: how much is kept behind links, and the end of links before their time.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/v1/links` | links, contents (each once) and their octets |
//! | `DELETE /api/v1/links/{token}` | one link, by the end of its address, is gone |
//! | `DELETE /api/v1/links?recipient=` | all links for one user are gone |

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get};
use indirection::{ContentStore, PutError, Token};
use serde_json::json;

use super::Admin;
use super::query::{answer, value};
use crate::app::problem;

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/api/v1/links", get(usage).delete(end_all))
        .route("/api/v1/links/{token}", delete(end_one))
}

async fn usage(State(admin): State<Admin>) -> Response {
    let Some(store) = admin.contents.get() else { return off() };
    let usage = store.usage();
    answer(&json!({ "links": usage.links, "contents": usage.contents, "octets": usage.octets }))
}

async fn end_one(State(admin): State<Admin>, Path(token): Path<String>) -> Response {
    let Some(store) = admin.contents.get() else { return off() };
    let Some(token) = Token::parse(&token) else { return unknown() };
    match store.revoke(&token, transport::now()).await {
        Ok(true) => answer(&json!({ "removed": 1 })),
        Ok(false) => unknown(),
        Err(error) => not_written(&error),
    }
}

async fn end_all(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let Some(store) = admin.contents.get() else { return off() };
    let recipient = value(&query.unwrap_or_default(), "recipient").and_then(|aor| address(&aor));
    let Some(recipient) = recipient else {
        return problem(StatusCode::BAD_REQUEST, "write whose: recipient=alice@example.com");
    };
    end(store, &recipient).await
}

async fn end(store: &ContentStore, recipient: &str) -> Response {
    match store.revoke_all(recipient, transport::now()).await {
        Ok(removed) => answer(&json!({ "removed": removed })),
        Err(error) => not_written(&error),
    }
}

/// The canonical form under which a recipient is counted.
fn address(aor: &str) -> Option<String> {
    let with_scheme = if aor.starts_with("sip:") { aor.to_owned() } else { format!("sip:{aor}") };
    let uri: sip::Uri = with_scheme.parse().ok()?;
    uri.user().is_some().then(|| uri.aor())
}

fn unknown() -> Response {
    problem(StatusCode::NOT_FOUND, "there is no such link")
}

fn off() -> Response {
    problem(StatusCode::NOT_FOUND, "links are switched off (content.store), or their store is not open yet")
}

fn not_written(error: &PutError) -> Response {
    let detail = format!("ended until a restart only: {error}");
    problem(StatusCode::SERVICE_UNAVAILABLE, &detail)
}
