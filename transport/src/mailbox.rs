//! A bounded queue from a shard to the one who waits for a transaction: a lock, a queue that allocates for what is in
//! it, and one waker. Tokio's channel makes room for 32 values and half a kilobyte of its own for each transaction.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    limit: usize,
    waker: Option<Waker>,
    senders: usize,
    heard: bool,
}

type Shared<T> = Arc<Mutex<State<T>>>;

/// An end that gives. Clones give to the same one.
#[derive(Debug)]
pub(crate) struct Sender<T>(Shared<T>);

/// The end that takes.
#[derive(Debug)]
pub(crate) struct Receiver<T>(Shared<T>);

/// There was no room, or nobody listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

/// A mailbox for that many values.
pub(crate) fn mailbox<T>(limit: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { queue: VecDeque::new(), limit, waker: None, senders: 1, heard: true };
    let shared = Arc::new(Mutex::new(state));
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

fn lock<T>(shared: &Shared<T>) -> MutexGuard<'_, State<T>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Sender<T> {
    pub(crate) fn give(&self, value: T) -> Result<(), Refused> {
        let mut state = lock(&self.0);
        if !state.heard {
            return Err(Refused::Closed);
        }
        if state.queue.len() >= state.limit {
            return Err(Refused::Full);
        }
        state.queue.push_back(value);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// How many more values there is room for.
    pub(crate) fn room(&self) -> usize {
        let state = lock(&self.0);
        state.limit.saturating_sub(state.queue.len())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        lock(&self.0).senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.senders -= 1;
        let waker = if state.senders == 0 { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Receiver<T> {
    /// The next value; `None` once no sender is left and all was taken. Dropped before it is ready it takes
    /// nothing.
    pub(crate) async fn take(&mut self) -> Option<T> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Option<T>> {
        let mut state = lock(&self.0);
        if let Some(value) = state.queue.pop_front() {
            return Poll::Ready(Some(value));
        }
        if state.senders == 0 {
            return Poll::Ready(None);
        }
        if !state.waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            state.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.heard = false;
        let unheard = std::mem::take(&mut state.queue);
        // What is dropped may have something to say.
        drop(state);
        drop(unheard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_given_is_taken_in_order_and_then_the_end() {
        let (sender, mut receiver) = mailbox(2);
        assert_eq!((sender.give(1), sender.give(2), sender.give(3)), (Ok(()), Ok(()), Err(Refused::Full)));
        assert_eq!(receiver.take().await, Some(1));
        assert_eq!(sender.room(), 1);
        drop(sender);
        assert_eq!((receiver.take().await, receiver.take().await), (Some(2), None));
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_a_value_and_by_the_last_sender_that_goes() {
        let (sender, mut receiver) = mailbox(1);
        let other = sender.clone();
        let waiting = tokio::spawn(async move { (receiver.take().await, receiver.take().await) });
        tokio::task::yield_now().await;
        sender.give(7).unwrap();
        drop(sender);
        tokio::task::yield_now().await;
        drop(other);
        assert_eq!(waiting.await.unwrap(), (Some(7), None));
    }

    #[test]
    fn nothing_is_kept_for_one_who_does_not_listen() {
        let (sender, receiver) = mailbox(1);
        let value = Arc::new(());
        sender.give(Arc::clone(&value)).unwrap();
        drop(receiver);
        assert_eq!(sender.give(Arc::clone(&value)), Err(Refused::Closed));
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
