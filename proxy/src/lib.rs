//! The road of a request: route, fork, adapt, forward, answer. Wires the rooms together.

pub mod breadth;
mod context;
mod inside;
mod local;
pub mod metrics;
pub mod pool;
pub mod redact;
mod refuse;
pub mod relay;
