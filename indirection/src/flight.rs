//! The same work asked for by many at the same time is done once.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Work under way, by what it is for.
#[derive(Debug)]
pub(crate) struct Flights<K, T> {
    under_way: Arc<Mutex<HashMap<K, Flight<T>>>>,
}

#[derive(Debug)]
struct Flight<T> {
    landed: watch::Receiver<Option<T>>,
    /// Gone when nobody waits any more; the work is dropped then.
    waiting: Weak<DropGuard>,
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Flights { under_way: Arc::default() }
    }
}

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// What `work` comes to, or the same work that is under way already. `None` if it panicked.
    pub(crate) async fn join<W>(&self, key: K, work: impl FnOnce() -> W) -> Option<T>
    where
        W: Future<Output = T> + Send + 'static,
    {
        let (mut landed, waiting) = self.board(key, work);
        let landed = landed.wait_for(Option::is_some).await.ok().and_then(|value| value.clone());
        drop(waiting);
        landed
    }

    fn board<W>(&self, key: K, work: impl FnOnce() -> W) -> (watch::Receiver<Option<T>>, Arc<DropGuard>)
    where
        W: Future<Output = T> + Send + 'static,
    {
        let mut under_way = lock(&self.under_way);
        if let Some(flight) = under_way.get(&key)
            && let Some(waiting) = flight.waiting.upgrade()
        {
            return (flight.landed.clone(), waiting);
        }
        let (land, landed) = watch::channel(None);
        let nobody = CancellationToken::new();
        let waiting = Arc::new(nobody.clone().drop_guard());
        under_way.insert(key.clone(), Flight { landed: landed.clone(), waiting: Arc::downgrade(&waiting) });
        drop(under_way);
        let end = End { under_way: Arc::clone(&self.under_way), key, waiting: Arc::downgrade(&waiting) };
        let work = work();
        tokio::spawn(async move {
            let _end = end;
            if let Some(value) = nobody.run_until_cancelled(work).await {
                land.send_replace(Some(value));
            }
        });
        (landed, waiting)
    }
}

/// Takes a flight off the table however its work ended.
struct End<K: Eq + Hash, T> {
    under_way: Arc<Mutex<HashMap<K, Flight<T>>>>,
    key: K,
    waiting: Weak<DropGuard>,
}

impl<K: Eq + Hash, T> Drop for End<K, T> {
    fn drop(&mut self) {
        let mut under_way = lock(&self.under_way);
        // Another may have begun after everybody had left this one.
        if under_way.get(&self.key).is_some_and(|flight| flight.waiting.ptr_eq(&self.waiting)) {
            under_way.remove(&self.key);
        }
    }
}

fn lock<K, T>(under_way: &Mutex<HashMap<K, Flight<T>>>) -> MutexGuard<'_, HashMap<K, Flight<T>>> {
    // No code that holds the lock can panic half way through a change.
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_hundred_who_ask_at_once_share_one_work() {
        let (flights, works) = (Arc::new(Flights::default()), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let all: Vec<_> = (0..100)
            .map(|_| {
                let (flights, works, gate) = (Arc::clone(&flights), Arc::clone(&works), Arc::clone(&gate));
                tokio::spawn(async move {
                    let work = || async move {
                        works.fetch_add(1, Ordering::Relaxed);
                        let _open = gate.acquire().await.unwrap();
                        7
                    };
                    flights.join("key", work).await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        gate.add_permits(1);
        for one in all {
            assert_eq!(one.await.unwrap(), Some(7));
        }
        assert_eq!(works.load(Ordering::Relaxed), 1);
        assert!(lock(&flights.under_way).is_empty());
        assert_eq!(flights.join("key", || async { 8 }).await, Some(8), "later work is new work");
    }

    #[tokio::test]
    async fn work_nobody_waits_for_is_dropped() {
        let flights = Arc::new(Flights::<_, ()>::default());
        let (dropped, was_dropped) = oneshot::channel::<()>();
        let (started, has_started) = oneshot::channel();
        let joined = tokio::spawn({
            let flights = Arc::clone(&flights);
            async move {
                let work = || async move {
                    let _held = dropped;
                    let _ = started.send(());
                    std::future::pending::<()>().await;
                };
                flights.join(1, work).await
            }
        });
        has_started.await.unwrap();
        joined.abort();
        assert!(was_dropped.await.is_err());
    }

    #[tokio::test]
    async fn a_panic_is_no_value_and_leaves_no_flight() {
        let flights = Flights::<_, u8>::default();
        assert_eq!(flights.join(1, || async { panic!("work") }).await, None);
        assert!(lock(&flights.under_way).is_empty());
    }
}
