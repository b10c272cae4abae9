//! How much of a clip is read.

/// Bounds on a clip and on what comes out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the clip.
    pub octets: usize,
    /// Seconds of it that are decoded or split; what is longer ends there with [`crate::DecodeError::TooLong`].
    pub seconds: u32,
}

impl Limits {
    /// Samples a second at most, of one channel.
    pub const MOST_RATE: u32 = 192_000;
    /// Samples a second at least.
    pub const LEAST_RATE: u32 = 4_000;
    /// Channels at most.
    pub const MOST_CHANNELS: u16 = 8;

    /// Whether PCM of that shape is read.
    pub(crate) fn take(rate: u32, channels: u16) -> bool {
        (Limits::LEAST_RATE..=Limits::MOST_RATE).contains(&rate)
            && (1..=Limits::MOST_CHANNELS).contains(&channels)
    }
}

impl Default for Limits {
    /// 32 MiB, an hour.
    fn default() -> Limits {
        Limits { octets: 32 << 20, seconds: 3600 }
    }
}
