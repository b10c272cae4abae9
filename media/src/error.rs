//! Why a clip is not read.

/// Why a clip can't be decoded or split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nothing in this process reads it; the sandboxed child may.
    #[error("{0} is not decoded in process")]
    Unsupported(&'static str),
    /// The clip is not what it says.
    #[error("the clip is broken: {0}")]
    Broken(&'static str),
    /// More octets than [`crate::Limits::octets`].
    #[error("the clip has more octets than are read")]
    TooLarge,
    /// It goes on after [`crate::Limits::seconds`].
    #[error("the clip is longer than is played")]
    TooLong,
    /// More channels or samples a second than anybody hears.
    #[error("no clip of {channels} channels at {rate} Hz is read")]
    Shape {
        /// Samples a second.
        rate: u32,
        /// Channels.
        channels: u16,
    },
    /// Whoever asked gave up.
    #[error("stopped before it was done")]
    Stopped,
}
