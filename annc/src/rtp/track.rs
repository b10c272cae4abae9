//! What is played, as packets: made once, before the call is answered.

use bytes::Bytes;

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it is due, in ticks of the track's clock from its beginning; what its timestamp grows by.
    pub at: u64,
    /// The marker bit.
    pub marker: bool,
    /// What follows the head.
    pub payload: Bytes,
}

/// The packets of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Ticks a second.
    pub clock: u32,
    /// In the order they are sent.
    pub packets: Vec<Packet>,
    /// Ticks from its beginning to its end.
    pub ticks: u64,
    /// Parameter sets of H.264, for the description.
    pub sets: Vec<Bytes>,
}

impl Track {
    /// Bits of payload a second, on average.
    pub fn rate(&self) -> u32 {
        rate(self.packets.iter().map(|packet| packet.payload.len()), self.ticks, self.clock)
    }

    /// Octets of all payloads and of what is known of each.
    pub fn octets(&self) -> usize {
        let payloads: usize = self.packets.iter().map(|packet| packet.payload.len()).sum();
        payloads + size_of_val(self.packets.as_slice())
    }
}

/// Bits a second of so many octets in so many ticks.
pub(crate) fn rate(octets: impl Iterator<Item = usize>, ticks: u64, clock: u32) -> u32 {
    let bits = octets.map(|octets| octets as u128 * 8).sum::<u128>();
    u32::try_from(bits * u128::from(clock) / u128::from(ticks.max(1))).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_bits_by_time() {
        assert_eq!(rate([160, 160].into_iter(), 320, 8000), 64_000);
        assert_eq!(rate([1].into_iter(), 0, 8000), 64_000, "no time at all is taken for a tick");
        assert_eq!(rate([usize::MAX; 3].into_iter(), 1, u32::MAX), u32::MAX);
    }
}
