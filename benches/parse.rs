//! Index and validation of a message, whatever its body, beside httparse on the same head.
//!
//! The bar is a ratio measured in one run: at most twice httparse. The run ends with it. On a busy machine
//! instructions tell more than time: `parse --repeat ours|httparse handed-on|simple <times> <body>`
//! under callgrind.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion};
use sip::{Framed, Limits, Message, Outgoing, frame};

/// What an edge proxy hands on of a phone's message: 16 header lines and the length.
const HANDED_ON: &str = "MESSAGE sip:bob@example.com SIP/2.0\r\n\
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

/// What a simple phone sends through one proxy: 10 header lines and the length.
const SIMPLE: &str = "MESSAGE sip:bob@example.com SIP/2.0\r\n\
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

/// A message that lives as long as the run: taking it costs no count, as taking what a socket gave costs none.
fn message(head: &str, body: usize) -> Bytes {
    Bytes::from_static([format!("{head}{body}\r\n\r\n").into_bytes(), vec![0xd8; body]].concat().leak())
}

/// Whether the message is valid.
fn understand(octets: &Bytes, limits: &Limits) -> bool {
    let Ok(Framed::Message(raw)) = frame::datagram(octets.clone(), limits) else { return false };
    black_box(&sip::validate(raw, limits)).is_ok()
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
    for (name, head, body) in [
        ("handed_on", HANDED_ON, 0),
        ("handed_on", HANDED_ON, 30_000),
        ("handed_on", HANDED_ON, 1_000_000),
        ("simple", SIMPLE, 30_000),
    ] {
        let octets = message(head, body);
        group.bench_with_input(BenchmarkId::new(name, body), &octets, |b, octets| {
            b.iter(|| understand(black_box(octets), &limits));
        });
    }
    for (name, head) in [("httparse_handed_on", HANDED_ON), ("httparse_simple", SIMPLE)] {
        let as_http = http(&message(head, 30_000));
        group.bench_function(name, |b| b.iter(|| httparse(black_box(&as_http))));
    }
    let octets = message(HANDED_ON, 30_000);
    let Ok(Framed::Message(raw)) = frame::datagram(octets, &limits) else { unreachable!() };
    let Ok(Message::Request(request)) = sip::validate(raw, &limits) else { unreachable!() };
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
fn ratio(head: &str) -> f64 {
    let limits = Limits::default();
    let octets = message(head, 30_000);
    let as_http = http(&octets);
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..400 {
        ours = ours.min(run(|| assert!(understand(black_box(&octets), &limits))));
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
fn repeat(which: &str, times: usize, octets: &Bytes) {
    let limits = Limits::default();
    let as_http = http(octets);
    for _ in 0..times {
        match which {
            "httparse" => assert_ne!(httparse(black_box(&as_http)), 0),
            _ => assert!(understand(black_box(octets), &limits)),
        }
    }
}

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, which, head, times, body] = &args[..]
        && flag == "--repeat"
    {
        let head = if head == "simple" { SIMPLE } else { HANDED_ON };
        let number = |text: &String| text.parse().unwrap_or_default();
        repeat(which, number(times), &message(head, number(body)));
        return std::process::ExitCode::SUCCESS;
    }
    let mut criterion = Criterion::default().configure_from_args();
    parse(&mut criterion);
    criterion.final_summary();
    let ratios = [("handed on", ratio(HANDED_ON)), ("simple", ratio(SIMPLE))];
    for (head, ratio) in ratios {
        println!("index and validation of the head {head} take {ratio:.2} times httparse (bar: {BAR})");
    }
    match ratios.iter().all(|(_, ratio)| *ratio <= BAR) {
        true => std::process::ExitCode::SUCCESS,
        false => std::process::ExitCode::FAILURE,
    }
}
