//! Where requests come from, as far as one source is held against another: an address, or of IPv6 the
//! network that one customer has.

use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv6 address that belong to its host.
const HOST_BITS: u32 = 64;

/// The source an address stands for.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> HOST_BITS << HOST_BITS).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The same as a text.
pub(crate) fn of(address: IpAddr) -> String {
    network(address).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_source_and_an_ipv4_address_is_itself() {
        let of = |text: &str| of(text.parse().unwrap());
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
