//! Containers and codecs through symphonia, with its panics caught.

use std::collections::VecDeque;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use bytes::Bytes;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;

use crate::error::DecodeError;
use crate::gapless;
use crate::kind::Kind;

/// Packets in a row that may be unreadable before the clip is given up.
const MOST_BROKEN: u32 = 32;

/// A track of a container that is being decoded.
pub(crate) struct Symphonic {
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    /// Packets read ahead to learn the shape.
    first: VecDeque<Packet>,
    /// Frames to leave out at the start, which an encoder put there.
    skip: u64,
    /// Frames the container says there are after those.
    most: Option<u64>,
    ended: bool,
}

/// What comes out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) rate: u32,
    pub(crate) channels: u16,
    pub(crate) frames: Option<u64>,
}

impl Symphonic {
    pub(crate) fn open(octets: Bytes, kind: Kind) -> Result<(Symphonic, Shape), DecodeError> {
        guarded(move || open(octets, kind))
    }

    /// Appends the samples of one packet; nothing at the end.
    pub(crate) fn read(&mut self, rate: u32, channels: u16, out: &mut Vec<i16>) -> Result<(), DecodeError> {
        guarded(|| self.packets(rate, channels, out))
    }

    fn packets(&mut self, rate: u32, channels: u16, out: &mut Vec<i16>) -> Result<(), DecodeError> {
        let mut broken = 0;
        while !self.ended && out.is_empty() {
            let Some(packet) = self.packet()? else {
                self.ended = true;
                return Ok(());
            };
            let decoded = match self.decoder.decode(&packet) {
                Ok(decoded) => decoded,
                Err(Error::DecodeError(_)) if broken < MOST_BROKEN => {
                    broken += 1;
                    continue;
                }
                Err(_) => return Err(DecodeError::Broken("its sound can't be decoded")),
            };
            let spec = decoded.spec();
            if spec.rate() != rate || spec.channels().count() != usize::from(channels) {
                return Err(DecodeError::Broken("its rate or its channels change on the way"));
            }
            decoded.copy_to_vec_interleaved(out);
            trim(out, usize::from(channels), &mut self.skip, &mut self.most);
        }
        Ok(())
    }

    fn packet(&mut self) -> Result<Option<Packet>, DecodeError> {
        if let Some(packet) = self.first.pop_front() {
            return Ok(Some(packet));
        }
        next_of(&mut *self.reader, self.track)
    }
}

/// The demuxer of a container, which finds its format by its octets.
pub(crate) fn reader(octets: Bytes, kind: Kind) -> Result<Box<dyn FormatReader>, DecodeError> {
    let stream = MediaSourceStream::new(Box::new(Cursor::new(octets)), Default::default());
    let mut hint = Hint::new();
    hint.with_extension(match kind {
        Kind::Wav => "wav",
        Kind::MpegAudio => "mp3",
        Kind::Adts => "aac",
        Kind::Mp4 => "mp4",
        Kind::Flac => "flac",
        Kind::Matroska => "mkv",
        _ => "ogg",
    });
    let probe = symphonia::default::get_probe();
    probe.probe(&hint, stream, FormatOptions::default(), MetadataOptions::default()).map_err(|error| {
        match error {
            Error::Unsupported(_) => DecodeError::Unsupported("this form of the container"),
            _ => DecodeError::Broken("its head can't be read"),
        }
    })
}

/// The next packet of a track. A clip that ends in the middle of one ends before it.
pub(crate) fn next_of(reader: &mut dyn FormatReader, track: u32) -> Result<Option<Packet>, DecodeError> {
    loop {
        match reader.next_packet() {
            Ok(Some(packet)) if packet.track_id == track => return Ok(Some(packet)),
            Ok(Some(_)) => {}
            Ok(None) | Err(Error::ResetRequired) => return Ok(None),
            Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Ok(None);
            }
            Err(_) => return Err(DecodeError::Broken("its packets can't be read")),
        }
    }
}

/// Runs what a library does with a stranger's octets; that it panics says that they are broken.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    // What the closure borrows is not used again once it said it is broken.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(DecodeError::Broken("its decoder gave up")))
}

fn open(octets: Bytes, kind: Kind) -> Result<(Symphonic, Shape), DecodeError> {
    let mut reader = reader(octets.clone(), kind)?;
    let track =
        reader.default_track(TrackType::Audio).ok_or(DecodeError::Unsupported("a clip without sound"))?;
    let Some(CodecParameters::Audio(parameters)) = track.codec_params.clone() else {
        return Err(DecodeError::Unsupported("its coding"));
    };
    let id = track.id;
    let frames = track.num_frames;
    // Decoders of MPEG audio and Opus leave these out themselves.
    let trims_itself = matches!(kind, Kind::MpegAudio | Kind::Ogg | Kind::Matroska);
    let mut skip = if trims_itself { 0 } else { track.delay.unwrap_or(0).into() };
    let mut most = frames.filter(|_| !trims_itself);
    let mut decoder = codecs()
        .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
        .map_err(|_| DecodeError::Unsupported("its coding"))?;
    let (first, rate, channels) = shape(&mut *reader, &mut *decoder, id)?;
    if kind == Kind::Matroska && parameters.codec == CODEC_ID_OPUS {
        // symphonia's demuxer of Matroska does not say it, as that of Ogg does.
        skip = pre_skip(parameters.extra_data.as_deref().unwrap_or_default());
    }
    let heard = if kind == Kind::Mp4 { gapless::heard(&octets, id, rate) } else { None };
    if let Some(heard) = heard {
        (skip, most) = (heard.skip, heard.frames);
    }
    let shape = Shape { rate, channels, frames: most.or(frames) };
    Ok((Symphonic { reader, decoder, track: id, first, skip, most, ended: false }, shape))
}

/// Frames at 48 kHz that are not to be heard, in the head of Opus (RFC 7845 §5.1).
fn pre_skip(head: &[u8]) -> u64 {
    let frames = head.strip_prefix(b"OpusHead").and_then(|head| head.get(2..)?.first_chunk());
    frames.map_or(0, |frames| u16::from_le_bytes(*frames).into())
}

/// Decodes up to the first packet that can be: only then the shape is sure (SBR doubles the rate, a mono MP3 may say it is
/// stereo). The decoder is set back and gets the packets again.
fn shape(
    reader: &mut dyn FormatReader,
    decoder: &mut dyn AudioDecoder,
    track: u32,
) -> Result<(VecDeque<Packet>, u32, u16), DecodeError> {
    let mut read = VecDeque::new();
    for _ in 0..MOST_BROKEN {
        let packet = next_of(reader, track)?.ok_or(DecodeError::Broken("it holds no sound"))?;
        let decoded = decoder.decode(&packet).ok().map(|decoded| {
            (decoded.spec().rate(), u16::try_from(decoded.spec().channels().count()).unwrap_or(u16::MAX))
        });
        read.push_back(packet);
        if let Some((rate, channels)) = decoded.filter(|(rate, _)| *rate > 0) {
            decoder.reset();
            return Ok((read, rate, channels));
        }
    }
    Err(DecodeError::Broken("its sound can't be decoded"))
}

/// Leaves out what is not to be heard, at the start and at the end.
fn trim(out: &mut Vec<i16>, channels: usize, skip: &mut u64, most: &mut Option<u64>) {
    let frames = (out.len() / channels.max(1)) as u64;
    let skipped = frames.min(*skip);
    *skip -= skipped;
    // Both are below a packet's frames.
    out.drain(..usize::try_from(skipped).unwrap_or(usize::MAX).saturating_mul(channels).min(out.len()));
    if let Some(most) = most {
        let kept = (frames - skipped).min(*most);
        *most -= kept;
        out.truncate(usize::try_from(kept).unwrap_or(usize::MAX).saturating_mul(channels));
    }
}

fn codecs() -> &'static CodecRegistry {
    static CODECS: OnceLock<CodecRegistry> = OnceLock::new();
    CODECS.get_or_init(|| {
        let mut registry = CodecRegistry::new();
        symphonia::default::register_enabled_codecs(&mut registry);
        #[cfg(feature = "opus")]
        registry.register_audio_decoder::<symphonia_adapter_libopus::OpusDecoder>();
        registry
    })
}
