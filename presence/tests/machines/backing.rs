//! A subscription of ours at another server, for a member of a list.

use presence::backend::{Backend, Known};
use presence::document::{Document, Form, Limits};
use presence::refusal::Refusal;
use presence::subscription::Id;
use presence::time::Moment;
use sip::{Framed, Message, Outgoing, Request, Response};

const NOW: Moment = Moment::from_seconds(1000);

fn backend() -> Backend {
    Backend::new(Id(7), "sip:bob@example.com".into(), "sip:eve@there.example".into(), NOW)
}

fn text(outgoing: &Outgoing) -> String {
    String::from_utf8(outgoing.encode().head.to_vec()).unwrap()
}

fn parse(text: String) -> Message {
    let limits = sip::Limits::default();
    let Framed::Message(raw) = sip::frame::datagram(text.into(), &limits).unwrap() else {
        panic!("no message")
    };
    sip::validate(raw, &limits).unwrap()
}

/// The line of that name in a request of ours.
fn line(sent: &Outgoing, name: &str) -> String {
    let text = text(sent);
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
    line.unwrap_or_default()
}

fn answer(sent: &Outgoing, status: u16, lines: &str) -> Response {
    let copied = ["From", "Call-ID", "CSeq"].map(|name| format!("{name}: {}\r\n", line(sent, name))).concat();
    let Message::Response(response) = parse(format!(
        "SIP/2.0 {status} Whatever\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nTo: <sip:eve@there.example>;tag=t\r\n\
         {copied}{lines}Content-Length: 0\r\n\r\n"
    )) else {
        panic!("no response")
    };
    response
}

fn notify(sent: &Outgoing, cseq: u32, lines: &str, body: &str) -> Request {
    let (to, call_id) = (line(sent, "From"), line(sent, "Call-ID"));
    let Message::Request(request) = parse(format!(
        "NOTIFY sip:us SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{cseq}\r\nMax-Forwards: 70\r\n\
         From: <sip:eve@there.example>;tag=t\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} NOTIFY\r\n\
         Contact: <sip:eve@192.0.2.9>\r\n{lines}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )) else {
        panic!("no request")
    };
    request
}

const ACTIVE: &str = "Event: presence\r\nSubscription-State: active;expires=600\r\n";

fn with_body(kind: &str) -> String {
    format!("{ACTIVE}Content-Type: {kind}\r\n")
}

fn told(backend: &mut Backend, request: &Request) -> Result<bool, Refusal> {
    backend.notified(request, &Limits::default(), NOW)
}

/// How many seconds it is left alone.
fn waits(backend: &Backend) -> u64 {
    backend.due.seconds() - NOW.seconds()
}

#[test]
fn it_asks_in_the_watcher_s_name_and_goes_on_in_the_dialog_the_answer_made() {
    let mut backend = backend();
    let first = backend.subscribe("<sip:us>", false, NOW);
    assert!(text(&first).starts_with("SUBSCRIBE sip:eve@there.example SIP/2.0\r\n"), "{}", text(&first));
    assert_eq!(line(&first, "From"), "<sip:bob@example.com>;tag=e0000000000000007.0");
    assert_eq!(line(&first, "P-Asserted-Identity"), "<sip:bob@example.com>");
    assert_eq!(Backend::of_tag(b"e0000000000000007.0"), Some(Id(7)));
    let others = [&b"p0000000000000007.0"[..], b"e7.0", b"e000000000000000G.0", b"e0000000000000007"];
    assert_eq!(others.map(Backend::of_tag), [None; 4]);
    let routes = "Record-Route: <sip:a;lr>, <sip:b;lr>\r\nContact: <sip:eve@192.0.2.9>\r\nExpires: 100\r\n";
    backend.answered(Some(&answer(&first, 200, routes)), NOW);
    assert!(backend.is_established());
    assert_eq!(
        told(&mut backend, &notify(&first, 1, "Event: presence\r\nSubscription-State: active\r\n", "")),
        Ok(false)
    );
    assert_eq!(waits(&backend), 80, "it is refreshed before it ends");
    let second = backend.subscribe("<sip:us>", true, NOW);
    assert!(text(&second).starts_with("SUBSCRIBE sip:eve@192.0.2.9 SIP/2.0\r\n"), "{}", text(&second));
    assert_eq!(line(&second, "To"), "<sip:eve@there.example>;tag=t");
    assert_eq!((line(&second, "CSeq"), line(&second, "Expires")), ("2 SUBSCRIBE".into(), "0".into()));
    let text = text(&second);
    assert!(
        text.find("<sip:b;lr>").unwrap() < text.find("<sip:a;lr>").unwrap(),
        "the other way round: {text}"
    );
}

#[test]
fn each_refusal_says_what_is_known_and_when_it_is_asked_again() {
    for (status, lines, known, wait) in [
        (403, "", Known::Terminated("rejected"), 3600),
        (401, "", Known::Terminated("rejected"), 3600),
        (404, "", Known::Terminated("noresource"), 3600),
        (503, "Retry-After: 60\r\n", Known::Terminated("giveup"), 60),
        (500, "", Known::Terminated("giveup"), 600),
        (503, "Retry-After: 99999999\r\n", Known::Terminated("giveup"), 86_400),
        (423, "Min-Expires: 7200\r\n", Known::Nothing, 5),
        (423, "Min-Expires: 99999999\r\n", Known::Terminated("giveup"), 600),
    ] {
        let mut backend = backend();
        let sent = backend.subscribe("<sip:us>", false, NOW);
        backend.answered(Some(&answer(&sent, status, lines)), NOW);
        assert_eq!((&backend.known, waits(&backend)), (&known, wait), "{status} {lines}");
        assert!(!backend.is_established());
        if status == 423 && wait == 5 {
            assert_eq!(line(&backend.subscribe("<sip:us>", false, NOW), "Expires"), "7200");
        }
    }
    let mut backend = backend();
    backend.answered(None, NOW);
    assert_eq!((&backend.known, waits(&backend)), (&Known::Nothing, 600));
}

#[test]
fn what_is_notified_is_known_and_a_dialog_that_is_gone_begins_anew() {
    let mut backend = backend();
    let sent = backend.subscribe("<sip:us>", false, NOW);
    let here = Document::new("pres:eve@there.example").note("here");
    let body = String::from_utf8(here.write(Form::CpimPidf).to_vec()).unwrap();
    // Before the 200.
    let first = notify(&sent, 1, &with_body("application/cpim-pidf+xml;charset=utf-8"), &body);
    assert_eq!(told(&mut backend, &first), Ok(true));
    assert!(backend.is_established());
    let Known::Active(known) = backend.known.clone() else { panic!("{:?}", backend.known) };
    assert_eq!(known, here.write(Form::Pidf));
    assert_eq!(told(&mut backend, &notify(&sent, 2, ACTIVE, "")), Ok(false), "nothing new");
    let end =
        notify(&sent, 3, "Event: presence\r\nSubscription-State: terminated;reason=deactivated\r\n", "");
    assert_eq!(told(&mut backend, &end), Ok(true));
    assert_eq!((&backend.known, waits(&backend)), (&Known::Terminated("deactivated"), 5));
    assert!(!backend.is_established());
    let again = backend.subscribe("<sip:us>", false, NOW);
    assert_eq!(line(&again, "To"), "<sip:eve@there.example>");
    assert_ne!(line(&again, "Call-ID"), line(&sent, "Call-ID"), "another subscription has another dialog");
    assert_ne!(line(&again, "From"), line(&sent, "From"));
    assert_eq!(told(&mut backend, &notify(&sent, 4, ACTIVE, "")), Err(Refusal::NoSubscription));
}

/// RFC 6665 §4.1.3, reason by reason.
#[test]
fn when_it_may_be_asked_for_anew_is_what_the_reason_says() {
    for (state, wait) in [
        ("deactivated;retry-after=30", Some(5)),
        ("probation;retry-after=30", Some(30)),
        ("probation;retry-after=99999999", Some(99_999_999)),
        ("probation", Some(600)),
        ("rejected;retry-after=30", None),
        ("timeout;retry-after=30", Some(5)),
        ("giveup;retry-after=30", Some(30)),
        ("giveup", Some(600)),
        ("noresource;retry-after=30", None),
        ("invariant;retry-after=30", None),
        ("anything;retry-after=30", Some(30)),
        ("anything", Some(600)),
    ] {
        let mut backend = backend();
        let sent = backend.subscribe("<sip:us>", false, NOW);
        let state = format!("Event: presence\r\nSubscription-State: TERMINATED;expires=9;reason={state}\r\n");
        told(&mut backend, &notify(&sent, 1, &state, "")).unwrap();
        let never = u64::MAX / 1000 - NOW.seconds();
        assert_eq!(waits(&backend), wait.unwrap_or(never), "{state}");
        // Who watches the list anew wants to know.
        assert_eq!(backend.wanted(NOW), wait.is_none());
        assert_eq!(waits(&backend), wait.unwrap_or(5), "{state}");
    }
}

#[test]
fn an_answer_that_comes_after_the_end_brings_nothing_back() {
    let mut backend = backend();
    let sent = backend.subscribe("<sip:us>", false, NOW);
    let end = notify(&sent, 1, "Event: presence\r\nSubscription-State: terminated;reason=probation\r\n", "");
    assert_eq!(told(&mut backend, &end), Ok(true));
    let late = answer(&sent, 200, "Contact: <sip:eve@192.0.2.9>\r\nExpires: 100\r\n");
    backend.answered(Some(&late), NOW);
    assert!(!backend.is_established());
    assert_eq!((&backend.known, waits(&backend)), (&Known::Terminated("probation"), 600));
    // And nothing comes of one that could not be sent, but that it is tried again later.
    let mut nowhere = self::backend();
    nowhere.answered(None, NOW);
    assert_eq!((&nowhere.known, waits(&nowhere)), (&Known::Nothing, 600));
}

/// Timer N.
#[test]
fn one_whose_notify_does_not_come_within_32_seconds_is_over() {
    let accepted = |backend: &mut Backend, sent: &Outgoing| {
        let lines = "Contact: <sip:eve@192.0.2.9>\r\nExpires: 600\r\n";
        backend.answered(Some(&answer(sent, 200, lines)), NOW);
    };
    let mut backend = backend();
    let sent = backend.subscribe("<sip:us>", false, NOW);
    accepted(&mut backend, &sent);
    assert_eq!(waits(&backend), 32);
    assert!(!backend.falls_silent(NOW.after(31_999)) && backend.is_established());
    assert!(backend.falls_silent(NOW.after(32_000)) && !backend.is_established());
    assert_eq!(waits(&backend), 632);
    assert_eq!(told(&mut backend, &notify(&sent, 1, ACTIVE, "")), Err(Refusal::NoSubscription), "too late");

    // A refresh waits for its own.
    let mut backend = self::backend();
    let sent = backend.subscribe("<sip:us>", false, NOW);
    accepted(&mut backend, &sent);
    assert_eq!(told(&mut backend, &notify(&sent, 1, ACTIVE, "")), Ok(false));
    assert_eq!(waits(&backend), 480);
    assert!(!backend.falls_silent(NOW.after(480_000)));
    let refresh = backend.subscribe("<sip:us>", false, NOW);
    accepted(&mut backend, &refresh);
    assert!(backend.falls_silent(NOW.after(32_000)));

    // The NOTIFY is what counts: without the 200 the subscription is there all the same.
    let mut backend = self::backend();
    let sent = backend.subscribe("<sip:us>", false, NOW);
    assert_eq!(told(&mut backend, &notify(&sent, 1, ACTIVE, "")), Ok(false));
    backend.answered(None, NOW);
    assert!(backend.is_established() && !backend.falls_silent(NOW.after(60_000)));
    assert_eq!(waits(&backend), 480);
    // And where none is to come (RFC 5839) none is waited for.
    let mut backend = self::backend();
    let sent = backend.subscribe("<sip:us>", false, NOW);
    backend.answered(Some(&answer(&sent, 204, "Contact: <sip:eve@192.0.2.9>\r\nExpires: 600\r\n")), NOW);
    assert!(!backend.falls_silent(NOW.after(60_000)));
}

/// RFC 6665 §4.1.2.2.
#[test]
fn one_whose_refresh_fails_goes_on_to_its_end_unless_the_answer_ends_it() {
    let lines = "Contact: <sip:eve@192.0.2.9>\r\nExpires: 1000\r\n";
    let established = || {
        let mut backend = backend();
        let sent = backend.subscribe("<sip:us>", false, NOW);
        backend.answered(Some(&answer(&sent, 200, lines)), NOW);
        let pending = "Event: presence\r\nSubscription-State: pending\r\n";
        assert_eq!(told(&mut backend, &notify(&sent, 1, pending, "")), Ok(true));
        assert_eq!(waits(&backend), 800);
        backend
    };
    let due = NOW.after(800_000);
    for (status, lines, wait) in [
        (500, "", 1000),
        (503, "Retry-After: 60\r\n", 860),
        (503, "Retry-After: 600\r\n", 1000),
        (403, "", 1000),
        (408, "", 1000),
    ] {
        let mut backend = established();
        let sent = backend.subscribe("<sip:us>", false, due);
        backend.answered(Some(&answer(&sent, status, lines)), due);
        assert_eq!((&backend.known, waits(&backend)), (&Known::Pending, wait), "{status} {lines}");
        assert!(backend.is_established(), "{status}");
        assert_eq!(told(&mut backend, &notify(&sent, 2, ACTIVE, "")), Ok(false), "and is heard");
        // At its end it is over.
        let end = NOW.after(1_000_000);
        let sent = backend.subscribe("<sip:us>", false, end);
        backend.answered(Some(&answer(&sent, status, lines)), end);
        assert!(!backend.is_established() && backend.known != Known::Pending, "{status}");
    }
    for status in [404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604] {
        let mut backend = established();
        let sent = backend.subscribe("<sip:us>", false, due);
        backend.answered(Some(&answer(&sent, status, "")), due);
        assert!(!backend.is_established(), "{status}");
    }
    // One that can't be sent is as one refused; of one that nobody answers in time nothing is left.
    for (after, is_left) in [(0, true), (32_000, false)] {
        let mut backend = established();
        backend.subscribe("<sip:us>", false, due);
        backend.answered(None, due.after(after));
        assert_eq!(backend.is_established(), is_left, "{after}");
    }
}

#[test]
fn a_notify_makes_it_shorter_than_the_answer_said_in_whichever_order_they_come() {
    let short = "Event: presence\r\nSubscription-State: pending;expires=100\r\n";
    for notify_first in [true, false] {
        let mut backend = backend();
        let sent = backend.subscribe("<sip:us>", false, NOW);
        let accepted = answer(&sent, 200, "Contact: <sip:eve@192.0.2.9>\r\nExpires: 3600\r\n");
        if notify_first {
            assert_eq!(told(&mut backend, &notify(&sent, 1, short, "")), Ok(true));
            backend.answered(Some(&accepted), NOW);
        } else {
            backend.answered(Some(&accepted), NOW);
            assert_eq!(told(&mut backend, &notify(&sent, 1, short, "")), Ok(true));
        }
        assert_eq!(waits(&backend), 80, "{notify_first}");
    }
}

#[test]
fn one_that_we_ended_begins_anew_where_it_is_wanted_again() {
    let mut backend = backend();
    let sent = backend.subscribe("<sip:us>", false, NOW);
    assert_eq!(told(&mut backend, &notify(&sent, 1, ACTIVE, "")), Ok(false));
    let last = backend.subscribe("<sip:us>", true, NOW);
    backend.ended(NOW);
    assert!(!backend.is_established());
    assert_eq!(waits(&backend), 5);
    let again = backend.subscribe("<sip:us>", false, NOW);
    assert_eq!(line(&again, "To"), "<sip:eve@there.example>");
    assert_ne!(line(&again, "Call-ID"), line(&last, "Call-ID"));
}

#[test]
fn what_is_of_no_dialog_or_can_t_be_read_changes_nothing() {
    let mut backend = backend();
    let sent = backend.subscribe("<sip:us>", false, NOW);
    backend.answered(Some(&answer(&sent, 200, "Contact: <sip:eve@192.0.2.9>\r\n")), NOW);
    assert_eq!(told(&mut backend, &notify(&sent, 5, ACTIVE, "")), Ok(false));
    let pidf = with_body("application/pidf+xml");
    let large = format!("<presence xmlns=\"urn:ietf:params:xml:ns:pidf\">{}</presence>", " ".repeat(300_000));
    for (request, refusal) in [
        (notify(&sent, 5, ACTIVE, ""), Refusal::OutOfOrder),
        (notify(&sent, 6, "Event: dialog\r\nSubscription-State: active\r\n", ""), Refusal::BadEvent),
        (notify(&sent, 6, "Event: presence\r\n", ""), Refusal::Malformed("Subscription-State Can't Be Read")),
        (notify(&sent, 6, &pidf, "<presence"), Refusal::Malformed("The Presence Document Can't Be Read")),
        (
            notify(&sent, 6, &with_body("text/plain"), "hello"),
            Refusal::MediaType { accept: "application/pidf+xml" },
        ),
        (notify(&sent, 6, &pidf, &large), Refusal::TooLarge),
    ] {
        assert_eq!(told(&mut backend, &request), Err(refusal));
    }
    let other = Backend::new(Id(8), "sip:bob@example.com".into(), "sip:eve@there.example".into(), NOW)
        .subscribe("<sip:us>", false, NOW);
    assert_eq!(told(&mut backend, &notify(&other, 7, ACTIVE, "")), Err(Refusal::NoSubscription));
    assert_eq!(backend.known, Known::Nothing);
}
