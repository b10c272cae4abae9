//! STUN on the SIP port (RFC 5626 §4.4.2, §8; RFC 5389): a terminal behind a NAT keeps its flow open with Binding
//! requests, and learns from the answers when its outer address changed.
//!
//! Deviation from RFC 5389 §12: clients of RFC 3489, without a magic cookie, get no answer; RFC 5626 has none.

use std::net::{IpAddr, SocketAddr};

/// Octets of the header (RFC 5389 §6).
const HEADER: usize = 20;
const MAGIC: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const BINDING_ERROR: [u8; 2] = [0x01, 0x11];
const XOR_MAPPED_ADDRESS: [u8; 2] = [0x00, 0x20];
const ERROR_CODE: [u8; 2] = [0x00, 0x09];
const UNKNOWN_ATTRIBUTES: [u8; 2] = [0x00, 0x0A];

/// Attributes named in a 420, at most.
const NAMED: usize = 8;

/// Whether a datagram is STUN and no SIP: its first octet is 0 or 1 (RFC 5626 §8.1).
pub(crate) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|&first| first <= 1)
}

/// The answer to a Binding request from `source`; `None` for what is none.
pub(crate) fn answer(datagram: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let (header, attributes) = datagram.split_at_checked(HEADER)?;
    let (kind, rest) = header.split_at_checked(2)?;
    let (length, rest) = rest.split_at_checked(2)?;
    let (magic, id) = rest.split_at_checked(4)?;
    let announced = length.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
    if kind != BINDING_REQUEST || magic != MAGIC || announced != attributes.len() || announced % 4 != 0 {
        return None;
    }
    let unknown = unknown(attributes)?;
    if unknown.is_empty() {
        return Some(message(BINDING_SUCCESS, id, &[attribute(XOR_MAPPED_ADDRESS, &mapped(source, id))]));
    }
    // 420 Unknown Attribute (§15.6, §15.9).
    let code = [&[0, 0, 4, 20][..], b"Unknown Attribute"].concat();
    let parts = [attribute(ERROR_CODE, &code), attribute(UNKNOWN_ATTRIBUTES, &unknown)];
    Some(message(BINDING_ERROR, id, &parts))
}

/// The types of attributes that must be understood and are not. `None`: they can't be read. Credentials are
/// understood as what this server does not ask for.
fn unknown(mut attributes: &[u8]) -> Option<Vec<u8>> {
    const USERNAME: u16 = 0x0006;
    const MESSAGE_INTEGRITY: u16 = 0x0008;
    let mut unknown = Vec::new();
    while !attributes.is_empty() {
        let (head, rest) = attributes.split_at_checked(4)?;
        let number = |at: usize| head.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes);
        let (kind, len) = (number(0)?, usize::from(number(2)?));
        let (_, rest) = rest.split_at_checked(len.next_multiple_of(4))?;
        if kind < 0x8000 && !matches!(kind, USERNAME | MESSAGE_INTEGRITY) && unknown.len() < 2 * NAMED {
            unknown.extend_from_slice(&kind.to_be_bytes());
        }
        attributes = rest;
    }
    Some(unknown)
}

/// The value of XOR-MAPPED-ADDRESS (§15.2).
fn mapped(source: SocketAddr, id: &[u8]) -> Vec<u8> {
    let key = MAGIC.iter().chain(id);
    let port = source.port().to_be_bytes();
    let (family, address) = match source.ip().to_canonical() {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, v6.octets().to_vec()),
    };
    let mut value = vec![0, family];
    value.extend(port.iter().zip(MAGIC).map(|(octet, key)| octet ^ key));
    value.extend(address.iter().zip(key).map(|(octet, key)| octet ^ key));
    value
}

fn attribute(kind: [u8; 2], value: &[u8]) -> Vec<u8> {
    let mut octets = kind.to_vec();
    octets.extend_from_slice(&length(value.len()));
    octets.extend_from_slice(value);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

fn message(kind: [u8; 2], id: &[u8], attributes: &[Vec<u8>]) -> Vec<u8> {
    let body = attributes.concat();
    [&kind[..], &length(body.len()), &MAGIC, id, &body].concat()
}

fn length(octets: usize) -> [u8; 2] {
    u16::try_from(octets).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn request(attributes: &[u8]) -> Vec<u8> {
        message(BINDING_REQUEST, &ID, &[attributes.to_vec()])
    }

    #[test]
    fn a_binding_request_is_answered_with_the_address_it_came_from() {
        // RFC 5769 §2.2 and §2.3: the same transaction id, 192.0.2.1:32853 and an IPv6 address.
        let v4 = answer(&request(b""), "192.0.2.1:32853".parse().unwrap()).unwrap();
        let expected = [0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
        assert_eq!(
            (&v4[..8], &v4[8..20], &v4[20..]),
            (&[1, 1, 0, 12, 0x21, 0x12, 0xA4, 0x42][..], &ID[..], &expected[..])
        );
        let v6 =
            answer(&request(b""), "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()).unwrap();
        let expected = [
            0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5,
            0xbe, 0xd2, 0xb9, 0xd9,
        ];
        assert_eq!(&v6[24..], &expected[..]);
    }

    #[test]
    fn an_attribute_that_must_be_understood_and_is_not_is_named() {
        let refused =
            answer(&request(&[0x7f, 0x01, 0, 1, 9, 0, 0, 0]), "192.0.2.1:1".parse().unwrap()).unwrap();
        assert_eq!(refused[..2], BINDING_ERROR);
        assert_eq!(&refused[refused.len() - 8..], &[0x00, 0x0A, 0, 2, 0x7f, 0x01, 0, 0]);
        let software = [0x80, 0x22, 0, 3, b'a', b'b', b'c', 0];
        assert_eq!(
            answer(&request(&software), "192.0.2.1:1".parse().unwrap()).unwrap()[..2],
            BINDING_SUCCESS
        );
    }

    #[test]
    fn what_is_no_binding_request_gets_no_answer() {
        let good = request(b"");
        let mut indication = good.clone();
        indication[1] = 0x11;
        let mut classic = good.clone();
        classic[4] = 0;
        let mut long = good.clone();
        long[3] = 4;
        let cut = request(&[0x80, 0x22, 0, 9, b'a', b'b', b'c', 0]);
        for octets in [&good[..19], &indication, &classic, &long, &cut, b"\x00", b""] {
            assert_eq!(answer(octets, "192.0.2.1:1".parse().unwrap()), None, "{octets:?}");
        }
    }
}
