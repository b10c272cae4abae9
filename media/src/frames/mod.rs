//! Clips as the frames they are made of, for senders that pass them on without decoding.

mod amr;
mod composition;
mod container;
mod law;
mod mpeg_audio;
mod mpeg_video;
mod nal;
mod program;

use bytes::Bytes;

use crate::error::DecodeError;
use crate::kind::Kind;
use crate::limits::Limits;

pub use nal::nal_units;

/// One frame, or one unit of it that a packet may begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its octets: what the payload format carries of it ([`Coding`] says which form).
    pub octets: Bytes,
    /// When it is due, in ticks of [`Stream::clock`] from the start.
    pub timestamp: u64,
    /// Ticks until the next one is due; 0 for units of the same picture.
    pub duration: u32,
    /// Whether it ends a picture, which is where the RTP marker of video is set. Always, of sound.
    pub last: bool,
    /// The header before each packet's payload of MPEG video (RFC 2250 §3.4), with the S, B and E bits of the unit
    /// whole: whoever cuts it takes B off all pieces but the first, E off all but the last.
    pub head: Option<[u8; 4]>,
}

impl Frame {
    /// A frame of sound.
    pub(crate) const fn whole(octets: Bytes, timestamp: u64, duration: u32) -> Frame {
        Frame { octets, timestamp, duration, last: true, head: None }
    }
}

/// How the frames of a stream are coded, and in which form [`Frame::octets`] has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// G.711 mu-law: samples, ready for RTP.
    Pcmu,
    /// G.711 A-law: samples, ready for RTP.
    Pcma,
    /// AMR narrowband: the frame of the storage form, one octet of frame header and then the speech bits padded to octets
    /// (RFC 4867 §5.3); the octet-aligned payload of one frame is a CMR octet and this.
    Amr,
    /// AMR wideband, likewise.
    AmrWb,
    /// A frame of MPEG audio with its header; RFC 2250 §3.5 puts four octets before it.
    Mpa,
    /// A packet of Opus, ready for RTP (RFC 7587).
    Opus,
    /// A NAL unit of H.264 without start code or length (RFC 6184).
    H264,
    /// A frame of VP8 (RFC 7741).
    Vp8,
    /// A unit of MPEG-1 or MPEG-2 video: a slice, the first of a picture with the headers before it (RFC 2250 §3.2).
    Mpv,
}

/// Frames, in the order they are sent. After an error there are no more.
pub type Frames = Box<dyn Iterator<Item = Result<Frame, DecodeError>> + Send>;

/// One stream of a clip.
pub struct Stream {
    /// How it is coded.
    pub coding: Coding,
    /// Ticks a second of the timestamps; what RTP has for this coding.
    pub clock: u32,
    /// Channels of sound; 0 for video.
    pub channels: u16,
    /// Width and height of video, where the container says them.
    pub pixels: Option<[u32; 2]>,
    /// Parameter sets of H.264: SPS and PPS, for `sprop-parameter-sets`.
    pub setup: Vec<Bytes>,
    /// Its frames.
    pub frames: Frames,
}

impl Stream {
    pub(crate) fn sound(coding: Coding, clock: u32, channels: u16, frames: Frames) -> Stream {
        Stream { coding, clock, channels, pixels: None, setup: Vec::new(), frames }
    }

    /// Whether it is video.
    pub const fn is_video(&self) -> bool {
        matches!(self.coding, Coding::H264 | Coding::Vp8 | Coding::Mpv)
    }
}

/// The streams of a clip that can be passed on as they are; those in other codings are left out, so there may be none.
/// `millis` is the length of a frame of PCMU or PCMA; other codings have their own.
///
/// Split are WAV, `.snd` and headerless audio in mu-law or A-law at 8 kHz, AMR storage, MPEG audio files, Ogg Opus, MP4 and
/// its kin (H.264, MPEG audio, Opus), WebM (VP8, Opus), MPEG program streams and MPEG video.
///
/// # Errors
/// [`DecodeError`]: another kind of clip, broken in its head, or over a limit.
pub fn streams(
    octets: Bytes,
    media_type: &str,
    limits: Limits,
    millis: u32,
) -> Result<Vec<Stream>, DecodeError> {
    if octets.len() > limits.octets {
        return Err(DecodeError::TooLarge);
    }
    let kind = Kind::of(media_type, &octets).ok_or(DecodeError::Unsupported("this kind of content"))?;
    let mut streams = match kind {
        Kind::Wav | Kind::Au | Kind::Mulaw | Kind::Alaw => law::streams(octets, kind, media_type, millis)?,
        Kind::Amr | Kind::AmrWb => vec![amr::stream(octets, kind)?],
        Kind::MpegAudio => vec![mpeg_audio::stream(octets)?],
        Kind::Ogg | Kind::Mp4 | Kind::Matroska => container::streams(&octets, kind)?,
        Kind::MpegVideo => program::streams(&octets)?,
        Kind::L16 | Kind::Adts | Kind::Flac | Kind::Avi | Kind::TransportStream | Kind::Flv => Vec::new(),
    };
    for stream in &mut streams {
        let end = u64::from(limits.seconds) * u64::from(stream.clock);
        let frames = std::mem::replace(&mut stream.frames, Box::new(std::iter::empty()));
        stream.frames = Box::new(Bounded { frames, end, is_over: false });
    }
    Ok(streams)
}

/// Samples a second of MPEG audio, by its first frame.
pub(crate) fn mpeg_audio_rate(octets: &[u8]) -> Option<u32> {
    mpeg_audio::rate(octets)
}

/// Frames up to a time; one error at most.
struct Bounded {
    frames: Frames,
    end: u64,
    is_over: bool,
}

impl Iterator for Bounded {
    type Item = Result<Frame, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = match self.frames.next()? {
            Ok(frame) if frame.timestamp >= self.end => Err(DecodeError::TooLong),
            next => next,
        };
        self.is_over = next.is_err();
        Some(next)
    }
}
