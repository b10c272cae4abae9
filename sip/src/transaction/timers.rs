//! The timer table of RFC 3261 (annex A) with RFC 6026's additions, and the doubling of Timers A, E and G.

use std::time::{Duration, Instant};

/// The base values all timers are made of. The defaults are the RFC's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// T1: the estimate of the round trip.
    pub t1: Duration,
    /// T2: the longest interval between retransmissions of a non-INVITE request or an INVITE response.
    pub t2: Duration,
    /// T4: how long a message stays in the network.
    pub t4: Duration,
    /// Timer C: how long a proxy waits for the final answer to an INVITE after each 101-199; more than
    /// three minutes (RFC 3261 §16.6 step 11).
    pub c: Duration,
    /// Timer D over unreliable transports: at least 32 s whatever T1 is (RFC 6026 §8.4).
    pub d: Duration,
    /// How long a server transaction lets its user think before it answers an INVITE with 100 by itself
    /// (RFC 3261 §17.2.1).
    pub trying: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            c: Duration::from_secs(181),
            d: Duration::from_secs(32),
            trying: Duration::from_millis(200),
        }
    }
}

impl Timers {
    /// 64*T1: Timers B, F, H, J, L and M.
    pub const fn transaction(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// How long after the request Timer E is first reset to T2 (RFC 4320 §4.1): 3.5 s with the defaults.
    /// Before it a 100 to a non-INVITE over UDP is forbidden, at it a 100 is due.
    pub fn e_reaches_t2(&self) -> Duration {
        let (mut after, mut interval) = (Duration::ZERO, self.t1);
        while interval < self.t2 && !interval.is_zero() {
            after += interval;
            interval = interval.saturating_mul(2);
        }
        after
    }
}

/// Timer A, E or G: fires, and fires again after twice the interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) at: Instant,
    interval: Duration,
}

impl Backoff {
    pub(super) fn start(now: Instant, t1: Duration) -> Self {
        Self { at: now + t1, interval: t1 }
    }

    /// The next firing, the interval doubled up to `cap`. It counts from the instant the timer was due, so
    /// that a late clock does not shift the whole series; one that missed a firing altogether starts anew.
    pub(super) fn double(&mut self, now: Instant, cap: Duration) {
        self.again(now, self.interval.saturating_mul(2).min(cap));
    }

    /// The next firing after `interval`.
    pub(super) fn again(&mut self, now: Instant, interval: Duration) {
        self.interval = interval;
        self.at = if self.at + interval > now { self.at + interval } else { now + interval };
    }
}

/// The earlier of two deadlines, either of which may not be set.
pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timer_e_reaches_t2_after_three_and_a_half_seconds() {
        assert_eq!(Timers::default().e_reaches_t2(), Duration::from_millis(3500));
    }

    #[test]
    fn zero_timers_do_not_loop() {
        let timers = Timers { t1: Duration::ZERO, ..Timers::default() };
        assert_eq!(timers.e_reaches_t2(), Duration::ZERO);
    }
}
