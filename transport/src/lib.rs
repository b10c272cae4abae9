//! UDP and TCP sockets, connections, the one clock, and the driver of the transaction machines of `sip`.
//!
//! [`Endpoint::bind`] opens the sockets, [`Bound::serve`] starts the tasks. The road of a message in:
//!
//! 1. a socket's task reads octets; `sip` frames and validates them, and what is invalid gets its verdict
//!    there (`arrival`);
//! 2. the message goes through a bounded queue to the one shard that owns its transaction: requests by a hash
//!    of what identifies them, responses by the shard that our branch names;
//! 3. the shard (`shard`), one task with a [`sip::transaction::Table`] of its own and no locks, gives it to
//!    the machine and does what comes out: sends octets, calls the [`Handler`], feeds a [`ClientTransaction`].
//!
//! The way out is the shard's: [`ServerTransaction::respond`] and [`Endpoint::request`] are orders in its
//! second queue. Time is tokio's clock everywhere, so that tests can pause it.
//!
//! Names become addresses in `resolve` (RFC 3263).
//!
//! Not here yet, and where it will go: TLS and WebSocket are variants of [`Protocol`] with a framing of their
//! own beside `stream`; STUN keep-alives (RFC 5626 §3.5.2)
//! are told from SIP by their first octet in `arrival`.

mod arrival;
mod client;
mod complaint;
mod config;
mod datagram;
mod endpoint;
mod error;
mod flow;
mod handler;
mod icmp;
mod inside;
mod metrics;
mod peer;
mod resolve;
mod server;
mod shard;
mod stream;
mod wiring;

pub use client::{ClientEvent, ClientTransaction};
pub use config::{Config, Listen};
pub use endpoint::{Bound, Endpoint};
pub use error::{BindError, TransportError};
pub use flow::{Destination, Flow, Protocol};
pub use handler::Handler;
pub use inside::may_reach;
pub use metrics::{Counter, Metrics};
pub use resolve::{
    Asker, DnsError, DnsOptions, DnsResolver, Family, LocateError, Lookup, LookupError, Naptr, Resolve, Srv,
    SystemResolver,
};
pub use server::ServerTransaction;
