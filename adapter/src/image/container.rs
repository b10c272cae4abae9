//! The containers pictures come in, as borrowed pieces: JPEG segments, PNG chunks, GIF blocks, RIFF chunks.
//! Nothing is decoded and nothing allocated; each iterator ends at the first thing it can't read.

/// A marker segment of a JPEG (ITU-T T.81 B.1.1.4), or the entropy-coded data after a scan header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    /// The marker's second octet; 0 for entropy-coded data.
    pub(super) marker: u8,
    /// What stands behind the length.
    pub(super) data: &'a [u8],
    /// Marker, length and data as they stand in the file.
    pub(super) whole: &'a [u8],
}

pub(super) const SOI: u8 = 0xd8;
pub(super) const EOI: u8 = 0xd9;
pub(super) const SOS: u8 = 0xda;
const ENTROPY: u8 = 0;

/// The segments of a JPEG from SOI on; EOI, when it is reached, is the last.
pub(super) struct Segments<'a> {
    rest: &'a [u8],
    in_scan: bool,
}

pub(super) fn segments(jpeg: &[u8]) -> Segments<'_> {
    Segments { rest: jpeg, in_scan: false }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        if std::mem::take(&mut self.in_scan) {
            let (whole, rest) = self.rest.split_at_checked(scan_octets(self.rest))?;
            self.rest = rest;
            return Some(Segment { marker: ENTROPY, data: whole, whole });
        }
        // Any number of fill octets may stand before a marker.
        while self.rest.starts_with(&[0xff, 0xff]) {
            self.rest = self.rest.get(1..)?;
        }
        let [0xff, marker, tail @ ..] = self.rest else { return None };
        let length = match *marker {
            SOI | EOI | 0x01 | 0xd0..=0xd7 => 0,
            0 => return None,
            _ => usize::from(big_u16(tail)?).checked_sub(2)? + 2,
        };
        let (whole, rest) = self.rest.split_at_checked(2 + length)?;
        self.rest = if *marker == EOI { &[] } else { rest };
        self.in_scan = *marker == SOS;
        Some(Segment { marker: *marker, data: whole.get(4..).unwrap_or_default(), whole })
    }
}

/// Octets up to the marker that ends a scan; restart markers and stuffed zeros belong to it.
fn scan_octets(data: &[u8]) -> usize {
    let mut from = 0;
    while let Some(at) = data.get(from..).and_then(|rest| memchr::memchr(0xff, rest)) {
        match data.get(from + at + 1) {
            Some(0 | 0xd0..=0xd7) => from += at + 2,
            Some(0xff) => from += at + 1,
            _ => return from + at,
        }
    }
    data.len()
}

/// A chunk of a PNG (RFC 2083 §3.2) or a RIFF file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) name: [u8; 4],
    pub(super) data: &'a [u8],
    pub(super) whole: &'a [u8],
}

/// The chunks of a PNG up to IEND, their checksums not looked at.
pub(super) fn png_chunks(png: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = png.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::try_from(big_u32(rest)?).ok()?;
        let name = *rest.get(4..)?.first_chunk::<4>()?;
        let (whole, after) = rest.split_at_checked(length.checked_add(12)?)?;
        rest = if &name == b"IEND" { &[] } else { after };
        Some(Chunk { name, data: whole.get(8..8 + length)?, whole })
    })
}

/// The chunks of a RIFF file behind its form type. The last one may be cut short.
pub(super) fn riff_chunks(riff: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = riff.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let name = *rest.first_chunk::<4>()?;
        let length = usize::try_from(little_u32(rest.get(4..)?)?).ok()?;
        let end = length.checked_add(8)?.min(rest.len());
        let (whole, after) = rest.split_at_checked(end)?;
        rest = after.get(length % 2..).unwrap_or_default();
        Some(Chunk { name, data: whole.get(8..)?, whole })
    })
}

/// A block of a GIF behind its screen descriptor (GIF89a §20, §23).
#[derive(Clone, Copy, Debug)]
pub(super) enum Block {
    /// A picture: its rectangle, the colours of its own table, whether it is interlaced.
    Image { width: u16, height: u16, colours: Option<u16>, interlaced: bool },
    /// A graphic control extension, and whether it names a transparent colour.
    Control { transparent: bool },
    /// Any other extension.
    Other,
}

/// The blocks of a GIF whose screen descriptor and global table end at `start`.
pub(super) fn gif_blocks(gif: &[u8], start: usize) -> impl Iterator<Item = Block> + '_ {
    let mut rest = gif.get(start..).unwrap_or_default();
    std::iter::from_fn(move || match rest {
        [0x21, label, tail @ ..] => {
            let control = *label == 0xf9;
            let transparent = tail.get(1).is_some_and(|flags| flags & 1 == 1);
            rest = skip_sub_blocks(tail)?;
            Some(if control { Block::Control { transparent } } else { Block::Other })
        }
        [0x2c, descriptor @ ..] => {
            let (&[_, _, _, _, w0, w1, h0, h1, flags], tail) = descriptor.split_first_chunk::<9>()?;
            let colours = (flags & 0x80 != 0).then(|| table_colours(flags));
            let data = tail.get(usize::from(colours.unwrap_or(0)) * 3 + 1..)?;
            // A last picture that is cut short still counts: it can be shown in part.
            rest = skip_sub_blocks(data).unwrap_or_default();
            Some(Block::Image {
                width: u16::from_le_bytes([w0, w1]),
                height: u16::from_le_bytes([h0, h1]),
                colours,
                interlaced: flags & 0x40 != 0,
            })
        }
        _ => None,
    })
}

/// Colours of a GIF colour table by the flags before it.
pub(super) fn table_colours(flags: u8) -> u16 {
    2 << (flags & 7)
}

fn skip_sub_blocks(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (&length, tail) = rest.split_first()?;
        rest = tail.get(usize::from(length)..)?;
        if length == 0 {
            return Some(rest);
        }
    }
}

pub(super) fn big_u16(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|b| u16::from_be_bytes(*b))
}

pub(super) fn big_u32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|b| u32::from_be_bytes(*b))
}

pub(super) fn little_u16(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|b| u16::from_le_bytes(*b))
}

pub(super) fn little_u32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|b| u32::from_le_bytes(*b))
}
