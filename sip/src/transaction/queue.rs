//! Timers of many transactions: which is due next.
//!
//! There are few different delays, and time goes forward: wake-ups of one delay come in their order. So an entry is
//! put behind the end of a queue that ends no later than it, and no two are ever compared that stand in one queue.
//! Deadlines mostly move later or vanish, so an entry is left where it is and checked when its time comes; what is
//! stale is swept out before it outgrows what is alive.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

use super::slab::Id;

/// Stale entries the queue carries beyond twice the number of live transactions before it is swept.
const SLACK: usize = 64;

/// Queues in order. What fits behind none of them, because delays are many, goes to a heap.
const QUEUES: usize = 8;

type Entry = (Instant, Id);

/// Wake-up times.
#[derive(Debug, Default)]
pub(super) struct TimerQueue {
    queues: [VecDeque<Entry>; QUEUES],
    others: BinaryHeap<Reverse<Entry>>,
    len: usize,
}

impl TimerQueue {
    pub(super) fn push(&mut self, at: Instant, id: Id) {
        self.len += 1;
        // The one that ends nearest before it, so that one delay keeps to one queue.
        let ends = self.queues.iter_mut().filter_map(|queue| Some((queue.back()?.0, queue)));
        let nearest = ends.filter(|(end, _)| *end <= at).max_by_key(|(end, _)| *end).map(|(_, queue)| queue);
        if let Some(queue) = nearest {
            queue.push_back((at, id));
        } else if let Some(queue) = self.queues.iter_mut().find(|queue| queue.is_empty()) {
            queue.push_back((at, id));
        } else {
            self.others.push(Reverse((at, id)));
        }
    }

    /// When to look again.
    pub(super) fn next(&self) -> Option<Instant> {
        let other = self.others.peek().map(|Reverse((at, _))| *at);
        self.queues.iter().filter_map(|queue| Some(queue.front()?.0)).chain(other).min()
    }

    /// Takes one entry that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Entry> {
        let first = self.next().filter(|at| *at <= now)?;
        self.len = self.len.saturating_sub(1);
        let is_first = |queue: &&mut VecDeque<Entry>| queue.front().is_some_and(|(at, _)| *at == first);
        match self.queues.iter_mut().find(is_first) {
            Some(queue) => queue.pop_front(),
            None => self.others.pop().map(|Reverse(entry)| entry),
        }
    }

    /// Keeps the queue in proportion to the `alive` transactions.
    pub(super) fn sweep(&mut self, alive: usize, is_current: impl Fn(Instant, Id) -> bool) {
        if self.len <= 2 * alive + SLACK {
            return;
        }
        self.queues.iter_mut().for_each(|queue| queue.retain(|(at, id)| is_current(*at, *id)));
        self.others.retain(|Reverse((at, id))| is_current(*at, *id));
        self.len = self.queues.iter().map(VecDeque::len).sum::<usize>() + self.others.len();
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
            assert!(queue.len <= 2 + SLACK);
        }
        let last = start + Duration::from_millis(9_999);
        let entries = std::iter::from_fn(|| queue.pop_due(last));
        assert_eq!(entries.last(), Some((last, alive)));
        assert_eq!((queue.len, queue.next()), (0, None));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of the simulated clock")]
    fn entries_of_any_delays_come_in_the_order_of_their_times() {
        let (mut queue, mut slab, start) = (TimerQueue::default(), Slab::new(), Instant::now());
        let id = slab.insert((), 1).unwrap();
        let delay = |number: u64| Duration::from_millis(number * 7919 % 4001);
        for number in 0..1000 {
            queue.push(start + Duration::from_millis(number) + delay(number), id);
        }
        assert!(!queue.others.is_empty() && queue.len == 1000);
        let end = start + Duration::from_secs(10);
        let times: Vec<_> = std::iter::from_fn(|| queue.pop_due(end)).map(|(at, _)| at).collect();
        assert!(times.len() == 1000 && times.is_sorted());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the origin of the simulated clock")]
    fn a_few_delays_need_no_heap() {
        let (mut queue, mut slab, start) = (TimerQueue::default(), Slab::new(), Instant::now());
        let id = slab.insert((), 1).unwrap();
        for ms in 0..1000 {
            for delay in [500, 3500, 5000, 32_000, 181_000] {
                queue.push(start + Duration::from_millis(ms + delay), id);
            }
            while queue.pop_due(start + Duration::from_millis(ms)).is_some() {}
        }
        assert!(
            queue.others.is_empty() && queue.queues.iter().filter(|queue| !queue.is_empty()).count() == 5
        );
    }
}
