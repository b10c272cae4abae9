//! One MESSAGE through both ends of a hop, sans-IO: a client transaction sends it, a server transaction takes it
//! and answers, the client transaction takes the answer. The clock moves 10 ms a round, so that over UDP the
//! tables hold the thousands of finished transactions that Timers J and K keep in a server at work.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use sip::transaction::{Event, Sending, Settings, Table, Timers, branch};
use sip::{Encoded, Framed, Limits, Message, Request, RequestBuilder, Response, ResponseBuilder};

/// Branches in turn: more than live at a time, so that none is met twice.
const ROUNDS: usize = 8192;

const STEP: Duration = Duration::from_millis(10);

struct Round {
    branch: String,
    octets: Encoded,
    request: Request,
    answer: Encoded,
    response: Response,
}

fn round(number: usize) -> Round {
    let branch = branch(0, 1, u64::try_from(number).unwrap(), None);
    let mut outgoing = RequestBuilder::new(sip::Method::Message, "sip:bob@example.com")
        .from("<sip:alice@example.com>;tag=1")
        .to("<sip:bob@example.com>")
        .call_id("c1@example.com")
        .cseq(1)
        .body("hello")
        .build();
    outgoing.push_via(format!("SIP/2.0/UDP h.example.com;branch={branch};rport"));
    let octets = outgoing.encode();
    let Message::Request(request) = parse(&octets) else { panic!("no request") };
    let answer = ResponseBuilder::to_request(&request, 200, "OK").encode();
    let Message::Response(response) = parse(&answer) else { panic!("no response") };
    Round { branch, octets, request, answer, response }
}

fn parse(octets: &Encoded) -> Message {
    let limits = Limits::default();
    let Framed::Message(raw) = sip::frame::datagram(octets.to_bytes(), &limits).unwrap() else {
        panic!("no message")
    };
    sip::validate(raw, &limits).unwrap()
}

struct Hop {
    client: Table<(), ()>,
    server: Table<(), ()>,
    now: Instant,
}

impl Hop {
    fn new() -> Self {
        let settings = Settings { timers: Timers::default(), transactions: 100_000, retry_after: 1 };
        Self { client: Table::new(settings), server: Table::new(settings), now: Instant::now() }
    }

    fn run(&mut self, round: &Round, reliable: bool) {
        self.now += STEP;
        self.client.on_timeout(self.now);
        self.server.on_timeout(self.now);
        let (octets, branch) = (round.octets.clone(), round.branch.as_bytes());
        let sending = Sending { method: b"MESSAGE", branch, octets, peer: (), reliable };
        self.client.request(self.now, sending, None).unwrap();
        self.server.on_request(self.now, round.request.clone(), (), reliable);
        while let Some(event) = self.server.poll() {
            if let Event::Request { id, .. } = black_box(event) {
                self.server.respond(self.now, id, round.answer.clone()).unwrap();
            }
        }
        self.client.on_response(self.now, round.response.clone());
        while let Some(event) = self.client.poll() {
            black_box(event);
        }
    }
}

fn transactions(criterion: &mut Criterion) {
    let rounds: Vec<_> = (0..ROUNDS).map(round).collect();
    let mut group = criterion.benchmark_group("transaction");
    for (name, reliable) in [("udp", false), ("tcp", true)] {
        let (mut hop, mut turn) = (Hop::new(), rounds.iter().cycle());
        // Filled to its steady state first.
        for round in turn.by_ref().take(ROUNDS) {
            hop.run(round, reliable);
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| turn.by_ref().take(1).for_each(|round| hop.run(round, reliable)));
        });
    }
    group.finish();
}

criterion_group!(benches, transactions);
criterion_main!(benches);
