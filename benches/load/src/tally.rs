//! What came back: latencies from the time each request was meant to be sent, and what went wrong.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::Notify;

/// The longest latency that is told apart, in microseconds: five minutes.
const LONGEST: u64 = 300_000_000;

/// One phase of a run, in which requests are numbered from `first` on.
#[derive(Debug)]
pub(crate) struct Tally {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    schedule: Schedule,
    answered: Vec<bool>,
    latency: Histogram<u64>,
    counts: Counts,
}

/// When each request is meant to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) first: u64,
    pub(crate) start: Instant,
    pub(crate) interval: Duration,
}

impl Schedule {
    /// The time of request `number`.
    pub(crate) fn at(&self, number: u64) -> Instant {
        let nanos = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX);
        self.start + Duration::from_nanos(nanos.saturating_mul(number.saturating_sub(self.first)))
    }
}

/// What a phase came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Requests that got a 2xx.
    pub(crate) succeeded: u64,
    /// Final responses other than 2xx, by status.
    pub(crate) refused: BTreeMap<u16, u64>,
    /// Final responses to a request that had one already.
    pub(crate) repeated: u64,
    /// Requests that reached a phone.
    pub(crate) delivered: u64,
    /// Connections that the server closed.
    pub(crate) closed: u64,
}

impl Counts {
    pub(crate) fn finals(&self) -> u64 {
        self.succeeded + self.refused.values().sum::<u64>()
    }
}

impl Tally {
    pub(crate) fn new() -> Self {
        let schedule = Schedule { first: 0, start: Instant::now(), interval: Duration::ZERO };
        let latency = empty_histogram();
        let state = State { schedule, answered: Vec::new(), latency, counts: Counts::default() };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Begins a phase of so many requests.
    pub(crate) fn begin(&self, schedule: Schedule, requests: u64) {
        let mut state = self.lock();
        state.schedule = schedule;
        state.answered = vec![false; usize::try_from(requests).unwrap_or_default()];
        state.latency = empty_histogram();
        state.counts = Counts::default();
    }

    /// A final response came.
    pub(crate) fn answered(&self, number: u64, status: u16) {
        let now = Instant::now();
        let mut state = self.lock();
        let State { schedule, answered, latency, counts } = &mut *state;
        let place = number.checked_sub(schedule.first).and_then(|place| usize::try_from(place).ok());
        // One of an earlier phase is no longer waited for.
        let Some(seen) = place.and_then(|place| answered.get_mut(place)) else { return };
        if std::mem::replace(seen, true) {
            counts.repeated += 1;
            return;
        }
        if (200..300).contains(&status) {
            counts.succeeded += 1;
            let micros = now.saturating_duration_since(schedule.at(number)).as_micros();
            latency.saturating_record(u64::try_from(micros).unwrap_or(LONGEST).max(1));
        } else {
            *counts.refused.entry(status).or_default() += 1;
        }
        drop(state);
        self.changed.notify_one();
    }

    /// A request reached a phone.
    pub(crate) fn delivered(&self) {
        self.lock().counts.delivered += 1;
        self.changed.notify_one();
    }

    /// The server closed a connection.
    pub(crate) fn closed(&self) {
        self.lock().counts.closed += 1;
    }

    /// Waits until all requests have their final response, or nothing has come for `patience`.
    pub(crate) async fn settled(&self, patience: Duration) {
        while !self.is_complete() {
            if tokio::time::timeout(patience, self.changed.notified()).await.is_err() {
                return;
            }
        }
    }

    fn is_complete(&self) -> bool {
        let state = self.lock();
        state.answered.iter().all(|answered| *answered)
    }

    pub(crate) fn result(&self) -> (Counts, Histogram<u64>) {
        let state = self.lock();
        (state.counts.clone(), state.latency.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::expect_used, reason = "constants that the histogram takes")]
fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("one to five minutes in microseconds, three digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_counts_from_the_time_a_request_was_meant_to_be_sent() {
        let (tally, now) = (Tally::new(), Instant::now());
        let start = now - Duration::from_secs(2);
        tally.begin(Schedule { first: 5, start, interval: Duration::from_secs(1) }, 2);
        tally.answered(5, 200);
        let (_, latency) = tally.result();
        assert!(latency.min() >= 2_000_000 - 2_000, "{}", latency.min());
        tally.answered(6, 200);
        assert!(tally.result().1.min() < 2_000_000);
    }

    #[test]
    fn a_response_counts_once_and_only_in_its_phase() {
        let tally = Tally::new();
        tally.begin(Schedule { first: 5, start: Instant::now(), interval: Duration::ZERO }, 2);
        for (number, status) in [(4, 200), (5, 200), (5, 200), (6, 480), (7, 200)] {
            tally.answered(number, status);
        }
        let (counts, _) = tally.result();
        assert_eq!((counts.succeeded, counts.repeated, counts.finals()), (1, 1, 2));
        assert_eq!(counts.refused, BTreeMap::from([(480, 1)]));
        assert!(tally.is_complete());
    }
}
