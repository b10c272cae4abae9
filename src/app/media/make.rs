//! Making what was offered, within its octets.

use adapter::image::{self, Kind as ImageKind, Spec};
use adapter::{JobError, Offer, Product, Shape};
use bytes::Bytes;
use media::{Clip, Form, Pcm, Recipe, RunError, Sound, Source, WriteError};

use super::Media;
use super::offer::{FORMS, STILLS};

/// Tries with fewer bits each before it is given up.
const TRIES: u32 = 4;
/// Of what is allowed, what is aimed at; encoders do not keep to it exactly.
const AIM: f64 = 0.92;

pub(super) fn make(
    media: &Media,
    octets: &Bytes,
    media_type: &str,
    offer: &Offer,
    most: Option<u64>,
    stop: &dyn Fn() -> bool,
) -> Result<Product, JobError> {
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let most = most.min(media.limits.octets);
    let essence = offer.media_type.split(';').next().unwrap_or_default();
    let is = |known: &&str| known.eq_ignore_ascii_case(essence);
    if let Some((_, form)) = FORMS.iter().find(|(name, _)| is(name)) {
        return samples(media, octets, media_type, offer, *form, most, stop);
    }
    if let Some(still) = STILLS.iter().find(|name| is(name)) {
        return still_of(media, octets, media_type, still, offer, most, stop);
    }
    if let Some(to) = Sound::types().find(|name| is(name)) {
        let recipe = |bits| {
            let shape = &offer.shape;
            Recipe::Sound(Sound { media_type: to, rate: shape.rate, channels: shape.channels, bits })
        };
        let bytes = searched(media, octets, media_type, offer, most, stop, &recipe)?;
        return Ok(product(to, bytes, offer.shape.pixels, vec!["transcode"]));
    }
    if let Some(to) = Clip::types().find(|name| is(name)) {
        let recipe = |bits| Recipe::Clip(clip_recipe(to, &offer.shape, bits));
        let bytes = searched(media, octets, media_type, offer, most, stop, &recipe)?;
        return Ok(product(to, bytes, offer.shape.pixels, vec!["transcode", "scale"]));
    }
    Err(JobError::Converter("it was never offered".to_owned()))
}

/// A clip of that shape.
pub(super) fn clip_recipe(to: &'static str, shape: &Shape, bits: u32) -> Clip {
    let sound_bits = if shape.rate > 16_000 { 48_000 } else { 16_000 };
    let sound = (shape.rate > 0).then_some(Sound {
        media_type: "audio/aac",
        rate: shape.rate,
        channels: shape.channels,
        bits: sound_bits,
    });
    let frames = Some(shape.frames).filter(|frames| *frames > 0);
    Clip { media_type: to, pixels: shape.pixels.unwrap_or([176, 144]), frames, bits, sound }
}

/// A file of samples, decoded in process where that is possible.
fn samples(
    media: &Media,
    octets: &Bytes,
    media_type: &str,
    offer: &Offer,
    form: Form,
    most: usize,
    stop: &dyn Fn() -> bool,
) -> Result<Product, JobError> {
    let Shape { rate, channels, .. } = offer.shape;
    let pcm: Box<dyn Pcm> = match media::decode(octets.clone(), media_type, media.limits) {
        Ok(audio) => audio.at(rate, channels).map_err(|error| JobError::Converter(error.to_string()))?,
        Err(error) => {
            let ffmpeg = media.ffmpeg.as_ref().ok_or_else(|| JobError::Converter(error.to_string()))?;
            let running = ffmpeg.samples(&source(octets, media_type)?, rate, channels);
            let running = running.map_err(|error| failed(&error))?;
            // All of it at once: `stop` does not live longer than this call.
            let bytes = running.collect(media.limits.octets, stop).map_err(|error| failed(&error))?;
            Box::new(media::Samples::new(bytes, rate, channels))
        }
    };
    // What is read as WAV may be written companded: the rung of the ladder is known by its rate of octets.
    let form = if form == Form::Wav && is_companded(offer) { Form::WavMulaw } else { form };
    let bytes = media::write(pcm, form, most, stop).map_err(|error| match error {
        WriteError::Stopped => JobError::Stopped,
        other => JobError::Converter(other.to_string()),
    })?;
    Ok(product(&offer.media_type, bytes, None, vec!["transcode"]))
}

fn is_companded(offer: &Offer) -> bool {
    offer.shape.bits == super::ladder::COMPANDED
}

/// One picture, fitted like any other.
fn still_of(
    media: &Media,
    octets: &Bytes,
    media_type: &str,
    to: &str,
    offer: &Offer,
    most: usize,
    stop: &dyn Fn() -> bool,
) -> Result<Product, JobError> {
    /// Octets of a picture as PNG before it is fitted.
    const MOST_PICTURE: usize = 32 << 20;
    let ffmpeg = media.ffmpeg.as_ref().ok_or_else(|| JobError::Converter("there is no ffmpeg".to_owned()))?;
    let source = source(octets, media_type)?;
    let png = ffmpeg.make(&source, &Recipe::Still, MOST_PICTURE, stop).map_err(|error| failed(&error))?;
    let kind = ImageKind::of_type(to).unwrap_or(ImageKind::Jpeg);
    let [width, height] = offer.shape.pixels.unwrap_or([160, 120]);
    let mut spec = Spec::new(kind, width, height);
    spec.octets = (most < media.limits.octets).then_some(most as u64);
    let picture = image::transform(&png, &spec, &image::Guards::default(), stop)?;
    let pixels = Some([picture.width, picture.height]);
    Ok(product(to, picture.bytes, pixels, vec!["transcode", "scale"]))
}

/// With as many bits a second as there are octets for: what was offered, or what the last try says will fit.
fn searched(
    media: &Media,
    octets: &Bytes,
    media_type: &str,
    offer: &Offer,
    most: usize,
    stop: &dyn Fn() -> bool,
    recipe: &dyn Fn(u32) -> Recipe,
) -> Result<Bytes, JobError> {
    let ffmpeg = media.ffmpeg.as_ref().ok_or_else(|| JobError::Converter("there is no ffmpeg".to_owned()))?;
    let source = source(octets, media_type)?;
    let mut bits = offer.shape.bits;
    if let Some(share) = share(most, offer.octets) {
        bits = scaled(bits, share);
    }
    // More than is sent is made so that how much too large it is is known.
    let room = most.saturating_mul(4).min(media.limits.octets);
    for _ in 0..TRIES {
        let made = ffmpeg.make(&source, &recipe(bits), room, stop).map_err(|error| failed(&error))?;
        if made.len() <= most {
            return Ok(made);
        }
        let Some(share) = share(most, made.len() as u64) else { break };
        bits = scaled(bits, share);
    }
    Err(JobError::Converter(format!("it can't be made to fit {most} octets")))
}

/// What part of so many octets is aimed at, if that is not all of them.
fn share(most: usize, octets: u64) -> Option<f64> {
    let share = AIM * most as f64 / octets.max(1) as f64;
    (share < 1.0).then_some(share)
}

fn scaled(bits: u32, share: f64) -> u32 {
    // Below this no encoder follows.
    const LEAST: u32 = 4750;
    ((f64::from(bits) * share) as u32).max(LEAST)
}

fn source(octets: &Bytes, media_type: &str) -> Result<Source, JobError> {
    Source::new(octets.clone(), media_type)
        .ok_or_else(|| JobError::Converter("ffmpeg is not let near it".to_owned()))
}

fn failed(error: &RunError) -> JobError {
    match error {
        RunError::Stopped => JobError::Stopped,
        // What it says may quote the clip; the log has it for those who look for it.
        RunError::Failed(why) => {
            tracing::debug!(why, "ffmpeg gave up");
            JobError::Converter("ffmpeg can't read it".to_owned())
        }
        other => {
            tracing::warn!(error = %other, "ffmpeg did not end well");
            JobError::Converter(other.to_string())
        }
    }
}

fn product(media_type: &str, bytes: Bytes, pixels: Option<[u32; 2]>, ops: Vec<&'static str>) -> Product {
    Product {
        media_type: media_type.to_owned(),
        bytes,
        pixels,
        quality: None,
        ops,
        work: image::Work::default(),
    }
}
