//! What a clip holds, by its heads.

use bytes::Bytes;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::formats::Track;

use crate::boxes;
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
        // Old phones' clips have codings for which symphonia has no name; their boxes say as much.
        Kind::Mp4 => match guarded(|| by_tracks(octets, kind)) {
            Ok(probe) if probe.pictures.is_some() => Ok(probe),
            Ok(probe) => Ok(completed(probe, by_boxes(octets))),
            Err(error) => Some(by_boxes(octets)).filter(|probe| *probe != Probe::default()).ok_or(error),
        },
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

fn completed(probe: Probe, more: Probe) -> Probe {
    Probe {
        millis: probe.millis.or(more.millis),
        sound: probe.sound.or(more.sound),
        pictures: probe.pictures.or(more.pictures),
    }
}

/// The first sound and the first pictures of an ISO base media file (ISO 14496-12 §8.3.2, §8.4, §12.1, §12.2).
fn by_boxes(octets: &Bytes) -> Probe {
    let mut probe = Probe::default();
    for track in boxes::tracks(octets) {
        let _of_no_kind = by_track(&track, &mut probe);
    }
    probe
}

fn by_track(track: &Bytes, probe: &mut Probe) -> Option<()> {
    let media = boxes::at(track, &[b"mdia"])?;
    let head = boxes::at(&media, &[b"mdhd"])?;
    let ticks = match head.first() {
        Some(1) => u64::from_be_bytes(*head.get(24..)?.first_chunk()?),
        _ => u32::from_be_bytes(*head.get(16..)?.first_chunk()?).into(),
    };
    let millis = ticks_to_millis(ticks, 1, boxes::timescale(&head)?);
    let table = boxes::at(&media, &[b"minf", b"stbl"])?;
    match boxes::at(&media, &[b"hdlr"])?.get(8..12)? {
        b"vide" if probe.pictures.is_none() => {
            let head = boxes::at(track, &[b"tkhd"])?;
            let side = |behind: usize| {
                let octets = head.get(head.len().checked_sub(behind)?..)?.first_chunk()?;
                Some(u32::from(u16::from_be_bytes(*octets))).filter(|side| *side > 0)
            };
            let sizes = boxes::at(&table, &[b"stsz"])?;
            let count = u64::from(u32::from_be_bytes(*sizes.get(8..)?.first_chunk()?));
            let frames = u32::try_from((count * 1000 + millis / 2) / millis.max(1)).unwrap_or(0);
            probe.pictures = Some(PictureShape { pixels: [side(8)?, side(4)?], frames });
        }
        b"soun" if probe.sound.is_none() => {
            let entries = boxes::at(&table, &[b"stsd"])?;
            // Behind the head of the list and that of its first entry.
            let number = |at: usize| Some(u16::from_be_bytes(*entries.get(8 + at..)?.first_chunk()?));
            let rate = number(32)?.into();
            // TS 26.244 §6.5: AMR always says two there, and has one.
            let is_amr = matches!(entries.get(12..16)?, b"samr" | b"sawb");
            let channels = if is_amr { 1 } else { number(24)? };
            probe.sound = Some(SoundShape { rate, channels }).filter(|_| Limits::take(rate, channels));
        }
        _ => return None,
    }
    probe.millis = probe.millis.max(Some(millis));
    Some(())
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
