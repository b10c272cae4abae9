//! Where a message came from, and where one is to go.

use std::net::SocketAddr;

/// What carries a message. TLS, WebSocket and secure WebSocket get their variants here; what depends on the
/// protocol elsewhere matches on this enum, so the compiler names the places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Datagrams; messages may be lost, and the transactions send them again.
    Udp,
    /// A stream of messages.
    Tcp,
}

impl Protocol {
    /// The name in a Via (RFC 3261 §20.42).
    pub const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// The name in a `transport` parameter and in the config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// The protocol a `transport` parameter or a Via names, in any case.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::Udp, Self::Tcp].into_iter().find(|p| p.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether the transport repeats what was lost, so that transactions need not.
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp => true,
        }
    }

    /// The port of an address that names none (RFC 3261 §19.1.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
        }
    }
}

/// The two ends a message travelled between (RFC 5626 §2). For a connection `id` names this very connection,
/// so that a flow that was closed is never taken for a newer one between the same addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// What carries it.
    pub protocol: Protocol,
    /// Our end.
    pub local: SocketAddr,
    /// The other end, as seen on the socket.
    pub remote: SocketAddr,
    /// Of the connection; of the socket for UDP.
    pub id: u64,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Over this flow and no other: a terminal behind a NAT is reached no other way. Fails when the
    /// connection is gone.
    Flow(Flow),
    /// To this address, over a connection that is open or a new one.
    Address {
        /// What carries it.
        protocol: Protocol,
        /// The other end.
        addr: SocketAddr,
    },
}

impl Destination {
    /// What carries it.
    pub const fn protocol(&self) -> Protocol {
        match self {
            Self::Flow(flow) => flow.protocol,
            Self::Address { protocol, .. } => *protocol,
        }
    }

    /// The other end.
    pub const fn remote(&self) -> SocketAddr {
        match self {
            Self::Flow(flow) => flow.remote,
            Self::Address { addr, .. } => *addr,
        }
    }
}
