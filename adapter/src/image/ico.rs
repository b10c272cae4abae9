//! Icons in (the ICO container): the largest picture of those inside, which is a PNG or half a BMP.

use std::io::Cursor;

use super::container::{little_u16, little_u32};
use super::raster::Raster;
use super::{Kind, Probe, decode, probe};

/// Pictures looked at; icons have up to ten.
const MOST: usize = 64;

/// The picture that is taken.
enum Inside<'a> {
    Png(&'a [u8]),
    /// A bitmap of its colours above one of its transparency, both `width` x `height`.
    Bitmap {
        data: &'a [u8],
        width: u32,
        height: u32,
    },
}

/// The one of most pixels; of equals the one of most colours.
fn largest(bytes: &[u8]) -> Option<Inside<'_>> {
    let count = usize::from(little_u16(bytes.get(4..)?)?).min(MOST);
    let (entries, _) = bytes.get(6..)?.as_chunks::<16>();
    let inside = entries.iter().take(count).filter_map(|entry| {
        let bits = little_u16(entry.get(6..)?)?;
        let (length, at) = (little_u32(entry.get(8..)?)? as usize, little_u32(entry.get(12..)?)? as usize);
        let data = bytes.get(at..at.checked_add(length)?.min(bytes.len()))?;
        let (inside, pixels) = inside(data)?;
        Some((pixels, bits, inside))
    });
    inside.max_by_key(|(pixels, bits, _)| (*pixels, *bits)).map(|(_, _, inside)| inside)
}

/// What the octets are, and their pixels.
fn inside(data: &[u8]) -> Option<(Inside<'_>, u64)> {
    if Kind::sniff(data) == Some(Kind::Png) {
        return Some((Inside::Png(data), probe::png(data)?.pixels()));
    }
    let (width, twice) = (little_u32(data.get(4..)?)?, little_u32(data.get(8..)?)?);
    let height = twice.cast_signed().unsigned_abs() / 2;
    let pixels = u64::from(width) * u64::from(height);
    (little_u32(data)? == 40 && (1..=256).contains(&width) && (1..=256).contains(&height))
        .then_some((Inside::Bitmap { data, width, height }, pixels))
}

pub(super) fn head(bytes: &[u8]) -> Option<Probe> {
    match largest(bytes)? {
        Inside::Png(png) => Some(Probe { kind: Kind::Ico, frames: 1, ..probe::png(png)? }),
        Inside::Bitmap { width, height, .. } => {
            Some(Probe { alpha: true, ..probe::upright(Kind::Ico, width, height) })
        }
    }
}

pub(super) fn decode(bytes: &[u8], probe: &Probe, want: decode::Want) -> Option<Raster> {
    match largest(bytes)? {
        Inside::Png(png) => decode::png(png, probe, want),
        Inside::Bitmap { data, width, height } => {
            // An icon of this picture alone, so that no other reading of the list can choose another.
            let side = |side: u32| (side % 256) as u8;
            let bits = data.get(14..16)?;
            let mut alone = vec![0, 0, 1, 0, 1, 0, side(width), side(height), 0, 0, 1, 0];
            alone.extend_from_slice(bits);
            alone.extend(u32::try_from(data.len()).ok()?.to_le_bytes());
            alone.extend(22u32.to_le_bytes());
            alone.extend_from_slice(data);
            let decoder = image::codecs::ico::IcoDecoder::new(Cursor::new(alone)).ok()?;
            decode::dynamic(decoder, probe)
        }
    }
}
