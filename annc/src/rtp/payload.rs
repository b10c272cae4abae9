//! Frames of media as the payloads of packets, one payload format each.

use bytes::Bytes;
use media::Frame;

use super::track::Packet;
use crate::form::Form;

/// Octets of one payload: what fits the path of everybody with the heads of IPv6, UDP, RTP and a tag.
const MOST: usize = 1200;

/// Speech bits of the frames of AMR and AMR-WB, by frame type (RFC 4867 §3.6).
const AMR: [usize; 9] = [95, 103, 118, 134, 148, 159, 204, 244, 39];
const AMR_WB: [usize; 10] = [132, 177, 253, 285, 317, 365, 397, 461, 477, 40];

/// Makes packets of the frames of one stream.
#[derive(Debug)]
pub struct Packetizer {
    form: Form,
    /// AMR: whether fields begin at octets.
    is_octet_aligned: bool,
    is_first: bool,
}

impl Packetizer {
    /// For a form with these `a=fmtp` parameters.
    pub fn new(form: Form, fmtp: Option<&str>) -> Packetizer {
        let fmtp = fmtp.unwrap_or_default();
        let is_octet_aligned = fmtp.split(';').any(|pair| pair.trim().eq_ignore_ascii_case("octet-align=1"));
        Packetizer { form, is_octet_aligned, is_first: true }
    }

    /// The packets of a frame.
    pub fn push(&mut self, frame: &Frame, packets: &mut Vec<Packet>) {
        let before = packets.len();
        let octets = &frame.octets;
        let mut put = |payload: Bytes| packets.push(Packet { at: frame.timestamp, marker: false, payload });
        match self.form {
            Form::Pcmu | Form::Pcma | Form::G722 | Form::Opus => put(octets.clone()),
            Form::Amr | Form::AmrWb => {
                if let Some(payload) = self.amr(octets) {
                    put(payload);
                }
            }
            Form::Mpa => pieces(octets, MOST - 4).for_each(|(at, piece, _)| {
                // RFC 2250 §3.5: two octets of nothing, then where in its frame the piece begins.
                let [high, low] = u16::try_from(at).unwrap_or_default().to_be_bytes();
                put(joined(&[0, 0, high, low], &piece));
            }),
            Form::Mpv => pieces(octets, MOST - 4).for_each(|(at, piece, is_last)| {
                let mut head = frame.head.unwrap_or_default();
                if let Some(bits) = head.get_mut(2) {
                    // S and B are of the first piece, E is of the last.
                    *bits &= if at == 0 { 0xff } else { !0x30 };
                    *bits &= if is_last { 0xff } else { !0x08 };
                }
                put(joined(&head, &piece));
            }),
            Form::Vp8 => pieces(octets, MOST - 1).for_each(|(at, piece, _)| {
                // RFC 7741 §4.2: S where the first partition begins, nothing else.
                put(joined(&[if at == 0 { 0x10 } else { 0 }], &piece));
            }),
            Form::H264 => h264(octets, put),
        }
        let sent = packets.get_mut(before..).unwrap_or_default();
        if self.form.is_video() {
            if let Some(last) = sent.last_mut() {
                last.marker = frame.last;
            }
        } else if let Some(first) = sent.first_mut() {
            // RFC 3551 §4.1: the first packet behind silence.
            first.marker = self.is_first;
        }
        self.is_first &= sent.is_empty();
    }

    /// One frame of the storage form as a payload of one frame: no wish for another mode (RFC 4867 §4.3, §4.4).
    fn amr(&self, frame: &Bytes) -> Option<Bytes> {
        let (&head, speech) = frame.split_first()?;
        if self.is_octet_aligned {
            return Some(joined(&[0xf0, head & 0x7c], speech));
        }
        let kind = usize::from(head >> 3 & 15);
        let table: &[usize] = if self.form == Form::Amr { &AMR } else { &AMR_WB };
        let bits = table.get(kind).copied().unwrap_or(0);
        // 1111, 0, four bits of the type, one of quality: the speech begins at the eleventh bit.
        let begin = 0xf000 | u16::from(head >> 3 & 15) << 7 | u16::from(head >> 2 & 1) << 6;
        let mut payload = begin.to_be_bytes().to_vec();
        for &octet in speech {
            if let Some(last) = payload.last_mut() {
                *last |= octet >> 2;
            }
            payload.push(octet << 6);
        }
        payload.truncate((10 + bits).div_ceil(8).max(2));
        Some(payload.into())
    }
}

/// Single NAL units, and fragments of those that are too long (RFC 6184 §5.6, §5.8).
fn h264(unit: &Bytes, mut put: impl FnMut(Bytes)) {
    let Some((&head, rest)) = unit.split_first() else { return };
    if unit.len() <= MOST {
        return put(unit.clone());
    }
    let rest = unit.slice_ref(rest);
    pieces(&rest, MOST - 2).for_each(|(at, piece, is_last)| {
        let start = if at == 0 { 0x80 } else { 0 };
        let end = if is_last { 0x40 } else { 0 };
        put(joined(&[head & 0xe0 | 28, head & 0x1f | start | end], &piece));
    });
}

/// Pieces of at most that length, with where each begins and whether it is the last.
fn pieces(octets: &Bytes, most: usize) -> impl Iterator<Item = (usize, Bytes, bool)> {
    let length = octets.len();
    (0..length).step_by(most).map(move |at| {
        let end = (at + most).min(length);
        (at, octets.slice(at..end), end == length)
    })
}

fn joined(head: &[u8], rest: &[u8]) -> Bytes {
    [head, rest].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(octets: Vec<u8>, head: Option<[u8; 4]>) -> Frame {
        Frame { octets: octets.into(), timestamp: 90, duration: 10, last: true, head }
    }

    fn packets(form: Form, fmtp: Option<&str>, frame: &Frame) -> Vec<Packet> {
        let mut packets = Vec::new();
        Packetizer::new(form, fmtp).push(frame, &mut packets);
        assert!(packets.iter().all(|packet| packet.at == 90 && packet.payload.len() <= MOST));
        packets
    }

    #[test]
    fn sound_passes_and_its_first_packet_is_marked() {
        let (mut out, mut packetizer) = (Vec::new(), Packetizer::new(Form::Pcmu, None));
        packetizer.push(&frame(vec![1, 2], None), &mut out);
        packetizer.push(&frame(vec![3], None), &mut out);
        assert_eq!(out.iter().map(|packet| packet.marker).collect::<Vec<_>>(), [true, false]);
        assert_eq!(&out[0].payload[..], [1, 2]);
    }

    #[test]
    fn a_frame_of_amr_with_and_without_octets() {
        // 12.2 kbit/s: type 7, quality 1, 244 bits in 31 octets.
        let stored = frame([&[0x3c][..], &[0xff; 31]].concat(), None);
        let aligned = packets(Form::Amr, Some("mode-set=7; octet-align=1"), &stored);
        assert_eq!(aligned[0].payload[..3], [0xf0, 0x3c, 0xff]);
        assert_eq!(aligned[0].payload.len(), 33);
        let packed = packets(Form::Amr, None, &stored);
        // 1111 0 0111 1, then ones.
        assert_eq!(packed[0].payload[..2], [0b1111_0011, 0b1111_1111]);
        assert_eq!(packed[0].payload.len(), 32, "254 bits");
    }

    #[test]
    fn mpeg_audio_has_its_offset_before_each_piece() {
        let long = packets(Form::Mpa, None, &frame(vec![7; 1300], None));
        assert_eq!(long.len(), 2);
        assert_eq!(
            (&long[0].payload[..5], &long[1].payload[..5]),
            (&[0, 0, 0, 0, 7][..], &[0, 0, 4, 0xac, 7][..])
        );
    }

    #[test]
    fn the_bits_of_mpeg_video_are_of_the_pieces_they_belong_to() {
        let long = packets(Form::Mpv, None, &frame(vec![7; 2400], Some([0, 0, 0x38, 0])));
        let bits: Vec<u8> = long.iter().map(|packet| packet.payload[2]).collect();
        assert_eq!(bits, [0x30, 0, 0x08]);
        assert_eq!(long.iter().map(|packet| packet.marker).collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn vp8_marks_where_a_frame_begins_and_ends() {
        let long = packets(Form::Vp8, None, &frame(vec![7; 1300], None));
        assert_eq!((long[0].payload[0], long[1].payload[0]), (0x10, 0));
        assert_eq!((long[0].marker, long[1].marker), (false, true));
    }

    #[test]
    fn a_long_nal_unit_is_fragmented_and_a_short_one_is_not() {
        let unit = |length| frame([&[0x65][..], &vec![7; length]].concat(), None);
        assert_eq!(&packets(Form::H264, None, &unit(3))[0].payload[..], [0x65, 7, 7, 7]);
        let long = packets(Form::H264, None, &unit(3000));
        let heads: Vec<_> = long.iter().map(|packet| [packet.payload[0], packet.payload[1]]).collect();
        assert_eq!(heads, [[0x7c, 0x85], [0x7c, 0x05], [0x7c, 0x45]]);
        assert_eq!(long.iter().map(|packet| packet.payload.len() - 2).sum::<usize>(), 3000);
    }

    #[test]
    fn an_empty_frame_is_no_packet_of_what_has_a_head() {
        for form in [Form::H264, Form::Vp8, Form::Mpv, Form::Mpa, Form::Amr] {
            assert!(packets(form, None, &frame(Vec::new(), None)).is_empty(), "{form:?}");
        }
    }
}
