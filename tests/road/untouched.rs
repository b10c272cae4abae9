//! What goes through octet for octet.

use crate::deliver;
use crate::harness::{self, Phone, Server, phone};

/// T8
#[test]
fn a_sender_that_forbids_transformation_is_obeyed() {
    let server = Server::start();
    let mut phone = Phone::tcp("john");
    phone.register_as(&server, "005");
    let sent = harness::example("031");
    let (received, _) = deliver(&server, &mut phone, &sent);
    assert_eq!(received.body, sent.body);
    assert_eq!(received.header("Content-Adapted"), None);
}

/// T11
#[test]
fn bodies_under_auth_int_plain_text_and_session_descriptions_are_untouched() {
    let server = Server::start();
    let mut phone = Phone::tcp("john");
    phone.register_as(&server, "005");
    let sdp =
        b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";
    let mut invite = phone::message_to("john").set("CSeq", "1 INVITE").body("application/sdp", sdp);
    invite.start = invite.start.replace("MESSAGE", "INVITE");
    let mut text = harness::example("037");
    text.start = "MESSAGE sip:john@example.com SIP/2.0".to_owned();
    for sent in [harness::example("078"), text, invite.with("Contact", "<sip:alice@127.0.0.1>")] {
        let (received, answer) = deliver(&server, &mut phone, &sent);
        assert_eq!(answer.status(), 200, "{answer}");
        assert_eq!(received.body, sent.body, "{received}");
        assert_eq!(received.header("Content-Adapted"), None);
        assert_eq!(received.get("Content-Type"), sent.get("Content-Type"));
    }
}

#[test]
fn with_adaptation_off_the_server_is_a_plain_proxy() {
    let server = Server::with(&["adapt.enabled=false"]);
    let mut phone = Phone::tcp("john");
    phone.register_as(&server, "005");
    let sent = harness::example("020");
    let (received, _) = deliver(&server, &mut phone, &sent);
    assert_eq!(received.body, sent.body);
    assert_eq!(received.get("Max-Forwards"), "69");
    assert_eq!(received.header("Content-Adapted"), None);
}

#[test]
fn a_message_of_a_million_octets_passes_over_tcp() {
    let server = Server::start();
    let mut phone = Phone::tcp("john");
    phone.register(&server, &[]);
    let body: Vec<u8> = (0..1_000_000u32).map(|i| ((i * 31) >> 3) as u8).collect();
    let sent = phone::message_to("john").body("application/octet-stream", &body);
    let (received, answer) = deliver(&server, &mut phone, &sent);
    assert_eq!(answer.status(), 200);
    assert_eq!(received.body, body);
}
