//! The registrar as its users see it: requests in, outcomes and bindings out, over a store on disk.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests and their helpers")]

mod capabilities;
mod clock;
mod concurrency;
mod feed;
mod gruu;
mod hostile;
mod memory;
mod model;
mod outbound;
mod register;
mod support;
