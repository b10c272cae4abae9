//! RTP out (RFC 3550, RFC 3551) and what comes back of it: packets, reports, encryption, and when each leaves.
//!
//! [`Track`] is what is played, cut into packets before the first leaves. [`Sender`] is one stream of it without a
//! socket or a clock. [`Pacer`] is the one thread that sends them all, by a wheel of timers.

mod pacer;
mod packet;
mod payload;
mod ports;
mod rtcp;
mod sender;
mod srtp;
mod track;
mod wheel;

pub use pacer::{Change, Event, Pacer, PacerError, Playing, Stage};
pub use payload::Packetizer;
pub use ports::{Ports, Sockets};
pub use rtcp::{Report, is_rtcp};
pub use sender::{Plan, Sender};
pub use srtp::{Protector, SrtpError};
pub(crate) use track::rate;
pub use track::{Packet, Track};
