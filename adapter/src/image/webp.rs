//! WebP in, still and animated, and out without loss (RFC 9649).
//!
//! Out is VP8L only: the lossy encoders there are belong to libwebp, which is C, or are under the AGPL. So WebP is
//! written for who names nothing better.

use std::io::Cursor;

use image_webp::{LoopCount, WebPDecoder};

use super::decode::{self, Frame};
use super::encode::Written;
use super::raster::{Layout, Raster};
use super::{ImageError, Kind, Probe};

type Decoder<'a> = WebPDecoder<Cursor<&'a [u8]>>;

/// A decoder whose head agrees with what was admitted.
fn open<'a>(bytes: &'a [u8], probe: &Probe) -> Option<Decoder<'a>> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).ok()?;
    decoder.set_memory_limit(usize::try_from(probe.pixels().saturating_mul(4)).ok()?);
    let (width, height) = decoder.dimensions();
    decode::admitted(width, height, probe)?;
    Some(decoder)
}

fn layout(decoder: &Decoder<'_>) -> Layout {
    if decoder.has_alpha() { Layout::Rgba8 } else { Layout::Rgb8 }
}

/// The picture, or the first one of several.
pub(super) fn decode(bytes: &[u8], probe: &Probe) -> Option<Raster> {
    let mut decoder = open(bytes, probe)?;
    let mut pixels = vec![0; decoder.output_buffer_size()?];
    decoder.read_image(&mut pixels).ok()?;
    let (width, height) = decoder.dimensions();
    Raster::new(width, height, layout(&decoder), pixels)
}

/// The frames of an animation, each as it looks on the canvas.
pub(super) struct Film<'a> {
    decoder: Decoder<'a>,
    /// Milliseconds up to the frame that comes next, and hundredths of a second that were given for them.
    elapsed: (u64, u64),
}

impl<'a> Film<'a> {
    pub(super) fn open(bytes: &'a [u8], probe: &Probe) -> Result<Film<'a>, ImageError> {
        let decoder = open(bytes, probe).filter(WebPDecoder::is_animated);
        let what = "its header can't be read";
        let decoder = decoder.ok_or(ImageError::Damaged { kind: Kind::Webp, what })?;
        Ok(Film { decoder, elapsed: (0, 0) })
    }

    /// How often it is shown, as GIF says it: the first time does not count.
    pub(super) fn repeat(&self) -> gif::Repeat {
        match self.decoder.loop_count() {
            LoopCount::Forever => gif::Repeat::Infinite,
            LoopCount::Times(times) => gif::Repeat::Finite(times.get() - 1),
        }
    }

    /// The next frame; `None` after the last. What is broken behind the first one ends the film.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, ImageError> {
        let broken = ImageError::Damaged { kind: Kind::Webp, what: "its pixels can't be decoded" };
        let size = self.decoder.output_buffer_size().ok_or(broken.clone())?;
        let mut pixels = vec![0; size];
        let shown = self.elapsed.0 > 0 || self.elapsed.1 > 0;
        let Ok(milliseconds) = self.decoder.read_frame(&mut pixels) else {
            return if shown { Ok(None) } else { Err(broken) };
        };
        let (width, height) = self.decoder.dimensions();
        let raster = Raster::new(width, height, layout(&self.decoder), pixels).ok_or(broken)?;
        // Rounded so that the whole keeps its length.
        self.elapsed.0 += u64::from(milliseconds.max(1));
        let delay = (self.elapsed.0 + 5) / 10 - self.elapsed.1;
        self.elapsed.1 += delay;
        Ok(Some(Frame { raster, delay: u16::try_from(delay).unwrap_or(u16::MAX) }))
    }
}

pub(super) fn write(raster: &Raster) -> Option<Written> {
    let colour = match raster.layout {
        Layout::L8 => image_webp::ColorType::L8,
        Layout::La8 => image_webp::ColorType::La8,
        Layout::Rgb8 => image_webp::ColorType::Rgb8,
        Layout::Rgba8 => image_webp::ColorType::Rgba8,
        Layout::Ycbcr420 => return None,
    };
    let mut bytes = Vec::new();
    let encoder = image_webp::WebPEncoder::new(&mut bytes);
    encoder.encode(&raster.pixels, raster.width, raster.height, colour).ok()?;
    Some(Written { bytes, palette: None })
}
