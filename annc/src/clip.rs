//! An announcement as it was fetched, and the tracks that are made of it.

use std::sync::Arc;

use bytes::Bytes;
use media::{Codec, Coding, DecodeError, Frame, Limits};

use crate::form::Form;
use crate::rtp::{Packetizer, Track};
use crate::sdp::{Agreed, Means};
use crate::source::Content;

/// An announcement.
#[derive(Clone, Debug)]
pub struct Clip {
    content: Content,
    limits: Limits,
    passes: Vec<Form>,
    /// Parameter sets of its H.264.
    sets: Vec<Bytes>,
    /// Whether its sound can be made into something else.
    has_sound: bool,
}

/// Why an announcement can't be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClipError {
    /// It can't be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It holds nothing that is played.
    #[error("the announcement holds no sound and no video that is played here")]
    Nothing,
}

impl Clip {
    /// Looks at what was fetched. Takes as long as reading its head does.
    ///
    /// # Errors
    /// [`ClipError`].
    pub fn open(content: Content, limits: Limits) -> Result<Clip, ClipError> {
        let decoded = media::decode(content.octets.clone(), &content.media_type, limits);
        let streams = media::streams(content.octets.clone(), &content.media_type, limits, 20);
        let has_sound = decoded.is_ok();
        let streams = match (streams, decoded) {
            (Ok(streams), _) => streams,
            (Err(_), Ok(_)) => Vec::new(),
            (Err(_), Err(error)) => return Err(error.into()),
        };
        let passes: Vec<Form> = streams.iter().map(|stream| form(stream.coding)).collect();
        if passes.is_empty() && !has_sound {
            return Err(ClipError::Nothing);
        }
        let h264 = streams.into_iter().find(|stream| stream.coding == Coding::H264);
        let sets = h264.map(|stream| stream.setup).unwrap_or_default();
        Ok(Clip { content, limits, passes, sets, has_sound })
    }

    /// What it can be sent as; `keys` says whether keys in a description may be believed.
    pub fn means(&self, keys: bool) -> Means {
        let makes =
            if self.has_sound { Codec::ALL.iter().map(|codec| made(*codec)).collect() } else { Vec::new() };
        let profile = self.sets.first().and_then(|set| set.get(1..4)?.first_chunk().copied());
        Means { passes: self.passes.clone(), makes, h264: profile, keys }
    }

    /// The value of `sprop-parameter-sets` (RFC 6184 §8.1), if it has H.264.
    pub fn parameter_sets(&self) -> Option<String> {
        use base64::Engine;
        let encoded = self.sets.iter().map(|set| base64::engine::general_purpose::STANDARD.encode(set));
        Some(encoded.collect::<Vec<_>>().join(",")).filter(|sets| !sets.is_empty())
    }

    /// Its packets for one medium: passed on, or decoded and coded anew. Takes long; not for threads of others.
    ///
    /// # Errors
    /// [`ClipError`], also for what turns out to be broken behind its head.
    pub fn track(&self, agreed: &Agreed) -> Result<Arc<Track>, ClipError> {
        let (octets, kind) = (self.content.octets.clone(), &self.content.media_type);
        let mut track = Track { clock: agreed.form.clock(), packets: Vec::new(), ticks: 0 };
        let mut packetizer = Packetizer::new(agreed.form, agreed.fmtp.as_deref());
        if self.passes.contains(&agreed.form) {
            let streams = media::streams(octets, kind, self.limits, agreed.ptime)?;
            let stream = streams.into_iter().find(|stream| form(stream.coding) == agreed.form);
            let stream = stream.ok_or(ClipError::Nothing)?;
            // Where the container has the parameter sets, they go before the first picture too.
            for set in &stream.setup {
                let unit = Frame { octets: set.clone(), timestamp: 0, duration: 0, last: false, head: None };
                packetizer.push(&unit, &mut track.packets);
            }
            collect(stream.frames, &mut packetizer, &mut track)?;
        } else {
            let codec = Codec::ALL.iter().copied().find(|codec| made(*codec) == agreed.form);
            let audio = media::decode(octets, kind, self.limits)?;
            let frames = media::encode(audio, codec.ok_or(ClipError::Nothing)?, agreed.ptime)?;
            collect(frames, &mut packetizer, &mut track)?;
        }
        if track.packets.is_empty() { Err(ClipError::Nothing) } else { Ok(Arc::new(track)) }
    }
}

/// What breaks off is played up to there; what is longer than may be is played so far.
fn collect(
    frames: impl Iterator<Item = Result<Frame, DecodeError>>,
    packetizer: &mut Packetizer,
    track: &mut Track,
) -> Result<(), ClipError> {
    for frame in frames {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) if track.packets.is_empty() => return Err(error.into()),
            Err(_) => break,
        };
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
