//! MPEG-1 and MPEG-2 video cut at its slices (RFC 2250 §3).

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::{Coding, Frame, Stream};
use crate::error::DecodeError;

const CLOCK: u32 = 90_000;

const PICTURE: u8 = 0x00;
const SEQUENCE: u8 = 0xb3;
const SEQUENCE_END: u8 = 0xb7;
const GROUP: u8 = 0xb8;

/// The one stream of an elementary stream of pictures.
pub(super) fn stream(mut octets: Bytes) -> Result<Stream, DecodeError> {
    let start = memchr::memmem::find(&octets, b"\0\0\x01\xb3");
    octets.advance(start.ok_or(DecodeError::Broken("no pictures are in it"))?);
    let head = octets.get(4..8).and_then(|head| head.first_chunk::<4>());
    let &[a, b, c, rate] = head.ok_or(DecodeError::Broken("its sequence header ends early"))?;
    let width = u32::from(a) << 4 | u32::from(b >> 4);
    let height = u32::from(b & 0x0f) << 8 | u32::from(c);
    let period = period(rate & 0x0f).ok_or(DecodeError::Broken("pictures at no rate there is"))?;
    let pictures =
        Pictures { rest: octets, period, group: 0, shown: 0, units: VecDeque::new(), head: [0; 4] };
    Ok(Stream {
        coding: Coding::Mpv,
        clock: CLOCK,
        channels: 0,
        pixels: Some([width, height]),
        setup: Vec::new(),
        frames: Box::new(pictures),
    })
}

/// Ticks from picture to picture as a fraction, by frame_rate_code (ISO 11172-2 §2.4.3.2).
fn period(code: u8) -> Option<[u64; 2]> {
    let [pictures, seconds] =
        *[[24_000, 1001], [24, 1], [25, 1], [30_000, 1001], [30, 1], [50, 1], [60_000, 1001], [60, 1]]
            .get(usize::from(code.checked_sub(1)?))?;
    Some([u64::from(CLOCK) * seconds, pictures])
}

struct Pictures {
    rest: Bytes,
    period: [u64; 2],
    /// Pictures shown before this group began: temporal references count from there.
    group: u64,
    /// Pictures of this group so far.
    shown: u64,
    units: VecDeque<Frame>,
    head: [u8; 4],
}

impl Pictures {
    /// Reads one picture: everything up to where the next one, or the headers before it, begin.
    fn advance(&mut self) -> Option<()> {
        let (end, slices) = extent(&self.rest);
        let mut picture = self.rest.split_to(end);
        let first = *slices.first()?;
        let has_sequence = self.read_heads(picture.get(..first).unwrap_or_default())?;
        let timestamp = self.ticks(self.group + u64::from(self.temporal_reference()));
        let duration = u32::try_from(self.ticks(1)).unwrap_or(0);
        let count = slices.len();
        let mut cut = 0;
        for (at, _) in slices.iter().enumerate() {
            let next = slices.get(at + 1).copied().unwrap_or(end);
            let octets = picture.split_to((next - cut).min(picture.len()));
            cut = next;
            let [zero, reference, flags, vectors] = self.head;
            let sequence = if at == 0 && has_sequence { 0x20 } else { 0 };
            // B and E: a slice whole.
            let head = Some([zero, reference, flags | sequence | 0x18, vectors]);
            let last = at + 1 == count;
            let duration = if last { duration } else { 0 };
            self.units.push_back(Frame { octets, timestamp, duration, last, head });
        }
        Some(())
    }

    /// The header for RTP from the picture's own (ISO 11172-2 §2.4.2.5); whether a sequence header is before it.
    fn read_heads(&mut self, heads: &[u8]) -> Option<bool> {
        let mut has_sequence = false;
        let mut rest = heads;
        while let Some(at) = memchr::memmem::find(rest, b"\0\0\x01") {
            let body = rest.get(at + 4..).unwrap_or_default();
            match *rest.get(at + 3)? {
                SEQUENCE => has_sequence = true,
                GROUP => {
                    self.group += self.shown;
                    self.shown = 0;
                }
                PICTURE => self.read_picture(body)?,
                _ => {}
            }
            rest = body;
        }
        self.shown += 1;
        Some(has_sequence)
    }

    fn read_picture(&mut self, body: &[u8]) -> Option<()> {
        let mut bits = [0; 8];
        let head = body.get(..body.len().min(8))?;
        bits.get_mut(..head.len())?.copy_from_slice(head);
        let bits = u64::from_be_bytes(bits);
        let field = |from: u32, count: u32| bits << from >> (64 - count);
        // 10 bits of temporal reference, 3 of the kind, 16 of delay, then vectors: full_pel, f_code, twice.
        let (reference, kind) = (field(0, 10), field(10, 3));
        let forward = if matches!(kind, 2 | 3) { field(29, 4) } else { 0 };
        let backward = if kind == 3 { field(33, 4) } else { 0 };
        let octet = |value: u64| u8::try_from(value & 0xff).unwrap_or(0);
        self.head = [octet(reference >> 8), octet(reference), octet(kind), octet(backward << 4 | forward)];
        Some(())
    }

    fn temporal_reference(&self) -> u16 {
        let [high, low, ..] = self.head;
        u16::from_be_bytes([high & 3, low])
    }

    fn ticks(&self, pictures: u64) -> u64 {
        let [numerator, denominator] = self.period;
        pictures * numerator / denominator
    }
}

/// Where the first picture of these octets ends, and where its slices begin.
fn extent(octets: &[u8]) -> (usize, Vec<usize>) {
    let mut slices = Vec::new();
    for at in memchr::memmem::find_iter(octets, b"\0\0\x01") {
        match octets.get(at + 3) {
            Some(0x01..=0xaf) => slices.push(at),
            Some(&(PICTURE | SEQUENCE | GROUP)) if !slices.is_empty() => return (at, slices),
            Some(&SEQUENCE_END) if !slices.is_empty() => {
                // It belongs to the picture before it.
                return ((at + 4).min(octets.len()), slices);
            }
            _ => {}
        }
    }
    (octets.len(), slices)
}

impl Iterator for Pictures {
    type Item = Result<Frame, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.units.is_empty() && !self.rest.is_empty() {
            self.advance()?;
        }
        self.units.pop_front().map(Ok)
    }
}
