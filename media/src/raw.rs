//! PCM without a library: headerless audio (RFC 2046 §4.3, RFC 2586, RFC 3551) and Sun's audio file.

use audio_codec::Decoder;
use audio_codec::pcma::PcmaDecoder;
use audio_codec::pcmu::PcmuDecoder;
use bytes::{Buf, Bytes};

use crate::error::DecodeError;
use crate::kind::{Kind, parameter};

/// How one sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    Mulaw,
    Alaw,
    /// Signed, most significant octet first; so many octets, of which the first two are heard.
    Signed(usize),
    Float,
}

impl Sample {
    fn octets(self) -> usize {
        match self {
            Sample::Mulaw | Sample::Alaw => 1,
            Sample::Signed(octets) => octets,
            Sample::Float => 4,
        }
    }

    fn value(self, octets: &[u8]) -> i16 {
        match (self, octets) {
            (Sample::Signed(1), [high, ..]) => i16::from_be_bytes([*high, 0]),
            (Sample::Signed(_), [high, low, ..]) => i16::from_be_bytes([*high, *low]),
            (Sample::Float, [a, b, c, d, ..]) => {
                // A cast of a float saturates.
                (f32::from_be_bytes([*a, *b, *c, *d]) * 32768.0) as i16
            }
            _ => 0,
        }
    }
}

/// Samples in a row.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) octets: Bytes,
    pub(crate) sample: Sample,
    pub(crate) rate: u32,
    pub(crate) channels: u16,
}

impl Raw {
    /// What kinds of headerless audio and `.snd` hold.
    pub(crate) fn open(octets: Bytes, kind: Kind, media_type: &str) -> Result<Raw, DecodeError> {
        let channels = || {
            let channels = parameter(media_type, "channels").unwrap_or(1);
            u16::try_from(channels).unwrap_or(u16::MAX)
        };
        let law = |sample, octets| Raw {
            octets,
            sample,
            rate: parameter(media_type, "rate").unwrap_or(8000),
            channels: channels(),
        };
        match kind {
            Kind::Mulaw => Ok(law(Sample::Mulaw, octets)),
            Kind::Alaw => Ok(law(Sample::Alaw, octets)),
            Kind::L16 => {
                let rate =
                    parameter(media_type, "rate").ok_or(DecodeError::Broken("L16 without its rate"))?;
                Ok(Raw { octets, sample: Sample::Signed(2), rate, channels: channels() })
            }
            Kind::Au => Raw::open_au(octets),
            _ => Err(DecodeError::Unsupported("this kind of audio")),
        }
    }

    fn open_au(octets: Bytes) -> Result<Raw, DecodeError> {
        let mut head = octets.clone();
        head.advance(4.min(head.len()));
        let mut word = || head.try_get_u32().map_err(|_| DecodeError::Broken("a .snd head that ends early"));
        let (offset, length, coding, rate, channels) = (word()?, word()?, word()?, word()?, word()?);
        let sample = match coding {
            1 => Sample::Mulaw,
            2 => Sample::Signed(1),
            3 => Sample::Signed(2),
            4 => Sample::Signed(3),
            5 => Sample::Signed(4),
            6 => Sample::Float,
            27 => Sample::Alaw,
            _ => return Err(DecodeError::Unsupported("this coding of a .snd file")),
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(octets.len());
        let mut octets = octets.slice(start..);
        // All ones: whoever wrote it did not know.
        if length != u32::MAX {
            octets.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        }
        Ok(Raw { octets, sample, rate, channels: u16::try_from(channels).unwrap_or(u16::MAX) })
    }

    /// Frames (one sample of each channel) that are left.
    pub(crate) fn frames(&self) -> u64 {
        (self.octets.len() / self.frame_octets()) as u64
    }

    fn frame_octets(&self) -> usize {
        (self.sample.octets() * usize::from(self.channels)).max(1)
    }

    /// Appends up to `frames` of them.
    pub(crate) fn read(&mut self, frames: usize, out: &mut Vec<i16>) -> usize {
        let whole = self.octets.len() / self.frame_octets();
        let taken = self.octets.split_to(whole.min(frames) * self.frame_octets());
        match self.sample {
            Sample::Mulaw => expand(&mut PcmuDecoder::new(), &taken, out),
            Sample::Alaw => expand(&mut PcmaDecoder::new(), &taken, out),
            sample => {
                out.extend(taken.chunks_exact(sample.octets()).map(|octets| sample.value(octets)));
            }
        }
        taken.len() / self.frame_octets()
    }
}

/// One sample of each octet (G.711).
fn expand(law: &mut impl Decoder, octets: &[u8], out: &mut Vec<i16>) {
    let from = out.len();
    out.resize(from + octets.len(), 0);
    // There is room for all of them, which is all that can fail.
    let written = out.get_mut(from..).map(|room| law.decode_into(octets, room));
    debug_assert!(matches!(written, Some(Ok(_))));
}
