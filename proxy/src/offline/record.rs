//! One waiting message as the store has it: what must be known of it at any time in front, then its octets.

use std::net::SocketAddr;

use bytes::Bytes;

/// The layout of a record; another number is another layout.
const FORMAT: u8 = 1;

/// Octets at the beginning of a record that hold everything but the message; the store keeps these in memory.
pub(crate) const FRONT: usize = 512;

/// Octets kept of who sent it and of what its From says.
const TEXT: usize = 160;

/// What is known of a waiting message beside its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Front {
    /// Unix seconds.
    pub(crate) stored_at: u64,
    /// Unix seconds.
    pub(crate) expires_at: u64,
    /// Deliveries that came to nothing.
    pub(crate) attempts: u32,
    /// Tells a repetition of the same request.
    pub(crate) fingerprint: u64,
    /// Octets of the message.
    pub(crate) octets: u64,
    /// Our end of the flow it came on, and the other.
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Against whose quota it counts.
    pub(crate) sender: Vec<u8>,
    /// The URI of its From, cut off where it is very long.
    pub(crate) from: Vec<u8>,
}

impl Front {
    /// The whole record.
    pub(crate) fn with(&self, message: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(FRONT + message.len());
        out.push(FORMAT);
        for number in [self.stored_at, self.expires_at, self.fingerprint, self.octets] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.attempts.to_be_bytes());
        let (local, remote) = (self.local.to_string(), self.remote.to_string());
        for text in [local.as_bytes(), remote.as_bytes(), &self.sender, &self.from] {
            let text = text.get(..TEXT).unwrap_or(text);
            out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(text);
        }
        out.extend_from_slice(message);
        out.into()
    }

    /// Reads what [`Front::with`] wrote, from a record or from its first [`FRONT`] octets; gives what follows
    /// too. `None` for anything else.
    pub(crate) fn read(record: &[u8]) -> Option<(Front, &[u8])> {
        let (&format, rest) = record.split_first()?;
        let (stored_at, rest) = number(rest)?;
        let (expires_at, rest) = number(rest)?;
        let (fingerprint, rest) = number(rest)?;
        let (octets, rest) = number(rest)?;
        let (attempts, rest) = rest.split_first_chunk::<4>()?;
        let (local, rest) = address(rest)?;
        let (remote, rest) = address(rest)?;
        let (sender, rest) = text(rest)?;
        let (from, message) = text(rest)?;
        let front = Front {
            stored_at,
            expires_at,
            attempts: u32::from_be_bytes(*attempts),
            fingerprint,
            octets,
            local,
            remote,
            sender: sender.to_vec(),
            from: from.to_vec(),
        };
        (format == FORMAT).then_some((front, message))
    }
}

/// The key of a message: its user, and its place among the messages for that user.
pub(crate) fn key(aor: &str, number: u64) -> Vec<u8> {
    [aor.as_bytes(), b"\0", &number.to_be_bytes()].concat()
}

/// What [`key`] was made of.
pub(crate) fn read_key(key: &[u8]) -> Option<(&str, u64)> {
    let (aor, number) = key.split_last_chunk::<8>()?;
    let aor = std::str::from_utf8(aor.strip_suffix(b"\0")?).ok()?;
    Some((aor, u64::from_be_bytes(*number)))
}

fn number(octets: &[u8]) -> Option<(u64, &[u8])> {
    octets.split_first_chunk::<8>().map(|(number, rest)| (u64::from_be_bytes(*number), rest))
}

fn text(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = octets.split_first()?;
    rest.split_at_checked(usize::from(length))
}

fn address(octets: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (text, rest) = text(octets)?;
    Some((std::str::from_utf8(text).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front() -> Front {
        Front {
            stored_at: 1,
            expires_at: u64::MAX,
            attempts: 3,
            fingerprint: 7,
            octets: 5,
            local: "127.0.0.1:5060".parse().unwrap(),
            remote: "[2001:db8::1]:5060".parse().unwrap(),
            sender: b"192.0.2.1".to_vec(),
            from: b"sip:alice@example.org".to_vec(),
        }
    }

    #[test]
    fn what_was_written_is_read_and_the_front_alone_is_enough() {
        let whole = front().with(b"hello");
        assert_eq!(Front::read(&whole), Some((front(), &b"hello"[..])));
        let long = Front { sender: vec![b's'; 1000], from: vec![b'f'; 1000], ..front() };
        let whole = long.with(&[0; 1000]);
        let (read, _) = Front::read(&whole[..FRONT]).unwrap();
        assert_eq!((read.sender.len(), read.from.len(), read.octets), (TEXT, TEXT, 5));
    }

    #[test]
    fn a_record_cut_short_or_of_another_layout_is_none() {
        let whole = front().with(b"");
        for length in 0..whole.len() {
            assert_eq!(Front::read(&whole[..length]), None, "{length}");
        }
        let mut other = whole.to_vec();
        other[0] = 2;
        assert_eq!(Front::read(&other), None);
    }

    #[test]
    fn keys_of_one_user_are_in_the_order_of_their_numbers() {
        let aor = "sip:john@example.com";
        assert_eq!(read_key(&key(aor, 0x1_00ff)), Some((aor, 0x1_00ff)));
        assert!(key(aor, 255) < key(aor, 256));
        assert_eq!(read_key(b"short"), None);
    }
}
