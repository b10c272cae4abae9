//! The user of the transactions: what a proxy implements.

use sip::{Request, Response};

use crate::{Flow, ServerTransaction};

/// Gets what the shards receive. It is called on a shard's task: it must return at once and spawn what takes
/// time.
pub trait Handler: Send + Sync + 'static {
    /// A new request, once: repetitions are absorbed. Top Via has `received` and `rport` in whatever is made
    /// of it.
    fn request(&self, request: Request, transaction: ServerTransaction);

    /// Whether a new request is to be taken at all. One that is not is answered 503 with Retry-After, without a
    /// transaction: nothing is kept of it, so that refusing costs less than anything else that could be done.
    fn admits(&self, request: &Request, flow: Flow) -> bool {
        let _nobody_asks = (request, flow);
        true
    }

    /// An ACK for a 2xx, which has no transaction (RFC 3261 §17) and gets no answer.
    fn ack(&self, request: Request, flow: Flow) {
        drop((request, flow));
    }

    /// A CANCEL that matches no INVITE (one that does is answered 200 and seen by
    /// [`ServerTransaction::cancelled`]). Deviation from RFC 3261 §16.10, which lets a proxy forward it
    /// statelessly: every transaction of ours is stateful, so there is nothing to cancel, and the answer is
    /// 481 as from a UAS (§9.2).
    fn cancel(&self, request: Request, transaction: ServerTransaction) {
        let answer = sip::ResponseBuilder::to_request(&request, 481, "Call/Transaction Does Not Exist");
        transaction.respond(answer.encode());
    }

    /// A response that has our branch but no transaction any more. It must not be forwarded (RFC 6026 §8.2).
    fn stray_response(&self, response: Response, flow: Flow) {
        drop((response, flow));
    }

    /// A connection that messages may have come over takes no more requests: it ended, or its other end said
    /// that it ends. Called once for each, on the connection's task. Bindings of this flow reach nobody any
    /// more (RFC 5626 §4.2.2).
    fn closed(&self, flow: Flow) {
        let _nobody_asks = flow;
    }
}
