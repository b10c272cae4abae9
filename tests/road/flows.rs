//! Phones that are reached over the flows they keep (RFC 5626), and by their own addresses (RFC 5627).

use crate::harness::phone::message_to;
use crate::harness::{self, Line, Message, Phone, Server};

const PATH: &str = "VskztcQ%2FS8p4WPbOnHbuyh5iJvJIW3ib@ep1.example.com";

/// Example 068 as it comes through `edge`, for one flow of the phone.
fn register_through(server: &Server, edge: &Phone, reg_id: u32) -> Message {
    let path = format!("<sip:token{reg_id}@{};lr;ob>", edge.addr());
    let mut request = harness::example("068");
    for (name, value) in &mut request.headers {
        match name.as_str() {
            "Path" => *value = path.clone(),
            "Contact" => *value = value.replace("reg-id=1", &format!("reg-id={reg_id}")),
            "Call-ID" => *value = format!("ob-{reg_id}@192.0.2.7"),
            _ => {}
        }
    }
    let mut line = Line::tcp(server.sip);
    // The phone's own Via stays below that of the edge.
    let with_via = line.with_via(&request);
    let mut request = with_via;
    request.headers.insert(1, ("Via".to_owned(), "SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKreg068".to_owned()));
    line.send(&request.octets());
    line.final_response()
}

/// T21
#[test]
fn a_flow_that_failed_at_its_edge_leads_to_the_other_and_none_left_is_480() {
    let server = Server::start();
    let (mut one, mut two) = (Phone::udp("ep1"), Phone::udp("ep2"));
    for (edge, reg_id) in [(&one, 1), (&two, 2)] {
        let answer = register_through(&server, edge, reg_id);
        assert_eq!((answer.status(), answer.get("Require")), (200, "outbound"), "{answer}");
        assert!(
            answer.get("Path").contains(&format!("token{reg_id}@")) && !answer.get("Path").contains(PATH)
        );
        assert!(answer.all("Contact")[0].contains(";temp-gruu=\"sip:tgruu."), "{answer}");
    }
    let mut caller = Line::tcp(server.sip);
    let invite = || {
        let mut invite = message_to("john");
        invite.start = invite.start.replace("MESSAGE", "INVITE");
        invite.set("CSeq", "1 INVITE").with("Contact", "<sip:alice@127.0.0.1>")
    };
    // Both registered in one second: either may be the latest. The first says that its flow failed.
    caller.send(&caller.with_via(&invite()).octets());
    let (first, second) = if two.wait_readable() { (&mut two, &mut one) } else { (&mut one, &mut two) };
    let got = first.receive();
    assert_eq!(
        got.get("Route").trim_end_matches(";lr;ob>").rsplit('@').next(),
        Some(&*first.addr().to_string())
    );
    assert!(got.start.starts_with("INVITE sip:john@192.0.2.7;transport=tcp "), "{got}");
    first.respond(&got.answer(430, "Flow Failed"));
    let mut again = second.receive();
    while again.start.starts_with("ACK") {
        again = second.receive();
    }
    assert!(again.get("Route").contains(&second.addr().to_string()), "{again}");
    second.respond(&again.answer(430, "Flow Failed"));
    assert_eq!(caller.final_response().status(), 480, "no 430 reaches a caller");
}
