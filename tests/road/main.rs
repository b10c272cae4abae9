//! The main road end to end: the recipes of the rules (T1 to T23) over real sockets against the built
//! program. Each test is named after what it shows; the recipe's number stands beside it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step here is a failed test"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod adapted;
mod agent;
mod bombs;
mod bounded;
mod elsewhere;
mod entitled;
mod fetched;
mod flows;
mod forked;
mod hostile;
mod linked;
mod lists;
mod multipart;
mod notified;
mod opened;
mod passing;
mod passwords;
mod presence;
mod refused;
mod registered;
mod ruled;
mod untouched;
mod waiting;

use harness::{Line, Message, Phone, Server};

/// The original picture of example 020: GIF, 320x240.
const SUNSET_SHA1: &str = "3b0df19df882945e936f385c840baf5fc85f97a1";

/// Sends `message` over TCP and gives what the phone took and what the sender was told.
fn deliver(server: &Server, phone: &mut Phone, message: &Message) -> (Message, Message) {
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(message).octets());
    let received = phone.take();
    (received, sender.final_response())
}

/// Registers john with those header lines and delivers the example to him; the sender must get a 200.
fn example_to(server: &Server, lines: &[(&str, &str)], number: &str) -> Message {
    let mut phone = Phone::tcp("john");
    phone.register(server, lines);
    let (received, answer) = deliver(server, &mut phone, &harness::example(number));
    assert_eq!(answer.status(), 200, "{answer}");
    received
}

/// The final response to the example, for a registered john that must not be reached.
fn refusal_of(server: &Server, lines: &[(&str, &str)], number: &str) -> Message {
    let phone = Phone::tcp("john");
    phone.register(server, lines);
    let answer = Line::tcp(server.sip).request(&harness::example(number));
    assert!(!phone.has_more(), "a refused message must not reach the phone");
    answer
}

/// The SHA-1 of `octets` in hex, by the system's own tool.
fn sha1(octets: &[u8]) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new("sha1sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(octets).unwrap();
    let out = child.wait_with_output().unwrap();
    String::from_utf8(out.stdout).unwrap()[..40].to_owned()
}

/// A parameter of a header value, quotes taken away.
fn param<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split(';').skip(1).find_map(|param| {
        let (key, value) = param.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// The URL of a message/external-body, white space inside taken away (RFC 2017 §3.1).
fn url_of(content_type: &str) -> String {
    let url = param(content_type, "URL").unwrap_or_else(|| panic!("no URL in {content_type}"));
    url.chars().filter(|c| !c.is_whitespace()).collect()
}

/// The parts of a multipart body: header block and content of each.
fn parts(message: &Message) -> Vec<Message> {
    let boundary = param(message.get("Content-Type"), "boundary").expect("a boundary").to_owned();
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let mut body = b"\r\n".to_vec();
    body.extend(&message.body);
    let mut starts: Vec<usize> = body
        .windows(delimiter.len())
        .enumerate()
        .filter(|(_, w)| *w == delimiter)
        .map(|(at, _)| at)
        .collect();
    let end = starts.pop().expect("a close delimiter");
    assert!(body[end + delimiter.len()..].starts_with(b"--"), "the last delimiter closes");
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([end]).collect();
    starts
        .into_iter()
        .zip(ends)
        .map(|(start, end)| {
            let part = &body[start + delimiter.len() + 2..end];
            Message::parse(&[b"PART\r\n", part].concat())
        })
        .collect()
}
