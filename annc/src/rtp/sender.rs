//! One stream as it is sent, without a socket and without a clock: what is due when, and its octets.

use std::sync::Arc;
use std::time::Duration;

use super::packet::{HEAD, Head};
use super::rtcp::Report;
use super::srtp::Protector;
use super::track::{Packet, Track};

/// Reports are so far apart on average, and half to one and a half of it by chance (RFC 3550 §6.3.1).
const REPORTS: Duration = Duration::from_secs(5);

/// Seconds from 1900 to 1970.
const NTP: u64 = 2_208_988_800;

/// How a track is played.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What.
    pub track: Arc<Track>,
    /// How often; `None`: until somebody ends it.
    pub times: Option<u32>,
    /// Between repetitions.
    pub delay: Duration,
    /// After which it ends in any case.
    pub limit: Duration,
    /// Of its packets.
    pub payload_type: u8,
    /// The name all streams of the call have.
    pub cname: Arc<str>,
}

/// A stream. Times are from its beginning.
pub struct Sender {
    plan: Plan,
    protector: Option<Protector>,
    ssrc: u32,
    sequence: u16,
    /// The timestamp at the beginning.
    base: u32,
    /// The packet that is due next.
    at: usize,
    /// Times it was played.
    played: u32,
    /// When this time began.
    begun: Duration,
    /// How long it was held altogether: a track goes on where it was.
    shift: Duration,
    next_report: Duration,
    dice: u64,
    packets: u32,
    octets: u32,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("packets", &self.packets)
            .field("octets", &self.octets)
            .finish_non_exhaustive()
    }
}

impl Sender {
    /// A stream at its beginning. `random` makes its SSRC, its first sequence number and timestamp, which nobody may
    /// guess (RFC 3550 §5.1).
    pub fn new(plan: Plan, protector: Option<Protector>, random: [u8; 16]) -> Sender {
        let [_, _, _, _, e, f, g, h, _, _, dice @ ..] = random;
        let dice = dice.iter().fold(1, |dice: u64, octet| dice << 8 | u64::from(*octet));
        let (ssrc, sequence) = source(random);
        let mut sender = Sender {
            plan,
            protector,
            ssrc,
            sequence,
            base: u32::from_be_bytes([e, f, g, h]),
            at: 0,
            played: 0,
            begun: Duration::ZERO,
            shift: Duration::ZERO,
            next_report: Duration::ZERO,
            dice,
            packets: 0,
            octets: 0,
        };
        // The first report comes soon, so that both streams of a film are in step (RFC 3550 §6.2).
        sender.next_report = sender.pause() / 2;
        sender
    }

    /// When the next packet is due; `None`: there is none.
    pub fn due(&self) -> Option<Duration> {
        let packet = self.plan.track.packets.get(self.at)?;
        let due = self.begun + self.shift + self.time(packet.at);
        (due < self.plan.limit + self.shift).then_some(due)
    }

    /// When it is over: the end of the last packet's sound, or the limit.
    pub fn end(&self) -> Duration {
        let end = self.begun + self.time(self.plan.track.ticks);
        end.min(self.plan.limit) + self.shift
    }

    /// When the next report is due.
    pub const fn report_due(&self) -> Duration {
        self.next_report
    }

    /// It was held for so long.
    pub fn held(&mut self, long: Duration) {
        self.shift += long;
    }

    /// Its packets have another payload type from now on.
    pub const fn renumber(&mut self, payload_type: u8) {
        self.plan.payload_type = payload_type;
    }

    /// Goes on under other keys, as another source: RFC 3711 §3.3.1 has the rollover counter outlive a key, RFC 4568
    /// §7.1.4 has it begin at zero with one; that of a new SSRC, whose numbers begin in the lower half, is zero for
    /// everybody (RFC 4568 §6.4). `random` is as in [`Sender::new`].
    pub fn rekey(&mut self, protector: Protector, random: [u8; 16]) {
        self.protector = Some(protector);
        (self.ssrc, self.sequence) = source(random);
        // RFC 3550 §6.4.1: the counts are of the source.
        (self.packets, self.octets) = (0, 0);
    }

    /// Writes the packet that is due next into `out`; says how many octets of payload it has.
    pub fn write(&mut self, out: &mut Vec<u8>) -> Option<usize> {
        let Packet { at, marker, payload } = self.plan.track.packets.get(self.at)?;
        let is_first = self.at == 0;
        let head = Head {
            payload_type: self.plan.payload_type,
            // A repetition begins behind silence, too.
            marker: *marker || (is_first && self.played > 0),
            sequence: self.sequence,
            timestamp: self.stamp(self.begun).wrapping_add(low(*at)),
            ssrc: self.ssrc,
        };
        head.write(payload, out);
        let octets = payload.len();
        if let Some(protector) = &mut self.protector
            && protector.rtp(out).is_err()
        {
            // A key that is used up ends the stream.
            self.at = usize::MAX;
            return None;
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(u32::try_from(octets).unwrap_or_default());
        self.at += 1;
        if self.at >= self.plan.track.packets.len() {
            self.again();
        }
        Some(octets)
    }

    /// Writes a report about now; `wall` is the time since 1970. The last one says good-bye.
    pub fn report(&mut self, now: Duration, wall: Duration, bye: bool, out: &mut Vec<u8>) {
        self.next_report = now + self.pause();
        let fraction = (u64::from(wall.subsec_nanos()) << 32) / 1_000_000_000;
        let report = Report {
            ssrc: self.ssrc,
            ntp: (wall.as_secs().wrapping_add(NTP)) << 32 | fraction,
            timestamp: self.stamp(now.saturating_sub(self.shift)),
            packets: self.packets,
            octets: self.octets,
            cname: &self.plan.cname,
            bye,
        };
        *out = report.write();
        if let Some(protector) = &mut self.protector
            && protector.rtcp(out).is_err()
        {
            out.clear();
        }
    }

    /// The longest packet there will be.
    pub fn longest(&self) -> usize {
        let payload = self.plan.track.packets.iter().map(|packet| packet.payload.len()).max();
        payload.unwrap_or_default() + HEAD + 16
    }

    fn again(&mut self) {
        self.played = self.played.saturating_add(1);
        if self.plan.times.is_some_and(|times| self.played >= times) || self.plan.track.ticks == 0 {
            return;
        }
        self.begun += self.time(self.plan.track.ticks) + self.plan.delay;
        self.at = 0;
    }

    fn time(&self, ticks: u64) -> Duration {
        let clock = u64::from(self.plan.track.clock.max(1));
        let nanos = (ticks % clock) * 1_000_000_000 / clock;
        Duration::new(ticks / clock, u32::try_from(nanos).unwrap_or_default())
    }

    /// The timestamp of a time that was not shifted.
    fn stamp(&self, time: Duration) -> u32 {
        let clock = u128::from(self.plan.track.clock);
        let ticks = time.as_nanos() * clock / 1_000_000_000;
        self.base.wrapping_add(low(u64::try_from(ticks & u128::from(u64::MAX)).unwrap_or_default()))
    }

    /// xorshift: reports of many streams must not keep step, that is all.
    fn pause(&mut self) -> Duration {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let thousandths = u32::try_from(self.dice % 1000).unwrap_or_default();
        REPORTS / 2 + REPORTS * thousandths / 1000
    }
}

/// An SSRC and its first sequence number: below half, so that the first rollover is far off and both ends of SRTP agree
/// on it (RFC 3711 §3.3.1).
const fn source([a, b, c, d, _, _, _, _, i, j, ..]: [u8; 16]) -> (u32, u16) {
    (u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([i, j]) >> 1)
}

#[expect(clippy::cast_possible_truncation, reason = "timestamps begin again at 2^32")]
const fn low(ticks: u64) -> u32 {
    ticks as u32
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn plan(times: Option<u32>) -> Plan {
        let packet = |at| Packet { at, marker: at == 0, payload: Bytes::from_static(&[7; 160]) };
        let track = Track {
            clock: 8000,
            packets: vec![packet(0), packet(160), packet(320)],
            ticks: 480,
            sets: Vec::new(),
        };
        let limit = Duration::from_secs(60);
        Plan { track: track.into(), times, delay: 100 * MS, limit, payload_type: 0, cname: "c".into() }
    }

    /// When each packet leaves, its sequence number, its timestamp and its marker, all from the first on.
    fn played(sender: &mut Sender, most: usize) -> Vec<(u128, u16, u32, bool)> {
        let mut first = None;
        let mut all = Vec::new();
        while let Some(due) = sender.due().filter(|_| all.len() < most) {
            let mut packet = Vec::new();
            sender.write(&mut packet).unwrap();
            let sequence = u16::from_be_bytes([packet[2], packet[3]]);
            let stamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
            let (zero, begin) = *first.get_or_insert((sequence, stamp));
            let marker = packet[1] & 0x80 != 0;
            all.push((due.as_millis(), sequence.wrapping_sub(zero), stamp.wrapping_sub(begin), marker));
        }
        all
    }

    #[test]
    fn packets_leave_when_they_are_due_with_timestamps_that_say_so() {
        let mut sender = Sender::new(plan(Some(1)), None, [0xff; 16]);
        assert_eq!(played(&mut sender, 9), [(0, 0, 0, true), (20, 1, 160, false), (40, 2, 320, false)]);
        assert_eq!(sender.end(), 60 * MS);
    }

    #[test]
    fn a_repetition_comes_after_the_delay_and_is_marked() {
        let mut sender = Sender::new(plan(Some(2)), None, [9; 16]);
        let all = played(&mut sender, 9);
        assert_eq!(all[3..], [(160, 3, 1280, true), (180, 4, 1440, false), (200, 5, 1600, false)]);
        assert_eq!(sender.end(), 220 * MS);
        let mut forever = Sender::new(plan(None), None, [9; 16]);
        assert_eq!(played(&mut forever, 100_000).len(), 60_000 / 160 * 3, "up to the limit");
        assert_eq!(forever.end(), Duration::from_secs(60));
    }

    #[test]
    fn what_was_held_goes_on_where_it_was() {
        let mut sender = Sender::new(plan(Some(1)), None, [9; 16]);
        played(&mut sender, 1);
        sender.held(1000 * MS);
        assert_eq!(played(&mut sender, 9).first().map(|sent| sent.0), Some(1020));
        assert_eq!(sender.end(), 1060 * MS);
    }

    #[test]
    fn the_limit_cuts() {
        let plan = Plan { limit: 30 * MS, ..plan(Some(1)) };
        let mut sender = Sender::new(plan, None, [9; 16]);
        assert_eq!(played(&mut sender, 9).len(), 2);
        assert_eq!(sender.end(), 30 * MS);
    }

    #[test]
    fn a_report_counts_what_was_sent_and_maps_the_clocks() {
        let mut sender = Sender::new(plan(Some(1)), None, [0; 16]);
        played(&mut sender, 9);
        let mut report = Vec::new();
        sender.report(Duration::from_secs(2), Duration::from_millis(500), true, &mut report);
        let number = |at: usize| u32::from_be_bytes(*report[at..].first_chunk().unwrap());
        assert_eq!((u64::from(number(8)), number(12)), (NTP, 1 << 31));
        assert_eq!((number(16), number(20), number(24)), (16_000, 3, 480));
        let due = sender.report_due();
        assert!(due >= Duration::from_millis(4500) && due < Duration::from_millis(9500), "{due:?}");
    }

    #[test]
    fn a_track_without_packets_is_over_at_once() {
        let track = Track { clock: 8000, packets: Vec::new(), ticks: 0, sets: Vec::new() };
        let mut sender = Sender::new(Plan { track: track.into(), ..plan(None) }, None, [9; 16]);
        assert_eq!((sender.due(), sender.end()), (None, Duration::ZERO));
        assert_eq!(sender.write(&mut Vec::new()), None);
    }
}
