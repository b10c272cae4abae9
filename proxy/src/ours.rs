//! Which hosts mean this server: the domains it is responsible for, and its own names and addresses.

use std::net::{IpAddr, SocketAddr};

use sip::{Host, Uri};

/// What [`Ours`] says of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// One of our domains: its users are looked up here.
    Domain,
    /// This server by its own name or address.
    Server,
    /// Elsewhere.
    Foreign,
}

/// The hosts that mean this server.
#[derive(Clone, Debug)]
pub(crate) struct Ours {
    domains: Vec<String>,
    aliases: Vec<String>,
    sockets: Vec<SocketAddr>,
}

impl Ours {
    /// Domains and aliases of the configuration, sockets as bound.
    pub(crate) fn new(domains: &[String], aliases: &[String], sockets: Vec<SocketAddr>) -> Ours {
        Ours { domains: domains.to_vec(), aliases: aliases.to_vec(), sockets }
    }

    /// Where `uri` points; `local` is our end of the flow it came on.
    pub(crate) fn place(&self, uri: &Uri, local: IpAddr) -> Place {
        let Some(host) = uri.host() else { return Place::Foreign };
        self.place_of(host, uri.port(), local)
    }

    /// As [`Ours::place`], of a host and a port.
    pub(crate) fn place_of(&self, host: Host<'_>, port: Option<u16>, local: IpAddr) -> Place {
        // A domain with a port is a host that listens there: ours only if we do.
        let listened = |port| self.sockets.iter().any(|socket| socket.port() == port);
        let named = |names: &[String]| names.iter().any(|name| host.is(name));
        if named(&self.domains) && port.is_none_or(listened) {
            return Place::Domain;
        }
        let by_alias = named(&self.aliases) && port.is_none_or(listened);
        let by_address = host.ip().is_some_and(|ip| self.listens(ip, port.unwrap_or(5060), local));
        if by_alias || by_address { Place::Server } else { Place::Foreign }
    }

    fn listens(&self, ip: IpAddr, port: u16, local: IpAddr) -> bool {
        self.sockets.iter().filter(|socket| socket.port() == port).any(|socket| {
            // A socket on every address of the machine: the one this request came to is ours for sure.
            socket.ip() == ip || (socket.ip().is_unspecified() && (ip == local || ip.is_loopback()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(uri: &str) -> Place {
        let sockets = vec!["0.0.0.0:5060".parse().unwrap(), "192.0.2.9:5070".parse().unwrap()];
        let ours = Ours::new(&["Example.com".into()], &["edge.example.com".into()], sockets);
        ours.place(&uri.parse().unwrap(), "192.0.2.1".parse().unwrap())
    }

    #[test]
    fn a_domain_is_ours_in_any_case_and_with_a_port_we_listen_on() {
        assert_eq!(place("sip:john@EXAMPLE.com"), Place::Domain);
        assert_eq!(place("sip:john@example.com:5070"), Place::Domain);
        assert_eq!(place("sip:john@example.com:5080"), Place::Foreign);
        assert_eq!(place("sip:john@sub.example.com"), Place::Foreign);
    }

    #[test]
    fn our_addresses_are_ours_on_our_ports_only() {
        assert_eq!(place("sip:192.0.2.1"), Place::Server);
        assert_eq!(place("sip:192.0.2.1:5061"), Place::Foreign);
        assert_eq!(place("sip:192.0.2.9:5070"), Place::Server);
        assert_eq!(place("sip:192.0.2.8"), Place::Foreign);
        assert_eq!(place("sip:edge.example.com;lr"), Place::Server);
        assert_eq!(place("tel:+1234"), Place::Foreign);
    }
}
