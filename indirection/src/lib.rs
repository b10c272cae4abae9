//! The content store, its links, and the HTTP GET that adapts (RFC 4483, CPI.md §4 C1-C5).
//!
//! What a terminal can't take in a message is [put](ContentStore::put) here as it came and named by a [`Link`]. The
//! store keeps the original octets; [`router`] serves `/c/{token}` and adapts by the capabilities in the fetch
//! (CPI.md §3.7 I3). What enters: octets of any kind and length, and HTTP requests of strangers.
//!
//! On disk, below the folder given to [`ContentStore::open`]: `blobs/` (each content once, named by its SHA-256),
//! `links/` (one record a link, named by the SHA-256 of its token), `tmp/`, and variants that were made. A SMIL's variant
//! names its parts by their links, so the folder is as private as what lies in it: its owner's alone.

mod breaker;
mod cache;
mod content;
mod error;
mod flight;
mod home;
mod http;
mod place;
mod pool;
mod put;
mod record;
mod shelf;
mod state;
mod store;
mod tally;
mod token;
mod variant;
mod workshop;

pub use breaker::Breaker;
pub use content::{Content, Link};
pub use error::{OpenError, PutError, ShelfError};
pub use http::{Fetching, Late, adapting, content_digest, router};
pub use place::{Bucket, Place, PlaceError};
pub use record::Record;
pub use store::{ContentStore, Lookup, Options, Swept, Usage};
pub use token::Token;
pub use workshop::Workshop;
