//! Capabilities and preference information (CPI) of a terminal: parse, match, merge. Pure.
//!
//! Sections 0, 1 and 2 of CPI.md, the digest of draft-coulombe-message-adaptation-framework-00:
//!
//! | question | module |
//! |---|---|
//! | what did the terminal say? | [`model`], [`feature`] |
//! | Accept and its companions (§1.1, §1.2) | [`decode`] |
//! | RFC 2533 expressions (§1.3) | [`expr`] |
//! | Contact parameters (§1.4, §1.5) | [`contact`] |
//! | which of several sources counts (§1.7) | [`merge`], [`profile`] |
//! | may this item be shown, and how small must it be? (§2) | [`matching`] |
//! | which of several contacts does the caller want? (F6, RFC 3841) | [`caller`] |
//! | writing it again | [`render`], [`index`] |
//!
//! Input is header values of any octets. Nothing here fails on them: what can't be read is left out and
//! named by a [`Diag`].

pub mod caller;
pub mod contact;
pub mod decode;
pub mod diag;
mod entry;
pub mod expr;
mod extension;
pub mod feature;
pub mod index;
pub mod matching;
pub mod merge;
pub mod model;
pub mod profile;
pub mod render;
mod value;

pub use contact::ContactCpi;
pub use diag::Diag;
pub use expr::Expression;
pub use extension::Extensions;
pub use feature::{Features, Term};
pub use model::{Cpi, Interval, MediaEntry, Preference, Q_MAX, Source, WholeLimit};
