//! What a proxy changes in a message, and that the rest goes out as it came.

use bytes::Bytes;
use sip::{Framed, HeaderId, Limits, Message, Outgoing, Request, ResponseBuilder, frame};

const REQUEST: &str = "MESSAGE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP edge.example.net;branch=z9hG4bKe;rport , SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKp\r\n\
    v: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bKq\r\n\
    rOUTE: <sip:p1.example.com;lr> ,\r\n  <sip:p2.example.com;lr>;x=\"a,b\",  <sip:p3.example.com;lr>\r\n\
    Route: <sip:p4.example.com;lr>\r\n\
    Max-Forwards:  70\r\n\
    X-Weird :   é;;,,\r\n\tfolded\r\n\
    From: <sip:alice@example.net>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: x\r\nCSeq: 1 MESSAGE\r\n\
    c: text/plain\r\nl: 5\r\n\r\nhello";

fn read(octets: impl Into<Bytes>) -> Request {
    let limits = Limits::default();
    let Ok(Framed::Message(raw)) = frame::datagram(octets.into(), &limits) else { panic!() };
    let Ok(Message::Request(request)) = sip::validate(raw, &limits) else { panic!() };
    request
}

fn request() -> Request {
    read(REQUEST)
}

fn text(outgoing: &Outgoing) -> String {
    let encoded = outgoing.encode();
    assert_eq!(outgoing.head_len(), encoded.head.len());
    String::from_utf8(encoded.to_bytes().to_vec()).unwrap()
}

/// What `change` makes of the request, as `(line before, line after)` of all lines that differ.
fn changed(change: impl FnOnce(&mut Outgoing)) -> String {
    let mut outgoing = Outgoing::from(&request());
    change(&mut outgoing);
    text(&outgoing)
}

#[test]
fn nothing_changed_is_nothing_copied() {
    let request = request();
    let encoded = Outgoing::from(&request).encode();
    assert_eq!(encoded.to_bytes(), REQUEST);
    assert_eq!(encoded.head.as_ptr(), request.raw().octets().as_ptr());
}

#[test]
fn push_via_then_pop_via_is_identity() {
    let out = changed(|o| {
        o.push_via("SIP/2.0/UDP us;branch=z9hG4bKu");
        o.push_via("SIP/2.0/UDP us2;branch=z9hG4bKu");
        assert!(o.pop_via() && o.pop_via());
    });
    assert_eq!(out, REQUEST);
}

#[test]
fn a_pushed_via_stands_on_top_and_the_rest_is_untouched() {
    let out = changed(|o| o.push_via("SIP/2.0/UDP us;branch=z9hG4bKu"));
    assert_eq!(out, REQUEST.replacen("Via:", "Via: SIP/2.0/UDP us;branch=z9hG4bKu\r\nVia:", 1));
}

#[test]
fn pop_via_takes_one_value_of_a_list_and_leaves_the_rest_of_its_line() {
    let out = changed(|o| assert!(o.pop_via()));
    let first = "SIP/2.0/UDP edge.example.net;branch=z9hG4bKe;rport , ";
    assert_eq!(out, REQUEST.replacen(first, "", 1));
    let out = changed(|o| assert!(o.pop_via() && o.pop_via()));
    assert!(out.starts_with("MESSAGE sip:bob@example.com SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.8;"));
    changed(|o| assert!(o.pop_via() && o.pop_via() && o.pop_via() && !o.pop_via()));
}

#[test]
fn pop_route_takes_one_value_and_keeps_name_and_order() {
    let routes = |o: &Outgoing| {
        o.values(HeaderId::Route).map(|r| String::from_utf8(r.to_vec()).unwrap()).collect::<Vec<_>>()
    };
    let mut outgoing = Outgoing::from(&request());
    assert!(outgoing.pop_route());
    assert!(text(&outgoing).contains(
        "\r\nrOUTE: <sip:p2.example.com;lr>;x=\"a,b\",  <sip:p3.example.com;lr>\r\nRoute: <sip:p4"
    ));
    assert_eq!(outgoing.pop_last_route().as_deref(), Some(&b"<sip:p4.example.com;lr>"[..]));
    assert_eq!(outgoing.pop_last_route().as_deref(), Some(&b"<sip:p3.example.com;lr>"[..]));
    assert_eq!(routes(&outgoing), ["<sip:p2.example.com;lr>;x=\"a,b\""]);
    assert!(outgoing.pop_route() && !outgoing.pop_route());
    outgoing.push_route_front("<sip:a;lr>");
    outgoing.push_route_front("<sip:b;lr>");
    assert_eq!(routes(&outgoing), ["<sip:b;lr>", "<sip:a;lr>"]);
    assert!(
        text(&outgoing).contains(
            "v: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bKq\r\nRoute: <sip:b;lr>\r\nRoute: <sip:a;lr>\r\n"
        )
    );
}

#[test]
fn record_route_and_path_go_in_front() {
    let out = changed(|o| {
        o.push_record_route("<sip:one;lr>");
        o.push_record_route("<sip:two;lr>");
        o.push_path("<sip:path;lr>");
    });
    let two = out.find("Record-Route: <sip:two;lr>").unwrap();
    assert!(two < out.find("Record-Route: <sip:one;lr>").unwrap());
    assert!(out.contains("Path: <sip:path;lr>\r\n"));
}

#[test]
fn request_uri_and_max_forwards_change_in_place() {
    let out = changed(|o| {
        o.set_request_uri("sip:bob@192.0.2.4:5070;transport=tcp");
        o.set_max_forwards(69);
        assert_eq!(o.request_uri(), b"sip:bob@192.0.2.4:5070;transport=tcp");
    });
    let expected = REQUEST
        .replacen("sip:bob@example.com SIP", "sip:bob@192.0.2.4:5070;transport=tcp SIP", 1)
        .replacen("Max-Forwards:  70", "Max-Forwards: 69", 1);
    assert_eq!(out, expected);
}

#[test]
fn a_missing_max_forwards_is_added_behind_the_vias() {
    let request = read(REQUEST.replacen("Max-Forwards:  70\r\n", "", 1));
    let mut outgoing = Outgoing::from(&request);
    outgoing.set_max_forwards(70);
    assert!(text(&outgoing).contains("branch=z9hG4bKq\r\nMax-Forwards: 70\r\nrOUTE"));
}

#[test]
fn content_length_follows_the_body_under_the_name_it_had() {
    let out = changed(|o| o.set_body(Bytes::from_static(b"a longer body")));
    assert_eq!(
        out,
        REQUEST.replacen("l: 5", "l: 13", 1).replacen("\r\n\r\nhello", "\r\n\r\na longer body", 1)
    );
    let out = changed(|o| o.set_body(Bytes::new()));
    assert!(out.ends_with("l: 0\r\n\r\n"));
}

#[test]
fn a_missing_content_length_is_added_once_something_changes() {
    let without = REQUEST.replacen("l: 5\r\n", "", 1);
    let mut outgoing = Outgoing::from(&read(without.clone()));
    assert_eq!(text(&outgoing), without);
    outgoing.set_max_forwards(1);
    assert!(text(&outgoing).ends_with("c: text/plain\r\nContent-Length: 5\r\n\r\nhello"));
}

#[test]
fn a_padded_content_length_stays_until_the_body_changes() {
    let mut outgoing = Outgoing::from(&read(REQUEST.replacen("l: 5", "l: 05", 1)));
    outgoing.set_max_forwards(1);
    assert!(text(&outgoing).contains("l: 05\r\n"));
    outgoing.set_body(Bytes::from_static(b"hi"));
    assert!(text(&outgoing).ends_with("c: text/plain\r\nl: 2\r\n\r\nhi"));
}

#[test]
fn octets_behind_content_length_are_not_forwarded() {
    let mut outgoing = Outgoing::from(&read(format!("{REQUEST}INVITE sip:x SIP/2.0\r\n\r\n")));
    outgoing.push_via("SIP/2.0/UDP us;branch=z9hG4bKu");
    assert!(text(&outgoing).ends_with("\r\nl: 5\r\n\r\nhello"));
}

#[test]
fn headers_are_set_appended_and_removed_by_any_of_their_names() {
    let out = changed(|o| {
        o.set(HeaderId::ContentType, "image/gif");
        o.set("x-weird", "tame");
        o.append("Content-Adapted", "proxy.example.com;ops=scale");
        o.append("X-Weird", "again");
        assert!(o.remove("Route") && !o.remove("Route"));
        assert_eq!(o.header("X-WEIRD"), Some(&b"tame"[..]));
    });
    assert!(out.contains("X-Weird: tame\r\n") && out.contains("X-Weird: again\r\n"));
    assert!(out.contains("c: image/gif\r\n") && !out.to_lowercase().contains("\r\nroute"));
    let out = changed(|o| {
        o.append("X-Weird", "again");
        o.set("X-Weird", "once");
    });
    assert_eq!(out.matches("X-Weird").count(), 1);
}

#[test]
fn no_value_can_end_its_line() {
    let out = changed(|o| {
        o.append("Subject", "a\r\nInjected: 1\r\n\r\nbody");
        o.append("Bad Name:", "x");
        o.set("Subject2", "a\rb\nc");
        o.push_via("SIP/2.0/UDP us\r\n ;branch=z9hG4bKu\nx");
        o.set_request_uri("sip:a@b\r\nInjected: 2");
        o.set(HeaderId::Other, "nameless");
    });
    let Ok(Framed::Message(raw)) = frame::datagram(out.into(), &Limits::default()) else { panic!() };
    assert!(raw.header_named("Injected").is_none());
    assert_eq!(raw.header(HeaderId::Subject), Some(&b"a Injected: 1 body"[..]));
    assert_eq!(raw.headers().filter(|h| h.value == b"x" || h.value == b"nameless").count(), 1); // Call-ID
}

#[test]
fn branches_of_a_fork_share_the_body() {
    let request = request();
    let mut one = Outgoing::from(&request);
    one.set_max_forwards(69);
    let mut two = one.clone();
    one.set_request_uri("sip:one@h");
    two.set_request_uri("sip:two@h");
    let (one, two) = (one.encode(), two.encode());
    assert_eq!(one.body.as_ptr(), two.body.as_ptr());
    assert_eq!(one.body.as_ptr(), request.body().as_ptr());
    assert!(one.head.starts_with(b"MESSAGE sip:one@h") && two.head.starts_with(b"MESSAGE sip:two@h"));
}

#[test]
fn a_noted_source_is_stamped_into_what_is_forwarded_and_answered() {
    let limits = Limits::default();
    let Ok(Framed::Message(mut raw)) = frame::datagram(REQUEST.into(), &limits) else { panic!() };
    raw.set_source("198.51.100.3:40000".parse().unwrap());
    let Ok(Message::Request(request)) = sip::validate(raw, &limits) else { panic!() };
    let stamped = "Via: SIP/2.0/UDP edge.example.net;branch=z9hG4bKe;rport=40000;received=198.51.100.3 , SIP/2.0/TCP 192.0.2.7;";
    assert!(text(&Outgoing::from(&request)).contains(stamped));
    assert!(text(&ResponseBuilder::to_request(&request, 200, "OK").build()).contains(stamped));
}

#[test]
fn a_response_is_forwarded_without_our_via() {
    let response = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP us;branch=z9hG4bKu\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
        From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: x\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n";
    let limits = Limits::default();
    let Ok(Framed::Message(raw)) = frame::datagram(response.into(), &limits) else { panic!() };
    let Ok(Message::Response(valid)) = sip::validate(raw, &limits) else { panic!() };
    let mut outgoing = Outgoing::from(&valid);
    outgoing.pop_via();
    assert_eq!(text(&outgoing), response.replacen("Via: SIP/2.0/UDP us;branch=z9hG4bKu\r\n", "", 1));
    outgoing.set_request_uri("sip:nobody@nowhere");
    assert_eq!((outgoing.encode().status(), outgoing.request_uri()), (Some(200), &b""[..]));
    outgoing.set_status(500, "Server Internal Error");
    assert_eq!(outgoing.encode().status(), Some(500));
}

#[test]
fn hundreds_of_lines_are_no_problem() {
    let mut outgoing = Outgoing::from(&request());
    for at in 0..1000 {
        outgoing.append("X-Count", at.to_string());
    }
    assert!(outgoing.remove("X-Count"));
    assert_eq!(text(&outgoing), REQUEST);
}

#[test]
fn a_via_of_ours_is_written_where_it_would_be_pushed() {
    let via = "SIP/2.0/UDP us;branch=z9hG4bKu";
    let mut changed = Outgoing::from(&request());
    changed.set_max_forwards(3);
    let fresh = sip::RequestBuilder::new(sip::Method::Options, "sip:a@h").build();
    for outgoing in [Outgoing::from(&request()), changed, fresh] {
        let mut pushed = outgoing.clone();
        pushed.push_via(via);
        assert_eq!(outgoing.encode_under(via), pushed.encode());
    }
}
