//! Who may send to domains that are not ours (`proxy.relay`, `[[peer]]`).
//!
//! The default lets no stranger through, so that a server with no configuration is no open relay. What
//! is sent to our own domains never asks here.

use std::net::{AddrParseError, IpAddr};
use std::str::FromStr;

use registrar::UserName;

/// `proxy.relay`: who may send to domains that are not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Relay {
    /// Users who proved who they are, and peers.
    #[default]
    Authenticated,
    /// Peers.
    Trusted,
    /// Nobody.
    None,
}

/// What is known of the sender of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A trusted neighbour (`[[peer]]`).
    Peer,
    /// A user who proved the password.
    User(UserName),
    /// Anyone else.
    Stranger,
}

impl Relay {
    /// Whether a sender of that standing may send to other domains; else why not, for the sender to
    /// read.
    pub(crate) const fn permits(self, standing: &Standing) -> Result<(), &'static str> {
        match (self, standing) {
            (Relay::Authenticated | Relay::Trusted, Standing::Peer) => Ok(()),
            (Relay::Authenticated, Standing::User(_)) => Ok(()),
            (Relay::Trusted, Standing::User(_)) => Err("Relaying is for trusted peers only"),
            (Relay::Authenticated, Standing::Stranger) => Err("Relaying needs authentication"),
            (Relay::Trusted, Standing::Stranger) => Err("Relaying is for trusted peers only"),
            (Relay::None, _) => Err("This server does not relay to other domains"),
        }
    }
}

/// A trusted neighbour (`[[peer]]`). Where both are given, both must hold; with neither it is nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where its requests come from.
    pub network: Option<Network>,
    /// The domain its certificate speaks for (RFC 5922).
    pub tls_name: Option<String>,
}

impl Peer {
    /// Whether it is the one at `address` whose certificate speaks for `identities`.
    pub(crate) fn is(&self, address: IpAddr, identities: impl Fn() -> Vec<String>) -> bool {
        let named = |name: &String| identities().iter().any(|identity| identity.eq_ignore_ascii_case(name));
        (self.network.is_some() || self.tls_name.is_some())
            && self.network.is_none_or(|network| network.contains(address))
            && self.tls_name.as_ref().is_none_or(named)
    }
}

impl FromStr for Peer {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        Ok(Peer { network: Some(text.parse()?), tls_name: None })
    }
}

/// Addresses of a trusted neighbour: `192.0.2.0/24`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotANetwork {
    /// The part before the slash is no address.
    #[error("{0}: write an address like 192.0.2.7 or a network like 192.0.2.0/24")]
    Address(#[from] AddrParseError),
    /// The part after the slash is no number of bits of such an address.
    #[error("the prefix after the slash must be a number from 0 to {0}")]
    Prefix(u8),
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix.map(str::parse) {
            None => most,
            Some(Ok(bits)) if bits <= most => bits,
            Some(_) => return Err(NotANetwork::Prefix(most)),
        };
        Ok(Network { address, prefix })
    }
}

impl Network {
    /// Whether `address` lies in this network; an IPv4 address may come in its IPv6-mapped form.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(a)) => {
                same_prefix(u128::from(net.to_bits()), u128::from(a.to_bits()), 32, self.prefix)
            }
            (IpAddr::V6(net), IpAddr::V6(a)) => same_prefix(net.to_bits(), a.to_bits(), 128, self.prefix),
            _ => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, width: u8, prefix: u8) -> bool {
    (a ^ b).checked_shr(u32::from(width - prefix)).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_and_proven_users_may_relay_and_nobody_when_it_is_off() {
        let user = Standing::User(UserName::parse("john@example.com").unwrap());
        let (peer, stranger) = (Standing::Peer, Standing::Stranger);
        assert_eq!([&peer, &user].map(|who| Relay::default().permits(who)), [Ok(()); 2]);
        assert!(Relay::default().permits(&stranger).is_err());
        assert_eq!(Relay::Trusted.permits(&peer), Ok(()));
        assert!([&user, &stranger].into_iter().all(|who| Relay::Trusted.permits(who).is_err()));
        assert!([&peer, &user, &stranger].into_iter().all(|who| Relay::None.permits(who).is_err()));
    }

    #[test]
    fn a_peer_is_who_has_its_address_and_its_name() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let names = || vec!["presence.example.net".to_owned()];
        let of_network: Peer = "192.0.2.0/24".parse().unwrap();
        assert!(of_network.is(address("192.0.2.7"), Vec::new));
        assert!(!of_network.is(address("192.0.3.7"), names));
        let named = Peer { network: None, tls_name: Some("Presence.example.net".into()) };
        assert!(named.is(address("192.0.3.7"), names) && !named.is(address("192.0.3.7"), Vec::new));
        let both = Peer { network: of_network.network, ..named };
        assert!(both.is(address("192.0.2.7"), names));
        assert!(!both.is(address("192.0.3.7"), names) && !both.is(address("192.0.2.7"), Vec::new));
        assert!(!Peer { network: None, tls_name: None }.is(address("192.0.2.7"), names));
    }

    #[test]
    fn networks_contain_their_addresses_in_both_forms() {
        let net: Network = "192.0.2.0/24".parse().unwrap();
        assert!(net.contains("192.0.2.255".parse().unwrap()));
        assert!(net.contains("::ffff:192.0.2.1".parse().unwrap()));
        assert!(!net.contains("192.0.3.0".parse().unwrap()));
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains("8.8.8.8".parse().unwrap()));
        assert!("::/0".parse::<Network>().unwrap().contains("2001:db8::1".parse().unwrap()));
        let one: Network = "2001:db8::1".parse().unwrap();
        assert!(
            one.contains("2001:db8::1".parse().unwrap()) && !one.contains("2001:db8::2".parse().unwrap())
        );
    }

    #[test]
    fn what_is_no_network_is_refused_with_a_cure() {
        assert_eq!("192.0.2.0/33".parse::<Network>(), Err(NotANetwork::Prefix(32)));
        assert_eq!("::/129".parse::<Network>(), Err(NotANetwork::Prefix(128)));
        assert!(matches!("example.com".parse::<Network>(), Err(NotANetwork::Address(_))));
    }
}
