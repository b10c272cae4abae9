//! The threads that SIP runs on: each with a runtime of its own, so that a message that comes to one is answered
//! there and wakes no other.
//!
//! A thread that is woken for every message spends more on being woken than on messages. So one that runs out of work
//! again and again within a moment sleeps before it waits: what comes meanwhile is read and answered together, as
//! network cards hold back their interrupts. One that has little to do waits at once, and loses no time.

use std::cell::Cell;
use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// How long messages may gather: what a message is delayed at most under load, at each hop through here.
const DOZE: Duration = Duration::from_micros(500);

/// A turn from one wait to the next that takes less is brief: messages come faster than they are waited for.
const BRIEF: Duration = DOZE;

/// So many brief turns in a row are load.
const BUSY: u32 = 8;

/// Threads that run what is spawned on their handles until this is dropped.
pub(super) struct Workers {
    handles: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Workers {
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let mut workers = Self { handles: Vec::new(), threads: Vec::new(), stop: CancellationToken::new() };
        for number in 0..count {
            let runtime = Builder::new_current_thread().enable_all().on_thread_park(doze).build()?;
            workers.handles.push(runtime.handle().clone());
            let stop = workers.stop.clone();
            let thread = std::thread::Builder::new().name(format!("sip-{number}"));
            workers.threads.push(thread.spawn(move || runtime.block_on(stop.cancelled()))?);
        }
        Ok(workers)
    }

    pub(super) fn handles(&self) -> Vec<Handle> {
        self.handles.clone()
    }
}

impl Drop for Workers {
    /// What still runs on them is dropped.
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // It ran nothing that could panic outside a task.
            let _ended = thread.join();
        }
    }
}

/// A worker has nothing to do and is about to wait.
fn doze() {
    thread_local! {
        static PACE: Cell<Pace> = const { Cell::new(Pace { waited_at: None, brief: 0 }) };
    }
    let mut pace = PACE.get();
    if pace.waits(Instant::now()) {
        std::thread::sleep(DOZE);
        pace.waited_at = Some(Instant::now());
    }
    PACE.set(pace);
}

/// How often a worker runs out of work.
#[derive(Clone, Copy)]
struct Pace {
    /// When it did last.
    waited_at: Option<Instant>,
    /// How often in a row it did so within [`BRIEF`].
    brief: u32,
}

impl Pace {
    /// It does so now. Says whether that is load.
    fn waits(&mut self, now: Instant) -> bool {
        let is_brief = self.waited_at.is_some_and(|before| now.saturating_duration_since(before) < BRIEF);
        self.brief = if is_brief { self.brief.saturating_add(1).min(BUSY) } else { 0 };
        self.waited_at = Some(now);
        self.brief == BUSY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_worker_that_is_woken_again_and_again_gathers_messages() {
        let mut pace = Pace { waited_at: None, brief: 0 };
        let mut now = Instant::now();
        let mut waits = |after: Duration| {
            now += after;
            pace.waits(now)
        };
        assert!(!(0..100).any(|_| waits(BRIEF)), "two thousand messages a second");
        assert!(!(0..BUSY - 1).any(|_| waits(BRIEF / 2)));
        assert!((0..100).all(|_| waits(BRIEF / 2)), "four thousand");
        assert!(!waits(BRIEF), "a pause");
        assert!(!waits(BRIEF / 2));
    }
}
