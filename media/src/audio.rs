//! A clip as samples.

use bytes::Bytes;

use crate::error::DecodeError;
use crate::kind::Kind;
use crate::limits::Limits;
use crate::raw::Raw;
use crate::resample::Resampled;
use crate::symphonic::Symphonic;

/// Frames of headerless audio in a block.
const BLOCK_FRAMES: usize = 4096;

/// Samples that are pulled, block by block.
pub trait Pcm: Send {
    /// Samples a second of each channel.
    fn rate(&self) -> u32;

    /// Channels, whose samples alternate.
    fn channels(&self) -> u16;

    /// The next samples, channels interleaved: a whole number of frames, never none. `None` at the end.
    ///
    /// # Errors
    /// [`DecodeError::Broken`], [`DecodeError::TooLong`]. What came before is good.
    fn block(&mut self) -> Result<Option<&[i16]>, DecodeError>;
}

/// A clip that is being decoded. Holds the clip and one block of samples.
pub struct Audio {
    rate: u32,
    channels: u16,
    frames: Option<u64>,
    /// Frames that may still come.
    left: u64,
    source: Source,
    block: Vec<i16>,
}

enum Source {
    Raw(Raw),
    Symphonic(Box<Symphonic>),
}

/// Opens a clip. Reads its head, decodes nothing yet.
///
/// `media_type` is what it came labelled with, parameters and all; its octets decide where they tell. Read are WAV (PCM,
/// float, mu-law, A-law, ADPCM), `.snd`, headerless audio/basic, audio/PCMU, audio/PCMA and audio/L16, MPEG audio, AAC in
/// MP4 and ADTS, FLAC, Vorbis in Ogg and Matroska, and with the feature `opus` Opus in Ogg, Matroska and MP4.
///
/// # Errors
/// [`DecodeError`]: not read here, broken in its head, or over a limit.
pub fn decode(octets: Bytes, media_type: &str, limits: Limits) -> Result<Audio, DecodeError> {
    if octets.len() > limits.octets {
        return Err(DecodeError::TooLarge);
    }
    let kind = Kind::of(media_type, &octets).ok_or(DecodeError::Unsupported("this kind of content"))?;
    match kind {
        Kind::Mulaw | Kind::Alaw | Kind::L16 | Kind::Au => {
            let raw = Raw::open(octets, kind, media_type)?;
            let frames = Some(raw.frames());
            Audio::new(raw.rate, raw.channels, frames, limits, Source::Raw(raw))
        }
        Kind::Amr | Kind::AmrWb => Err(DecodeError::Unsupported("AMR")),
        Kind::MpegVideo | Kind::Avi | Kind::TransportStream | Kind::Flv => {
            Err(DecodeError::Unsupported("the sound of this kind of video"))
        }
        _ => {
            let (symphonic, shape) = Symphonic::open(octets, kind)?;
            let source = Source::Symphonic(Box::new(symphonic));
            Audio::new(shape.rate, shape.channels, shape.frames, limits, source)
        }
    }
}

impl Audio {
    fn new(
        rate: u32,
        channels: u16,
        frames: Option<u64>,
        limits: Limits,
        source: Source,
    ) -> Result<Audio, DecodeError> {
        if !Limits::take(rate, channels) {
            return Err(DecodeError::Shape { rate, channels });
        }
        let left = u64::from(limits.seconds) * u64::from(rate);
        Ok(Audio { rate, channels, frames, left, source, block: Vec::new() })
    }

    /// Frames the head of the clip announces; it may not know, or not be right.
    pub fn frames(&self) -> Option<u64> {
        self.frames
    }

    /// The same sound at another rate and with one or two channels; as it is if it already has them.
    ///
    /// # Errors
    /// [`DecodeError::Shape`] for a rate outside [`Limits::LEAST_RATE`] to [`Limits::MOST_RATE`], or other channels.
    pub fn at(self, rate: u32, channels: u16) -> Result<Box<dyn Pcm>, DecodeError> {
        if (self.rate, self.channels) == (rate, channels) {
            return Ok(Box::new(self));
        }
        Ok(Box::new(Resampled::new(Box::new(self), rate, channels)?))
    }
}

impl Pcm for Audio {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn channels(&self) -> u16 {
        self.channels
    }

    fn block(&mut self) -> Result<Option<&[i16]>, DecodeError> {
        self.block.clear();
        match &mut self.source {
            Source::Raw(raw) => {
                raw.read(BLOCK_FRAMES, &mut self.block);
            }
            Source::Symphonic(symphonic) => {
                symphonic.read(self.rate, self.channels, &mut self.block)?;
            }
        }
        if self.block.is_empty() {
            return Ok(None);
        }
        let frames = (self.block.len() / usize::from(self.channels)) as u64;
        if self.left == 0 {
            return Err(DecodeError::TooLong);
        }
        if frames > self.left {
            // What is left is below a block, which is a vector.
            let kept = usize::try_from(self.left).unwrap_or(usize::MAX);
            self.block.truncate(kept.saturating_mul(usize::from(self.channels)));
        }
        self.left = self.left.saturating_sub(frames);
        Ok(Some(&self.block))
    }
}
