//! Sound and video for the planner: `media` behind `adapter`'s trait.

mod ladder;
mod make;
mod offer;

use std::sync::Arc;

use adapter::{Converter, JobError, Offer, Product, Traits, Want};
use bytes::Bytes;
use media::{Bounds, Cage, Ffmpeg, FindError, Launcher, Limits, Probe};

use crate::config::Config;

/// What every converter is made from: found once, at the start.
#[derive(Clone)]
pub(crate) struct Media {
    ffmpeg: Option<Ffmpeg>,
    limits: Limits,
    /// Pixels of a picture that is decoded.
    pixels: u32,
}

impl Media {
    /// Looks for ffmpeg where the config says. Without one, or where it does not run in its cage, sound is turned in process
    /// as far as that goes, and everything else becomes a link.
    pub(crate) fn find(config: &Config) -> Media {
        let keys = &config.media;
        let limits = Limits { octets: keys.octets.octets(), seconds: whole_seconds(keys.seconds.0) };
        let ffmpeg = if keys.ffmpeg == "off" { None } else { found(config, limits) };
        Media { ffmpeg, limits, pixels: keys.pixels }
    }

    /// The child, for announcements.
    pub(crate) fn ffmpeg(&self) -> Option<Ffmpeg> {
        self.ffmpeg.clone()
    }

    /// For the planner.
    pub(crate) fn converters(self) -> adapter::Converters {
        adapter::Converters(Arc::new([Arc::new(self) as Arc<dyn Converter>]))
    }
}

fn whole_seconds(period: std::time::Duration) -> u32 {
    u32::try_from(period.as_secs()).unwrap_or(u32::MAX).max(1)
}

fn found(config: &Config, limits: Limits) -> Option<Ffmpeg> {
    let keys = &config.media;
    let program = Some(&keys.ffmpeg).filter(|path| !path.is_empty()).map(std::path::PathBuf::from);
    let ourselves = match std::env::current_exe() {
        Ok(ourselves) => ourselves,
        Err(error) => {
            tracing::warn!(%error, "where this program is can't be found out: no ffmpeg, video and AMR become links");
            return None;
        }
    };
    let launcher = Launcher { program: ourselves, arguments: vec!["sandbox-exec".into()] };
    let cage = Cage { cpu: keys.cpu.0.as_secs().max(1), memory: keys.memory.0, ..Cage::default() };
    let bounds = Bounds { cage, seconds: limits.seconds, pixels: keys.pixels };
    match Ffmpeg::find(program, launcher, bounds) {
        Ok(ffmpeg) => {
            tracing::info!(program = %ffmpeg.program().display(), version = ffmpeg.version(), "ffmpeg turns sound and video, in its cage");
            Some(ffmpeg)
        }
        Err(error @ FindError::NotInstalled) => {
            tracing::info!("{error}: video and AMR become links; `media.ffmpeg` says where it is");
            None
        }
        Err(error) => {
            tracing::warn!("{error}: video and AMR become links");
            None
        }
    }
}

impl Converter for Media {
    fn probe(&self, media_type: &str, octets: &Bytes) -> Option<Traits> {
        let probe = self.look(media_type, octets)?;
        let mut ext = Vec::new();
        if let Some(sound) = probe.sound {
            ext.push((offer::RATE.to_owned(), sound.rate.into()));
            ext.push((offer::CHANNELS.to_owned(), sound.channels.into()));
        }
        if let Some(pictures) = probe.pictures.filter(|pictures| pictures.frames > 0) {
            ext.push((offer::FRAMES.to_owned(), pictures.frames.into()));
        }
        Some(Traits { pixels: probe.pictures.map(|pictures| pictures.pixels), ext })
    }

    fn offers(&self, media_type: &str, octets: &Bytes, wants: &dyn Fn(&str) -> Vec<Want>) -> Vec<Offer> {
        let Some(probe) = self.look(media_type, octets) else { return Vec::new() };
        offer::all(self, media_type, octets, &probe, wants)
    }

    fn convert(
        &self,
        octets: &Bytes,
        media_type: &str,
        offer: &Offer,
        most: Option<u64>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Product, JobError> {
        let made = make::make(self, octets, media_type, offer, most, stop);
        let result = match &made {
            Ok(_) => "made",
            Err(JobError::Stopped) => "stopped",
            Err(_) => "failed",
        };
        let to = offer.media_type.split(';').next().unwrap_or_default().to_owned();
        metrics::counter!("bespoke_media_conversions_total", "to" => to, "result" => result).increment(1);
        if let Err(error) = &made {
            tracing::debug!(%error, to = offer.media_type, "a clip was not turned");
        }
        made
    }
}

impl Media {
    /// What is known of a clip; nothing of what is no clip.
    fn look(&self, media_type: &str, octets: &Bytes) -> Option<Probe> {
        let kind = media_type.split('/').next().unwrap_or_default();
        let is_clip = ["audio", "video"].iter().any(|known| kind.eq_ignore_ascii_case(known))
            || media_type.to_ascii_lowercase().starts_with("application/ogg");
        if !is_clip {
            return None;
        }
        media::probe(octets, media_type, self.limits).ok()
    }
}
