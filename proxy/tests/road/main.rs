//! The proxy between user agents, over real loopback sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod adapting;
mod announcing;
mod calling;
#[expect(dead_code, reason = "others need all of it")]
#[path = "../../../transport/tests/loopback/certificates.rs"]
mod certificates;
mod edging;
mod failing_over;
mod offline;
mod overloading;
mod preferring;
mod redirecting;
mod relaying;
mod routing;
mod searching;
mod support;
mod timing;
mod trust;
