//! Pictures: what one is ([`probe`], heads only), what it would cost ([`predict`]), and making another that a
//! terminal can show ([`transform`]) or the same without what it tells about its maker ([`strip`]).
//!
//! Read: JPEG, PNG, GIF, BMP, WebP, TIFF, ICO, WBMP. Written: JPEG, PNG, GIF, WebP without loss, BMP, WBMP. AVIF and HEIC
//! are not read: no safe decoder of either has a licence that may enter here. What comes in is octets of a stranger, so
//! nothing is allocated by a size that is only claimed: [`Guards`] are held against the head before any pixel
//! is decoded (CPI.md §3.1). What goes out carries no metadata: no EXIF (GPS, thumbnail), no XMP, no comments.
//!
//! The road of one picture: probe, decode (at least as large as needed), scale down, turn upright, encode,
//! and, under an octet limit, the search of [`Spec::octets`].

mod bmp;
mod container;
mod decode;
mod encode;
mod film;
mod fit;
mod icc;
mod ico;
mod indexed;
mod kind;
mod palette;
mod pictures;
mod planes;
mod predict;
mod probe;
mod raster;
mod search;
mod shrink;
mod strip;
mod tiff;
mod vp8;
mod wbmp;
mod webp;

pub use kind::Kind;
pub use predict::predict;
pub use probe::{probe, probe_within};
pub use strip::strip;

use encode::{Pictures, Setting};

use bytes::Bytes;

/// What the head of a picture says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The format.
    pub kind: Kind,
    /// Pixels from left to right once it stands upright; the logical screen of a GIF.
    pub width: u32,
    /// Pixels from top to bottom once it stands upright.
    pub height: u32,
    /// The EXIF orientation, 1 to 8; 1 is upright.
    pub orientation: u8,
    /// Pictures in it, 1 for a still.
    pub frames: u32,
    /// Whether some pixel may be transparent.
    pub alpha: bool,
    /// Colours in the palette, if it has one (the largest, when frames have their own).
    pub palette: Option<u16>,
    /// Whether it has no colour.
    pub gray: bool,
    /// Bits of one sample.
    pub depth: u8,
    /// Whether it is a progressive JPEG or an interlaced PNG or GIF.
    pub progressive: bool,
    /// Whether [`strip`] would find something to take out.
    pub metadata: bool,
}

impl Probe {
    /// Width times height.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Octets of one pixel once decoded.
    const fn channels(&self) -> u64 {
        match (self.gray, self.alpha) {
            (true, false) => 1,
            (true, true) => 2,
            (false, false) => 3,
            (false, true) => 4,
        }
    }

    /// Octets of memory to make a picture of `size` (upright) of it. A PNG that is not interlaced is averaged row
    /// by row on its way to a much smaller one.
    fn memory_towards(&self, size: (u32, u32)) -> u64 {
        let whole = self.pixels().saturating_mul(self.working());
        let averaged = self.kind == Kind::Png && !self.progressive;
        let small = shrink::cell((self.width, self.height), size).filter(|_| averaged);
        small.map_or(whole, |cell| whole / (u64::from(cell) * u64::from(cell)))
    }

    /// Octets of memory for each pixel while it is decoded and scaled: what the decoder keeps, and where there
    /// is alpha the premultiplied copy.
    const fn working(&self) -> u64 {
        let scaling = if self.alpha { 2 * self.channels() } else { self.channels() };
        match self.kind {
            // The coefficients of all scans.
            Kind::Jpeg if self.progressive => 3 * scaling,
            Kind::Jpeg | Kind::Png | Kind::Bmp | Kind::Wbmp => scaling,
            // Its canvas and a frame.
            Kind::Webp if self.frames > 1 => 8 + scaling,
            // Its planes, before they are colours.
            Kind::Webp => 2 + scaling,
            // What the decoder keeps in its own layout, 16 bits at most, before it is 8.
            Kind::Tiff => 2 * self.channels() + scaling,
            Kind::Ico => 4 + scaling,
            // The screen and its copy, and a frame.
            Kind::Gif => 9,
        }
    }
}

/// What a decoder may be asked to do (CPI.md §3.1), held against the head before a pixel is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// Most pixels of one picture.
    pub pixels: u64,
    /// Most frames of an animation.
    pub frames: u32,
    /// Most decoded octets for one octet of the file; a fifth of it from [`Guards::LARGE`] on, since deflate can't
    /// do much more than 1000 and a large bomb would pass. Pictures below [`Guards::SMALL`] pass: a small
    /// drawing may well be of one colour.
    pub expansion: u64,
    /// Most octets of memory that one picture takes while it is decoded and scaled.
    pub memory: u64,
}

impl Guards {
    /// Decoded octets up to which the expansion is not asked for.
    pub const SMALL: u64 = 4 << 20;

    /// Octets of memory from which the expansion is held five times tighter.
    pub const LARGE: u64 = 48 << 20;

    /// Whether the picture of this head, `octets` long, may be decoded.
    ///
    /// # Errors
    /// [`ImageError::TooManyPixels`], [`ImageError::TooManyFrames`], [`ImageError::Expansion`].
    pub fn admit(&self, probe: &Probe, octets: u64) -> Result<(), ImageError> {
        let pixels = probe.pixels();
        if pixels > self.pixels {
            return Err(ImageError::TooManyPixels { pixels, limit: self.pixels });
        }
        if probe.frames > self.frames {
            return Err(ImageError::TooManyFrames { frames: probe.frames, limit: self.frames });
        }
        let decoded = pixels.saturating_mul(probe.channels());
        let large = pixels.saturating_mul(probe.working()) > Self::LARGE;
        let limit = if large { self.expansion / 5 } else { self.expansion };
        if decoded > Self::SMALL && decoded / octets.max(1) > limit {
            return Err(ImageError::Expansion { limit });
        }
        Ok(())
    }

    /// Whether making a picture of `size` (upright) of it takes no more memory than it may.
    ///
    /// # Errors
    /// [`ImageError::TooMuchMemory`].
    fn admit_memory(&self, probe: &Probe, size: (u32, u32)) -> Result<(), ImageError> {
        let octets = probe.memory_towards(size);
        if octets > self.memory {
            return Err(ImageError::TooMuchMemory { octets, limit: self.memory });
        }
        Ok(())
    }
}

impl Default for Guards {
    fn default() -> Self {
        Guards { pixels: 40_000_000, frames: 200, expansion: 1000, memory: 256 << 20 }
    }
}

/// The picture that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its format; must be [writable](Kind::is_writable).
    pub kind: Kind,
    /// Exact width, as `cpi`'s downscale rule gave it (upright). Never scaled up: a larger number means as is.
    pub width: u32,
    /// Exact height.
    pub height: u32,
    /// JPEG quality 1..=100, the highest one when [`Spec::octets`] makes it search.
    pub quality: u8,
    /// Most colours (2..=256); `None`: 256 for GIF, full colour for PNG and BMP. Not looked at for JPEG, WebP and WBMP.
    pub palette: Option<u16>,
    /// Most octets. The search takes any quality from `quality` down to `floor.quality`, or palettes of 256, 64
    /// and 16, and smaller scales down to `floor` (CPI.md §3.5 V5). A JPEG stays as large as its lowest quality
    /// allows.
    pub octets: Option<u64>,
    /// How far the search may go down.
    pub floor: Floor,
    /// Whether an animation stays one (GIF only); else its first frame is taken.
    pub animation: bool,
}

impl Spec {
    /// A picture of this format and size at quality 85, with no octet limit.
    pub const fn new(kind: Kind, width: u32, height: u32) -> Spec {
        Spec {
            kind,
            width,
            height,
            quality: 85,
            palette: None,
            octets: None,
            floor: Floor::LOWEST,
            animation: true,
        }
    }
}

/// How far down a search for few octets may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// Lowest JPEG quality.
    pub quality: u8,
    /// Least width: the `lo` of media-pix-x, or the quarter of the original that CPI.md §3.7 I1 asks for.
    pub width: u32,
    /// Least height.
    pub height: u32,
}

impl Floor {
    /// CPI.md §3.5: quality 35, and no scale below 32 pixels.
    pub const LOWEST: Floor = Floor { quality: 35, width: 32, height: 32 };
}

/// A picture that was made.
#[derive(Clone, Debug)]
pub struct Image {
    /// The file.
    pub bytes: Bytes,
    /// Its format.
    pub kind: Kind,
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// Its frames.
    pub frames: u32,
    /// The JPEG quality it was written with.
    pub quality: Option<u8>,
    /// The colours of its palette, if it has one.
    pub palette: Option<u16>,
    /// What was done, in the order of [`Op`].
    pub ops: Vec<Op>,
    /// What it took.
    pub work: Work,
}

/// A word of Content-Adapted's `ops` (CPI.md §3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Another format.
    Transcode,
    /// Fewer pixels.
    Scale,
    /// Written anew at the same size and in the same format.
    Recompress,
}

impl Op {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Op::Transcode => "transcode",
            Op::Scale => "scale",
            Op::Recompress => "recompress",
        }
    }
}

/// What a transformation took, in counts that don't depend on the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Work {
    /// Pixels decoded, all frames together.
    pub decoded: u64,
    /// Pixels written, all attempts together.
    pub encoded: u64,
    /// Attempts of the encoder.
    pub encodes: u32,
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The octets are no picture this room reads.
    #[error("not a JPEG, PNG, GIF, BMP, WebP, TIFF, ICO or WBMP picture")]
    Unknown,
    /// The sender's file is broken.
    #[error("the {} picture is damaged: {what}", kind.media_type())]
    Damaged {
        /// Its format.
        kind: Kind,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file may be right, but uses what this room can't do.
    #[error("{what} in {} is not supported", kind.media_type())]
    Unsupported {
        /// Its format.
        kind: Kind,
        /// What it uses.
        what: &'static str,
    },
    /// [`Guards::memory`]
    #[error("it would take {octets} octets of memory, more than {limit}")]
    TooMuchMemory {
        /// What it would take.
        octets: u64,
        /// The guard.
        limit: u64,
    },
    /// [`Guards::pixels`]
    #[error("{pixels} pixels, more than {limit}")]
    TooManyPixels {
        /// What the head claims.
        pixels: u64,
        /// The guard.
        limit: u64,
    },
    /// [`Guards::frames`]
    #[error("{frames} frames or more, over {limit}")]
    TooManyFrames {
        /// Frames counted.
        frames: u32,
        /// The guard.
        limit: u32,
    },
    /// [`Guards::expansion`]
    #[error("it would unpack to more than {limit} times its size")]
    Expansion {
        /// The guard.
        limit: u64,
    },
    /// The caller wants a format that [`transform`] does not write.
    #[error("{} is not written here", kind.media_type())]
    NotWritable {
        /// The format.
        kind: Kind,
    },
    /// [`Spec::octets`] can't be met within [`Spec::floor`].
    #[error("{smallest} octets at least, the limit is {limit}")]
    CantFit {
        /// The smallest that was made.
        smallest: u64,
        /// The limit.
        limit: u64,
    },
    /// The caller's stop function said so.
    #[error("stopped before it was done")]
    Stopped,
}

/// Makes the picture `spec` asks for out of `bytes`. Asks `stop` between the stages, the frames and the attempts;
/// a search that is stopped with something that fits gives that.
///
/// # Errors
/// [`ImageError`]: the picture is broken or over a guard, the limit can't be met, or `stop` said so.
pub fn transform(
    bytes: &[u8],
    spec: &Spec,
    guards: &Guards,
    stop: &dyn Fn() -> bool,
) -> Result<Image, ImageError> {
    if !spec.kind.is_writable() {
        return Err(ImageError::NotWritable { kind: spec.kind });
    }
    let probe = probe_within(bytes, guards)?;
    let size = (spec.width.clamp(1, probe.width), spec.height.clamp(1, probe.height));
    guards.admit_memory(&probe, size)?;
    let mut work = Work::default();
    let found = if spec.kind == Kind::Jpeg {
        let mut still = pictures::still(bytes, &probe, spec, size, stop, &mut work)?;
        match spec.octets {
            Some(limit) => fit::within(limit, &mut still, spec, size, stop, &mut work)?,
            None => plain(still.alone(size)?, spec, &mut work)?,
        }
    } else {
        let pictures = pictures::read(bytes, &probe, spec, size, guards, stop, &mut work)?;
        match spec.octets {
            Some(limit) => {
                let guess = predict(&probe, bytes.len() as u64, spec);
                search::within(limit, pictures, spec, guess, stop, &mut work)?
            }
            None => plain(pictures, spec, &mut work)?,
        }
    };
    let (width, height) = found.size;
    Ok(Image {
        bytes: found.written.bytes.into(),
        kind: spec.kind,
        width,
        height,
        frames: found.frames,
        quality: if let Setting::Quality(quality) = found.setting { Some(quality) } else { None },
        palette: found.written.palette,
        ops: ops(&probe, spec.kind, found.size),
        work,
    })
}

/// At the setting that was asked for.
fn plain(pictures: Pictures, spec: &Spec, work: &mut Work) -> Result<search::Found, ImageError> {
    let setting = match spec.kind {
        Kind::Jpeg => Setting::Quality(spec.quality.clamp(1, 100)),
        Kind::Png | Kind::Bmp if spec.palette.is_none() => Setting::Full,
        Kind::Webp | Kind::Wbmp => Setting::Full,
        _ => Setting::Colours(spec.palette.unwrap_or(256)),
    };
    work.encodes = 1;
    work.encoded = pictures.count();
    let written = encode::write(spec.kind, &pictures, setting)?;
    Ok(search::Found::new(written, &pictures, setting))
}

fn ops(probe: &Probe, kind: Kind, size: (u32, u32)) -> Vec<Op> {
    let mut ops = Vec::new();
    if probe.kind != kind {
        ops.push(Op::Transcode);
    }
    if size != (probe.width, probe.height) {
        ops.push(Op::Scale);
    }
    if ops.is_empty() {
        ops.push(Op::Recompress);
    }
    ops
}
