//! What goes into a table and what comes out.

use super::{Id, Timers};
use crate::{Encoded, Request, Response};

/// How a table works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Values of the timers.
    pub timers: Timers,
    /// Transactions at a time; a request beyond them is answered 503 without one.
    pub transactions: usize,
    /// Retry-After of that 503, in seconds.
    pub retry_after: u32,
}

/// No room for one more transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("as many transactions as are allowed")]
pub struct Full;

/// A request of ours that is to have a transaction.
#[derive(Debug)]
pub struct Sending<'a, P> {
    /// Its method.
    pub method: &'a [u8],
    /// The branch in its top Via.
    pub branch: &'a [u8],
    /// The whole message.
    pub octets: Encoded,
    /// Where it goes.
    pub peer: P,
    /// Whether the transport repeats what was lost.
    pub reliable: bool,
}

/// What a table wants done. `P` says where the other end of a transaction is.
#[derive(Debug)]
pub enum Event<P> {
    /// Send these octets. `id` is whom to blame an error on ([`super::Table::on_transport_error`]).
    Send {
        /// The transaction, if the message belongs to one.
        id: Option<Id>,
        /// The message.
        octets: Encoded,
        /// Where to.
        peer: P,
    },
    /// A new request with its transaction. A CANCEL that matches no INVITE comes this way too.
    Request {
        /// Its transaction.
        id: Id,
        /// The request.
        request: Box<Request>,
    },
    /// An ACK for a 2xx, which belongs to no transaction (RFC 3261 §17).
    Ack {
        /// The ACK.
        request: Box<Request>,
    },
    /// This INVITE got a CANCEL, which was answered 200.
    Cancelled {
        /// The INVITE's transaction.
        id: Id,
    },
    /// A response to a request of ours.
    Response {
        /// The request's transaction.
        id: Id,
        /// The response.
        response: Box<Response>,
    },
    /// A response that belongs to nothing. It must not be forwarded (RFC 6026 §8.2).
    Stray {
        /// The response.
        response: Box<Response>,
    },
    /// No final response (client), no ACK or no answer of the user (server) in time.
    Expired {
        /// The transaction.
        id: Id,
    },
    /// The transport failed this transaction.
    Failed {
        /// The transaction.
        id: Id,
    },
    /// A request was answered 503 because the table is full or draining.
    Refused,
    /// The transaction is over. Once this event is taken its id names nothing.
    Ended {
        /// The transaction.
        id: Id,
    },
}
