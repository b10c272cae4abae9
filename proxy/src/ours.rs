//! Which hosts mean this server: the domains it is responsible for, and its own names and addresses.

use std::net::{IpAddr, SocketAddr};

use registrar::digest::Credentials;
use sip::{Host, Uri};
use transport::Protocol;

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

    /// The domain whose user a From claims to be; `None` for someone from elsewhere. A port, a dot at the end
    /// or another spelling of our address makes nobody a stranger: people read the rest.
    pub(crate) fn claimed(&self, from: &Uri, local: IpAddr) -> Option<&str> {
        let host = from.host_octets()?;
        let host = Host::parse(host.strip_suffix(b".").unwrap_or(host))?;
        let domain = self.domains.iter().find(|domain| host.is(domain));
        let first = || self.domains.first().filter(|_| self.is_own_name(host, local));
        domain.or_else(first).map(String::as_str)
    }

    /// The domain of ours whose realm those credentials are for.
    pub(crate) fn realm_of(&self, credentials: &[u8]) -> Option<&str> {
        let realm = Credentials::realm_of(credentials)?;
        self.domains.iter().map(String::as_str).find(|domain| domain.as_bytes() == &*realm)
    }

    /// The realm of those who claim to be nobody of ours.
    pub(crate) fn realm(&self) -> Option<&str> {
        self.domains.first().map(String::as_str)
    }

    fn is_own_name(&self, host: Host<'_>, local: IpAddr) -> bool {
        self.aliases.iter().any(|name| host.is(name))
            || host.ip().is_some_and(|ip| self.is_own_address(ip, local))
    }

    /// Whether that is an address of this machine, as far as our sockets tell.
    pub(crate) fn is_own_address(&self, ip: IpAddr, local: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip == local.to_canonical() || self.sockets.iter().any(|socket| socket.ip().to_canonical() == ip)
    }

    /// Whether we listen on that port.
    pub(crate) fn is_own_port(&self, port: u16) -> bool {
        self.sockets.iter().any(|socket| socket.port() == port)
    }

    fn listens(&self, ip: IpAddr, port: u16, local: IpAddr) -> bool {
        let (ip, local) = (ip.to_canonical(), local.to_canonical());
        self.sockets.iter().filter(|socket| socket.port() == port).any(|socket| {
            // A socket on every address of the machine: the one this request came to is ours for sure.
            socket.ip().to_canonical() == ip
                || (socket.ip().is_unspecified() && (ip == local || ip.is_loopback()))
        })
    }
}

/// A URI at which this server takes requests over that protocol; `user` ends with its `@`. A SIPS URI names what is above
/// TLS (RFC 5630 §3.1.4).
pub(crate) fn own_uri(user: &str, host: &str, protocol: Protocol, is_sips: bool) -> String {
    let scheme = if is_sips { "sips" } else { "sip" };
    let transport = match protocol {
        Protocol::Udp => "",
        Protocol::Tls if is_sips => "",
        Protocol::Wss if is_sips => ";transport=ws",
        other => return format!("{scheme}:{user}{host};transport={}", other.name()),
    };
    format!("{scheme}:{user}{host}{transport}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sips_uri_of_ours_names_what_is_above_tls() {
        let uri = |protocol, is_sips| own_uri("u@", "h:5061", protocol, is_sips);
        assert_eq!(uri(Protocol::Udp, false), "sip:u@h:5061");
        assert_eq!(uri(Protocol::Tls, false), "sip:u@h:5061;transport=tls");
        assert_eq!(uri(Protocol::Tls, true), "sips:u@h:5061");
        assert_eq!(uri(Protocol::Wss, true), "sips:u@h:5061;transport=ws");
    }

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
    fn a_sender_of_ours_is_known_by_any_port_a_dot_at_the_end_and_our_address() {
        let ours = Ours::new(
            &["example.com".into(), "example.org".into()],
            &["edge.example.com".into()],
            vec!["192.0.2.9:5060".parse().unwrap()],
        );
        let claimed = |uri: &str| ours.claimed(&uri.parse().unwrap(), "192.0.2.1".parse().unwrap());
        for uri in ["sip:j@Example.COM", "sips:j@example.com:9999", "sip:j@example.com.", "sip:example.com"] {
            assert_eq!(claimed(uri), Some("example.com"), "{uri}");
        }
        assert_eq!(claimed("sip:j@example.org"), Some("example.org"));
        for uri in
            ["sip:j@192.0.2.9:1", "sip:j@[::ffff:192.0.2.9]", "sip:j@192.0.2.1", "sip:j@edge.example.com:7"]
        {
            assert_eq!(claimed(uri), Some("example.com"), "{uri}");
        }
        for uri in ["sip:j@sub.example.com", "sip:j@example.net", "tel:+15551234", "sip:j@192.0.2.2"] {
            assert_eq!(claimed(uri), None, "{uri}");
        }
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
