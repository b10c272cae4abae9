//! Media of clips: audio decoded in process, frames passed on as they are, and a sandboxed `ffmpeg` for the rest.
//!
//! | question | answer |
//! |---|---|
//! | what does it sound like | [`decode`] gives an [`Audio`], pulled by blocks of samples; [`Audio::at`] at another rate |
//! | as the payload of RTP | [`encode`]: PCMU, PCMA, G.722, and Opus with the feature `opus` |
//! | what it holds | [`probe`], by its heads |
//! | as a file of samples | [`write()`] |
//! | without decoding it | [`streams`]: the frames of PCMU, PCMA, AMR, MPEG audio, Opus, H.264, VP8, MPEG video |
//! | what is not read in process, or needs an encoder | [`Ffmpeg`], a child in the cage of [`enter`] |
//!
//! Everything here reads what strangers sent. Octets, channels, rates and seconds are bounded by [`Limits`]; what is
//! not read is a [`DecodeError`], and so is a panic of a decoder. No sockets.

mod audio;
mod boxes;
mod encode;
mod error;
mod ffmpeg;
mod frames;
mod gapless;
mod kind;
mod limits;
mod probe;
mod raw;
mod resample;
mod sandbox;
mod symphonic;
mod write;

pub use audio::{Audio, Pcm, decode};
pub use encode::{Codec, Encoded, Encoder, encode};
pub use error::DecodeError;
pub use ffmpeg::{
    Bounds, Clip, Ffmpeg, FindError, Launcher, Pictures, Recipe, RunError, Running, Samples, Sound, Source,
    Stop,
};
pub use frames::{Coding, Frame, Frames, Stream, nal_units, streams};
pub use kind::Kind;
pub use limits::Limits;
pub use probe::{PictureShape, Probe, SoundShape, probe};
pub use resample::Resampled;
pub use sandbox::{Cage, EnterError, enter};
pub use write::{Form, WriteError, write};
