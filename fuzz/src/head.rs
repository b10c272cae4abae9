//! Heads: what is valid goes out as it came, comes back from every change as a message of ours, and what is not
//! valid has a verdict and an answer.

use bytes::Bytes;
use sip::{Framed, Limits, Message, Outgoing, Request, ResponseBuilder, Verdict, frame};

/// A datagram.
pub fn run(data: &[u8]) {
    let limits = Limits::default();
    let raw = match frame::datagram(Bytes::copy_from_slice(data), &limits) {
        Ok(Framed::Message(raw)) => raw,
        Ok(_) => return,
        Err(invalid) => return refused(&invalid),
    };
    let octets = raw.octets().clone();
    match sip::validate(raw, &limits) {
        Err(invalid) => refused(&invalid),
        Ok(Message::Response(response)) => {
            assert!((100..700).contains(&response.status()));
            changed(&Outgoing::from(&response), &octets);
        }
        Ok(Message::Request(request)) => {
            assert_eq!(request.cseq().method, request.method());
            read(&request);
            changed(&Outgoing::from(&request), &octets);
            sent(&ResponseBuilder::to_request(&request, 200, "OK").build());
        }
    }
}

fn refused(invalid: &sip::Invalid) {
    if let Verdict::Answer { status, reason, .. } = invalid.verdict() {
        let answer = ResponseBuilder::to_request(invalid, status, &reason).encode();
        assert_eq!(answer.status(), Some(status));
    }
}

fn read(request: &Request) {
    let uri = request.uri();
    assert_eq!(uri.as_bytes(), request.uri_octets());
    assert!(uri.equivalent(&uri.detached()));
    for contact in request.contacts().flatten() {
        if let sip::Contact::Address(address) = contact {
            let aor = address.uri().map(|uri| uri.aor()).unwrap_or_default();
            assert!(aor.is_ascii());
            address.display_name();
            address.params().for_each(drop);
        }
    }
    assert!(request.vias().count() <= 70);
}

fn changed(untouched: &Outgoing, octets: &Bytes) {
    assert_eq!(untouched.encode().to_bytes(), octets);
    let mut pushed = untouched.clone();
    pushed.push_via("SIP/2.0/UDP us;branch=z9hG4bKu");
    sent(&pushed);
    pushed.pop_via();
    assert_eq!(pushed.encode().to_bytes(), octets);
    let mut changed = untouched.clone();
    changed.stamp_received(([192, 0, 2, 1], 5060).into());
    changed.set_max_forwards(3);
    changed.set_body(Bytes::from_static(b"new"));
    changed.push_record_route("<sip:us;lr>");
    changed.pop_route();
    sent(&changed);
}

/// What we send we can read, and its body is the one we gave it.
fn sent(outgoing: &Outgoing) {
    let encoded = outgoing.encode();
    assert_eq!(outgoing.head_len(), encoded.head.len());
    let limits = Limits {
        vias: 1000,
        head: 1 << 20,
        line_octets: 1 << 20,
        lines: 1000,
        params: 100,
        ..Limits::default()
    };
    match frame::datagram(encoded.to_bytes(), &limits) {
        Ok(Framed::Message(raw)) => {
            assert_eq!(raw.body(), encoded.body);
            let valid = sip::validate(raw, &limits);
            assert!(valid.is_ok(), "{valid:?}");
        }
        other => panic!("{other:?}"),
    }
}
