//! `/api/v1/presence`: who watches whom, what is published, and the rules of who may.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/v1/presence` | totals |
//! | `GET /api/v1/presence/{aor}` | the watchers of one user and his publications, never what these say |
//! | `GET`, `PUT`, `DELETE /api/v1/presence/{aor}/rules` | his rules: `[{"who": "bob@example.com", "give": "block"}]` |
//!
//! `who` is an address of record, a domain or `*`; `give` is `allow`, `pending`, `polite-block` or `block`. Who
//! watches already is held to new rules at once.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use proxy::RulesError;
use proxy::presence_settings::{Decision, Rule, Rules, Who};
use proxy::redact::Redacted;
use serde_json::{Value, json};

use super::Admin;
use crate::app::problem;

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/api/v1/presence", get(totals))
        .route("/api/v1/presence/{aor}", get(of_user))
        .route("/api/v1/presence/{aor}/rules", get(rules).put(set_rules).delete(remove_rules))
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
    let (watchers, publications): (Vec<Value>, Vec<Value>) = (watchers.collect(), publications.collect());
    answer(&json!({ "aor": aor, "watchers": watchers, "publications": publications }))
}

async fn rules(State(admin): State<Admin>, Path(aor): Path<String>) -> Response {
    let Some(aor) = canonical(&aor) else { return no_aor() };
    shown(&admin.presence.rules(&aor))
}

async fn set_rules(State(admin): State<Admin>, Path(aor): Path<String>, body: Bytes) -> Response {
    let Some(aor) = canonical(&aor) else { return no_aor() };
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
        Err(error @ RulesError::TooMany) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(error @ RulesError::Store(_)) => problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
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
