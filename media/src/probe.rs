//! What a clip holds, by its heads.

use bytes::Bytes;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::formats::Track;

use crate::error::DecodeError;
use crate::frames::{self, Coding};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::raw::Raw;
use crate::symphonic::{guarded, reader};

/// What is known of a clip before any of it is decoded. What no head says is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Its length in milliseconds.
    pub millis: Option<u64>,
    /// Its sound.
    pub sound: Option<SoundShape>,
    /// Its pictures.
    pub pictures: Option<PictureShape>,
}

/// Sound as coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundShape {
    /// Samples a second.
    pub rate: u32,
    /// Channels.
    pub channels: u16,
}

/// Pictures as coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureShape {
    /// Width and height.
    pub pixels: [u32; 2],
    /// Pictures a second, rounded; 0: not known.
    pub frames: u32,
}

/// Reads heads; of AMR, MPEG audio and MPEG video it counts frames, which says how long they last.
///
/// # Errors
/// [`DecodeError`]: no clip of a kind that is known, or broken in its head.
pub fn probe(octets: &Bytes, media_type: &str, limits: Limits) -> Result<Probe, DecodeError> {
    if octets.len() > limits.octets {
        return Err(DecodeError::TooLarge);
    }
    let kind = Kind::of(media_type, octets).ok_or(DecodeError::Unsupported("this kind of content"))?;
    match kind {
        Kind::Mulaw | Kind::Alaw | Kind::L16 | Kind::Au => {
            let raw = Raw::open(octets.clone(), kind, media_type)?;
            let millis = raw.frames() * 1000 / u64::from(raw.rate.max(1));
            let sound = Some(SoundShape { rate: raw.rate, channels: raw.channels });
            Ok(Probe { millis: Some(millis), sound, pictures: None })
        }
        Kind::Amr | Kind::AmrWb | Kind::MpegAudio | Kind::MpegVideo => counted(octets, media_type, limits),
        Kind::Avi => Ok(avi(octets).unwrap_or_default()),
        // Nothing in process reads these; what they hold ffmpeg will say.
        Kind::TransportStream | Kind::Flv | Kind::Adts => Ok(Probe::default()),
        _ => guarded(|| by_tracks(octets, kind)),
    }
}

fn counted(octets: &Bytes, media_type: &str, limits: Limits) -> Result<Probe, DecodeError> {
    let mut probe = Probe::default();
    for stream in frames::streams(octets.clone(), media_type, limits, 20)? {
        let (clock, pixels, channels, is_video) =
            (u64::from(stream.clock.max(1)), stream.pixels, stream.channels, stream.is_video());
        let mut pictures = 0;
        let mut ticks = 0;
        for frame in stream.frames.map_while(Result::ok) {
            pictures += u64::from(frame.last);
            ticks += u64::from(frame.duration);
        }
        let millis = ticks * 1000 / clock;
        probe.millis = probe.millis.max(Some(millis));
        if is_video {
            let frames = u32::try_from((pictures * 1000 + millis / 2) / millis.max(1)).unwrap_or(0);
            probe.pictures = pixels.map(|pixels| PictureShape { pixels, frames });
        } else {
            // The clock of MPEG is that of its pictures.
            let rate = match stream.coding {
                Coding::Mpa => frames::mpeg_audio_rate(octets).unwrap_or(44_100),
                _ => stream.clock,
            };
            probe.sound = Some(SoundShape { rate, channels });
        }
    }
    Ok(probe)
}

/// The main header of a RIFF/AVI: microseconds of a picture, then other numbers, among them how many there are and how
/// large.
fn avi(octets: &[u8]) -> Option<Probe> {
    let at = memchr::memmem::find(octets.get(..octets.len().min(4096))?, b"avih")? + 8;
    let number = |index: usize| {
        let octets = octets.get(at + index * 4..)?.first_chunk()?;
        Some(u32::from_le_bytes(*octets))
    };
    let (period, count, width, height) = (number(0)?, number(4)?, number(8)?, number(9)?);
    let frames = (1_000_000 + period / 2).checked_div(period).unwrap_or(0);
    let pictures = Some(PictureShape { pixels: [width, height], frames });
    let millis = Some(u64::from(count) * u64::from(period) / 1000).filter(|millis| *millis > 0);
    Some(Probe { millis, sound: None, pictures: pictures.filter(|_| width > 0 && height > 0) })
}

fn by_tracks(octets: &Bytes, kind: Kind) -> Result<Probe, DecodeError> {
    let demuxer = reader(octets.clone(), kind)?;
    let mut probe = Probe::default();
    for track in demuxer.tracks() {
        let millis = millis(track);
        match &track.codec_params {
            Some(CodecParameters::Audio(sound)) if probe.sound.is_none() => {
                let channels = sound.channels.as_ref().map_or(1, |channels| channels.count());
                let channels = u16::try_from(channels).unwrap_or(u16::MAX);
                probe.sound = sound.sample_rate.map(|rate| SoundShape { rate, channels });
            }
            Some(CodecParameters::Video(video)) if probe.pictures.is_none() => {
                let pixels =
                    video.width.zip(video.height).map(|(width, height)| [width.into(), height.into()]);
                let frames = track
                    .num_frames
                    .zip(millis)
                    .map_or(0, |(frames, millis)| (frames * 1000 + millis / 2) / millis.max(1));
                let frames = u32::try_from(frames).unwrap_or(0);
                probe.pictures = pixels.map(|pixels| PictureShape { pixels, frames });
            }
            _ => {}
        }
        probe.millis = probe.millis.max(millis);
    }
    let whole = demuxer.media_info();
    if probe.millis.is_none()
        && let (Some(base), Some(duration)) = (whole.time_base, whole.duration)
    {
        probe.millis = Some(ticks_to_millis(duration.get(), base.numer.get(), base.denom.get()));
    }
    Ok(probe)
}

fn millis(track: &Track) -> Option<u64> {
    let (base, duration) = (track.time_base?, track.duration?);
    Some(ticks_to_millis(duration.get(), base.numer.get(), base.denom.get()))
}

fn ticks_to_millis(ticks: u64, numerator: u32, denominator: u32) -> u64 {
    let millis = u128::from(ticks) * u128::from(numerator) * 1000 / u128::from(denominator.max(1));
    u64::try_from(millis).unwrap_or(u64::MAX)
}
