//! WBMP of type 0 (WAP-237, Wireless Application Environment, appendix A): black and white, for phones of around 2000.

use super::raster::{Layout, Raster};
use super::{Kind, Probe, probe};

/// A side takes at most this many octets, seven bits in each: enough for any size a guard lets pass.
const SIDE_OCTETS: usize = 4;

/// What stands before the rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    width: u32,
    height: u32,
    /// Rows from the top, each begun in a new octet; a set bit is white.
    rows: &'a [u8],
}

impl<'a> Head<'a> {
    /// `None` unless the file is exactly as long as its head asks for: nothing else tells a WBMP from zeros.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Head<'a>> {
        let rest = bytes.strip_prefix(&[0, 0])?;
        let (width, rest) = side(rest)?;
        let (height, rows) = side(rest)?;
        let octets = u64::from(width.div_ceil(8)).checked_mul(height.into())?;
        (octets > 0 && octets == rows.len() as u64).then_some(Head { width, height, rows })
    }
}

/// A multi-byte integer.
fn side(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut side = 0;
    for (at, &octet) in bytes.iter().enumerate().take(SIDE_OCTETS) {
        side = side << 7 | u32::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            return Some((side, bytes.get(at + 1..)?));
        }
    }
    None
}

pub(super) fn head(bytes: &[u8]) -> Option<Probe> {
    let head = Head::read(bytes)?;
    let mut probe = probe::upright(Kind::Wbmp, head.width, head.height);
    (probe.gray, probe.depth) = (true, 1);
    Some(probe)
}

pub(super) fn decode(bytes: &[u8]) -> Option<Raster> {
    let head = Head::read(bytes)?;
    let rows = head.rows.chunks_exact(head.width.div_ceil(8) as usize);
    let pixels = rows.flat_map(|row| bits(row).take(head.width as usize));
    Raster::new(head.width, head.height, Layout::L8, pixels.collect())
}

/// White for each set bit, from the highest on.
fn bits(row: &[u8]) -> impl Iterator<Item = u8> + '_ {
    row.iter().flat_map(|octet| (0..8).rev().map(move |bit| if octet >> bit & 1 == 1 { 255 } else { 0 }))
}

/// Octets of a picture of that size.
pub(super) fn octets(width: u32, height: u32) -> u64 {
    2 + (side_octets(width).len() + side_octets(height).len()) as u64
        + u64::from(width.div_ceil(8)) * u64::from(height)
}

fn side_octets(side: u32) -> Vec<u8> {
    let mut octets = vec![(side & 0x7f) as u8];
    let mut rest = side >> 7;
    while rest > 0 {
        octets.insert(0, (rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    octets
}

/// Writes `raster` in black and white, the error of each pixel spread over its neighbours (Floyd and Steinberg), every
/// second row from the right so that no pattern runs to one side.
pub(super) fn write(raster: &Raster) -> Vec<u8> {
    let width = raster.width as usize;
    let mut out = [vec![0, 0], side_octets(raster.width), side_octets(raster.height)].concat();
    let gray = raster.over_white().gray();
    // One more on either side, for what is spread over the edge.
    let (mut here, mut below) = (vec![0i32; width + 2], vec![0i32; width + 2]);
    for (y, row) in gray.chunks_exact(width).enumerate() {
        let mut packed = vec![0u8; width.div_ceil(8)];
        let from_left = y.is_multiple_of(2);
        for step in 0..width {
            let x = if from_left { step } else { width - 1 - step };
            let wanted = i32::from(row.get(x).copied().unwrap_or(255)) * 16 + take(&mut here, x + 1);
            let white = wanted >= 128 * 16;
            if white && let Some(octet) = packed.get_mut(x / 8) {
                *octet |= 0x80 >> (x % 8);
            }
            let error = (wanted - if white { 255 * 16 } else { 0 }) / 16;
            let (ahead, behind) = if from_left { (x + 2, x) } else { (x, x + 2) };
            spread(&mut here, ahead, error * 7);
            for (at, share) in [(behind, 3), (x + 1, 5), (ahead, 1)] {
                spread(&mut below, at, error * share);
            }
        }
        out.append(&mut packed);
        std::mem::swap(&mut here, &mut below);
        below.fill(0);
    }
    out
}

fn spread(line: &mut [i32], at: usize, error: i32) {
    if let Some(sum) = line.get_mut(at) {
        *sum += error;
    }
}

fn take(line: &mut [i32], at: usize) -> i32 {
    line.get_mut(at).map(std::mem::take).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_and_white_come_back_pixel_for_pixel() {
        let pixels: Vec<u8> = (0..131 * 3u32).map(|i| if i * i % 7 < 3 { 255 } else { 0 }).collect();
        let raster = Raster::new(131, 3, Layout::L8, pixels.clone()).unwrap();
        let file = write(&raster);
        assert_eq!(file[..5], [0, 0, 0x81, 0x03, 3], "131 takes two octets");
        assert_eq!(file.len() as u64, octets(131, 3));
        assert_eq!(decode(&file).unwrap().pixels, pixels);
    }

    #[test]
    fn a_gray_field_has_as_many_white_pixels_as_it_is_bright() {
        for gray in [0u8, 32, 64, 128, 200, 255] {
            let raster = Raster::new(64, 64, Layout::L8, vec![gray; 64 * 64]).unwrap();
            let shown = decode(&write(&raster)).unwrap().pixels;
            let mean = shown.iter().map(|&pixel| u64::from(pixel)).sum::<u64>() / (64 * 64);
            assert!(mean.abs_diff(gray.into()) <= 3, "{gray} became {mean}");
        }
    }

    #[test]
    fn what_is_not_exactly_as_long_as_its_head_says_is_none() {
        let file = write(&Raster::new(9, 9, Layout::L8, vec![0; 81]).unwrap());
        assert!(Head::read(&file).is_some());
        assert!(Head::read(&file[..file.len() - 1]).is_none());
        assert!(Head::read(&[&file[..], &[0]].concat()).is_none());
        assert!(Head::read(&[0, 0, 0, 0]).is_none());
        assert!(Head::read(&[0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f, 1]).is_none());
    }
}
