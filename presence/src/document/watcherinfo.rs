//! Who watches: application/watcherinfo+xml (RFC 3858).

use bytes::Bytes;

use super::namespace::WATCHERINFO;
use super::tree::Element;
use super::writer;

/// The media type.
pub const MEDIA_TYPE: &str = "application/watcherinfo+xml";

/// The watchers of one resource in one package.
#[derive(Clone, Debug)]
pub struct WatcherList<'a> {
    /// The presentity's URI.
    pub resource: &'a str,
    /// The package they subscribed to.
    pub package: &'a str,
    /// The watchers.
    pub watchers: &'a [Watcher],
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watcher {
    /// Unique in the whole document, the same as long as the subscription lives.
    pub id: String,
    /// Who watches.
    pub uri: String,
    /// What the watcher calls itself.
    pub display_name: Option<String>,
    /// How its subscription stands.
    pub status: WatcherStatus,
    /// What brought it there.
    pub event: WatcherEvent,
    /// Seconds since it was made.
    pub subscribed: Option<u64>,
    /// Seconds until it ends.
    pub expires: Option<u64>,
}

/// How a subscription stands (RFC 3857 §4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatcherStatus {
    /// It waits for the presentity's word.
    Pending,
    /// It is told what there is.
    Active,
    /// It ended before the word came; the presentity is told of it all the same.
    Waiting,
    /// It is over.
    Terminated,
}

/// What brought a subscription where it stands (RFC 3857 §4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatcherEvent {
    /// A SUBSCRIBE
    Subscribe,
    /// The presentity said yes.
    Approved,
    /// It was ended so that the watcher subscribes anew.
    Deactivated,
    /// The same, but later.
    Probation,
    /// The presentity said no.
    Rejected,
    /// It was not refreshed, or the watcher ended it.
    Timeout,
    /// No word came in time.
    Giveup,
    /// There is no such presentity any more.
    Noresource,
}

impl WatcherStatus {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Terminated => "terminated",
        }
    }
}

impl WatcherEvent {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Approved => "approved",
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Giveup => "giveup",
            Self::Noresource => "noresource",
        }
    }
}

/// The document. `version` begins with 0 and grows by one with each document of a subscription; `full` says that all
/// watchers are in it and not only those that changed.
pub fn watcherinfo(lists: &[WatcherList<'_>], version: u32, full: bool) -> Bytes {
    let mut root = Element::new(WATCHERINFO, "watcherinfo")
        .with("version", &version.to_string())
        .with("state", if full { "full" } else { "partial" });
    for list in lists {
        let mut element = Element::new(WATCHERINFO, "watcher-list")
            .with("resource", list.resource)
            .with("package", list.package);
        for watcher in list.watchers {
            element = element.holding(watcher.element());
        }
        root = root.holding(element);
    }
    writer::document(&root, super::namespace::PIDF).into()
}

impl Watcher {
    fn element(&self) -> Element {
        let mut element = Element::new(WATCHERINFO, "watcher")
            .with("status", self.status.name())
            .with("id", &self.id)
            .with("event", self.event.name());
        if let Some(name) = &self.display_name {
            element = element.with("display-name", name);
        }
        if let Some(seconds) = self.expires {
            element = element.with("expiration", &seconds.to_string());
        }
        if let Some(seconds) = self.subscribed {
            element = element.with("duration-subscribed", &seconds.to_string());
        }
        element.text_added(&self.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_watcher_is_written_as_in_the_example() {
        let watchers = [Watcher {
            id: "hh8juja87s997-ass7".into(),
            uri: "sip:alice@example.org".into(),
            display_name: None,
            status: WatcherStatus::Pending,
            event: WatcherEvent::Subscribe,
            subscribed: None,
            expires: None,
        }];
        let list = WatcherList { resource: "sip:john@example.com", package: "presence", watchers: &watchers };
        let written = String::from_utf8(watcherinfo(&[list], 0, true).to_vec()).unwrap();
        assert_eq!(
            written,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" version=\"0\" state=\"full\"><watcher-list resource=\"sip:john@example.com\" package=\"presence\"><watcher status=\"pending\" id=\"hh8juja87s997-ass7\" event=\"subscribe\">sip:alice@example.org</watcher></watcher-list></watcherinfo>\n"
        );
    }
}
