//! The threads that adapt: a fixed number, a bounded queue, and never one that signalling runs on.
//!
//! What does not fit in the queue is handed back at once, so that the caller can fall back (a link, or a
//! refusal) and not wait.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Work the pool could not take: its queue is full, or its threads could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the adaptation queue is full")]
pub struct Full;

type Work = Box<dyn FnOnce() + Send>;

/// A bounded pool of threads for work that takes long. Dropping it lets queued work be finished.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    queue: usize,
}

struct Shared {
    state: Mutex<State>,
    more: Condvar,
}

struct State {
    waiting: VecDeque<Work>,
    closed: bool,
}

impl Pool {
    /// `workers` threads (0: one per core) and room for `queue` waiting pieces of work.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn new(workers: usize, queue: usize) -> std::io::Result<Pool> {
        let workers = match workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State { waiting: VecDeque::new(), closed: false }),
            more: Condvar::new(),
        });
        let pool = Pool { shared: Arc::clone(&shared), queue };
        for number in 0..workers {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("adapt-{number}")).spawn(move || shared.work())?;
        }
        Ok(pool)
    }

    /// Queues `work`. Its value comes through the receiver, which fails if the work panicked.
    ///
    /// # Errors
    /// [`Full`] at once when too much waits already.
    pub fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Full> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.shared.lock();
        if state.waiting.len() >= self.queue {
            return Err(Full);
        }
        state.waiting.push_back(Box::new(move || {
            if !sender.is_closed() {
                // The asker may have gone meanwhile; then nobody wants the value.
                let _ = sender.send(work());
            }
        }));
        drop(state);
        self.shared.more.notify_one();
        Ok(receiver)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.more.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        while let Some(work) = self.next() {
            // A decoder that panics on a hostile picture must not take the thread with it; the asker
            // sees its receiver fail.
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!("adaptation panicked; the message falls back");
            }
        }
    }

    fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.waiting.pop_front() {
                return Some(work);
            }
            if state.closed {
                return None;
            }
            state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of ours panics while it holds the lock, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("waiting", &self.lock().waiting.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn work_beyond_the_queue_is_handed_back_at_once() {
        let pool = Pool::new(1, 1).unwrap();
        let (started, is_started) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let running = pool.submit(move || {
            started.send(()).unwrap();
            may_go.recv().unwrap();
            1
        });
        is_started.recv().unwrap();
        let waiting = pool.submit(|| 2);
        assert_eq!(pool.submit(|| 3).unwrap_err(), Full);
        go.send(()).unwrap();
        assert_eq!(running.unwrap().blocking_recv(), Ok(1));
        assert_eq!(waiting.unwrap().blocking_recv(), Ok(2));
    }

    #[test]
    fn a_panic_costs_its_own_work_only() {
        let pool = Pool::new(1, 4).unwrap();
        let broken = pool.submit(|| panic!("a hostile picture")).unwrap();
        let whole = pool.submit(|| 7).unwrap();
        assert!(broken.blocking_recv().is_err());
        assert_eq!(whole.blocking_recv(), Ok(7));
    }
}
