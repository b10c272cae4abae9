//! What is due, and what came of it.

use std::cmp::Reverse;
use std::sync::Arc;

use cpi::Cpi;

use super::Table;
use super::entry::{Delta, Hot};
use crate::ending::{Ending, Reason};
use crate::notifier::Format;
use crate::rules::Decision;
use crate::subscription::{Id, Kind, Resource, Subscription};
use crate::time::Moment;

/// One NOTIFY to send.
#[derive(Debug)]
pub struct Notice<B> {
    /// Of which subscription.
    pub id: Id,
    /// What it watches.
    pub resource: Arc<Resource>,
    /// Whether that is a list.
    pub kind: Kind,
    /// Who watches.
    pub watcher: Arc<str>,
    /// What the presentity says of him.
    pub decision: Decision,
    /// What his terminal takes.
    pub cpi: Arc<Cpi>,
    /// What his document is to be written in.
    pub format: Format,
    /// The subscription ends with it.
    pub ending: Option<Ending>,
    /// Seconds the subscription goes on otherwise.
    pub expires: u64,
    /// CSeq.
    pub cseq: u32,
    /// The version that its document has.
    pub version: u32,
    /// What changed since the last one; `None`: everything is told.
    pub deltas: Option<Vec<Delta>>,
    /// What was kept of the last one.
    pub base: Option<B>,
    /// All there is of the subscription, if that is not stored any more.
    pub record: Option<Box<Subscription>>,
}

/// What became of a NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A 2xx.
    Taken,
    /// Another final answer.
    Refused {
        /// Its status.
        status: u16,
        /// Its Retry-After, in seconds.
        retry_after: Option<u32>,
    },
    /// Nobody answered (Timer F), or nobody is there.
    Silent,
    /// It never left, for a reason of our own.
    Unsent,
}

impl Outcome {
    /// Whether the subscription is over with it (RFC 6665 §4.2.2).
    const fn ends(self) -> bool {
        match self {
            Self::Taken | Self::Unsent => false,
            Self::Silent => true,
            Self::Refused { status, .. } => {
                matches!(status, 404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604)
            }
        }
    }
}

/// A subscription that is over.
#[derive(Clone, Debug)]
pub struct Gone {
    /// Which.
    pub id: Id,
    /// What it watched.
    pub resource: Arc<Resource>,
    /// Whether that was a list.
    pub kind: Kind,
    /// Who watched.
    pub watcher: Arc<str>,
    /// Whether that was proven.
    pub proven: bool,
    /// What the presentity said of him.
    pub decision: Decision,
    /// When it began; Unix seconds.
    pub created_at: u64,
    /// Why it is over.
    pub ending: Ending,
    /// The version of its record in the store.
    pub stored: u64,
}

/// Milliseconds after which what never left is tried again.
const AGAIN: u64 = 1000;

/// The longest time a watcher may have himself left alone, in milliseconds.
const LONGEST_PAUSE: u64 = 300_000;

impl<B> Table<B> {
    /// What is due at `now`, at most so many. Each is to be [answered](Self::answered) for.
    pub fn take(&mut self, now: Moment, most: usize) -> Vec<Notice<B>> {
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(Reverse((due, id))) = self.due.peek().copied() else { break };
            if due > now {
                break;
            }
            self.due.pop();
            if let Some(hot) = self.hot.get_mut(&id).filter(|hot| hot.due == Some(due)) {
                hot.due = None;
                taken.push(hot.begin(id, now));
            }
        }
        taken
    }

    /// What became of a NOTIFY that was taken, and what its successor builds upon. Gives the subscription if it is
    /// over now.
    pub fn answered(&mut self, id: Id, outcome: Outcome, base: Option<B>, now: Moment) -> Option<Gone> {
        let hot = self.hot.get_mut(&id)?;
        hot.flying = false;
        let ending = hot.ending().filter(|_| outcome != Outcome::Unsent);
        if ending.is_some() || outcome.ends() {
            let ending = ending.unwrap_or_else(|| Ending::of(Reason::Timeout));
            return self.remove(id).map(|hot| hot.gone(id, ending));
        }
        match outcome {
            Outcome::Taken => {
                if base.is_some() || hot.more.is_some() {
                    hot.more_mut().base = base;
                }
            }
            Outcome::Refused { retry_after, .. } => {
                // What he did not take he is told with the next change; sooner if he says when.
                hot.full = true;
                if let Some(seconds) = retry_after {
                    hot.dirty = true;
                    hot.not_before = now.after(u64::from(seconds).saturating_mul(1000).min(LONGEST_PAUSE));
                }
            }
            Outcome::Unsent => {
                (hot.urgent, hot.full, hot.not_before) = (true, true, now.after(AGAIN));
            }
            Outcome::Silent => {}
        }
        self.schedule(id);
        None
    }
}

impl<B> Hot<B> {
    fn begin(&mut self, id: Id, now: Moment) -> Notice<B> {
        if self.expires_at <= now {
            self.more_mut().ended.get_or_insert((Ending::of(Reason::Timeout), None));
        }
        let (cseq, version, full) = (self.cseq, self.version, self.full);
        self.cseq = cseq.saturating_add(1);
        self.version = version.saturating_add(1);
        (self.flying, self.told_at) = (true, now);
        (self.dirty, self.urgent, self.full) = (false, false, false);
        let more = self.more.as_deref_mut();
        let (mut deltas, mut base, mut record) = (Vec::new(), None, None);
        if let Some(more) = more {
            deltas = std::mem::take(&mut more.deltas);
            base = more.base.take();
            record = more.ended.as_ref().and_then(|(_, record)| record.clone());
        }
        Notice {
            id,
            resource: Arc::clone(&self.resource),
            kind: self.kind,
            watcher: Arc::clone(&self.watcher),
            decision: self.decision,
            cpi: Arc::clone(&self.cpi),
            format: self.format,
            ending: self.ending(),
            expires: self.expires_at.seconds().saturating_sub(now.seconds()),
            cseq,
            version,
            deltas: (!full).then_some(deltas),
            base: base.filter(|_| !full),
            record,
        }
    }

    fn gone(self, id: Id, ending: Ending) -> Gone {
        Gone {
            id,
            resource: self.resource,
            kind: self.kind,
            watcher: self.watcher,
            proven: self.proven,
            decision: self.decision,
            created_at: self.created_at,
            ending,
            stored: self.stored,
        }
    }
}
