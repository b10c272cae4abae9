//! The 12 messages of RFC 5118 over UDP and over TCP. The server is `[2001:db8::10]` to them.

use crate::harness::data;
use crate::verdict::Verdict::{Answer, AnswerAtEnd, Delivered};
use crate::verdict::verdicts;

const USER: Option<&str> = Some("sip:user@[2001:db8::10]");

/// The message, with the Content-Length its body has: three of them are printed with another.
fn read(name: &str) -> Vec<u8> {
    let printed = String::from_utf8(data(&format!("torture6/{name}.dat"))).unwrap();
    let (head, body) = printed.split_once("\r\n\r\n").unwrap();
    let (before, after) = head.split_once("Content-Length: ").unwrap();
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}Content-Length: {}{after}\r\n\r\n{body}", body.len()).into_bytes()
}

verdicts! {
    read;
    // 4.1 to 4.4. Where the port was put into the brackets another host is meant, and where a port stands behind
    // them another socket: both are elsewhere, and nobody may have requests relayed to there.
    ipv6_good "ipv6-good" None, Answer(200, "OK"), Answer(200, "OK");
    ipv6_bad "ipv6-bad" None, Answer(400, "Bad Request-URI"), Answer(400, "Bad Request-URI");
    port_ambiguous "port-ambiguous" None, Answer(403, "Forbidden"), Answer(403, "Forbidden");
    port_unambiguous "port-unambiguous" None, Answer(403, "Forbidden"), Answer(403, "Forbidden");
    // 4.5: a BYE for no user of ours, an OPTIONS for ourselves.
    via_received_param_with_delim "via-received-param-with-delim" None,
        Answer(404, "Not Found"), Answer(404, "Not Found");
    via_received_param_no_delim "via-received-param-no-delim" None, Answer(200, "OK"), Answer(200, "OK");
    // 4.6 to 4.9.
    ipv6_in_sdp "ipv6-in-sdp" USER, Delivered, Delivered;
    mult_ip_in_header "mult-ip-in-header" None, Answer(403, "Forbidden"), Answer(403, "Forbidden");
    mult_ip_in_sdp "mult-ip-in-sdp" USER, Delivered, Delivered;
    ipv4_mapped_ipv6 "ipv4-mapped-ipv6" Some("sip:user@example.com"), Delivered, Delivered;
    // 4.10: the third colon is no syntax error; that host is not ours.
    ipv6_bug_abnf_3_colons "ipv6-bug-abnf-3-colons" None, Answer(403, "Forbidden"), Answer(403, "Forbidden");
    ipv6_correct_abnf_2_colons "ipv6-correct-abnf-2-colons" None, Answer(403, "Forbidden"), Answer(403, "Forbidden");
}

#[test]
fn ipv6_in_sdp_as_printed_is_cut_short() {
    const SHORT: &str = "Body Shorter Than Content-Length";
    let octets = data("torture6/ipv6-in-sdp.dat");
    crate::verdict::Case { octets, user: None, udp: Answer(400, SHORT), tcp: AnswerAtEnd(400, SHORT) }
        .check();
}
