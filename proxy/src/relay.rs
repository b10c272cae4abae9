//! Who may send to domains that are not ours (`proxy.relay`, `[[peer]]`).
//!
//! The default lets no stranger through, so that a server with no configuration is no open relay. What
//! is sent to our own domains never asks here.

use std::net::{AddrParseError, IpAddr};
use std::str::FromStr;

/// `proxy.relay`: who may send to domains that are not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Relay {
    /// Users who proved who they are, and peers. Until digest authentication is built, peers alone.
    #[default]
    Authenticated,
    /// Peers.
    Trusted,
    /// Nobody.
    None,
}

/// What is known of the sender of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A trusted neighbour (`[[peer]]`).
    Peer,
    /// Anyone else.
    Stranger,
}

impl Relay {
    /// Whether a sender of that standing may send to other domains; else why not, for the sender to
    /// read.
    pub(crate) const fn permits(self, standing: Standing) -> Result<(), &'static str> {
        match (self, standing) {
            (Relay::Authenticated | Relay::Trusted, Standing::Peer) => Ok(()),
            (Relay::Authenticated, Standing::Stranger) => Err("Relaying needs authentication"),
            (Relay::Trusted, Standing::Stranger) => Err("Relaying is for trusted peers only"),
            (Relay::None, _) => Err("This server does not relay to other domains"),
        }
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
    fn only_peers_may_relay_and_nobody_when_it_is_off() {
        assert_eq!(Relay::default().permits(Standing::Peer), Ok(()));
        assert!(Relay::default().permits(Standing::Stranger).is_err());
        assert_eq!(Relay::Trusted.permits(Standing::Peer), Ok(()));
        assert!(Relay::Trusted.permits(Standing::Stranger).is_err());
        assert!(Relay::None.permits(Standing::Peer).is_err());
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
