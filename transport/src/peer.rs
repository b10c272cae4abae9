//! The other end of a transaction, and how a response finds its way back (RFC 3261 §18.2.2, RFC 3581 §4).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use sip::Via;

use crate::datagram::DatagramSocket;
use crate::stream::{Connection, Goal};
use crate::{Flow, Protocol};

/// Where the messages of one transaction go. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// From this socket. `source` is where the request came from, which is not always where its response goes.
    Datagram { socket: Arc<DatagramSocket>, source: SocketAddr, to: SocketAddr },
    /// Over this connection; when it is gone, over one to `otherwise`.
    Connection { connection: Arc<Connection>, otherwise: Option<Goal> },
    /// Over any connection to this goal.
    Stream { to: Goal },
}

impl Peer {
    /// The way back for a request that came as a datagram.
    pub(crate) fn of_datagram(
        socket: &Arc<DatagramSocket>,
        source: SocketAddr,
        via: Option<&Via<'_>>,
    ) -> Self {
        let to = via.map_or(source, |via| datagram_response(source, via));
        Peer::Datagram { socket: Arc::clone(socket), source, to }
    }

    /// The way back for a request that came over a connection. Deviation from RFC 3263 §5: when the address it came
    /// from takes no connection either, the name in sent-by is not looked up. Nobody proved that it is his, and
    /// whoever sends a request and goes would have us connect to whomever he names.
    pub(crate) fn of_connection(connection: &Arc<Connection>, via: Option<&Via<'_>>) -> Self {
        let protocol = connection.protocol();
        let port = via.and_then(Via::port).unwrap_or(protocol.default_port());
        let name = || via.map(Via::host).filter(|host| host.ip().is_none()).map(|host| host.to_string());
        let host = (protocol == Protocol::Tls).then(name).flatten();
        let otherwise = Goal::back(protocol, SocketAddr::new(connection.remote().ip(), port), host);
        Peer::Connection { connection: Arc::clone(connection), otherwise }
    }

    /// The flow of a request that came from there.
    pub(crate) fn flow(&self) -> Flow {
        match self {
            Peer::Datagram { socket, source, .. } => socket.flow(*source),
            Peer::Connection { connection, .. } => connection.flow(),
            Peer::Stream { to } => {
                let local = unspecified(to.addr().ip());
                Flow { protocol: to.protocol(), local, remote: to.addr(), id: 0 }
            }
        }
    }
}

/// The source: its port if `rport` asks for it, the port of sent-by otherwise. Deviation from RFC 3261 §18.2.2:
/// `maddr` is not looked at. It was made for requests sent to a multicast group, which we don't listen on; from
/// anyone else it would have our answers sent to whomever he names.
fn datagram_response(source: SocketAddr, via: &Via<'_>) -> SocketAddr {
    let port = via.port().unwrap_or(Protocol::Udp.default_port());
    // Nearly everyone sends from where it listens.
    if port == source.port() || via.rport().is_some() { source } else { SocketAddr::new(source.ip(), port) }
}

/// The address that says nothing, of the same family.
pub(crate) fn unspecified(like: IpAddr) -> SocketAddr {
    match like {
        IpAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        IpAddr::V6(_) => SocketAddr::from(([0u16; 8], 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response_to(via: &str) -> String {
        let via = Via::parse(via.as_bytes()).unwrap();
        datagram_response("192.0.2.7:40000".parse().unwrap(), &via).to_string()
    }

    #[test]
    fn rport_brings_the_response_to_the_source_port() {
        assert_eq!(response_to("SIP/2.0/UDP h:5070;rport;branch=z9hG4bK1"), "192.0.2.7:40000");
    }

    #[test]
    fn without_rport_the_response_goes_to_the_port_of_sent_by() {
        assert_eq!(response_to("SIP/2.0/UDP h:5070;branch=z9hG4bK1"), "192.0.2.7:5070");
        assert_eq!(response_to("SIP/2.0/UDP h;branch=z9hG4bK1"), "192.0.2.7:5060");
    }

    #[test]
    fn a_response_goes_to_whom_the_request_came_from_and_to_no_maddr() {
        for maddr in
            ["127.0.0.1", "10.0.0.7", "224.0.1.75", "192.0.2.9", "[2001:db8::1]", "proxy.example.com"]
        {
            let via = format!("SIP/2.0/UDP h:5070;maddr={maddr};branch=z9hG4bK1");
            assert_eq!(response_to(&via), "192.0.2.7:5070", "{maddr}");
            assert_eq!(response_to(&format!("{via};rport")), "192.0.2.7:40000", "{maddr}");
        }
    }
}
