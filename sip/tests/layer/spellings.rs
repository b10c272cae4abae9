//! Legal spellings of one head (RFC 3261 §7.3.1, §7.3.3): blanks before the colon, folds, compact names, any case.
//! Whoever frames and whoever parses must see the same in all of them.

use proptest::prelude::*;
use sip::{Framed, HeaderId, Limits, Message, RawMessage, StreamFramer, frame};

const LINES: &[(HeaderId, &[&str], &str)] = &[
    (HeaderId::Via, &["Via", "v"], "SIP/2.0/UDP h.example.net:5060;branch=z9hG4bK776asdhds"),
    (HeaderId::From, &["From", "f"], "\"Alice\" <sip:alice@example.net>;tag=49583"),
    (HeaderId::To, &["To", "t"], "<sip:bob@example.com>"),
    (HeaderId::CallId, &["Call-ID", "i"], "asd88asd77a@192.0.2.4"),
    (HeaderId::CSeq, &["CSeq"], "1 MESSAGE"),
    (HeaderId::MaxForwards, &["Max-Forwards"], "70"),
    (HeaderId::ContentType, &["Content-Type", "c"], "text/plain"),
    (HeaderId::PAssertedIdentity, &["P-Asserted-Identity"], "<sip:alice@example.net>"),
    (HeaderId::ContentLength, &["Content-Length", "l"], "5"),
    (HeaderId::Other, &["X-Unheard-Of"], "x"),
];

/// How one line is written.
#[derive(Clone, Debug)]
struct Spelling {
    name: prop::sample::Index,
    upper: u64,
    before: &'static str,
    behind: &'static str,
    end: &'static str,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    let before = prop::sample::select(vec!["", " ", "\t", " \t ", "                    "]);
    let behind = prop::sample::select(vec!["", " ", "\t", "\r\n ", " \r\n\t", "\r\n \r\n  "]);
    let end = prop::sample::select(vec!["", " ", "\t", " \r\n ", "\r\n\t"]);
    (any::<prop::sample::Index>(), any::<u64>(), before, behind, end)
        .prop_map(|(name, upper, before, behind, end)| Spelling { name, upper, before, behind, end })
}

fn written(spellings: &[Spelling]) -> Vec<u8> {
    let mut text = "MESSAGE sip:bob@example.com SIP/2.0\r\n".to_owned();
    for ((_, names, value), spelling) in LINES.iter().zip(spellings) {
        for (at, letter) in spelling.name.get(names).chars().enumerate() {
            text.push(if spelling.upper >> at & 1 == 1 {
                letter.to_ascii_uppercase()
            } else {
                letter.to_ascii_lowercase()
            });
        }
        text += &format!("{}:{}{value}{}\r\n", spelling.before, spelling.behind, spelling.end);
    }
    format!("{text}\r\nhello").into_bytes()
}

fn seen(raw: &RawMessage) -> Vec<(HeaderId, Vec<u8>)> {
    raw.headers().map(|header| (header.id, header.value.to_vec())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_legal_spelling_frames_and_reads_the_same(
        spellings in prop::collection::vec(spelling(), LINES.len()),
        cut in 1..64usize,
    ) {
        let limits = Limits::default();
        let octets = written(&spellings);
        let expected: Vec<_> = LINES.iter().map(|(id, _, value)| (*id, value.as_bytes().to_vec())).collect();

        let Ok(Framed::Message(raw)) = frame::datagram(octets.clone().into(), &limits) else { panic!("no message") };
        prop_assert_eq!(seen(&raw), expected.clone());
        prop_assert_eq!(raw.body_octets(), b"hello");

        // Another message follows at once: only a framer that read the same length finds it.
        let mut framer = StreamFramer::new(limits);
        let mut messages = Vec::new();
        for piece in octets.repeat(2).chunks(cut) {
            framer.push(piece);
            while let Some(framed) = framer.next().unwrap() {
                let Framed::Message(raw) = framed else { panic!("no message") };
                messages.push(raw);
            }
        }
        prop_assert_eq!(messages.len(), 2);
        for raw in messages {
            prop_assert_eq!(raw.octets(), &octets);
            prop_assert_eq!(seen(&raw), expected.clone());
            let Ok(Message::Request(request)) = sip::validate(raw, &limits) else { panic!("not valid") };
            prop_assert_eq!(request.branch(), Some(&b"z9hG4bK776asdhds"[..]));
            prop_assert_eq!((request.from_tag(), request.cseq().number), (Some(&b"49583"[..]), 1));
            prop_assert_eq!((request.max_forwards(), request.body().len()), (Some(70), 5));
        }
    }
}
