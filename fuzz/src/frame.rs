//! Framing: a stream gives the same messages however it is cut, holds no more than its limits, and every message
//! of it is one that a datagram of the same octets would give.

use bytes::Bytes;
use sip::{Framed, Kind, Limits, StreamFramer, frame};

/// The first octet says how the rest is cut.
pub fn run(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else { return };
    let limits =
        Limits { head: 2048, line_octets: 512, lines: 32, body: 4096, buffered: 16384, ..Limits::default() };
    let whole = read(&mut std::iter::once(stream), &limits);
    let pieces = read(&mut stream.chunks(usize::from(cut) + 1), &limits);
    // A stream beyond the buffer's limit is refused earlier when it comes at once.
    if stream.len() <= limits.buffered {
        assert_eq!(whole.len(), pieces.len());
        for (a, b) in whole.iter().zip(&pieces) {
            assert_eq!(a.as_ref().ok(), b.as_ref().ok());
        }
    }
    for message in whole.into_iter().flatten() {
        let Ok(Framed::Message(raw)) = frame::datagram(message.clone(), &limits) else {
            panic!("a message of the stream is none of a datagram")
        };
        assert_eq!(raw.octets(), &message);
    }
    if let Ok(Framed::Message(raw)) = frame::datagram(Bytes::copy_from_slice(stream), &limits) {
        assert!(raw.head().len() <= limits.head && raw.body_octets().len() <= limits.body);
        assert!(raw.headers().len() <= limits.lines);
        assert!(raw.headers().all(|header| header.raw.len() <= limits.line_octets));
    }
}

fn read(pieces: &mut dyn Iterator<Item = &[u8]>, limits: &Limits) -> Vec<Result<Bytes, Kind>> {
    let mut framer = StreamFramer::new(*limits);
    let mut all = Vec::new();
    for piece in pieces {
        framer.push(piece);
        assert!(framer.buffered() <= limits.buffered);
        loop {
            match framer.next() {
                Ok(Some(Framed::Message(raw))) => all.push(Ok(raw.octets().clone())),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(invalid) => {
                    invalid.verdict();
                    all.push(Err(invalid.kind));
                }
            }
        }
    }
    all
}
