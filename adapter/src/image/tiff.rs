//! TIFF in (TIFF 6.0): the first page, in gray, palette, RGB or CMYK with 1 to 16 bits, plain or packed by PackBits, LZW,
//! deflate or Group 4 fax. JPEG within TIFF is not read: the decoder below it would trust the inner head's size.

use std::borrow::Cow;
use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};

use super::raster::{Layout, Raster, ycbcr_to_rgb};
use super::{ImageError, Kind, Probe, decode, probe};

const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const ORIENTATION: u16 = 274;
const SAMPLES: u16 = 277;
const PLANES: u16 = 284;
const COLOURS: u16 = 320;
const EXTRA: u16 = 338;
const PROFILE: u16 = 34_675;

/// What a palette picture is, and what it is called so that its indices come out.
const PALETTE: u32 = 3;
const BLACK_IS_ZERO: u32 = 1;

/// Octets that tags and one strip may take beside the pixels.
const OVERHEAD: usize = 1 << 20;

/// The first directory of a file.
struct Directory<'a> {
    bytes: &'a [u8],
    little: bool,
    /// Where its entries begin, and how many there are.
    start: usize,
    count: usize,
}

/// Where a tag's values stand.
struct Values {
    at: usize,
    count: usize,
    size: usize,
}

impl<'a> Directory<'a> {
    fn read(bytes: &'a [u8]) -> Option<Directory<'a>> {
        let little = bytes.first() == Some(&b'I');
        let mut directory = Directory { bytes, little, start: 0, count: 0 };
        let at = usize::try_from(directory.number(4, 4)?).ok()?;
        (directory.start, directory.count) = (at.checked_add(2)?, directory.number(at, 2)? as usize);
        Some(directory)
    }

    fn number(&self, at: usize, octets: usize) -> Option<u32> {
        let octets = self.bytes.get(at..at.checked_add(octets)?)?.iter();
        let add = |sum: u32, &octet: &u8| sum << 8 | u32::from(octet);
        Some(if self.little { octets.rev().fold(0, add) } else { octets.fold(0, add) })
    }

    /// Of octets, shorts and longs.
    fn find(&self, tag: u16) -> Option<Values> {
        let entries = (0..self.count).map(|entry| self.start + entry * 12);
        let entry = entries
            .take_while(|at| at + 12 <= self.bytes.len())
            .find(|&at| self.number(at, 2) == Some(tag.into()))?;
        let size = match self.number(entry + 2, 2)? {
            1 | 7 => 1,
            3 => 2,
            4 => 4,
            _ => return None,
        };
        let count = self.number(entry + 4, 4)? as usize;
        let inside = count.checked_mul(size)? <= 4;
        let at = if inside { entry + 8 } else { self.number(entry + 8, 4)? as usize };
        Some(Values { at, count, size })
    }

    fn value(&self, tag: u16) -> Option<u32> {
        let values = self.find(tag).filter(|values| values.count > 0)?;
        self.number(values.at, values.size)
    }

    /// The colours of a palette, 16 bits a sample, all reds first. Some write 0xff00 for the brightest, so what is lower is
    /// cut.
    fn palette(&self) -> Option<Vec<[u8; 3]>> {
        let values = self.find(COLOURS).filter(|values| values.size == 2 && values.count <= 3 << 8)?;
        let colours = values.count / 3;
        let sample = |plane: usize, colour: usize| {
            self.number(values.at + (plane * colours + colour) * 2, 2).map(|sample| (sample >> 8) as u8)
        };
        (0..colours)
            .map(|colour| Some([sample(0, colour)?, sample(1, colour)?, sample(2, colour)?]))
            .collect()
    }

    fn is_palette(&self) -> bool {
        self.value(PHOTOMETRIC) == Some(PALETTE)
    }
}

pub(super) fn head(bytes: &[u8]) -> Result<Probe, ImageError> {
    let damaged = ImageError::Damaged { kind: Kind::Tiff, what: "its header can't be read" };
    let unsupported = |what| Err(ImageError::Unsupported { kind: Kind::Tiff, what });
    let directory = Directory::read(bytes).ok_or(damaged.clone())?;
    let (Some(width), Some(height)) = (directory.value(256), directory.value(257)) else {
        return Err(damaged);
    };
    let samples = directory.value(SAMPLES).unwrap_or(1);
    match directory.value(COMPRESSION).unwrap_or(1) {
        1 | 4 | 5 | 8 | 32_773 | 32_946 => {}
        6 | 7 => return unsupported("JPEG compression"),
        _ => return unsupported("this compression"),
    }
    if samples > 1 && directory.value(PLANES) == Some(2) {
        return unsupported("a plane for each colour");
    }
    let photometric = directory.value(PHOTOMETRIC);
    let mut probe = probe::upright(Kind::Tiff, width, height);
    probe.orientation = directory
        .value(ORIENTATION)
        .and_then(|turned| u8::try_from(turned).ok())
        .filter(|turned| (1..=8).contains(turned))
        .unwrap_or(1);
    probe.depth = directory.value(BITS).and_then(|bits| u8::try_from(bits).ok()).unwrap_or(1);
    probe.gray = matches!(photometric, Some(0 | BLACK_IS_ZERO));
    probe.alpha = samples > if probe.gray { 1 } else { 3 };
    probe.palette = directory.is_palette().then(|| 1u16.checked_shl(probe.depth.into()).unwrap_or(256));
    Ok(probe)
}

/// The octets of its ICC profile.
pub(super) fn profile(bytes: &[u8]) -> Option<&[u8]> {
    let values = Directory::read(bytes)?.find(PROFILE).filter(|values| values.size == 1)?;
    bytes.get(values.at..values.at.checked_add(values.count)?)
}

pub(super) fn decode(bytes: &[u8], probe: &Probe) -> Option<Raster> {
    let directory = Directory::read(bytes)?;
    let palette = if directory.is_palette() { Some(directory.palette()?) } else { None };
    let file = if palette.is_some() { Cow::Owned(called_gray(&directory)?) } else { Cow::Borrowed(bytes) };
    let decoded = usize::try_from(probe.pixels()).ok()?.checked_mul(8)?;
    let mut limits = Limits::unlimited();
    (limits.decoding_buffer_size, limits.intermediate_buffer_size) = (decoded, decoded + OVERHEAD);
    limits.ifd_value_size = OVERHEAD;
    let mut decoder = Decoder::new(Cursor::new(&*file)).ok()?.with_limits(limits);
    let (width, height) = decoder.dimensions().ok()?;
    let size = decode::admitted(width, height, probe)?;
    let colour = decoder.colortype().ok()?;
    let samples = match decoder.read_image().ok()? {
        DecodingResult::U8(samples) => samples,
        DecodingResult::U16(samples) => samples.into_iter().map(to_8).collect(),
        _ => return None,
    };
    match palette {
        Some(palette) => coloured(&palette, &samples, colour, size),
        None => raster(samples, colour, size, directory.value(EXTRA) == Some(1)),
    }
}

/// The file with its palette indices called shades of gray: the decoder reads no other way.
fn called_gray(directory: &Directory<'_>) -> Option<Vec<u8>> {
    let values = directory.find(PHOTOMETRIC).filter(|values| values.size == 2)?;
    let mut file = directory.bytes.to_vec();
    let gray = BLACK_IS_ZERO as u16;
    let gray = if directory.little { gray.to_le_bytes() } else { gray.to_be_bytes() };
    file.get_mut(values.at..values.at + 2)?.copy_from_slice(&gray);
    Some(file)
}

fn coloured(
    palette: &[[u8; 3]],
    samples: &[u8],
    colour: ColorType,
    (width, height): (u32, u32),
) -> Option<Raster> {
    let ColorType::Gray(bits @ (1 | 2 | 4 | 8)) = colour else { return None };
    let indices = unpacked(samples, bits, width);
    let pixels = indices.flat_map(|index| palette.get(usize::from(index)).copied().unwrap_or_default());
    Raster::new(width, height, Layout::Rgb8, pixels.collect())
}

fn raster(
    samples: Vec<u8>,
    colour: ColorType,
    (width, height): (u32, u32),
    premultiplied: bool,
) -> Option<Raster> {
    let (layout, pixels) = match colour {
        ColorType::Gray(bits @ (1 | 2 | 4)) => {
            let most = (1u16 << bits) - 1;
            (
                Layout::L8,
                unpacked(&samples, bits, width).map(|shade| (u16::from(shade) * 255 / most) as u8).collect(),
            )
        }
        ColorType::Gray(8 | 16) => (Layout::L8, samples),
        ColorType::GrayA(8 | 16) => (Layout::La8, samples),
        ColorType::RGB(8 | 16) => (Layout::Rgb8, samples),
        ColorType::RGBA(8 | 16) if premultiplied => (
            Layout::Rgba8,
            samples.as_chunks::<4>().0.iter().flat_map(|pixel| unmultiplied(*pixel)).collect(),
        ),
        ColorType::RGBA(8 | 16) => (Layout::Rgba8, samples),
        ColorType::CMYK(8 | 16) => {
            let ink = |ink: u8, black: u8| (u16::from(255 - ink) * u16::from(255 - black) / 255) as u8;
            let pixels =
                samples.as_chunks::<4>().0.iter().flat_map(|&[c, m, y, k]| [ink(c, k), ink(m, k), ink(y, k)]);
            (Layout::Rgb8, pixels.collect())
        }
        ColorType::YCbCr(8) => {
            let pixels = samples.as_chunks::<3>().0.iter().flat_map(|&[y, cb, cr]| {
                let [r, g, b, _] = ycbcr_to_rgb(y, cb, cr);
                [r, g, b]
            });
            (Layout::Rgb8, pixels.collect())
        }
        _ => return None,
    };
    Raster::new(width, height, layout, pixels)
}

/// Samples of `bits` each, the first in the highest bits; every row begins in a new octet.
fn unpacked(samples: &[u8], bits: u8, width: u32) -> impl Iterator<Item = u8> + '_ {
    let each = usize::from(8 / bits.max(1));
    let mask = u8::MAX >> (8 - bits);
    let row = (width as usize).div_ceil(each).max(1);
    samples.chunks_exact(row).flat_map(move |row| {
        let of = move |octet: &u8| {
            (1..=each).map({
                let octet = *octet;
                move |at| octet >> (8 - at * usize::from(bits)) & mask
            })
        };
        row.iter().flat_map(of).take(width as usize)
    })
}

fn unmultiplied([r, g, b, a]: [u8; 4]) -> [u8; 4] {
    let whole =
        |sample: u8| (u32::from(sample) * 255).checked_div(a.into()).map_or(0, |whole| whole.min(255) as u8);
    [whole(r), whole(g), whole(b), a]
}

/// The nearest of 256 shades.
pub(super) fn to_8(sample: u16) -> u8 {
    ((u32::from(sample) * 255 + 32_767) / 65_535) as u8
}
