//! Index and validation of a message, whatever its body, beside httparse on the same header lines.
//!
//! The bar is a ratio measured in one run: at most twice httparse. The run ends with it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion};
use sip::{Framed, Limits, Message, Outgoing, frame};

const HEAD: &str = "MESSAGE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP edge.example.net:5060;branch=z9hG4bK776asdhds;rport\r\n\
    Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKnashds8;received=192.0.2.7\r\n\
    Max-Forwards: 69\r\n\
    From: \"Alice\" <sip:alice@example.net>;tag=49583\r\n\
    To: <sip:bob@example.com>\r\n\
    Call-ID: asd88asd77a@192.0.2.7\r\n\
    CSeq: 1 MESSAGE\r\n\
    Date: Sun, 22 Nov 2026 10:00:00 GMT\r\n\
    User-Agent: phone/1.0\r\n\
    Content-Type: image/jpeg\r\n\
    Content-Length: ";

/// The most that index and validation may cost, in times of httparse.
const BAR: f64 = 2.0;

fn message(body: usize) -> Bytes {
    Bytes::from([format!("{HEAD}{body}\r\n\r\n").into_bytes(), vec![0xd8; body]].concat())
}

fn understand(octets: &Bytes, limits: &Limits) -> Message {
    let Ok(Framed::Message(raw)) = frame::datagram(octets.clone(), limits) else { unreachable!() };
    match sip::validate(raw, limits) {
        Ok(message) => message,
        Err(_) => unreachable!(),
    }
}

/// httparse on the header lines; it has no SIP start line.
fn httparse_headers(octets: &[u8]) -> usize {
    let mut lines = [httparse::EMPTY_HEADER; 24];
    let after_start = octets.iter().position(|&b| b == b'\n').map_or(0, |at| at + 1);
    let block = octets.get(after_start..).unwrap_or_default();
    match httparse::parse_headers(block, &mut lines) {
        Ok(httparse::Status::Complete((_, headers))) => headers.len(),
        _ => unreachable!(),
    }
}

fn parse(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("parse");
    for body in [0, 30_000, 1_000_000] {
        let octets = message(body);
        group.bench_with_input(BenchmarkId::new("index_and_validate", body), &octets, |b, octets| {
            b.iter(|| understand(black_box(octets), &limits));
        });
    }
    let octets = message(30_000);
    group.bench_function("httparse", |b| b.iter(|| httparse_headers(black_box(&octets))));
    let Message::Request(request) = understand(&octets, &limits) else { unreachable!() };
    group.bench_function("forward_head", |b| {
        b.iter(|| {
            let mut outgoing = Outgoing::from(black_box(&request));
            outgoing.push_via("SIP/2.0/UDP proxy.example.com;branch=z9hG4bK0123456789");
            outgoing.set_request_uri("sip:bob@192.0.2.4:5060");
            outgoing.set_max_forwards(68);
            outgoing.encode()
        });
    });
    group.finish();
}

/// The fastest of many short runs of both, taken in turns, so that a busy machine slows neither alone.
fn ratio() -> f64 {
    let limits = Limits::default();
    let octets = message(30_000);
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..400 {
        ours = ours.min(run(|| drop(black_box(understand(black_box(&octets), &limits)))));
        theirs = theirs.min(run(|| drop(black_box(httparse_headers(black_box(&octets))))));
    }
    ours.as_secs_f64() / theirs.as_secs_f64()
}

fn run(what: impl Fn()) -> Duration {
    let start = Instant::now();
    (0..200).for_each(|_| what());
    start.elapsed()
}

fn main() -> std::process::ExitCode {
    let mut criterion = Criterion::default().configure_from_args();
    parse(&mut criterion);
    criterion.final_summary();
    let ratio = ratio();
    println!("index and validation take {ratio:.2} times httparse (bar: {BAR})");
    if ratio <= BAR { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
