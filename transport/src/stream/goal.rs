//! Where a connection leads, and who must be at its other end. Two that differ in any of it are never shared.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::{Destination, Protocol, TransportError};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Goal {
    protocol: Protocol,
    addr: SocketAddr,
    /// Whom the other end must prove to be. Of TLS alone; without it its address.
    name: Option<Arc<str>>,
}

impl Goal {
    /// What a request is sent to.
    ///
    /// # Errors
    /// [`TransportError::FlowOnly`] for a WebSocket, to which nobody but its client opens a connection.
    pub(crate) fn of(destination: &Destination) -> Result<Self, TransportError> {
        let name = match destination {
            Destination::Named { name, .. } => Some(name),
            Destination::Flow(_) | Destination::Address { .. } => None,
        };
        let (protocol, addr) = (destination.protocol(), destination.remote());
        if !protocol.is_dialled() {
            return Err(TransportError::FlowOnly);
        }
        Ok(Self { protocol, addr, name: name.filter(|_| protocol == Protocol::Tls).cloned() })
    }

    /// Where responses go when the connection of their request is gone (RFC 3261 §18.2.2): the host in the Via
    /// is who has to prove it.
    pub(crate) fn back(protocol: Protocol, addr: SocketAddr, host: Option<String>) -> Option<Self> {
        let name = host.filter(|_| protocol == Protocol::Tls).map(Into::into);
        protocol.is_dialled().then_some(Self { protocol, addr, name })
    }

    /// What a connection that came in may be used for besides: a TCP one leads to where it came from, of the
    /// others nobody proved that they do.
    pub(super) fn of_accepted(protocol: Protocol, addr: SocketAddr) -> Option<Self> {
        (protocol == Protocol::Tcp).then_some(Self { protocol, addr, name: None })
    }

    pub(crate) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}
