//! Objects over HTTP.

use std::sync::Arc;

use bytes::BytesMut;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Response, StatusCode, Url};

use super::allow::{Gate, default_port};
use super::{Content, Settings, SourceError, Sources};
use crate::order::Order;

/// Redirections that are followed, each to what is on the list.
const REDIRECTS: u32 = 3;

/// Names lead where the gate lets them, whenever they are looked up.
struct Guarded(Arc<Gate>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let gate = Arc::clone(&self.0);
        Box::pin(async move {
            let found = gate.addresses(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

pub(super) fn client(settings: &Settings, gate: Arc<Gate>) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured((*settings.trust).clone())
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(Arc::new(Guarded(gate)))
        .no_proxy()
        .pool_max_idle_per_host(4)
        .user_agent(concat!("bespoke/", env!("CARGO_PKG_VERSION")))
        .build()
}

impl Sources {
    pub(super) async fn web(&self, order: &Order) -> Result<Content, SourceError> {
        let mut url = Url::parse(&order.play).map_err(|error| SourceError::Url(error.to_string()))?;
        for _ in 0..=REDIRECTS {
            self.check(&url)?;
            let asked = self.web.get(url.clone()).header(ACCEPT, "audio/*, video/*;q=0.9, */*;q=0.1");
            let response = asked.send().await.map_err(|error| failed(&error))?;
            if !response.status().is_redirection() {
                return self.content(response, order).await;
            }
            let onward = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let onward = onward.and_then(|to| url.join(to).ok());
            url =
                onward.ok_or_else(|| SourceError::NotRetrieved("a redirection leads nowhere".to_owned()))?;
        }
        Err(SourceError::NotRetrieved("too many redirections".to_owned()))
    }

    /// What is asked for must be on the list, and may bring no credentials.
    fn check(&self, url: &Url) -> Result<(), SourceError> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SourceError::Url("it holds credentials".to_owned()));
        }
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = url.port().or_else(|| default_port(url.scheme())).unwrap_or_default();
        let is_web = matches!(url.scheme(), "http" | "https");
        match is_web && self.gate.allows(url.scheme(), &host.to_ascii_lowercase(), port) {
            true => Ok(()),
            false => Err(SourceError::NotAllowed),
        }
    }

    async fn content(&self, mut response: Response, order: &Order) -> Result<Content, SourceError> {
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                return Err(SourceError::NotFound("the object is not there".to_owned()));
            }
            status => {
                return Err(SourceError::NotRetrieved(format!("the server answered {}", status.as_u16())));
            }
        }
        let said = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = order.content_type.clone().or_else(|| said.map(str::to_owned)).unwrap_or_default();
        let mut octets = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if octets.len() + chunk.len() > self.settings.octets {
                return Err(SourceError::TooLarge(self.settings.octets));
            }
            octets.extend_from_slice(&chunk);
        }
        Ok(Content { octets: octets.freeze(), media_type })
    }
}

/// Says what went wrong without the URL, which may hold a token. A name that leads inside is refused as what it is.
fn failed(error: &reqwest::Error) -> SourceError {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(inner) = cause {
        if let Some(SourceError::NotAllowed) = inner.downcast_ref::<SourceError>() {
            return SourceError::NotAllowed;
        }
        cause = inner.source();
    }
    let what = match () {
        () if error.is_connect() => "no connection to the server",
        () if error.is_timeout() => "the server is too slow",
        () => "the connection to the server broke",
    };
    SourceError::NotRetrieved(what.to_owned())
}
