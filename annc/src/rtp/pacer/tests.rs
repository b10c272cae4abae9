use std::net::UdpSocket;

use bytes::Bytes;

use super::super::sender::Plan;
use super::super::track::{Packet, Track};
use super::*;
use crate::sdp::{Key, Suite};

const MS: Duration = Duration::from_millis(1);

/// A desk whose clock is the test's, one stream of it, and the phone's sockets.
struct World {
    desk: Desk,
    now: Instant,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    events: mpsc::Receiver<Event>,
    sockets: Arc<Sockets>,
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// Plays `packets` of 20 ms.
fn world(packets: u64, symmetric: bool, is_held: bool) -> World {
    let now = Instant::now();
    let mut desk = Desk::new(now);
    let (rtp, rtcp) = (socket(), socket());
    let (mut stage, events) = stage(packets, &rtp, &rtcp);
    (stage.symmetric, stage.is_held) = (symmetric, is_held);
    let sockets = Arc::clone(&stage.sockets);
    desk.take(Order::Play(1, Box::new(stage)), now);
    World { desk, now, rtp, rtcp, events, sockets }
}

fn stage(packets: u64, rtp: &UdpSocket, rtcp: &UdpSocket) -> (Stage, mpsc::Receiver<Event>) {
    let own = socket();
    let port = own.local_addr().unwrap().port();
    let sockets = Arc::new(Sockets { rtp: own, rtcp: socket(), port });
    let track = Track {
        clock: 8000,
        packets: (0..packets)
            .map(|n| Packet { at: n * 160, marker: false, payload: Bytes::from_static(&[7; 160]) })
            .collect(),
        ticks: packets * 160,
        sets: Vec::new(),
    };
    let limit = Duration::from_secs(3600);
    let plan =
        Plan { track: track.into(), times: Some(1), delay: MS, limit, payload_type: 0, cname: "c".into() };
    let (tell, events) = mpsc::channel(4);
    let stage = Stage {
        sender: Sender::new(plan, None, [1; 16]),
        sockets,
        rtp: rtp.local_addr().unwrap(),
        rtcp: rtcp.local_addr().unwrap(),
        peer: None,
        symmetric: false,
        is_held: false,
        patience: Duration::from_secs(30),
        events: tell,
    };
    (stage, events)
}

impl World {
    /// Lets the clock go on, millisecond by millisecond.
    fn wait(&mut self, long: Duration) {
        let end = self.now + long;
        while self.now < end {
            self.now += MS;
            self.desk.turn(self.now);
        }
    }

    fn change(&mut self, change: Change) {
        self.desk.take(Order::Change(1, Box::new(change)), self.now);
    }

    fn hold(&mut self, is_held: bool) {
        self.change(Change { is_held: Some(is_held), ..Change::default() });
    }

    fn received(&self) -> usize {
        let mut buffer = [0; 2000];
        std::iter::from_fn(|| self.rtp.recv(&mut buffer).ok()).count()
    }

    fn ended(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}

#[test]
fn packets_leave_at_their_time_and_the_end_is_told_after_the_last_sound() {
    let mut world = world(5, false, false);
    world.wait(5 * MS);
    assert_eq!(world.received(), 1);
    world.wait(19 * MS);
    assert_eq!(world.received(), 0);
    world.wait(MS);
    assert_eq!(world.received(), 1);
    world.wait(60 * MS);
    assert_eq!((world.received(), world.ended()), (3, None));
    world.wait(20 * MS);
    assert_eq!(world.ended(), Some(Event::Ended));
}

#[test]
fn a_stream_that_is_held_is_quiet_and_goes_on_where_it_was() {
    let mut world = world(5, false, true);
    world.wait(1000 * MS);
    assert_eq!(world.received(), 0);
    world.hold(false);
    world.wait(45 * MS);
    assert_eq!(world.received(), 3);
    world.hold(true);
    world.wait(1000 * MS);
    world.hold(false);
    world.wait(60 * MS);
    assert_eq!((world.received(), world.ended()), (2, Some(Event::Ended)));
}

#[test]
fn one_that_is_given_up_has_ended_and_that_is_told_once() {
    let mut given_up = world(5, false, false);
    given_up.wait(30 * MS);
    given_up.desk.take(Order::Stop(1), given_up.now);
    assert_eq!((given_up.ended(), given_up.ended()), (Some(Event::Ended), None));
    let mut played = world(1, false, false);
    played.wait(100 * MS);
    assert_eq!(played.ended(), Some(Event::Ended));
    played.desk.take(Order::Stop(1), played.now);
    assert_eq!(played.ended(), None);
}

#[test]
fn one_that_was_heard_and_is_silent_is_told() {
    let mut world = world(100_000, false, false);
    let own = world.sockets.rtcp.local_addr().unwrap();
    world.rtcp.send_to(&[0x80, 201, 0, 1, 0, 0, 0, 1], own).unwrap();
    world.wait(Duration::from_secs(29));
    assert_eq!(world.ended(), None);
    world.rtcp.send_to(&[0x80, 201, 0, 1, 0, 0, 0, 1], own).unwrap();
    world.wait(Duration::from_secs(29));
    assert_eq!(world.ended(), None);
    world.wait(Duration::from_secs(2));
    assert_eq!(world.ended(), Some(Event::Silent));
}

#[test]
fn one_that_never_said_anything_is_not_silent() {
    let mut world = world(100_000, false, false);
    world.wait(Duration::from_secs(120));
    assert_eq!(world.ended(), None);
}

#[test]
fn a_port_that_nobody_has_open_any_more_is_told() {
    let mut world = world(100_000, false, false);
    world.wait(Duration::from_secs(1));
    world.rtp = socket();
    world.wait(Duration::from_secs(28));
    assert_eq!(world.ended(), None);
    world.wait(Duration::from_secs(4));
    assert_eq!(world.ended(), Some(Event::Silent));
}

#[test]
fn a_stream_that_is_symmetric_follows_who_sends_first_and_nobody_after() {
    let mut world = world(1000, true, false);
    world.wait(25 * MS);
    assert_eq!(world.received(), 2);
    let (behind_nat, intruder) = (socket(), socket());
    let own = world.sockets.rtp.local_addr().unwrap();
    behind_nat.send_to(&[0x80, 0, 0, 1], own).unwrap();
    world.wait(20 * MS);
    intruder.send_to(&[0x80, 0, 0, 1], own).unwrap();
    world.wait(100 * MS);
    world.rtp = behind_nat;
    assert_eq!(world.received(), 5);
    world.rtp = intruder;
    assert_eq!(world.received(), 0);
}

#[test]
fn what_is_far_too_late_is_not_sent_all_at_once() {
    let mut world = world(1000, false, false);
    world.wait(45 * MS);
    world.received();
    world.now += Duration::from_secs(10);
    world.desk.turn(world.now);
    assert_eq!(world.received(), 1);
    world.wait(40 * MS);
    assert_eq!(world.received(), 2);
}

#[test]
fn reports_come_and_the_last_one_says_good_bye() {
    let mut world = world(1000, false, false);
    world.wait(Duration::from_secs(5));
    let mut buffer = [0; 200];
    let length = world.rtcp.recv(&mut buffer).unwrap();
    assert_eq!(buffer[1], 200);
    assert!(!buffer[..length].windows(2).any(|at| at == [0x81, 203]));
    world.desk.take(Order::Stop(1), world.now);
    let last = std::iter::from_fn(|| world.rtcp.recv(&mut buffer).ok()).last().unwrap();
    assert_eq!(buffer[last - 8..last - 4], [0x81, 203, 0, 1]);
    world.wait(Duration::from_secs(1));
    assert!(world.desk.streams.is_empty() && world.desk.wheel.soonest().is_none());
}

/// All that a stream needs is in its order: nothing is decoded, fetched or waited for between two turns of the hand.
#[test]
fn no_stream_is_late_because_others_begin_and_end() {
    let mut world = world(1000, false, false);
    let (rtp, rtcp) = (socket(), socket());
    let count = |socket: &UdpSocket| std::iter::from_fn(|| socket.recv(&mut [0; 500]).ok()).count();
    for at in 0..200u64 {
        // One begins at every millisecond, and every other ends soon after.
        let (stage, _events) = stage(3, &rtp, &rtcp);
        world.desk.take(Order::Play(at + 2, Box::new(stage)), world.now);
        if at % 2 == 1 {
            world.desk.take(Order::Stop(at + 1), world.now);
        }
        world.now += MS;
        world.desk.turn(world.now);
        let millis = at + 1;
        let is_due = millis >= 5 && (millis - 5) % 20 == 0;
        assert_eq!(world.received(), usize::from(is_due), "at {millis} ms");
        // The others begin at the next five milliseconds: those of the last five, half of which were ended.
        let begun = count(&rtp);
        assert_eq!(begun > 0, millis >= 5 && millis % 5 == 0, "at {millis} ms: {begun}");
    }
}

#[test]
fn a_phone_on_hold_without_an_address_is_sent_no_report() {
    let mut world = world(1000, false, true);
    let port = world.rtcp.local_addr().unwrap().port();
    // Sent there, it would come to this machine.
    let nowhere = SocketAddr::new([0, 0, 0, 0].into(), port);
    let rtp = world.rtp.local_addr().unwrap();
    world.change(Change { to: Some((rtp, nowhere)), ..Change::default() });
    world.wait(Duration::from_secs(20));
    world.desk.take(Order::Stop(1), world.now);
    assert!(world.rtcp.recv(&mut [0; 200]).is_err());
}

#[test]
fn the_silence_of_a_phone_on_hold_counts_from_when_it_is_let_go_on() {
    let mut world = world(100_000, false, false);
    let own = world.sockets.rtcp.local_addr().unwrap();
    world.rtcp.send_to(&[0x80, 201, 0, 1, 0, 0, 0, 1], own).unwrap();
    world.wait(Duration::from_secs(2));
    world.hold(true);
    world.wait(Duration::from_secs(60));
    world.hold(false);
    world.wait(Duration::from_secs(29));
    assert_eq!(world.ended(), None);
    world.wait(Duration::from_secs(2));
    assert_eq!(world.ended(), Some(Event::Silent));
}

fn key(octet: u8) -> Key {
    Key { tag: 1, suite: Suite::Sha1_80, secret: [octet; 30] }
}

/// A report of the phone's, signed.
fn report(key: &Key) -> Vec<u8> {
    let mut report = vec![0x80, 201, 0, 1, 0, 0, 0, 1];
    Protector::new(key).rtcp(&mut report).unwrap();
    report
}

#[test]
fn a_phone_that_changed_its_key_is_heard_under_the_new_one_alone() {
    let mut world = world(100_000, false, false);
    let own = world.sockets.rtcp.local_addr().unwrap();
    world.change(Change { peer: Some(Protector::new(&key(1))), ..Change::default() });
    let heard = |world: &mut World, by: u8| {
        world.rtcp.send_to(&report(&key(by)), own).unwrap();
        world.wait(Duration::from_secs(29));
        world.ended()
    };
    assert_eq!(heard(&mut world, 1), None);
    world.change(Change { peer: Some(Protector::new(&key(2))), ..Change::default() });
    assert_eq!(heard(&mut world, 2), None);
    assert_eq!(heard(&mut world, 1), Some(Event::Silent));
}

#[test]
fn under_new_keys_it_is_another_source_whose_counts_begin_anew() {
    let mut world = world(1000, false, false);
    world.wait(45 * MS);
    assert_eq!(world.received(), 3);
    let own = Some((Protector::new(&key(1)), [0xfe; 16]));
    world.change(Change { own, ..Change::default() });
    world.wait(20 * MS);
    let mut buffer = [0; 500];
    let length = world.rtp.recv(&mut buffer).unwrap();
    // The first number is in the lower half (RFC 4568 §6.4); its rollover counter is zero.
    assert_eq!((&buffer[2..4], &buffer[8..12]), (&[0x7f, 0x7f][..], &[0xfe; 4][..]));
    let mut expected = [&buffer[..12], &[7; 160]].concat();
    Protector::new(&key(1)).rtp(&mut expected).unwrap();
    assert_eq!(&buffer[..length], expected);
}
