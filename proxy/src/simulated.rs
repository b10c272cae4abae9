//! A sender, this proxy and phones over a network that delays, reorders, repeats and loses, under a clock that
//! jumps: the transaction tables of `sip` and the course of each request, without sockets and the same for the
//! same seed. What must hold whatever the network does stands in [`World::check`].

use std::collections::BTreeMap;
use std::time::Duration;

use sip::transaction::{Event, Id, Sending, Settings, Table, Timers};
use sip::{Encoded, Message, Method, Outgoing, Request, RequestBuilder, Response, ResponseBuilder};
use tokio::time::Instant;

use crate::context::{Best, Ending, Final, Step};
use crate::course::Course;
use crate::search::Branch;

const PACE: Duration = Duration::from_secs(4);

/// Who is at an end of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Sender,
    Proxy,
    Phone(usize),
}

/// What a phone does with a request.
#[derive(Clone, Copy, Debug)]
enum Phone {
    /// Answers so, after so many milliseconds.
    Answers(u16, u64),
    /// Nothing reaches it.
    Dead,
}

/// What the network does.
#[derive(Clone, Copy, Debug, Default)]
struct Network {
    /// Milliseconds on the way, at most. More than a little reorders.
    latency: u64,
    /// Of a hundred messages.
    lost: u64,
    /// Of a hundred messages, those that arrive twice.
    doubled: u64,
    /// Of a hundred steps, those before which everything stands still for up to three seconds.
    jumps: u64,
}

impl Final for Response {
    fn status(&self) -> u16 {
        Response::status(self)
    }
}

enum User {
    Server(usize),
    Client(usize, Branch),
}

/// A request in the proxy.
struct Passing {
    request: Request,
    server: Id,
    course: Option<Course<usize, Response>>,
    /// Running branches and the breadth each has.
    running: BTreeMap<Branch, (Id, u32)>,
    cancelled: bool,
}

struct World {
    now: Instant,
    network: Network,
    dice: u64,
    sender: Table<At, usize>,
    proxy: Table<At, User>,
    phones: Vec<(Phone, Table<At, ()>)>,
    /// The contacts of whom requests are for: groups of terminals of phones.
    groups: Vec<Vec<Vec<usize>>>,
    passing: BTreeMap<usize, Passing>,
    branches: u64,
    under_way: BTreeMap<(Instant, usize), (At, Encoded)>,
    sent: usize,
    /// Answers that phones still think about.
    thinking: BTreeMap<(Instant, usize), (usize, Id, Encoded)>,
    ringing: BTreeMap<(usize, usize), (Id, Request)>,
    /// What the sender's user was told, by request.
    outcomes: BTreeMap<usize, Vec<u16>>,
    /// What phones' users got: phone, request and the branch.
    delivered: Vec<(usize, usize, String)>,
    /// When.
    delivered_at: Vec<Instant>,
}

impl World {
    fn new(seed: u64, network: Network, phones: &[Phone], groups: Vec<Vec<Vec<usize>>>) -> World {
        let settings = Settings { timers: Timers::default(), transactions: 10_000, retry_after: 1 };
        World {
            now: Instant::now(),
            network,
            dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            sender: Table::new(settings),
            proxy: Table::new(settings),
            phones: phones.iter().map(|phone| (*phone, Table::new(settings))).collect(),
            groups,
            passing: BTreeMap::new(),
            branches: 0,
            under_way: BTreeMap::new(),
            sent: 0,
            thinking: BTreeMap::new(),
            ringing: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            delivered: Vec::new(),
            delivered_at: Vec::new(),
        }
    }

    /// xorshift: the same world every time.
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides
    }

    fn branch(&mut self) -> String {
        self.branches += 1;
        sip::transaction::branch(0, 1, self.branches, None)
    }

    fn send(&mut self, to: At, octets: &Encoded) {
        let copies = 1 + usize::from(self.roll(100) < self.network.doubled);
        for _ in 0..copies {
            if self.roll(100) < self.network.lost {
                continue;
            }
            let delay = Duration::from_millis(1 + self.roll(self.network.latency.max(1)));
            self.sent += 1;
            self.under_way.insert((self.now + delay, self.sent), (to, octets.clone()));
        }
    }

    /// A request of the sender.
    fn request(&mut self, method: Method<'_>, number: usize) -> Id {
        let branch = self.branch();
        let mut outgoing = RequestBuilder::new(method, "sip:john@example.com")
            .from("<sip:a@h>;tag=1")
            .to("<sip:john@example.com>")
            .call_id(format!("{number}"))
            .cseq(1)
            .build();
        outgoing.push_via(format!("SIP/2.0/UDP sender;branch={branch}"));
        let octets = outgoing.encode();
        let sending = Sending {
            method: method.as_bytes(),
            branch: branch.as_bytes(),
            octets,
            peer: At::Proxy,
            reliable: false,
        };
        let id = self.sender.request(self.now.into_std(), sending, Some(number)).unwrap();
        self.settle();
        id
    }

    /// Everybody does what they want until they want nothing.
    fn settle(&mut self) {
        loop {
            if let Some(event) = self.sender.poll() {
                self.at_sender(event);
            } else if let Some(event) = self.proxy.poll() {
                self.at_proxy(event);
            } else if let Some((at, event)) =
                (0..self.phones.len()).find_map(|at| self.phones[at].1.poll().map(|event| (at, event)))
            {
                self.at_phone(at, event);
            } else if !self.go_on() {
                return;
            }
        }
    }

    fn at_sender(&mut self, event: Event<At>) {
        match event {
            Event::Send { octets, peer, .. } => self.send(peer, &octets),
            Event::Response { id, response } => {
                if let Some(&number) = self.sender.user(id) {
                    self.outcomes.entry(number).or_default().push(response.status());
                }
            }
            Event::Expired { .. } | Event::Ended { .. } | Event::Stray { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn at_phone(&mut self, at: usize, event: Event<At>) {
        match event {
            Event::Send { octets, peer, .. } => self.send(peer, &octets),
            // One that matches no INVITE any more.
            Event::Request { id, request } if request.method() == Method::Cancel => {
                let octets = ResponseBuilder::to_request(&request, 481, "Nothing To Cancel").encode();
                self.phones[at].1.respond(self.now.into_std(), id, octets).unwrap();
            }
            Event::Request { id, request } => {
                let number = number_of(request.call_id());
                let branch = String::from_utf8(request.top_via().branch().unwrap().to_vec()).unwrap();
                self.delivered.push((at, number, branch));
                self.delivered_at.push(self.now);
                let Phone::Answers(status, after) = self.phones[at].0 else { panic!("it is dead") };
                if request.method() == Method::Invite {
                    let octets = ResponseBuilder::to_request(&request, 180, "Ringing").encode();
                    self.phones[at].1.respond(self.now.into_std(), id, octets).unwrap();
                    self.ringing.insert((at, number), (id, Request::clone(&request)));
                }
                let octets = ResponseBuilder::to_request(&request, status, "Answer").encode();
                // Nobody here sends the ACK of a 2xx, so it is repeated to the end (RFC 3261 §13.3.1.4).
                let again = request.method() == Method::Invite && status < 300;
                let times: &[u64] =
                    if again { &[0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500] } else { &[0] };
                for time in times {
                    let due = self.now + Duration::from_millis(after + time);
                    self.thinking.insert((due, self.delivered.len()), (at, id, octets.clone()));
                }
            }
            Event::Cancelled { id } => {
                let found =
                    self.ringing.iter().find(|((phone, _), (invite, _))| *phone == at && *invite == id);
                let request = found.map(|(_, (_, request))| request.clone()).unwrap();
                let octets = ResponseBuilder::to_request(&request, 487, "Request Terminated").encode();
                // It may have answered in this very moment.
                let _late = self.phones[at].1.respond(self.now.into_std(), id, octets);
            }
            Event::Expired { .. } | Event::Ended { .. } | Event::Ack { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn at_proxy(&mut self, event: Event<At>) {
        match event {
            Event::Send { octets, peer, .. } => self.send(peer, &octets),
            Event::Request { id, request } if request.method() == Method::Cancel => {
                let octets = ResponseBuilder::to_request(&request, 481, "Nothing To Cancel").encode();
                self.proxy.respond(self.now.into_std(), id, octets).unwrap();
            }
            Event::Request { id, request } => {
                let number = number_of(request.call_id());
                let invite = request.method() == Method::Invite;
                let course = Some(Course::new(invite, self.groups.clone(), 60, PACE));
                self.proxy.attach(id, User::Server(number));
                let (request, running) = (*request, BTreeMap::new());
                let new = Passing { request, server: id, course, running, cancelled: false };
                assert!(self.passing.insert(number, new).is_none(), "a repetition reached the proxy's user");
            }
            Event::Response { id, response } => {
                let Some(&User::Client(number, branch)) = self.proxy.user(id) else { return };
                if response.is_provisional() {
                    let passing = self.passing.get_mut(&number).unwrap();
                    let forwards = passing.course.as_mut().unwrap().heard(branch, response.status());
                    if forwards {
                        self.upstream(number, &response);
                    }
                } else {
                    self.ended(number, branch, Ending::Answered(*response));
                }
            }
            Event::Expired { id } => match self.proxy.user(id) {
                Some(&User::Server(number)) => self.give_up(number),
                Some(&User::Client(number, branch)) => self.ended(number, branch, Ending::TimedOut),
                None => {}
            },
            Event::Cancelled { id } => {
                let Some(&User::Server(number)) = self.proxy.user(id) else { panic!("a CANCEL of nothing") };
                self.passing.get_mut(&number).unwrap().cancelled = true;
                self.give_up(number);
                self.cancel(number);
            }
            Event::Ended { id } => {
                // An INVITE that got a 2xx may get more until now.
                self.passing.values_mut().for_each(|passing| passing.running.retain(|_, (of, _)| *of != id));
            }
            Event::Stray { .. } | Event::Ack { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn give_up(&mut self, number: usize) {
        if let Some(course) = self.passing.get_mut(&number).and_then(|passing| passing.course.as_mut()) {
            course.stop();
        }
    }

    fn cancel(&mut self, number: usize) {
        let running: Vec<Id> = self.passing[&number].running.values().map(|(id, _)| *id).collect();
        for id in running {
            self.proxy.cancel(self.now.into_std(), id);
        }
    }

    fn ended(&mut self, number: usize, branch: Branch, ending: Ending<Response>) {
        let passing = self.passing.get_mut(&number).unwrap();
        let invite = passing.request.method() == Method::Invite;
        let more = matches!(&ending, Ending::Answered(answer) if invite && answer.status() < 300);
        if !more {
            passing.running.remove(&branch);
        }
        let Some(course) = &mut passing.course else { return };
        match course.ended(branch, ending) {
            Step::Forward(response) => {
                self.upstream(number, &response);
                if invite {
                    self.cancel(number);
                }
            }
            Step::Stop if invite => self.cancel(number),
            Step::Stop | Step::Go | Step::Drop => {}
        }
    }

    fn upstream(&mut self, number: usize, response: &Response) {
        let mut outgoing = Outgoing::from(response);
        outgoing.pop_via();
        // It may come too late for a sender who has given up.
        let _late = self.proxy.respond(self.now.into_std(), self.passing[&number].server, outgoing.encode());
    }

    /// Starts what is due, and answers what is through; false when nothing is.
    fn go_on(&mut self) -> bool {
        let numbers: Vec<usize> = self.passing.keys().copied().collect();
        let mut went_on = false;
        for number in numbers {
            let passing = self.passing.get_mut(&number).unwrap();
            let Some(course) = &mut passing.course else { continue };
            let starts = course.start(self.now);
            went_on |= !starts.is_empty();
            for start in starts {
                let branch = self.branch();
                let passing = self.passing.get_mut(&number).unwrap();
                let mut outgoing = Outgoing::from(&passing.request);
                outgoing.push_via(format!("SIP/2.0/UDP proxy;branch={branch}"));
                let method = passing.request.method().as_bytes().to_vec();
                let (octets, peer) = (outgoing.encode(), At::Phone(start.target));
                let sending =
                    Sending { method: &method, branch: branch.as_bytes(), octets, peer, reliable: false };
                let user = Some(User::Client(number, start.branch));
                let id = self.proxy.request(self.now.into_std(), sending, user).unwrap();
                let passing = self.passing.get_mut(&number).unwrap();
                passing.running.insert(start.branch, (id, start.breadth));
                let sum: u32 = passing.running.values().map(|(_, breadth)| breadth).sum();
                assert!(sum <= 60, "running branches have more breadth than came in");
            }
            went_on |= self.finish(number);
        }
        went_on
    }

    /// Answers a request whose branches have all ended.
    fn finish(&mut self, number: usize) -> bool {
        let passing = self.passing.get_mut(&number).unwrap();
        if !passing.running.is_empty() {
            return false;
        }
        let Some(course) = passing.course.take() else { return false };
        let (server, cancelled) = (passing.server, passing.cancelled);
        let status = match course.best() {
            None => return true,
            Some(Best::Answer { best, .. }) => {
                self.upstream(number, &best);
                return true;
            }
            Some(Best::Nothing) => {
                self.proxy.abandon(self.now.into_std(), server);
                return true;
            }
            Some(Best::Timeout) if cancelled => 487,
            Some(Best::Timeout) => 408,
            Some(Best::Unavailable) => 480,
            Some(Best::Internal) => 500,
        };
        let octets = ResponseBuilder::to_request(&self.passing[&number].request, status, "Made").encode();
        let _late = self.proxy.respond(self.now.into_std(), server, octets);
        true
    }

    /// Jumps to whatever comes next; false when nothing does.
    fn step(&mut self) -> bool {
        let courses = self.passing.values().filter_map(|passing| passing.course.as_ref()?.deadline());
        let tables = self.phones.iter().filter_map(|(_, table)| table.deadline());
        let tables = tables.chain(self.sender.deadline()).chain(self.proxy.deadline()).map(Instant::from_std);
        let arrivals = self.under_way.keys().next().map(|(at, _)| *at);
        let answers = self.thinking.keys().next().map(|(at, _)| *at);
        let Some(next) = courses.chain(tables).chain(arrivals).chain(answers).min() else { return false };
        self.now = self.now.max(next);
        if self.roll(100) < self.network.jumps {
            let jump = self.roll(3000);
            self.now += Duration::from_millis(jump);
        }
        let now = self.now;
        self.sender.on_timeout(now.into_std());
        self.proxy.on_timeout(now.into_std());
        self.phones.iter_mut().for_each(|(_, table)| table.on_timeout(now.into_std()));
        self.passing.values_mut().filter_map(|p| p.course.as_mut()).for_each(|course| course.on_timeout(now));
        self.settle();
        while let Some((&key, _)) = self.under_way.first_key_value().filter(|((at, _), _)| *at <= now) {
            let (to, octets) = self.under_way.remove(&key).unwrap();
            self.arrive(to, &octets);
        }
        while let Some((&key, _)) = self.thinking.first_key_value().filter(|((at, _), _)| *at <= now) {
            let (at, id, octets) = self.thinking.remove(&key).unwrap();
            // The transaction may be over: then the answer is late, and dropped.
            let _late = self.phones[at].1.respond(now.into_std(), id, octets);
            self.settle();
        }
        true
    }

    fn arrive(&mut self, to: At, octets: &Encoded) {
        let limits = sip::Limits::default();
        let Ok(sip::Framed::Message(raw)) = sip::frame::datagram(octets.to_bytes(), &limits) else {
            panic!()
        };
        let now = self.now.into_std();
        match (to, sip::validate(raw, &limits).unwrap()) {
            (At::Phone(at), Message::Request(request)) => {
                if matches!(self.phones[at].0, Phone::Answers(..)) {
                    self.phones[at].1.on_request(now, request, At::Proxy, false);
                }
            }
            (At::Proxy, Message::Request(request)) => self.proxy.on_request(now, request, At::Sender, false),
            (At::Proxy, Message::Response(response)) => self.proxy.on_response(now, response),
            (At::Sender, Message::Response(response)) => self.sender.on_response(now, response),
            (to, message) => panic!("{message:?} at {to:?}"),
        }
        self.settle();
    }

    fn run(&mut self) {
        for _ in 0..1_000_000 {
            if !self.step() {
                return self.check();
            }
        }
        panic!("it comes to no end");
    }

    /// What holds whatever the network does.
    fn check(&self) {
        for (number, statuses) in &self.outcomes {
            let finals: Vec<u16> = statuses.iter().copied().filter(|status| *status >= 200).collect();
            let is_call = self.passing.get(number).is_some_and(|p| p.request.method() == Method::Invite);
            let refusals = finals.iter().filter(|status| **status >= 300).count();
            assert!(refusals <= 1 && (refusals == 0 || finals.len() == 1), "finals: {statuses:?}");
            assert!(is_call || finals.len() <= 1, "{statuses:?}");
            let is_barred = |status: &u16| matches!(status, 101..200 | 408);
            assert!(is_call || !statuses.iter().any(is_barred), "RFC 4320: {statuses:?}");
        }
        let seen = self.delivered.iter().zip(&self.delivered_at);
        let mut seen: Vec<_> = seen.map(|((phone, number, _), at)| (phone, number, *at)).collect();
        seen.sort_unstable();
        // A jump may hold a copy up in the network for longer than any transaction lasts.
        let is_wrong = |gap: Duration| self.network.jumps == 0 || gap < Duration::from_secs(32);
        let twice = |two: &[(_, _, Instant)]| {
            (two[0].0, two[0].1) == (two[1].0, two[1].1) && is_wrong(two[1].2 - two[0].2)
        };
        assert!(!seen.windows(2).any(twice), "a phone's user got a request twice");
        assert!(self.passing.values().all(|passing| passing.course.is_none()), "a course without an end");
        assert!(self.sender.is_empty() && self.proxy.is_empty(), "a transaction without an end");
        assert!(self.phones.iter().all(|(_, table)| table.is_empty()));
    }

    /// The sender was told that, and nothing else that is final.
    fn told(&self, number: usize) -> Option<u16> {
        self.outcomes.get(&number)?.iter().copied().find(|status| *status >= 200)
    }
}

fn number_of(call_id: &[u8]) -> usize {
    std::str::from_utf8(call_id).unwrap().parse().unwrap()
}

const ROUGH: Network = Network { latency: 400, lost: 15, doubled: 10, jumps: 2 };

#[test]
fn one_contact_in_a_black_hole_of_three_keeps_no_message() {
    let phones = [Phone::Dead, Phone::Answers(200, 20), Phone::Answers(200, 20)];
    for dead in 0..3 {
        let mut order = vec![1, 2];
        order.insert(dead, 0);
        let groups: Vec<_> = order.iter().map(|phone| vec![vec![*phone]]).collect();
        for seed in 1..=60 {
            let mut world = World::new(seed, ROUGH, &phones, groups.clone());
            for number in 0..5 {
                world.request(Method::Message, number);
            }
            world.run();
            for number in 0..5 {
                assert_eq!(world.told(number), Some(200), "seed {seed}, dead at {dead}");
            }
        }
    }
}

#[test]
fn a_message_finds_the_one_phone_of_many_that_lives() {
    let mut phones = [Phone::Dead; 8];
    phones[7] = Phone::Answers(200, 20);
    let forms: [Vec<Vec<Vec<usize>>>; 3] = [
        (0..8).map(|phone| vec![vec![phone]]).collect(),
        vec![vec![(0..8).collect()]],
        vec![vec![vec![0, 1, 2], vec![3]], vec![vec![4, 5], vec![6, 7]]],
    ];
    for groups in forms {
        for seed in 1..=40 {
            let mut world = World::new(seed, ROUGH, &phones, groups.clone());
            world.request(Method::Message, 0);
            world.run();
            assert_eq!(world.told(0), Some(200), "seed {seed}");
        }
    }
}

#[test]
fn a_phone_that_answered_is_not_tried_over_its_other_flow() {
    let phones = [Phone::Answers(430, 5), Phone::Answers(486, 5), Phone::Answers(200, 5)];
    for seed in 1..=40 {
        let network = Network { latency: 50, doubled: 30, ..Network::default() };
        let mut world = World::new(seed, network, &phones, vec![vec![vec![0, 1, 2]]]);
        world.request(Method::Message, 0);
        world.run();
        assert_eq!(world.told(0), Some(486));
        let reached: Vec<usize> = world.delivered.iter().map(|(phone, ..)| *phone).collect();
        assert_eq!(reached, [0, 1]);
    }
}

#[test]
fn silence_of_all_is_silence_and_never_a_408() {
    let groups = vec![vec![vec![0], vec![1]], vec![vec![2]]];
    for seed in 1..=20 {
        let mut world = World::new(seed, ROUGH, &[Phone::Dead; 3], groups.clone());
        world.request(Method::Message, 0);
        world.run();
        assert_eq!(world.told(0), None);
    }
}

#[test]
fn whatever_phones_do_and_networks_lose_the_sender_hears_one_end() {
    for seed in 1..=150 {
        let mut world = World::new(seed, ROUGH, &[], Vec::new());
        let mut phones = Vec::new();
        for _ in 0..=world.roll(6) {
            let status = [200, 202, 302, 404, 408, 430, 480, 486, 503, 603][world.roll(10) as usize];
            let after = world.roll(9000);
            let dead = world.roll(4) == 0;
            phones.push(if dead { Phone::Dead } else { Phone::Answers(status, after) });
        }
        let mut groups: Vec<Vec<Vec<usize>>> = Vec::new();
        for phone in 0..phones.len() {
            match (world.roll(3), groups.last_mut()) {
                (0, Some(group)) => group.push(vec![phone]),
                (1, Some(group)) => group.last_mut().unwrap().push(phone),
                _ => groups.push(vec![vec![phone]]),
            }
        }
        for method in [Method::Message, Method::Invite] {
            let mut world = World::new(seed, ROUGH, &phones, groups.clone());
            for number in 0..4 {
                world.request(method, number);
            }
            world.run();
        }
    }
}

#[test]
fn a_call_is_answered_once_and_the_other_phones_stop_ringing() {
    let phones = [Phone::Answers(200, 3000), Phone::Answers(200, 60_000), Phone::Answers(486, 500)];
    for seed in 1..=60 {
        let network = Network { latency: 200, lost: 10, doubled: 10, jumps: 0 };
        let mut world = World::new(seed, network, &phones, vec![vec![vec![0], vec![1], vec![2]]]);
        world.request(Method::Invite, 0);
        world.run();
        assert_eq!(world.told(0), Some(200), "seed {seed}");
    }
}

#[test]
fn a_call_the_sender_gives_up_ends_with_487_everywhere() {
    let phones = [Phone::Answers(200, 90_000), Phone::Dead];
    for seed in 1..=60 {
        let network = Network { latency: 200, lost: 10, doubled: 10, jumps: 0 };
        let mut world = World::new(seed, network, &phones, vec![vec![vec![0]], vec![vec![1]]]);
        let id = world.request(Method::Invite, 0);
        while !world.outcomes.contains_key(&0) {
            assert!(world.step());
        }
        world.sender.cancel(world.now.into_std(), id);
        world.settle();
        world.run();
        assert_eq!(world.told(0), Some(487), "seed {seed}");
    }
}
