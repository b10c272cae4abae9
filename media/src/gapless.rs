//! What an encoder put before and behind the sound of an MP4, which is not to be heard: by its edit list (ISO 14496-12
//! §8.6.6), or by what iTunes writes.

use bytes::{Buf, Bytes};

use crate::boxes;

/// The part of a track that is its sound, in frames of its sampling rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Frames to leave out at the start.
    pub(crate) skip: u64,
    /// Frames behind those, if they are known.
    pub(crate) frames: Option<u64>,
}

/// What is to be heard of a track that is decoded to `rate`; `None` where nothing says so.
pub(crate) fn heard(file: &Bytes, track: u32, rate: u32) -> Option<Heard> {
    by_edits(file, track, rate).filter(|heard| heard.skip > 0).or_else(|| by_itunes(file, track, rate))
}

/// Of one edit. What is cut together of several pieces is heard whole.
fn by_edits(file: &Bytes, track: u32, rate: u32) -> Option<Heard> {
    let movie = boxes::timescale(&boxes::at(file, &[b"moov", b"mvhd"])?)?;
    let trak = boxes::track(file, track)?;
    let media = boxes::timescale(&boxes::at(&trak, &[b"mdia", b"mdhd"])?)?;
    let mut list = boxes::at(&trak, &[b"edts", b"elst"])?;
    let is_long = list.try_get_u32().ok()? >> 24 == 1;
    let count = list.try_get_u32().ok()?;
    let mut found = None;
    for _ in 0..count.min(8) {
        let (length, start) = match is_long {
            true => (list.try_get_u64().ok()?, list.try_get_i64().ok()?),
            false => (list.try_get_u32().ok()?.into(), list.try_get_i32().ok()?.into()),
        };
        list.try_get_u32().ok()?;
        // An edit without media is silence before it.
        let Ok(start) = u64::try_from(start) else { continue };
        if found.replace((length, start)).is_some() {
            return None;
        }
    }
    let (length, start) = found?;
    let frames = Some(scaled(length, rate, movie)).filter(|frames| *frames > 0);
    Some(Heard { skip: scaled(start, rate, media), frames })
}

/// `iTunSMPB`: numbers in hexadecimal, the second is the delay, the fourth the frames.
fn by_itunes(file: &Bytes, track: u32, rate: u32) -> Option<Heard> {
    let tags = boxes::at(file, &[b"moov", b"udta", b"meta"])?;
    let text = tags.get(memchr::memmem::find(&tags, b"iTunSMPB")?..)?;
    let text = text.get(memchr::memmem::find(text.get(..64)?, b"data")? + 12..)?;
    let text = String::from_utf8_lossy(text.get(..text.len().min(64))?);
    let mut numbers = text.split_ascii_whitespace().map(|number| u64::from_str_radix(number, 16));
    let (_, delay, _, frames) = (numbers.next()?, numbers.next()?, numbers.next()?, numbers.next()?);
    let media = boxes::timescale(&boxes::at(&boxes::track(file, track)?, &[b"mdia", b"mdhd"])?)?;
    let frames = frames.ok().filter(|frames| *frames > 0);
    Some(Heard {
        skip: scaled(delay.ok()?, rate, media),
        frames: frames.map(|frames| scaled(frames, rate, media)),
    })
}

fn scaled(ticks: u64, rate: u32, timescale: u32) -> u64 {
    let frames = u128::from(ticks) * u128::from(rate) / u128::from(timescale.max(1));
    u64::try_from(frames).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boxes::boxed;

    fn head(kind: &[u8; 4], timescale: u32) -> Vec<u8> {
        boxed(kind, &[&[0; 12][..], &timescale.to_be_bytes(), &[0; 8]].concat())
    }

    fn file(edits: &[(u32, i32)], tags: &[u8]) -> Bytes {
        let mut list = (edits.len() as u64).to_be_bytes().to_vec();
        for (length, start) in edits {
            list.extend([&length.to_be_bytes()[..], &start.to_be_bytes(), &[0, 1, 0, 0]].concat());
        }
        let tkhd = boxed(b"tkhd", &[&[0; 15][..], &[1]].concat());
        let edits = boxed(b"edts", &boxed(b"elst", &list));
        let trak = boxed(b"trak", &[tkhd, edits, boxed(b"mdia", &head(b"mdhd", 44_100))].concat());
        let meta = boxed(b"udta", &boxed(b"meta", tags));
        boxed(b"moov", &[head(b"mvhd", 1000), trak, meta].concat()).into()
    }

    #[test]
    fn one_edit_says_where_the_sound_begins_and_how_long_it_is() {
        let heard = |edits: &[(u32, i32)]| super::heard(&file(edits, b""), 1, 44_100);
        assert_eq!(heard(&[(3000, 1024)]), Some(Heard { skip: 1024, frames: Some(132_300) }));
        assert_eq!(heard(&[(500, -1), (3000, 1024)]), Some(Heard { skip: 1024, frames: Some(132_300) }));
        assert_eq!(heard(&[(0, 1024)]), Some(Heard { skip: 1024, frames: None }));
        assert_eq!(heard(&[(1000, 0), (1000, 5000)]), None);
        assert_eq!(heard(&[]), None);
        // A decoder that doubles the rate (SBR).
        let doubled = super::heard(&file(&[(3000, 1024)], b""), 1, 88_200);
        assert_eq!(doubled, Some(Heard { skip: 2048, frames: Some(264_600) }));
    }

    #[test]
    fn without_an_edit_what_itunes_wrote_says_so() {
        let text = b" 00000000 00000840 000001CA 00000000000204CC 00000000 00000000";
        let tags = [&b"....name....iTunSMPB"[..], b"\0\0\0\x5cdata\0\0\0\x01\0\0\0\0", text].concat();
        let heard = super::heard(&file(&[(3000, 0)], &tags), 1, 44_100);
        assert_eq!(heard, Some(Heard { skip: 0x840, frames: Some(132_300) }));
    }

    #[test]
    fn a_file_cut_anywhere_comes_to_no_harm() {
        let whole = file(&[(3000, 1024)], b"iTunSMPB data");
        for end in 0..whole.len() {
            let _ = heard(&whole.slice(..end), 1, 44_100);
        }
    }
}
