//! What must hold for any octets.

use bytes::Bytes;
use proptest::prelude::*;
use sip::{Framed, Limits, Message, NameAddr, Outgoing, ResponseBuilder, StreamFramer, Uri, Via, frame};

use crate::data::{example, example_names, torture, torture_names};

fn seeds() -> Vec<Vec<u8>> {
    let torture = torture_names().into_iter().map(|name| torture(&name));
    let examples = example_names().into_iter().map(|name| example(&name));
    torture.chain(examples).filter(|octets| octets.len() < 4000).collect()
}

/// A message of the test data with some octets replaced, removed or put in.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let interesting = prop_oneof![any::<u8>(), prop::sample::select(b"\r\n\t ,;:<>\"\\@?=/%[]0".to_vec()),];
    let edit = (any::<prop::sample::Index>(), 0..3usize, interesting);
    (prop::sample::select(seeds()), prop::collection::vec(edit, 0..12)).prop_map(|(mut octets, edits)| {
        for (at, what, octet) in edits {
            let at = at.index(octets.len().max(1)).min(octets.len().saturating_sub(1));
            match what {
                0 => octets[at] = octet,
                1 => octets.insert(at, octet),
                _ if octets.len() > 1 => drop(octets.remove(at)),
                _ => {}
            }
        }
        octets
    })
}

fn outgoing(message: &Message) -> Outgoing {
    match message {
        Message::Request(request) => Outgoing::from(request),
        Message::Response(response) => Outgoing::from(response),
    }
}

/// Everything a server asks of a message, on whatever came.
fn exercise(octets: &[u8]) -> Result<(), TestCaseError> {
    let limits = Limits::default();
    let octets = Bytes::copy_from_slice(octets);
    let raw = match frame::datagram(octets.clone(), &limits) {
        Ok(Framed::Message(raw)) => raw,
        Ok(_) => return Ok(()),
        Err(invalid) => {
            invalid.verdict();
            ResponseBuilder::to_request(&invalid, 400, "Bad").encode();
            return Ok(());
        }
    };
    let whole = raw.octets().clone();
    let message = match sip::validate(raw, &limits) {
        Ok(message) => message,
        Err(invalid) => {
            invalid.verdict();
            ResponseBuilder::to_request(&invalid, 400, "Bad").encode();
            return Ok(());
        }
    };
    let untouched = outgoing(&message);
    prop_assert_eq!(untouched.encode().to_bytes(), whole.clone());
    let mut pushed = untouched.clone();
    pushed.push_via("SIP/2.0/UDP us;branch=z9hG4bKu");
    prop_assert_eq!(pushed.head_len(), pushed.encode().head.len());
    again(&pushed)?;
    pushed.pop_via();
    prop_assert_eq!(pushed.encode().to_bytes(), whole);
    let mut changed = untouched;
    changed.set_max_forwards(3);
    changed.set_body(Bytes::from_static(b"new"));
    changed.push_record_route("<sip:us;lr>");
    changed.pop_route();
    again(&changed)?;
    if let Message::Request(request) = &message {
        request.uri().aor();
        request.contacts().count();
        let answer = ResponseBuilder::to_request(request, 200, "OK").build();
        again(&answer)?;
    }
    Ok(())
}

/// What we send can be read by us, and its body is the one we gave it.
fn again(sent: &Outgoing) -> Result<(), TestCaseError> {
    let limits = Limits { vias: 100, head: 128 * 1024, ..Limits::default() };
    let encoded = sent.encode();
    match frame::datagram(encoded.to_bytes(), &limits) {
        Ok(Framed::Message(raw)) => {
            prop_assert_eq!(raw.body(), encoded.body);
            prop_assert!(sip::validate(raw, &limits).is_ok());
        }
        other => prop_assert!(false, "{:?}", other),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_messages_keep_every_law(octets in mutated()) {
        exercise(&octets)?;
    }

    #[test]
    fn random_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        exercise(&octets)?;
    }

    #[test]
    fn a_stream_gives_the_same_however_it_is_cut(octets in mutated(), cuts in prop::collection::vec(1..200usize, 1..20)) {
        let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut framer = StreamFramer::new(Limits::default());
            let mut seen: Vec<Result<Vec<u8>, sip::Kind>> = Vec::new();
            for piece in pieces {
                framer.push(piece);
                loop {
                    match framer.next() {
                        Ok(Some(Framed::Message(raw))) => seen.push(Ok(raw.octets().to_vec())),
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(invalid) => seen.push(Err(invalid.kind)),
                    }
                }
            }
            seen
        };
        let whole = read(&mut std::iter::once(&octets[..]));
        let mut rest = &octets[..];
        let mut cuts = cuts.iter().cycle();
        let mut pieces = std::iter::from_fn(|| {
            let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            rest = after;
            (!piece.is_empty()).then_some(piece)
        });
        let cut = read(&mut pieces);
        // Which defect is seen first may depend on the pieces, where the good messages end does not.
        prop_assert_eq!(whole.len(), cut.len());
        for (a, b) in whole.iter().zip(&cut) {
            prop_assert_eq!(a.as_ref().ok(), b.as_ref().ok());
        }
    }

    #[test]
    fn uris_compare_with_themselves_and_keep_their_octets(text in "(sip|sips|tel|x):[ -~]{0,60}") {
        if let Ok(uri) = Uri::parse(text.as_bytes()) {
            prop_assert!(uri.equivalent(&uri.detached()));
            prop_assert_eq!(uri.as_bytes(), text.as_bytes());
            if uri.is_sip() {
                let aor = Uri::parse(uri.aor().as_bytes());
                prop_assert_eq!(aor.map(|aor| aor.aor()), Ok(uri.aor()));
            }
        }
    }

    #[test]
    fn values_of_any_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = NameAddr::parse(&octets);
        let _ = Via::parse(&octets);
        let _ = sip::CSeq::parse(&octets);
        let _ = sip::Host::parse(&octets);
    }
}
