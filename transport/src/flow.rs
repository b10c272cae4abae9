//! Where a message came from, and where one is to go.

use std::net::SocketAddr;
use std::sync::Arc;

/// What carries a message. What depends on the protocol elsewhere matches on this enum, so the compiler names
/// the places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Datagrams; messages may be lost, and the transactions send them again.
    Udp,
    /// A stream of messages.
    Tcp,
    /// The same below TLS.
    Tls,
    /// A WebSocket, one message in each of its messages (RFC 7118).
    Ws,
    /// The same below TLS.
    Wss,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// The name in a Via (RFC 3261 §20.42, RFC 7118 §5.1).
    pub const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The name in a `transport` parameter and in the config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// The protocol a `transport` parameter or a Via names, in any case.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether the transport repeats what was lost, so that transactions need not.
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls | Self::Ws | Self::Wss => true,
        }
    }

    /// Whether nobody on the way reads it.
    pub const fn is_secure(self) -> bool {
        match self {
            Self::Udp | Self::Tcp | Self::Ws => false,
            Self::Tls | Self::Wss => true,
        }
    }

    /// Whether each message comes in a WebSocket message of its own.
    pub const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// Whether we can open a way to an address with it. To a WebSocket client there is none but the connection
    /// it opened (RFC 7118 §5.3).
    pub const fn is_dialled(self) -> bool {
        match self {
            Self::Udp | Self::Tcp | Self::Tls => true,
            Self::Ws | Self::Wss => false,
        }
    }

    /// The port of an address that names none (RFC 3261 §19.1.2, RFC 7118 §5.5).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Over this flow and no other: a terminal behind a NAT is reached no other way. Fails when the
    /// connection is gone.
    Flow(Flow),
    /// To this address, over a connection that is open or a new one. A TLS server there must prove that it is
    /// this very address.
    Address {
        /// What carries it.
        protocol: Protocol,
        /// The other end.
        addr: SocketAddr,
    },
    /// As an address, which was found for a name: a TLS server there must prove that it may speak for that name
    /// (RFC 5922 §7.3). The other protocols prove nothing, and don't look at it.
    Named {
        /// What carries it.
        protocol: Protocol,
        /// The other end.
        addr: SocketAddr,
        /// The host of the URI that was to be reached, as it stood there before any DNS answer.
        name: Arc<str>,
    },
}

impl Destination {
    /// An address, with the name it was found for if there is one.
    pub fn to(protocol: Protocol, addr: SocketAddr, name: Option<&str>) -> Self {
        match name {
            Some(name) => Self::Named { protocol, addr, name: name.into() },
            None => Self::Address { protocol, addr },
        }
    }

    /// What carries it.
    pub const fn protocol(&self) -> Protocol {
        match self {
            Self::Flow(flow) => flow.protocol,
            Self::Address { protocol, .. } | Self::Named { protocol, .. } => *protocol,
        }
    }

    /// The other end.
    pub const fn remote(&self) -> SocketAddr {
        match self {
            Self::Flow(flow) => flow.remote,
            Self::Address { addr, .. } | Self::Named { addr, .. } => *addr,
        }
    }

    /// The same place by another protocol; a flow has no other.
    pub fn over(&self, protocol: Protocol) -> Option<Self> {
        match self {
            Self::Flow(_) => None,
            Self::Address { addr, .. } => Some(Self::Address { protocol, addr: *addr }),
            Self::Named { addr, name, .. } => {
                Some(Self::Named { protocol, addr: *addr, name: Arc::clone(name) })
            }
        }
    }
}
