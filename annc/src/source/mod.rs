//! Where announcements come from: mail parts by IMAP URL, HTTP, files of one folder; all of it behind a list of what may
//! be reached.

mod allow;
mod file;
mod imap;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use lemonade::{Connections, EncodingError, FetchError, UrlError};

pub use allow::{AllowError, Allowed, Network};
pub use imap::ImapServer;

use crate::order::Order;
use allow::Gate;

/// What the operator allows.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Schemes, hosts and ports that may be reached.
    pub allow: Vec<Allowed>,
    /// Networks inside the operator's own that names may lead to.
    pub networks: Vec<Network>,
    /// IMAP servers of which more is known than that they are allowed.
    pub imap: Vec<ImapServer>,
    /// The folder of `file:` and `/provisioned/`; `None`: neither is played.
    pub folder: Option<PathBuf>,
    /// Octets of an announcement.
    pub octets: usize,
    /// What fetching one may take.
    pub deadline: Duration,
    /// Whose certificates are trusted.
    pub trust: Arc<rustls::ClientConfig>,
    /// The address of who runs this, told to IMAP servers that let anybody in (RFC 5092 §3.2).
    pub contact: String,
    /// Connections to IMAP servers: at once, and kept while they have nothing to do.
    pub connections: [usize; 2],
}

/// What was fetched.
#[derive(Clone, Debug)]
pub struct Content {
    /// Its octets, without any encoding.
    pub octets: Bytes,
    /// Its type, with parameters; empty where nothing says it.
    pub media_type: String,
}

/// Why nothing was fetched. What the texts say may be shown to the caller.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It is not on the list.
    #[error("this server may not fetch from there")]
    NotAllowed,
    /// The URL is for somebody this server can't prove to be.
    #[error("the URL is for somebody else")]
    NotAuthorized,
    /// It is not a URL of ours.
    #[error("the play parameter is no URL that is played here: {0}")]
    Url(String),
    /// It is not there, or not given out.
    #[error("{0}")]
    NotFound(String),
    /// It could not be fetched.
    #[error("{0}")]
    NotRetrieved(String),
    /// It is too long.
    #[error("the announcement has more than {0} octets")]
    TooLarge(usize),
    /// It took too long.
    #[error("the announcement could not be fetched in time")]
    Late,
}

impl From<UrlError> for SourceError {
    fn from(error: UrlError) -> SourceError {
        SourceError::Url(error.to_string())
    }
}

impl From<EncodingError> for SourceError {
    fn from(error: EncodingError) -> SourceError {
        SourceError::NotRetrieved(error.to_string())
    }
}

impl From<FetchError> for SourceError {
    fn from(error: FetchError) -> SourceError {
        match error.is_refusal() {
            true => SourceError::NotFound(error.to_string()),
            false => SourceError::NotRetrieved(error.to_string()),
        }
    }
}

/// Who knows the addresses of names. The system does; tests say what they like.
pub trait Names: Send + Sync + 'static {
    /// The addresses of a name.
    fn lookup(&self, host: String, port: u16) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct SystemNames;

impl Names for SystemNames {
    fn lookup(&self, host: String, port: u16) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Fetches announcements.
pub struct Sources {
    settings: Settings,
    gate: Arc<Gate>,
    web: reqwest::Client,
    mail: Connections,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// How long a connection to an IMAP server is kept that has nothing to do: servers end it after 30 minutes.
const KEPT: Duration = Duration::from_secs(120);

impl Sources {
    /// Sources for those settings.
    ///
    /// # Errors
    /// The HTTP client does not start.
    pub fn new(settings: Settings, names: Arc<dyn Names>) -> Result<Sources, reqwest::Error> {
        let gate = Arc::new(Gate::new(settings.allow.clone(), settings.networks.clone(), names));
        let web = web::client(&settings, Arc::clone(&gate))?;
        // A part that is base64 is a third longer than what it holds, and its lines have ends.
        let literals = settings.octets.saturating_add(settings.octets / 2).saturating_add(1024);
        let limits = lemonade::Limits { literals, ..lemonade::Limits::default() };
        let [at_once, kept] = settings.connections;
        let mail = Connections::new(limits, at_once, kept, KEPT);
        Ok(Sources { settings, gate, web, mail })
    }

    /// Fetches what an order plays, within the deadline.
    ///
    /// # Errors
    /// [`SourceError`].
    pub async fn fetch(&self, order: &Order) -> Result<Content, SourceError> {
        let fetched = tokio::time::timeout(self.settings.deadline, self.by_scheme(order)).await;
        let content = fetched.map_err(|_late| SourceError::Late)??;
        match content.octets.len() > self.settings.octets {
            true => Err(SourceError::TooLarge(self.settings.octets)),
            false => Ok(content),
        }
    }

    /// Closes connections that have had nothing to do for long.
    pub async fn sweep(&self) {
        self.mail.sweep().await;
    }

    async fn by_scheme(&self, order: &Order) -> Result<Content, SourceError> {
        let play = order.play.as_str();
        let scheme = play.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("imap") => self.mail(order).await,
            Some("http" | "https") => self.web(order).await,
            Some("file") => self.file(order).await,
            _ if play.starts_with("/provisioned/") => self.provisioned(order).await,
            _ => Err(SourceError::Url("its scheme is not known".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
