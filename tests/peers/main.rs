//! The built program beside programs that others wrote: SIPp, OpenSSL and Python's websockets as phones,
//! Kamailio as a neighbour, strace and prlimit as witnesses. `./test --no-peers` leaves these out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step here is a failed test"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod peer;
