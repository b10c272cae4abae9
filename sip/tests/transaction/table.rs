//! Finding the transaction a message belongs to, and the limits of a table.

use std::time::{Duration, Instant};

use sip::transaction::{Event, Id, RespondError, Sending, Settings, Table, Timers};
use sip::{Encoded, Message, Request, Response, ResponseBuilder};

use crate::simulated::origin;

type Plain = Table<&'static str, ()>;

fn table(transactions: usize) -> Plain {
    Table::new(Settings { timers: Timers::default(), transactions, retry_after: 7 })
}

fn message(octets: &[u8]) -> Message {
    let limits = sip::Limits::default();
    match sip::frame::datagram(octets.to_vec().into(), &limits).unwrap() {
        sip::Framed::Message(raw) => sip::validate(raw, &limits).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn request(method: &str, via: &str, to: &str) -> Request {
    let text = format!(
        "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@h>;tag=1\r\nTo: <sip:bob@example.com>{to}\r\nCall-ID: x\r\nCSeq: 7 {method}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    match message(text.as_bytes()) {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

fn response(octets: &Encoded) -> Response {
    match message(&octets.to_bytes()) {
        Message::Response(response) => response,
        Message::Request(_) => panic!("a request"),
    }
}

fn answer(request: &Request, status: u16) -> Encoded {
    ResponseBuilder::to_request(request, status, "Answer").encode()
}

fn events(table: &mut Plain) -> Vec<Event<&'static str>> {
    std::iter::from_fn(|| table.poll()).collect()
}

/// The transaction of a request that is new.
fn begin(table: &mut Plain, now: Instant, request: &Request) -> Id {
    table.on_request(now, request.clone(), "client", false);
    match events(table).as_slice() {
        [Event::Request { id, .. }] => *id,
        other => panic!("{other:?}"),
    }
}

/// The only octets that are sent.
fn sent(table: &mut Plain) -> Encoded {
    match events(table).as_slice() {
        [Event::Send { octets, .. }] => octets.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_repeated_request_is_absorbed_and_answered_with_the_same_octets() {
    let (mut table, now) = (table(10), origin());
    let message = request("MESSAGE", "h;branch=z9hG4bK1", "");
    let id = begin(&mut table, now, &message);
    table.on_request(now, message.clone(), "client", false);
    assert!(events(&mut table).is_empty());
    table.respond(now, id, answer(&message, 200)).unwrap();
    let first = sent(&mut table);
    table.on_request(now, message, "client", false);
    let again = sent(&mut table);
    assert_eq!(first, again);
    assert_eq!(first.head.as_ptr(), again.head.as_ptr(), "encoded once");
}

#[test]
fn another_branch_sent_by_or_method_is_another_transaction() {
    let (mut table, now) = (table(10), origin());
    for (method, via) in [
        ("MESSAGE", "h;branch=z9hG4bK1"),
        ("MESSAGE", "h;branch=z9hG4bK2"),
        ("MESSAGE", "h:5070;branch=z9hG4bK1"),
        ("OPTIONS", "h;branch=z9hG4bK1"),
    ] {
        begin(&mut table, now, &request(method, via, ""));
    }
    table.on_request(now, request("MESSAGE", "H;branch=z9hG4bK1", ""), "client", false);
    assert!(events(&mut table).is_empty(), "hosts have no case");
}

#[test]
fn the_ack_to_a_failure_ends_its_repetition_and_an_ack_to_nothing_goes_to_the_user() {
    let (mut table, now) = (table(10), origin());
    let invite = request("INVITE", "h;branch=z9hG4bK1", "");
    let id = begin(&mut table, now, &invite);
    table.respond(now, id, answer(&invite, 486)).unwrap();
    sent(&mut table);
    table.on_request(now, request("ACK", "h;branch=z9hG4bK1", ";tag=2"), "client", false);
    assert!(events(&mut table).is_empty());
    table.on_timeout(now + Duration::from_secs(4));
    assert!(events(&mut table).is_empty(), "Timer G stands");
    table.on_request(now, request("ACK", "h;branch=z9hG4bK2", ";tag=2"), "client", false);
    assert!(matches!(events(&mut table).as_slice(), [Event::Ack { .. }]));
}

#[test]
fn clients_without_the_cookie_are_matched_by_what_rfc_2543_has() {
    let (mut table, now) = (table(10), origin());
    let invite = request("INVITE", "h;branch=1", "");
    let id = begin(&mut table, now, &invite);
    table.on_request(now, invite.clone(), "client", false);
    assert!(events(&mut table).is_empty());
    table.respond(now, id, answer(&invite, 486)).unwrap();
    sent(&mut table);
    table.on_request(now, request("ACK", "h;branch=1", ";tag=2"), "client", false);
    assert!(events(&mut table).is_empty(), "the ACK matches");
    begin(&mut table, now, &request("INVITE", "h", ""));
}

#[test]
fn requests_of_one_transaction_share_their_affinity() {
    let hasher = std::hash::RandomState::new();
    let affinity = |method, via| sip::transaction::affinity(&request(method, via, ""), &hasher);
    for via in ["h;branch=z9hG4bK1", "h;branch=old", "h"] {
        let invite = affinity("INVITE", via);
        assert_eq!([invite, invite], [affinity("ACK", via), affinity("CANCEL", via)]);
    }
    assert_ne!(affinity("INVITE", "h;branch=z9hG4bK1"), affinity("INVITE", "h;branch=z9hG4bK2"));
}

#[test]
fn a_cancel_is_answered_200_and_told_to_its_invite_while_that_waits() {
    let (mut table, now) = (table(10), origin());
    let invite = request("INVITE", "h;branch=z9hG4bK1", "");
    let id = begin(&mut table, now, &invite);
    table.on_request(now, request("CANCEL", "h;branch=z9hG4bK1", ""), "client", false);
    match events(&mut table).as_slice() {
        [Event::Send { octets, .. }, Event::Cancelled { id: cancelled }] => {
            assert_eq!((octets.status(), *cancelled), (Some(200), id));
        }
        other => panic!("{other:?}"),
    }
    table.respond(now, id, answer(&invite, 487)).unwrap();
    sent(&mut table);
}

#[test]
fn a_cancel_after_the_final_response_has_no_effect() {
    let (mut table, now) = (table(10), origin());
    let invite = request("INVITE", "h;branch=z9hG4bK1", "");
    let id = begin(&mut table, now, &invite);
    table.respond(now, id, answer(&invite, 200)).unwrap();
    sent(&mut table);
    table.on_request(now, request("CANCEL", "h;branch=z9hG4bK1", ""), "client", false);
    assert_eq!(sent(&mut table).status(), Some(200));
}

#[test]
fn a_cancel_without_an_invite_is_the_users() {
    let (mut table, now) = (table(10), origin());
    begin(&mut table, now, &request("MESSAGE", "h;branch=z9hG4bK1", ""));
    begin(&mut table, now, &request("CANCEL", "h;branch=z9hG4bK1", ""));
}

#[test]
fn a_request_beyond_the_limit_is_answered_503_with_retry_after() {
    let (mut table, now) = (table(1), origin());
    begin(&mut table, now, &request("MESSAGE", "h;branch=z9hG4bK1", ""));
    table.on_request(now, request("MESSAGE", "h;branch=z9hG4bK2", ""), "client", false);
    match events(&mut table).as_slice() {
        [Event::Refused, Event::Send { id: None, octets, .. }] => {
            let refusal = response(octets);
            assert_eq!((refusal.status(), refusal.header_named("Retry-After")), (503, Some(&b"7"[..])));
        }
        other => panic!("{other:?}"),
    }
    let octets = Encoded {
        head: bytes::Bytes::from_static(b"MESSAGE sip:a SIP/2.0\r\n\r\n"),
        body: bytes::Bytes::new(),
    };
    let sending =
        Sending { method: b"MESSAGE", branch: b"z9hG4bK3", octets, peer: "server", reliable: false };
    assert!(table.request(now, sending, None).is_err());
    assert_eq!(table.len(), 1);
}

#[test]
fn the_ack_for_an_answer_without_a_transaction_goes_nowhere() {
    let (mut table, now) = (table(1), origin());
    begin(&mut table, now, &request("MESSAGE", "h;branch=z9hG4bK1", ""));
    table.on_request(now, request("INVITE", "h;branch=z9hG4bK2", ""), "client", false);
    let refusal = match events(&mut table).as_slice() {
        [Event::Refused, Event::Send { octets, .. }] => response(octets),
        other => panic!("{other:?}"),
    };
    let tag = String::from_utf8_lossy(refusal.to_tag().unwrap()).into_owned();
    table.on_request(now, request("ACK", "h;branch=z9hG4bK2", &format!(";tag={tag}")), "client", false);
    assert!(events(&mut table).is_empty());
    table.on_request(now, request("ACK", "h;branch=z9hG4bK3", ";tag=phone"), "client", false);
    assert!(matches!(events(&mut table).as_slice(), [Event::Ack { .. }]), "one for a 2xx goes on");
}

#[test]
fn a_cancel_is_served_when_the_table_is_full() {
    let (mut table, now) = (table(1), origin());
    let id = begin(&mut table, now, &request("INVITE", "h;branch=z9hG4bK1", ""));
    table.on_request(now, request("CANCEL", "h;branch=z9hG4bK1", ""), "client", false);
    match events(&mut table).as_slice() {
        [Event::Send { id: None, octets, .. }, Event::Cancelled { id: cancelled }] => {
            assert_eq!((octets.status(), *cancelled), (Some(200), id));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_draining_table_refuses_what_is_new_and_finishes_what_is_old() {
    let (mut table, now) = (table(10), origin());
    let message = request("MESSAGE", "h;branch=z9hG4bK1", "");
    let id = begin(&mut table, now, &message);
    table.drain();
    table.on_request(now, request("MESSAGE", "h;branch=z9hG4bK2", ""), "client", false);
    assert!(matches!(events(&mut table).as_slice(), [Event::Refused, Event::Send { id: None, .. }]));
    assert_eq!(table.waiting(), 1);
    table.respond(now, id, answer(&message, 200)).unwrap();
    assert_eq!(sent(&mut table).status(), Some(200));
    assert_eq!(table.waiting(), 0);
}

#[test]
fn a_silent_user_has_100_sent_for_it_and_a_lost_one_500() {
    let (mut table, start) = (table(10), origin());
    let id = begin(&mut table, start, &request("MESSAGE", "h;branch=z9hG4bK1", ""));
    let now = table.deadline().unwrap();
    assert_eq!(now - start, Duration::from_millis(3500));
    table.on_timeout(now);
    assert_eq!(sent(&mut table).status(), Some(100));
    table.fail(now, id);
    assert_eq!(sent(&mut table).status(), Some(500));
    table.fail(now, id);
    assert!(events(&mut table).is_empty());
}

#[test]
fn octets_that_are_no_response_are_not_sent() {
    let (mut table, now) = (table(10), origin());
    let message = request("MESSAGE", "h;branch=z9hG4bK1", "");
    let id = begin(&mut table, now, &message);
    let octets = Encoded { head: message.raw().octets().clone(), body: bytes::Bytes::new() };
    assert_eq!(table.respond(now, id, octets), Err(RespondError::NotAResponse));
    assert!(events(&mut table).is_empty());
}

#[test]
fn a_response_to_nothing_is_stray() {
    let (mut table, now) = (table(10), origin());
    table.on_response(now, response(&answer(&request("MESSAGE", "h;branch=z9hG4bK1", ""), 200)));
    assert!(matches!(events(&mut table).as_slice(), [Event::Stray { .. }]));
}

#[test]
fn an_id_of_a_finished_transaction_names_nothing() {
    let (mut table, now) = (table(1), origin());
    let message = request("MESSAGE", "h;branch=z9hG4bK1", "");
    table.on_request(now, message.clone(), "client", true);
    let Some(Event::Request { id, .. }) = table.poll() else { panic!("no request") };
    table.respond(now, id, answer(&message, 200)).unwrap();
    assert!(matches!(events(&mut table).as_slice(), [Event::Send { .. }, Event::Ended { .. }]));
    assert!(table.is_empty());
    let next = begin(&mut table, now, &message);
    assert_eq!(table.respond(now, id, answer(&message, 200)), Err(RespondError::Late));
    assert_ne!(id, next);
}

#[test]
fn a_response_given_once_is_not_kept_and_a_repetition_of_its_request_is_known_for_one() {
    let (mut table, now) = (table(10), origin());
    let message = request("REGISTER", "h;branch=z9hG4bK1", "");
    let id = begin(&mut table, now, &message);
    assert!(!table.is_repetition(id));
    table.respond_once(now, id, answer(&message, 200)).unwrap();
    assert!(matches!(events(&mut table).as_slice(), [Event::Send { .. }, Event::Ended { .. }]));
    assert!(table.is_empty());
    let again = begin(&mut table, now + Duration::from_secs(31), &message);
    assert!(table.is_repetition(again), "its answer may have been lost");
    table.respond(now, again, answer(&message, 200)).unwrap();
    events(&mut table);
    let other = begin(&mut table, now, &request("REGISTER", "h;branch=z9hG4bK2", ""));
    assert!(!table.is_repetition(other));
}

#[test]
fn a_request_whose_answer_was_not_kept_is_new_after_twice_its_time() {
    let (mut table, now) = (table(10), origin());
    let message = request("REGISTER", "h;branch=z9hG4bK1", "");
    let id = begin(&mut table, now, &message);
    table.respond_once(now, id, answer(&message, 200)).unwrap();
    events(&mut table);
    let late = begin(&mut table, now + Duration::from_secs(64), &message);
    assert!(!table.is_repetition(late));
}
