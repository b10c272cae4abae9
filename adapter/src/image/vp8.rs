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
    let frame = rusty_webp::vp8::Vp8Decoder::decode_frame(Cursor::new(chunk.data)).ok()?;
    let (width, height) = (u64::from(frame.width), u64::from(frame.height));
    // Whole macroblocks: 16 samples of luma, 8 of chroma.
    let blocks = usize::from(frame.width).div_ceil(16);
    let (luma, chroma) = (full(16, 219, 0), full(128, 224, 128));
    let plane = |mut samples: Vec<u8>, side: usize, eighths: (u64, u64), range: &[u8; 256]| {
        let stride = blocks * side;
        let rows = samples.len().checked_div(stride)?;
        samples.truncate(rows * stride);
        for sample in &mut samples {
            *sample = range.get(usize::from(*sample)).copied().unwrap_or_default();
        }
        let mut plane = Plane { stride, rows, samples, eighths };
        plane.pad();
        (rows as u64 * 8 >= eighths.1).then_some(plane)
    };
    let (whole, half) = ((width * 8, height * 8), (width * 4, height * 4));
    Some(vec![
        plane(frame.ybuf, 16, whole, &luma)?,
        plane(frame.ubuf, 8, half, &chroma)?,
        plane(frame.vbuf, 8, half, &chroma)?,
    ])
}

/// For each sample of a video, which keeps `steps` of 255 apart from `from` on, what it is in all of 0..=255 from `to` on.
fn full(from: i32, steps: i32, to: i32) -> [u8; 256] {
    let factor = 255 * 4096 / steps;
    std::array::from_fn(|sample| ((((sample as i32 - from) * factor + 2048) >> 12) + to).clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the picture lies in a file")]
    fn the_planes_are_those_of_the_decoder_that_image_uses() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/images/seed_1280x720.webp");
        let file = std::fs::read(path).unwrap();
        let chunk = container::riff_chunks(&file).next().unwrap();
        let ours = rusty_webp::vp8::Vp8Decoder::decode_frame(Cursor::new(chunk.data)).unwrap();
        let theirs = image_webp::vp8::Vp8Decoder::decode_frame(Cursor::new(chunk.data)).unwrap();
        assert_eq!((ours.width, ours.height), (theirs.width, theirs.height));
        assert!(ours.ybuf == theirs.ybuf && ours.ubuf == theirs.ubuf && ours.vbuf == theirs.vbuf);
        let planes = planes(&file, (1280, 720)).unwrap();
        assert_eq!(
            planes.iter().map(Plane::extent).collect::<Vec<_>>(),
            [(1280.0, 720.0), (640.0, 360.0), (640.0, 360.0)]
        );
        assert!(super::planes(&file, (1279, 720)).is_none());
    }

    #[test]
    fn the_range_of_a_video_becomes_the_whole() {
        let (luma, chroma) = (full(16, 219, 0), full(128, 224, 128));
        assert_eq!([luma[0], luma[16], luma[126], luma[235], luma[255]], [0, 0, 128, 255, 255]);
        assert_eq!([chroma[16], chroma[128], chroma[240], chroma[255]], [1, 128, 255, 255]);
    }
}
