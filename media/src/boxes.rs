//! The boxes of ISO base media files (ISO 14496-12 §4.2), for what symphonia's demuxer does not say.

use bytes::{Buf, Bytes};

/// Tracks of a file that are looked at.
const MOST_TRACKS: usize = 8;

/// Every `trak`, of the first ones.
pub(crate) fn tracks(file: &Bytes) -> impl Iterator<Item = Bytes> {
    let rest = at(file, &[b"moov"]).unwrap_or_default();
    Boxes { rest }.filter(|(kind, _)| kind == b"trak").map(|(_, body)| body).take(MOST_TRACKS)
}

/// The `trak` of that number.
pub(crate) fn track(file: &Bytes, number: u32) -> Option<Bytes> {
    let movie = at(file, &[b"moov"])?;
    Boxes { rest: movie }
        .find(|(kind, body)| kind == b"trak" && track_id(body) == Some(number))
        .map(|(_, body)| body)
}

/// The content of the first box of the first kind, in it of the first of the second kind, and so on.
pub(crate) fn at(body: &Bytes, path: &[&[u8; 4]]) -> Option<Bytes> {
    path.iter().try_fold(body.clone(), |body, wanted| {
        Boxes { rest: body }.find(|(kind, _)| kind == *wanted).map(|(_, body)| body)
    })
}

/// Ticks a second in the head of a movie or of its media, behind two times of 32 bits, or of 64 in version 1.
pub(crate) fn timescale(head: &[u8]) -> Option<u32> {
    let at = if head.first() == Some(&1) { 20 } else { 12 };
    head.get(at..)?.first_chunk().map(|ticks| u32::from_be_bytes(*ticks)).filter(|ticks| *ticks > 0)
}

fn track_id(trak: &Bytes) -> Option<u32> {
    let header = at(trak, &[b"tkhd"])?;
    // Two times of 32 bits, or of 64 in version 1, stand before it.
    let at = if header.first() == Some(&1) { 20 } else { 12 };
    header.get(at..)?.first_chunk().map(|id| u32::from_be_bytes(*id))
}

/// Boxes in a row. Ends at one that is longer than what is left.
struct Boxes {
    rest: Bytes,
}

impl Iterator for Boxes {
    type Item = ([u8; 4], Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        let size = self.rest.try_get_u32().ok()?;
        let kind = *self.rest.first_chunk()?;
        self.rest.advance(4);
        let length = match size {
            0 => self.rest.len(),
            1 => usize::try_from(self.rest.try_get_u64().ok()?).ok()?.checked_sub(16)?,
            size => usize::try_from(size).ok()?.checked_sub(8)?,
        };
        (length <= self.rest.len()).then(|| (kind, self.rest.split_to(length)))
    }
}

/// A box, for tests.
#[cfg(test)]
pub(crate) fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}
