//! How often each nonce was used: its count must rise with every request (RFC 7616 §3.4), so that nobody sends
//! a request again that he overheard.
//!
//! The table has a limit. A nonce that fell out of it can't be told from one that was never used, so all that
//! were made up to then are stale from then on; and so are, after a start, those of an earlier run, of whose
//! use nothing is known. Their owners answer the next challenge and notice nothing.

use std::collections::BTreeMap;

use super::Minted;

/// How far ahead of ours the clock of another server of the domain may be, in milliseconds.
const AHEAD: u64 = 5_000;

/// The nonces in use.
#[derive(Debug)]
pub(crate) struct Replay {
    /// The last count of each.
    used: BTreeMap<Minted, u32>,
    /// A nonce made up to this time, and not in the table, is stale. Unix milliseconds.
    floor: u64,
}

impl Replay {
    /// `start`: Unix milliseconds.
    pub(crate) const fn new(start: u64) -> Self {
        Self { used: BTreeMap::new(), floor: start }
    }

    /// Whether the count `nc` would be the next of that nonce.
    pub(crate) fn is_next(&self, minted: Minted, nc: u32, now: u64, lifetime: u64) -> bool {
        let in_time = minted.at <= now.saturating_add(AHEAD) && now.saturating_sub(minted.at) < lifetime;
        in_time && self.used.get(&minted).map_or(nc > 0 && minted.at > self.floor, |&last| nc > last)
    }

    /// Uses the nonce, if [`Self::is_next`]; of `limit` nonces the oldest goes for a new one.
    pub(crate) fn take(&mut self, minted: Minted, nc: u32, now: u64, lifetime: u64, limit: usize) -> bool {
        if !self.is_next(minted, nc, now, lifetime) {
            return false;
        }
        if !self.used.contains_key(&minted) {
            self.make_room(now, lifetime, limit);
            if minted.at <= self.floor {
                return false;
            }
        }
        self.used.insert(minted, nc);
        true
    }

    fn make_room(&mut self, now: u64, lifetime: u64, limit: usize) {
        while let Some(oldest) = self.used.first_entry() {
            let at = oldest.key().at;
            let is_over = now.saturating_sub(at) >= lifetime;
            if !is_over && self.used.len() < limit.max(1) {
                return;
            }
            self.used.pop_first();
            self.floor = self.floor.max(at);
        }
    }

    /// How many nonces are in the table.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.used.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: u64 = 1000;

    fn nonce(at: u64) -> Minted {
        Minted { at, random: at }
    }

    #[test]
    fn a_count_is_good_once_and_only_rises() {
        let mut replay = Replay::new(100);
        let mut take = |nc| replay.take(nonce(200), nc, 300, LIFE, 10);
        assert!(!take(0));
        assert!(take(1) && !take(1));
        assert!(take(5) && !take(4) && !take(5) && take(6));
    }

    #[test]
    fn a_nonce_is_good_for_its_lifetime_and_not_from_the_future() {
        let replay = Replay::new(100);
        let good = |at, now| replay.is_next(nonce(at), 1, now, LIFE);
        assert!(good(200, 1199) && !good(200, 1200));
        assert!(good(AHEAD + 200, 200) && !good(AHEAD + 201, 200));
    }

    #[test]
    fn nonces_of_an_earlier_run_are_stale() {
        let mut replay = Replay::new(100);
        assert!(!replay.take(nonce(100), 1, 150, LIFE, 10));
        assert!(replay.take(nonce(101), 1, 150, LIFE, 10));
    }

    #[test]
    fn what_falls_out_of_the_full_table_is_stale_and_never_good_again() {
        let mut replay = Replay::new(0);
        for at in 1..=3 {
            assert!(replay.take(nonce(at), 1, 10, LIFE, 2));
        }
        assert_eq!(replay.len(), 2);
        assert!(!replay.is_next(nonce(1), 1, 10, LIFE) && !replay.is_next(nonce(1), 2, 10, LIFE));
        assert!(replay.is_next(nonce(2), 2, 10, LIFE) && !replay.is_next(nonce(2), 1, 10, LIFE));
    }

    #[test]
    fn nonces_whose_time_is_over_make_room() {
        let mut replay = Replay::new(0);
        for at in 1..=5 {
            assert!(replay.take(nonce(at), 1, at, LIFE, 100));
        }
        assert!(replay.take(nonce(2000), 1, 2000, LIFE, 100));
        assert_eq!(replay.len(), 1);
    }
}
