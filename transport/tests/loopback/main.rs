//! The transport over real sockets on loopback. Where time matters it is tokio's, standing still until a test
//! moves it.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

mod certificates;
mod clock;
mod datagrams;
mod drain;
mod ends;
mod harness;
mod limits;
mod requests;
mod secure;
mod streams;
mod stun;
mod websocket;
mod workers;
