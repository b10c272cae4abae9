//! An announcement as it was fetched, and the tracks that are made of it.

use std::sync::Arc;

use bytes::Bytes;
use media::{Codec, Coding, DecodeError, Ffmpeg, Frame, Limits, Probe, Recipe, RunError, Source, Stop};

use crate::form::Form;
use crate::picture;
use crate::rtp::{Packetizer, Track, rate};
use crate::sdp::{Agreed, Making, Means};
use crate::source::Content;

/// Packets of a track at most, hours of sound: a clip may be all heads of empty units.
const MOST_PACKETS: usize = 1 << 20;

/// What clips are read with.
#[derive(Clone, Debug)]
pub struct Tools {
    /// How much of a clip is read.
    pub limits: Limits,
    /// The child for what is not read in process; `None`: there is none.
    pub ffmpeg: Option<Ffmpeg>,
}

/// An announcement.
#[derive(Clone, Debug)]
pub struct Clip {
    content: Content,
    tools: Tools,
    passes: Vec<Form>,
    /// Bits a second that those take, once they were counted.
    rates: Vec<(Form, u32)>,
    /// Parameter sets of its H.264.
    sets: Vec<Bytes>,
    /// What its sound is decoded by; `None`: it has none, or nothing decodes it.
    sound: Option<By>,
    /// Width and height of its pictures, if the child may turn them.
    pictures: Option<[u32; 2]>,
    /// Why it is not decoded in process.
    unread: Option<DecodeError>,
    is_unknown: bool,
}

/// What decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Process,
    Child,
}

/// Why an announcement can't be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClipError {
    /// It can't be read.
    #[error(transparent)]
    Decode(DecodeError),
    /// It holds nothing that is played.
    #[error("the announcement holds no sound and no video that is played here")]
    Nothing,
    /// The child did not get it done.
    #[error("the announcement can't be turned into what the phone plays")]
    Transcode,
    /// It takes too long, or the caller gave up.
    #[error("the announcement could not be decoded in time")]
    Late,
}

impl From<DecodeError> for ClipError {
    fn from(error: DecodeError) -> ClipError {
        match error {
            DecodeError::Stopped => ClipError::Late,
            error => ClipError::Decode(error),
        }
    }
}

impl From<RunError> for ClipError {
    fn from(error: RunError) -> ClipError {
        match error {
            RunError::Stopped => ClipError::Late,
            // What it says may quote the clip.
            RunError::Failed(why) => {
                tracing::debug!(why, "ffmpeg gave up on an announcement");
                ClipError::Transcode
            }
            other => {
                tracing::warn!(error = %other, "ffmpeg did not end well on an announcement");
                ClipError::Transcode
            }
        }
    }
}

impl Clip {
    /// Looks at what was fetched, by its head; at its pictures only if they are wanted. Takes as long as that does.
    pub fn open(content: Content, tools: Tools, wants_pictures: bool) -> Clip {
        let (octets, kind) = (&content.octets, &content.media_type);
        let decoded = media::decode(octets.clone(), kind, tools.limits);
        let streams = media::streams(octets.clone(), kind, tools.limits, 20).unwrap_or_default();
        let passes: Vec<Form> = streams.iter().map(|stream| form(stream.coding)).collect();
        let h264 = streams.into_iter().find(|stream| stream.coding == Coding::H264);
        let sets = h264.map(|stream| stream.setup).unwrap_or_default();
        let sound = decoded.is_ok().then_some(By::Process);
        let unread = decoded.err();
        let mut clip = Clip {
            content,
            tools,
            passes,
            rates: Vec::new(),
            sets,
            sound,
            pictures: None,
            unread,
            is_unknown: false,
        };
        clip.by_head(wants_pictures);
        clip
    }

    /// Counts how many bits what passes takes, for who says how many may be sent. Takes as long as reading all of it does.
    #[must_use]
    pub fn weighed(mut self) -> Clip {
        let (octets, kind) = (self.content.octets.clone(), &self.content.media_type);
        let streams = media::streams(octets, kind, self.tools.limits, 20).unwrap_or_default();
        let weigh = |stream: media::Stream| {
            let (form, clock) = (form(stream.coding), stream.clock);
            let (mut octets, mut ticks) = (0, 0);
            for frame in stream.frames.map_while(Result::ok) {
                octets += frame.octets.len();
                ticks = ticks.max(frame.timestamp + u64::from(frame.duration));
            }
            (form, rate(std::iter::once(octets), ticks, clock))
        };
        self.rates = streams.into_iter().map(weigh).collect();
        self
    }

    /// What its head says that the child is good for, and whether it says too little.
    fn by_head(&mut self, wants_pictures: bool) {
        let Ok((source, _)) = self.child() else { return };
        let wants_pictures = wants_pictures && source.kind().may_have_pictures();
        if self.sound.is_some() && !wants_pictures {
            return;
        }
        let probe = media::probe(&self.content.octets, &self.content.media_type, self.tools.limits);
        let probe = probe.unwrap_or_default();
        self.take(probe);
        self.is_unknown = self.sound.is_none() || (wants_pictures && self.pictures.is_none());
    }

    fn take(&mut self, probe: Probe) {
        self.sound = self.sound.or(probe.sound.map(|_| By::Child));
        self.pictures = self.pictures.or(probe.pictures.map(|pictures| pictures.pixels));
    }

    /// Whether its head says too little, so that the child is to look.
    pub const fn is_unknown(&self) -> bool {
        self.is_unknown
    }

    /// Has the child look.
    ///
    /// # Errors
    /// [`ClipError::Late`]. If the child finds nothing, the head's word is all there is.
    pub fn look(mut self, stop: &Stop) -> Result<Clip, ClipError> {
        let (source, ffmpeg) = self.child()?;
        match ffmpeg.look(&source, &|| stop()) {
            Ok(seen) => self.take(seen),
            Err(RunError::Stopped) => return Err(ClipError::Late),
            Err(_) => {}
        }
        self.is_unknown = false;
        Ok(self)
    }

    /// Says why not, if there is nothing in it that could be played to anybody.
    ///
    /// # Errors
    /// [`ClipError`].
    pub fn check(&self) -> Result<(), ClipError> {
        match &self.unread {
            _ if !self.passes.is_empty() || self.sound.is_some() || self.pictures.is_some() => Ok(()),
            Some(why) => Err(why.clone().into()),
            None => Err(ClipError::Nothing),
        }
    }

    /// What it can be sent as; `keys` says whether keys in a description may be believed.
    pub fn means(&self, keys: bool) -> Means {
        let encodes = if self.sound.is_some() {
            Codec::ALL.iter().map(|codec| made(*codec)).collect()
        } else {
            Vec::new()
        };
        let profile = self.sets.first().and_then(|set| set.get(1..4)?.first_chunk().copied());
        let transcodes = Form::ALL
            .into_iter()
            .filter(|form| !encodes.contains(form) && self.recipe(*form, None, None).is_some());
        let transcodes = transcodes.collect();
        let (passes, rates) = (self.passes.clone(), self.rates.clone());
        Means { passes, rates, encodes, transcodes, h264: profile, keys }
    }

    /// Whether the child is needed for that.
    pub fn needs_child(&self, agreed: &Agreed) -> bool {
        match agreed.making {
            Making::Pass => false,
            Making::Encode => self.sound == Some(By::Child),
            Making::Transcode => true,
        }
    }

    /// Parameter sets of its H.264 as it is.
    pub fn parameter_sets(&self) -> &[Bytes] {
        &self.sets
    }

    /// Its packets for one medium: passed on, decoded and coded anew, or by the child. Takes long; not for threads of
    /// others.
    ///
    /// # Errors
    /// [`ClipError`], also for what turns out to be broken behind its head.
    pub fn track(&self, agreed: &Agreed, stop: &Stop) -> Result<Arc<Track>, ClipError> {
        let (octets, kind) = (&self.content.octets, self.content.media_type.as_str());
        let mut track = Track { clock: agreed.form.clock(), packets: Vec::new(), ticks: 0, sets: Vec::new() };
        let mut packetizer = Packetizer::new(agreed.form, agreed.fmtp.as_deref());
        match agreed.making {
            Making::Pass => self.split(octets.clone(), kind, agreed, &mut track, &mut packetizer, stop)?,
            Making::Encode => {
                let codec = Codec::ALL.iter().copied().find(|codec| made(*codec) == agreed.form);
                let codec = codec.ok_or(ClipError::Nothing)?;
                let pcm = match self.sound {
                    Some(By::Child) => {
                        self.child()?.1.decode(&self.child()?.0, codec.rate(), 1, Arc::clone(stop))?
                    }
                    _ => Box::new(media::decode(octets.clone(), kind, self.tools.limits)?),
                };
                let frames = media::encode(pcm, codec, agreed.ptime)?;
                collect(frames, &mut packetizer, &mut track, stop)?;
            }
            Making::Transcode => {
                let recipe = self.recipe(agreed.form, agreed.fmtp.as_deref(), agreed.most);
                let recipe = recipe.ok_or(ClipError::Nothing)?;
                let (source, ffmpeg) = self.child()?;
                let made = ffmpeg.make(&source, &recipe, self.tools.limits.octets, &|| stop())?;
                let kind = match &recipe {
                    Recipe::Pictures(pictures) => pictures.media_type(),
                    Recipe::Sound(sound) => sound.media_type,
                    Recipe::Clip(_) | Recipe::Still => return Err(ClipError::Nothing),
                };
                self.split(made, kind, agreed, &mut track, &mut packetizer, stop)?;
            }
        }
        if track.packets.is_empty() { Err(ClipError::Nothing) } else { Ok(Arc::new(track)) }
    }

    /// The frames of a file as they are.
    fn split(
        &self,
        octets: Bytes,
        kind: &str,
        agreed: &Agreed,
        track: &mut Track,
        packetizer: &mut Packetizer,
        stop: &Stop,
    ) -> Result<(), ClipError> {
        let streams = media::streams(octets, kind, self.tools.limits, agreed.ptime)?;
        let stream = streams.into_iter().find(|stream| form(stream.coding) == agreed.form);
        let stream = stream.ok_or(ClipError::Nothing)?;
        track.sets = stream.setup;
        collect(stream.frames, packetizer, track, stop)
    }

    fn child(&self) -> Result<(Source, &Ffmpeg), ClipError> {
        let source = Source::new(self.content.octets.clone(), &self.content.media_type);
        source.zip(self.tools.ffmpeg.as_ref()).ok_or(ClipError::Nothing)
    }

    /// What the child is asked for to have that form; `None`: it has no such encoder, or the clip has nothing for it.
    fn recipe(&self, form: Form, fmtp: Option<&str>, most: Option<u32>) -> Option<Recipe> {
        let ffmpeg = self.tools.ffmpeg.as_ref()?;
        let sound = |media_type, rate| {
            Recipe::Sound(media::Sound { media_type, rate, channels: 1, bits: form.bits() })
        };
        let recipe = match form {
            Form::Opus => sound("audio/ogg", 48_000),
            Form::Mpa => sound("audio/mpeg", 44_100),
            Form::Amr => sound("audio/amr", 8000),
            Form::AmrWb => sound("audio/amr-wb", 16_000),
            Form::H264 | Form::Vp8 | Form::Mpv => {
                Recipe::Pictures(picture::recipe(form, fmtp, self.pictures?, most)?)
            }
            Form::Pcmu | Form::Pcma | Form::G722 => return None,
        };
        let has_source = if form.is_video() { self.pictures.is_some() } else { self.sound.is_some() };
        let is_read = || Source::new(self.content.octets.clone(), &self.content.media_type).is_some();
        (has_source && ffmpeg.makes(&recipe) && is_read()).then_some(recipe)
    }
}

/// What breaks off is played up to there; what is longer than may be is played so far.
fn collect(
    frames: impl Iterator<Item = Result<Frame, DecodeError>>,
    packetizer: &mut Packetizer,
    track: &mut Track,
    stop: &Stop,
) -> Result<(), ClipError> {
    for frame in frames {
        if stop() {
            return Err(ClipError::Late);
        }
        let frame = match frame {
            Ok(frame) => frame,
            Err(DecodeError::Stopped) => return Err(ClipError::Late),
            Err(error) if track.packets.is_empty() => return Err(error.into()),
            Err(_) => break,
        };
        if track.packets.len() >= MOST_PACKETS {
            break;
        }
        packetizer.push(&frame, &mut track.packets);
        track.ticks = track.ticks.max(frame.timestamp + u64::from(frame.duration));
    }
    Ok(())
}

const fn form(coding: Coding) -> Form {
    match coding {
        Coding::Pcmu => Form::Pcmu,
        Coding::Pcma => Form::Pcma,
        Coding::Amr => Form::Amr,
        Coding::AmrWb => Form::AmrWb,
        Coding::Mpa => Form::Mpa,
        Coding::Opus => Form::Opus,
        Coding::H264 => Form::H264,
        Coding::Vp8 => Form::Vp8,
        Coding::Mpv => Form::Mpv,
    }
}

const fn made(codec: Codec) -> Form {
    match codec {
        Codec::Pcmu => Form::Pcmu,
        Codec::Pcma => Form::Pcma,
        Codec::G722 => Form::G722,
        #[cfg(feature = "opus")]
        Codec::Opus => Form::Opus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_that_is_all_heads_ends_somewhere() {
        let frames = (0..MOST_PACKETS as u64 + 10).map(|at| {
            Ok(Frame { octets: Bytes::from_static(&[7]), timestamp: at, duration: 1, last: true, head: None })
        });
        let mut track = Track { clock: 8000, packets: Vec::new(), ticks: 0, sets: Vec::new() };
        let stop: Stop = Arc::new(|| false);
        collect(frames, &mut Packetizer::new(Form::Pcmu, None), &mut track, &stop).unwrap();
        assert_eq!((track.packets.len(), track.ticks), (MOST_PACKETS, MOST_PACKETS as u64));
    }

    #[test]
    fn what_passes_is_weighed() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/media/tone.mp3");
        let octets = Bytes::from(std::fs::read(file).unwrap());
        let content = Content { octets, media_type: "audio/mpeg".to_owned() };
        let tools = Tools { limits: Limits::default(), ffmpeg: None };
        let clip = Clip::open(content, tools, false).weighed();
        let [(Form::Mpa, bits)] = clip.means(false).rates[..] else { panic!() };
        assert!((32_000..330_000).contains(&bits), "{bits}");
    }
}
