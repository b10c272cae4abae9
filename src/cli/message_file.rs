//! A SIP or HTTP message in a file: start line, header fields, and the body as long as Content-Length says.

use std::path::Path;

use adapter::{Entity, Field};
use bytes::Bytes;

use super::Failure;

/// The largest file read: above the largest body the server takes by default, with room for its head.
const LARGEST_FILE: u64 = 64 << 20;

/// A message as it stands in its file.
pub(super) struct MessageFile {
    /// The first line.
    pub(super) start: Vec<u8>,
    /// Every field in order, compact names written out.
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Octets of start line, fields and the empty line.
    pub(super) head: u64,
    /// The body.
    pub(super) body: Bytes,
}

impl MessageFile {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        Self::parse(&read_file(path)?).map_err(|what| Failure::file(path, what))
    }

    fn parse(octets: &Bytes) -> Result<Self, String> {
        let head = head_length(octets)
            .ok_or("has no empty line after its header lines; a message needs one, even without a body")?;
        let block = octets.get(..head).unwrap_or_default();
        let (start, rest) = grammar::split_once(block, |b| b == b'\n').unwrap_or((block, b""));
        let start = grammar::trim(start).to_vec();
        if !start.windows(5).any(|word| word == b"SIP/2" || word == b"HTTP/") {
            return Err("does not begin with a SIP or HTTP start line".to_owned());
        }
        let fields: Vec<_> =
            grammar::fields(rest).map(|field| (long_name(field.name), field.value.to_vec())).collect();
        let body = octets.slice(head..);
        let mut message = Self { start, fields, head: head as u64, body };
        message.cut_body()?;
        Ok(message)
    }

    /// Takes the body to Content-Length, as a datagram would be taken (RFC 3261 §18.3).
    fn cut_body(&mut self) -> Result<(), String> {
        let Some(value) = self.field("Content-Length") else { return Ok(()) };
        let length = grammar::decimal(grammar::trim(value)).and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or("has a Content-Length that is no number")?;
        if length > self.body.len() {
            return Err(format!(
                "is cut short: Content-Length {length}, but {} octets of body",
                self.body.len()
            ));
        }
        self.body.truncate(length);
        Ok(())
    }

    /// The value of the first field of that name.
    pub(super) fn field(&self, name: &str) -> Option<&[u8]> {
        let named = |(written, _): &&(Vec<u8>, Vec<u8>)| written.eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().find(named).map(|(_, value)| value.as_slice())
    }

    /// Fields as pairs of slices.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// What the adapter works on.
    pub(super) fn entity(&self) -> Entity {
        let described = self.fields.iter().filter(|(name, _)| Entity::describes(name));
        Entity {
            fields: described.map(|(name, value)| Field::new(name.clone(), value.clone())).collect(),
            body: self.body.clone(),
        }
    }
}

/// `c` is `Content-Type`; names that SIP does not know stay as they are.
fn long_name(name: &[u8]) -> Vec<u8> {
    match sip::HeaderId::of(name) {
        sip::HeaderId::Other => name.to_vec(),
        known => known.name().as_bytes().to_vec(),
    }
}

/// Up to and with the first empty line; lines end with CRLF or a bare LF.
fn head_length(octets: &[u8]) -> Option<usize> {
    let mut start = 0;
    while let Some(length) = octets.get(start..)?.iter().position(|&b| b == b'\n') {
        let line = octets.get(start..start + length)?;
        start += length + 1;
        if line.is_empty() || line == b"\r" {
            return Some(start);
        }
    }
    None
}

/// A whole file of reasonable size.
pub(super) fn read_file(path: &Path) -> Result<Bytes, Failure> {
    let unreadable = |error: std::io::Error| Failure::file(path, error.to_string());
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > LARGEST_FILE {
        return Err(Failure::file(
            path,
            format!("has {size} octets, more than the {LARGEST_FILE} read here"),
        ));
    }
    std::fs::read(path).map(Bytes::from).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &'static [u8]) -> Result<MessageFile, String> {
        MessageFile::parse(&Bytes::from_static(text))
    }

    #[test]
    fn compact_names_are_written_out_and_the_body_ends_at_content_length() {
        let message = parse(b"MESSAGE sip:a@b SIP/2.0\r\nc: text/plain\r\nl: 2\r\n\r\nabc").unwrap();
        assert_eq!(message.field("content-type"), Some(&b"text/plain"[..]));
        assert_eq!(&*message.body, b"ab");
        assert_eq!(message.entity().fields.len(), 1);
    }

    #[test]
    fn what_is_no_message_or_cut_short_is_said() {
        assert!(parse(b"hello").err().unwrap().contains("no empty line"));
        assert!(parse(b"hello\r\n\r\n").err().unwrap().contains("start line"));
        let cut = parse(b"MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 9\r\n\r\nabc");
        assert!(cut.err().unwrap().contains("Content-Length 9, but 3 octets"));
    }
}
