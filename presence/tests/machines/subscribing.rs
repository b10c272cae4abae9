use cpi::Extensions;
use presence::event::Package;
use presence::notifier::{Asked, Format, Limits, New, floor, read_capabilities};
use presence::refusal::Refusal;
use presence::rules::Decision;
use presence::subscription::{Kind, Resource, Subscription};
use presence::time::Moment;

use super::request;

const CONTACT: &str = "Contact: <sip:bob@192.0.2.1>;type=\"image/gif\"\r\n";

fn read(lines: &str) -> Result<Asked, Refusal> {
    Asked::read(&request("SUBSCRIBE", lines), &Limits::default(), &Extensions::NONE)
}

fn subscribed(lines: &str) -> Subscription {
    let lines = format!("Event: presence\r\n{CONTACT}{lines}");
    let request = request("SUBSCRIBE", &lines);
    let new = New {
        resource: Resource { package: Package::Presence, aor: "sip:john@example.com".into() },
        kind: Kind::One,
        members: Vec::new(),
        watcher: "sip:bob@example.com".into(),
        proven: true,
        decision: Decision::Allow,
        origin: bytes::Bytes::new(),
    };
    read(&lines).unwrap().subscribe(&request, new, Moment::from_seconds(1_700_000_000))
}

fn format(accept: &str) -> Result<Format, u16> {
    let lines = format!("Event: presence\r\n{CONTACT}{accept}");
    let asked = read(&lines).unwrap();
    Format::choose(&asked.cpi, Package::Presence).map_err(|refusal| refusal.answer().status)
}

#[test]
fn a_subscribe_is_read_or_refused_with_what_is_wrong() {
    let status = |lines: &str| read(lines).unwrap_err().answer().status;
    assert_eq!(status(CONTACT), 489);
    assert_eq!(status(&format!("Event: message-summary\r\n{CONTACT}")), 489);
    assert_eq!(status("Event: presence\r\n"), 400, "no Contact");
    assert_eq!(status(&format!("Event: presence\r\n{CONTACT}{CONTACT}")), 400);
    assert_eq!(status("Event: presence\r\nContact: *\r\n"), 400);
    assert_eq!(status(&format!("Event: presence\r\nExpires: 59\r\n{CONTACT}")), 423);
    let long = format!("Event: presence\r\n{CONTACT}Accept: {}\r\n", "a/b, ".repeat(1000));
    assert_eq!(status(&long), 400);
    let expires = |lines: &str| read(&format!("{lines}\r\n{CONTACT}")).unwrap().expires;
    assert_eq!(expires("Event: presence"), 3600);
    assert_eq!(expires("Event: reg"), 3761);
    assert_eq!(expires("Event: presence\r\nExpires: 0"), 0);
    assert_eq!(expires("Event: presence\r\nExpires: 4294967296"), 86_400);
}

#[test]
fn the_document_a_subscriber_likes_best_is_chosen() {
    for (accept, expected) in [
        ("", Ok(Format::Pidf)),
        ("Accept: application/cpim-pidf+xml\r\n", Ok(Format::CpimPidf)),
        ("Accept: application/cpim-pidf+xml, application/pidf+xml\r\n", Ok(Format::Pidf)),
        ("Accept: application/pidf+xml;q=0.3, application/pidf-diff+xml\r\n", Ok(Format::PidfDiff)),
        ("Accept: application/pidf+xml, application/pidf-diff+xml\r\n", Ok(Format::Pidf)),
        ("Accept: application/*\r\n", Ok(Format::Pidf)),
        ("Accept: application/pidf+xml;q=0, application/*\r\n", Ok(Format::CpimPidf)),
        ("Accept: text/plain, image/gif\r\n", Err(406)),
        ("Accept:\r\n", Err(406)),
    ] {
        assert_eq!(format(accept), expected, "{accept}");
    }
}

#[test]
fn what_a_terminal_says_in_headers_goes_before_its_contact() {
    let stated = subscribed("Accept: application/pidf+xml, image/png;media-pix-x=max+64\r\n");
    let cpi = read_capabilities(&stated.capabilities, &Extensions::NONE);
    let ranges: Vec<_> = cpi.media.unwrap().into_iter().map(|entry| entry.range).collect();
    assert_eq!(ranges, ["application/pidf+xml", "image/png"]);
}

#[test]
fn a_refresh_changes_where_and_how_long_and_keeps_what_it_does_not_say() {
    let before = subscribed("Accept: application/pidf+xml\r\n");
    let later = Moment::from_seconds(1_700_000_100);
    let again = |lines: &str| {
        let request = request("SUBSCRIBE", lines);
        let asked = Asked::read(&request, &Limits::default(), &Extensions::NONE).unwrap();
        asked.refresh(&before, &request, bytes::Bytes::new(), later)
    };
    let lines = "Event: presence\r\nExpires: 600\r\nContact: <sip:bob@192.0.2.2>\r\n";
    assert_eq!(again(lines).unwrap_err(), Refusal::OutOfOrder, "the same CSeq");
    let before = Subscription { remote_cseq: 6, ..before };
    let again = |lines: &str| {
        let request = request("SUBSCRIBE", lines);
        let asked = Asked::read(&request, &Limits::default(), &Extensions::NONE).unwrap();
        asked.refresh(&before, &request, bytes::Bytes::new(), later)
    };
    let after = again(lines).unwrap();
    assert_eq!((&after.target[..], after.remote_cseq), (&b"sip:bob@192.0.2.2"[..], 7));
    assert_eq!((after.expires_at, &after.capabilities), (1_700_000_700, &before.capabilities));
    let said = again(&format!("{lines}Accept: application/cpim-pidf+xml\r\n")).unwrap();
    assert_eq!(said.capabilities, ["Accept: application/cpim-pidf+xml"]);
    let other = lines.replace("presence", "presence;id=2");
    assert_eq!(again(&other).unwrap_err(), Refusal::SharedDialog);
    let stranger = Subscription { call_id: "other".into(), ..before.clone() };
    let request = request("SUBSCRIBE", lines);
    let asked = Asked::read(&request, &Limits::default(), &Extensions::NONE).unwrap();
    let refused = asked.refresh(&stranger, &request, bytes::Bytes::new(), later);
    assert_eq!(refused.unwrap_err(), Refusal::NoSubscription);
}

#[test]
fn numbers_begin_with_the_clock_and_fit_31_bits() {
    assert_eq!(floor(Moment::from_seconds(1_577_836_900)), 100);
    assert_eq!(floor(Moment::default()), 1);
    assert!(floor(Moment::from_seconds(u64::MAX / 1000)) < 1 << 31);
}

#[test]
fn a_body_that_means_nothing_here_is_refused_and_a_list_is_none_of_those() {
    let asks = |kind: &str| {
        let text = format!(
            "SUBSCRIBE sip:john@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:bob@example.com>;tag=b\r\nTo: <sip:john@example.com>\r\nCall-ID: c@h\r\nCSeq: 7 SUBSCRIBE\r\n\
             Event: presence\r\nContact: <sip:bob@h>\r\nContent-Type: {kind}\r\nContent-Length: 4\r\n\r\n<a/>"
        );
        let sip::Framed::Message(raw) = sip::frame::datagram(text.into(), &sip::Limits::default()).unwrap()
        else {
            panic!("no message")
        };
        let sip::Message::Request(request) = sip::validate(raw, &sip::Limits::default()).unwrap() else {
            panic!("no request")
        };
        Asked::read(&request, &Limits::default(), &Extensions::NONE)
            .map(|_| ())
            .map_err(|refusal| refusal.answer())
    };
    let refused = asks("application/simple-filter+xml").unwrap_err();
    assert_eq!(refused.status, 415);
    assert_eq!(refused.fields[0].1, b"application/resource-lists+xml");
    assert!(asks("Application/Resource-Lists+xml; charset=utf-8").is_ok());
    assert!(asks("text/plain\r\nContent-Disposition: render;handling=optional").is_ok());
}
