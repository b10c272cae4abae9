//! Adaptation off the threads of sockets: so many at a time, so many waiting, so long.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::http::Problem;

const BUSY: Problem = Problem::Busy("Too many fetches are being adapted. Try again in a moment.");
const SLOW: Problem = Problem::Busy("Adapting this content took too long.");

#[derive(Debug)]
pub(crate) struct Pool {
    workers: Arc<Semaphore>,
    /// Workers and waiters together.
    admitted: Arc<Semaphore>,
    wait: Duration,
    deadline: Duration,
}

/// A worker that is ours. Given back when the work has really ended, not when nobody waits for it any more.
pub(crate) struct Place {
    worker: OwnedSemaphorePermit,
    admitted: OwnedSemaphorePermit,
    deadline: Duration,
}

impl Pool {
    pub(crate) fn new(workers: usize, queue: usize, wait: Duration, deadline: Duration) -> Pool {
        let workers = workers.clamp(1, 1024);
        Pool {
            workers: Arc::new(Semaphore::new(workers)),
            admitted: Arc::new(Semaphore::new(workers + queue.min(1 << 20))),
            wait,
            deadline,
        }
    }

    /// A worker, as soon as there is one. The work may take as long as `deadline` says, if that is less than the
    /// pool's own.
    pub(crate) async fn place(&self, deadline: Option<Duration>) -> Result<Place, Problem> {
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|_| BUSY)?;
        let worker = timeout(self.wait, self.workers.clone().acquire_owned()).await;
        let worker = worker.map_err(|_| BUSY)?.map_err(|_| BUSY)?;
        let deadline = deadline.unwrap_or(self.deadline).min(self.deadline);
        Ok(Place { worker, admitted, deadline })
    }
}

impl Place {
    /// Runs `work`, whose argument says when to stop: at the deadline, or when the client has gone.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let Place { worker, admitted, deadline } = self;
        let end = Instant::now() + deadline;
        let gone = CancellationToken::new();
        let _client = gone.clone().drop_guard();
        let task = tokio::task::spawn_blocking(move || {
            let stop = || gone.is_cancelled() || Instant::now() >= end;
            let made = work(&stop);
            let stopped = stop();
            drop((worker, admitted));
            (made, stopped)
        });
        match timeout(deadline, task).await {
            Ok(Ok((made, false))) => Ok(made),
            Ok(Ok((_, true))) | Err(_) => Err(SLOW),
            Ok(Err(error)) => {
                tracing::error!(%error, "an adaptation failed");
                Err(Problem::Broken)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fetch_that_finds_no_worker_in_time_is_turned_away() {
        let pool = Pool::new(1, 1, Duration::from_secs(2), Duration::from_secs(4));
        let _busy = pool.place(None).await.unwrap();
        let (waits, refused) = tokio::join!(pool.place(None), pool.place(None));
        assert_eq!(refused.err(), Some(BUSY));
        assert_eq!(waits.err(), Some(BUSY));
    }

    #[tokio::test]
    async fn work_is_told_to_stop_when_its_client_goes() {
        let pool = Pool::new(1, 0, Duration::from_secs(2), Duration::from_secs(3600));
        let (started, begun) = tokio::sync::oneshot::channel();
        let (stopped, ended) = std::sync::mpsc::channel();
        let place = pool.place(None).await.unwrap();
        let fetch = tokio::spawn(place.run(move |stop| {
            let _ = started.send(());
            while !stop() {
                std::thread::yield_now();
            }
            let _ = stopped.send(());
        }));
        begun.await.unwrap();
        fetch.abort();
        tokio::task::spawn_blocking(move || ended.recv()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn work_past_its_deadline_is_a_503() {
        let pool = Pool::new(1, 0, Duration::from_secs(2), Duration::ZERO);
        let place = pool.place(None).await.unwrap();
        assert_eq!(place.run(|stop| stop()).await, Err(SLOW));
    }
}
