//! A still, lossy, opaque WebP (RFC 9649 §2.5) as the planes it is stored in: what goes into a JPEG need not become
//! colours first.

use std::io::Cursor;

use super::container;
use jpeg::Plane;

/// Y, Cb and Cr at full size, as a JPEG has them; `None` for a WebP of another kind or a broken one. Nothing is decoded
/// that claims more pixels than `most`.
pub(super) fn planes(bytes: &[u8], most: (u32, u32)) -> Option<Vec<Plane>> {
    let chunk =
        container::riff_chunks(bytes).find(|chunk| matches!(&chunk.name, b"VP8 " | b"ALPH" | b"ANMF"))?;
    if &chunk.name != b"VP8 " {
        return None;
    }
    let head = chunk.data.get(3..)?.strip_prefix(&[0x9d, 0x01, 0x2a])?;
    let side =
        |at: usize| head.get(at..).and_then(container::little_u16).map(|side| u32::from(side & 0x3fff));
    if side(0)? > most.0 || side(2)? > most.1 {
        return None;
    }
    let frame = image_webp::vp8::Vp8Decoder::decode_frame(Cursor::new(chunk.data)).ok()?;
    let (width, height) = (u64::from(frame.width), u64::from(frame.height));
    // Whole macroblocks: 16 samples of luma, 8 of chroma.
    let blocks = usize::from(frame.width).div_ceil(16);
    let plane = |mut samples: Vec<u8>, side: usize, eighths: (u64, u64), range: fn(u8) -> u8| {
        let stride = blocks * side;
        let rows = samples.len().checked_div(stride)?;
        samples.truncate(rows * stride);
        samples.iter_mut().for_each(|sample| *sample = range(*sample));
        let mut plane = Plane { stride, rows, samples, eighths };
        plane.pad();
        (rows as u64 * 8 >= eighths.1).then_some(plane)
    };
    let chroma = (width * 4, height * 4);
    Some(vec![
        plane(frame.ybuf, 16, (width * 8, height * 8), full_luma)?,
        plane(frame.ubuf, 8, chroma, full_chroma)?,
        plane(frame.vbuf, 8, chroma, full_chroma)?,
    ])
}

/// From 16..=235, as a video has it, to all of 0..=255.
#[inline(always)]
fn full_luma(sample: u8) -> u8 {
    const FACTOR: i32 = 255 * 4096 / 219;
    (((i32::from(sample) - 16) * FACTOR + 2048) >> 12).clamp(0, 255) as u8
}

/// From 16..=240 around the middle.
#[inline(always)]
fn full_chroma(sample: u8) -> u8 {
    const FACTOR: i32 = 255 * 4096 / 224;
    ((((i32::from(sample) - 128) * FACTOR + 2048) >> 12) + 128).clamp(0, 255) as u8
}
