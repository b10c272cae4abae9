//! G.711 cut into frames.

use bytes::Bytes;

use super::{Coding, Frame, Stream};
use crate::error::DecodeError;
use crate::kind::Kind;
use crate::raw::{Raw, Sample};

const RATE: u32 = 8000;

/// The one stream of a clip in mu-law or A-law at 8 kHz with one channel; none of another.
pub(super) fn streams(
    octets: Bytes,
    kind: Kind,
    media_type: &str,
    millis: u32,
) -> Result<Vec<Stream>, DecodeError> {
    let raw = match kind {
        Kind::Wav => wav(&octets),
        _ => Some(Raw::open(octets, kind, media_type)?),
    };
    let Some(raw) = raw.filter(|raw| raw.rate == RATE && raw.channels == 1) else { return Ok(Vec::new()) };
    let coding = match raw.sample {
        Sample::Mulaw => Coding::Pcmu,
        Sample::Alaw => Coding::Pcma,
        _ => return Ok(Vec::new()),
    };
    let ticks = RATE / 1000 * millis.clamp(10, 200);
    let cut = Cut { rest: raw.octets, coding, ticks, timestamp: 0 };
    Ok(vec![Stream::sound(coding, RATE, 1, Box::new(cut))])
}

/// The samples of a WAV file in one of the laws (format tags 6 and 7).
fn wav(octets: &Bytes) -> Option<Raw> {
    let mut at = 12;
    let mut format = None;
    loop {
        let head: &[u8; 8] = octets.get(at..)?.first_chunk()?;
        let [a, b, c, d, size @ ..] = *head;
        let size = usize::try_from(u32::from_le_bytes(size)).ok()?;
        at += 8;
        match &[a, b, c, d] {
            b"fmt " => {
                let [tag, more, channels, _, r0, r1, r2, r3] = *octets.get(at..)?.first_chunk::<8>()?;
                let sample = match (tag, more) {
                    (6, 0) => Sample::Alaw,
                    (7, 0) => Sample::Mulaw,
                    _ => return None,
                };
                format = Some((sample, u32::from_le_bytes([r0, r1, r2, r3]), u16::from(channels)));
            }
            b"data" => {
                let (sample, rate, channels) = format?;
                let end = at.saturating_add(size).min(octets.len());
                return Some(Raw { octets: octets.slice(at..end), sample, rate, channels });
            }
            _ => {}
        }
        // Chunks begin at even places.
        at = at.checked_add(size)?.checked_add(size & 1)?;
    }
}

struct Cut {
    rest: Bytes,
    coding: Coding,
    ticks: u32,
    timestamp: u64,
}

impl Iterator for Cut {
    type Item = Result<Frame, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let whole = self.ticks as usize;
        let octets = if self.rest.len() >= whole {
            self.rest.split_to(whole)
        } else {
            // The last one is filled up with silence.
            let silence = if self.coding == Coding::Pcmu { 0xff } else { 0xd5 };
            let mut last = self.rest.split_off(0).to_vec();
            last.resize(whole, silence);
            last.into()
        };
        let frame = Frame::whole(octets, self.timestamp, self.ticks);
        self.timestamp += u64::from(self.ticks);
        Some(Ok(frame))
    }
}
