//! From pixels to a file, at one setting. Nothing but what shows the picture is written.

use super::decode::Frame;
use super::palette::Palette;
use super::raster::{Layout, Raster};
use super::{ImageError, Kind, bmp, wbmp, webp};
use jpeg::write::{Sample, Samples, Spectrum};

/// What is written: one picture, or the frames of an animation, all of one size.
#[derive(Clone, Debug)]
pub(super) struct Pictures {
    pub(super) frames: Vec<Frame>,
    pub(super) repeat: gif::Repeat,
}

impl Pictures {
    pub(super) fn count(&self) -> u64 {
        self.frames.iter().map(|frame| frame.raster.count()).sum()
    }

    /// Keeps so many frames, evenly chosen from the first on, each for as long as those stood that it stands for.
    pub(super) fn thin_out(&mut self, keep: usize) {
        let all = self.frames.len();
        let mut kept: Vec<Frame> = Vec::with_capacity(keep);
        for (at, frame) in std::mem::take(&mut self.frames).into_iter().enumerate() {
            // The next one's turn comes where its share of all frames begins.
            let is_next = at * keep >= kept.len() * all;
            match kept.last_mut().filter(|_| !is_next) {
                Some(last) => last.delay = last.delay.saturating_add(frame.delay),
                None => kept.push(frame),
            }
        }
        self.frames = kept;
    }
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// A JPEG quality.
    Quality(u8),
    /// Most colours of a palette.
    Colours(u16),
    /// As the format is: every colour, or black and white (PNG, BMP, WebP, WBMP).
    Full,
}

/// A file, and the colours of its palette if it has one.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) bytes: Vec<u8>,
    pub(super) palette: Option<u16>,
}

/// Writes `pictures`.
pub(super) fn write(kind: Kind, pictures: &Pictures, setting: Setting) -> Result<Written, ImageError> {
    let first = pictures.frames.first().map(|frame| &frame.raster);
    let written = match (kind, setting, first) {
        (Kind::Jpeg, Setting::Quality(quality), Some(raster)) => {
            spectrum(raster).map(|spectrum| Written { bytes: spectrum.write(quality), palette: None })
        }
        (Kind::Png, Setting::Colours(colours), Some(raster)) => png_indexed(raster, colours),
        (Kind::Png, Setting::Full, Some(raster)) => png(raster),
        (Kind::Gif, Setting::Colours(colours), Some(_)) => gif(pictures, colours),
        (Kind::Webp, Setting::Full, Some(raster)) => webp::write(raster),
        (Kind::Bmp, Setting::Colours(colours), Some(raster)) => bmp::write(raster, Some(colours)),
        (Kind::Bmp, Setting::Full, Some(raster)) => bmp::write(raster, None),
        (Kind::Wbmp, Setting::Full, Some(raster)) => {
            Some(Written { bytes: wbmp::write(raster), palette: None })
        }
        _ => return Err(ImageError::NotWritable { kind }),
    };
    written.ok_or(ImageError::Unsupported { kind, what: "a picture of this size" })
}

/// The octets of a file of a format that does not compress; of a BMP with few colours it may have fewer.
pub(super) fn uncompressed(kind: Kind, (width, height): (u32, u32), setting: Setting) -> Option<u64> {
    match (kind, setting) {
        (Kind::Wbmp, _) => Some(wbmp::octets(width, height)),
        (Kind::Bmp, Setting::Colours(colours)) => Some(bmp::octets(width, height, Some(colours))),
        (Kind::Bmp, _) => Some(bmp::octets(width, height, None)),
        _ => None,
    }
}

/// What a JPEG of any quality is written from.
pub(super) fn spectrum(raster: &Raster) -> Option<Spectrum> {
    Spectrum::of(&samples(&raster.for_jpeg()))
}

/// What says about how long a JPEG will be.
pub(super) fn sample(raster: &Raster) -> Option<Sample> {
    Sample::of(&samples(&raster.for_jpeg()))
}

fn samples(raster: &Raster) -> Vec<Samples<'_>> {
    let planes = raster.planes();
    planes
        .map(|(width, height, samples)| Samples { width: width as usize, height: height as usize, samples })
        .collect()
}

/// Every colour; as a palette when there are at most 256 of them, which loses nothing.
fn png(raster: &Raster) -> Option<Written> {
    if let Some(palette) = Palette::exact(&[raster], 256, false) {
        return png_palette(raster, &palette);
    }
    let colour = match raster.layout {
        Layout::L8 => png::ColorType::Grayscale,
        Layout::La8 => png::ColorType::GrayscaleAlpha,
        Layout::Rgb8 => png::ColorType::Rgb,
        Layout::Rgba8 => png::ColorType::Rgba,
        Layout::Ycbcr420 => return None,
    };
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, raster.width, raster.height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&raster.pixels).ok()?;
    writer.finish().ok()?;
    Some(Written { bytes, palette: None })
}

fn png_indexed(raster: &Raster, colours: u16) -> Option<Written> {
    png_palette(raster, &Palette::of(&[raster], colours, false))
}

fn png_palette(raster: &Raster, palette: &Palette) -> Option<Written> {
    let (depth, bits) = match palette.colours.len() {
        0..=2 => (png::BitDepth::One, 1),
        3..=4 => (png::BitDepth::Two, 2),
        5..=16 => (png::BitDepth::Four, 4),
        _ => (png::BitDepth::Eight, 8),
    };
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, raster.width, raster.height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(depth);
    encoder.set_compression(png::Compression::Balanced);
    encoder.set_filter(png::Filter::NoFilter);
    encoder.set_palette(rgb(palette));
    if palette.transparent.is_some() {
        encoder.set_trns(palette.colours.iter().map(|&[_, _, _, a]| a).collect::<Vec<_>>());
    }
    let mut writer = encoder.write_header().ok()?;
    let indices = palette.map(raster);
    let packed: Vec<u8> = indices.chunks(raster.width as usize).flat_map(|row| packed(row, bits)).collect();
    writer.write_image_data(&packed).ok()?;
    writer.finish().ok()?;
    Some(Written { bytes, palette: colour_count(palette) })
}

/// Indices of `bits` each, the first in the highest bits.
pub(super) fn packed(row: &[u8], bits: usize) -> Vec<u8> {
    let pack = |group: &[u8]| {
        let shifts = (0..8 / bits).rev().map(|at| at * bits);
        group.iter().zip(shifts).fold(0, |octet, (index, shift)| octet | index << shift)
    };
    row.chunks(8 / bits).map(pack).collect()
}

/// One palette for all frames, so that what stands still has the same index in each and need not be
/// written again.
fn gif(pictures: &Pictures, colours: u16) -> Option<Written> {
    let rasters: Vec<&Raster> = pictures.frames.iter().map(|frame| &frame.raster).collect();
    let first = rasters.first()?;
    let (width, height) = (u16::try_from(first.width).ok()?, u16::try_from(first.height).ok()?);
    let animated = rasters.len() > 1;
    let holes = animated && rasters.iter().any(|raster| raster.rgba().any(|[_, _, _, a]| a < 255));
    let palette = Palette::of(&rasters, colours, animated);
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, width, height, &rgb(&palette)).ok()?;
    if animated {
        encoder.set_repeat(pictures.repeat).ok()?;
    }
    let mut shown: Option<Vec<u8>> = None;
    for frame in &pictures.frames {
        let indices = palette.map(&frame.raster);
        let mut part = gif::Frame {
            width,
            height,
            delay: frame.delay,
            transparent: palette.transparent,
            ..gif::Frame::default()
        };
        if holes {
            // A pixel that turns transparent can't be said by leaving it out.
            part.dispose = gif::DisposalMethod::Background;
            part.buffer = indices.into();
        } else {
            part.dispose = if animated { gif::DisposalMethod::Keep } else { gif::DisposalMethod::Any };
            changed(&mut part, &indices, shown.as_deref(), palette.transparent);
            shown = Some(indices);
        }
        encoder.write_frame(&part).ok()?;
    }
    drop(encoder);
    Some(Written { bytes, palette: colour_count(&palette) })
}

/// Makes `frame` the rectangle of `indices` that differs from what is `shown`, what is the same within it
/// left transparent.
fn changed(frame: &mut gif::Frame<'_>, indices: &[u8], shown: Option<&[u8]>, transparent: Option<u8>) {
    let (Some(shown), Some(clear)) = (shown, transparent) else {
        frame.buffer = indices.to_vec().into();
        return;
    };
    let width = usize::from(frame.width);
    let rows = || indices.chunks_exact(width).zip(shown.chunks_exact(width));
    let differ = |(a, b): (&[u8], &[u8])| a != b;
    // A frame in which nothing changes keeps one pixel, for its delay.
    let top = rows().position(differ).unwrap_or(0);
    let bottom = rows().enumerate().rfind(|(_, row)| differ(*row)).map_or(0, |(y, _)| y);
    let columns = |from_left: bool| {
        rows().filter_map(move |(a, b)| {
            let mut pairs = a.iter().zip(b);
            if from_left { pairs.position(|(a, b)| a != b) } else { pairs.rposition(|(a, b)| a != b) }
        })
    };
    let left = columns(true).min().unwrap_or(0);
    let right = columns(false).max().unwrap_or(left);
    let part = rows().skip(top).take(bottom + 1 - top).flat_map(|(a, b)| {
        let both = a.iter().zip(b).skip(left).take(right + 1 - left);
        both.map(|(a, b)| if a == b { clear } else { *a })
    });
    frame.buffer = part.collect::<Vec<_>>().into();
    (frame.left, frame.top) = (left as u16, top as u16);
    (frame.width, frame.height) = ((right + 1 - left) as u16, (bottom + 1 - top) as u16);
}

fn rgb(palette: &Palette) -> Vec<u8> {
    palette.colours.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect()
}

fn colour_count(palette: &Palette) -> Option<u16> {
    u16::try_from(palette.colours.len()).ok()
}
