//! What can go wrong, named by who is to blame.

use std::io;
use std::net::SocketAddr;

use crate::Protocol;

/// Why the sockets could not be opened: the config or the machine is to blame.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Nothing to listen on.
    #[error("no listen address is given")]
    NoListeners,
    /// The certificates can't be used.
    #[error(transparent)]
    Tls(#[from] crate::TlsError),
    /// TLS is to be served without a certificate.
    #[error("{}:{addr}: needs a certificate and its key", protocol.name())]
    NoCertificate {
        /// What was to be opened.
        protocol: Protocol,
        /// Where.
        addr: SocketAddr,
    },
    /// The address can't be had.
    #[error("{}:{addr}: {source}", protocol.name())]
    Listen {
        /// What was to be opened.
        protocol: Protocol,
        /// Where.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a message did not get out. The transaction's user treats it as a 503 of that destination
/// (RFC 3261 §16.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The other end refuses: a TCP reset, or ICMP port unreachable.
    #[error("refused by the destination")]
    Refused,
    /// No way there: ICMP host or network unreachable.
    #[error("the destination can't be reached")]
    Unreachable,
    /// Too long for a datagram.
    #[error("the message is too long for this transport")]
    MessageTooLong,
    /// The connection did not open in time.
    #[error("connecting took too long")]
    ConnectTimeout,
    /// The other end does not read.
    #[error("the other end takes no octets")]
    WriteTimeout,
    /// The flow's connection is gone.
    #[error("the flow is closed")]
    FlowClosed,
    /// The queue of this destination or of this server is full.
    #[error("a queue is full")]
    QueueFull,
    /// No listener of this protocol and address family to send from.
    #[error("no socket for this destination")]
    NoSocket,
    /// As many connections or transactions as the config allows.
    #[error("the limit of connections or transactions is reached")]
    Limit,
    /// A WebSocket client is reached over the connection it opened and no other (RFC 7118).
    #[error("nobody opens a connection to a WebSocket client")]
    FlowOnly,
    /// The TLS handshake came to nothing.
    #[error("the TLS handshake failed")]
    Handshake,
    /// The other end could not prove that it is who was to be reached (RFC 5922).
    #[error("the certificate of the other end is not trusted for this name")]
    Untrusted,
    /// What else the system said.
    #[error("input or output failed: {0}")]
    Io(io::ErrorKind),
}

impl From<&io::Error> for TransportError {
    fn from(error: &io::Error) -> Self {
        /// EMSGSIZE, which std has no kind for on the minimum version.
        const MESSAGE_TOO_LONG: i32 = 90;
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            io::ErrorKind::TimedOut => Self::WriteTimeout,
            _ if error.raw_os_error() == Some(MESSAGE_TOO_LONG) => Self::MessageTooLong,
            kind => Self::Io(kind),
        }
    }
}
