//! What it is asked to make.

use crate::frames::Coding;

/// What comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// Sound alone.
    Sound(Sound),
    /// One picture that shows what the clip is about, of its own size, as PNG.
    Still,
    /// Pictures with their sound.
    Clip(Clip),
    /// Pictures alone, in a form that [`crate::streams`] splits.
    Pictures(Pictures),
}

/// Sound, coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// The media type, in lower case: one of [`Sound::types`].
    pub media_type: &'static str,
    /// Samples a second.
    pub rate: u32,
    /// Channels.
    pub channels: u16,
    /// Bits a second.
    pub bits: u32,
}

/// A clip of fewer pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// The media type: one of [`Clip::types`].
    pub media_type: &'static str,
    /// Width and height, even.
    pub pixels: [u32; 2],
    /// Pictures a second at most.
    pub frames: Option<u32>,
    /// Bits a second of the pictures.
    pub bits: u32,
    /// Its sound, if it has any; the media type of it does not matter.
    pub sound: Option<Sound>,
}

/// Pictures to be sent as they are made: every one of them refers to earlier ones only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pictures {
    /// [`Coding::H264`] (constrained baseline), [`Coding::Vp8`] or [`Coding::Mpv`] (MPEG-1).
    pub coding: Coding,
    /// Width and height, even.
    pub pixels: [u32; 2],
    /// Pictures a second at most.
    pub frames: u32,
    /// Bits a second.
    pub bits: u32,
    /// `level_idc` of H.264.
    pub level: u8,
}

impl Sound {
    /// What it is asked for: media type, encoder, muxer.
    const CODINGS: &[(&str, &str, &str)] = &[
        ("audio/mpeg", "libmp3lame", "mp3"),
        ("audio/aac", "aac", "adts"),
        ("audio/mp4", "aac", "mp4"),
        ("audio/ogg", "libopus", "ogg"),
        ("audio/amr", "libopencore_amrnb", "amr"),
        ("audio/amr-wb", "libvo_amrwbenc", "amr"),
    ];

    /// Media types.
    pub fn types() -> impl Iterator<Item = &'static str> {
        Sound::CODINGS.iter().map(|(media_type, ..)| *media_type)
    }

    fn coding(&self) -> (&'static str, &'static str) {
        let found = Sound::CODINGS.iter().find(|(media_type, ..)| *media_type == self.media_type);
        found.map_or(("aac", "adts"), |(_, encoder, muxer)| (encoder, muxer))
    }

    fn options(&self, encoder: &str) -> Vec<String> {
        let rate = if encoder == "libopus" { opus_rate(self.rate) } else { self.rate };
        let (rate, channels, bits) = (rate.to_string(), self.channels.to_string(), self.bits.to_string());
        ["-c:a", encoder, "-ar", &rate, "-ac", &channels, "-b:a", &bits].map(str::to_owned).to_vec()
    }
}

/// The least rate Opus has that loses nothing.
fn opus_rate(rate: u32) -> u32 {
    [8000, 12_000, 16_000, 24_000].into_iter().find(|known| *known >= rate).unwrap_or(48_000)
}

impl Clip {
    /// Media type, encoders of pictures and sound, muxer.
    const CODINGS: &[(&str, &str, &str, &str)] = &[
        ("video/mp4", "libx264", "aac", "mp4"),
        ("video/3gpp", "mpeg4", "aac", "3gp"),
        ("video/webm", "libvpx", "libopus", "webm"),
    ];

    /// Media types.
    pub fn types() -> impl Iterator<Item = &'static str> {
        Clip::CODINGS.iter().map(|(media_type, ..)| *media_type)
    }

    fn coding(&self) -> (&'static str, &'static str, &'static str) {
        let found = Clip::CODINGS.iter().find(|(media_type, ..)| *media_type == self.media_type);
        found.map_or(("libx264", "aac", "mp4"), |(_, pictures, sound, muxer)| (pictures, sound, muxer))
    }
}

/// Octets of a slice of H.264 at most: it fits one packet, so that receivers that know no fragments can be served.
const SLICE: &str = "slice-max-size=1180";

impl Pictures {
    /// The media type of what comes out, for [`crate::streams`].
    pub const fn media_type(&self) -> &'static str {
        match self.coding {
            Coding::Vp8 => "video/webm",
            Coding::Mpv => "video/mpeg",
            _ => "video/mp4",
        }
    }

    const fn encoder(&self) -> &'static str {
        match self.coding {
            Coding::Vp8 => "libvpx",
            Coding::Mpv => "mpeg1video",
            _ => "libx264",
        }
    }

    fn arguments(&self) -> Vec<String> {
        let ([width, height], frames, bits) = (self.pixels, self.frames, self.bits.to_string());
        let level = self.level.to_string();
        let filter = format!("fps='min(source_fps,{frames})',scale={width}:{height},format=yuv420p");
        let mut all = vec!["-map", "0:V:0", "-an", "-vf", &filter, "-c:v", self.encoder()];
        all.extend(["-b:v", &bits, "-maxrate", &bits, "-bufsize", &bits, "-bf", "0", "-g", "50"]);
        match self.coding {
            Coding::Vp8 => {
                all.extend(["-deadline", "realtime", "-cpu-used", "8", "-auto-alt-ref", "0", "-f", "webm"]);
            }
            Coding::Mpv => all.extend(["-f", "mpeg1video"]),
            _ => {
                all.extend(["-profile:v", "baseline", "-level", &level, "-preset", "veryfast"]);
                all.extend(["-x264-params", SLICE]);
                all.extend(FRAGMENTS);
                all.extend(["-f", "mp4"]);
            }
        }
        all.into_iter().map(str::to_owned).collect()
    }
}

impl Recipe {
    /// The encoders it needs.
    pub fn encoders(&self) -> Vec<&'static str> {
        match self {
            Recipe::Sound(sound) => vec![sound.coding().0],
            Recipe::Still => vec!["png"],
            Recipe::Pictures(pictures) => vec![pictures.encoder()],
            Recipe::Clip(clip) => {
                let (pictures, sound, _) = clip.coding();
                std::iter::once(pictures).chain(clip.sound.is_some().then_some(sound)).collect()
            }
        }
    }

    /// What stands on the command line between the input and the output.
    pub(super) fn arguments(&self) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        match self {
            Recipe::Sound(sound) => {
                let (encoder, muxer) = sound.coding();
                let mut all = words(&["-map", "0:a:0", "-vn"]);
                all.extend(sound.options(encoder));
                // What does not fit a pipe that can't be sought in is left out.
                all.extend(match muxer {
                    "mp3" => words(&["-write_xing", "0", "-id3v2_version", "0"]),
                    "mp4" => words(FRAGMENTS),
                    _ => Vec::new(),
                });
                all.extend(words(&["-f", muxer]));
                all
            }
            // The most usual of the first pictures: the very first is often black.
            Recipe::Still => words(&[
                "-map",
                "0:v:0",
                "-an",
                "-vf",
                "thumbnail=12",
                "-frames:v",
                "1",
                "-c:v",
                "png",
                "-f",
                "image2pipe",
            ]),
            Recipe::Clip(clip) => clip_arguments(clip),
            Recipe::Pictures(pictures) => pictures.arguments(),
        }
    }
}

/// Without an end to write into its beginning.
const FRAGMENTS: &[&str] = &["-movflags", "+frag_keyframe+empty_moov+default_base_moof"];

fn clip_arguments(clip: &Clip) -> Vec<String> {
    let (pictures, sound, muxer) = clip.coding();
    let [width, height] = clip.pixels;
    let mut filter = format!("scale={width}:{height},format=yuv420p");
    if let Some(frames) = clip.frames {
        filter = format!("fps={frames},{filter}");
    }
    let bits = clip.bits.to_string();
    let mut all: Vec<String> =
        ["-map", "0:v:0", "-vf", &filter, "-c:v", pictures, "-b:v", &bits, "-maxrate", &bits]
            .map(str::to_owned)
            .to_vec();
    all.extend(["-bufsize".to_owned(), bits, "-g".to_owned(), "100".to_owned()]);
    let more: &[&str] = match pictures {
        "libx264" => &["-profile:v", "baseline", "-preset", "veryfast"],
        "libvpx" => &["-deadline", "realtime", "-cpu-used", "8"],
        _ => &[],
    };
    all.extend(more.iter().map(|word| (*word).to_owned()));
    match &clip.sound {
        Some(recipe) => {
            all.extend(["-map", "0:a:0?"].map(str::to_owned));
            all.extend(recipe.options(sound));
        }
        None => all.push("-an".to_owned()),
    }
    if muxer != "webm" {
        all.extend(FRAGMENTS.iter().map(|word| (*word).to_owned()));
    }
    all.extend(["-f".to_owned(), muxer.to_owned()]);
    all
}
