//! Taking metadata out of a file without touching a pixel (CPI.md §3.5 V2).

use bytes::Bytes;

use super::container::{self, EOI, SOS, Segment};
use super::{Kind, probe};

/// The same picture without EXIF, XMP, IPTC, comments and texts, and without what stands behind its end (a second
/// picture, a video); every pixel and the ICC profile are kept. `None`: there is nothing to take out, or it
/// would lie on its side without its EXIF, or it is neither JPEG nor PNG, or it is broken.
pub fn strip(bytes: &[u8]) -> Option<Bytes> {
    let head = probe(bytes).ok().filter(|head| head.orientation == 1)?;
    let stripped = match head.kind {
        Kind::Jpeg => jpeg(bytes)?,
        Kind::Png => png(bytes)?,
        _ => return None,
    };
    (stripped.len() < bytes.len()).then(|| stripped.into())
}

fn jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut complete = false;
    let mut scanned = false;
    for segment in container::segments(bytes).filter(|segment| !jpeg_drops(segment)) {
        out.extend_from_slice(segment.whole);
        scanned |= segment.marker == SOS;
        complete = segment.marker == EOI;
    }
    (complete && scanned).then_some(out)
}

/// Whether a segment says more than how to show the picture. JFIF (but its thumbnail extension), the ICC
/// profile and Adobe's colour transform stay.
pub(super) fn jpeg_drops(segment: &Segment<'_>) -> bool {
    match segment.marker {
        0xe0 => segment.data.starts_with(b"JFXX\0") || jfif_thumbnail(segment.data),
        0xe2 => !segment.data.starts_with(b"ICC_PROFILE\0"),
        0xee => !segment.data.starts_with(b"Adobe"),
        0xe1 | 0xe3..=0xed | 0xef | 0xfe => true,
        _ => false,
    }
}

/// Whether a JFIF segment holds pixels of its own; it is optional to every decoder, so it goes as a whole.
fn jfif_thumbnail(data: &[u8]) -> bool {
    data.starts_with(b"JFIF\0") && data.len() > 14
}

fn png(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(bytes.get(..8)?);
    let mut complete = false;
    for chunk in container::png_chunks(bytes).filter(|chunk| !png_drops(&chunk.name)) {
        out.extend_from_slice(chunk.whole);
        complete = &chunk.name == b"IEND";
    }
    complete.then_some(out)
}

/// Whether a chunk says more than how to show the picture: texts, EXIF, the time, and every ancillary chunk
/// that isn't known to be about colour, size or animation.
pub(super) fn png_drops(name: &[u8; 4]) -> bool {
    let ancillary = name.first().is_some_and(|letter| letter & 0x20 != 0);
    let shows = matches!(
        name,
        b"tRNS"
            | b"cHRM"
            | b"gAMA"
            | b"iCCP"
            | b"sBIT"
            | b"sRGB"
            | b"cICP"
            | b"mDCV"
            | b"cLLI"
            | b"bKGD"
            | b"hIST"
            | b"pHYs"
            | b"sPLT"
            | b"acTL"
            | b"fcTL"
            | b"fdAT"
    );
    ancillary && !shows
}
