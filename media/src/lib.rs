//! Media of clips: audio decoded in process, frames passed on as they are, and a sandboxed `ffmpeg` for the rest.
//!
//! | question | answer |
//! |---|---|
//! | what does it sound like | [`decode`] gives an [`Audio`], pulled by blocks of samples; [`Audio::at`] at another rate |
//! | as the payload of RTP | [`encode`]: PCMU, PCMA, G.722, and Opus with the feature `opus` |
//! | without decoding it | [`streams`]: the frames of PCMU, PCMA, AMR, MPEG audio, Opus, H.264, VP8, MPEG video |
//!
//! Everything here reads what strangers sent. Octets, channels, rates and seconds are bounded by [`Limits`]; what is
//! not read is a [`DecodeError`], and so is a panic of a decoder. No sockets, no clock.

mod audio;
mod encode;
mod error;
mod frames;
mod kind;
mod limits;
mod raw;
mod resample;
mod symphonic;

pub use audio::{Audio, Pcm, decode};
pub use encode::{Codec, Encoded, Encoder, encode};
pub use error::DecodeError;
pub use frames::{Coding, Frame, Frames, Stream, nal_units, streams};
pub use kind::Kind;
pub use limits::Limits;
pub use resample::Resampled;
