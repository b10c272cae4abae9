//! Opens a link as a phone's browser would: HTTP GET with what the phone can show.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::cli::Failure;

const PATIENCE: Duration = Duration::from_secs(30);
/// More than any picture fitted for a phone has.
const LARGEST: u64 = 16 << 20;

/// What came back.
pub(super) struct Fetched {
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

/// Fetches an `http://` URL of the demo's own server.
pub(super) fn get(url: &str, accept: &str) -> Result<Fetched, Failure> {
    let wrong = |what: &str| Failure::Demo(format!("{url}: {what}"));
    let (host, path) =
        url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or(wrong("no http link"))?;
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nUser-Agent: demo\r\nConnection: close\r\n\r\n"
    );
    let octets = exchange(host, request.as_bytes()).map_err(|error| wrong(&error.to_string()))?;
    let (head, body) = split(&octets).ok_or(wrong("no HTTP answer"))?;
    let (status, fields) = grammar::split_once(head, |b| b == b'\n').unwrap_or((head, b""));
    if !status.starts_with(b"HTTP/1.1 200") {
        return Err(wrong(&String::from_utf8_lossy(grammar::trim(status))));
    }
    let content_type = grammar::fields(fields).find(|field| field.is(b"content-type"));
    let content_type = content_type.map(|field| String::from_utf8_lossy(field.value).into_owned());
    Ok(Fetched { content_type: content_type.unwrap_or_default(), body: body.to_vec() })
}

fn exchange(host: &str, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut octets = Vec::new();
    stream.take(LARGEST).read_to_end(&mut octets)?;
    Ok(octets)
}

/// The head, and the body behind the empty line. The server sends bodies it adapted with their length.
fn split(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((octets.get(..end)?, octets.get(end + 4..)?))
}
