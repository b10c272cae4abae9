//! A MESSAGE as it is kept: what the sender wrote, octet for octet, without what belongs to the way it came.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::SystemTime;

use bytes::Bytes;
use sip::{Framed, HeaderId, Limits, Message, Outgoing, Request};

/// Hops given to a request that came without Max-Forwards (RFC 3261 §16.6 step 3).
const MAX_FORWARDS: u32 = 70;

/// The mark of a message that was kept, on top where its Vias were: a message needs one to be read.
const VIA: &str = "SIP/2.0/UDP offline.invalid;branch=z9hG4bK-kept";

/// Our own octets, read back: no limit that may be another one by now holds for them.
const LIMITS: Limits = Limits {
    head: usize::MAX,
    lines: usize::MAX,
    line_octets: usize::MAX,
    vias: usize::MAX,
    params: usize::MAX,
    body: usize::MAX,
    buffered: usize::MAX,
};

/// The octets to keep. What is of the hop that brought it goes: Via, Route, Record-Route, the credentials
/// for a proxy, Max-Breadth. Max-Forwards stays, so that a message which is kept, delivered and comes back
/// here ends some time. Date is added if there is none, since Expires and the reader count from it.
pub(crate) fn pack(request: &Request, arrived: SystemTime) -> Bytes {
    let mut outgoing = Outgoing::from(request);
    for id in [
        HeaderId::Via,
        HeaderId::Route,
        HeaderId::RecordRoute,
        HeaderId::ProxyAuthorization,
        HeaderId::MaxBreadth,
    ] {
        outgoing.remove(id);
    }
    outgoing.push_via(VIA);
    if request.max_forwards().is_none() {
        outgoing.set_max_forwards(MAX_FORWARDS);
    }
    if request.header(HeaderId::Date).is_none() {
        outgoing.append(HeaderId::Date, httpdate::fmt_http_date(arrived));
    }
    outgoing.encode().to_bytes()
}

/// Reads back what [`pack`] made.
pub(crate) fn unpack(octets: Bytes) -> Option<Request> {
    let Ok(Framed::Message(raw)) = sip::frame::datagram(octets, &LIMITS) else { return None };
    match sip::validate(raw, &LIMITS) {
        Ok(Message::Request(request)) => Some(request),
        _ => None,
    }
}

/// The same for a request and its repetition, whichever way they came: Call-ID, CSeq, From tag.
pub(crate) fn fingerprint(request: &Request) -> u64 {
    // Fixed keys: the value outlives the process. Who finds a collision hides a message of his own.
    let mut hash = DefaultHasher::new();
    request.call_id().hash(&mut hash);
    request.cseq().number.hash(&mut hash);
    request.from_tag().hash(&mut hash);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;

    #[test]
    fn what_was_kept_has_the_senders_octets_and_nothing_of_its_way() {
        let text = "MESSAGE sip:john@example.com SIP/2.0\r\nVia: SIP/2.0/UDP below;branch=z9hG4bKx\r\n\
                    Route: <sip:us;lr>\r\nProxy-Authorization: Digest x\r\nMax-Breadth: 60\r\nsubject:  Odd\r\n\
                    Max-Forwards: 9\r\nContent-Type: image/gif\r\n";
        let packed = pack(&request(text, b"\0\xff\r\n"), SystemTime::UNIX_EPOCH);
        let kept = unpack(packed.clone()).unwrap();
        assert_eq!((kept.call_id(), &kept.body()[..]), (&b"test@192.0.2.33"[..], &b"\0\xff\r\n"[..]));
        assert_eq!((kept.max_forwards(), kept.vias().count()), (Some(9), 1));
        assert_eq!(kept.header(HeaderId::Date), Some(&b"Thu, 01 Jan 1970 00:00:00 GMT"[..]));
        for gone in [HeaderId::Route, HeaderId::ProxyAuthorization, HeaderId::MaxBreadth] {
            assert_eq!(kept.header(gone), None);
        }
        assert!(packed.windows(15).any(|window| window == b"subject:  Odd\r\n"));
    }

    #[test]
    fn a_date_and_hops_that_are_there_stay() {
        let text = "MESSAGE sip:a@b SIP/2.0\r\nDate: Sun, 09 Sep 2001 01:46:40 GMT\r\n";
        let kept = unpack(pack(&request(text, b""), SystemTime::UNIX_EPOCH)).unwrap();
        assert_eq!(kept.header(HeaderId::Date), Some(&b"Sun, 09 Sep 2001 01:46:40 GMT"[..]));
        assert_eq!(kept.max_forwards(), Some(70));
    }

    #[test]
    fn a_repetition_has_the_same_fingerprint_and_another_message_another() {
        let of = |text: &str| fingerprint(&request(text, b""));
        let first = of("MESSAGE sip:a@b SIP/2.0\r\n");
        assert_eq!(first, of("MESSAGE sip:a@b SIP/2.0\r\nSubject: x\r\n"));
        assert_ne!(first, of("OPTIONS sip:a@b SIP/2.0\r\n").wrapping_add(1));
    }
}
