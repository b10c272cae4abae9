//! rsip beside our reader, on every message that rsip can read at all.

use bytes::Bytes;
use sip::{Framed, HeaderId, Limits, Message, Request, Response, Uri, VocabularyError, frame};

use crate::data::{example, example_names, torture, torture_names};

fn ours(octets: &[u8]) -> Option<Message> {
    let limits = Limits::default();
    match frame::datagram(Bytes::copy_from_slice(octets), &limits) {
        Ok(Framed::Message(raw)) => sip::validate(raw, &limits).ok(),
        _ => None,
    }
}

/// How a comparison ended, to know that it was made.
#[derive(Default, Debug)]
struct Tally {
    compared: usize,
    rsip_refused: usize,
    we_refused: Vec<String>,
    body_differs: Vec<String>,
    uri_differs: Vec<String>,
    no_counterpart: Vec<String>,
}

fn compare(name: &str, octets: &[u8], tally: &mut Tally) {
    let Ok(theirs) = rsip::SipMessage::try_from(octets) else {
        tally.rsip_refused += 1;
        return;
    };
    let Some(ours) = ours(octets) else {
        tally.we_refused.push(name.to_owned());
        return;
    };
    let ours = match &ours {
        Message::Request(request) => rsip::Request::try_from(request).map(rsip::SipMessage::from),
        Message::Response(response) => rsip::Response::try_from(response).map(rsip::SipMessage::from),
    };
    let Ok(ours) = ours else {
        tally.no_counterpart.push(name.to_owned());
        return;
    };
    tally.compared += 1;
    match (&ours, &theirs) {
        (rsip::SipMessage::Request(a), rsip::SipMessage::Request(b)) => {
            assert_eq!((&a.method, &a.version), (&b.method, &b.version), "{name}");
            assert_eq!(list(&a.headers), list(&b.headers), "{name}");
            if a.body != b.body {
                tally.body_differs.push(name.to_owned());
            }
            if a.uri != b.uri {
                tally.uri_differs.push(name.to_owned());
            }
        }
        (rsip::SipMessage::Response(a), rsip::SipMessage::Response(b)) => {
            assert_eq!((&a.status_code, &a.version), (&b.status_code, &b.version), "{name}");
            assert_eq!(list(&a.headers), list(&b.headers), "{name}");
            assert_eq!(a.body, b.body, "{name}");
        }
        _ => panic!("{name}: one is a request"),
    }
}

/// Names in their long form (rsip knows no compact ones), values as they are.
fn list(headers: &rsip::Headers) -> Vec<String> {
    let long = |header: &rsip::Header| {
        let header = header.to_string();
        let (name, value) = header.split_once(':').unwrap();
        let name = match HeaderId::of(name.as_bytes()) {
            HeaderId::Other => name,
            known => known.name(),
        };
        format!("{name}:{}", value.trim_end())
    };
    headers.iter().map(long).collect()
}

#[test]
fn both_read_the_examples_alike() {
    let mut tally = Tally::default();
    for name in example_names() {
        compare(&name, &example(&name), &mut tally);
    }
    assert!(tally.we_refused.is_empty(), "{tally:?}");
    assert!(tally.uri_differs.is_empty() && tally.body_differs.is_empty(), "{tally:?}");
    assert!(tally.no_counterpart.is_empty(), "{tally:?}");
    // rsip refuses folded headers.
    assert_eq!((tally.compared, tally.rsip_refused), (45, 19));
}

#[test]
fn both_read_the_torture_messages_alike_where_rsip_reads_them() {
    let mut tally = Tally::default();
    for name in torture_names() {
        compare(&name, &torture(&name), &mut tally);
    }
    // What we refuse is refused by RFC 4475, and rsip alone would let it through.
    let refused =
        "badaspec baddn badinv01 clerr insuf ltgtruri mcl01 mismatch01 multi01 ncl quotbal regbadct scalarlg";
    assert_eq!(tally.we_refused.join(" "), refused);
    // rsip reads the second request of the datagram as the body of the first.
    assert_eq!(tally.body_differs, ["dblreq"]);
    assert_eq!(tally.no_counterpart, ["novelsc"]);
    assert!(tally.uri_differs.is_empty(), "{tally:?}");
    assert_eq!((tally.compared, tally.rsip_refused), (20, 15));
}

#[test]
fn messages_go_to_rsip_and_back() {
    for name in example_names() {
        match ours(&example(&name)).unwrap() {
            Message::Request(request) => {
                let theirs = rsip::Request::try_from(&request).unwrap();
                let back = Request::try_from(&theirs).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(back.method(), request.method(), "{name}");
                assert!(back.uri().equivalent(&request.uri()), "{name}");
                assert_eq!(back.body(), request.body(), "{name}");
                assert_eq!((back.call_id(), back.cseq()), (request.call_id(), request.cseq()), "{name}");
                assert_eq!(rsip::Request::try_from(&back).unwrap().body, theirs.body, "{name}");
            }
            Message::Response(response) => {
                let theirs = rsip::Response::try_from(&response).unwrap();
                let back = Response::try_from(&theirs).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!((back.status(), back.body()), (response.status(), response.body()), "{name}");
                assert_eq!(back.header(HeaderId::To).is_some(), response.header(HeaderId::To).is_some());
            }
        }
    }
}

#[test]
fn uris_go_to_rsip_and_back() {
    for text in
        ["sip:john.q@example.com:5070;transport=tcp;lr;x=y", "sips:a:pw@[2001:db8::1]:5061", "sip:192.0.2.1"]
    {
        let uri: Uri = text.parse().unwrap();
        let theirs = rsip::Uri::try_from(&uri).unwrap();
        assert!(Uri::try_from(&theirs).unwrap().equivalent(&uri), "{text}");
    }
    let fails = |text: &str| rsip::Uri::try_from(&text.parse::<Uri>().unwrap()).unwrap_err();
    assert_eq!(fails("tel:+1"), VocabularyError::Scheme);
    assert_eq!(fails("sip:a@h?x=y"), VocabularyError::UriHeaders);
    assert_eq!(fails("sip:a@h;transport=quic"), VocabularyError::Transport);
    assert_eq!(fails("sip:a@h;method=FOO"), VocabularyError::Method);
}
