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

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
