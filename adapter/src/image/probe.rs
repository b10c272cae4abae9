//! Heads of pictures: what they claim, without a pixel decoded and without an allocation.

use super::container::{self, Block, big_u32, little_u16, little_u32};
use super::{Guards, ImageError, Kind, Probe, ico, strip, tiff, wbmp};

/// What the head says, within the default [`Guards`].
///
/// # Errors
/// See [`probe_within`].
pub fn probe(bytes: &[u8]) -> Result<Probe, ImageError> {
    probe_within(bytes, &Guards::default())
}

/// What the head says, if `guards` admit it.
///
/// # Errors
/// [`ImageError::Unknown`], [`ImageError::Damaged`], [`ImageError::Unsupported`], or a guard.
pub fn probe_within(bytes: &[u8], guards: &Guards) -> Result<Probe, ImageError> {
    let kind = Kind::sniff(bytes).ok_or(ImageError::Unknown)?;
    let damaged = |what| ImageError::Damaged { kind, what };
    let mut probe = match kind {
        Kind::Jpeg => jpeg(bytes)?,
        Kind::Png => png(bytes).ok_or(damaged("its header is cut short"))?,
        Kind::Gif => gif(bytes, guards).ok_or(damaged("its header is cut short"))?,
        Kind::Bmp => bmp(bytes).ok_or(damaged("its header can't be read"))?,
        Kind::Webp => webp(bytes, guards).ok_or(damaged("its header can't be read"))?,
        Kind::Tiff => tiff::head(bytes)?,
        Kind::Ico => ico::head(bytes).ok_or(damaged("there is no picture in it"))?,
        Kind::Wbmp => wbmp::head(bytes).ok_or(damaged("its header can't be read"))?,
    };
    if probe.width == 0 || probe.height == 0 || probe.frames == 0 {
        return Err(damaged("it has no pixels"));
    }
    if probe.orientation >= 5 {
        std::mem::swap(&mut probe.width, &mut probe.height);
    }
    guards.admit(&probe, bytes.len() as u64)?;
    Ok(probe)
}

pub(super) fn upright(kind: Kind, width: u32, height: u32) -> Probe {
    Probe {
        kind,
        width,
        height,
        orientation: 1,
        frames: 1,
        alpha: false,
        palette: None,
        gray: false,
        depth: 8,
        progressive: false,
        metadata: false,
    }
}

/// ITU-T T.81 B.2.2, EXIF 2.3 §4.5.4.
fn jpeg(bytes: &[u8]) -> Result<Probe, ImageError> {
    const PROGRESSIVE: u8 = 0xc2;
    let unsupported = |what| Err(ImageError::Unsupported { kind: Kind::Jpeg, what });
    let mut frame: Option<Probe> = None;
    let (mut orientation, mut metadata, mut components) = (None, false, 0);
    for segment in container::segments(bytes) {
        match segment.marker {
            0xe1 => {
                orientation =
                    orientation.or_else(|| exif_orientation(segment.data.strip_prefix(b"Exif\0\0")?))
            }
            0xc0..=0xc2 if frame.is_none() => {
                let &[depth, h0, h1, w0, w1, count, ..] = segment.data else { break };
                components = count;
                if depth != 8 {
                    return unsupported("a sample depth other than 8");
                }
                let (width, height) = (u16::from_be_bytes([w0, w1]), u16::from_be_bytes([h0, h1]));
                let mut head = upright(Kind::Jpeg, width.into(), height.into());
                head.gray = count == 1;
                head.progressive = segment.marker == PROGRESSIVE;
                frame = Some(head);
            }
            0xc3 | 0xc5..=0xc7 => return unsupported("lossless or hierarchical coding"),
            0xc9..=0xcb | 0xcd..=0xcf => return unsupported("arithmetic coding"),
            // zune-jpeg shows a sequential picture whose colours come one after the other in false ones.
            container::SOS => {
                let together = segment.data.first() == Some(&components);
                if !together && frame.as_ref().is_some_and(|head| !head.progressive) {
                    return unsupported("a scan for each colour");
                }
                break;
            }
            _ => {}
        }
        metadata |= strip::jpeg_drops(&segment);
    }
    let mut head = frame.ok_or(ImageError::Damaged { kind: Kind::Jpeg, what: "it has no frame header" })?;
    head.orientation = orientation.unwrap_or(1);
    head.metadata = metadata;
    Ok(head)
}

/// The orientation, 1 to 8, that a TIFF structure of EXIF names.
pub(super) fn exif_orientation(tiff: &[u8]) -> Option<u8> {
    image::metadata::Orientation::from_exif_chunk(tiff).map(image::metadata::Orientation::to_exif)
}

/// RFC 2083 §4.1.
pub(super) fn png(bytes: &[u8]) -> Option<Probe> {
    let mut chunks = container::png_chunks(bytes);
    let head = chunks.next().filter(|chunk| &chunk.name == b"IHDR")?;
    let (width, height) = (big_u32(head.data)?, big_u32(head.data.get(4..)?)?);
    let &[depth, colour, _, _, interlace] = head.data.get(8..13)? else { return None };
    let mut probe = upright(Kind::Png, width, height);
    probe.depth = depth;
    probe.gray = colour == 0 || colour == 4;
    probe.alpha = colour & 4 != 0;
    probe.progressive = interlace != 0;
    for chunk in chunks {
        match &chunk.name {
            b"PLTE" if colour == 3 => probe.palette = u16::try_from(chunk.data.len() / 3).ok(),
            b"tRNS" => probe.alpha = true,
            b"acTL" => probe.frames = big_u32(chunk.data).unwrap_or(1).max(1),
            b"eXIf" => probe.orientation = exif_orientation(chunk.data).unwrap_or(1),
            _ => {}
        }
        probe.metadata |= strip::png_drops(&chunk.name);
    }
    Some(probe)
}

/// GIF89a §18, §20. Frames are counted no further than the guard.
fn gif(bytes: &[u8], guards: &Guards) -> Option<Probe> {
    let screen = bytes.get(6..)?;
    let flags = *screen.get(4)?;
    let global = (flags & 0x80 != 0).then(|| container::table_colours(flags));
    let mut probe = upright(Kind::Gif, little_u16(screen)?.into(), little_u16(screen.get(2..)?)?.into());
    probe.palette = global;
    probe.frames = 0;
    let start = 13 + usize::from(global.unwrap_or(0)) * 3;
    for block in container::gif_blocks(bytes, start) {
        match block {
            Block::Image { width, height, colours, interlaced } => {
                // Browsers make the screen as large as what is on it; so does the guard on pixels.
                probe.width = probe.width.max(width.into());
                probe.height = probe.height.max(height.into());
                probe.palette = probe.palette.max(colours);
                probe.progressive |= interlaced;
                probe.frames += 1;
            }
            Block::Control { transparent } => probe.alpha |= transparent,
            Block::Other => {}
        }
        if probe.frames > guards.frames {
            break;
        }
    }
    Some(probe)
}

/// The BITMAPINFOHEADER family and OS/2's core header.
fn bmp(bytes: &[u8]) -> Option<Probe> {
    let info = bytes.get(14..)?;
    let size = little_u32(info)?;
    let (width, height, bits) = if size == 12 {
        let field = |at: usize| info.get(at..).and_then(little_u16);
        (field(4)?.into(), field(6)?.into(), field(10)?)
    } else {
        let field = |at: usize| info.get(at..).and_then(little_u32);
        // A negative height says that the rows run from the top.
        (field(4)?, field(8)?.cast_signed().unsigned_abs(), info.get(14..).and_then(little_u16)?)
    };
    let mut probe = upright(Kind::Bmp, width, height);
    probe.alpha = bits == 32;
    probe.palette = (bits <= 8).then(|| 1 << bits);
    Some(probe)
}

/// RFC 9649 §2. Frames are counted no further than the guard.
fn webp(bytes: &[u8], guards: &Guards) -> Option<Probe> {
    let mut chunks = container::riff_chunks(bytes);
    let first = chunks.next()?;
    let little_u24 = |at: usize| {
        first
            .data
            .get(at..)
            .and_then(<[u8]>::first_chunk::<3>)
            .map(|&[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    };
    match &first.name {
        b"VP8 " => {
            let head = first.data.get(3..)?.strip_prefix(&[0x9d, 0x01, 0x2a])?;
            let side = |at: usize| head.get(at..).and_then(little_u16).map(|side| u32::from(side & 0x3fff));
            Some(upright(Kind::Webp, side(0)?, side(2)?))
        }
        b"VP8L" => {
            let head = little_u32(first.data.strip_prefix(&[0x2f])?)?;
            let mut probe = upright(Kind::Webp, (head & 0x3fff) + 1, (head >> 14 & 0x3fff) + 1);
            probe.alpha = head >> 28 & 1 == 1;
            Some(probe)
        }
        b"VP8X" => {
            let mut probe = upright(Kind::Webp, little_u24(4)? + 1, little_u24(7)? + 1);
            probe.alpha = first.data.first()? & 0x10 != 0;
            let mut frames = 0;
            for chunk in chunks {
                match &chunk.name {
                    b"ANMF" => frames += 1,
                    b"EXIF" => {
                        let tiff = chunk.data.strip_prefix(b"Exif\0\0").unwrap_or(chunk.data);
                        probe.orientation = exif_orientation(tiff).unwrap_or(1);
                    }
                    _ => {}
                }
                if frames > guards.frames {
                    break;
                }
            }
            probe.frames = frames.max(1);
            Some(probe)
        }
        _ => None,
    }
}
