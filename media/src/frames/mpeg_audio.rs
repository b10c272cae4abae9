//! Frames of MPEG audio, layers 1 to 3 (ISO 11172-3, 13818-3).

use bytes::{Buf, Bytes};

use super::{Coding, Frame, Stream};
use crate::error::DecodeError;

/// The clock of MPEG over RTP, whatever is sampled (RFC 2250 §3.3).
pub(super) const CLOCK: u32 = 90_000;

/// Octets that are passed over in search of a frame.
const MOST_SKIPPED: usize = 64 << 10;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) octets: usize,
    pub(super) samples: u32,
    pub(super) rate: u32,
    pub(super) channels: u16,
}

impl Head {
    /// That of the frame which these octets begin with.
    pub(super) fn read(octets: &[u8]) -> Option<Head> {
        let [0xff, second, third, fourth, ..] = *octets else { return None };
        // Versions: 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5. Layers: 3 is layer 1, 1 is layer 3.
        let (version, layer) = (second >> 3 & 3, second >> 1 & 3);
        if second & 0xe0 != 0xe0 || version == 1 || layer == 0 {
            return None;
        }
        let is_first = version == 3;
        let base = *[44_100, 48_000, 32_000].get(usize::from(third >> 2 & 3))?;
        let rate = match version {
            3 => base,
            2 => base / 2,
            _ => base / 4,
        };
        let bits = kilobits(is_first, layer, third >> 4)? * 1000;
        let padding = usize::from(third >> 1 & 1);
        let (samples, octets) = match (layer, is_first) {
            (3, _) => (384, (12 * bits / rate) as usize * 4 + padding * 4),
            (1, false) => (576, (72 * bits / rate) as usize + padding),
            _ => (1152, (144 * bits / rate) as usize + padding),
        };
        let channels = if fourth >> 6 == 3 { 1 } else { 2 };
        Some(Head { octets, samples, rate, channels })
    }
}

/// Bit rate by its index; the free format has none.
fn kilobits(is_first: bool, layer: u8, index: u8) -> Option<u32> {
    const V1L1: [u32; 14] = [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448];
    const V1L2: [u32; 14] = [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
    const V1L3: [u32; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const V2L1: [u32; 14] = [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256];
    const V2: [u32; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let table = match (is_first, layer) {
        (true, 3) => V1L1,
        (true, 2) => V1L2,
        (true, _) => V1L3,
        (false, 3) => V2L1,
        (false, _) => V2,
    };
    table.get(usize::from(index.checked_sub(1)?)).copied()
}

/// The one stream of a file: tags and the frame that only describes the file are left out.
pub(super) fn stream(mut octets: Bytes) -> Result<Stream, DecodeError> {
    skip_id3(&mut octets);
    let mut split = Split::new(octets);
    let head = split.seek().ok_or(DecodeError::Broken("no frame of MPEG audio is in it"))?;
    if is_description(split.rest.get(..head.octets).unwrap_or_default()) {
        split.rest.advance(head.octets.min(split.rest.len()));
    }
    Ok(Stream::sound(Coding::Mpa, CLOCK, head.channels, Box::new(split)))
}

/// Samples a second, by the first frame.
pub(super) fn rate(octets: &[u8]) -> Option<u32> {
    let mut octets = Bytes::copy_from_slice(octets.get(..octets.len().min(MOST_SKIPPED))?);
    skip_id3(&mut octets);
    Split::new(octets).seek().map(|head| head.rate)
}

/// ID3v2: its length is four times seven bits.
fn skip_id3(octets: &mut Bytes) {
    if let Some(b"ID3") = octets.get(..3)
        && let Some(&[a, b, c, d]) = octets.get(6..10).and_then(|size| size.first_chunk())
    {
        let size = [a, b, c, d].iter().fold(0, |size, octet| size << 7 | usize::from(octet & 0x7f));
        octets.advance((size + 10).min(octets.len()));
    }
}

/// Whether a frame holds a Xing, Info or VBRI table and no sound.
fn is_description(frame: &[u8]) -> bool {
    // 32 octets of side information at most, 2 of a checksum, behind 4 of the header.
    let start = frame.get(..48).unwrap_or(frame);
    [&b"Xing"[..], b"Info", b"VBRI"].iter().any(|name| memchr::memmem::find(start, name).is_some())
}

/// Splits frames off, and finds the next one behind what is none.
pub(super) struct Split {
    pub(super) rest: Bytes,
    /// Samples so far, of `rate`; timestamps come from their sum, so that no rounding adds up.
    samples: u64,
}

impl Split {
    pub(super) fn new(rest: Bytes) -> Split {
        Split { rest, samples: 0 }
    }

    /// Goes to the next frame: a header behind which there is another, or the end.
    fn seek(&mut self) -> Option<Head> {
        let mut at = 0;
        while at < MOST_SKIPPED {
            let octets = self.rest.get(at..)?;
            at += memchr::memchr(0xff, octets)?;
            let octets = self.rest.get(at..)?;
            if let Some(head) = Head::read(octets)
                && octets.get(head.octets..).is_some_and(|next| next.len() < 4 || Head::read(next).is_some())
            {
                self.rest.advance(at);
                return Some(head);
            }
            at += 1;
        }
        None
    }
}

impl Iterator for Split {
    type Item = Result<Frame, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let in_place = Head::read(&self.rest).filter(|head| head.octets <= self.rest.len());
        let head = in_place.or_else(|| self.seek())?;
        let ticks = |samples: u64| samples * u64::from(CLOCK) / u64::from(head.rate);
        let timestamp = ticks(self.samples);
        self.samples += u64::from(head.samples);
        let duration = u32::try_from(ticks(self.samples) - timestamp).unwrap_or(0);
        Some(Ok(Frame::whole(self.rest.split_to(head.octets.min(self.rest.len())), timestamp, duration)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_each_version_and_layer() {
        let head = |octets: [u8; 4]| Head::read(&octets).unwrap();
        assert_eq!(
            head([0xff, 0xfb, 0x90, 0x64]),
            Head { octets: 417, samples: 1152, rate: 44_100, channels: 2 }
        );
        assert_eq!(
            head([0xff, 0xfd, 0xe0, 0xc4]),
            Head { octets: 1253, samples: 1152, rate: 44_100, channels: 1 }
        );
        assert_eq!(
            head([0xff, 0xf3, 0x84, 0xc4]),
            Head { octets: 192, samples: 576, rate: 24_000, channels: 1 }
        );
        assert_eq!(Head::read(&[0xff, 0xfb, 0x00, 0x64]), None);
        assert_eq!(Head::read(&[0xff, 0xfb, 0xf0, 0x64]), None);
    }
}
