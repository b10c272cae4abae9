//! What may be reached: schemes, hosts and ports that the operator listed, and no address inside that he did not mean.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use super::{Names, SourceError};

/// An entry of the list: `https://media.example.com`, `http://*.example.com:8080`, `imap://[2001:db8::1]:143`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    scheme: String,
    /// In lower case, without brackets; after `*.` any name below it.
    host: String,
    port: u16,
}

/// Why a text is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowError {
    /// Another form, or another scheme.
    #[error("write imap://, http:// or https://, a host and perhaps a port")]
    Entry,
    /// No network.
    #[error("write an address or a network, as in 10.0.0.0/8")]
    Network,
}

impl FromStr for Allowed {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<Allowed, AllowError> {
        let (scheme, place) = text.split_once("://").ok_or(AllowError::Entry)?;
        let scheme = scheme.to_ascii_lowercase();
        let default = default_port(&scheme).ok_or(AllowError::Entry)?;
        let place = place.strip_suffix('/').unwrap_or(place).to_ascii_lowercase();
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host.to_owned(), Ok(default)),
            Some((host, port)) => (host.to_owned(), port.strip_prefix(':').unwrap_or_default().parse()),
            None => match place.split_once(':') {
                Some((host, port)) => (host.to_owned(), port.parse()),
                None => (place.clone(), Ok(default)),
            },
        };
        let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':');
        let name = host.strip_prefix("*.").unwrap_or(&host);
        if name.is_empty() || !name.bytes().all(named) {
            return Err(AllowError::Entry);
        }
        Ok(Allowed { scheme, host, port: port.map_err(|_| AllowError::Entry)? })
    }
}

/// The port of a scheme that is fetched by.
pub(super) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "imap" => Some(143),
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

impl Allowed {
    fn is(&self, scheme: &str, host: &str, port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let named = match self.host.strip_prefix('*') {
            Some(below) => host.len() > below.len() && host.ends_with(below),
            None => host == self.host,
        };
        named && self.scheme == scheme && self.port == port
    }
}

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl FromStr for Network {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<Network, AllowError> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| AllowError::Network)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| AllowError::Network)?;
        if bits > most { Err(AllowError::Network) } else { Ok(Network { address, bits }) }
    }
}

impl Network {
    fn has(&self, address: IpAddr) -> bool {
        let wide = |address: IpAddr| match address {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 4),
            IpAddr::V6(v6) => (v6.to_bits(), 6),
        };
        let ((ours, family), (theirs, other)) = (wide(self.address), wide(address));
        let shift = 128 - u32::from(self.bits);
        family == other && (ours ^ theirs).checked_shr(shift).unwrap_or(0) == 0
    }
}

/// The list, and who knows the addresses of names.
pub(super) struct Gate {
    allow: Vec<Allowed>,
    networks: Vec<Network>,
    names: Arc<dyn Names>,
}

impl Gate {
    pub(super) fn new(allow: Vec<Allowed>, networks: Vec<Network>, names: Arc<dyn Names>) -> Gate {
        Gate { allow, networks, names }
    }

    /// Whether that place is on the list. `host` is in lower case, without brackets.
    pub(super) fn allows(&self, scheme: &str, host: &str, port: u16) -> bool {
        self.allow.iter().any(|entry| entry.is(scheme, host, port))
    }

    /// The addresses of a host that may be connected to. One that the operator listed as an address is meant; a name
    /// may lead where it likes only outside.
    ///
    /// # Errors
    /// [`SourceError::NotAllowed`] if it leads inside alone, [`SourceError::NotRetrieved`] if it leads nowhere.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, SourceError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let found = self.names.lookup(host.to_owned(), port).await;
        let found = found.map_err(|_| SourceError::NotRetrieved("the server has no address".to_owned()))?;
        let open: Vec<SocketAddr> = found.into_iter().filter(|found| self.is_open(found.ip())).collect();
        if open.is_empty() { Err(SourceError::NotAllowed) } else { Ok(open) }
    }

    fn is_open(&self, address: IpAddr) -> bool {
        let address = embedded(address);
        is_public(address) || self.networks.iter().any(|network| network.has(address))
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible, behind NAT64 or 6to4; every other is itself.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => IpAddr::V6(v6),
    }
}

/// Whether an address is of everybody's network.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_benchmark = a == 198 && (18..20).contains(&b);
            let is_special = v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_broadcast();
            !(a == 0 || a >= 224 || is_shared || is_benchmark || is_special)
        }
        IpAddr::V6(v6) => {
            let [first, second, third, ..] = v6.segments();
            let is_own_nat64 = (first, second, third) == (0x64, 0xff9b, 1);
            let is_site = first & 0xffc0 == 0xfec0;
            let is_local = v6.is_unique_local() || v6.is_unicast_link_local() || is_site || is_own_nat64;
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || is_local)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_a_scheme_a_host_and_a_port() {
        let entry = |text: &str| text.parse::<Allowed>();
        let is = |text: &str, scheme: &str, host: &str, port| entry(text).unwrap().is(scheme, host, port);
        assert!(is("https://Media.Example.com/", "https", "media.example.com", 443));
        assert!(is("imap://localhost:10143", "imap", "localhost", 10143));
        assert!(is("http://[2001:db8::1]:81", "http", "2001:db8::1", 81));
        assert!(is("http://a.example", "http", "a.example.", 80));
        assert!(!is("http://a.example", "https", "a.example", 80));
        assert!(!is("http://a.example", "http", "a.example", 8080));
        assert!(is("http://*.example.com", "http", "a.b.example.com", 80));
        assert!(!is("http://*.example.com", "http", "example.com", 80));
        assert!(!is("http://*.example.com", "http", "evilexample.com", 80));
        for bad in [
            "example.com",
            "ftp://h",
            "http://",
            "http://h:x",
            "http://u@h",
            "http://h/p",
            "http://*",
            "http://[::1",
        ] {
            assert_eq!(entry(bad), Err(AllowError::Entry), "{bad}");
        }
    }

    #[test]
    fn networks_have_their_addresses() {
        let has =
            |network: &str, address: &str| network.parse::<Network>().unwrap().has(address.parse().unwrap());
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("127.0.0.1", "127.0.0.1") && !has("127.0.0.1", "127.0.0.2"));
        assert!(has("0.0.0.0/0", "1.2.3.4") && !has("0.0.0.0/0", "::1"));
        assert!(has("fd00::/8", "fd12::1") && has("::/0", "::1"));
        for bad in ["10.0.0.0/33", "x", "10.0.0.0/", "::/129"] {
            assert_eq!(bad.parse::<Network>(), Err(AllowError::Network), "{bad}");
        }
    }

    #[test]
    fn inside_is_inside_in_every_spelling() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "198.19.255.255",
            "64:ff9b:1::a00:1",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
        ] {
            assert!(!is_public(embedded(inside.parse().unwrap())), "{inside}");
        }
        for public in ["198.51.100.1", "8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8", "64:ff9b::808:808"] {
            assert!(is_public(embedded(public.parse().unwrap())), "{public}");
        }
    }
}
