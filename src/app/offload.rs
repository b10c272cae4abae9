//! The client of other servers' `/adapt`: in turn, each for as long as there is time, dead ones left alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use adapter::{Entity, Field};
use bytes::Bytes;
use indirection::Breaker;
use proxy::offload::{Answer, Answering, Offload, Task, Unavailable};
use reqwest::header::{ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Identity, StatusCode};
use tokio::time::{Instant, timeout_at};

/// How many servers a body is offered to.
const TRIES: u32 = 2;

/// After so many failures in a row a server is left alone for so long.
const FAILURES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(10);

const CONNECT: Duration = Duration::from_millis(500);

/// Octets of the longest answer; none that fits a message is near it.
const ANSWER: usize = 32 << 20;

const DIGEST: &str = "content-digest";

/// Octets whose sum is made where they are: moving them to another thread would cost more.
const SUMMED_HERE: usize = 16 * 1024;

/// Servers that adapt for this one.
#[derive(Debug)]
pub(super) struct Servers {
    client: Client,
    servers: Vec<Server>,
    token: Option<HeaderValue>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Server {
    url: String,
    breaker: Breaker,
}

/// What one server said, if not an answer.
enum Trouble {
    /// It has too much to do: another may not.
    Busy,
    /// It is dead, or answers what it should not.
    Dead(String),
}

/// How this server and those it asks prove to each other who they are.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    /// Their token.
    pub(super) token: Option<String>,
    /// Roots of their certificates, PEM; `None`: the system's.
    pub(super) roots: Option<Vec<u8>>,
    /// Our certificate with its key, PEM.
    pub(super) own: Option<Vec<u8>>,
}

impl Servers {
    /// `None`: there is no client, which the log says why.
    pub(super) fn new(urls: &[String], proofs: &Proofs) -> Option<Servers> {
        let client = client(proofs);
        let client = client
            .inspect_err(|error| tracing::error!(%error, "nothing is offloaded: there is no HTTP client"))
            .ok()?;
        let token = proofs.token.as_deref();
        let server = |url: &String| Server {
            url: format!("{}/adapt", url.trim_end_matches('/')),
            breaker: Breaker::new(FAILURES, PAUSE),
        };
        let token = token.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok());
        let servers = urls.iter().map(server).collect();
        Some(Servers { client, servers, token, next: AtomicUsize::new(0) })
    }

    async fn ask_in_turn(&self, task: Task) -> Result<Answer, Unavailable> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let end = Instant::now() + task.patience;
        let head = self.head(&task, &digest(&task.entity.body).await).ok_or(Unavailable)?;
        let mut left = TRIES;
        let round = self.servers.iter().cycle().skip(first % self.servers.len().max(1));
        for server in round.take(self.servers.len()) {
            if left == 0 || !server.breaker.may() {
                continue;
            }
            // The first may not use up the time of the second.
            let share = end.saturating_duration_since(Instant::now()) / left;
            left -= 1;
            let asked = timeout_at(Instant::now() + share, self.ask(server, &task, &head, share)).await;
            let trouble = match asked {
                Ok(Ok(answer)) => {
                    server.breaker.note(true);
                    counted(match answer {
                        Answer::Adapted(_) => "adapted",
                        Answer::Unchanged => "unchanged",
                        Answer::Impossible => "impossible",
                    });
                    return Ok(answer);
                }
                Ok(Err(trouble)) => trouble,
                Err(_late) => Trouble::Dead("no answer in time".to_owned()),
            };
            match trouble {
                Trouble::Busy => counted("busy"),
                Trouble::Dead(why) => {
                    server.breaker.note(false);
                    counted("dead");
                    tracing::warn!(server = %server.url, %why, "an adaptation server does not adapt");
                }
            }
        }
        Err(Unavailable)
    }

    /// `None`: a field of the body can't be written in HTTP.
    fn head(&self, task: &Task, digest: &str) -> Option<HeaderMap> {
        let mut head = HeaderMap::new();
        for field in &task.entity.fields {
            let name = HeaderName::from_bytes(&field.name).ok()?;
            head.append(name, HeaderValue::from_bytes(&field.value).ok()?);
        }
        head.insert(ACCEPT, task.accept.parse().ok()?);
        head.insert(ACCEPT_CHARSET, task.accept_charset.parse().ok()?);
        if let Some(coding) = &task.accept_encoding {
            head.insert(ACCEPT_ENCODING, coding.parse().ok()?);
        }
        if let Some(token) = &self.token {
            head.insert(reqwest::header::AUTHORIZATION, token.clone());
        }
        head.insert(DIGEST, digest.parse().ok()?);
        head.insert("traceparent", trace()?.parse().ok()?);
        Some(head)
    }

    async fn ask(
        &self,
        server: &Server,
        task: &Task,
        head: &HeaderMap,
        share: Duration,
    ) -> Result<Answer, Trouble> {
        let dead = |error: reqwest::Error| Trouble::Dead(error.without_url().to_string());
        let asking = self
            .client
            .post(&server.url)
            .headers(head.clone())
            .header("adapt-deadline", share.as_millis().to_string())
            .body(task.entity.body.clone());
        let mut answer = asking.send().await.map_err(dead)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NO_CONTENT => return Ok(Answer::Unchanged),
            StatusCode::NOT_ACCEPTABLE | StatusCode::PAYLOAD_TOO_LARGE => return Ok(Answer::Impossible),
            StatusCode::SERVICE_UNAVAILABLE => return Err(Trouble::Busy),
            other => return Err(Trouble::Dead(other.to_string())),
        }
        let fields = answer
            .headers()
            .iter()
            .filter(|(name, _)| Entity::describes(name.as_str().as_bytes()) && *name != DIGEST);
        let fields: Vec<Field> = fields
            .map(|(name, value)| Field::new(name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect();
        let told = answer.headers().get(DIGEST).cloned();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(dead)? {
            if body.len() + piece.len() > ANSWER {
                return Err(Trouble::Dead("its answer has no end".to_owned()));
            }
            body.extend_from_slice(&piece);
        }
        let body = Bytes::from(body);
        let is_whole = match &told {
            Some(told) => told.as_bytes() == digest(&body).await.as_bytes(),
            None => true,
        };
        if !is_whole {
            return Err(Trouble::Dead("its answer is not what its Content-Digest says".to_owned()));
        }
        Ok(Answer::Adapted(Entity { fields, body }))
    }
}

/// Under which the other servers know a body, and by which both ends see that it came whole.
async fn digest(body: &Bytes) -> String {
    if body.len() <= SUMMED_HERE {
        return indirection::content_digest(body);
    }
    let body = body.clone();
    let sum = tokio::task::spawn_blocking(move || indirection::content_digest(&body)).await;
    // A sum that can't be had is one that matches nothing.
    sum.unwrap_or_default()
}

impl Offload for Servers {
    fn adapt(&self, task: Task) -> Answering<'_> {
        Box::pin(self.ask_in_turn(task))
    }
}

fn client(proofs: &Proofs) -> reqwest::Result<Client> {
    // Its own proxies are no matter of the environment, and nobody here is sent elsewhere.
    let mut builder =
        Client::builder().no_proxy().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none());
    if let Some(roots) = &proofs.roots {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(roots)?);
    }
    if let Some(own) = &proofs.own {
        builder = builder.identity(Identity::from_pem(own)?);
    }
    builder.build()
}

fn counted(result: &'static str) {
    metrics::counter!("bespoke_offload_total", "result" => result).increment(1);
}

/// A new trace (W3C Trace Context §3.2), so that both servers' logs tell of one piece of work.
fn trace() -> Option<String> {
    let mut bits = [0u8; 24];
    getrandom::fill(&mut bits).ok()?;
    let hex: String = bits.iter().map(|octet| format!("{octet:02x}")).collect();
    let (trace, span) = hex.split_at_checked(32)?;
    Some(format!("00-{trace}-{span}-01"))
}
