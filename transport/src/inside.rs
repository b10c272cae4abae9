//! Whom an address may reach: nothing from outside gets at the operator's inside through a URI it wrote
//! itself.
//!
//! Addresses are ranked by how far inside they lie. A request, or the registration that named a contact,
//! reaches only what lies no further inside than it came from: a phone on the local network may name its
//! neighbour, a stranger on the Internet may name neither that network nor this machine's loopback.
//! What the operator configured as a route is exempt.

use std::net::{IpAddr, Ipv4Addr};

/// How far inside an address lies, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// Routed on the Internet.
    Public,
    /// Private, shared or link-local networks (RFC 1918, 6598, 3927, 4193, 4291).
    Network,
    /// This machine.
    Machine,
}

/// Whether something that came from `source` may be sent on to `target`. Multicast and broadcast, and
/// port 0, which nothing listens on, are never reached.
pub fn may_reach(source: IpAddr, target: std::net::SocketAddr) -> bool {
    let address = embedded(target.ip());
    let sendable = match address {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_multicast(),
    };
    sendable && target.port() != 0 && depth(address) <= depth(source)
}

fn depth(address: IpAddr) -> Depth {
    match embedded(address) {
        IpAddr::V4(v4) if v4.is_loopback() || v4.octets().first() == Some(&0) => Depth::Machine,
        IpAddr::V4(v4) if v4.is_private() || v4.is_link_local() || is_shared(v4) => Depth::Network,
        IpAddr::V6(v6) if v6.is_loopback() || v6.is_unspecified() => Depth::Machine,
        IpAddr::V6(v6) if v6.is_unique_local() || v6.is_unicast_link_local() || is_site_local(v6) => {
            Depth::Network
        }
        IpAddr::V4(_) | IpAddr::V6(_) => Depth::Public,
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible (RFC 4291 §2.5.5), behind NAT64 (RFC 6052) or
/// 6to4 (RFC 3056). Every other address is itself.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::from(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match [a, b, c, d, e, f] {
        // The two that end in 0 and 1 are the unspecified address and IPv6's own loopback.
        [0, 0, 0, 0, 0, 0] if g != 0 || h > 1 => v4(g, h),
        [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        [0x2002, ..] => v4(b, c),
        _ => v6.into(),
    }
}

/// fec0::/10, given up by RFC 3879 and routed nowhere outside.
const fn is_site_local(address: std::net::Ipv6Addr) -> bool {
    address.to_bits() >> 118 == 0xfec0 >> 6
}

/// 100.64.0.0/10, between a provider and its customers.
const fn is_shared(address: std::net::Ipv4Addr) -> bool {
    address.to_bits() >> 22 == 0x6440_0000 >> 22
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(source: &str, target: &str) -> bool {
        may_reach(source.parse().unwrap(), target.parse().unwrap())
    }

    #[test]
    fn strangers_reach_neither_the_network_nor_the_machine() {
        for inside in [
            "127.0.0.1:6379",
            "0.0.0.0:80",
            "10.1.2.3:5060",
            "192.168.1.1:80",
            "100.64.0.1:5060",
            "169.254.169.254:80",
            "[::1]:80",
            "[fd00::1]:5060",
            "[fe80::1]:80",
            "[::ffff:127.0.0.1]:80",
            "[::127.0.0.1]:80",
            "[64:ff9b::7f00:1]:80",
            "[64:ff9b::a00:1]:80",
            "[2002:a00:1::1]:80",
            "[fec0::1]:80",
        ] {
            assert!(!reach("198.51.100.7", inside), "{inside}");
        }
        assert!(reach("198.51.100.7", "192.0.2.1:5060"));
        assert!(reach("198.51.100.7", "100.128.0.1:5060"));
    }

    #[test]
    fn each_depth_reaches_itself_and_what_lies_further_out() {
        assert!(reach("10.0.0.1", "192.168.7.7:5060") && reach("10.0.0.1", "192.0.2.1:5060"));
        assert!(!reach("10.0.0.1", "127.0.0.1:5060"));
        assert!(reach("127.0.0.1", "127.0.0.1:5060") && reach("::1", "10.0.0.1:5060"));
    }

    #[test]
    fn groups_and_port_zero_are_never_reached() {
        for nowhere in ["224.0.0.1:5060", "255.255.255.255:5060", "[ff02::1]:5060", "127.0.0.1:0"] {
            assert!(!reach("127.0.0.1", nowhere), "{nowhere}");
        }
    }
}
