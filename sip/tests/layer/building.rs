//! Messages of our own.

use sip::{Framed, HeaderId, Limits, Message, Method, Request, RequestBuilder, ResponseBuilder, frame};

fn read(octets: impl Into<bytes::Bytes>) -> Message {
    let limits = Limits::default();
    let Ok(Framed::Message(raw)) = frame::datagram(octets.into(), &limits) else { panic!() };
    sip::validate(raw, &limits).unwrap()
}

fn request(to: &str) -> Request {
    let text = format!(
        "SUBSCRIBE sip:b@example.com SIP/2.0\r\nv: SIP/2.0/UDP h1;branch=z9hG4bK1,\r\n SIP/2.0/UDP h2\r\nVia: SIP/2.0/TCP h3\r\n\
         f: sip:a@h;tag=1\r\nt: {to}\r\ni: x@h\r\nCSeq: 7 SUBSCRIBE\r\nTimestamp: 54\r\nRecord-Route: <sip:p;lr>\r\n\r\n"
    );
    match read(text) {
        Message::Request(request) => request,
        Message::Response(_) => panic!(),
    }
}

#[test]
fn a_request_of_ours_is_valid_once_it_has_a_via() {
    let mut outgoing = RequestBuilder::new(Method::Other(b"FOO"), "sip:b@[2001:db8::1]")
        .from("\"Us\" <sip:us@example.com>;tag=9")
        .to("<sip:b@example.com>")
        .call_id("y@example.com")
        .cseq(3)
        .header("Accept", "text/plain")
        .header(HeaderId::ContentType, "text/plain")
        .body("hi")
        .build();
    outgoing.push_via("SIP/2.0/UDP us.example.com;branch=z9hG4bKx");
    let Message::Request(request) = read(outgoing.encode().to_bytes()) else { panic!() };
    assert_eq!(request.method(), Method::Other(b"FOO"));
    assert_eq!(request.cseq().to_string(), "3 FOO");
    assert_eq!((request.max_forwards(), &request.body()[..]), (Some(70), &b"hi"[..]));
    assert_eq!(request.raw().headers().next().unwrap().id, HeaderId::Via);
}

#[test]
fn a_response_copies_what_8_2_6_wants_in_order() {
    let request = request("<sip:b@example.com>");
    let encoded = ResponseBuilder::to_request(&request, 200, "OK").to_tag("mine").encode();
    assert_eq!(encoded.status(), Some(200));
    assert_eq!(
        std::str::from_utf8(&encoded.head).unwrap(),
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h1;branch=z9hG4bK1, SIP/2.0/UDP h2\r\nVia: SIP/2.0/TCP h3\r\n\
         From: sip:a@h;tag=1\r\nTo: <sip:b@example.com>;tag=mine\r\nCall-ID: x@h\r\nCSeq: 7 SUBSCRIBE\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn a_to_tag_is_kept_or_made_the_same_for_every_copy() {
    let tagged = request("<sip:b@example.com>;tag=old");
    let tag = |request: &Request, status| {
        let Message::Response(response) =
            read(ResponseBuilder::to_request(request, status, "x").encode().to_bytes())
        else {
            panic!()
        };
        response.to_tag().map(<[u8]>::to_vec)
    };
    assert_eq!(tag(&tagged, 404), Some(b"old".to_vec()));
    let bare = request("sip:b@example.com");
    assert!(tag(&bare, 404).is_some());
    assert_eq!(tag(&bare, 404), tag(&bare, 404));
    assert_eq!(tag(&bare, 100), None);
}

#[test]
fn a_100_carries_the_timestamp_and_others_do_not() {
    let request = request("sip:b@example.com");
    let has = |status| {
        let head = ResponseBuilder::to_request(&request, status, "x").encode().head;
        head.windows(13).any(|w| w == b"Timestamp: 54")
    };
    assert!(has(100) && !has(200));
}

#[test]
fn record_route_is_copied_when_asked_for() {
    let request = request("sip:b@example.com");
    let built = ResponseBuilder::to_request(&request, 200, "OK").copy(&request, HeaderId::RecordRoute);
    assert!(built.build().header(HeaderId::RecordRoute).is_some());
}

#[test]
fn a_reason_can_not_end_the_status_line() {
    let encoded = ResponseBuilder::to_request(&request("sip:b@h"), 400, "Bad\r\nInjected: 1").encode();
    assert!(encoded.head.starts_with(b"SIP/2.0 400 Bad  Injected: 1\r\nVia"));
}
