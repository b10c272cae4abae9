//! Who failed to prove a password, how often, and who is shut out for a while because of it. Every table is
//! bounded: of the oldest entries the oldest goes first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Counts for each key within a window that begins with the first; times in Unix milliseconds.
#[derive(Debug)]
pub(crate) struct Window<K> {
    entries: HashMap<K, Count>,
    /// In the order of their beginning, which is that of their end. One whose entry began anew stands there
    /// twice, the first time with a number that is not its entry's any more.
    order: VecDeque<(u64, K)>,
    serial: u64,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    since: u64,
    count: u32,
    serial: u64,
}

impl<K: Copy + Eq + Hash> Window<K> {
    pub(crate) fn new() -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), serial: 0 }
    }

    /// What was counted in the window that is open at `now`, and the milliseconds until it closes.
    pub(crate) fn count(&self, key: K, now: u64, length: u64) -> (u32, u64) {
        match self.entries.get(&key) {
            // One that began later than now is from before the clock was set back.
            Some(entry) if entry.since <= now && now - entry.since < length => {
                (entry.count, length - (now - entry.since))
            }
            _ => (0, 0),
        }
    }

    /// Counts once more and gives the sum.
    pub(crate) fn add(&mut self, key: K, now: u64, length: u64, limit: usize) -> u32 {
        let (before, _) = self.count(key, now, length);
        if before == 0 {
            self.begin(key, 1, now, length, limit);
            return 1;
        }
        let sum = before.saturating_add(1);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.count = sum;
        }
        sum
    }

    /// Begins the window of a key anew.
    pub(crate) fn begin(&mut self, key: K, count: u32, now: u64, length: u64, limit: usize) {
        self.make_room(now, length, limit.max(1));
        self.serial += 1;
        self.entries.insert(key, Count { since: now, count, serial: self.serial });
        self.order.push_back((self.serial, key));
    }

    /// Forgets a key.
    pub(crate) fn forget(&mut self, key: K) {
        self.entries.remove(&key);
    }

    fn make_room(&mut self, now: u64, length: u64, limit: usize) {
        if self.order.len() >= limit.saturating_mul(2) {
            self.order.retain(|(serial, key)| self.entries.get(key).is_some_and(|e| e.serial == *serial));
        }
        while let Some(&(serial, key)) = self.order.front() {
            let current = self.entries.get(&key).filter(|entry| entry.serial == serial);
            let is_over = current.is_none_or(|entry| now.saturating_sub(entry.since) >= length);
            if !is_over && self.entries.len() < limit {
                return;
            }
            if current.is_some() {
                self.entries.remove(&key);
            }
            self.order.pop_front();
        }
    }

    /// How many keys are held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len().max(self.order.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: u64 = 100;

    #[test]
    fn counts_rise_within_the_window_and_end_with_it() {
        let mut window = Window::new();
        assert_eq!([10, 50, 109].map(|now| window.add('a', now, LENGTH, 10)), [1, 2, 3]);
        assert_eq!(window.count('a', 109, LENGTH), (3, 1));
        assert_eq!(window.count('a', 110, LENGTH), (0, 0));
        assert_eq!(window.add('a', 110, LENGTH, 10), 1);
        assert_eq!(window.count('b', 110, LENGTH), (0, 0));
    }

    #[test]
    fn a_clock_set_back_ends_the_window_instead_of_holding_it_open() {
        let mut window = Window::new();
        window.add('a', 1000, LENGTH, 10);
        assert_eq!(window.count('a', 500, LENGTH), (0, 0));
    }

    #[test]
    fn a_full_table_forgets_the_oldest() {
        let mut window = Window::new();
        for key in 0..100 {
            window.add(key, 10, LENGTH, 8);
            assert!(window.len() <= 16);
        }
        assert_eq!(window.count(99, 10, LENGTH).0, 1);
        assert_eq!(window.count(0, 10, LENGTH).0, 0);
    }

    #[test]
    fn a_key_that_begins_anew_and_anew_takes_no_room() {
        let mut window = Window::new();
        for _ in 0..100 {
            window.begin('a', 1, 10, LENGTH, 8);
            window.begin('b', 2, 10, LENGTH, 8);
        }
        assert!(window.len() <= 17, "{}", window.len());
        assert_eq!([window.count('a', 10, LENGTH).0, window.count('b', 10, LENGTH).0], [1, 2]);
        window.forget('b');
        assert_eq!(window.count('b', 10, LENGTH).0, 0);
    }
}
