//! Transactions under a simulated clock: every timer of RFC 3261 annex A at its exact instants, and two tables
//! against each other over a network that delays and loses.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod invite;
mod non_invite;
mod pair;
mod simulated;
mod table;
