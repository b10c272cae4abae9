//! The 49 messages of RFC 4475, each sent as it is over UDP and over TCP. The comments name the section.

use crate::harness::data;
use crate::verdict::Verdict::{Answer, AnswerAndClose, AnswerAtEnd, Delivered, Silence};
use crate::verdict::verdicts;

const USER: Option<&str> = Some("sip:user@example.com");

fn read(name: &str) -> Vec<u8> {
    data(&format!("torture/{name}.dat"))
}

verdicts! {
    read;
    // Valid: 3.1.1.1 to 3.1.1.13.
    wsinv "wsinv" Some("sip:vivekg@chair-dnrc.example.com"), Delivered, Delivered;
    intmeth "intmeth" Some("sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com"), Delivered, Delivered;
    esc01 "esc01" Some("sip:sips%3Auser%40example.com@example.net"), Delivered, Delivered;
    escnull "escnull" None, Answer(200, "OK"), Answer(200, "OK");
    esc02 "esc02" None, Answer(501, "Not Implemented"), Answer(501, "Not Implemented");
    lwsdisp "lwsdisp" USER, Delivered, Delivered;
    longreq "longreq" USER, Delivered, Delivered;
    semiuri "semiuri" Some("sip:user;par=u%40example.net@example.com"), Delivered, Delivered;
    transports "transports" USER, Delivered, Delivered;
    unreason "unreason" None, Silence, Silence;
    noreason "noreason" None, Silence, Silence;
    // Invalid: 3.1.2.1 to 3.1.2.19.
    badinv01 "badinv01" USER, Answer(400, "Bad Via Header"), Answer(400, "Bad Via Header");
    clerr "clerr" USER, Answer(400, "Body Shorter Than Content-Length"),
        AnswerAtEnd(400, "Body Shorter Than Content-Length");
    ncl "ncl" USER, Answer(400, "Bad Content-Length"), AnswerAndClose(400, "Bad Content-Length");
    scalar02 "scalar02" None, Answer(400, "Bad CSeq Header"), Answer(400, "Bad CSeq Header");
    scalarlg "scalarlg" None, Silence, Silence;
    quotbal "quotbal" USER, Answer(400, "Bad To Header"), Answer(400, "Bad To Header");
    ltgtruri "ltgtruri" USER, Answer(400, "Bad Request-URI"), Answer(400, "Bad Request-URI");
    lwsruri "lwsruri" USER, Answer(400, "Bad Request-URI"), Answer(400, "Bad Request-URI");
    lwsstart "lwsstart" USER, Answer(400, "Bad Request-URI"), Answer(400, "Bad Request-URI");
    trws "trws" USER, Answer(400, "Bad Request Line"), Answer(400, "Bad Request Line");
    escruri "escruri" USER, Answer(400, "Request-URI With Headers"), Answer(400, "Request-URI With Headers");
    // A Date that nobody here needs is no reason to refuse.
    baddate "baddate" USER, Delivered, Delivered;
    regbadct "regbadct" None, Answer(400, "Bad Contact Header"), Answer(400, "Bad Contact Header");
    badaspec "badaspec" USER, Answer(400, "Bad To Header"), Answer(400, "Bad To Header");
    badvers "badvers" USER, Answer(505, "Version Not Supported"), Answer(505, "Version Not Supported");
    mismatch01 "mismatch01" USER, Answer(400, "CSeq Method Differs"), Answer(400, "CSeq Method Differs");
    // The RFC has 501 or 400 for it.
    mismatch02 "mismatch02" USER, Answer(400, "CSeq Method Differs"), Answer(400, "CSeq Method Differs");
    bigcode "bigcode" None, Silence, Silence;
    // Transaction layer: 3.2.1. The client is taken for one of RFC 2543.
    badbranch "badbranch" USER, Delivered, Delivered;
    // Application layer: 3.3.1 to 3.3.15.
    insuf "insuf" USER, Answer(400, "Missing From Header"), Answer(400, "Missing From Header");
    unkscm "unkscm" USER, Answer(416, "Unsupported URI Scheme"), Answer(416, "Unsupported URI Scheme");
    novelsc "novelsc" USER, Answer(416, "Unsupported URI Scheme"), Answer(416, "Unsupported URI Scheme");
    unksm2 "unksm2" None, Answer(400, "To Is No SIP URI"), Answer(400, "To Is No SIP URI");
    bext01 "bext01" USER, Answer(420, "Bad Extension"), Answer(420, "Bad Extension");
    invut "invut" USER, Delivered, Delivered;
    // Nobody has a password here, so that an unknown scheme is ignored.
    regaut01 "regaut01" None, Answer(200, "OK"), Answer(200, "OK");
    multi01 "multi01" USER, Answer(400, "Repeated CSeq Header"), Answer(400, "Repeated CSeq Header");
    mcl01 "mcl01" USER,
        Answer(400, "Repeated Content-Length Header"), AnswerAndClose(400, "Repeated Content-Length Header");
    bcast "bcast" None, Silence, Silence;
    zeromf "zeromf" USER, Answer(483, "Too Many Hops"), Answer(483, "Too Many Hops");
    cparam01 "cparam01" None, Answer(200, "OK"), Answer(200, "OK");
    cparam02 "cparam02" None, Answer(200, "OK"), Answer(200, "OK");
    regescrt "regescrt" None, Answer(200, "OK"), Answer(200, "OK");
    sdp01 "sdp01" USER, Delivered, Delivered;
    // RFC 2543: 3.4.1. A stream needs the Content-Length that it lacks (RFC 3261 §20.14).
    inv2543 "inv2543" Some("sip:UserB@example.com"),
        Delivered, AnswerAndClose(400, "Missing Content-Length");
}

/// 3.1.2.15, whose file ends before the empty line behind the head: the line is put there.
#[test]
fn baddn() {
    let octets = [read("baddn"), b"\r\n".to_vec()].concat();
    let refused = Answer(400, "Bad From Header");
    crate::verdict::Case { octets, user: USER, udp: refused, tcp: refused }.check();
}

/// 3.1.1.8: in a datagram what stands behind the REGISTER is ignored. On a stream it is the next request; what stands
/// behind its 150 octets of body is noise, and is cut off here.
#[test]
fn dblreq() {
    let octets = read("dblreq");
    let stream = octets.strip_suffix(b"C\r\n\r\n").unwrap().to_vec();
    for (transport, octets) in [("UDP", octets), ("TCP", stream)] {
        let ok = Answer(200, "OK");
        crate::verdict::Case { octets, user: None, udp: ok, tcp: ok }.check_over(transport, ok);
    }
}

/// 3.1.1.11, whose Route names a proxy on the loopback; here it is left out, since that proxy does not run.
#[test]
fn mpart01() {
    let octets = without_line(&read("mpart01"), b"Route: ");
    let user = Some("sip:kumiko@example.org");
    crate::verdict::Case { octets, user, udp: Delivered, tcp: Delivered }.check();
}

fn without_line(octets: &[u8], start: &[u8]) -> Vec<u8> {
    let at = octets.windows(start.len()).position(|text| text == start).unwrap();
    let length = octets[at..].iter().position(|&b| b == b'\n').unwrap() + 1;
    [&octets[..at], &octets[at + length..]].concat()
}
