//! SIP messages as octets with an index, URIs, and sans-IO transactions. Pure: octets and the clock come in
//! as arguments.
//!
//! The road of a message: [`frame`] cuts it out of a datagram or a stream and indexes its header lines,
//! [`validate`] makes a [`Request`] or a [`Response`] of it or says what is wrong ([`Invalid`], whose
//! [`Invalid::verdict`] is the one place where defects become answers), [`Outgoing`] holds what a proxy
//! changes and encodes it once. Nothing on this road copies a body.
//!
//! ```
//! use sip::{Framed, Limits, Message, Outgoing};
//! let octets = b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
//!     From: <sip:b@h>;tag=1\r\nTo: <sip:a@example.com>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n";
//! let Framed::Message(raw) = sip::frame::datagram(octets[..].into(), &Limits::default())? else { panic!() };
//! let Message::Request(request) = sip::validate(raw, &Limits::default())? else { panic!() };
//! let mut outgoing = Outgoing::from(&request);
//! outgoing.push_via("SIP/2.0/UDP proxy.example.com;branch=z9hG4bK2");
//! assert!(outgoing.encode().head.starts_with(b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP proxy"));
//! # Ok::<(), sip::Invalid>(())
//! ```

mod address;
mod answer;
mod build;
mod cursor;
mod encoded;
pub mod frame;
mod header;
mod host;
mod index;
mod invalid;
mod length;
mod limits;
mod message;
mod method;
mod outgoing;
mod raw;
mod relayed;
mod scan;
mod span;
pub mod transaction;
mod uri;
mod validate;
mod via;
#[cfg(feature = "rsip")]
mod vocabulary;

pub use address::{AddressError, Contact, NameAddr};
pub use answer::{Answerable, ResponseBuilder};
pub use build::RequestBuilder;
pub use encoded::Encoded;
pub use frame::{FrameError, Framed, StreamFramer};
pub use header::{Header, HeaderId, Name};
pub use host::{Host, write_ip};
pub use invalid::{Invalid, Kind, Verdict};
pub use limits::Limits;
pub use message::{Message, Request, Response};
pub use method::{CSeq, Method};
pub use outgoing::Outgoing;
pub use raw::{Carrier, RawMessage};
pub use uri::{Scheme, Uri, UriError};
pub use validate::{admit, validate};
pub use via::Via;
#[cfg(feature = "rsip")]
pub use vocabulary::VocabularyError;
