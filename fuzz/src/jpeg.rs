//! The scaled JPEG decoder: whatever the octets, no more than the admitted picture, and where another decoder reads the
//! same file without a complaint, the same picture.

use jpeg::{Eighths, Head, Plane, decode};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};

/// Pixels a caller would admit: small enough that an input takes milliseconds.
const MOST: u32 = 1 << 16;

/// The first octet chooses the fractions, the rest is the file.
pub fn run(data: &[u8]) {
    let Some((&choice, file)) = data.split_first() else { return };
    let Ok(head) = Head::read(file) else { return };
    let (width, height) = (u32::from(head.width), u32::from(head.height));
    if width * height > MOST {
        return;
    }
    let eighths = Eighths { luma: 1 + (choice & 7), chroma: 1 + (choice >> 3 & 7) };
    let Ok(planes) = decode(&head, eighths) else { return };
    let most = Eighths { luma: eighths.luma, chroma: eighths.luma.max(eighths.chroma) };
    bounded(&planes, width, height, most);
    // Of components in scans of their own zune-jpeg reads another picture than djpeg and ours, if they are not alike.
    let scans = file.windows(2).filter(|pair| *pair == [0xff, 0xda]).count();
    if !head.progressive && scans > 1 {
        return;
    }
    if let Some(whole) = theirs(file, width, height) {
        same(&planes, &whole, width as usize, usize::from(eighths.luma));
    }
}

/// The work is the picture's: so many blocks as it has, whole units, each of so many samples and none of them twice.
fn bounded(planes: &[Plane], width: u32, height: u32, eighths: Eighths) {
    let side = |size: u32, eighths: u8| size.next_multiple_of(16) as usize * usize::from(eighths) / 8;
    let (luma, chroma) = (eighths.luma, eighths.chroma);
    let most = side(width, luma) * side(height, luma) + 2 * side(width, chroma) * side(height, chroma);
    let made: usize = planes.iter().map(|plane| plane.samples.len()).sum();
    assert!(made <= most, "{made} samples of {width}x{height} at {eighths:?}");
    assert!(planes.iter().all(|plane| plane.samples.len() == plane.stride * plane.rows));
}

/// Luma of the whole picture by zune-jpeg, if it finds nothing wrong.
fn theirs(file: &[u8], width: u32, height: u32) -> Option<Vec<u8>> {
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::YCbCr);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().ok()?;
    if decoder.dimensions()? != (width as usize, height as usize) {
        return None;
    }
    let step = match decoder.input_colorspace()? {
        ColorSpace::Luma => {
            decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
            1
        }
        ColorSpace::YCbCr => 3,
        _ => return None,
    };
    let samples = decoder.decode().ok()?;
    let luma: Vec<u8> = samples.chunks_exact(step).filter_map(|pixel| pixel.first().copied()).collect();
    (luma.len() == (width * height) as usize).then_some(luma)
}

/// The mean of a whole block is that of the other decoder's: it is the DC coefficient at any fraction. Blocks with black or
/// white are left out, as they may hold coefficients that no sample can show. In a broken file a run of zeros may lead
/// beyond its block, and each decoder makes of that block what it likes: so half of them may differ, where a wrong
/// decoder would be apart in all from some block on.
fn same(planes: &[Plane], whole: &[u8], width: usize, eighths: usize) {
    let Some(luma) = planes.first() else { return };
    let (mut compared, mut apart) = (0, 0);
    for (top, rows) in whole.chunks_exact(width * 8).enumerate() {
        for left in 0..width / 8 {
            let theirs = rows.chunks_exact(width).flat_map(|row| row.iter().skip(left * 8).take(8));
            let ours = luma.samples.chunks_exact(luma.stride).skip(top * eighths).take(eighths);
            let ours = ours.flat_map(|row| row.iter().skip(left * eighths).take(eighths));
            if let (Some(a), Some(b)) = (mean(theirs), mean(ours)) {
                compared += 1;
                apart += u32::from((a - b).abs() > 1.6);
            }
        }
    }
    assert!(apart <= compared / 2 + 1, "{apart} of {compared} blocks differ");
}

/// `None` if a sample is at its limit.
fn mean<'a>(samples: impl Iterator<Item = &'a u8>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for &sample in samples {
        if matches!(sample, 0..=2 | 253..=255) {
            return None;
        }
        sum += f64::from(sample);
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}
