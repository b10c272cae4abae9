//! `/api/v1/presence`: who watches whom, what is published, and the rules of who may.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/v1/presence` | totals |
//! | `GET /api/v1/presence/{aor}` | the watchers of one user, who waits for his word, his publications, never what these say |
//! | `GET`, `PUT`, `DELETE /api/v1/presence/{aor}/rules` | his rules: `[{"who": "bob@example.com", "give": "block"}]` |
//! | the same with `Content-Type: application/auth-policy+xml` | his rules as a document (RFC 5025) |
//! | `GET`, `PUT`, `DELETE /api/v1/lists/{uri}` | a list to subscribe to (RFC 4662): `{"members": [..], "owner": ..}` |
//!
//! `who` is an address of record, a domain or `*`; `give` is `allow`, `pending`, `polite-block` or `block`. Who
//! watches already is held to new rules at once.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use proxy::presence_settings::{Decision, Policy, Rule, Rules, Who};
use proxy::redact::Redacted;
use proxy::{List, ListError, RulesError};
use serde_json::{Value, json};

use super::Admin;
use crate::app::problem;

/// The type of a document of rules.
const POLICY: &str = "application/auth-policy+xml";

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/api/v1/presence", get(totals))
        .route("/api/v1/presence/{aor}", get(of_user))
        .route("/api/v1/presence/{aor}/rules", get(rules).put(set_rules).delete(remove_rules))
        .route("/api/v1/lists/{uri}", get(list).put(set_list).delete(remove_list))
}

async fn totals(State(admin): State<Admin>) -> Response {
    answer(&json!({
        "subscriptions": admin.presence.subscriptions(),
        "presentities": admin.presence.presentities(),
    }))
}

async fn of_user(State(admin): State<Admin>, Path(aor): Path<String>) -> Response {
    let Some(aor) = canonical(&aor) else { return no_aor() };
    let watchers = admin.presence.watchers(&aor).into_iter().map(|watching| {
        json!({
            "watcher": Redacted::new(watching.watcher.as_bytes(), admin.open).to_string(),
            "proven": watching.proven,
            "package": watching.package,
            "given": watching.decision.name(),
            "expires_at": httpdate::fmt_http_date(watching.expires_at),
        })
    });
    let publications = admin.presence.published(&aor).into_iter().map(|published| {
        json!({
            "octets": published.octets,
            "objects": published.objects,
            "object_octets": published.object_octets,
            "published_at": httpdate::fmt_http_date(published.published_at),
            "expires_at": httpdate::fmt_http_date(published.expires_at),
        })
    });
    let waiting = admin.presence.waiting(&aor).into_iter().map(|waiting| {
        json!({
            "watcher": Redacted::new(waiting.watcher.as_bytes(), admin.open).to_string(),
            "proven": waiting.proven,
            "since": httpdate::fmt_http_date(waiting.since),
            "until": httpdate::fmt_http_date(waiting.until),
        })
    });
    let (watchers, publications): (Vec<Value>, Vec<Value>) = (watchers.collect(), publications.collect());
    let waiting: Vec<Value> = waiting.collect();
    answer(&json!({ "aor": aor, "watchers": watchers, "waiting": waiting, "publications": publications }))
}

async fn rules(State(admin): State<Admin>, Path(aor): Path<String>) -> Response {
    let Some(aor) = canonical(&aor) else { return no_aor() };
    if let Some(document) = admin.presence.rules_document(&aor) {
        return ([(header::CONTENT_TYPE, POLICY)], document).into_response();
    }
    match admin.presence.rules(&aor) {
        Policy::Listed(rules) => shown(&rules),
        Policy::Document(_) => problem(StatusCode::NOT_FOUND, "the rules changed just now: ask again"),
    }
}

async fn set_rules(
    State(admin): State<Admin>,
    Path(aor): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(aor) = canonical(&aor) else { return no_aor() };
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with(POLICY) {
        let set = admin.presence.set_rules_document(&aor, body.clone(), admin.watcher_rule).await;
        return match set {
            Ok(()) => ([(header::CONTENT_TYPE, POLICY)], body).into_response(),
            Err(error) => refused(&error),
        };
    }
    match read(&body) {
        Ok(rules) => put(&admin, &aor, &rules).await,
        Err(what) => problem(StatusCode::BAD_REQUEST, &what),
    }
}

async fn remove_rules(State(admin): State<Admin>, Path(aor): Path<String>) -> Response {
    let Some(aor) = canonical(&aor) else { return no_aor() };
    put(&admin, &aor, &Rules::default()).await
}

async fn put(admin: &Admin, aor: &str, rules: &Rules) -> Response {
    match admin.presence.set_rules(aor, rules, admin.watcher_rule).await {
        Ok(()) => shown(rules),
        Err(error) => refused(&error),
    }
}

fn refused(error: &RulesError) -> Response {
    let status = match error {
        RulesError::TooMany | RulesError::Document(_) => StatusCode::BAD_REQUEST,
        RulesError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    problem(status, &error.to_string())
}

async fn list(State(admin): State<Admin>, Path(uri): Path<String>) -> Response {
    let Some(aor) = canonical(&uri) else { return no_aor() };
    match admin.presence.kept_list(&aor) {
        Some(list) => answer(&json!({ "uri": aor, "owner": list.owner, "members": list.members })),
        None => problem(StatusCode::NOT_FOUND, "no list is kept under that address"),
    }
}

async fn set_list(State(admin): State<Admin>, Path(uri): Path<String>, body: Bytes) -> Response {
    let Some(aor) = canonical(&uri) else { return no_aor() };
    match read_list(&body) {
        Ok(list) => kept(admin.presence.set_list(&aor, Some(&list)).await),
        Err(what) => problem(StatusCode::BAD_REQUEST, what),
    }
}

async fn remove_list(State(admin): State<Admin>, Path(uri): Path<String>) -> Response {
    let Some(aor) = canonical(&uri) else { return no_aor() };
    kept(admin.presence.set_list(&aor, None).await)
}

fn kept(result: Result<(), ListError>) -> Response {
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error @ ListError::TooMany) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(error @ ListError::Store(_)) => problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

fn read_list(body: &[u8]) -> Result<List, &'static str> {
    const WHAT: &str =
        "send {\"members\": [addresses of record], \"owner\": one that alone may watch, or nothing}";
    let value: Value = serde_json::from_slice(body).map_err(|_| WHAT)?;
    let members = value.get("members").and_then(Value::as_array).ok_or(WHAT)?;
    let member = |member: &Value| member.as_str().and_then(canonical).ok_or(WHAT);
    let owner = match value.get("owner") {
        None | Some(Value::Null) => None,
        Some(owner) => Some(member(owner)?),
    };
    Ok(List { owner, members: members.iter().map(member).collect::<Result<_, _>>()? })
}

fn read(body: &[u8]) -> Result<Rules, String> {
    let listed: Vec<Value> = serde_json::from_slice(body)
        .map_err(|_| "send a JSON list of {\"who\": .., \"give\": ..}".to_owned())?;
    let rule = |value: &Value| {
        let who = value.get("who").and_then(Value::as_str).unwrap_or_default();
        let give = value.get("give").and_then(Value::as_str).unwrap_or_default();
        let who = Who::read(who).ok_or("who is an address of record, a domain or *")?;
        let decision = Decision::of(give).ok_or("give is one of allow, pending, polite-block and block")?;
        Ok(Rule { who, decision })
    };
    let rules: Result<Vec<Rule>, &str> = listed.iter().map(rule).collect();
    Ok(Rules { rules: rules.map_err(str::to_owned)? })
}

fn shown(rules: &Rules) -> Response {
    let each = rules.rules.iter().map(|rule| json!({ "who": rule.who.text(), "give": rule.decision.name() }));
    answer(&Value::Array(each.collect()))
}

fn answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_or_refused_with_what_is_wrong() {
        let rules =
            read(br#"[{"who":"bob@Example.com","give":"block"},{"who":"*","give":"allow"}]"#).unwrap();
        assert_eq!(rules.rules[0].who, Who::One("sip:bob@example.com".to_owned()));
        assert_eq!(rules.rules[1].decision, Decision::Allow);
        for (body, says) in [
            ("{}", "JSON list"),
            (r#"[{"who":"","give":"block"}]"#, "who is"),
            (r#"[{"who":"*","give":"perhaps"}]"#, "give is"),
        ] {
            assert!(read(body.as_bytes()).unwrap_err().contains(says), "{body}");
        }
    }
}
