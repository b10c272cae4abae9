//! The way of a NOTIFY: what is too long for a datagram goes over TCP, and where nobody takes that it is made to fit
//! (CPI.md 3.4); what it says of a list is held to the watcher's limits as a whole.

use crate::harness::picture::picture;
use crate::harness::{self, Line, Message, Phone, Server, http};
use crate::parts;
use crate::presence::{PIDF, document, note, publish, subscribe, text, watch};

/// Octets that a datagram may have (RFC 3261 §18.1.1).
const DATAGRAM: usize = 1300;

/// Publishes a document with a photo of 640x480 beside it.
fn photo(server: &Server, user: &str, note: &str) {
    let mut body = b"--xx\r\nContent-Type: application/pidf+xml\r\n\r\n".to_vec();
    body.extend(document(user, note, "<b:ObjLink>cid:photo@x</b:ObjLink>\r\n").bytes());
    body.extend(b"\r\n--xx\r\nContent-Type: image/jpeg\r\nContent-ID: <photo@x>\r\n\r\n");
    body.extend(harness::data("images/life_640x480.jpg"));
    body.extend(b"\r\n--xx--\r\n");
    let kind = "multipart/related;type=\"application/pidf+xml\";boundary=xx";
    let answer = Line::tcp(server.sip).request(&publish(user).body(kind, &body));
    assert_eq!(answer.status(), 200, "{answer}");
}

const ALL: &str = "application/pidf+xml, multipart/related, message/external-body, image/jpeg";

#[test]
fn a_long_notify_goes_over_tcp_to_where_datagrams_would_have_gone() {
    let server = Server::start();
    photo(&server, "john@example.com", "At home");
    let udp = Phone::udp("bob");
    let mut tcp = Phone::tcp("bob");
    tcp.listen_beside(&udp);
    let request = subscribe(&udp, "john@example.com", &[("Accept", ALL)]);
    assert_eq!(Line::udp(server.sip).request(&request).status(), 200);
    let notify = tcp.take();
    assert!(notify.get("Via").starts_with("SIP/2.0/TCP"), "{notify}");
    assert_eq!(picture(&parts(&notify)[1].body).width, 640, "nothing has to get smaller");
    assert!(!udp.has_more(), "no datagram");
    assert_eq!(notify.request_uri(), udp.uri());
}

#[test]
fn where_nobody_takes_tcp_a_notify_is_made_to_fit_a_datagram() {
    let server = Server::start();
    photo(&server, "john@example.com", "At home");
    for (accept, is_linked) in
        [(ALL, true), ("application/pidf+xml, image/jpeg", true), ("application/pidf+xml", true)]
    {
        let mut bob = Phone::udp("bob");
        let request = subscribe(&bob, "john@example.com", &[("Accept", accept)]);
        assert_eq!(Line::udp(server.sip).request(&request).status(), 200);
        let notify = bob.take();
        assert!(notify.octets().len() <= DATAGRAM, "{} octets for {accept}", notify.octets().len());
        let body = text(&notify);
        assert!(body.contains("At home"), "{notify}");
        assert_eq!(body.contains("http://"), is_linked, "{accept}: {notify}");
    }
}

#[test]
fn a_document_that_fits_no_datagram_leaves_in_one_where_there_is_no_other_way() {
    let server = Server::start();
    note(&server, "john@example.com", &"At home. ".repeat(300));
    let mut bob = Phone::udp("bob");
    let request = subscribe(&bob, "john@example.com", &[("Accept", PIDF)]);
    assert_eq!(Line::udp(server.sip).request(&request).status(), 200);
    let notify = bob.take();
    assert!(notify.octets().len() > DATAGRAM && notify.get("Via").starts_with("SIP/2.0/UDP"), "{notify}");
}

const LISTED: &str =
    "application/pidf+xml, application/rlmi+xml, multipart/related, message/external-body, image/jpeg";

fn friends(server: &Server, members: &[&str]) {
    let members: Vec<String> = members.iter().map(|member| format!("\"{member}@example.com\"")).collect();
    let body = format!("{{\"members\":[{}]}}", members.join(","));
    let path = "/api/v1/lists/friends@example.com";
    let answer = http::send(server.admin, "PUT", path, &[], body.as_bytes());
    assert!(matches!(answer.status(), 200 | 204), "{answer}");
}

fn watch_friends(phone: &Phone, lines: &[(&str, &str)]) -> Message {
    let lines = [&[("Accept", LISTED), ("Supported", "eventlist")], lines].concat();
    subscribe(phone, "friends@example.com", &lines)
}

/// The pictures get smaller, or links, so that all of it is within what the watcher takes.
#[test]
fn a_list_as_a_whole_is_within_the_watcher_s_limit() {
    let server = Server::start();
    friends(&server, &["ann", "carl"]);
    photo(&server, "ann@example.com", "Ann is here");
    photo(&server, "carl@example.com", "Carl is here");
    let mut bob = Phone::tcp("bob");
    let request = watch_friends(&bob, &[("Accept-Encoding", "identity;length=max+20000")]);
    let (_, notify) = watch(&server, &mut bob, &request);
    assert!(notify.body.len() <= 20_000, "{}", notify.body.len());
    let body = text(&notify);
    assert!(body.contains("Ann is here") && body.contains("Carl is here"), "{body}");
    let root = text(&parts(&notify)[0]);
    for part in &parts(&notify)[1..] {
        let id = part.get("Content-ID").trim_matches(['<', '>']);
        assert!(root.contains(&format!("cid=\"{id}\"")), "{id} in {root}");
    }
}

/// Whoever has no room in one NOTIFY is told of with the next.
#[test]
fn of_a_list_that_does_not_fit_the_rest_comes_later() {
    let server = Server::with(&["presence.notify_every=1s"]);
    friends(&server, &["ann", "carl", "dora"]);
    for user in ["ann", "carl", "dora"] {
        note(&server, &format!("{user}@example.com"), &format!("{user} {}", "is here ".repeat(200)));
    }
    let mut bob = Phone::tcp("bob");
    let request = watch_friends(&bob, &[("Accept-Encoding", "identity;length=max+5000")]);
    let (_, first) = watch(&server, &mut bob, &request);
    let mut told = String::new();
    let mut next = first;
    loop {
        assert!(next.body.len() <= 5000, "{}", next.body.len());
        told.push_str(&text(&next));
        if ["ann is", "carl is", "dora is"].iter().all(|each| told.contains(each)) {
            break;
        }
        next = bob.take();
    }
    assert!(told.contains("fullState=\"true\"") && told.contains("fullState=\"false\""), "in several");
}

#[test]
fn a_list_fits_a_datagram_where_that_is_the_only_way_and_a_member_who_does_not_leaves_all_the_same() {
    let server = Server::with(&["presence.notify_every=1s"]);
    friends(&server, &["ann", "carl"]);
    let mut bob = Phone::udp("bob");
    let answer = Line::udp(server.sip).request(&watch_friends(&bob, &[]));
    assert_eq!(answer.status(), 200, "{answer}");
    for (first, second) in [("ann", "carl"), ("carl", "ann")] {
        let notify = bob.take();
        assert!(notify.octets().len() <= DATAGRAM, "{} octets", notify.octets().len());
        let told = text(&notify);
        assert!(told.contains(&format!("entity=\"pres:{first}@example.com\"")), "{notify}");
        assert!(!told.contains(&format!("entity=\"pres:{second}@example.com\"")), "{notify}");
    }
    note(&server, "carl@example.com", &"Carl is here. ".repeat(40));
    let notify = bob.take();
    assert!(notify.octets().len() > DATAGRAM && text(&notify).contains("Carl is here. "), "{notify}");
}

/// NOTIFYs to a phone without TCP, one for each length of a note: none is longer than a datagram may be, and the longest
/// is nearly so.
fn at_the_edge(server: &Server, request: impl Fn(&Phone) -> Message, notes: impl Iterator<Item = usize>) {
    let mut bob = Phone::udp("bob");
    let mut longest = 0;
    for octets in notes {
        note(server, "ann@example.com", &"x".repeat(octets));
        assert_eq!(Line::udp(server.sip).request(&request(&bob)).status(), 200);
        let notify = bob.take();
        let size = notify.octets().len();
        assert!(size <= DATAGRAM, "{size} octets with a note of {octets}: {notify}");
        longest = longest.max(size);
    }
    assert!(longest > DATAGRAM - 64, "the edge was not met: {longest}");
}

#[test]
fn at_the_edge_of_a_datagram_all_of_a_notify_counts() {
    let server = Server::with(&["presence.notify_every=0s", "presence.publications=1000"]);
    photo(&server, "ann@example.com", "");
    for accept in ["application/pidf+xml, image/jpeg", ALL] {
        let lines = [("Accept", accept), ("Expires", "0")];
        let fetch = |phone: &Phone| subscribe(phone, "ann@example.com", &lines);
        at_the_edge(&server, fetch, (0..550).step_by(5));
    }
}
