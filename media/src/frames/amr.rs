//! AMR from its storage form (RFC 4867 §5).

use bytes::{Buf, Bytes};

use super::{Coding, Frame, Stream};
use crate::error::DecodeError;
use crate::kind::Kind;

/// Octets of speech by frame type, narrowband (RFC 4867 §5.3, TS 26.101 annex A).
const NARROW: [Option<usize>; 16] = [
    Some(12),
    Some(13),
    Some(15),
    Some(17),
    Some(19),
    Some(20),
    Some(26),
    Some(31),
    Some(5),
    Some(6),
    Some(5),
    Some(5),
    None,
    None,
    None,
    Some(0),
];

/// Wideband (TS 26.201 annex A).
const WIDE: [Option<usize>; 16] = [
    Some(17),
    Some(23),
    Some(32),
    Some(36),
    Some(40),
    Some(46),
    Some(50),
    Some(58),
    Some(60),
    Some(5),
    None,
    None,
    None,
    None,
    Some(0),
    Some(0),
];

/// 20 ms.
const FRAMES_A_SECOND: u32 = 50;

/// The one stream. The magic may be missing, as old phones left it out; then all the rest must be frames.
pub(super) fn stream(mut octets: Bytes, kind: Kind) -> Result<Stream, DecodeError> {
    let (magic, coding, clock, sizes): (&[u8], _, _, _) = match kind {
        Kind::AmrWb => (b"#!AMR-WB\n", Coding::AmrWb, 16_000, &WIDE),
        _ => (b"#!AMR\n", Coding::Amr, 8000, &NARROW),
    };
    let has_magic = octets.starts_with(magic);
    if has_magic {
        octets.advance(magic.len());
    } else if octets.starts_with(b"#!AMR") {
        return Err(DecodeError::Unsupported("AMR of several channels"));
    }
    let split = Split { rest: octets, sizes, ticks: clock / FRAMES_A_SECOND, timestamp: 0 };
    if !has_magic && !split.clone().runs_out() {
        return Err(DecodeError::Broken("it does not begin like AMR and is none"));
    }
    Ok(Stream::sound(coding, clock, 1, Box::new(split)))
}

#[derive(Clone)]
struct Split {
    rest: Bytes,
    sizes: &'static [Option<usize>; 16],
    ticks: u32,
    timestamp: u64,
}

impl Split {
    /// Whether it is frames to the last octet, their padding zero as every writer must make it.
    fn runs_out(&mut self) -> bool {
        let is_frame = |frame: Result<Frame, DecodeError>| {
            frame.is_ok_and(|frame| frame.octets.first().is_some_and(|head| head & 3 == 0))
        };
        self.all(is_frame) && self.rest.is_empty()
    }
}

impl Iterator for Split {
    type Item = Result<Frame, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let head = *self.rest.first()?;
        // F is never set in storage; the padding bits are not looked at (RFC 4867 §5.3).
        let kind = usize::from(head >> 3 & 0x0f);
        let size = self.sizes.get(kind).copied().flatten().filter(|_| head & 0x80 == 0);
        let Some(size) = size else {
            self.rest.clear();
            return Some(Err(DecodeError::Broken("a frame of AMR of no kind there is")));
        };
        if self.rest.len() <= size {
            // Cut in the middle of a frame: it ends before it.
            return None;
        }
        let frame = Frame::whole(self.rest.split_to(size + 1), self.timestamp, self.ticks);
        self.timestamp += u64::from(self.ticks);
        Some(Ok(frame))
    }
}
