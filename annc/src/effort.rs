//! Work that takes long: on threads for it, by few children at once, up to a deadline, and given up with who waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use media::Stop;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::clip::ClipError;
use crate::refusal::Refusal;

/// What limits the work of all calls.
#[derive(Debug)]
pub(crate) struct Bench {
    children: Arc<Semaphore>,
    /// Work in process: no more at once than there are processors, so that the rest of the server has its share.
    threads: Arc<Semaphore>,
    deadline: Duration,
}

/// The work of one call. Dropped, what is left of it stops.
#[derive(Debug)]
pub(crate) struct Effort {
    children: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    until: Instant,
    given_up: Arc<AtomicBool>,
}

impl Bench {
    /// So many children at once, and so long for the work of a call.
    pub(crate) fn new(children: usize, deadline: Duration) -> Bench {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let places = |count: usize| Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        Bench { children: places(children), threads: places(processors), deadline }
    }

    /// Begins the work of a call.
    pub(crate) fn begin(&self) -> Effort {
        Effort {
            children: Arc::clone(&self.children),
            threads: Arc::clone(&self.threads),
            until: Instant::now() + self.deadline,
            given_up: Arc::default(),
        }
    }
}

impl Effort {
    /// Does something on a thread for work, after its turn has come.
    ///
    /// # Errors
    /// Those of `work`, and [`ClipError::Late`].
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        by_child: bool,
        work: impl FnOnce(&Stop) -> Result<T, ClipError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let places = if by_child { &self.children } else { &self.threads };
        let turn = tokio::time::timeout_at(self.until, Arc::clone(places).acquire_owned()).await;
        let turn = turn.map_err(|_late| ClipError::Late)?.map_err(|_never_closed| ClipError::Late)?;
        let stop = self.stop();
        let span = tracing::Span::current();
        let done = tokio::task::spawn_blocking(move || {
            let done = span.in_scope(|| work(&stop));
            drop(turn);
            done
        });
        let done = done.await.map_err(|_panicked| Refusal::Ports)?;
        if by_child {
            let result = if done.is_ok() { "made" } else { "failed" };
            metrics::counter!("annc_transcodes_total", "result" => result).increment(1);
        }
        Ok(done?)
    }

    /// Says whether to stop.
    fn stop(&self) -> Stop {
        let (given_up, until) = (Arc::clone(&self.given_up), self.until.into_std());
        Arc::new(move || given_up.load(Ordering::Relaxed) || std::time::Instant::now() >= until)
    }
}

impl Drop for Effort {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works until it is told to stop.
    fn forever(stop: &Stop) -> Result<(), ClipError> {
        while !stop() {
            std::thread::yield_now();
        }
        Err(ClipError::Late)
    }

    #[tokio::test]
    async fn work_ends_at_the_deadline() {
        let bench = Bench::new(1, Duration::from_millis(20));
        let effort = bench.begin();
        let late = |done: Result<(), Refusal>| matches!(done, Err(Refusal::Clip(ClipError::Late)));
        assert!(late(effort.run(false, forever).await));
        // The only child is another's.
        let _others = Arc::clone(&bench.children).acquire_owned().await.unwrap();
        assert!(late(bench.begin().run(true, |_| Ok(())).await));
    }

    #[tokio::test]
    async fn work_ends_with_who_waits_and_gives_its_child_back() {
        let bench = Bench::new(1, Duration::from_secs(3600));
        let effort = bench.begin();
        let (begun, mut has_begun) = tokio::sync::oneshot::channel();
        let work = effort.run(true, move |stop| {
            begun.send(()).unwrap();
            forever(stop)
        });
        tokio::select! {
            biased;
            _ = work => panic!("nobody told it to stop"),
            begun = &mut has_begun => begun.unwrap(),
        }
        drop(effort);
        // There is one child, so this waits for the end of that work.
        bench.begin().run(true, |_| Ok(())).await.unwrap();
    }
}
