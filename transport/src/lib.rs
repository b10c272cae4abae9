//! UDP and TCP sockets, connections, the one clock, and the driver of the transaction machines of `sip`.
//!
//! [`Endpoint::bind`] opens the sockets, [`Bound::serve`] starts the tasks. The road of a message in:
//!
//! 1. a shard reads its UDP sockets, a connection's task its connection; `sip` frames and validates the octets,
//!    and what is invalid gets its verdict there (`arrival`);
//! 2. the message goes to the one shard that owns its transaction, through a bounded queue if that is another:
//!    requests by a hash of what identifies them, responses by the shard that our branch names;
//! 3. the shard (`shard`), one task with a [`sip::transaction::Table`] of its own and no locks, gives it to
//!    the machine and does what comes out: sends octets, calls the [`Handler`], feeds a [`ClientTransaction`].
//!
//! The way out is the shard's: [`ServerTransaction::respond`] and [`Endpoint::request`] are orders in its
//! second queue. Time is tokio's clock everywhere, so that tests can pause it.
//!
//! Names become addresses in `resolve` (RFC 3263). TLS and WebSocket stand below and inside `stream`: `tls` has
//! the certificates and the rules of RFC 5922, `stream::websocket` the frames.

mod arrival;
mod batch;
mod client;
mod clock;
mod complaint;
mod config;
mod datagram;
mod endpoint;
mod error;
mod flow;
mod handler;
mod icmp;
mod inside;
mod mailbox;
mod metrics;
mod peer;
mod resolve;
mod server;
mod shard;
mod stream;
mod stun;
mod tls;
mod wiring;

pub use client::{ClientEvent, ClientTransaction};
pub use clock::now;
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
pub use stream::{UpgradeRefused, judge_upgrade};
pub use tls::{Audience, Shaken, TlsError, TlsFiles};
