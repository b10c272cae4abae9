//! Several contacts, and the road over UDP.

use crate::harness::http::get;
use crate::harness::picture::picture;
use crate::harness::{self, Line, Phone, Server, phone};
use crate::url_of;

/// T14
#[test]
fn two_phones_that_both_take_links_get_links_of_their_own() {
    let server = Server::start();
    let [mut a, mut b] = two_phones(&server);
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&harness::example("020")).octets());
    let (first, second) = (a.receive(), b.receive());
    a.respond(&first.answer(200, "OK"));
    b.respond(&second.answer(200, "OK"));
    let urls = [&first, &second].map(|message| url_of(message.get("Content-Type")));
    assert_ne!(urls[0], urls[1]);
    for url in &urls {
        let third = get(server.http, url, &[("Accept", "image/gif;media-pix-x=max+80")]);
        assert_eq!(picture(&third.body).width, 80, "a phone that neither was for");
    }
    assert_eq!(sender.final_response().status(), 200);
    // The sender's next transaction is answered; if a second 200 had been sent, it would come first.
    let probe = sender.request(&phone::message_to("nobody"));
    assert_eq!(probe.status(), 404, "exactly one final response reached the sender");
}

/// T14 with `fork.mode=per-branch`
#[test]
fn per_branch_each_phone_gets_the_picture_fitted_for_itself() {
    let server = Server::with(&["fork.mode=per-branch"]);
    let [mut a, mut b] = two_phones(&server);
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&harness::example("020")).octets());
    let (first, second) = (a.take(), b.take());
    assert_eq!((picture(&first.body).width, picture(&second.body).width), (158, 160));
    assert_eq!(sender.final_response().status(), 200);
}

/// T15
#[test]
fn over_1300_octets_a_message_goes_over_tcp_and_below_over_udp() {
    let server = Server::start();
    // A phone that listens on the same port with UDP and TCP, as RFC 3261 section 18.2.1 asks.
    let (mut udp, mut tcp) = (Phone::udp("john"), Phone::tcp("john"));
    let accept = ("Accept", "text/plain");
    let contact = format!("<sip:john@{}>;expires=3600", udp.addr());
    udp.register(&server, &[accept, ("Contact", &contact)]);
    let mut sender = Line::tcp(server.sip);

    let small = phone::message_to("john").body("text/plain", b"hello");
    sender.send(&sender.with_via(&small).octets());
    let received = udp.take();
    assert!(received.get("Via").starts_with("SIP/2.0/UDP"));
    assert_eq!(sender.final_response().status(), 200);

    tcp.listen_beside(&udp);
    let long = phone::message_to("john").body("text/plain", &[b'x'; 1_400]);
    sender.send(&sender.with_via(&long).octets());
    let received = tcp.take();
    assert!(received.get("Via").starts_with("SIP/2.0/TCP"), "{received}");
    assert_eq!(received.body, long.body);
    assert_eq!(sender.final_response().status(), 200);
}

/// T15 for a phone that has no TCP
#[test]
fn long_text_for_a_phone_without_tcp_becomes_a_link_under_1300_octets() {
    let server = Server::start();
    let mut phone = Phone::udp("john");
    phone.register(&server, &[("Accept", "text/plain")]);
    let text = vec![b'x'; 1_400];
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&phone::message_to("john").body("text/plain", &text)).octets());
    let received = phone.take();
    assert!(received.octets().len() <= 1_300, "{} octets", received.octets().len());
    let said = String::from_utf8_lossy(&received.body).into_owned();
    let url = said
        .split_whitespace()
        .find(|word| word.starts_with("http://"))
        .expect("a URL, never cut text")
        .to_owned();
    assert_eq!(harness::http::get(server.http, &url, &[]).body, text);
    assert_eq!(sender.final_response().status(), 200);
}

/// T15 for a phone that has no TCP, with the store off
#[test]
fn long_text_for_a_phone_without_tcp_and_no_store_is_513() {
    let server = Server::with(&["content.store=off"]);
    let phone = Phone::udp("john");
    phone.register(&server, &[("Accept", "text/plain")]);
    let answer = Line::tcp(server.sip).request(&phone::message_to("john").body("text/plain", &[b'x'; 1_400]));
    assert_eq!(answer.status(), 513, "{answer}");
    assert!(answer.get("Warning").starts_with("399 "), "{answer}");
    assert!(!phone.has_more());
}

#[test]
fn a_picture_for_a_phone_without_tcp_is_made_to_fit_a_datagram() {
    let server = Server::start();
    let mut phone = Phone::udp("john");
    phone.register(&server, &[("Accept", "text/plain, message/external-body, image/gif, image/jpeg")]);
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&harness::example("020")).octets());
    let received = phone.take();
    assert!(received.octets().len() <= 1_300, "{} octets", received.octets().len());
    assert!(received.header("Content-Adapted").is_some(), "{received}");
    assert_eq!(sender.final_response().status(), 200);
}

#[test]
fn a_contact_in_a_black_hole_keeps_no_message_from_the_other_two() {
    let server = Server::with(&["fork.next_after=200ms"]);
    let mut phones = [Phone::udp("john"), Phone::udp("john"), Phone::udp("john")];
    for (phone, q) in phones.iter().zip(["0.9", "0.5", "0.1"]) {
        let contact = format!("<{}>;q={q};expires=3600", phone.uri());
        phone.register(&server, &[("Accept", "text/plain"), ("Contact", &contact)]);
    }
    let mut sender = Line::udp(server.sip);
    let small = phone::message_to("john").body("text/plain", b"hello");
    sender.send(&sender.with_via(&small).octets());
    // The first takes datagrams and answers none.
    let received = phones[1].take();
    assert_eq!(received.body, b"hello");
    assert_eq!(sender.final_response().status(), 200);
    assert!(phones[0].has_more() && !phones[2].has_more());
}

fn two_phones(server: &Server) -> [Phone; 2] {
    let phones = [Phone::tcp("john"), Phone::tcp("john")];
    for (phone, number) in phones.iter().zip(["005", "006"]) {
        let accept = format!("{}, message/external-body", harness::example(number).get("Accept"));
        phone.register(server, &[("Accept", &accept)]);
    }
    phones
}
