//! What a URI asks for before any lookup (RFC 3263 §4.1), and what we can speak.

use std::net::{IpAddr, SocketAddr};

use sip::{Host, Scheme, Uri};

use super::{Family, LocateError};
use crate::Protocol;

/// What a URI says about the way to its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// TARGET of RFC 3263 §4: the `maddr` if there is one, else the host.
    pub(crate) target: Target,
    /// Of the URI.
    pub(crate) port: Option<u16>,
    /// What the `transport` parameter asks for; over TLS with `sips`.
    pub(crate) protocol: Option<Protocol>,
    /// `sips`: nothing but TLS will do.
    pub(crate) secure: bool,
    /// Whom a TLS server must prove to be: the host of the URI if it is a name, never what DNS made of it
    /// (RFC 5922 §4).
    pub(crate) name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Address(IpAddr),
    /// In lower case, without the dot of the root.
    Name(String),
}

impl Question {
    /// Reads a SIP or SIPS URI.
    pub(crate) fn of(uri: &Uri) -> Result<Self, LocateError> {
        let host = uri.host().ok_or(LocateError::NoHost)?;
        let target = uri.param(b"maddr").and_then(Host::parse).unwrap_or(host);
        let secure = uri.scheme() == Scheme::Sips;
        let protocol = match uri.param(b"transport") {
            None => None,
            Some(name) => Some(protocol(name, secure)?),
        };
        Ok(Self {
            target: Target::of(target),
            port: uri.port(),
            protocol,
            secure,
            name: host.ip().is_none().then(|| canonical(&host)),
        })
    }
}

impl Target {
    pub(crate) fn of(host: Host<'_>) -> Self {
        host.ip().map_or_else(|| Self::Name(canonical(&host)), Self::Address)
    }
}

/// The protocol a `transport` parameter means. In a SIPS URI `tcp` is TLS over it, and nothing secure runs over
/// datagrams (RFC 3261 §26.2.2); `tls` in a SIP URI is deprecated there, and widely written.
fn protocol(name: &[u8], secure: bool) -> Result<Protocol, LocateError> {
    let named = Protocol::from_name(name).ok_or(LocateError::NoTransport)?;
    let protocol = match (named, secure) {
        (Protocol::Tcp | Protocol::Tls, true) => Protocol::Tls,
        (other, true) if !other.is_secure() => return Err(LocateError::NoTransport),
        (other, _) => other,
    };
    // To a WebSocket client there is no way but the connection it opened (RFC 7118 §5.3).
    if protocol.is_dialled() { Ok(protocol) } else { Err(LocateError::NoTransport) }
}

pub(crate) fn canonical(host: &Host<'_>) -> String {
    let mut name = host.to_string();
    name.make_ascii_lowercase();
    if name.len() > 1 && name.ends_with('.') {
        name.pop();
    }
    name
}

/// What we listen on: what a server may offer us, and the families of addresses we can send to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sockets(Vec<(Protocol, Family)>);

impl Sockets {
    pub(crate) fn new(listeners: impl IntoIterator<Item = (Protocol, SocketAddr)>) -> Self {
        Self(listeners.into_iter().map(|(protocol, addr)| (protocol, Family::of(addr.ip()))).collect())
    }

    pub(crate) fn speak(&self, protocol: Protocol) -> bool {
        protocol.is_dialled() && self.0.iter().any(|(of, _)| *of == protocol)
    }

    /// The families a protocol's sockets have, IPv6 first. Streams are dialled from any address: one without
    /// a listener of its own has the families of all.
    pub(crate) fn families(&self, protocol: Protocol) -> Vec<Family> {
        let own = self.speak(protocol) || protocol == Protocol::Udp;
        let has = |family| self.0.iter().any(|(of, known)| (!own || *of == protocol) && *known == family);
        [Family::V6, Family::V4].into_iter().filter(|family| has(*family)).collect()
    }

    /// The protocol where nothing says which: UDP for SIP, TLS for SIPS (RFC 3263 §4.1). A server of ours
    /// without UDP uses what it has.
    pub(crate) fn default_protocol(&self, secure: bool) -> Protocol {
        if secure {
            return Protocol::Tls;
        }
        let known = [Protocol::Udp, Protocol::Tcp, Protocol::Tls];
        known.into_iter().find(|protocol| self.speak(*protocol)).unwrap_or(Protocol::Udp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(uri: &str) -> Result<Question, LocateError> {
        Question::of(&uri.parse().unwrap())
    }

    #[test]
    fn the_transport_parameter_chooses_and_sips_makes_it_tls() {
        for (uri, protocol) in [
            ("sip:a@h", None),
            ("sips:a@h", None),
            ("sip:a@h;transport=UDP", Some(Protocol::Udp)),
            ("sip:a@h;transport=tcp", Some(Protocol::Tcp)),
            ("sip:a@h;transport=tls", Some(Protocol::Tls)),
            ("sips:a@h;transport=tcp", Some(Protocol::Tls)),
            ("sips:a@h;transport=tls", Some(Protocol::Tls)),
        ] {
            assert_eq!(question(uri).unwrap().protocol, protocol, "{uri}");
        }
        for uri in [
            "sips:a@h;transport=udp",
            "sip:a@h;transport=ws",
            "sips:a@h;transport=ws",
            "sip:a@h;transport=wss",
            "sip:a@h;transport=sctp",
        ] {
            assert_eq!(question(uri), Err(LocateError::NoTransport), "{uri}");
        }
    }

    #[test]
    fn maddr_is_asked_for_and_the_host_must_be_proved() {
        let question = question("sips:a@Example.COM.;maddr=192.0.2.7").unwrap();
        assert_eq!(question.target, Target::Address([192, 0, 2, 7].into()));
        assert_eq!(question.name.as_deref(), Some("example.com"));
    }

    #[test]
    fn without_a_word_on_it_the_protocol_is_one_we_have() {
        let sockets = |protocol| Sockets::new([(protocol, "127.0.0.1:0".parse().unwrap())]);
        assert_eq!(sockets(Protocol::Udp).default_protocol(false), Protocol::Udp);
        assert_eq!(sockets(Protocol::Tcp).default_protocol(false), Protocol::Tcp);
        assert_eq!(sockets(Protocol::Udp).default_protocol(true), Protocol::Tls);
    }

    #[test]
    fn families_are_those_of_our_sockets() {
        let addr = |text: &str| text.parse().unwrap();
        let sockets = Sockets::new([(Protocol::Udp, addr("127.0.0.1:0")), (Protocol::Tcp, addr("[::1]:0"))]);
        assert_eq!(sockets.families(Protocol::Udp), [Family::V4]);
        assert_eq!(sockets.families(Protocol::Tcp), [Family::V6]);
        assert_eq!(sockets.families(Protocol::Tls), [Family::V6, Family::V4]);
    }
}
