//! Server transactions whose response is not kept: what is left of each is the key by which a repetition of its
//! request is known for one, for at least as long as Timer J would run (RFC 3261 §17.2.2) and at most twice that.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::key::{Digested, Key};

/// The keys in two generations, so that none needs a time of its own: the old one is forgotten as a whole. There
/// are no more of them than transactions are allowed.
#[derive(Debug, Default)]
pub(super) struct Spent {
    young: HashSet<Key, Digested>,
    old: HashSet<Key, Digested>,
    /// When the young ones become old.
    until: Option<Instant>,
}

impl Spent {
    /// The transaction of that key is over and is remembered for that time, the same at every call.
    pub(super) fn add(&mut self, key: Key, now: Instant, lasting: Duration, most: usize) {
        self.turn(now, lasting);
        if self.young.len() >= (most / 2).max(1) {
            self.age();
        }
        self.until.get_or_insert(now + lasting);
        self.young.insert(key);
    }

    /// Whether a request with that key repeats one that was answered.
    pub(super) fn holds(&mut self, key: Key, now: Instant, lasting: Duration) -> bool {
        self.turn(now, lasting);
        self.young.contains(&key) || self.old.contains(&key)
    }

    fn turn(&mut self, now: Instant, lasting: Duration) {
        let Some(until) = self.until.filter(|until| *until <= now) else { return };
        self.age();
        if until + lasting <= now {
            self.age();
        }
        self.until = (!self.old.is_empty()).then_some(until + lasting);
    }

    fn age(&mut self) {
        self.old = std::mem::take(&mut self.young);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::key::Keys;

    const LASTING: Duration = Duration::from_secs(32);

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of the simulated clock")]
    fn a_key_is_known_for_its_time_and_not_for_more_than_twice_that() {
        let (mut spent, keys, start) = (Spent::default(), Keys::default(), Instant::now());
        let [a, b, c, d] = [b"a", b"b", b"c", b"d"].map(|key| keys.of(key));
        let at = |seconds| start + Duration::from_secs(seconds);
        spent.add(a, at(0), LASTING, 100);
        spent.add(b, at(31), LASTING, 100);
        assert!(spent.holds(a, at(31), LASTING) && !spent.holds(c, at(31), LASTING));
        assert!(spent.holds(b, at(62), LASTING));
        spent.add(d, at(62), LASTING, 100);
        assert!(!spent.holds(a, at(64), LASTING) && !spent.holds(b, at(94), LASTING));
        assert!(!spent.holds(d, at(158), LASTING));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of the simulated clock")]
    fn beyond_the_limit_the_oldest_go_first() {
        let (mut spent, keys, now) = (Spent::default(), Keys::default(), Instant::now());
        let key = |number: u32| keys.of(&number.to_be_bytes());
        for number in 0..100 {
            spent.add(key(number), now, LASTING, 10);
            assert!(spent.young.len() + spent.old.len() <= 10);
            assert!(spent.holds(key(number.saturating_sub(4)), now, LASTING));
        }
        assert!(!spent.holds(key(80), now, LASTING));
    }
}
