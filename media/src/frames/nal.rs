//! NAL units of H.264 in MP4 (ISO 14496-15).

use bytes::{Buf, Bytes};

/// The NAL units of one sample, each behind its length of `length_octets` octets (1 to 4). Ends at the first that is
/// longer than what is left.
pub fn nal_units(sample: Bytes, length_octets: usize) -> impl Iterator<Item = Bytes> + Send {
    let mut rest = sample;
    std::iter::from_fn(move || {
        loop {
            let length = rest.get(..length_octets.clamp(1, 4))?;
            let length = length.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
            rest.advance(length_octets.clamp(1, 4));
            if length > rest.len() {
                return None;
            }
            let unit = rest.split_to(length);
            if !unit.is_empty() {
                return Some(unit);
            }
        }
    })
}

/// An AVCDecoderConfigurationRecord: octets of a length, and the parameter sets (ISO 14496-15 §5.3.3.1).
pub(super) fn configuration(record: &[u8]) -> Option<(usize, Vec<Bytes>)> {
    let mut rest = record.get(4..)?;
    let length_octets = usize::from(rest.first()? & 3) + 1;
    let mut sets = Vec::new();
    rest = rest.get(1..)?;
    // Five bits count the SPS, eight the PPS.
    for mask in [0x1f, 0xff] {
        let count = *rest.first()? & mask;
        rest = rest.get(1..)?;
        for _ in 0..count {
            let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
            sets.push(Bytes::copy_from_slice(rest.get(2..2 + length)?));
            rest = rest.get(2 + length..)?;
        }
    }
    Some((length_octets, sets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_behind_their_lengths() {
        let sample = Bytes::from_static(b"\0\x02ab\0\0\0\x01c\0\x09x");
        let units: Vec<Bytes> = nal_units(sample, 2).collect();
        assert_eq!(units, ["ab", "c"]);
    }

    #[test]
    fn a_record_that_ends_early_is_none() {
        let record = b"\x01\x42\x00\x1e\xff\xe1\0\x02ab\x01\0\x01c";
        assert_eq!(configuration(record), Some((4, vec!["ab".into(), "c".into()])));
        for end in 0..record.len() {
            assert_eq!(configuration(&record[..end]), None);
        }
    }
}
