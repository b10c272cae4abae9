//! Hosts of URIs and of Via (RFC 3261 §25.1 `host`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cursor::Cursor;

/// A host.
#[derive(Clone, Copy, Debug)]
pub enum Host<'a> {
    /// A domain name as written.
    Name(&'a [u8]),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, written in brackets.
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// Reads a host as it is written in a URI; an IPv6 address needs its brackets.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        if let Some(inner) = text.strip_prefix(b"[") {
            let inner = std::str::from_utf8(inner.strip_suffix(b"]")?).ok()?;
            return inner.parse().ok().or_else(|| with_three_colons(inner)).map(Host::V6);
        }
        if text.is_empty() || !text.iter().all(|&b| is_plain(b)) {
            return None;
        }
        if text.last().is_some_and(u8::is_ascii_digit)
            && let Some(address) = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok())
        {
            return Some(Host::V4(address));
        }
        Some(Host::Name(text))
    }

    /// The address, if it is one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match *self {
            Host::Name(_) => None,
            Host::V4(address) => Some(IpAddr::V4(address)),
            Host::V6(address) => Some(IpAddr::V6(address)),
        }
    }

    /// Whether this is the host `name`: names compared without case.
    pub fn is(&self, name: &str) -> bool {
        match *self {
            // What is no address when read is none in another case either.
            // Nearly everyone writes them as they are.
            Host::Name(own) => own == name.as_bytes() || own.eq_ignore_ascii_case(name.as_bytes()),
            Host::V4(_) | Host::V6(_) => Host::parse(name.as_bytes()).is_some_and(|other| *self == other),
        }
    }
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            _ => self.ip().is_some() && self.ip() == other.ip(),
        }
    }
}

impl Eq for Host<'_> {}

impl From<IpAddr> for Host<'_> {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Host::V4(address),
            IpAddr::V6(address) => Host::V6(address),
        }
    }
}

/// As a URI writes it, names as they came.
impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(&String::from_utf8_lossy(name)),
            Host::V4(address) => address.fmt(f),
            Host::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// Gives the pieces of an address as a Via has it, without brackets. An IPv4 address takes a tenth of what the
/// formatting machinery would need.
pub fn write_ip(ip: IpAddr, mut write: impl FnMut(&str)) {
    let IpAddr::V4(v4) = ip else { return write(&ip.to_string()) };
    for (at, octet) in v4.octets().into_iter().enumerate() {
        if at > 0 {
            write(".");
        }
        write(itoa::Buffer::new().format(octet));
    }
}

/// An address with the colon too many that the grammar of RFC 3261 §25.1 puts before an IPv4 part; RFC 5118 §4.10
/// says it must be tolerated.
#[cold]
fn with_three_colons(text: &str) -> Option<Ipv6Addr> {
    let (groups, v4) = text.split_once(":::")?;
    let v4: Ipv4Addr = v4.parse().ok()?;
    let (start, mut whole) = (groups.as_bytes(), [0; LONGEST_V6]);
    whole.get_mut(..start.len())?.copy_from_slice(start);
    whole.get_mut(start.len()..start.len() + 2)?.copy_from_slice(b"::");
    let groups = std::str::from_utf8(whole.get(..start.len() + 2)?).ok()?;
    let groups: Ipv6Addr = groups.parse().ok()?;
    // What `::` stands for is all zero, so the IPv4 part can only fill what is empty.
    let bits = groups.to_bits();
    (bits & u128::from(u32::MAX) == 0).then(|| Ipv6Addr::from_bits(bits | u128::from(v4.to_bits())))
}

/// Octets of the longest IPv6 address as text.
const LONGEST_V6: usize = 45;

/// The underscore is no letter of a domain name, but SRV-like names are seen in the wild.
const fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')
}

/// Whether `b` may stand in a domain name or an IPv4 address, in one load.
#[inline(always)]
pub(crate) fn is_plain(b: u8) -> bool {
    NAME_BYTES.get(usize::from(b)).copied().unwrap_or_default()
}

static NAME_BYTES: [bool; 256] = name_bytes();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where a bad index is an error")]
const fn name_bytes() -> [bool; 256] {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = is_name_byte(b as u8);
        b += 1;
    }
    table
}

/// Takes the octets of a host from the cursor; they may still be no host.
pub(crate) fn take<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    if cursor.rest.first() != Some(&b'[') {
        let name = cursor.take_while(is_plain);
        return (!name.is_empty()).then_some(name);
    }
    let end = cursor.rest.iter().position(|&b| b == b']')?.checked_add(1)?;
    let (host, rest) = cursor.rest.split_at_checked(end)?;
    Host::parse(host)?;
    cursor.rest = rest;
    Some(host)
}

/// Takes the digits of a port.
pub(crate) fn take_port(cursor: &mut Cursor<'_>) -> Option<u16> {
    let digits = cursor.take_while(|b| b.is_ascii_digit());
    let (&first, more) = digits.split_first()?;
    more.iter()
        .try_fold(u16::from(first & 0xf), |port, &b| port.checked_mul(10)?.checked_add(u16::from(b & 0xf)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        assert_eq!(Host::parse(b"192.0.2.1"), Some(Host::V4([192, 0, 2, 1].into())));
        assert_eq!(Host::parse(b"[2001:db8::9:1]"), Some(Host::V6("2001:db8::9:1".parse().unwrap())));
        assert!(matches!(Host::parse(b"a.b.example"), Some(Host::Name(_))));
        assert_eq!(Host::parse(b"2001:db8::1"), None);
        assert_eq!(Host::parse(b"[192.0.2.1]"), None);
        assert_eq!(Host::parse(b""), None);
    }

    #[test]
    fn a_third_colon_before_an_ipv4_part_is_tolerated() {
        let right = "2001:db8::192.0.2.1".parse().unwrap();
        assert_eq!(Host::parse(b"[2001:db8:::192.0.2.1]"), Some(Host::V6(right)));
        for bad in
            [&b"[2001:db8:::1]"[..], b"[2001::db8:::192.0.2.1]", b"[:::]", b"[1:2:3:4:5:6:7:::192.0.2.1]"]
        {
            assert_eq!(Host::parse(bad), None, "{}", bad.escape_ascii());
        }
        let long = format!("[{}:::192.0.2.1]", "0".repeat(100));
        assert_eq!(Host::parse(long.as_bytes()), None);
    }

    #[test]
    fn two_spellings_of_an_ipv6_address_are_one_host() {
        assert_eq!(Host::parse(b"[2001:DB8:0:0::1]"), Host::parse(b"[2001:db8::1]"));
        assert!(Host::parse(b"Example.COM").unwrap().is("example.com"));
    }
}
