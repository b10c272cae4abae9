//! The octets that all connections together hold: messages half arrived, and messages that wait to be written.

use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(crate) struct Budget {
    held: AtomicUsize,
    allowed: usize,
}

impl Budget {
    pub(crate) const fn new(allowed: usize) -> Self {
        Self { held: AtomicUsize::new(0), allowed }
    }

    /// Holds so many more, if there is room.
    pub(crate) fn take(&self, octets: usize) -> bool {
        let before = self.held.fetch_add(octets, Ordering::Relaxed);
        let fits = before.saturating_add(octets) <= self.allowed;
        if !fits {
            self.give_back(octets);
        }
        fits
    }

    pub(crate) fn give_back(&self, octets: usize) {
        self.held.fetch_sub(octets, Ordering::Relaxed);
    }

    /// How many are held now.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

/// What one reader holds; given back with it.
#[derive(Debug)]
pub(super) struct Share<'a> {
    budget: &'a Budget,
    octets: usize,
}

impl<'a> Share<'a> {
    pub(super) const fn new(budget: &'a Budget) -> Self {
        Self { budget, octets: 0 }
    }

    /// Holds `octets` from now on, if there is room for what is more.
    pub(super) fn hold(&mut self, octets: usize) -> bool {
        if octets > self.octets {
            if !self.budget.take(octets - self.octets) {
                return false;
            }
        } else {
            self.budget.give_back(self.octets - octets);
        }
        self.octets = octets;
        true
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.give_back(self.octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_takes_what_is_more_and_gives_back_what_is_less() {
        let budget = Budget::new(10);
        let mut one = Share::new(&budget);
        let mut two = Share::new(&budget);
        assert!(one.hold(6) && two.hold(4));
        assert!(!two.hold(5), "there is no room for one more");
        assert!(one.hold(2) && two.hold(8));
        drop(one);
        assert_eq!(budget.held(), 8);
        drop(two);
        assert!(budget.take(10) && !budget.take(1));
    }
}
