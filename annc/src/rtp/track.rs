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
    /// Octets of all payloads and of what is known of each.
    pub fn octets(&self) -> usize {
        let payloads: usize = self.packets.iter().map(|packet| packet.payload.len()).sum();
        payloads + size_of_val(self.packets.as_slice())
    }
}
