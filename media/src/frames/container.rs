//! Ogg, MP4 and Matroska, by symphonia's demuxers.

use std::collections::VecDeque;

use bytes::Bytes;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_PCM_ALAW, CODEC_ID_PCM_MULAW,
};
use symphonia::core::codecs::video::well_known::extra_data::VIDEO_EXTRA_DATA_ID_AVC_DECODER_CONFIG;
use symphonia::core::codecs::video::well_known::{CODEC_ID_H264, CODEC_ID_VP8};
use symphonia::core::formats::{FormatReader, Track};
use symphonia::core::packet::Packet;
use symphonia::core::units::TimeBase;

use super::composition::Composition;
use super::nal::{configuration, nal_units};
use super::{Coding, Frame, Stream, mpeg_audio};
use crate::error::DecodeError;
use crate::kind::Kind;
use crate::symphonic::{guarded, next_of, reader};

/// The clock of video over RTP.
const VIDEO_CLOCK: u32 = 90_000;
/// That of Opus (RFC 7587 §4.1).
const OPUS_CLOCK: u32 = 48_000;
/// NAL units of one picture. Pictures of high definition in slices as long as a packet have a few hundred.
const MOST_UNITS: usize = 1024;
/// Streams of one clip that are looked at.
const MOST_STREAMS: usize = 8;

/// Those that can be passed on.
pub(super) fn streams(octets: &Bytes, kind: Kind) -> Result<Vec<Stream>, DecodeError> {
    let demuxer = guarded(|| reader(octets.clone(), kind))?;
    let tracks = demuxer.tracks().iter().take(MOST_STREAMS);
    tracks.filter_map(|track| stream(octets, kind, track).transpose()).collect()
}

fn stream(octets: &Bytes, kind: Kind, track: &Track) -> Result<Option<Stream>, DecodeError> {
    let mut setup = Vec::new();
    let mut length_octets = None;
    let (coding, clock, channels, pixels) = match &track.codec_params {
        Some(CodecParameters::Audio(sound)) => {
            let (coding, clock) = match sound.codec {
                CODEC_ID_OPUS => (Coding::Opus, OPUS_CLOCK),
                CODEC_ID_MP1 | CODEC_ID_MP2 | CODEC_ID_MP3 => (Coding::Mpa, mpeg_audio::CLOCK),
                CODEC_ID_PCM_MULAW => (Coding::Pcmu, 8000),
                CODEC_ID_PCM_ALAW => (Coding::Pcma, 8000),
                _ => return Ok(None),
            };
            let channels = sound.channels.as_ref().map_or(1, |channels| channels.count());
            let is_law = matches!(coding, Coding::Pcmu | Coding::Pcma);
            if is_law && (sound.sample_rate != Some(clock) || channels != 1) {
                return Ok(None);
            }
            (coding, clock, u16::try_from(channels).unwrap_or(u16::MAX), None)
        }
        Some(CodecParameters::Video(video)) => {
            let pixels = video.width.zip(video.height).map(|(width, height)| [width.into(), height.into()]);
            match video.codec {
                CODEC_ID_H264 => {
                    let record = video
                        .extra_data
                        .iter()
                        .find(|extra| extra.id == VIDEO_EXTRA_DATA_ID_AVC_DECODER_CONFIG)
                        .and_then(|extra| configuration(&extra.data));
                    let (octets, sets) = record.ok_or(DecodeError::Broken("H.264 without its parameters"))?;
                    length_octets = Some(octets);
                    setup = sets;
                    (Coding::H264, VIDEO_CLOCK, 0, pixels)
                }
                CODEC_ID_VP8 => (Coding::Vp8, VIDEO_CLOCK, 0, pixels),
                _ => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    let base = track.time_base.ok_or(DecodeError::Broken("a stream without a time base"))?;
    let demuxer = guarded(|| reader(octets.clone(), kind))?;
    let frames = Packets {
        demuxer,
        track: track.id,
        base,
        clock,
        samples: samples_of(coding),
        composition: if kind == Kind::Mp4 { Composition::of(octets, track.id) } else { None },
        elapsed: 0,
        start: None,
        next: None,
        length_octets,
        setup: setup.clone(),
        units: VecDeque::new(),
        is_over: false,
    };
    Ok(Some(Stream { coding, clock, channels, pixels, setup, frames: Box::new(frames) }))
}

/// How many ticks a packet lasts, by its octets.
type Lasting = fn(&[u8]) -> Option<u32>;

struct Packets {
    demuxer: Box<dyn FormatReader>,
    track: u32,
    base: TimeBase,
    clock: u32,
    /// Ticks of a packet, of sound.
    samples: Option<Lasting>,
    /// When pictures are shown, where that is not when they are decoded.
    composition: Option<Composition>,
    /// Ticks so far, of sound.
    elapsed: u64,
    /// The first picture's time.
    start: Option<i64>,
    /// The picture behind the one that is given out: its time is where that one ends if nothing else says it.
    next: Option<Packet>,
    /// Of H.264.
    length_octets: Option<usize>,
    setup: Vec<Bytes>,
    units: VecDeque<Frame>,
    is_over: bool,
}

impl Packets {
    fn advance(&mut self) -> Result<(), DecodeError> {
        let (demuxer, track) = (&mut *self.demuxer, self.track);
        let mut next = || guarded(|| next_of(demuxer, track));
        let packet = match self.next.take() {
            Some(packet) => Some(packet),
            None => next()?,
        };
        let Some(packet) = packet else {
            self.is_over = true;
            return Ok(());
        };
        if let Some(samples) = self.samples {
            self.sound(packet.data.into(), samples);
            return Ok(());
        }
        self.next = next()?;
        self.picture(packet)
    }

    /// Containers say when sound is due in units too coarse for RTP; what is in a packet says how long it lasts.
    fn sound(&mut self, octets: Bytes, samples: Lasting) {
        let Some(duration) = samples(&octets) else { return };
        self.units.push_back(Frame::whole(octets, self.elapsed, duration));
        self.elapsed += u64::from(duration);
    }

    fn picture(&mut self, packet: Packet) -> Result<(), DecodeError> {
        let offset = self.composition.as_mut().map_or(0, Composition::step);
        let shown = packet.pts.get().saturating_add(offset);
        let start = *self.start.get_or_insert(shown);
        let timestamp = self.ticks(shown.saturating_sub(start));
        let said = i64::try_from(packet.dur.get()).unwrap_or(0);
        let until = self.next.as_ref().map_or(0, |next| next.pts.get().saturating_sub(packet.pts.get()));
        let duration = self.ticks(if said > 0 { said } else { until });
        let duration = u32::try_from(duration).unwrap_or(0);
        let octets = Bytes::from(packet.data);
        let Some(length_octets) = self.length_octets else {
            self.units.push_back(Frame::whole(octets, timestamp, duration));
            return Ok(());
        };
        let slices = units_of(octets, length_octets)?;
        // Parameter sets go before the first picture; not every receiver reads them in the SDP.
        let mut units: Vec<Bytes> = std::mem::take(&mut self.setup);
        units.extend(slices);
        let count = units.len();
        self.units.extend(units.into_iter().enumerate().map(|(at, octets)| {
            let last = at + 1 == count;
            Frame { octets, timestamp, duration: if last { duration } else { 0 }, last, head: None }
        }));
        Ok(())
    }

    /// Time of the container as ticks of the clock.
    fn ticks(&self, time: i64) -> u64 {
        let (numerator, denominator) = (self.base.numer.get(), self.base.denom.get());
        let time = u128::try_from(time).unwrap_or(0);
        let ticks = time * u128::from(numerator) * u128::from(self.clock) / u128::from(denominator);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

/// The NAL units of a picture, which are not more than may be.
fn units_of(picture: Bytes, length_octets: usize) -> Result<Vec<Bytes>, DecodeError> {
    let units: Vec<Bytes> = nal_units(picture, length_octets).take(MOST_UNITS + 1).collect();
    match units.len() > MOST_UNITS {
        true => Err(DecodeError::Broken("a picture of too many NAL units")),
        false => Ok(units),
    }
}

/// How many ticks a packet of this sound lasts; of nothing that can't be passed on. `None` for pictures.
fn samples_of(coding: Coding) -> Option<Lasting> {
    match coding {
        Coding::Opus => Some(opus_samples),
        Coding::Mpa => Some(|frame| {
            let head = mpeg_audio::Head::read(frame)?;
            Some(head.samples * mpeg_audio::CLOCK / head.rate)
        }),
        Coding::Pcmu | Coding::Pcma => {
            Some(|octets| u32::try_from(octets.len()).ok().filter(|octets| *octets > 0))
        }
        _ => None,
    }
}

/// Samples at 48 kHz of a packet of Opus, by its first two octets (RFC 6716 §3.1, §3.2).
fn opus_samples(packet: &[u8]) -> Option<u32> {
    let first = *packet.first()?;
    let frame = match first >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880].get(usize::from(config & 3)).copied()?,
        config @ 12..=15 => [480, 960].get(usize::from(config & 1)).copied()?,
        config => [120, 240, 480, 960].get(usize::from(config & 3)).copied()?,
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*packet.get(1)? & 0x3f),
    };
    // No packet lasts longer than 120 ms.
    Some(frame * frames).filter(|samples| (1..=5760).contains(samples))
}

impl Iterator for Packets {
    type Item = Result<Frame, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.units.is_empty() && !self.is_over {
            if let Err(error) = self.advance() {
                self.is_over = true;
                return Some(Err(error));
            }
        }
        self.units.pop_front().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_too_many_units_is_none() {
        let picture = |units: usize| Bytes::from([1, 7].repeat(units));
        assert_eq!(units_of(picture(MOST_UNITS), 1).unwrap().len(), MOST_UNITS);
        assert!(units_of(picture(MOST_UNITS + 1), 1).is_err());
    }

    #[test]
    fn a_packet_of_opus_says_how_long_it_is() {
        assert_eq!(opus_samples(&[19 << 3]), Some(960));
        assert_eq!(opus_samples(&[16 << 3 | 1]), Some(240));
        assert_eq!(opus_samples(&[3 << 3]), Some(2880));
        assert_eq!(opus_samples(&[31 << 3 | 3, 6]), Some(5760));
        assert_eq!(opus_samples(&[31 << 3 | 3, 7]), None);
        assert_eq!(opus_samples(&[]), None);
    }
}
