//! What harmful input costs a running server: the time to its answer, and memory beyond what it held before.
//! Each case meets a server of its own that has delivered one plain message. The bars: 64 MiB, and one second, or 200 ms
//! for pictures that are refused before they are decoded.
//! The rows without a bar stand beside them for comparison: pictures that are within the guards and decoded.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench")]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::net::Shutdown;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::{Line, Message, Phone, Server, bombs, phone};

const LONGEST: Duration = Duration::from_secs(1);
/// For pictures that are refused by their heads or by a count.
const AT_ONCE: Duration = Duration::from_millis(200);
const MOST_KIB: u64 = 64 << 10;

const ACCEPT: &str = "text/plain, multipart/mixed, image/jpeg;media-pix-x=max+160;media-pix-y=max+120";

fn main() -> ExitCode {
    println!("| input | octets | answer | ms | MiB more | bars |\n|---|---:|---|---:|---:|---|");
    let mut held: Vec<bool> = bombs::pictures()
        .iter()
        .map(|(name, kind, bomb)| delivered(name, kind, bomb, Some(AT_ONCE)))
        .collect();
    held.extend([
        delivered(
            "PNG, profile packed 1000 to 1",
            "image/png",
            &harness::data("formats/icc-bomb.png"),
            Some(AT_ONCE),
        ),
        delivered("PNG, claims 30000x30000", "image/png", &png_bomb(30_000, 0), Some(LONGEST)),
        delivered("PNG, 6300x6300 of one colour", "image/png", &png_bomb(6_300, 0), Some(LONGEST)),
        delivered("MIME, 1000 deep", "multipart/mixed;boundary=b0", &deep(1_000), Some(LONGEST)),
        delivered("MIME, 10000 parts", "multipart/mixed;boundary=b", &wide(10_000), Some(LONGEST)),
        long_line(),
        cut_datagram(),
        cut_stream(),
        delivered("photo of 12 Mpx", "image/jpeg", &harness::data("images/phone_12mp_o6.jpg"), None),
        delivered(
            "PNG, 6300x6300 of one colour, padded to 1 MB",
            "image/png",
            &png_bomb(6_300, 800_000),
            Some(LONGEST),
        ),
    ]);
    if held.into_iter().all(|held| held) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A MESSAGE with this body to a phone that shows JPEG of 160x120.
fn delivered(name: &str, content_type: &str, body: &[u8], bar: Option<Duration>) -> bool {
    let message = phone::message_to("john").body(content_type, body);
    measured(name, body.len(), bar, |server, john| {
        let mut sender = Line::tcp(server.sip);
        sender.send(&sender.with_via(&message).octets());
        let received = john.take();
        let kind = received.get("Content-Type").split(';').next().unwrap_or_default().to_owned();
        format!("{}, {kind} of {}", sender.final_response().status(), received.body.len())
    })
}

fn long_line() -> bool {
    let request = phone::message_to("john").with("Subject", &"x".repeat(64 << 10));
    measured("header line of 64 KiB", request.octets().len(), Some(LONGEST), |server, _| {
        let mut line = Line::tcp(server.sip);
        line.send_what_is_taken(&line.with_via(&request).octets());
        line.try_response().map_or("none".to_owned(), |answer| answer.start)
    })
}

fn cut_datagram() -> bool {
    let request = phone::message_to("john").body("text/plain", &[b'x'; 100]);
    measured("body cut short, UDP", 60, Some(LONGEST), |server, _| {
        let mut line = Line::udp(server.sip);
        let octets = line.with_via(&request).octets();
        line.send(&octets[..octets.len() - 40]);
        line.final_response().start
    })
}

/// A stream that ends within a body of 1 MB.
fn cut_stream() -> bool {
    let request = phone::message_to("john").body("text/plain", &vec![b'x'; 1_000_000]);
    measured("body cut short, TCP", 600_000, Some(LONGEST), |server, _| {
        let mut line = Line::tcp(server.sip);
        let octets = line.with_via(&request).octets();
        line.send(&octets[..octets.len() - 400_000]);
        if let Line::Tcp(stream, _) = &line {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        line.try_response().map_or("connection closed".to_owned(), |answer| answer.start)
    })
}

/// Prints the row of a case; whether its bars are held.
fn measured(
    name: &str,
    octets: usize,
    bar: Option<Duration>,
    case: impl FnOnce(&Server, &mut Phone) -> String,
) -> bool {
    let server = Server::start();
    let mut john = Phone::tcp("john");
    john.register(&server, &[("Accept", ACCEPT)]);
    deliver_text(&server, &mut john);
    // Forgets the highest mark of memory so far (proc(5)).
    std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap();
    let (before, _) = server.memory_kib();
    let start = Instant::now();
    let answer = case(&server, &mut john);
    let took = start.elapsed();
    let more = server.memory_kib().1.saturating_sub(before);
    deliver_text(&server, &mut john);
    let held = bar.is_none_or(|longest| took < longest && more < MOST_KIB);
    let verdict = match bar {
        None => String::new(),
        Some(bar) => format!("{} ms: {}", bar.as_millis(), if held { "held" } else { "MISSED" }),
    };
    println!(
        "| {name} | {octets} | {answer} | {:.0} | {:.1} | {verdict} |",
        took.as_secs_f64() * 1e3,
        more as f64 / 1024.0
    );
    held
}

fn deliver_text(server: &Server, john: &mut Phone) {
    let mut sender = Line::tcp(server.sip);
    let message: Message = phone::message_to("john").body("text/plain", b"hello");
    sender.send(&sender.with_via(&message).octets());
    john.take();
    assert_eq!(sender.final_response().status(), 200, "the server goes on");
}

/// An RGBA PNG of that side without any colour, deflated as far as deflate goes, 1032 to 1; with a comment of
/// `padding` octets, since the guard against expansion asks for the file's size.
fn png_bomb(side: u32, padding: usize) -> Vec<u8> {
    let mut head = Vec::from(side.to_be_bytes());
    head.extend(side.to_be_bytes());
    head.extend([8, 6, 0, 0, 0]);
    let octets = u64::from(side) * (1 + 4 * u64::from(side));
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [
        (b"IHDR", head),
        (b"tEXt", [&b"Comment\0"[..], &vec![b'x'; padding]].concat()),
        (b"IDAT", zeros(octets)),
        (b"IEND", Vec::new()),
    ] {
        out.extend(bombs::chunk(name, &data));
    }
    out
}

/// That many zero octets in zlib's format: one block whose code for 258 zeros is two bits (RFC 1951 §3.2.7).
fn zeros(octets: u64) -> Vec<u8> {
    // Last block, own codes; 286 lengths and 1 distance; 18 lengths of lengths: 1 for 18, 2 for 2 and for 1.
    let mut bits = "1 01 10111 00000 0111".to_owned();
    bits += " 000 000 100 000 000 000 000 000 000 000 000 000 000 000 000 010 000 010";
    // Literal 0 has 2 bits, the end has 2, length 258 has 1, distance 1 has 1; runs of none between them.
    bits += " 11  0 1111111 0 0101011  11  0 1000100  10  10";
    let (pairs, rest) = ((octets - 1) / 258, (octets - 1) % 258);
    bits += &"10".repeat(1 + usize::try_from(rest).unwrap());
    bits.retain(|bit| bit != ' ');
    bits += &"00".repeat(usize::try_from(pairs).unwrap());
    bits += "11";
    let block = bits
        .as_bytes()
        .chunks(8)
        .map(|octet| octet.iter().rev().fold(0, |all, &bit| all << 1 | (bit - b'0')));
    let adler = (u32::try_from(octets % 65_521).unwrap() << 16) | 1;
    [0x78, 0xda].into_iter().chain(block).chain(adler.to_be_bytes()).collect()
}

fn deep(levels: usize) -> Vec<u8> {
    let open =
        (1..levels).map(|b| format!("--b{}\r\nContent-Type: multipart/mixed;boundary=b{b}\r\n\r\n", b - 1));
    let close = (0..levels).rev().map(|b| format!("\r\n--b{b}--\r\n"));
    let inner = format!("--b{}\r\nContent-Type: text/plain\r\n\r\ndeep", levels - 1);
    open.chain([inner]).chain(close).collect::<String>().into_bytes()
}

fn wide(parts: usize) -> Vec<u8> {
    let mut body = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(parts);
    body.push_str("--b--\r\n");
    body.into_bytes()
}
