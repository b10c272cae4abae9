//! The handle of a server transaction.

use sip::Encoded;
use sip::transaction::Id;
use tokio_util::sync::CancellationToken;

use crate::Flow;
use crate::shard::{Order, Orders};

/// A request that wants its answer. Dropped without a final response it answers 500, unless it was
/// [`ServerTransaction::abandon`]ed.
#[derive(Debug)]
pub struct ServerTransaction {
    id: Id,
    orders: Orders,
    flow: Flow,
    cancelled: CancellationToken,
    repeated: bool,
    owes_final: std::sync::atomic::AtomicBool,
}

impl ServerTransaction {
    pub(crate) const fn new(
        id: Id,
        orders: Orders,
        flow: Flow,
        cancelled: CancellationToken,
        repeated: bool,
    ) -> Self {
        Self { id, orders, flow, cancelled, repeated, owes_final: std::sync::atomic::AtomicBool::new(true) }
    }

    /// Where the request came from; its responses go there.
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// Sends a response; its status line says which. What the transaction does not allow is not sent and
    /// counted: anything after a final response (but more 2xx to an INVITE), and to a non-INVITE request a 408
    /// and all provisional ones but 100 (RFC 4320).
    pub fn respond(&self, response: Encoded) {
        self.give(response, false);
    }

    /// As [`Self::respond`], of a final response that is not kept for repetitions of the request: they come as new
    /// requests, for which [`Self::is_repetition`] says so, and the user answers them as it did. For answers that
    /// are many and that their user can tell again without doing anything again.
    pub fn respond_once(&self, response: Encoded) {
        self.give(response, true);
    }

    /// Whether the request repeats one that was answered by [`Self::respond_once`].
    pub const fn is_repetition(&self) -> bool {
        self.repeated
    }

    fn give(&self, response: Encoded, once: bool) {
        use std::sync::atomic::Ordering::Relaxed;
        if !response.head.starts_with(b"SIP/2.0 1") {
            self.owes_final.store(false, Relaxed);
        }
        self.orders.give(Order::Respond { id: self.id, octets: response, once });
    }

    /// No answer will be given: for a non-INVITE request whose branches all timed out (RFC 4320 §4.2).
    pub fn abandon(self) {
        self.owes_final.store(false, std::sync::atomic::Ordering::Relaxed);
        self.orders.give(Order::Abandon { id: self.id });
    }

    /// Waits for a CANCEL, which was answered 200 already. The INVITE still wants its 487. Also ends when nobody
    /// waits for the answer any more: 64*T1 after any other request (RFC 4320 §3), or when no ACK came.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Whether what [`Self::cancelled`] waits for has come.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// The same as [`Self::cancelled`], for a task that does not hold the transaction.
    pub fn cancel_token(&self) -> CancellationToken {
        self.cancelled.clone()
    }
}

impl Drop for ServerTransaction {
    fn drop(&mut self) {
        if *self.owes_final.get_mut() {
            self.orders.give(Order::Fail { id: self.id });
        }
    }
}
