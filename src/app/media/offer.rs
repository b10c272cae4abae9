//! What can be made of a clip for a terminal, and what it will cost.

use adapter::{Offer, Shape, Want};
use bytes::Bytes;
use cpi::Interval;
use media::{Form, Probe, Recipe, Sound, Source};

use super::Media;
use super::ladder::{self, Step};

/// Samples a second, as `cpi.extensions` may name it.
pub(super) const RATE: &str = "audio-rate";
/// Channels.
pub(super) const CHANNELS: &str = "audio-channels";
/// Pictures a second.
pub(super) const FRAMES: &str = "frame-rate";

/// Files of samples that need no encoder, with their media types.
pub(super) const FORMS: &[(&str, Form)] = &[
    ("audio/wav", Form::Wav),
    ("audio/x-wav", Form::Wav),
    ("audio/vnd.wave", Form::Wav),
    ("audio/basic", Form::Mulaw),
    ("audio/l16", Form::L16),
];

/// Pictures a video can be shown as.
pub(super) const STILLS: &[&str] = &["image/jpeg", "image/png", "image/gif"];

/// Octets a container adds, about.
const CONTAINER: u64 = 1024;

/// Everything, best of each type first.
pub(super) fn all(
    media: &Media,
    media_type: &str,
    octets: &Bytes,
    probe: &Probe,
    wants: &dyn Fn(&str) -> Vec<Want>,
) -> Vec<Offer> {
    let is_video = probe.pictures.is_some() || media_type.starts_with("video/");
    let by_child = media.ffmpeg.as_ref().filter(|_| Source::new(octets.clone(), media_type).is_some());
    let mut all = Vec::new();
    if is_video {
        let [width, height] = probe.pictures.map_or([0, 0], |pictures| pictures.pixels.map(u64::from));
        let decoded = width.saturating_mul(height) <= media.pixels.into();
        if let Some(ffmpeg) = by_child.filter(|_| decoded) {
            all.extend(clips(ffmpeg, octets, probe, wants));
            all.extend(stills(probe, wants));
        }
        return all;
    }
    let in_process = media::decode(octets.clone(), media_type, media.limits).is_ok();
    if in_process || by_child.is_some() {
        all.extend(samples(probe, wants));
    }
    if let Some(ffmpeg) = by_child {
        let makes =
            |media_type: &&'static str| ffmpeg.makes(&Recipe::Sound(recipe(media_type, &Step::default())));
        all.extend(Sound::types().filter(makes).flat_map(|to| coded(to, probe, wants)));
    }
    all
}

/// As files of samples.
fn samples(probe: &Probe, wants: &dyn Fn(&str) -> Vec<Want>) -> Vec<Offer> {
    let mut all = Vec::new();
    for (to, form) in FORMS {
        for want in wants(to) {
            let steps = ladder::samples(*form, probe.sound, &want);
            all.extend(steps.into_iter().map(|step| {
                let per_second = step.form.octets_a_second(step.rate) * u64::from(step.channels);
                let octets = length(probe, per_second) + step.form.head() as u64;
                let media_type = match form {
                    Form::L16 => format!("audio/L16;rate={};channels={}", step.rate, step.channels),
                    _ => (*to).to_owned(),
                };
                sound_offer(media_type, octets, &step)
            }));
        }
    }
    all
}

/// By an encoder.
fn coded(to: &'static str, probe: &Probe, wants: &dyn Fn(&str) -> Vec<Want>) -> Vec<Offer> {
    let mut all = Vec::new();
    for want in wants(to) {
        for step in ladder::sound(to, probe, &want) {
            let octets = length(probe, u64::from(step.bits) / 8) + CONTAINER;
            all.push(sound_offer(to.to_owned(), octets, &step));
        }
    }
    all
}

fn sound_offer(media_type: String, octets: u64, step: &Step) -> Offer {
    Offer {
        media_type,
        octets,
        fidelity: step.fidelity,
        shape: Shape { rate: step.rate, channels: step.channels, bits: step.bits, ..Shape::default() },
        ext: vec![(RATE.to_owned(), step.rate.into()), (CHANNELS.to_owned(), step.channels.into())],
    }
}

/// As smaller clips.
fn clips(
    ffmpeg: &media::Ffmpeg,
    octets: &Bytes,
    probe: &Probe,
    wants: &dyn Fn(&str) -> Vec<Want>,
) -> Vec<Offer> {
    let Some(pictures) = probe.pictures else { return Vec::new() };
    let mut all = Vec::new();
    for to in media::Clip::types() {
        for want in wants(to) {
            for step in ladder::video(pictures, probe.sound, &want) {
                let shape = Shape {
                    pixels: Some(step.pixels),
                    frames: step.frames,
                    bits: step.bits,
                    rate: step.sound.rate,
                    channels: step.sound.channels,
                };
                let recipe = super::make::clip_recipe(to, &shape, step.bits);
                if !ffmpeg.makes(&Recipe::Clip(recipe)) {
                    break;
                }
                let per_second = u64::from(step.bits + step.sound.bits) / 8;
                let predicted = length(probe, per_second).min(octets.len() as u64 * 2) + 2 * CONTAINER;
                let mut ext = vec![(FRAMES.to_owned(), u64::from(step.frames))];
                if step.sound.rate > 0 {
                    ext.push((RATE.to_owned(), step.sound.rate.into()));
                    ext.push((CHANNELS.to_owned(), step.sound.channels.into()));
                }
                all.push(Offer {
                    media_type: to.to_owned(),
                    octets: predicted,
                    fidelity: step.fidelity,
                    shape,
                    ext,
                });
            }
        }
    }
    all
}

/// As one picture.
fn stills(probe: &Probe, wants: &dyn Fn(&str) -> Vec<Want>) -> Vec<Offer> {
    /// What one picture is worth of many: less than a poor clip, more than a link.
    const FIDELITY: u8 = 0;
    let Some(pictures) = probe.pictures else { return Vec::new() };
    let [width, height] = pictures.pixels;
    let mut all = Vec::new();
    for to in STILLS {
        for want in wants(to) {
            let Some((width, height)) = cpi::matching::fit(width, height, &want.pix_x, &want.pix_y) else {
                continue;
            };
            let predicted = u64::from(width) * u64::from(height) / 6 + CONTAINER;
            all.push(Offer {
                media_type: (*to).to_owned(),
                octets: want.length.map_or(predicted, |length| predicted.min(length)),
                fidelity: FIDELITY,
                shape: Shape { pixels: Some([width, height]), ..Shape::default() },
                ext: Vec::new(),
            });
        }
    }
    all
}

/// Octets of the clip's length at so many a second; a minute if nobody knows.
fn length(probe: &Probe, per_second: u64) -> u64 {
    const UNKNOWN: u64 = 60_000;
    per_second.saturating_mul(probe.millis.unwrap_or(UNKNOWN)) / 1000
}

/// The recipe of one step.
pub(super) fn recipe(to: &'static str, step: &Step) -> Sound {
    Sound { media_type: to, rate: step.rate, channels: step.channels, bits: step.bits }
}

/// Whether an extension of that name is held by `value`; one nobody named is.
pub(super) fn holds(want: &Want, name: &str, value: u64) -> bool {
    want.ext.get(name).is_none_or(|interval: &Interval| interval.contains(value))
}
