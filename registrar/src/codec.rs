//! Octets of a stored record: numbers of variable length, octet strings with their length in front.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use bytes::Bytes;

#[derive(Debug)]
pub(crate) struct Writer(Vec<u8>);

/// Octets that most records have.
const ROOM: usize = 256;

impl Writer {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(ROOM))
    }

    pub(crate) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    pub(crate) fn octets(&mut self, octets: &[u8]) {
        self.number(octets.len() as u64);
        self.0.extend_from_slice(octets);
    }

    pub(crate) fn fixed(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    /// The presence of a value in one octet; the value is then written by `write`.
    pub(crate) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn address(&mut self, address: SocketAddr) {
        match address {
            SocketAddr::V4(v4) => {
                self.0.push(4);
                self.fixed(&v4.ip().octets());
            }
            SocketAddr::V6(v6) => {
                self.0.push(6);
                self.fixed(&v6.ip().octets());
                self.number(v6.scope_id().into());
            }
        }
        self.fixed(&address.port().to_be_bytes());
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.into()
    }
}

/// Reads what [`Writer`] wrote; `None` where the octets end early or make no sense. What it returns shares
/// the octets of the record.
#[derive(Debug)]
pub(crate) struct Reader {
    octets: Bytes,
    at: usize,
}

impl Reader {
    pub(crate) const fn new(octets: Bytes) -> Self {
        Self { octets, at: 0 }
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0u64, 0u32);
        for octet in self.octets.get(self.at..)? {
            value |= u64::from(octet & 0x7f).checked_shl(shift)?;
            self.at += 1;
            if *octet < 0x80 {
                return Some(value);
            }
            shift += 7;
        }
        None
    }

    pub(crate) fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    pub(crate) fn octets(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.number()?).ok()?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.octets.len())?;
        Some(self.octets.slice(std::mem::replace(&mut self.at, end)..end))
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let head = *self.octets.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(head)
    }

    /// What is there if `flag` is set.
    pub(crate) fn if_set<T>(
        &mut self,
        flag: u8,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if flag == 0 { Some(None) } else { read(self).map(Some) }
    }

    pub(crate) fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.fixed::<1>()? {
            [0] => Some(None),
            [1] => read(self).map(Some),
            _ => None,
        }
    }

    pub(crate) fn address(&mut self) -> Option<SocketAddr> {
        match self.fixed::<1>()? {
            [4] => {
                let ip = Ipv4Addr::from(self.fixed::<4>()?);
                Some(SocketAddr::new(IpAddr::V4(ip), self.port()?))
            }
            [6] => {
                let ip = Ipv6Addr::from(self.fixed::<16>()?);
                let scope = self.small()?;
                Some(SocketAddrV6::new(ip, self.port()?, 0, scope).into())
            }
            _ => None,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.at >= self.octets.len()
    }

    fn port(&mut self) -> Option<u16> {
        self.fixed::<2>().map(u16::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let addresses = ["192.0.2.7:5060".parse().unwrap(), "[fe80::1%3]:5061".parse().unwrap()];
        let mut writer = Writer::new();
        for number in [0, 127, 128, u64::MAX] {
            writer.number(number);
        }
        writer.octets(b"abc");
        writer.optional(Some(5), Writer::number);
        writer.optional(None, Writer::number);
        addresses.iter().for_each(|address| writer.address(*address));

        let mut reader = Reader::new(writer.finish());
        for number in [0, 127, 128, u64::MAX] {
            assert_eq!(reader.number(), Some(number));
        }
        assert_eq!(reader.octets().unwrap(), "abc");
        assert_eq!(reader.if_set(0, Reader::number), Some(None));
        assert_eq!(reader.optional(Reader::number), Some(Some(5)));
        assert_eq!(reader.optional(Reader::number), Some(None));
        assert_eq!([reader.address().unwrap(), reader.address().unwrap()], addresses);
        assert!(reader.is_empty());
    }

    #[test]
    fn short_and_senseless_octets_are_none() {
        let read = |octets: &'static [u8]| Reader::new(Bytes::from_static(octets));
        assert_eq!(read(b"").number(), None);
        assert_eq!(read(&[0xff; 11]).number(), None);
        assert_eq!(read(b"\x05abc").octets(), None);
        assert_eq!(read(b"").if_set(1, Reader::number), None);
        assert_eq!(read(b"\x02x").optional(Reader::number), None);
        assert_eq!(read(b"\x05").address(), None);
    }
}
