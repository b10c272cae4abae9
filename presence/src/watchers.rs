//! Watchers as `presence.winfo` tells of them (RFC 3857 §4.7).

use crate::document::watcherinfo::{Watcher, WatcherEvent, WatcherStatus};
use crate::ending::{Ending, Reason};
use crate::rules::Decision;
use crate::subscription::Id;
use crate::time::Moment;

/// What there is of a subscription, for its presentity.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Which.
    pub id: Id,
    /// The watcher's address of record.
    pub watcher: &'a str,
    /// What the presentity says of him.
    pub decision: Decision,
    /// When he subscribed; Unix seconds.
    pub since: u64,
    /// When that ends, if it goes on.
    pub expires_at: Option<Moment>,
}

impl Seen<'_> {
    /// As a document says it, after `event`.
    pub fn watcher(&self, event: WatcherEvent, now: Moment) -> Watcher {
        let status = match event {
            WatcherEvent::Subscribe | WatcherEvent::Approved => status(self.decision),
            _ => WatcherStatus::Terminated,
        };
        let left = |end: Moment| end.seconds().saturating_sub(now.seconds());
        Watcher {
            id: name(self.id),
            uri: self.watcher.to_owned(),
            display_name: None,
            status,
            event,
            subscribed: Some(now.seconds().saturating_sub(self.since)),
            expires: self.expires_at.map(left),
        }
    }
}

/// What a subscription is called in documents: the tag of its dialog is nobody else's business.
pub(crate) fn name(id: Id) -> String {
    format!("w{:x}", id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// How a subscription stands that goes on. Who is politely blocked believes that he watches, and the presentity sees
/// that he does.
const fn status(decision: Decision) -> WatcherStatus {
    match decision {
        Decision::Pending => WatcherStatus::Pending,
        Decision::Allow | Decision::PoliteBlock => WatcherStatus::Active,
        Decision::Block => WatcherStatus::Terminated,
    }
}

/// What ended a subscription.
pub const fn event(ending: Ending) -> WatcherEvent {
    match ending.reason {
        Reason::Deactivated => WatcherEvent::Deactivated,
        Reason::Probation => WatcherEvent::Probation,
        Reason::Rejected => WatcherEvent::Rejected,
        Reason::Timeout => WatcherEvent::Timeout,
        Reason::Giveup => WatcherEvent::Giveup,
        Reason::Noresource | Reason::Invariant => WatcherEvent::Noresource,
    }
}
