//! From the best that a terminal takes of a kind down to the least that can be understood.

use adapter::Want;
use media::{Form, PictureShape, Probe, SoundShape};

use super::offer::{CHANNELS, FRAMES, RATE, holds};

/// One rung of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// How its samples are written, where they are.
    pub(super) form: Form,
    /// Samples a second.
    pub(super) rate: u32,
    pub(super) channels: u16,
    /// Bits a second, where an encoder is told.
    pub(super) bits: u32,
    /// 0 to 100.
    pub(super) fidelity: u8,
}

impl Default for Step {
    fn default() -> Step {
        Step { form: Form::Wav, rate: 8000, channels: 1, bits: 16_000, fidelity: 100 }
    }
}

/// One rung of video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VideoStep {
    pub(super) pixels: [u32; 2],
    /// Pictures a second.
    pub(super) frames: u32,
    /// Bits a second of the pictures.
    pub(super) bits: u32,
    /// Its sound; a rate of 0: none.
    pub(super) sound: Step,
    pub(super) fidelity: u8,
}

/// Sampling rates that encoders know, best first.
const RATES: [u32; 7] = [48_000, 44_100, 32_000, 24_000, 16_000, 11_025, 8000];

/// Bits a second of telephony: what tells a companded file from one of 16 bits.
pub(super) const COMPANDED: u32 = 64_000;

/// What is meant where nobody knows.
const USUAL: SoundShape = SoundShape { rate: 44_100, channels: 2 };

/// Files of samples: as it is, at telephony's rate, and companded.
pub(super) fn samples(form: Form, sound: Option<SoundShape>, want: &Want) -> Vec<Step> {
    let own = sound.unwrap_or(USUAL);
    let channels = own.channels.min(2);
    let step = |form, rate, channels, fidelity| Step { form, rate, channels, bits: 0, fidelity };
    let rungs: Vec<Step> = match form {
        // It has no other rate and no other channels (RFC 2046 §4.3).
        Form::Mulaw => vec![step(form, 8000, 1, 60)],
        _ => {
            // 40 to 90, by what is left of the rate.
            let share = |rate: u32| u8::try_from(40 + 50 * rate / own.rate.max(1)).unwrap_or(90);
            let lower = RATES.into_iter().filter(|rate| *rate < own.rate).map(|rate| (rate, share(rate)));
            let mut rungs: Vec<Step> = std::iter::once((own.rate, 95))
                .chain(lower)
                .flat_map(|(rate, fidelity)| {
                    [step(form, rate, channels, fidelity), step(form, rate, 1, fidelity - 10)]
                })
                .collect();
            if form == Form::Wav {
                rungs.push(Step { bits: COMPANDED, ..step(Form::WavMulaw, 8000, 1, 30) });
            }
            rungs
        }
    };
    let fitting: Vec<Step> = rungs.into_iter().filter(|step| fits(step, want)).collect();
    // The best, one in the middle, and the least.
    thinned(fitting)
}

/// Sound by an encoder: rates and bits that suit each other.
pub(super) fn sound(to: &str, probe: &Probe, want: &Want) -> Vec<Step> {
    let own = probe.sound.unwrap_or(USUAL);
    // Rate, bits of one channel, fidelity.
    let table: &[(u32, u32, u8)] = match to {
        "audio/amr" => &[(8000, 12_200, 55), (8000, 7400, 40), (8000, 4750, 25)],
        "audio/amr-wb" => &[(16_000, 23_850, 75), (16_000, 12_650, 60), (16_000, 6600, 35)],
        "audio/ogg" => &[(48_000, 48_000, 95), (24_000, 24_000, 80), (16_000, 16_000, 65), (8000, 8000, 40)],
        _ => &[
            (48_000, 64_000, 90),
            (44_100, 64_000, 90),
            (24_000, 32_000, 70),
            (16_000, 16_000, 50),
            (11_025, 12_000, 35),
            (8000, 8000, 25),
        ],
    };
    let is_telephony = to.starts_with("audio/amr");
    let least = RATES.into_iter().min().unwrap_or(8000);
    let mut rungs = Vec::new();
    for &(rate, bits, fidelity) in table {
        // A rate above its own only costs octets, but a codec that has one rate has it.
        if rate > own.rate.max(least) && !is_telephony && rate != next_above(own.rate) {
            continue;
        }
        let stereo = own.channels > 1 && !is_telephony && fidelity > 60;
        if stereo {
            rungs.push(Step { form: Form::Wav, rate, channels: 2, bits: bits * 3 / 2, fidelity });
        }
        rungs.push(Step {
            form: Form::Wav,
            rate,
            channels: 1,
            bits,
            fidelity: fidelity - if stereo { 5 } else { 0 },
        });
    }
    let fitting: Vec<Step> = rungs.into_iter().filter(|step| fits(step, want)).collect();
    thinned(fitting)
}

/// The least rate of the table that loses nothing.
fn next_above(rate: u32) -> u32 {
    RATES.into_iter().filter(|known| *known >= rate).min().unwrap_or(48_000)
}

/// Pictures: at the size the terminal has, with fewer bits, and at half of it.
pub(super) fn video(pictures: PictureShape, sound: Option<SoundShape>, want: &Want) -> Vec<VideoStep> {
    let [width, height] = pictures.pixels;
    let own_frames = if pictures.frames == 0 { 25 } else { pictures.frames };
    let allowed = want.ext.get(FRAMES).and_then(|interval| interval.hi).and_then(|hi| u32::try_from(hi).ok());
    let mut rungs = Vec::new();
    // Scale in halves, pictures a second at most, thousandths of a bit a pixel, fidelity.
    for (scale, frames, millibits, fidelity) in
        [(2, 30, 120, 85), (2, 15, 80, 65), (1, 15, 100, 40), (1, 8, 60, 20)]
    {
        let Some((width, height)) = cpi::matching::fit(width, height, &want.pix_x, &want.pix_y) else {
            continue;
        };
        let pixels = [width, height].map(|side| (side * scale / 2 / 2 * 2).max(16));
        let frames = own_frames.min(frames).min(allowed.unwrap_or(u32::MAX)).max(1);
        let [wide, high] = pixels.map(u64::from);
        let bits = (wide * high * u64::from(frames) * millibits / 1000).clamp(12_000, 4_000_000);
        let quiet = scale == 1;
        let step = VideoStep {
            pixels,
            frames,
            bits: u32::try_from(bits).unwrap_or(u32::MAX),
            sound: sound.map_or(Step { rate: 0, channels: 0, bits: 0, ..Step::default() }, |own| {
                speech(own, quiet, want)
            }),
            fidelity,
        };
        let inside = want.pix_x.contains(wide) && want.pix_y.contains(high);
        if inside && holds(want, FRAMES, frames.into()) {
            rungs.push(step);
        }
    }
    rungs
}

/// The sound of a small clip.
fn speech(own: SoundShape, quiet: bool, want: &Want) -> Step {
    let wish = if quiet { (16_000, 16_000) } else { (own.rate.min(44_100), 48_000) };
    let allowed = |rate: &u32| *rate <= wish.0.max(8000) && holds(want, RATE, (*rate).into());
    let rate = RATES.into_iter().find(allowed).unwrap_or(8000);
    let channels = if quiet || !holds(want, CHANNELS, 2) { 1 } else { own.channels.clamp(1, 2) };
    Step { form: Form::Wav, rate, channels, bits: wish.1, fidelity: 0 }
}

/// Whether the terminal's extensions hold it.
fn fits(step: &Step, want: &Want) -> bool {
    holds(want, RATE, step.rate.into()) && holds(want, CHANNELS, step.channels.into())
}

/// Three of many: the first, the middle, the last.
fn thinned(steps: Vec<Step>) -> Vec<Step> {
    if steps.len() <= 3 {
        return steps;
    }
    let at = |at: usize| steps.get(at).copied();
    [at(0), at(steps.len() / 2), at(steps.len() - 1)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(rate: u32, channels: u16) -> Probe {
        Probe { millis: Some(3000), sound: Some(SoundShape { rate, channels }), pictures: None }
    }

    fn want(text: &str) -> Want {
        let extensions = [RATE, CHANNELS, FRAMES].into_iter().collect();
        let (cpi, _) = cpi::decode::from_headers([(&b"Accept"[..], text.as_bytes())], &extensions);
        let entry = cpi.media.unwrap().remove(0);
        Want { q: entry.q, length: entry.length.hi, pix_x: entry.pix_x, pix_y: entry.pix_y, ext: entry.ext }
    }

    #[test]
    fn a_rate_that_the_terminal_does_not_take_is_not_offered() {
        let want = want("audio/mpeg;audio-rate=max+16000;audio-channels=1");
        let steps = sound("audio/mpeg", &probe(44_100, 2), &want);
        assert!(!steps.is_empty());
        assert!(steps.iter().all(|step| step.rate <= 16_000 && step.channels == 1), "{steps:?}");
    }

    #[test]
    fn no_rung_costs_more_than_the_one_above_it() {
        for to in media::Sound::types() {
            for (rate, channels) in [(8000, 1), (16_000, 1), (22_050, 2), (44_100, 2), (48_000, 1)] {
                let steps = sound(to, &probe(rate, channels), &want("*/*"));
                assert!(!steps.is_empty(), "{to} of {rate}");
                assert!(steps.windows(2).all(|pair| pair[0].bits >= pair[1].bits), "{to}: {steps:?}");
            }
        }
    }

    #[test]
    fn basic_audio_has_one_shape() {
        let steps =
            samples(Form::Mulaw, Some(SoundShape { rate: 44_100, channels: 2 }), &want("audio/basic"));
        assert_eq!(steps.iter().map(|step| (step.rate, step.channels)).collect::<Vec<_>>(), [(8000, 1)]);
    }

    #[test]
    fn a_clip_keeps_to_the_pixels_and_pictures_of_the_terminal() {
        let shape = PictureShape { pixels: [352, 288], frames: 25 };
        let want = want("video/mp4;media-pix-x=max+176;media-pix-y=max+144;frame-rate=max+10");
        let steps = video(shape, None, &want);
        assert!(steps.iter().all(|step| step.pixels[0] <= 176 && step.pixels[1] <= 144 && step.frames <= 10));
        assert_eq!(steps[0].pixels, [176, 144]);
    }
}
