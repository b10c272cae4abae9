//! From a file to pixels. The head has been probed and admitted before anything here runs.

use std::io::Cursor;

use image::ImageDecoder;
use zune_jpeg::zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};

use super::film::Gif;
use super::raster::{Layout, Raster};
use super::shrink::Shrink;
use super::tiff::to_8;
use super::{ImageError, Kind, Probe, ico, indexed, planes, shrink, tiff, vp8, wbmp, webp};
use jpeg::Plane;

/// Scans a progressive JPEG may have; each one walks the whole picture. Cameras and libjpeg write about ten.
const MAX_SCANS: usize = 64;

/// Memory a PNG decoder may use beside the pixels.
pub(super) const PNG_OVERHEAD: u64 = 8 << 20;

/// How much larger than wanted a picture has to be decoded for the filter to show it as well as from its full size,
/// in quarters.
const MARGIN: u64 = 7;

/// What a decoder gives: at least the wanted size, or as large as the picture is.
pub(super) enum Decoded {
    Raster(Raster),
    /// A JPEG at a fraction of its size, gray or Y, Cb and Cr, or a WebP.
    Planes(Vec<Plane>),
}

/// How the pixels will be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// Size that is needed, before the orientation is applied. The raster is at least as large; a decoder that can
    /// decode at a fraction of the size may stop at the smallest that is.
    pub(super) at_least: (u32, u32),
    /// Whether planes of Y, Cb and Cr are welcome, chroma at half the size.
    pub(super) ycbcr: bool,
}

/// The picture, or the first one of several, as it lies in the file: the orientation is not applied yet.
pub(super) fn still(bytes: &[u8], probe: &Probe, want: Want) -> Result<Decoded, ImageError> {
    let planes = match probe.kind {
        Kind::Jpeg => scaled(bytes, probe, want).or_else(|| split(bytes, probe, want)),
        Kind::Webp if want.ycbcr => vp8::planes(bytes, lying(probe)),
        Kind::Png if want.ycbcr && shrink::cell(lying(probe), want.at_least).is_none() => {
            indexed::decode(bytes, probe)
        }
        _ => None,
    };
    if let Some(planes) = planes {
        return Ok(Decoded::Planes(planes));
    }
    let raster = whole(bytes, probe, want)?;
    if want.ycbcr && raster.layout == Layout::Rgb8 {
        let (rgb, _) = raster.pixels.as_chunks::<3>();
        let of = jpeg::colour::planes(rgb, raster.width as usize);
        return Ok(Decoded::Planes(planes::of(of, (raster.width, raster.height))));
    }
    Ok(Decoded::Raster(raster))
}

/// A baseline JPEG at the smallest fraction of its size that is enough. What is not read so, broken files too, goes
/// to the decoder that takes all.
fn scaled(bytes: &[u8], probe: &Probe, want: Want) -> Option<Vec<Plane>> {
    let size = lying(probe);
    let luma = eighths(size, want.at_least);
    if luma == 8 && !want.ycbcr {
        return None;
    }
    let head = jpeg::Head::read(bytes).ok()?;
    admitted(head.width.into(), head.height.into(), probe)?;
    // Of chroma a JPEG will keep a half; so does this one, or it has more than is needed.
    let (across, down) = head.subsampling();
    let half = |at_least: u32, subsampled: u8| at_least.div_ceil(2).saturating_mul(subsampled.into());
    let chroma = (half(want.at_least.0, across), half(want.at_least.1, down));
    let chroma = if want.ycbcr { eighths(size, chroma).min(luma) } else { luma };
    jpeg::decode(&head, jpeg::Eighths { luma, chroma }).ok()
}

/// The eighths of `size` that are enough for `at_least`.
fn eighths(size: (u32, u32), at_least: (u32, u32)) -> u8 {
    let of = |size: u32, at_least: u32| (u64::from(at_least) * 2 * MARGIN).div_ceil(u64::from(size.max(1)));
    let eighths = of(size.0, at_least.0).max(of(size.1, at_least.1));
    u8::try_from(eighths.clamp(1, 8)).unwrap_or(8)
}

fn whole(bytes: &[u8], probe: &Probe, want: Want) -> Result<Raster, ImageError> {
    let raster = match probe.kind {
        Kind::Jpeg => jpeg(bytes, probe),
        Kind::Png => png(bytes, probe, want),
        Kind::Gif => return Gif::open(bytes, probe)?.into_first(),
        Kind::Bmp => {
            image::codecs::bmp::BmpDecoder::new(Cursor::new(bytes)).ok().and_then(|bmp| dynamic(bmp, probe))
        }
        Kind::Webp => webp::decode(bytes, probe),
        Kind::Tiff => tiff::decode(bytes, probe),
        Kind::Ico => ico::decode(bytes, probe, want),
        Kind::Wbmp => wbmp::decode(bytes),
    };
    let raster =
        raster.ok_or(ImageError::Damaged { kind: probe.kind, what: "its pixels can't be decoded" })?;
    let (width, height) = lying(probe);
    if raster.width > width || raster.height > height {
        return Err(ImageError::Damaged {
            kind: probe.kind,
            what: "it has more pixels than its header says",
        });
    }
    Ok(raster)
}

/// Width and height as they lie in the file.
pub(super) fn lying(probe: &Probe) -> (u32, u32) {
    if probe.orientation >= 5 { (probe.height, probe.width) } else { (probe.width, probe.height) }
}

/// A JPEG of another kind that is stored as Y, Cb and Cr, at full size: zune-jpeg knows no other.
fn split(bytes: &[u8], probe: &Probe, want: Want) -> Option<Vec<Plane>> {
    if !want.ycbcr {
        return None;
    }
    let mut decoder = zune(bytes)?;
    if decoder.input_colorspace()? != ColorSpace::YCbCr {
        return None;
    }
    let (size, pixels) = all(&mut decoder, ColorSpace::YCbCr, probe)?;
    let (pixels, _) = pixels.as_chunks::<3>();
    let split = (pixels.len() as u64 == u64::from(size.0) * u64::from(size.1))
        .then(|| jpeg::colour::split(pixels, size.0 as usize))?;
    Some(planes::of(split, size))
}

/// A JPEG of any kind, as gray or as colours.
fn jpeg(bytes: &[u8], probe: &Probe) -> Option<Raster> {
    let mut decoder = zune(bytes)?;
    let (colours, layout) = match decoder.input_colorspace()? {
        ColorSpace::Luma => (ColorSpace::Luma, Layout::L8),
        _ => (ColorSpace::RGB, Layout::Rgb8),
    };
    let ((width, height), pixels) = all(&mut decoder, colours, probe)?;
    Raster::new(width, height, layout, pixels)
}

type Zune<'a> = zune_jpeg::JpegDecoder<ZCursor<&'a [u8]>>;

fn options() -> DecoderOptions {
    DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(MAX_SCANS)
}

/// A decoder that has read the head.
fn zune(bytes: &[u8]) -> Option<Zune<'_>> {
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options());
    decoder.decode_headers().ok()?;
    Some(decoder)
}

/// Size and pixels.
fn all(decoder: &mut Zune<'_>, colours: ColorSpace, probe: &Probe) -> Option<((u32, u32), Vec<u8>)> {
    decoder.set_options(options().jpeg_set_out_colorspace(colours));
    let (width, height) = decoder.dimensions()?;
    let size = admitted(u32::try_from(width).ok()?, u32::try_from(height).ok()?, probe)?;
    Some((size, decoder.decode().ok()?))
}

/// A decoder's own reading of the head, if it is no larger than what the guards let pass: nothing is allocated
/// before the two agree.
pub(super) fn admitted(width: u32, height: u32, probe: &Probe) -> Option<(u32, u32)> {
    let (most_wide, most_high) = lying(probe);
    (width <= most_wide && height <= most_high).then_some((width, height))
}

/// Row by row where that saves memory: an interlaced one has its rows only at the end.
pub(super) fn png(bytes: &[u8], probe: &Probe, want: Want) -> Option<Raster> {
    let decoded = probe.pixels().saturating_mul(8).saturating_add(PNG_OVERHEAD);
    let limits = png::Limits { bytes: usize::try_from(decoded).ok()? };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    // 16 bits are rounded here; the decoder would cut them.
    decoder.set_transformations(png::Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().ok()?;
    let (colours, depth) = reader.output_color_type();
    let deep = depth == png::BitDepth::Sixteen;
    let layout = match colours {
        png::ColorType::Grayscale => Layout::L8,
        png::ColorType::GrayscaleAlpha => Layout::La8,
        png::ColorType::Rgb => Layout::Rgb8,
        png::ColorType::Rgba => Layout::Rgba8,
        png::ColorType::Indexed => return None,
    };
    let info = reader.info();
    let (width, height) = admitted(info.width, info.height, probe)?;
    let shrink = if info.interlaced { None } else { Shrink::new(layout, (width, height), want.at_least) };
    if let Some(mut shrink) = shrink {
        while let Some(row) = reader.next_row().ok()? {
            if deep { shrink.row(&rounded(row.data())) } else { shrink.row(row.data()) }
        }
        return shrink.into_raster();
    }
    let mut pixels = vec![0; reader.output_buffer_size()?];
    let output = reader.next_frame(&mut pixels).ok()?;
    pixels.truncate(output.buffer_size());
    let pixels = if deep { rounded(&pixels) } else { pixels };
    Raster::new(output.width, output.height, layout, pixels)
}

/// Samples of 16 bits, the higher octet first, to the nearest of 8.
fn rounded(samples: &[u8]) -> Vec<u8> {
    samples.as_chunks::<2>().0.iter().map(|&sample| to_8(u16::from_be_bytes(sample))).collect()
}

/// What `image` decodes: BMP and icons come as gray or colour with 8 bits. It asks no limit of its own when it is used
/// so; the size is held against the admitted one first, and the octets follow from it.
pub(super) fn dynamic(decoder: impl ImageDecoder, probe: &Probe) -> Option<Raster> {
    let (width, height) = decoder.dimensions();
    let (width, height) = admitted(width, height, probe)?;
    let layout = match decoder.color_type() {
        image::ColorType::L8 => Layout::L8,
        image::ColorType::La8 => Layout::La8,
        image::ColorType::Rgb8 => Layout::Rgb8,
        image::ColorType::Rgba8 => Layout::Rgba8,
        _ => return None,
    };
    let mut pixels = vec![0; usize::try_from(decoder.total_bytes()).ok()?];
    decoder.read_image(&mut pixels).ok()?;
    Raster::new(width, height, layout, pixels)
}

/// One picture of an animation, whole.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) raster: Raster,
    /// How long it stands, in hundredths of a second.
    pub(super) delay: u16,
}
