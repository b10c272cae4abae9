//! NOTIFYs of other presence servers, made to fit on their way through (CPI.md 3.1, L4).

use crate::harness::picture::picture;
use crate::harness::{self, Line, Message, Phone, Server};
use crate::parts;
use crate::presence::{document, in_dialog, subscribe, text};

/// The NOTIFY that a presence server elsewhere sends in the dialog of that SUBSCRIBE.
fn foreign_notify(subscribe: &Message, cseq: u32) -> Message {
    let target = subscribe.get("Contact").trim_matches(['<', '>']).to_owned();
    let mut notify = Message::new(&format!("NOTIFY {target} SIP/2.0"));
    for route in subscribe.all("Record-Route") {
        notify = notify.with("Route", route);
    }
    notify
        .with("Max-Forwards", "70")
        .with("From", &format!("{};tag=theirs", subscribe.get("To")))
        .with("To", subscribe.get("From"))
        .with("Call-ID", subscribe.get("Call-ID"))
        .with("CSeq", &format!("{cseq} NOTIFY"))
        .with("Contact", "<sip:presence.test>")
        .with("Event", "presence")
        .with("Subscription-State", "active;expires=600")
}

/// CPI.md 3.1, L4: what the watcher said when he subscribed elsewhere counts for what passes to him from there.
#[test]
fn a_notify_of_another_server_is_made_to_fit_on_its_way() {
    let mut theirs = Phone::tcp("alice");
    let hop =
        format!("route=[{{domain=\"presence.test\", next_hop=\"sip:{};transport=tcp\"}}]", theirs.addr());
    let server = Server::with(&[&hop, "peer=[{address=\"127.0.0.1\"}]"]);
    let mut john = Phone::tcp("john");
    let accept =
        "application/pidf+xml, multipart/related, image/jpeg;media-pix-x=max+160;media-pix-y=max+160";
    let request = subscribe(&john, "alice@presence.test", &[("Accept", accept), ("Expires", "600")]);
    let mut line = Line::tcp(server.sip);
    line.send(&line.with_via(&request).octets());
    let passed = theirs.receive();
    let answer = passed.answer(200, "OK").with("Contact", "<sip:presence.test>").with("Expires", "600");
    theirs.respond(&answer);
    assert_eq!(line.final_response().status(), 200);

    let large = harness::data("images/life_640x480.jpg");
    let mut body = b"--xx\r\nContent-Type: application/pidf+xml\r\nContent-ID: <root@x>\r\n\r\n".to_vec();
    body.extend(document("alice@presence.test", "Hi", "<b:ObjLink>cid:big@x</b:ObjLink>").bytes());
    body.extend(b"\r\n--xx\r\nContent-Type: image/jpeg\r\nContent-ID: <big@x>\r\n\r\n");
    body.extend(&large);
    body.extend(b"\r\n--xx--\r\n");
    let kind = "multipart/related;type=\"application/pidf+xml\";start=\"<root@x>\";boundary=xx";
    let notify = foreign_notify(&passed, 1).body(kind, &body);
    let mut from = Line::tcp(server.sip);
    from.send(&from.with_via(&notify).octets());
    let received = john.take();
    assert_eq!(from.final_response().status(), 200);
    let parts = parts(&received);
    assert!(text(&parts[0]).contains("cid:big@x"), "the document is as it was");
    assert_eq!(parts[1].get("Content-ID"), "<big@x>");
    let shown = picture(&parts[1].body);
    assert_eq!((shown.width, shown.height), (160, 120));
    assert!(received.header("Content-Adapted").is_some(), "{received}");
}

/// What a watcher said is known after the end of the server that heard it (`kill -9`), for as long as he watches.
#[test]
fn what_a_watcher_of_another_server_said_outlives_ours() {
    let mut theirs = Phone::udp("alice");
    let hop = format!("route=[{{domain=\"presence.test\", next_hop=\"sip:{}\"}}]", theirs.addr());
    let mut server = Server::with(&[&hop, "peer=[{address=\"127.0.0.1\"}]"]);
    let mut john = Phone::tcp("john");
    let accept = "application/pidf+xml, multipart/related, image/jpeg;media-pix-x=max+32;length=max+1000";
    let (passed, answer) = watch_elsewhere(&server, &mut theirs, &john, accept);

    server.crash_and_restart();
    let mut from = Line::tcp(server.sip);
    from.send(&from.with_via(&with_photo(foreign_notify(&passed, 1), "small")).octets());
    let received = john.take();
    assert_eq!(from.final_response().status(), 200);
    assert_eq!(picture(&parts(&received)[1].body).width, 32, "{received}");

    // Whoever ends his subscription is forgotten a while later; until then his last NOTIFY fits too.
    let mut end = in_dialog(&passed, &answer, 2).set("Expires", "0").without("Via").without("Record-Route");
    for route in answer.all("Record-Route").iter().rev() {
        end = end.with("Route", route);
    }
    let mut line = Line::tcp(server.sip);
    line.send(&line.with_via(&end.without("Accept")).octets());
    let ended = theirs.receive();
    theirs.respond(&ended.answer(200, "OK").with("Expires", "0"));
    assert_eq!(line.final_response().status(), 200);
    let mut from = Line::tcp(server.sip);
    from.send(&from.with_via(&with_photo(foreign_notify(&passed, 2), "small")).octets());
    let last = john.take();
    assert_eq!(picture(&parts(&last)[1].body).width, 32, "{last}");
    assert_eq!(from.final_response().status(), 200);
}

/// john subscribes to alice at that other server: what came to it, and what he was answered.
fn watch_elsewhere(server: &Server, theirs: &mut Phone, john: &Phone, accept: &str) -> (Message, Message) {
    let request = subscribe(john, "alice@presence.test", &[("Accept", accept), ("Expires", "600")]);
    let mut line = Line::tcp(server.sip);
    line.send(&line.with_via(&request).octets());
    let passed = theirs.receive();
    let answer = passed
        .answer(200, "OK")
        .with("Contact", &format!("<sip:alice@{}>", theirs.addr()))
        .with("Expires", "600");
    let answer = passed.all("Record-Route").iter().fold(answer, |to, route| to.with("Record-Route", route));
    theirs.respond(&answer);
    let answer = line.final_response();
    assert_eq!(answer.status(), 200, "{answer}");
    (passed, answer)
}

/// A document with a picture.
fn with_photo(notify: Message, note: &str) -> Message {
    let small = &parts(&harness::example("054"))[1].body;
    let links = "<b:ObjLink>cid:big@x</b:ObjLink>";
    let mut body = b"--xx\r\nContent-Type: application/pidf+xml\r\n\r\n".to_vec();
    body.extend(document("alice@presence.test", note, links).bytes());
    body.extend(b"\r\n--xx\r\nContent-Type: image/jpeg\r\nContent-ID: <big@x>\r\n\r\n");
    body.extend(small);
    body.extend(b"\r\n--xx--\r\n");
    notify.body("multipart/related;type=\"application/pidf+xml\";boundary=xx", &body)
}

/// 052 as printed is understood, and goes on as it came to a watcher who takes all of it.
#[test]
fn a_notify_with_the_draft_s_defects_passes_as_it_is() {
    let mut theirs = Phone::tcp("alice");
    let hop =
        format!("route=[{{domain=\"presence.test\", next_hop=\"sip:{};transport=tcp\"}}]", theirs.addr());
    let server = Server::with(&[&hop, "peer=[{address=\"127.0.0.1\"}]"]);
    let mut john = Phone::tcp("john");
    let accept = "application/cpim-pidf+xml, multipart/related, message/external-body, image/*";
    let request = subscribe(&john, "alice@presence.test", &[("Accept", accept)]);
    let mut line = Line::tcp(server.sip);
    line.send(&line.with_via(&request).octets());
    let passed = theirs.receive();
    theirs.respond(&passed.answer(200, "OK").with("Contact", "<sip:presence.test>").with("Expires", "600"));
    assert_eq!(line.final_response().status(), 200);
    let printed = harness::example("052");
    let notify = foreign_notify(&passed, 1).body(printed.get("Content-Type"), &printed.body);
    let mut from = Line::tcp(server.sip);
    from.send(&from.with_via(&notify).octets());
    let received = john.take();
    assert_eq!(from.final_response().status(), 200);
    assert_eq!(received.body, printed.body);
}
