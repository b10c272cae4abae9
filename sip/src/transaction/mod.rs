//! Transactions, sans-IO: RFC 3261 §17 as changed by RFC 6026 (INVITE) and RFC 4320 (non-INVITE).
//!
//! The clock, the messages and the timers come in as arguments; what is to be done comes out. The loop is the
//! same for one machine and for a [`Table`] of them:
//!
//! 1. give it an input (`on_request`, `on_response`, `respond`, `on_timeout(now)`, ...),
//! 2. `poll` until nothing is left, and do what it says,
//! 3. come back at `deadline()` with `on_timeout`, or before it with the next input.
//!
//! The four machines are [`InviteClient`], [`InviteServer`], [`NonInviteClient`] and [`NonInviteServer`].
//! They know no message: they are generic over the octets they send again. A [`Table`] finds the machine a
//! message belongs to (§17.1.3, §17.2.3), keeps their timers and bounds their number.

mod event;
mod hop;
mod invite_client;
mod invite_server;
mod key;
mod machine;
mod non_invite_client;
mod non_invite_server;
mod queue;
mod slab;
mod spent;
mod table;
mod timers;
mod turn;

pub use event::{Event, Full, Sending, Settings};
pub use hop::{ack, cancel};
pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use key::{affinity, branch, shard_of};
pub use non_invite_client::NonInviteClient;
pub use non_invite_server::NonInviteServer;
pub use slab::Id;
pub use table::Table;
pub use timers::Timers;
pub use turn::{Action, RespondError, Turn};
