//! The IMAP words of a client that fetches a part of a mail by its URL: IMAP URLs (RFC 5092, RFC 4467, RFC 5593),
//! and URLFETCH (RFC 4467, RFC 5524) with what comes before it: greeting, STARTTLS, CAPABILITY, authentication.
//!
//! [`Session`] is the protocol without a socket: octets in, octets out. [`Connection`] drives one over TCP and TLS,
//! and [`Connections`] keeps those that have nothing to do. Time is the caller's: every wait here ends when the
//! future is dropped, and what a deadline cut off is closed, never used again.

mod capability;
mod connection;
mod connections;
mod encoding;
mod fault;
mod fetched;
mod reply;
mod session;
mod url;
mod word;

pub use capability::Capabilities;
pub use connection::{Connection, Server, TlsMode};
pub use connections::Connections;
pub use encoding::{Encoding, EncodingError};
pub use fault::FetchError;
pub use fetched::{Fetched, Part};
pub use reply::{Limits, Reader, Reply, ReplyError};
pub use session::{Login, Session, Step, Want};
pub use url::{Access, ImapUrl, UrlError};
pub use word::{Word, WordError, words};
