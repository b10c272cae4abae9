//! A server that failed several times in a row is left alone for a while.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Counts failures of one server.
#[derive(Debug)]
pub struct Breaker {
    most: u32,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Until then it is left alone.
    closed_until: Option<Instant>,
}

impl Breaker {
    /// After `most` failures in a row the server is left alone for `pause`; then one request tries it.
    pub const fn new(most: u32, pause: Duration) -> Breaker {
        Breaker { most, pause, state: Mutex::new(State { failures: 0, closed_until: None }) }
    }

    /// Whether the server may be asked now. After a pause the first who asks may, and those behind it wait for
    /// what it finds.
    pub fn may(&self) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        match state.closed_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                state.closed_until = Some(now + self.pause);
                true
            }
        }
    }

    /// How a request ended.
    pub fn note(&self, is_alive: bool) {
        let mut state = self.state();
        if is_alive {
            *state = State::default();
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.most {
            state.closed_until = Some(Instant::now() + self.pause);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_dead_server_is_tried_by_one_after_each_pause() {
        let pause = Duration::from_secs(5);
        let breaker = Breaker::new(2, pause);
        breaker.note(false);
        assert!(breaker.may());
        breaker.note(false);
        assert!(!breaker.may());
        tokio::time::advance(pause).await;
        assert!(breaker.may() && !breaker.may(), "one tries it");
        breaker.note(true);
        assert!(breaker.may() && breaker.may());
        breaker.note(false);
        assert!(breaker.may(), "failures count in a row only");
    }
}
