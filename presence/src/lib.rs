//! Presence and the events beside it: what a PUBLISH leaves, who watches it, and what each watcher is told.
//!
//! The room is pure: what came and what time it is go in; what to answer, what to send and what to keep come out.
//! RFC 3856, 3857, 3858, 3680, 3903, 4662, 5262, 5263 and 6665; CPI.md 5 and 6.7.

pub mod document;
