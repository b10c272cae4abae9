//! MPEG program streams (ISO 11172-1, 13818-1) and bare MPEG video.

use bytes::{Bytes, BytesMut};

use super::mpeg_audio::{self, Head};
use super::{Coding, Stream, mpeg_video};
use crate::error::DecodeError;

/// The pictures, and the sound if it is MPEG audio.
pub(super) fn streams(octets: &Bytes) -> Result<Vec<Stream>, DecodeError> {
    let (video, audio) = if octets.starts_with(b"\0\0\x01\xba") {
        (elementary(octets, 0xe0..=0xef), elementary(octets, 0xc0..=0xdf))
    } else {
        (octets.clone(), Bytes::new())
    };
    let mut streams = Vec::new();
    if !video.is_empty() {
        streams.push(mpeg_video::stream(video)?);
    }
    if Head::read(&audio).is_some() {
        streams.push(mpeg_audio::stream(audio)?);
    }
    if streams.iter().all(|stream| stream.coding != Coding::Mpv && stream.coding != Coding::Mpa) {
        return Err(DecodeError::Broken("neither pictures nor sound are in it"));
    }
    Ok(streams)
}

/// The octets of the first stream whose id is among `ids`, packet heads taken off. Never more than there are.
fn elementary(octets: &Bytes, ids: std::ops::RangeInclusive<u8>) -> Bytes {
    let mut found = BytesMut::new();
    let mut chosen = None;
    let mut rest: &[u8] = octets;
    while let Some(at) = memchr::memmem::find(rest, b"\0\0\x01") {
        let Some([id, a, b, body @ ..]) = rest.get(at + 3..) else { break };
        if *id < 0xbc {
            // A pack header: its length is in no field, the next start code is looked for.
            rest = rest.get(at + 4..).unwrap_or_default();
            continue;
        }
        let length = usize::from(u16::from_be_bytes([*a, *b]));
        let (packet, behind) = body.split_at_checked(length).unwrap_or((body, &[]));
        if ids.contains(id) && *chosen.get_or_insert(*id) == *id {
            found.extend_from_slice(payload(packet));
        }
        rest = behind;
    }
    found.freeze()
}

/// What stands behind the head of a packet (MPEG-2: ISO 13818-1 §2.4.3.6; MPEG-1: ISO 11172-1 §2.4.3.3).
fn payload(packet: &[u8]) -> &[u8] {
    if let [first, _, length, rest @ ..] = packet
        && first >> 6 == 2
    {
        return rest.get(usize::from(*length)..).unwrap_or_default();
    }
    // Stuffing, then a buffer size, then times.
    let stuffed = packet.iter().take_while(|octet| **octet == 0xff).count();
    let mut rest = packet.get(stuffed..).unwrap_or_default();
    if rest.first().is_some_and(|octet| octet >> 6 == 1) {
        rest = rest.get(2..).unwrap_or_default();
    }
    let times = match rest.first().map(|octet| octet >> 4) {
        Some(2) => 5,
        Some(3) => 10,
        _ => 1,
    };
    rest.get(times..).unwrap_or_default()
}
