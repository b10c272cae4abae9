//! A wheel of timers: everything that is due within one tick is done at one waking.

/// Slots of the wheel. What is due later than a turn waits for its turn to come.
const SLOTS: usize = 1024;

/// Timers by the tick they are due at. A key has one timer at most, which is its owner's care.
#[derive(Debug)]
pub(super) struct Wheel<K> {
    slots: Vec<Vec<(u64, K)>>,
    /// All before this tick are done.
    next: u64,
    count: usize,
}

impl<K> Wheel<K> {
    /// A wheel at that tick.
    pub(super) fn at(tick: u64) -> Wheel<K> {
        Wheel { slots: (0..SLOTS).map(|_| Vec::new()).collect(), next: tick, count: 0 }
    }

    /// Sets a timer; one that is due already is due at the next tick.
    pub(super) fn set(&mut self, tick: u64, key: K) {
        let tick = tick.max(self.next);
        if let Some(slot) = self.slots.get_mut(slot(tick)) {
            slot.push((tick, key));
            self.count += 1;
        }
    }

    /// Takes what is due up to and with that tick, earlier ticks first.
    pub(super) fn advance(&mut self, tick: u64, due: &mut Vec<K>) {
        while self.next <= tick && self.count > 0 {
            let at = self.next;
            let Some(slot) = self.slots.get_mut(slot(at)) else { break };
            let before = due.len();
            due.extend(slot.extract_if(.., |(when, _)| *when <= at).map(|(_, key)| key));
            self.count -= due.len() - before;
            self.next += 1;
        }
        self.next = self.next.max(tick.saturating_add(1));
    }

    /// The first tick for which there is a timer, looked for within one turn; the end of that turn if there is none
    /// nearer.
    pub(super) fn soonest(&self) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let turn = self.next..self.next + SLOTS as u64;
        let is_due = |tick: &u64| {
            self.slots.get(slot(*tick)).is_some_and(|slot| slot.iter().any(|(at, _)| at == tick))
        };
        let end = turn.end;
        turn.into_iter().find(is_due).or(Some(end))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the remainder is below the number of slots")]
const fn slot(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(wheel: &mut Wheel<u32>, tick: u64) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.advance(tick, &mut due);
        due
    }

    #[test]
    fn timers_are_due_at_their_tick_and_earlier_ones_first() {
        let mut wheel = Wheel::at(100);
        wheel.set(105, 2);
        wheel.set(103, 1);
        assert_eq!(wheel.soonest(), Some(103));
        assert_eq!(due(&mut wheel, 102), [] as [u32; 0]);
        assert_eq!(due(&mut wheel, 110), [1, 2]);
        assert_eq!(wheel.soonest(), None);
    }

    #[test]
    fn what_is_due_after_a_turn_waits_for_it() {
        let mut wheel = Wheel::at(0);
        wheel.set(5000, 1);
        assert_eq!(wheel.soonest(), Some(1024));
        assert_eq!(due(&mut wheel, 4999), [] as [u32; 0]);
        assert_eq!(wheel.soonest(), Some(5000));
        assert_eq!(due(&mut wheel, 5000), [1]);
    }

    #[test]
    fn what_is_late_already_is_due_next() {
        let mut wheel = Wheel::at(100);
        due(&mut wheel, 200);
        wheel.set(7, 1);
        assert_eq!(wheel.soonest(), Some(201));
        assert_eq!(due(&mut wheel, 201), [1]);
    }

    #[test]
    fn an_empty_wheel_does_not_count_ticks() {
        let mut wheel = Wheel::at(0);
        assert_eq!(due(&mut wheel, 1 << 60), [] as [u32; 0]);
        wheel.set(3, 1);
        assert_eq!(due(&mut wheel, (1 << 60) + 1), [1]);
    }
}
