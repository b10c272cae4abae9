//! Presence documents: read, asked, changed, written.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests, which read the example messages"
)]

use bytes::Bytes;
use presence::document::{Document, DocumentError, Form, Limits};

mod composed;
mod hostile;
mod kept;
mod objects;
mod partial;
mod viewed;

const MESSAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/messages/");

/// The body of an example message.
fn example(number: &str) -> Bytes {
    let mut files = std::fs::read_dir(MESSAGES).unwrap().map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(number)).unwrap();
    let octets = std::fs::read(file).unwrap();
    let head = memchr::memmem::find(&octets, b"\r\n\r\n").unwrap() + 4;
    Bytes::from(octets).slice(head..)
}

/// The document in the body of an example: the body, or its first part.
fn document(number: &str) -> Bytes {
    let body = example(number);
    let at = memchr::memmem::find(&body, b"<?xml").unwrap();
    let end = memchr::memmem::find(&body, b"presence>").unwrap() + b"presence>".len();
    body.slice(at..end)
}

fn read(text: &str) -> Document {
    Document::read(&Bytes::copy_from_slice(text.as_bytes()), &Limits::default()).unwrap()
}

fn refused(text: &str) -> DocumentError {
    Document::read(&Bytes::copy_from_slice(text.as_bytes()), &Limits::default()).map(|_| ()).unwrap_err()
}

fn written(document: &Document) -> String {
    String::from_utf8(document.write(Form::Pidf).to_vec()).unwrap()
}

/// A presence element with that in it.
fn presence(inner: &str) -> String {
    format!(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" xmlns:c=\"urn:ietf:params:xml:ns:pidf:cipid\" xmlns:b=\"urn:ietf:params:xml:ns:pidf-ext-cont\" entity=\"sip:a@example.com\">{inner}</presence>"
    )
}
