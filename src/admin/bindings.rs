//! `/api/v1/bindings`: who is registered, with what their terminals can show, and the end of that.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/v1/bindings?after=&limit=` | users with their bindings, page by page in the order of their AORs |
//! | `GET /api/v1/bindings?aor=` | the bindings of one user |
//! | `DELETE /api/v1/bindings/{aor}`, `DELETE /api/v1/bindings/{aor}/{contact}` | how many are gone |
//!
//! A removal may say `event=deactivated` (the default), `event=probation&retry_after=60` or `event=rejected`: what
//! those who follow the registration are told (RFC 3680 §5.1).

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get};
use registrar::{Binding, EndError, Ending, Lookup};
use serde_json::{Value, json};
use sip::Uri;

use super::Admin;
use super::query::{answer, value};
use crate::app::problem;

/// Users on one page, unless asked otherwise.
const PAGE: usize = 100;

/// Users on one page at most.
const LONGEST_PAGE: usize = 1000;

/// Seconds of a probation that names none.
const PROBATION: u32 = 60;

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/api/v1/bindings", get(list))
        .route("/api/v1/bindings/{aor}", delete(end_all))
        .route("/api/v1/bindings/{aor}/{contact}", delete(end_one))
}

async fn list(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let (query, now) = (query.unwrap_or_default(), transport::now());
    if let Some(aor) = value(&query, "aor") {
        return of_user(&admin, &aor, now);
    }
    let limit = value(&query, "limit").map_or(Ok(PAGE), |limit| limit.parse());
    let Ok(limit @ 1..=LONGEST_PAGE) = limit else {
        return problem(StatusCode::BAD_REQUEST, "limit is a number from 1 to 1000");
    };
    let (registrar, after) = (Arc::clone(&admin.registrar), value(&query, "after"));
    // It reads the key of every record: not on a thread of signalling.
    let page = tokio::task::spawn_blocking(move || registrar.page(after.as_deref(), limit, now)).await;
    let Ok(page) = page else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "the list could not be made");
    };
    let users: Vec<_> = page.users.iter().map(|(aor, bindings)| user(aor, bindings, now)).collect();
    answer(&json!({ "users": users, "next": page.next.as_deref() }))
}

fn of_user(admin: &Admin, aor: &str, now: SystemTime) -> Response {
    let Some(uri) = address(aor) else { return no_address() };
    match admin.registrar.lookup(&uri, now) {
        Lookup::Bindings(bindings) => {
            let aor = bindings.first().map_or_else(|| uri.aor(), |binding| binding.aor.to_string());
            answer(&user(&aor, &bindings, now))
        }
        Lookup::Known => answer(&user(&uri.aor(), &[], now)),
        Lookup::Unknown => problem(StatusCode::NOT_FOUND, "there is no such user"),
    }
}

async fn end_all(State(admin): State<Admin>, Path(aor): Path<String>, RawQuery(query): RawQuery) -> Response {
    end(&admin, &aor, None, &query.unwrap_or_default()).await
}

async fn end_one(
    State(admin): State<Admin>,
    Path((aor, contact)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    end(&admin, &aor, Some(&contact), &query.unwrap_or_default()).await
}

async fn end(admin: &Admin, aor: &str, contact: Option<&str>, query: &str) -> Response {
    let Some(aor) = address(aor) else { return no_address() };
    let Some(how) = ending(query) else {
        return problem(StatusCode::BAD_REQUEST, "event is deactivated, probation or rejected");
    };
    let Ok(contact) = contact.map(str::parse::<Uri>).transpose() else {
        return problem(StatusCode::BAD_REQUEST, "the contact is no URI");
    };
    match admin.registrar.end(&aor, contact.as_ref(), how, transport::now()).await {
        Ok(removed) => answer(&json!({ "removed": removed })),
        Err(EndError::NotFound) => problem(StatusCode::NOT_FOUND, "there is no such binding"),
        Err(error @ (EndError::Busy | EndError::StoreFailed)) => {
            problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
    }
}

fn ending(query: &str) -> Option<Ending> {
    let retry_after = value(query, "retry_after").and_then(|seconds| seconds.parse().ok());
    Some(match value(query, "event").as_deref().unwrap_or("deactivated") {
        "deactivated" => Ending::Deactivated,
        "probation" => Ending::Probation { retry_after: retry_after.unwrap_or(PROBATION) },
        "rejected" => Ending::Rejected,
        _ => return None,
    })
}

/// An address of record; its scheme may be left out.
fn address(aor: &str) -> Option<Uri> {
    let with_scheme = if aor.starts_with("sip:") { aor.to_owned() } else { format!("sip:{aor}") };
    let uri: Uri = with_scheme.parse().ok()?;
    uri.user().is_some().then_some(uri)
}

fn no_address() -> Response {
    problem(StatusCode::BAD_REQUEST, "write an address of record, as in alice@example.com")
}

fn user(aor: &str, bindings: &[Arc<Binding>], now: SystemTime) -> Value {
    let bindings: Vec<_> = bindings.iter().map(|binding| shown(binding, now)).collect();
    json!({ "aor": aor, "bindings": bindings })
}

/// `expires` is in seconds from now, `refreshed_at` in Unix seconds.
fn shown(binding: &Binding, now: SystemTime) -> Value {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let left = binding.expires_at.duration_since(now).unwrap_or_default();
    let refreshed = binding.refreshed_at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    json!({
        "contact": text(binding.uri.as_bytes()),
        "params": text(&binding.params),
        "q": f64::from(binding.q) / 1000.0,
        "expires": left.as_secs(),
        "refreshed_at": refreshed.as_secs(),
        "instance": binding.instance().map(|id| text(&id)),
        "reg_id": binding.reg_id(),
        "path": binding.path.iter().map(|value| text(value)).collect::<Vec<_>>(),
        "transport": binding.source.transport,
        "source": binding.source.remote.to_string(),
        "call_id": text(&binding.call_id),
        "cseq": binding.cseq,
        "cpi": binding.cpi.as_deref(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_record_may_come_without_its_scheme() {
        assert_eq!(address("alice@Example.com").unwrap().aor(), "sip:alice@example.com");
        assert_eq!(address("sip:alice@example.com").unwrap().aor(), "sip:alice@example.com");
        assert!(address("example.com").is_none() && address("not an address").is_none());
    }

    #[test]
    fn an_ending_names_its_event() {
        assert_eq!(ending(""), Some(Ending::Deactivated));
        assert_eq!(ending("event=probation"), Some(Ending::Probation { retry_after: 60 }));
        assert_eq!(ending("event=probation&retry_after=5"), Some(Ending::Probation { retry_after: 5 }));
        assert_eq!(ending("event=rejected"), Some(Ending::Rejected));
        assert_eq!(ending("event=refreshed"), None);
    }
}
