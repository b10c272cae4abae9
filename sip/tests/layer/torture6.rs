//! RFC 5118: the 12 messages with IPv6 addresses. All but one must be read, and that one names the Request-URI.

use sip::{Framed, Host, Kind, Limits, Message, Request, Verdict, frame};

use crate::data::{torture6 as read, torture6_as_printed, torture6_names};

fn request(file: &str) -> Request {
    let limits = Limits::default();
    let Ok(Framed::Message(raw)) = frame::datagram(read(file).into(), &limits) else { panic!("{file}") };
    match sip::validate(raw, &limits) {
        Ok(Message::Request(request)) => request,
        other => panic!("{file}: {other:?}"),
    }
}

fn v6(text: &str) -> Option<Host<'static>> {
    Some(Host::V6(text.parse().unwrap()))
}

#[test]
fn all_but_ipv6_bad_are_read() {
    let names = torture6_names();
    assert_eq!(names.len(), 12);
    names.iter().filter(|name| *name != "ipv6-bad").for_each(|name| drop(request(name)));
}

#[test]
fn an_ipv6_address_without_brackets_in_the_request_uri_is_400() {
    let limits = Limits::default();
    let Ok(Framed::Message(raw)) = frame::datagram(read("ipv6-bad").into(), &limits) else { panic!() };
    let invalid = sip::validate(raw, &limits).unwrap_err();
    assert_eq!(invalid.kind, Kind::BadUri);
    assert!(matches!(invalid.verdict(), Verdict::Answer { status: 400, .. }));
}

#[test]
fn a_port_inside_the_brackets_is_part_of_the_address() {
    let ambiguous = request("port-ambiguous").uri();
    assert_eq!((ambiguous.host(), ambiguous.port()), (v6("2001:db8::10:5070"), None));
    let unambiguous = request("port-unambiguous").uri();
    assert_eq!((unambiguous.host(), unambiguous.port()), (v6("2001:db8::10"), Some(5070)));
}

#[test]
fn received_is_read_with_and_without_brackets() {
    for file in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        assert_eq!(request(file).top_via().received(), "2001:db8::9:255".parse().ok(), "{file}");
    }
}

#[test]
fn both_families_stand_side_by_side_in_the_vias() {
    let request = request("mult-ip-in-header");
    let hosts: Vec<_> = request.vias().map(|via| via.sent_by()).collect();
    assert_eq!(hosts, ["[2001:db8::9:1]:6050", "192.0.2.1", "[2001:db8::9:255]"]);
}

#[test]
fn an_ipv4_mapped_address_is_read_in_via_and_contact() {
    let request = request("ipv4-mapped-ipv6");
    assert_eq!(request.top_via().host(), v6("::ffff:192.0.2.10").unwrap());
    assert_eq!(request.top_via().port(), Some(19823));
    let Some(Ok(sip::Contact::Address(contact))) = request.contacts().next() else { panic!() };
    assert_eq!(contact.uri().unwrap().host(), v6("::ffff:192.0.2.2"));
}

#[test]
fn the_third_colon_of_rfc_3261s_grammar_means_what_two_mean() {
    let (bug, right) = (request("ipv6-bug-abnf-3-colons").uri(), request("ipv6-correct-abnf-2-colons").uri());
    assert_eq!(bug.host(), v6("2001:db8::192.0.2.1"));
    assert_eq!(bug.host(), right.host());
    assert!(bug.equivalent(&right));
}

#[test]
fn bodies_with_sdp_pass_as_they_are() {
    for (file, octets) in [("ipv6-in-sdp", 251), ("mult-ip-in-sdp", 189), ("ipv4-mapped-ipv6", 245)] {
        assert_eq!(request(file).body().len(), octets, "{file}");
    }
}

#[test]
fn ipv6_in_sdp_as_printed_is_cut_short() {
    let invalid = frame::datagram(torture6_as_printed("ipv6-in-sdp").into(), &Limits::default()).unwrap_err();
    assert_eq!(invalid.kind, Kind::BodyTruncated);
}
