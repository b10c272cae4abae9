//! The marks in the Record-Route URIs this server writes (RFC 3261 §16.6 step 4).
//!
//! Each request that makes a dialog gets two, one for the side it came from and one for the side it goes to
//! (RFC 5658): a request of the dialog names both, and the one it names last says where it goes. A mark holds
//! that side's address and flow, so that a phone behind a NAT is found again over the connection it made
//! (RFC 5626 §4.3), and it binds them to one Call-ID under a key only this server knows: whoever sees it can
//! have his requests of that dialog taken to the other side of it, and nowhere else. Without a mark, anyone
//! could write our name in a Route and be relayed anywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use transport::{Flow, Protocol};

/// Octets of the seal, 96 bits.
const SEAL: usize = 12;

/// Characters of the longest mark: seal, kind, IPv6 address, port, flow, in base64.
const LONGEST: usize = (SEAL + 1 + 16 + 2 + 8) * 4 / 3;

/// The key of the marks. Dialogs set up under another key are not recognised: give every server of one
/// domain the same, and keep it over restarts.
#[derive(Clone)]
pub struct RouteKey([u8; 32]);

/// One side of a dialog, as a mark keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Side {
    /// What carried the request that made the dialog on this side.
    pub(crate) protocol: Protocol,
    /// The next element on this side, as it was seen.
    pub(crate) remote: SocketAddr,
    /// The flow to it, if there is one.
    pub(crate) flow: Option<u64>,
    /// Whether there is no other way to it than that flow.
    pub(crate) only_flow: bool,
}

impl Side {
    /// The flow to this side. Our end of it follows from its id.
    pub(crate) fn flow(&self) -> Option<Flow> {
        let local = match self.remote.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let id = self.flow?;
        Some(Flow { protocol: self.protocol, local: SocketAddr::new(local, 0), remote: self.remote, id })
    }

    /// `kind address port [flow]`; the kind says which protocol, family and what follows.
    fn octets(&self) -> Vec<u8> {
        let protocol = Protocol::ALL.iter().position(|p| *p == self.protocol).unwrap_or_default();
        let flags = [(self.remote.is_ipv6(), IPV6), (self.flow.is_some(), FLOW), (self.only_flow, ONLY)];
        let kind = flags.iter().filter(|(set, _)| *set).fold(0, |kind, (_, bit)| kind | bit);
        let mut octets = vec![kind | u8::try_from(protocol).unwrap_or_default()];
        match self.remote.ip() {
            IpAddr::V4(ip) => octets.extend(ip.octets()),
            IpAddr::V6(ip) => octets.extend(ip.octets()),
        }
        octets.extend(self.remote.port().to_be_bytes());
        if let Some(id) = self.flow {
            // Leading zeros say nothing; ids of datagram sockets are small.
            let id = id.to_be_bytes();
            let zeros = id.iter().take_while(|octet| **octet == 0).count();
            octets.extend(id.get(zeros..).unwrap_or_default());
        }
        octets
    }

    fn read(octets: &[u8]) -> Option<Side> {
        let (&kind, rest) = octets.split_first()?;
        let protocol = *Protocol::ALL.get(usize::from(kind & PROTOCOL))?;
        let (ip, rest) = match kind & IPV6 {
            0 => rest.split_first_chunk::<4>().map(|(ip, rest)| (IpAddr::from(*ip), rest))?,
            _ => rest.split_first_chunk::<16>().map(|(ip, rest)| (IpAddr::from(*ip), rest))?,
        };
        let (port, id) = rest.split_first_chunk().map(|(port, id)| (u16::from_be_bytes(*port), id))?;
        let id = id.iter().fold(0, |id, octet| (id << 8) | u64::from(*octet));
        Some(Side {
            protocol,
            remote: SocketAddr::new(ip, port),
            flow: (kind & FLOW != 0).then_some(id),
            only_flow: kind & ONLY != 0,
        })
    }
}

const PROTOCOL: u8 = 0b0000_0111;
const IPV6: u8 = 0b0000_1000;
const FLOW: u8 = 0b0001_0000;
const ONLY: u8 = 0b0010_0000;

impl RouteKey {
    /// A key that was kept.
    pub const fn new(key: [u8; 32]) -> RouteKey {
        RouteKey(key)
    }

    /// A fresh key from the operating system.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<RouteKey, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(RouteKey(key))
    }

    /// A Record-Route value that leads a request of this dialog to `side`; `host` is how we are reached
    /// from there.
    pub(crate) fn record(&self, call_id: &[u8], side: &Side, host: &str) -> String {
        let transport = match side.protocol {
            Protocol::Udp => String::new(),
            other => format!(";transport={}", other.name()),
        };
        format!("<sip:{}@{host}{transport};lr>", self.mark(call_id, side))
    }

    /// Octets of the header lines of two such values, at most.
    pub(crate) fn record_octets(longest_host: usize) -> usize {
        2 * ("Record-Route: <sip:@;transport=tcp;lr>\r\n".len() + LONGEST + longest_host)
    }

    /// The user part of a Record-Route URI for this dialog.
    pub(crate) fn mark(&self, call_id: &[u8], side: &Side) -> String {
        let octets = side.octets();
        let seal = self.seal(call_id, &octets);
        URL_SAFE_NO_PAD.encode([&seal, &octets[..]].concat())
    }

    /// The side that a mark of this dialog leads to; `None` if it is none of ours.
    pub(crate) fn read(&self, user: &[u8], call_id: &[u8]) -> Option<Side> {
        let mark = URL_SAFE_NO_PAD.decode(user).ok()?;
        let (seal, octets) = mark.split_at_checked(SEAL)?;
        // Every octet is looked at, so that the time taken tells nothing.
        let differs = seal.iter().zip(self.seal(call_id, octets)).fold(0, |sum, (a, b)| sum | (a ^ b));
        if differs == 0 { Side::read(octets) } else { None }
    }

    fn seal(&self, call_id: &[u8], octets: &[u8]) -> [u8; SEAL] {
        // HMAC's construction (RFC 2104), with the key in two roles by their first octet. No Call-ID holds a
        // line end.
        let inner = Sha256::new().chain_update([0x36]).chain_update(self.0).chain_update(call_id);
        let inner = inner.chain_update([b'\n']).chain_update(octets).finalize();
        let outer = Sha256::new().chain_update([0x5c]).chain_update(self.0).chain_update(inner).finalize();
        outer.first_chunk().copied().unwrap_or_default()
    }
}

impl std::fmt::Debug for RouteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RouteKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides() -> [Side; 3] {
        let udp = Side {
            protocol: Protocol::Udp,
            remote: "192.0.2.1:5060".parse().unwrap(),
            flow: Some(0),
            only_flow: false,
        };
        let tcp = Side { protocol: Protocol::Tcp, flow: Some(u64::MAX), only_flow: true, ..udp };
        let v6 =
            Side { protocol: Protocol::Wss, remote: "[2001:db8::1]:9".parse().unwrap(), flow: None, ..udp };
        [udp, tcp, v6]
    }

    #[test]
    fn a_mark_leads_back_to_its_side() {
        let key = RouteKey::generate().unwrap();
        for side in sides() {
            let mark = key.mark(b"a@b", &side);
            assert_eq!(key.read(mark.as_bytes(), b"a@b"), Some(side));
            assert!(mark.len() <= LONGEST + 1);
        }
    }

    #[test]
    fn a_mark_holds_for_its_key_call_id_and_side_only() {
        let key = RouteKey::generate().unwrap();
        let [udp, ..] = sides();
        let mark = key.mark(b"a@b", &udp);
        assert_eq!(key.read(mark.as_bytes(), b"a@c"), None);
        assert_eq!(RouteKey::generate().unwrap().read(mark.as_bytes(), b"a@b"), None);
        let mut octets = URL_SAFE_NO_PAD.decode(&mark).unwrap();
        *octets.last_mut().unwrap() ^= 1;
        assert_eq!(key.read(URL_SAFE_NO_PAD.encode(octets).as_bytes(), b"a@b"), None);
        for nonsense in [&b""[..], b"john", b"!", &mark.as_bytes()[..15]] {
            assert_eq!(key.read(nonsense, b"a@b"), None);
        }
    }
}
