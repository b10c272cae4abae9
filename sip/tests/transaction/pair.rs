//! Two tables against each other over a network with latency and loss; time jumps to the next deadline or
//! arrival.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sip::transaction::{Event, Id, Sending, Settings, Table, Timers};
use sip::{Encoded, Message, Method, RequestBuilder, Response, ResponseBuilder};

use crate::simulated::origin;

/// The two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Client,
    Server,
}

struct World {
    now: Instant,
    client: Table<End, usize>,
    server: Table<End, ()>,
    /// Milliseconds on the way, and how many of a hundred are lost.
    network: (std::ops::Range<u64>, u64),
    /// Of a hundred messages, those that arrive twice.
    doubled: u64,
    /// Of a hundred steps, those before which both ends stand still for up to 1.5 seconds. With the latency
    /// that stays below T4, the longest a copy may live (RFC 3261 §17.1.2.2).
    jumps: u64,
    dice: u64,
    under_way: BTreeMap<(Instant, usize), (End, Encoded)>,
    sent: usize,
    /// What the server's user does with a request: status and how long it takes.
    answer: (u16, Duration),
    pending: BTreeMap<(Instant, usize), (Id, Encoded)>,
    /// What the users saw.
    requests: Vec<String>,
    outcomes: BTreeMap<usize, Vec<u16>>,
    timeouts: usize,
    cancelled: usize,
    acks: usize,
}

impl World {
    fn new(latency_ms: std::ops::Range<u64>, lost: u64, answer: (u16, Duration)) -> Self {
        let settings = Settings { timers: Timers::default(), transactions: 10_000, retry_after: 1 };
        Self {
            now: origin(),
            client: Table::new(settings),
            server: Table::new(settings),
            network: (latency_ms, lost),
            doubled: 0,
            jumps: 0,
            dice: 0x9e37_79b9_7f4a_7c15,
            under_way: BTreeMap::new(),
            sent: 0,
            answer,
            pending: BTreeMap::new(),
            requests: Vec::new(),
            outcomes: BTreeMap::new(),
            timeouts: 0,
            cancelled: 0,
            acks: 0,
        }
    }

    /// xorshift: the same world every time.
    fn roll(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice
    }

    fn request(&mut self, method: Method<'_>, number: usize) -> Id {
        let branch = sip::transaction::branch(0, 1, u64::try_from(number).unwrap(), None);
        let mut outgoing = RequestBuilder::new(method, "sip:bob@example.com")
            .from("<sip:a@h>;tag=1")
            .to("<sip:bob@example.com>")
            .call_id(format!("{number}@h"))
            .cseq(1)
            .build();
        outgoing.push_via(format!("SIP/2.0/UDP h;branch={branch}"));
        let (octets, peer) = (outgoing.encode(), End::Server);
        let sending =
            Sending { method: method.as_bytes(), branch: branch.as_bytes(), octets, peer, reliable: false };
        let id = self.client.request(self.now, sending, Some(number)).unwrap();
        self.settle();
        id
    }

    fn send(&mut self, to: End, octets: Encoded) {
        let (latency, lost) = self.network.clone();
        let copies = if self.doubled > 0 && self.roll() % 100 < self.doubled { 2 } else { 1 };
        for _ in 0..copies {
            self.sent += 1;
            if self.roll() % 100 < lost {
                continue;
            }
            let delay = latency.start + self.roll() % (latency.end - latency.start);
            let arrives = self.now + Duration::from_millis(delay);
            self.under_way.insert((arrives, self.sent), (to, octets.clone()));
        }
    }

    fn settle(&mut self) {
        while let Some(event) = self.client.poll() {
            match event {
                Event::Send { octets, peer, .. } => self.send(peer, octets),
                Event::Response { id, response } => self.note(id, &response),
                Event::Expired { .. } => self.timeouts += 1,
                // A copy that came after its transaction had ended is stray, and no user hears of it.
                Event::Ended { .. } | Event::Stray { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        while let Some(event) = self.server.poll() {
            match event {
                Event::Send { octets, peer, .. } => self.send(peer, octets),
                Event::Request { id, request } => {
                    self.requests.push(String::from_utf8_lossy(request.call_id()).into_owned());
                    let (status, after) = self.answer;
                    let octets = ResponseBuilder::to_request(&request, status, "Answer").encode();
                    self.pending.insert((self.now + after, self.requests.len()), (id, octets));
                }
                Event::Cancelled { id } => {
                    self.cancelled += 1;
                    let (_, (_, octets)) = self.pending.pop_first().unwrap();
                    let text =
                        String::from_utf8(octets.head.to_vec()).unwrap().replace("486 Answer", "487 Gone");
                    self.server
                        .respond(self.now, id, Encoded { head: text.into(), body: octets.body })
                        .unwrap();
                }
                Event::Ack { .. } => self.acks += 1,
                Event::Ended { .. } => {}
                Event::Expired { .. } => self.timeouts += 1,
                other => panic!("{other:?}"),
            }
        }
    }

    fn note(&mut self, id: Id, response: &Response) {
        // The CANCEL's own transaction has no user.
        if let Some(&number) = self.client.user(id) {
            self.outcomes.entry(number).or_default().push(response.status());
        }
    }

    /// Jumps to whatever comes next; false when nothing does.
    fn step(&mut self) -> bool {
        let next = [
            self.client.deadline(),
            self.server.deadline(),
            self.under_way.keys().next().map(|(at, _)| *at),
            self.pending.keys().next().map(|(at, _)| *at),
        ];
        let Some(next) = next.into_iter().flatten().min() else { return false };
        self.now = self.now.max(next);
        if self.jumps > 0 && self.roll() % 100 < self.jumps {
            let jump = self.roll() % 1500;
            self.now += Duration::from_millis(jump);
        }
        self.client.on_timeout(self.now);
        self.server.on_timeout(self.now);
        self.settle();
        while let Some((&key, _)) = self.under_way.first_key_value().filter(|((at, _), _)| *at <= self.now) {
            let (to, octets) = self.under_way.remove(&key).unwrap();
            self.arrive(to, &octets);
        }
        while let Some((&key, _)) = self.pending.first_key_value().filter(|((at, _), _)| *at <= self.now) {
            let (id, octets) = self.pending.remove(&key).unwrap();
            // The transaction may be over: then the answer is late, and dropped.
            let _late = self.server.respond(self.now, id, octets);
            self.settle();
        }
        true
    }

    fn arrive(&mut self, to: End, octets: &Encoded) {
        let limits = sip::Limits::default();
        let sip::Framed::Message(raw) = sip::frame::datagram(octets.to_bytes(), &limits).unwrap() else {
            panic!("no message")
        };
        match (to, sip::validate(raw, &limits).unwrap()) {
            (End::Server, Message::Request(request)) => {
                self.server.on_request(self.now, request, End::Client, false);
            }
            (End::Client, Message::Response(response)) => self.client.on_response(self.now, response),
            (to, message) => panic!("{message:?} at {to:?}"),
        }
        self.settle();
    }

    fn run(&mut self) {
        while self.step() {}
    }
}

const NO_TIME: Duration = Duration::ZERO;

#[test]
fn without_loss_a_round_is_one_request_and_one_response() {
    let mut world = World::new(10..20, 0, (200, NO_TIME));
    world.request(Method::Message, 1);
    world.run();
    assert_eq!((world.sent, world.outcomes[&1].as_slice()), (2, &[200][..]));
    assert!(world.client.is_empty() && world.server.is_empty());
}

#[test]
fn a_thousand_messages_through_thirty_percent_loss_are_each_seen_once() {
    let mut world = World::new(5..400, 30, (200, Duration::from_millis(50)));
    for number in 0..1000 {
        world.request(Method::Message, number);
    }
    world.run();
    world.requests.sort();
    let seen = world.requests.len();
    world.requests.dedup();
    assert_eq!(world.requests.len(), seen, "a repetition reached the user");
    assert_eq!(seen, 1000);
    assert!(world.outcomes.values().all(|statuses| statuses == &[200]));
    assert_eq!(world.outcomes.len() + world.timeouts, 1000);
    assert!(world.client.is_empty() && world.server.is_empty(), "every transaction ends");
}

#[test]
fn repeated_reordered_and_late_datagrams_reach_no_user_twice() {
    for seed in 1..=30 {
        for (method, status) in [(Method::Message, 200), (Method::Invite, 486)] {
            let mut world = World::new(1..900, 20, (status, Duration::from_millis(100)));
            world.dice = world.dice.wrapping_mul(seed) | 1;
            (world.doubled, world.jumps) = (40, 3);
            for number in 0..40 {
                world.request(method, number);
            }
            world.run();
            world.requests.sort();
            let seen = world.requests.len();
            world.requests.dedup();
            assert_eq!(world.requests.len(), seen, "seed {seed}: a repetition reached the user");
            let finals = |statuses: &Vec<u16>| statuses.iter().filter(|status| **status >= 200).count();
            assert!(world.outcomes.values().all(|statuses| finals(statuses) <= 1), "seed {seed}");
            assert!(world.outcomes.values().flatten().all(|s| *s == 100 || *s == status), "seed {seed}");
            assert!(world.client.is_empty() && world.server.is_empty(), "every transaction ends");
        }
    }
}

#[test]
fn refused_invites_are_acked_through_loss_and_repeat_no_more() {
    let mut world = World::new(5..400, 30, (486, Duration::from_millis(300)));
    for number in 0..300 {
        world.request(Method::Invite, number);
    }
    world.run();
    assert_eq!(world.requests.len(), 300);
    for statuses in world.outcomes.values() {
        assert_eq!(statuses.iter().filter(|&&status| status == 486).count(), 1);
        assert!(statuses.iter().all(|status| matches!(status, 100 | 486)));
    }
    assert_eq!(world.acks, 0, "an ACK for a failure is the transaction's own");
    assert!(world.client.is_empty() && world.server.is_empty());
}

#[test]
fn a_slow_message_gets_its_100_at_three_and_a_half_seconds_and_then_its_answer() {
    let mut world = World::new(1..2, 0, (200, Duration::from_secs(10)));
    world.request(Method::Message, 1);
    world.run();
    // Repetitions of the request at 3.5 and 7.5 s get the 100 again.
    assert_eq!(world.outcomes[&1], [100, 100, 100, 200]);
}

#[test]
fn a_user_slower_than_64_t1_sends_nothing_at_all() {
    let mut world = World::new(1..2, 0, (200, Duration::from_secs(33)));
    world.request(Method::Message, 1);
    world.run();
    // The 100 may be repeated, but nothing final comes; both ends gave up.
    assert!(world.outcomes[&1].iter().all(|&status| status == 100));
    assert_eq!(world.timeouts, 2);
    assert!(world.client.is_empty() && world.server.is_empty());
}

#[test]
fn a_dead_server_is_asked_eleven_times_in_32_seconds() {
    let mut world = World::new(1..2, 100, (200, NO_TIME));
    let start = world.now;
    world.request(Method::Message, 1);
    world.run();
    assert_eq!((world.sent, world.timeouts), (11, 1));
    assert_eq!(world.now - start, Duration::from_secs(32));
}

#[test]
fn a_cancel_travels_in_its_own_transaction_and_the_invite_ends_with_487() {
    let mut world = World::new(5..50, 20, (486, Duration::from_secs(60)));
    let id = world.request(Method::Invite, 1);
    while !world.outcomes.contains_key(&1) {
        assert!(world.step());
    }
    world.client.cancel(world.now, id);
    world.settle();
    world.run();
    assert_eq!(world.cancelled, 1);
    assert_eq!(world.outcomes[&1].last(), Some(&487));
    assert!(world.client.is_empty() && world.server.is_empty());
}
