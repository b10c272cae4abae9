//! Server transactions whose response is not kept: what is left of each is a number by which a repetition of its
//! request is known for one, for as long as Timer J would run (RFC 3261 §17.2.2).

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

/// The numbers, the oldest first, and no more of them than transactions are allowed.
#[derive(Debug, Default)]
pub(super) struct Spent {
    hasher: RandomState,
    known: HashSet<u64>,
    order: VecDeque<(Instant, u64)>,
}

impl Spent {
    /// The transaction of that key is over and is remembered until then; each `until` is no earlier than the last.
    pub(super) fn add(&mut self, key: &[u8], until: Instant, most: usize) {
        while self.order.len() >= most.max(1) {
            self.forget_first();
        }
        let number = self.hasher.hash_one(key);
        if self.known.insert(number) {
            self.order.push_back((until, number));
        }
    }

    /// Whether a request with that key repeats one that was answered.
    pub(super) fn holds(&mut self, key: &[u8], now: Instant) -> bool {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
        !self.known.is_empty() && self.known.contains(&self.hasher.hash_one(key))
    }

    fn forget_first(&mut self) {
        if let Some((_, number)) = self.order.pop_front() {
            self.known.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of the simulated clock")]
    fn a_key_is_known_for_its_time_and_the_oldest_go_first() {
        let (mut spent, start) = (Spent::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        spent.add(b"a", at(32), 2);
        spent.add(b"b", at(33), 2);
        assert!(spent.holds(b"a", at(31)) && spent.holds(b"b", at(31)) && !spent.holds(b"c", at(31)));
        assert!(!spent.holds(b"a", at(32)) && spent.holds(b"b", at(32)));
        spent.add(b"c", at(64), 2);
        spent.add(b"d", at(64), 2);
        assert!(!spent.holds(b"b", at(32)) && spent.holds(b"c", at(32)) && spent.holds(b"d", at(32)));
    }
}
