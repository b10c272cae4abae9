//! Writing BMP (BITMAPINFOHEADER, uncompressed) for old phones: with a palette where there are few colours, else 24 bits.

use super::encode::{self, Written};
use super::palette::Palette;
use super::raster::Raster;

/// File header and info header.
const HEADS: u32 = 14 + 40;

/// Octets of a picture of that size with so many colours; `None`: 24 bits.
pub(super) fn octets(width: u32, height: u32, colours: Option<u16>) -> u64 {
    let (bits, table) = match colours {
        None => (24, 0),
        Some(colours) => (bits(colours), u64::from(colours) * 4),
    };
    u64::from(HEADS) + table + stride(width, bits) * u64::from(height)
}

/// What is transparent shows white. `colours`: the most; `None`: all of them, as a palette where 256 are enough.
pub(super) fn write(raster: &Raster, colours: Option<u16>) -> Option<Written> {
    let opaque = raster.over_white();
    let palette = match colours {
        Some(colours) => Some(Palette::of(&[&opaque], colours, false)),
        None => Palette::exact(&[&opaque], 256, false),
    };
    let Some(palette) = palette else {
        let rows = opaque.rgba().map(|[r, g, b, _]| [b, g, r]).collect::<Vec<_>>();
        let rows = rows.chunks(raster.width as usize).map(<[[u8; 3]]>::concat);
        return Some(Written { bytes: file(raster, 24, &[], rows)?, palette: None });
    };
    let count = u16::try_from(palette.colours.len()).ok()?;
    let bits = bits(count);
    let indices = palette.map(&opaque);
    let rows = indices.chunks(raster.width as usize).map(|row| encode::packed(row, usize::from(bits)));
    let table: Vec<u8> = palette.colours.iter().flat_map(|&[r, g, b, _]| [b, g, r, 0]).collect();
    Some(Written { bytes: file(raster, bits, &table, rows)?, palette: Some(count) })
}

fn bits(colours: u16) -> u16 {
    match colours {
        0..=2 => 1,
        3..=16 => 4,
        _ => 8,
    }
}

/// Rows are filled up to four octets.
fn stride(width: u32, bits: u16) -> u64 {
    (u64::from(width) * u64::from(bits)).div_ceil(32) * 4
}

fn file(
    raster: &Raster,
    bits: u16,
    table: &[u8],
    rows: impl DoubleEndedIterator<Item = Vec<u8>>,
) -> Option<Vec<u8>> {
    let stride = usize::try_from(stride(raster.width, bits)).ok()?;
    let pixels = u32::try_from(stride.checked_mul(raster.height as usize)?).ok()?;
    let start = HEADS + u32::try_from(table.len()).ok()?;
    let mut out = Vec::with_capacity((start + pixels) as usize);
    out.extend(b"BM");
    for field in [start.checked_add(pixels)?, 0, start, 40, raster.width, raster.height] {
        out.extend(field.to_le_bytes());
    }
    out.extend([1u16, bits].map(u16::to_le_bytes).concat());
    let colours = u32::try_from(table.len() / 4).ok()?;
    // No compression; 72 dots an inch.
    for field in [0, pixels, 2835, 2835, colours, colours] {
        out.extend(field.to_le_bytes());
    }
    out.extend(table);
    for mut row in rows.rev() {
        row.resize(stride, 0);
        out.append(&mut row);
    }
    Some(out)
}
