//! Who asked to watch and went away before the presentity said a word: he waits, so that the presentity learns of it
//! whenever it looks (RFC 3857 §4.7.1).

use std::sync::Arc;

use bytes::Bytes;

use crate::codec::{Reader, Writer};
use crate::document::watcherinfo::{Watcher, WatcherEvent, WatcherStatus};
use crate::rules;
use crate::subscription::Id;
use crate::time::Moment;
use crate::watchers;

/// One who waits. His subscription is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// The subscription it was.
    pub id: Id,
    /// His address of record.
    pub aor: Arc<str>,
    /// Whether that was proven.
    pub proven: bool,
    /// When he subscribed; Unix seconds.
    pub since: u64,
    /// Until when he is remembered; Unix seconds.
    pub until: u64,
}

impl Waiter {
    /// As a document says it, after `event`: he waits after [`WatcherEvent::Timeout`], and does no longer after any
    /// other.
    pub fn told(&self, event: WatcherEvent, now: Moment) -> Watcher {
        Watcher {
            id: watchers::name(self.id),
            uri: self.aor.to_string(),
            display_name: None,
            status: match event {
                WatcherEvent::Timeout => WatcherStatus::Waiting,
                _ => WatcherStatus::Terminated,
            },
            event,
            subscribed: Some(now.seconds().saturating_sub(self.since)),
            expires: None,
        }
    }

    /// As the rules see him.
    pub fn watcher(&self) -> rules::Watcher<'_> {
        rules::Watcher { aor: &self.aor, proven: self.proven }
    }
}

/// All who wait for one presentity, those who came first at the front; each watcher once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Them.
    pub waiters: Vec<Waiter>,
}

const FORM: u8 = 1;

impl Waiting {
    /// One more, in place of what he was before. Gives those who had to go because there are no more than `most`: who
    /// proved nothing goes first, since he can be anybody any number of times.
    pub fn join(&mut self, waiter: Waiter, most: usize) -> Vec<Waiter> {
        self.waiters.retain(|known| known.aor != waiter.aor);
        self.waiters.push(waiter);
        let mut gone = Vec::new();
        while self.waiters.len() > most {
            let unproven = self.waiters.iter().position(|waiter| !waiter.proven);
            gone.push(self.waiters.remove(unproven.unwrap_or_default()));
        }
        gone
    }

    /// Takes out those of whom that is so.
    pub fn leave(&mut self, goes: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let (gone, left) = std::mem::take(&mut self.waiters).into_iter().partition(goes);
        self.waiters = left;
        gone
    }

    /// The octets to store.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::default();
        writer.fixed(&[FORM]);
        writer.all(&self.waiters, |writer, waiter| {
            writer.fixed(&waiter.id.key());
            writer.fixed(&[u8::from(waiter.proven)]);
            writer.octets(waiter.aor.as_bytes());
            writer.number(waiter.since);
            writer.number(waiter.until);
        });
        writer.finish()
    }

    /// What [`Self::encode`] wrote; `None` for anything else.
    pub fn decode(octets: Bytes) -> Option<Self> {
        let mut reader = Reader::new(octets);
        if reader.fixed()? != [FORM] {
            return None;
        }
        let waiters = reader.all(|reader| {
            let id = Id(u64::from_be_bytes(reader.fixed()?));
            let [proven] = reader.fixed()?;
            let aor = reader.octets()?;
            Some(Waiter {
                id,
                proven: proven == 1,
                aor: std::str::from_utf8(&aor).ok()?.into(),
                since: reader.number()?,
                until: reader.number()?,
            })
        });
        Some(Self { waiters: waiters? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(number: u64, proven: bool) -> Waiter {
        let aor = format!("sip:w{number}@example.com").into();
        Waiter { id: Id(number), aor, proven, since: 100, until: 1000 + number }
    }

    fn names(waiters: &[Waiter]) -> Vec<u64> {
        waiters.iter().map(|waiter| waiter.id.0).collect()
    }

    #[test]
    fn each_waits_once_and_the_last_time_counts() {
        let mut waiting = Waiting::default();
        assert!(waiting.join(waiter(1, true), 3).is_empty() && waiting.join(waiter(2, true), 3).is_empty());
        let again = Waiter { id: Id(9), ..waiter(1, true) };
        assert!(waiting.join(again, 3).is_empty());
        assert_eq!(names(&waiting.waiters), [2, 9]);
    }

    #[test]
    fn of_too_many_the_unproven_go_first_and_then_the_oldest() {
        let mut waiting = Waiting::default();
        for number in 0..3 {
            waiting.join(waiter(number, number != 1), 3);
        }
        assert_eq!(names(&waiting.join(waiter(3, true), 3)), [1]);
        assert_eq!(names(&waiting.join(waiter(4, true), 3)), [0]);
        assert_eq!(names(&waiting.join(waiter(5, false), 3)), [5], "he can't drive out who proved himself");
        assert_eq!(names(&waiting.waiters), [2, 3, 4]);
        assert_eq!(names(&waiting.join(waiter(6, true), 0)), [2, 3, 4, 6]);
    }

    #[test]
    fn some_leave_and_the_others_stay_in_order() {
        let mut waiting = Waiting::default();
        (0..4).for_each(|number| drop(waiting.join(waiter(number, true), 9)));
        assert_eq!(names(&waiting.leave(|waiter| waiter.until <= 1001)), [0, 1]);
        assert_eq!(names(&waiting.waiters), [2, 3]);
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let mut waiting = Waiting::default();
        (0..3).for_each(|number| drop(waiting.join(waiter(number, number == 1), 9)));
        let octets = waiting.encode();
        for end in 0..octets.len() {
            assert_eq!(Waiting::decode(octets.slice(..end)), None, "{end}");
        }
        assert_eq!(Waiting::decode(octets), Some(waiting));
        assert_eq!(Waiting::decode(Bytes::from_static(&[7, 0])), None);
    }

    #[test]
    fn who_waits_is_told_so_and_under_the_name_his_subscription_had() {
        let now = Moment::from_seconds(160);
        let told = waiter(7, true).told(WatcherEvent::Timeout, now);
        assert_eq!((told.status, told.subscribed, told.expires), (WatcherStatus::Waiting, Some(60), None));
        let approved = waiter(7, true).told(WatcherEvent::Approved, now);
        assert_eq!((approved.status, &approved.id), (WatcherStatus::Terminated, &told.id));
    }
}
