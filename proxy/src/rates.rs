//! How many requests a second one source may send. Memory is fixed at start, whoever asks: each source has two
//! cells of a table, found by two keyed hashes, and is over its rate when both say so. Sources that share one
//! cell don't disturb each other unless they share the other too, which nobody outside can arrange.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Cells of a table; 8 octets each.
const CELLS: usize = 1 << 16;

/// Seconds of its rate a source may use at once.
const BURST: u64 = 2;

/// The rates of all sources of one kind. A cell has the time at which its source, at its rate, would be
/// through with all it sent (the generic cell rate algorithm, ITU-T I.371), in nanoseconds since the start.
#[derive(Debug)]
pub(crate) struct Rates {
    cells: Box<[AtomicU64]>,
    hashers: [RandomState; 2],
    start: Instant,
    /// Nanoseconds from one request to the next.
    apart: u64,
    burst: u64,
}

impl Rates {
    /// `None` for a rate of 0, which is no limit.
    pub(crate) fn new(per_second: u32) -> Option<Rates> {
        let apart = 1_000_000_000_u64.checked_div(per_second.into())?;
        let cells = std::iter::repeat_with(AtomicU64::default).take(CELLS).collect();
        let hashers = [RandomState::new(), RandomState::new()];
        // At a rate of 1 the second request of a moment must pass too.
        let burst = (BURST * 1_000_000_000).max(apart);
        Some(Rates { cells, hashers, start: Instant::now(), apart, burst })
    }

    /// Counts a request of `source` and says whether it is within its rate. What is not is not counted.
    pub(crate) fn take(&self, source: impl Hash) -> bool {
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let cells = self.hashers.each_ref().map(|hasher| {
            let cells = u64::try_from(CELLS).unwrap_or(1);
            self.cells.get(usize::try_from(hasher.hash_one(&source) % cells).unwrap_or_default())
        });
        let taken = cells.into_iter().flatten().filter(|cell| self.take_of(cell, now)).count();
        taken > 0
    }

    fn take_of(&self, cell: &AtomicU64, now: u64) -> bool {
        let next = |until: u64| {
            let until = until.max(now);
            (until - now <= self.burst).then(|| until.saturating_add(self.apart))
        };
        cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

/// Whether requests wait too long before their first step: then there is more than this machine can do, and
/// what is under way should be finished before anything new begins.
#[derive(Debug)]
pub(crate) struct Lateness {
    start: Instant,
    limit: Duration,
    /// Milliseconds since the start.
    until: AtomicU64,
}

/// How long one late request keeps new ones out. Then some are let in, and tell whether it is over.
const CLOSED: Duration = Duration::from_millis(500);

impl Lateness {
    /// With how long a request may wait.
    pub(crate) fn new(limit: Duration) -> Lateness {
        Lateness { start: Instant::now(), limit, until: AtomicU64::new(0) }
    }

    /// A request has its turn after so long.
    pub(crate) fn waited(&self, long: Duration) {
        if long > self.limit {
            self.until.store(self.millis(CLOSED), Ordering::Relaxed);
        }
    }

    /// Whether nothing new should be begun now.
    pub(crate) fn is_late(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until != 0 && self.millis(Duration::ZERO) < until
    }

    fn millis(&self, later: Duration) -> u64 {
        u64::try_from((self.start.elapsed() + later).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_source_over_its_rate_is_refused_until_time_has_passed_and_others_are_not() {
        let rates = Rates::new(10).unwrap();
        assert_eq!((0..100).filter(|_| rates.take("one")).count(), 21, "two seconds' worth, and one");
        assert!(rates.take("other"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((0..100).filter(|_| rates.take("one")).count(), 10);
    }

    #[test]
    fn no_rate_is_no_limit_and_the_lowest_lets_something_through() {
        assert!(Rates::new(0).is_none());
        assert!(Rates::new(1).unwrap().take(1));
    }

    #[tokio::test(start_paused = true)]
    async fn many_sources_together_hardly_disturb_another_and_take_no_more_memory() {
        let rates = Rates::new(1).unwrap();
        for source in 0..5000 {
            while rates.take(source) {}
        }
        let refused = (1_000_000..1_001_000).filter(|source| !rates.take(source)).count();
        assert!(refused < 100, "{refused} of 1000");
        assert_eq!(rates.cells.len(), CELLS);
    }

    #[tokio::test(start_paused = true)]
    async fn one_late_request_keeps_new_ones_out_for_a_moment() {
        let lateness = Lateness::new(Duration::from_millis(100));
        lateness.waited(Duration::from_millis(100));
        assert!(!lateness.is_late());
        lateness.waited(Duration::from_millis(101));
        assert!(lateness.is_late());
        tokio::time::advance(CLOSED).await;
        assert!(!lateness.is_late());
    }
}
