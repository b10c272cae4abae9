//! What the operator decides about presence (`[presence]`).

use std::time::Duration;

pub use presence::compositor::Limits as Publications;
pub use presence::document::Limits as Document;
pub use presence::notifier::Limits as Subscriptions;
pub use presence::rules::{Decision, Policy, Rule, Rules, Who};

/// `[presence]`, and `[[list]]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Answer PUBLISH, and SUBSCRIBE to what is notified of here.
    pub enabled: bool,
    /// What a watcher gets whom no rule of the presentity means.
    pub default: Decision,
    /// Time between two NOTIFYs of one subscription.
    pub rate: Duration,
    /// Publications.
    pub publications: Publications,
    /// Octets of a document and elements inside each other.
    pub document: Document,
    /// Subscriptions: their time and their length.
    pub subscriptions: Subscriptions,
    /// Subscriptions altogether.
    pub most: usize,
    /// Subscriptions of one watcher.
    pub of_watcher: usize,
    /// Subscriptions to one presentity.
    pub of_presentity: usize,
    /// Watchers who wait for one presentity's word after their subscription ended.
    pub waiting: usize,
    /// How long one is remembered.
    pub waiting_for: Duration,
    /// Subscriptions at other presence servers, for members of lists; 0: none.
    pub elsewhere: usize,
    /// The same for one watcher.
    pub elsewhere_of_watcher: usize,
    /// NOTIFYs that leave at the same time. One that is not answered for a while counts no more.
    pub sending: usize,
    /// Lists of the config: their address, who may watch them, and their members.
    pub lists: Vec<EventList>,
}

/// One `[[list]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventList {
    /// Its address.
    pub uri: String,
    /// Who alone may watch it, if somebody is named.
    pub owner: Option<String>,
    /// Whose state it has.
    pub members: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: false,
            default: Decision::Allow,
            rate: Duration::from_secs(5),
            publications: Publications::default(),
            document: Document::default(),
            subscriptions: Subscriptions::default(),
            most: 1_000_000,
            of_watcher: 1000,
            of_presentity: 20_000,
            waiting: 100,
            waiting_for: Duration::from_secs(7 * 86_400),
            elsewhere: 0,
            elsewhere_of_watcher: 100,
            sending: 1000,
            lists: Vec::new(),
        }
    }
}
