//! Samples as the payload of RTP.

use audio_codec::g722::G722Encoder;
use audio_codec::pcma::PcmaEncoder;
use audio_codec::pcmu::PcmuEncoder;
use bytes::Bytes;

use crate::audio::Pcm;
use crate::error::DecodeError;
use crate::frames::Frame;
use crate::resample::Resampled;

/// A coding that is written for RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// G.711 mu-law, payload type 0.
    Pcmu,
    /// G.711 A-law, payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, payload type 9.
    G722,
    /// Opus (RFC 7587), mono. Only with the feature `opus`.
    #[cfg(feature = "opus")]
    Opus,
}

impl Codec {
    /// All that this build writes.
    pub const ALL: &[Codec] = &[
        Codec::Pcmu,
        Codec::Pcma,
        Codec::G722,
        #[cfg(feature = "opus")]
        Codec::Opus,
    ];

    /// The encoding name in `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            #[cfg(feature = "opus")]
            Codec::Opus => "opus",
        }
    }

    /// Samples a second that go in, of one channel.
    pub const fn rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => 8000,
            Codec::G722 => 16000,
            #[cfg(feature = "opus")]
            Codec::Opus => 48000,
        }
    }

    /// Ticks a second of the RTP timestamp; that of G.722 is 8000 by mistake (RFC 3551 §4.5.2).
    pub const fn clock(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => 8000,
            #[cfg(feature = "opus")]
            Codec::Opus => 48000,
        }
    }
}

/// An encoder and what it remembers from frame to frame.
pub struct Encoder {
    codec: Codec,
    state: State,
}

enum State {
    Pcmu(PcmuEncoder),
    Pcma(PcmaEncoder),
    G722(Box<G722Encoder>),
    #[cfg(feature = "opus")]
    Opus(Box<opusic_c::Encoder>),
}

impl Encoder {
    /// A fresh one.
    ///
    /// # Errors
    /// [`DecodeError::Unsupported`] when libopus does not start.
    pub fn new(codec: Codec) -> Result<Encoder, DecodeError> {
        let state = match codec {
            Codec::Pcmu => State::Pcmu(PcmuEncoder::new()),
            Codec::Pcma => State::Pcma(PcmaEncoder::new()),
            Codec::G722 => State::G722(Box::new(G722Encoder::new())),
            #[cfg(feature = "opus")]
            Codec::Opus => {
                use opusic_c::{Application, Channels, SampleRate};
                let opus = opusic_c::Encoder::new(Channels::Mono, SampleRate::Hz48000, Application::Audio);
                State::Opus(Box::new(opus.map_err(|_| DecodeError::Unsupported("Opus"))?))
            }
        };
        Ok(Encoder { codec, state })
    }

    /// Which it is.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The payload of these samples, of one channel at [`Codec::rate`]. Opus takes 10, 20, 40 or 60 ms of them.
    ///
    /// # Errors
    /// [`DecodeError::Broken`] if the encoder does not take so many.
    pub fn encode(&mut self, samples: &[i16]) -> Result<Bytes, DecodeError> {
        use audio_codec::Encoder as _;
        Ok(match &mut self.state {
            State::Pcmu(law) => law.encode(samples).into(),
            State::Pcma(law) => {
                let mut octets = law.encode(samples);
                // The crate writes these as the step above zero; G.711 has one below it.
                for (octet, _) in
                    octets.iter_mut().zip(samples).filter(|(_, sample)| (-8..0).contains(*sample))
                {
                    *octet = 0x55;
                }
                octets.into()
            }
            State::G722(g722) => g722.encode(samples).into(),
            #[cfg(feature = "opus")]
            State::Opus(opus) => {
                let samples: Vec<f32> = samples.iter().map(|sample| f32::from(*sample) / 32768.0).collect();
                // The longest packet (RFC 6716 §3.4 R2 bounds a frame to 1275 octets; one frame is written).
                let mut packet = vec![0; 1276];
                let written = opus.encode_float_to_slice(&samples, &mut packet);
                packet.truncate(written.map_err(|_| DecodeError::Broken("a frame that Opus does not take"))?);
                packet.into()
            }
        })
    }
}

/// The whole clip as frames of `millis` each, the last one filled up with silence.
///
/// # Errors
/// [`DecodeError`] if the clip's samples can't be brought to the codec's rate.
pub fn encode(pcm: Box<dyn Pcm>, codec: Codec, millis: u32) -> Result<Encoded, DecodeError> {
    let pcm = match (pcm.rate(), pcm.channels()) == (codec.rate(), 1) {
        true => pcm,
        false => Box::new(Resampled::new(pcm, codec.rate(), 1)?),
    };
    let millis = millis.clamp(10, 60);
    Ok(Encoded {
        pcm,
        encoder: Encoder::new(codec)?,
        samples: (codec.rate() / 1000 * millis) as usize,
        ticks: codec.clock() / 1000 * millis,
        timestamp: 0,
        waiting: Vec::new(),
        ended: false,
    })
}

/// Frames of a clip, made as they are asked for.
pub struct Encoded {
    pcm: Box<dyn Pcm>,
    encoder: Encoder,
    samples: usize,
    ticks: u32,
    timestamp: u64,
    waiting: Vec<i16>,
    ended: bool,
}

impl Encoded {
    fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        while self.waiting.len() < self.samples && !self.ended {
            match self.pcm.block()? {
                Some(block) => self.waiting.extend_from_slice(block),
                None => self.ended = true,
            }
        }
        if self.waiting.is_empty() {
            return Ok(None);
        }
        self.waiting.resize(self.waiting.len().max(self.samples), 0);
        let octets = self.encoder.encode(self.waiting.get(..self.samples).unwrap_or_default())?;
        self.waiting.drain(..self.samples);
        let frame = Frame::whole(octets, self.timestamp, self.ticks);
        self.timestamp += u64::from(self.ticks);
        Ok(Some(frame))
    }
}

impl Iterator for Encoded {
    type Item = Result<Frame, DecodeError>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_frame();
        if next.is_err() {
            self.ended = true;
            self.waiting.clear();
        }
        next.transpose()
    }
}
