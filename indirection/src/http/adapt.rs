//! `POST /adapt`: a body and the capabilities of a terminal in Accept* in, the body that fits out. How a proxy has its
//! work done by other servers (draft-coulombe-message-adaptation-framework-00 §5.2); for operators' listeners only.
//!
//! | answer | means |
//! |---|---|
//! | 200 | the body of the answer fits; `Content-Adapted` says what was done, `Content-Digest` what came |
//! | 204 | the body fits as it is |
//! | 400 | the body is not what `Content-Digest` says |
//! | 406 | nothing that fits can be made of it |
//! | 413 | it is too long |
//! | 503 with Retry-After | no worker was free, or the time was over |
//!
//! `Adapt-Deadline` says in milliseconds how long the asker waits. Who sends `Content-Digest` (RFC 9530) with
//! `Expect: 100-continue` gets what was made before without sending the body again.

use std::time::Duration;

use adapter::{Entity, Field};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cpi::{Cpi, Source};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use super::wish::{Query, stated};
use crate::token::Sum;
use crate::variant::{Made, Variant, VariantKey};
use crate::workshop::{Order, Workshop};

/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(30);

/// The route of the workshop: `/adapt`.
pub fn adapting(workshop: Workshop) -> Router {
    // Longer bodies are refused where they are read, with a problem document.
    Router::new().route("/adapt", post(adapt)).with_state(workshop)
}

async fn adapt(State(workshop): State<Workshop>, request: Request<Body>) -> Response {
    let answer = answer(&workshop, request).await.unwrap_or_else(IntoResponse::into_response);
    metrics::counter!("bespoke_adapt_requests_total", "status" => answer.status().as_str().to_owned())
        .increment(1);
    answer
}

async fn answer(workshop: &Workshop, request: Request<Body>) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (head, limit) = (head.headers, workshop.most_octets());
    let trace = head.get("traceparent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    tracing::debug!(trace, "a body to adapt");
    let (cpi, _) = stated(&head, &Query::default(), workshop.known());
    let cpi = Cpi { user_agent: None, max_size: None, ..cpi }.with_source(Source::Dialog);
    let fields: Vec<Field> = head
        .iter()
        .filter(|(name, _)| Entity::describes(name.as_str().as_bytes()) && *name != DIGEST)
        .map(|(name, value)| Field::new(name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    let told = head.get(DIGEST).and_then(digest);
    if let Some(blob) = told
        && let Some(made) = workshop.made_before(&key(workshop, blob, &fields, &cpi)).await
    {
        return respond(&made);
    }
    let octets = head.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if octets.is_some_and(|octets: u64| octets > limit) {
        return Err(Problem::TooLarge(limit));
    }
    let reading = axum::body::to_bytes(body, usize::try_from(limit).unwrap_or(usize::MAX));
    let read = tokio::time::timeout(ARRIVAL, reading).await;
    let body = read.map_err(|_| Problem::Late)?.map_err(|_| Problem::TooLarge(limit))?;
    let blob = sum(body.clone()).await?;
    if told.is_some_and(|told| told != blob) {
        return Err(Problem::OtherDigest);
    }
    let (key, deadline) = (key(workshop, blob, &fields, &cpi), deadline(&head));
    let load = async move { Ok(Entity { fields, body }) };
    let made = workshop.make(key, cpi, Order { deadline, ..Order::default() }, load).await?;
    respond(&made)
}

/// Every field of the body counts: some of them come back changed.
fn key(workshop: &Workshop, blob: Sum, fields: &[Field], cpi: &Cpi) -> VariantKey {
    let told = fields.iter().flat_map(|field| [&field.name, &field.value]);
    let told: Vec<_> = told.map(|octets| String::from_utf8_lossy(octets)).collect();
    let told: Vec<Option<&str>> = told.iter().map(|text| Some(&**text)).collect();
    workshop.key(blob, &told, cpi)
}

fn respond(made: &Made) -> Result<Response, Problem> {
    match made {
        Made::Original => Ok(StatusCode::NO_CONTENT.into_response()),
        Made::Refused(why) => Err(Problem::NotAcceptable(why.clone())),
        Made::Variant(variant) => Ok((head_of(variant), variant.body.clone()).into_response()),
    }
}

fn head_of(variant: &Variant) -> HeaderMap {
    let mut head = HeaderMap::new();
    let said = &variant.head;
    let digest = content_digest(&variant.body);
    let lines = said.fields.iter().map(|(name, value)| (&**name, value));
    for (name, value) in lines.chain([(DIGEST, &digest)]) {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            head.append(name, value);
        }
    }
    head
}

const DIGEST: &str = "content-digest";

/// The Content-Digest of octets (RFC 9530 §2).
pub fn content_digest(octets: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(octets)))
}

/// The SHA-256 in a Content-Digest: a dictionary of byte sequences (RFC 9530 §2, RFC 8941 §3.2).
fn digest(value: &HeaderValue) -> Option<Sum> {
    let mut members = value.to_str().ok()?.split(',').filter_map(|member| member.trim().split_once('='));
    let (_, sum) = members.find(|(name, _)| *name == "sha-256")?;
    let sum = sum.strip_prefix(':')?.strip_suffix(':')?;
    STANDARD.decode(sum).ok()?.try_into().ok()
}

fn deadline(head: &HeaderMap) -> Option<Duration> {
    let millis = head.get("adapt-deadline")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_millis(millis))
}

async fn sum(body: Bytes) -> Result<Sum, Problem> {
    let sum = tokio::task::spawn_blocking(move || Sum::from(Sha256::digest(&body))).await;
    sum.map_err(|_| Problem::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_out_of_its_dictionary() {
        let sum = Sum::from(Sha256::digest(b"x"));
        let written = format!("sha-512=:AAAA:, sha-256=:{}:", STANDARD.encode(sum));
        assert_eq!(digest(&written.parse().unwrap()), Some(sum));
        for wrong in ["", "sha-256=:AAAA:", "sha-256=AAAA", "sha-256"] {
            assert_eq!(digest(&wrong.parse().unwrap()), None, "{wrong}");
        }
    }
}
