//! Reports of a sender (RFC 3550 §6): SR, SDES with a CNAME, BYE.

/// What a sender report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// Who sends.
    pub ssrc: u32,
    /// Seconds and 2^-32 seconds since 1900.
    pub ntp: u64,
    /// The timestamp of that moment.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Octets of their payloads.
    pub octets: u32,
    /// The name all streams of a call have, at most 255 octets.
    pub cname: &'a str,
    /// Whether this is the last one.
    pub bye: bool,
}

const SR: u8 = 200;
const SDES: u8 = 202;
const BYE: u8 = 203;
const CNAME: u8 = 1;

impl Report<'_> {
    /// The compound packet.
    pub fn write(&self) -> Vec<u8> {
        let mut packet = Vec::with_capacity(96);
        let mut body = Vec::with_capacity(64);
        body.extend_from_slice(&self.ssrc.to_be_bytes());
        body.extend_from_slice(&self.ntp.to_be_bytes());
        for number in [self.timestamp, self.packets, self.octets] {
            body.extend_from_slice(&number.to_be_bytes());
        }
        section(&mut packet, 0, SR, &body);
        body.clear();
        body.extend_from_slice(&self.ssrc.to_be_bytes());
        let cname = self.cname.as_bytes().get(..255).unwrap_or(self.cname.as_bytes());
        body.push(CNAME);
        body.push(u8::try_from(cname.len()).unwrap_or_default());
        body.extend_from_slice(cname);
        // A list of items ends with at least one zero.
        body.push(0);
        section(&mut packet, 1, SDES, &body);
        if self.bye {
            section(&mut packet, 1, BYE, &self.ssrc.to_be_bytes());
        }
        packet
    }
}

fn section(packet: &mut Vec<u8>, count: u8, kind: u8, body: &[u8]) {
    let words = u16::try_from(body.len().div_ceil(4)).unwrap_or_default();
    packet.push(0x80 | count);
    packet.push(kind);
    packet.extend_from_slice(&words.to_be_bytes());
    packet.extend_from_slice(body);
    packet.resize(packet.len().next_multiple_of(4), 0);
}

/// Whether a packet that came is RTCP, where both share a port (RFC 5761 §4).
pub fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [first, kind, ..] if first >> 6 == 2 && (192..=223).contains(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: Report<'_> = Report {
        ssrc: 0x0102_0304,
        ntp: 0x0506_0708_090a_0b0c,
        timestamp: 1,
        packets: 2,
        octets: 3,
        cname: "annc",
        bye: false,
    };

    #[test]
    fn a_report_is_a_compound_of_whole_words() {
        let packet = REPORT.write();
        assert_eq!(
            packet,
            [
                0x80, 200, 0, 6, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0,
                3, //
                0x81, 202, 0, 3, 1, 2, 3, 4, 1, 4, b'a', b'n', b'n', b'c', 0, 0,
            ]
        );
        assert!(is_rtcp(&packet));
    }

    #[test]
    fn the_last_one_says_good_bye() {
        let packet = Report { bye: true, ..REPORT }.write();
        assert!(packet.ends_with(&[0x81, 203, 0, 1, 1, 2, 3, 4]));
        assert_eq!(packet.len() % 4, 0);
    }

    #[test]
    fn rtp_is_no_rtcp() {
        assert!(!is_rtcp(&[0x80, 0, 0, 1]));
        assert!(!is_rtcp(&[0x80, 0x80 | 96]));
        assert!(!is_rtcp(&[0]));
    }
}
