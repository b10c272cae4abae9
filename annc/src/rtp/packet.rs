//! The head of an RTP packet (RFC 3550 §5.1).

/// Octets of the head.
pub(super) const HEAD: usize = 12;

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) payload_type: u8,
    pub(super) marker: bool,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
}

impl Head {
    /// Puts head and payload into `packet`, which is emptied first.
    pub(super) fn write(&self, payload: &[u8], packet: &mut Vec<u8>) {
        packet.clear();
        packet.push(0x80);
        packet.push(self.payload_type & 0x7f | if self.marker { 0x80 } else { 0 });
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_twelve_octets_in_network_order() {
        let head = Head {
            payload_type: 8,
            marker: true,
            sequence: 0x0102,
            timestamp: 0x0304_0506,
            ssrc: 0x0708_090a,
        };
        let mut packet = vec![9; 99];
        head.write(b"ab", &mut packet);
        assert_eq!(packet, [0x80, 0x88, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, b'a', b'b']);
        assert_eq!(packet.len(), HEAD + 2);
    }
}
