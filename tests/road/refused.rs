//! What is refused, and in which words.

use crate::harness::{Line, Phone, Server, phone};

/// T22
#[test]
fn requests_that_must_not_be_forwarded_get_their_code() {
    let server = Server::start();
    let phone = Phone::tcp("john");
    phone.register(&server, &[]);
    let mut sender = Line::tcp(server.sip);

    let spent = sender.request(&phone::message_to("john").set("Max-Forwards", "0"));
    assert_eq!(spent.status(), 483);

    let foo = sender.request(&phone::message_to("john").with("Proxy-Require", "foo"));
    assert_eq!((foo.status(), foo.get("Unsupported")), (420, "foo"));

    assert_eq!(sender.request(&phone::message_to("stranger")).status(), 404);
    assert!(!phone.has_more());
}

/// T22
#[test]
fn a_request_that_comes_back_unchanged_is_a_loop() {
    let server = Server::start();
    let mut phone = Phone::tcp("john");
    phone.register(&server, &[]);
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&phone::message_to("john").body("text/plain", b"hi")).octets());
    let received = phone.receive();
    // The phone sends it round again to the AOR, all Vias in place, instead of answering.
    let mut back = received.clone();
    back.start = "MESSAGE sip:john@example.com SIP/2.0".to_owned();
    let mut looper = Line::tcp(server.sip);
    let via = format!("SIP/2.0/TCP {};branch=z9hG4bKloop{}", looper.local(), phone::serial());
    back.headers.insert(0, ("Via".to_owned(), via));
    looper.send(&back.octets());
    let answer = looper.final_response();
    assert_eq!(answer.status(), 482, "{answer}");
    phone.respond(&received.answer(200, "OK"));
    assert_eq!(sender.final_response().status(), 200);
}

/// T22
#[test]
fn max_breadth_of_one_tries_two_phones_one_after_the_other() {
    let server = Server::start();
    let mut phones = [Phone::tcp("john"), Phone::tcp("john")];
    for phone in &phones {
        phone.register(&server, &[]);
    }
    let mut sender = Line::tcp(server.sip);
    let message = phone::message_to("john").with("Max-Breadth", "1").body("text/plain", b"hi");
    sender.send(&sender.with_via(&message).octets());
    let first = phones.iter().position(Phone::wait_readable).expect("one phone is tried");
    assert!(!phones[1 - first].has_more(), "the other is not tried yet");
    let request = phones[first].receive();
    assert_eq!(request.get("Max-Breadth"), "1");
    phones[first].respond(&request.answer(486, "Busy Here"));
    let second = phones[1 - first].take();
    assert_eq!(second.method(), "MESSAGE");
    assert_eq!(sender.final_response().status(), 200);
}

#[test]
fn a_known_user_without_a_phone_is_480_and_an_unknown_one_404() {
    let server = Server::with(&["offline.store=false"]);
    let phone = Phone::tcp("john");
    phone.register(&server, &[]);
    let mut sender = Line::tcp(server.sip);
    let gone = phone.register_request(&[("Contact", "*"), ("Expires", "0")]);
    assert_eq!(sender.request(&gone).status(), 200);
    assert_eq!(sender.request(&phone::message_to("john")).status(), 480);
    assert_eq!(sender.request(&phone::message_to("nobody")).status(), 404);
}

#[test]
fn a_foreign_domain_is_not_relayed_to_by_default() {
    let server = Server::start();
    let mut sender = Line::tcp(server.sip);
    let elsewhere = Phone::udp("bob");
    let mut message = phone::message_to("bob").set("To", "<sip:bob@elsewhere.invalid>");
    message.start = format!("MESSAGE {} SIP/2.0", elsewhere.uri());
    let answer = sender.request(&message);
    assert_eq!(answer.status(), 403, "{answer}");
    assert!(!elsewhere.has_more());
}

#[test]
fn options_to_the_server_itself_say_what_it_can_do() {
    let server = Server::start();
    let mut options = phone::message_to("").set("To", "<sip:example.com>").set("CSeq", "1 OPTIONS");
    options.start = "OPTIONS sip:example.com SIP/2.0".to_owned();
    let answer = Line::udp(server.sip).request(&options);
    assert_eq!(answer.status(), 200, "{answer}");
    for name in ["Allow", "Accept", "Supported"] {
        assert!(answer.header(name).is_some(), "{name} in {answer}");
    }
}
