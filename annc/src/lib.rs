//! The announcement service of a media server (RFC 4240 §3), with mail parts as announcements
//! (draft-cook-lemonade-streaming, RFC 5616): an INVITE for `annc` whose Request-URI says what to play is answered when
//! that was fetched and decoded, and played as RTP after the ACK.
//!
//! | stage | value | where |
//! |---|---|---|
//! | ordered | [`order::Order`] of the Request-URI | `order` |
//! | fetched | [`source::Content`], from a place that is allowed | `source` |
//! | looked at | [`clip::Clip`]: what it can be sent as | `clip` |
//! | agreed | [`sdp::Agreement`] of an offer and that | `sdp` |
//! | made | [`rtp::Track`]: its packets | `clip`, `rtp` |
//! | answered | a 200, and a [`Call`] | `desk` |
//! | played | packets at their time | `rtp` |
//!
//! No SIP is sent here: [`Annc`] gives answers, a [`Call`] says which requests it wants to be sent.

mod call;
pub mod clip;
mod desk;
pub mod dialog;
mod effort;
mod form;
mod memory;
pub mod order;
mod picture;
mod refusal;
pub mod rtp;
pub mod sdp;
mod settings;
pub mod source;
#[cfg(test)]
mod testing;

pub use call::{Call, Say, Unacked};
pub use desk::{Accepted, Annc, Answered, Meeting, Open};
pub use form::Form;
pub use lemonade::TlsMode;
pub use refusal::{Refusal, Verdict};
pub use settings::{Settings, StartError, TrustError, trust};
