//! Presence documents, and the documents beside them: from octets to values and back. No clock, no sockets, no store.
//!
//! | what | where |
//! |---|---|
//! | PIDF, RPID, CIPID, the data model (RFC 3863, 4479, 4480, 4482) | [`Document`] |
//! | several publications made one | [`compose`] |
//! | external objects (BINPIDF, CPI.md §5) | [`Object`], [`multipart`] |
//! | what changed (RFC 5262) | [`partial`] |
//! | who watches, who is registered (RFC 3858, 3680) | [`watcherinfo`], [`reginfo`] |
//! | lists (RFC 4662, 4826) | [`rlmi`], [`lists`] |
//! | who may watch (RFC 5025) | [`rules`] |
//!
//! Everything is read by one reader (`reader`) that knows no DTD and no entities and stops at [`Limits`], into
//! elements (`tree`) that keep what they do not understand, and written by one writer.

mod compose;
mod error;
mod limits;
pub mod lists;
pub mod multipart;
pub mod namespace;
mod objects;
pub mod partial;
mod pidf;
mod reader;
pub mod reginfo;
pub mod rlmi;
pub mod rules;
mod tree;
pub mod validity;
pub mod view;
pub mod watcherinfo;
mod writer;

pub use compose::{Publication, compose};
pub use error::DocumentError;
pub use limits::Limits;
pub use objects::{Object, ObjectKind, Place, Target};
pub use pidf::{Document, Form};
