//! Timers of many transactions: which is due next.
//!
//! Deadlines mostly move later or vanish, so a heap entry is left where it is and checked when its time
//! comes; what is stale is swept out before it outgrows what is alive.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::slab::Id;

/// Stale entries the queue carries beyond twice the number of live transactions before it is swept.
const SLACK: usize = 64;

/// A heap of wake-up times.
#[derive(Debug, Default)]
pub(super) struct TimerQueue {
    heap: BinaryHeap<Reverse<(Instant, Id)>>,
}

impl TimerQueue {
    pub(super) fn push(&mut self, at: Instant, id: Id) {
        self.heap.push(Reverse((at, id)));
    }

    /// When to look again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one entry that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, Id)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Keeps the queue in proportion to the `alive` transactions.
    pub(super) fn sweep(&mut self, alive: usize, is_current: impl Fn(Instant, Id) -> bool) {
        if self.heap.len() > 2 * alive + SLACK {
            self.heap.retain(|Reverse((at, id))| is_current(*at, *id));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::transaction::slab::Slab;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of the simulated clock")]
    fn stale_entries_are_swept_before_they_outgrow_the_live_ones() {
        let (mut queue, mut slab, start) = (TimerQueue::default(), Slab::new(), Instant::now());
        let alive = slab.insert((), 1).unwrap();
        for ms in 0..10_000 {
            queue.push(start + Duration::from_millis(ms), alive);
            queue.sweep(1, |at, _| at == start + Duration::from_millis(ms));
            assert!(queue.heap.len() <= 2 + SLACK);
        }
        let last = start + Duration::from_millis(9_999);
        let entries = std::iter::from_fn(|| queue.pop_due(last));
        assert_eq!(entries.last(), Some((last, alive)));
    }
}
