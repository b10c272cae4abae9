//! The two requests a client transaction makes out of the one it sent: the ACK for a 300-699 (RFC 3261
//! §17.1.1.3) and the CANCEL (§9.1). Both go hop by hop, with the branch of the request itself.

use bytes::Bytes;

/// The ACK for a final response other than 2xx. `head` is the head of the INVITE as it was sent, `to` the
/// value of the To field of the response.
pub fn ack(head: &[u8], to: &[u8]) -> Bytes {
    hop_by_hop(head, b"ACK", Some(to))
}

/// The CANCEL of a request. `head` is the head of that request as it was sent.
pub fn cancel(head: &[u8]) -> Bytes {
    hop_by_hop(head, b"CANCEL", None)
}

fn hop_by_hop(head: &[u8], method: &[u8], to: Option<&[u8]>) -> Bytes {
    let (line, rest) = grammar::split_once(head, |b| b == b'\n').unwrap_or((head, &[]));
    let (_, uri_and_version) = grammar::split_once(line, |b| b == b' ').unwrap_or((&[], line));
    let sent = Sent::read(rest);
    let mut out = Vec::with_capacity(head.len().min(1024));
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(grammar::trim(uri_and_version));
    out.extend_from_slice(b"\r\n");
    put(&mut out, b"Via", sent.via);
    for route in grammar::fields(rest).filter(|field| field.is(b"Route")) {
        put(&mut out, b"Route", route.value);
    }
    put(&mut out, b"Max-Forwards", b"70");
    put(&mut out, b"From", sent.from);
    put(&mut out, b"To", to.unwrap_or(sent.to));
    put(&mut out, b"Call-ID", sent.call_id);
    put(&mut out, b"CSeq", &[sent.cseq, b" ", method].concat());
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    out.into()
}

fn put(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The values of the sent request that both copy.
#[derive(Default)]
struct Sent<'a> {
    via: &'a [u8],
    from: &'a [u8],
    to: &'a [u8],
    call_id: &'a [u8],
    /// The number alone.
    cseq: &'a [u8],
}

impl<'a> Sent<'a> {
    fn read(fields: &'a [u8]) -> Self {
        let mut sent = Self::default();
        for field in grammar::fields(fields) {
            let named = |long: &[u8], short: &[u8]| field.is(long) || field.is(short);
            if sent.via.is_empty() && named(b"Via", b"v") {
                sent.via = grammar::split_commas(field.value).next().unwrap_or_default();
            } else if named(b"From", b"f") {
                sent.from = field.value;
            } else if named(b"To", b"t") {
                sent.to = field.value;
            } else if named(b"Call-ID", b"i") {
                sent.call_id = field.value;
            } else if field.is(b"CSeq") {
                sent.cseq = grammar::split_once(field.value, grammar::is_lws).map_or(field.value, |(n, _)| n);
            }
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:bob@example.com SIP/2.0\r\n\
        v: SIP/2.0/UDP p.example.com;branch=z9hG4bK1, SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b\r\n\
        Route: <sip:e1;lr>\r\nRoute: <sip:e2;lr>\r\nf: <sip:a@b>;tag=1\r\nTo: <sip:bob@example.com>\r\n\
        Call-ID: x\r\nCSeq: 7  INVITE\r\nContact: <sip:a@h>\r\nContent-Length: 3\r\n\r\n";

    #[test]
    fn the_ack_has_the_top_via_the_routes_and_the_to_of_the_response() {
        let expected = "ACK sip:bob@example.com SIP/2.0\r\n\
            Via: SIP/2.0/UDP p.example.com;branch=z9hG4bK1\r\nRoute: <sip:e1;lr>\r\nRoute: <sip:e2;lr>\r\n\
            Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:bob@example.com>;tag=9\r\nCall-ID: x\r\n\
            CSeq: 7 ACK\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(ack(INVITE, b"<sip:bob@example.com>;tag=9"), expected);
    }

    #[test]
    fn the_cancel_keeps_the_to_of_the_request() {
        let cancel = cancel(INVITE);
        assert!(cancel.starts_with(b"CANCEL sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP p.example.com;"));
        assert!(cancel.windows(30).any(|w| w == b"To: <sip:bob@example.com>\r\nCal"));
        assert!(cancel.windows(16).any(|w| w == b"CSeq: 7 CANCEL\r\n"));
    }
}
