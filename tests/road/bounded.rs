//! Every limit of `[presence]`, each run into.

use std::net::UdpSocket;

use crate::harness::{Line, Message, PATIENCE, Phone, Server, http};
use crate::presence::{PIDF, document, note, publish, subscribe, text, watch};

fn refused(answer: &Message, status: u16, why: &str) {
    assert_eq!((answer.status(), answer.reason()), (status, why), "{answer}");
    if status == 503 {
        assert!(answer.get("Retry-After").parse::<u32>().unwrap() > 0);
    }
}

#[test]
fn a_user_publishes_so_many_times_and_no_more() {
    let server = Server::with(&["presence.publications=2"]);
    note(&server, "john@example.com", "one");
    let second = note(&server, "john@example.com", "two");
    let mut line = Line::tcp(server.sip);
    let third = publish("john@example.com").body(PIDF, document("john@example.com", "three", "").as_bytes());
    refused(&line.request(&third), 503, "Too Many Publications");
    let change = third.with("SIP-If-Match", second.get("SIP-ETag"));
    assert_eq!(line.request(&change).status(), 200, "one that is there may change");
}

#[test]
fn documents_and_bodies_have_their_octets_and_objects_their_number() {
    let server = Server::with(&["presence.document=2KiB", "presence.body=8KiB"]);
    let mut line = Line::tcp(server.sip);
    let plain = |octets: usize| {
        let text = document("john@example.com", &"x".repeat(octets), "");
        publish("john@example.com").body(PIDF, text.as_bytes())
    };
    assert_eq!(line.request(&plain(1000)).status(), 200);
    refused(&line.request(&plain(2100)), 413, "Request Entity Too Large");
    let beside = |count: usize, octets: usize| {
        let mut body = b"--xx\r\nContent-Type: application/pidf+xml\r\n\r\n".to_vec();
        body.extend(document("john@example.com", "x", "").bytes());
        for number in 0..count {
            let head = format!("\r\n--xx\r\nContent-Type: image/gif\r\nContent-ID: <{number}@x>\r\n\r\n");
            body.extend(head.bytes().chain(std::iter::repeat_n(b'x', octets)));
        }
        body.extend(b"\r\n--xx--\r\n");
        publish("john@example.com").body("multipart/related;boundary=xx", &body)
    };
    assert_eq!(line.request(&beside(1, 4000)).status(), 200);
    refused(&line.request(&beside(1, 9000)), 413, "Request Entity Too Large");
    assert_eq!(line.request(&beside(16, 10)).status(), 200);
    refused(&line.request(&beside(17, 10)), 413, "Request Entity Too Large");
}

#[test]
fn what_is_asked_for_lasts_no_longer_and_no_shorter_than_is_allowed() {
    let limits = ["presence.min_expires=100", "presence.default_expires=200", "presence.max_expires=300"];
    let server = Server::with(&limits);
    let mut line = Line::tcp(server.sip);
    let text = document("john@example.com", "x", "");
    let put = |expires: &str| publish("john@example.com").set("Expires", expires).body(PIDF, text.as_bytes());
    assert_eq!(line.request(&put("9999")).get("Expires"), "300");
    assert_eq!(line.request(&put("1").without("Expires")).get("Expires"), "200");
    let brief = line.request(&put("99"));
    assert_eq!((brief.status(), brief.get("Min-Expires")), (423, "100"));
    let phone = Phone::tcp("bob");
    let ask =
        |expires: &str| subscribe(&phone, "john@example.com", &[("Accept", PIDF), ("Expires", expires)]);
    assert_eq!(line.request(&ask("9999")).get("Expires"), "300");
    let brief = line.request(&ask("99"));
    assert_eq!((brief.status(), brief.get("Min-Expires")), (423, "100"));
}

#[test]
fn there_are_so_many_subscriptions_of_one_to_one_and_altogether() {
    let bob = Phone::tcp("bob");
    let ann = Phone::tcp("ann");
    let ask = |server: &Server, phone: &Phone, to: &str| {
        Line::tcp(server.sip).request(&subscribe(phone, to, &[("Accept", PIDF)]))
    };
    let server = Server::with(&["presence.watcher_subscriptions=1"]);
    assert_eq!(ask(&server, &bob, "john@example.com").status(), 200);
    refused(&ask(&server, &bob, "carl@example.com"), 503, "Too Many Subscriptions Of This Watcher");
    assert_eq!(ask(&server, &ann, "carl@example.com").status(), 200);
    drop(server);

    let server = Server::with(&["presence.user_subscriptions=1"]);
    assert_eq!(ask(&server, &bob, "john@example.com").status(), 200);
    refused(&ask(&server, &ann, "john@example.com"), 503, "Too Many Watchers");
    assert_eq!(ask(&server, &ann, "carl@example.com").status(), 200);
    drop(server);

    let server = Server::with(&["presence.subscriptions=1"]);
    assert_eq!(ask(&server, &bob, "john@example.com").status(), 200);
    refused(&ask(&server, &ann, "carl@example.com"), 503, "Too Many Subscriptions");
}

/// The one place among those that leave is given free by a watcher who is silent.
#[test]
fn a_silent_watcher_keeps_the_others_from_nothing() {
    let server = Server::with(&["presence.sending=1", "presence.notify_every=1s"]);
    let silent = Phone::udp("silent");
    let request = subscribe(&silent, "john@example.com", &[("Accept", PIDF)]);
    assert_eq!(Line::tcp(server.sip).request(&request).status(), 200);
    assert!(silent.wait_readable(), "his NOTIFY is under way");
    let mut bob = Phone::tcp("bob");
    let request = subscribe(&bob, "john@example.com", &[("Accept", PIDF)]);
    watch(&server, &mut bob, &request);
    note(&server, "john@example.com", "At home");
    assert!(text(&bob.take()).contains("At home"));
}

/// And by one whose name server is.
#[test]
fn a_watcher_whose_name_server_is_silent_keeps_the_others_from_nothing() {
    let names = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = format!("dns.servers=[\"{}\"]", names.local_addr().unwrap());
    let server = Server::with(&["presence.sending=1", &at, "dns.timeout=60s"]);
    let lost = Phone::udp("lost");
    let request =
        subscribe(&lost, "john@example.com", &[("Accept", PIDF)]).set("Contact", "<sip:lost@lost.test>");
    assert_eq!(Line::tcp(server.sip).request(&request).status(), 200);
    names.set_read_timeout(Some(PATIENCE)).unwrap();
    names.recv(&mut [0; 4096]).expect("it is asked where his NOTIFY is to go");
    let mut bob = Phone::tcp("bob");
    let request = subscribe(&bob, "john@example.com", &[("Accept", PIDF)]);
    watch(&server, &mut bob, &request);
}

/// `notify_every`: what came between two NOTIFYs is told as it is at the end.
#[test]
fn of_many_changes_the_latest_is_told() {
    let server = Server::with(&["presence.notify_every=3s"]);
    let mut bob = Phone::tcp("bob");
    let request = subscribe(&bob, "john@example.com", &[("Accept", PIDF)]);
    watch(&server, &mut bob, &request);
    let mut tag = note(&server, "john@example.com", "change 0").get("SIP-ETag").to_owned();
    for number in 1..=9 {
        let text = document("john@example.com", &format!("change {number}"), "");
        let change = publish("john@example.com").with("SIP-If-Match", &tag).body(PIDF, text.as_bytes());
        tag = Line::tcp(server.sip).request(&change).get("SIP-ETag").to_owned();
    }
    let mut told = 1;
    while !text(&bob.take()).contains("change 9") {
        told += 1;
    }
    assert!(told < 10, "{told} NOTIFYs of 10 changes");
}

#[test]
fn a_list_has_so_many_members() {
    let server = Server::start();
    let put = |count: usize| {
        let members = (0..count).map(|number| format!("\"u{number}@example.com\"")).collect::<Vec<_>>();
        let body = format!("{{\"members\":[{}]}}", members.join(","));
        http::send(server.admin, "PUT", "/api/v1/lists/all@example.com", &[], body.as_bytes()).status()
    };
    assert!(matches!(put(100), 200 | 204));
    assert_eq!(put(101), 400);
    let entries: String =
        (0..101).map(|number| format!("<entry uri=\"sip:u{number}@example.com\"/>")).collect();
    let lists = format!(
        "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list>{entries}</list></resource-lists>"
    );
    let phone = Phone::tcp("bob");
    let carried = subscribe(
        &phone,
        "mine@example.com",
        &[
            ("Accept", "application/pidf+xml, application/rlmi+xml, multipart/related"),
            ("Supported", "eventlist"),
            ("Require", "recipient-list-subscribe"),
        ],
    )
    .body("application/resource-lists+xml", lists.as_bytes());
    assert_eq!(Line::tcp(server.sip).request(&carried).status(), 413);
}

#[test]
fn what_can_be_subscribed_to_is_said_to_who_asks() {
    let server = Server::start();
    let options = Message::new("OPTIONS sip:example.com SIP/2.0")
        .with("Max-Forwards", "70")
        .with("From", "<sip:bob@example.com>;tag=o1")
        .with("To", "<sip:example.com>")
        .with("Call-ID", "options-1")
        .with("CSeq", "1 OPTIONS");
    let mut line = Line::tcp(server.sip);
    assert_eq!(line.request(&options).get("Allow-Events"), "presence, presence.winfo, reg");
    let phone = Phone::tcp("bob");
    let mut unknown = subscribe(&phone, "john@example.com", &[("Event", "dialog")]);
    unknown.start = "SUBSCRIBE sip:example.com SIP/2.0".to_owned();
    let answer = line.request(&unknown);
    assert_eq!((answer.status(), answer.get("Allow-Events")), (489, "presence, presence.winfo, reg"));
    let off = Server::with(&["presence.enabled=false"]);
    assert!(Line::tcp(off.sip).request(&options).header("Allow-Events").is_none());
}
