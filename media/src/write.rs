//! Samples as files that need no encoder.

use audio_codec::Encoder as _;
use audio_codec::pcmu::PcmuEncoder;
use bytes::{BufMut, Bytes, BytesMut};

use crate::audio::Pcm;
use crate::error::DecodeError;

/// A file of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// RIFF/WAVE, 16 bits.
    Wav,
    /// RIFF/WAVE, mu-law.
    WavMulaw,
    /// Headerless mu-law: audio/basic where it has 8 kHz and one channel (RFC 2046 §4.3).
    Mulaw,
    /// Headerless 16 bits, most significant octet first: audio/L16 (RFC 2586).
    L16,
}

impl Form {
    /// Octets of a second of one channel at that rate.
    pub const fn octets_a_second(self, rate: u32) -> u64 {
        match self {
            Form::Wav | Form::L16 => rate as u64 * 2,
            Form::WavMulaw | Form::Mulaw => rate as u64,
        }
    }

    /// Octets before the samples.
    pub const fn head(self) -> usize {
        match self {
            Form::Wav => 44,
            // A fmt chunk with an extension of no octets, and a fact chunk, as is asked of what is not PCM.
            Form::WavMulaw => 58,
            Form::Mulaw | Form::L16 => 0,
        }
    }
}

/// Why there is no file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The clip.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// More octets than asked for.
    #[error("it has more octets than there is room for")]
    TooMuch,
    /// `stop` said so.
    #[error("stopped before it was done")]
    Stopped,
}

/// The whole of `pcm` in that form, in at most `most` octets. `stop` is asked between blocks.
///
/// # Errors
/// [`WriteError`].
pub fn write(
    mut pcm: Box<dyn Pcm>,
    form: Form,
    most: usize,
    stop: &dyn Fn() -> bool,
) -> Result<Bytes, WriteError> {
    let mut samples = BytesMut::new();
    let mut law = PcmuEncoder::new();
    let (rate, channels) = (pcm.rate(), pcm.channels());
    while let Some(block) = pcm.block()? {
        if stop() {
            return Err(WriteError::Stopped);
        }
        match form {
            Form::Wav => block.iter().for_each(|sample| samples.put_i16_le(*sample)),
            Form::L16 => block.iter().for_each(|sample| samples.put_i16(*sample)),
            Form::WavMulaw | Form::Mulaw => samples.extend_from_slice(&law.encode(block)),
        }
        if samples.len() + form.head() > most {
            return Err(WriteError::TooMuch);
        }
    }
    let mut file = head(form, rate, channels, samples.len());
    file.unsplit(samples);
    Ok(file.freeze())
}

/// What stands before so many octets of samples.
fn head(form: Form, rate: u32, channels: u16, octets: usize) -> BytesMut {
    let octets = u32::try_from(octets).unwrap_or(u32::MAX);
    let (tag, width) = match form {
        Form::Wav => (1, 2),
        Form::WavMulaw => (7, 1),
        Form::Mulaw | Form::L16 => return BytesMut::new(),
    };
    let mut head = BytesMut::with_capacity(form.head());
    head.put_slice(b"RIFF");
    head.put_u32_le(octets.saturating_add(u32::try_from(form.head()).unwrap_or(0) - 8));
    head.put_slice(b"WAVEfmt ");
    head.put_u32_le(if tag == 1 { 16 } else { 18 });
    head.put_u16_le(tag);
    head.put_u16_le(channels);
    head.put_u32_le(rate);
    head.put_u32_le(rate * u32::from(channels) * u32::from(width));
    head.put_u16_le(channels * width);
    head.put_u16_le(width * 8);
    if tag != 1 {
        head.put_u16_le(0);
        head.put_slice(b"fact");
        head.put_u32_le(4);
        head.put_u32_le(octets / u32::from(channels.max(1)));
    }
    head.put_slice(b"data");
    head.put_u32_le(octets);
    head
}
