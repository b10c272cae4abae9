//! An HTTP GET over a plain socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;
use super::message::{Message, head_end};

/// The answer to `METHOD path` with those header lines, on a connection of its own. The answer is a
/// [`Message`] too: the grammar of its head is the same.
pub(crate) fn fetch(server: SocketAddr, method: &str, path: &str, lines: &[(&str, &str)]) -> Message {
    send(server, method, path, lines, b"")
}

/// The same with a body.
pub(crate) fn send(
    server: SocketAddr,
    method: &str,
    path: &str,
    lines: &[(&str, &str)],
    body: &[u8],
) -> Message {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n");
    for (name, value) in lines {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    stream.write_all(&[request.as_bytes(), b"\r\n", body].concat()).unwrap();
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).unwrap();
    assert!(head_end(&octets).is_some(), "not an HTTP answer: {:?}", String::from_utf8_lossy(&octets));
    Message::parse(&octets)
}

/// GET of a URL that the server under test gave out; its host is not looked up.
pub(crate) fn get(server: SocketAddr, url: &str, lines: &[(&str, &str)]) -> Message {
    let path = url.splitn(4, '/').nth(3).unwrap_or_else(|| panic!("no path in {url}"));
    fetch(server, "GET", &format!("/{path}"), lines)
}
