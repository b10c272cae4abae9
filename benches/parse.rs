//! Index and validation of a message, whatever its body, beside httparse on the same head.
//!
//! The bar is a ratio measured in one run: at most twice httparse. The run ends with it. On a busy machine
//! instructions tell more than time: `parse --repeat ours|httparse <times> [<body>]` under callgrind.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion};
use sip::{Framed, Limits, Message, Outgoing, frame};

/// What an edge proxy hands on of a phone's message: 17 header lines and the length.
const HEAD: &str = "MESSAGE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/TLS edge.example.net:5061;rport;branch=z9hG4bK.8kYvC2jK~1.c4e1a9d0\r\n\
    Via: SIP/2.0/TCP 192.0.2.7:41960;branch=z9hG4bK.8kYvC2jK~;rport=41960;received=198.51.100.7\r\n\
    Max-Forwards: 69\r\n\
    Route: <sip:proxy.example.com:5060;transport=tcp;lr>\r\n\
    From: \"Alice\" <sip:alice@example.net>;tag=49583\r\n\
    To: <sip:bob@example.com>\r\n\
    Call-ID: 8kYvC2jK~3848276298220188511\r\n\
    CSeq: 20 MESSAGE\r\n\
    Date: Sun, 22 Nov 2026 10:00:00 GMT\r\n\
    Allow: INVITE, ACK, CANCEL, BYE, MESSAGE, OPTIONS, INFO, UPDATE, REFER, NOTIFY\r\n\
    Supported: replaces, outbound, gruu, path, record-aware\r\n\
    Accept: text/plain, image/jpeg, image/gif, message/external-body\r\n\
    User-Agent: Phone/5.2.1 (Android 14) Core/5.3.0\r\n\
    P-Asserted-Identity: \"Alice\" <sip:alice@example.net>\r\n\
    Content-Type: image/jpeg\r\n\
    Content-Disposition: render\r\n\
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

/// httparse on the same head, which it takes once the version is its own.
fn httparse(octets: &[u8]) -> usize {
    let mut lines = [httparse::EMPTY_HEADER; 24];
    let mut request = httparse::Request::new(&mut lines);
    match request.parse(octets) {
        Ok(httparse::Status::Complete(head)) => head,
        _ => unreachable!(),
    }
}

fn http(octets: &[u8]) -> Vec<u8> {
    let at = octets.windows(7).position(|word| word == b"SIP/2.0").unwrap_or_default();
    let (before, after) = octets.split_at(at);
    [before, b"HTTP/1.1", after.get(7..).unwrap_or_default()].concat()
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
    let as_http = http(&octets);
    group.bench_function("httparse", |b| b.iter(|| httparse(black_box(&as_http))));
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
    let as_http = http(&octets);
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..400 {
        ours = ours.min(run(|| drop(black_box(understand(black_box(&octets), &limits)))));
        theirs = theirs.min(run(|| assert_ne!(httparse(black_box(&as_http)), 0)));
    }
    ours.as_secs_f64() / theirs.as_secs_f64()
}

fn run(what: impl Fn()) -> Duration {
    let start = Instant::now();
    (0..200).for_each(|_| what());
    start.elapsed()
}

/// Does nothing but the named half, for a tool that counts.
fn repeat(which: &str, times: usize, body: usize) {
    let (limits, octets) = (Limits::default(), message(body));
    let as_http = http(&octets);
    for _ in 0..times {
        match which {
            "httparse" => assert_ne!(httparse(black_box(&as_http)), 0),
            _ => drop(black_box(understand(black_box(&octets), &limits))),
        }
    }
}

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, which, times, body @ ..] = &args[..]
        && flag == "--repeat"
    {
        let number = |text: &String| text.parse().unwrap_or(30_000);
        repeat(which, number(times), body.first().map_or(30_000, number));
        return std::process::ExitCode::SUCCESS;
    }
    let mut criterion = Criterion::default().configure_from_args();
    parse(&mut criterion);
    criterion.final_summary();
    let ratio = ratio();
    println!("index and validation take {ratio:.2} times httparse (bar: {BAR})");
    if ratio <= BAR { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
