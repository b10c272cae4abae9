//! `/api/v1/offline`: what waits for users who can't be reached, and its removal. Shows who sent what when and
//! how large it is, never what it says.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/v1/offline?after=&limit=` | totals, and users with something waiting, page by page |
//! | `GET /api/v1/offline?aor=` , `GET /api/v1/offline/{aor}` | the messages of one user, in their order |
//! | `DELETE /api/v1/offline/{aor}`, `DELETE /api/v1/offline/{aor}/{id}` | how many are gone |

use std::time::SystemTime;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use proxy::redact::Redacted;
use serde_json::{Value, json};

use super::Admin;
use crate::app::problem;

/// Users of one page, unless fewer are asked for.
const PAGE: usize = 100;

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/api/v1/offline", get(list))
        .route("/api/v1/offline/{aor}", get(of_user).delete(remove_all))
        .route("/api/v1/offline/{aor}/{id}", delete(remove_one))
}

async fn list(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    if let Some(aor) = value(&query, "aor") {
        return messages(&admin, &aor);
    }
    let limit = value(&query, "limit").map_or(Ok(PAGE), |limit| limit.parse::<usize>());
    let Ok(limit) = limit.map(|limit| limit.clamp(1, PAGE)) else {
        return problem(StatusCode::BAD_REQUEST, "limit is a number");
    };
    let users = admin.offline.users(&value(&query, "after").unwrap_or_default(), limit);
    let next = (users.len() == limit).then(|| users.last().map(|(aor, _)| aor.to_string())).flatten();
    let users = users
        .iter()
        .map(|(aor, tally)| json!({ "aor": &**aor, "messages": tally.messages, "octets": tally.octets }));
    let all = admin.offline.all();
    let users: Vec<Value> = users.collect();
    answer(&json!({ "messages": all.messages, "octets": all.octets, "users": users, "next": next }))
}

async fn of_user(State(admin): State<Admin>, Path(aor): Path<String>) -> Response {
    messages(&admin, &aor)
}

async fn remove_all(State(admin): State<Admin>, Path(aor): Path<String>) -> Response {
    remove(&admin, &aor, None).await
}

async fn remove_one(State(admin): State<Admin>, Path((aor, id)): Path<(String, String)>) -> Response {
    match id.parse() {
        Ok(id) => remove(&admin, &aor, Some(id)).await,
        Err(_) => problem(StatusCode::BAD_REQUEST, "the id of a message is a number, as the list gives it"),
    }
}

fn messages(admin: &Admin, aor: &str) -> Response {
    let Some(aor) = canonical(aor) else { return no_aor() };
    let messages = admin.offline.waiting(&aor).into_iter().map(|message| {
        json!({
            "id": message.id.to_string(),
            "from": Redacted::new(&message.from, admin.open).to_string(),
            "octets": message.octets,
            "stored_at": date(message.stored_at),
            "expires_at": date(message.expires_at),
            "attempts": message.attempts,
        })
    });
    let messages: Vec<Value> = messages.collect();
    answer(&json!({ "aor": aor, "messages": messages }))
}

async fn remove(admin: &Admin, aor: &str, id: Option<u64>) -> Response {
    let Some(aor) = canonical(aor) else { return no_aor() };
    match admin.offline.remove(&aor, id).await {
        0 => problem(StatusCode::NOT_FOUND, "no such message waits"),
        removed => answer(&json!({ "removed": removed })),
    }
}

fn answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

/// The value of a key of a query.
fn value(query: &str, key: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| *name == key)?;
    Some(String::from_utf8_lossy(&grammar::percent_decode(value.as_bytes())).into_owned())
}

fn no_aor() -> Response {
    problem(StatusCode::BAD_REQUEST, "write an address of record, as in alice@example.com")
}

/// The form addresses of record have here; the scheme may be left out.
fn canonical(aor: &str) -> Option<String> {
    let with_scheme = if aor.starts_with("sip:") { aor.to_owned() } else { format!("sip:{aor}") };
    let uri = sip::Uri::parse(with_scheme.as_bytes()).ok()?;
    uri.user().is_some().then(|| uri.aor())
}

fn date(time: SystemTime) -> String {
    httpdate::fmt_http_date(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_record_may_come_without_its_scheme() {
        assert_eq!(canonical("alice@Example.com").as_deref(), Some("sip:alice@example.com"));
        assert_eq!(canonical("sip:alice@example.com").as_deref(), Some("sip:alice@example.com"));
        assert_eq!(canonical("example.com"), None);
        assert_eq!(canonical("not an address"), None);
    }

    #[test]
    fn a_query_is_read_with_its_escapes() {
        assert_eq!(value("limit=5&aor=alice%40example.com", "aor").as_deref(), Some("alice@example.com"));
        assert_eq!(value("limit=5", "aor"), None);
    }
}
