//! Where indirected content goes, as this room needs it.

use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

use adapter::{Link, LinkRequest, LinkShape};

/// One piece of content to be stored for one recipient.
#[derive(Clone, Debug)]
pub struct Deposit {
    /// The content and what is said of it.
    pub request: LinkRequest,
    /// The AOR it is for: quotas.
    pub recipient: String,
    /// The URI of who sent it: quotas.
    pub sender: String,
    /// The link is good until then at least, if the store keeps things that long.
    pub until: Option<SystemTime>,
}

/// Why content was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// No room, or a quota is used up.
    #[error("the content store is full")]
    Full,
    /// The store failed.
    #[error("the content store failed: {0}")]
    Failed(String),
}

/// The answer of a store, when it comes.
pub type Storing<'a> = Pin<Box<dyn Future<Output = Result<Link, NotStored>> + Send + 'a>>;

/// A store of content with links to it.
pub trait Links: Send + Sync + 'static {
    /// What its links look like.
    fn shape(&self) -> LinkShape;

    /// Stores content durably under a link of its own, which nobody can guess.
    fn store(&self, deposit: Deposit) -> Storing<'_>;

    /// A link that was stored and is in no message: it and what it led to need not be kept. Returns at once.
    fn discard(&self, url: &str);
}
