//! Calls that nobody ends, under a clock that jumps.

mod renewed;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use sip::{Framed, HeaderId, Message, Outgoing, Request};

use super::*;
use crate::desk::{Accepted, Annc, Meeting, Open};
use crate::source::SystemNames;
use crate::testing::request;
use crate::{Settings, source};

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn annc(session: u32) -> Annc {
    annc_with(settings(session))
}

fn annc_with(settings: Settings) -> Annc {
    Annc::start(settings, Arc::new(SystemNames)).unwrap()
}

fn settings(session: u32) -> Settings {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/media");
    let sources = source::Settings {
        allow: Vec::new(),
        networks: Vec::new(),
        imap: Vec::new(),
        folder: Some(folder.into()),
        octets: 1 << 20,
        deadline: Duration::from_secs(10),
        trust: crate::trust(None).unwrap(),
        contact: "annc@example.com".to_owned(),
        connections: [1, 1],
    };
    Settings {
        address: LOOPBACK,
        // Of this test alone.
        ports: (27_000, 27_999),
        streams: 8,
        longest: Duration::from_secs(3600),
        seconds: 60,
        ffmpeg: None,
        children: 1,
        effort: Duration::from_secs(60),
        memory: 4 << 20,
        offer_srtp: true,
        hold: Duration::from_secs(300),
        patience: Duration::from_secs(30),
        session,
        symmetric: false,
        strangers: false,
        keys_in_clear: false,
        failed: 404,
        sources,
    }
}

/// A call with these fields in its INVITE, and the phone's socket.
async fn call(annc: &Annc, fields: &str, direction: &str) -> (Accepted, UdpSocket) {
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = phone.local_addr().unwrap().port();
    let sdp = format!("v=0\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na={direction}\r\n");
    let start = "INVITE sip:annc@example.com;play=file:///tone_ulaw.wav;repeat=forever SIP/2.0\r\n";
    let contact = "Contact: <sip:alice@192.0.2.33>\r\nContent-Type: application/sdp\r\n";
    let invite = request(&format!("{start}{contact}{fields}"), sdp.as_bytes());
    (annc.invite(&invite, &meeting()).await.unwrap(), phone)
}

fn meeting() -> Meeting {
    // Documentation's network stands for one that is not to be reached.
    let open: Open = Arc::new(|addr: SocketAddr| !addr.to_string().starts_with("192.0.2."));
    Meeting { local: LOOPBACK, secure: false, contact: "<sip:annc@example.com>".to_owned(), open }
}

/// The answer to a request of ours.
fn response(request: &Outgoing, status: u16, fields: &str, body: &str) -> Response {
    let field = |id| String::from_utf8(request.header(id).unwrap().to_vec()).unwrap();
    let head = format!(
        "SIP/2.0 {status} x\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         {fields}Content-Length: {}\r\n\r\n{body}",
        field(HeaderId::From),
        field(HeaderId::To),
        field(HeaderId::CallId),
        field(HeaderId::CSeq),
        body.len()
    );
    let Ok(Framed::Message(raw)) = sip::frame::datagram(head.into_bytes().into(), &sip::Limits::default())
    else {
        panic!()
    };
    match sip::validate(raw, &sip::Limits::default()) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

/// The next request, which comes after so many seconds.
async fn asked(call: &mut Call, seconds: u64) -> Outgoing {
    let begun = Instant::now();
    match call.next().await {
        Say::Request(request) => {
            assert_eq!(begun.elapsed().as_secs(), seconds);
            *request
        }
        other => panic!("{other:?}"),
    }
}

fn text(outgoing: &Outgoing) -> String {
    let octets = outgoing.encode();
    [String::from_utf8_lossy(&octets.head), String::from_utf8_lossy(&octets.body)].concat()
}

/// A request of the caller in the call that this 200 made.
fn within(ok: &Outgoing, method: &str, number: u32, body: &str) -> Request {
    let to = String::from_utf8(ok.header(HeaderId::To).unwrap().to_vec()).unwrap();
    let contact = "Contact: <sip:alice@192.0.2.33>\r\nContent-Type: application/sdp\r\n";
    let text =
        format!("{method} sip:annc@example.com SIP/2.0\r\nTo: {to}\r\nCSeq: {number} {method}\r\n{contact}");
    request(&text, body.as_bytes())
}

/// What is said next, as its method, and after how many seconds.
async fn said(call: &mut Call) -> (String, u64) {
    let begun = Instant::now();
    let word = match call.next().await {
        Say::Again => "200".to_owned(),
        Say::Over => "over".to_owned(),
        Say::Request(request) | Say::Secret(request) => {
            let line = String::from_utf8_lossy(request.start_line()).into_owned();
            line.split(' ').next().unwrap().to_owned()
        }
    };
    (word, begun.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_200_is_repeated_until_the_ack_and_without_one_the_call_is_ended() {
    let annc = annc(1800);
    let (Accepted { mut call, .. }, phone) = call(&annc, "", "recvonly").await;
    let begun = Instant::now();
    let mut times = 0;
    loop {
        match said(&mut call).await.0.as_str() {
            "200" => times += 1,
            "BYE" => break,
            other => panic!("{other}"),
        }
    }
    // After 0.5, 1.5, 3.5, 7.5, 11.5, .. 31.5 s.
    assert_eq!((times, begun.elapsed().as_secs()), (10, 32));
    assert_eq!(said(&mut call).await.0, "over");
    phone.set_nonblocking(true).unwrap();
    assert!(phone.recv(&mut [0; 500]).is_err(), "nothing is played before the ACK");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_caller_does_not_refresh_is_ended() {
    let annc = annc(1800);
    let fields = "Supported: timer\r\nSession-Expires: 90\r\n";
    let (Accepted { answer, mut call }, _phone) = call(&annc, fields, "recvonly").await;
    assert_eq!(answer.header("Session-Expires"), Some(&b"90;refresher=uac"[..]));
    assert_eq!(answer.header("Require"), Some(&b"timer"[..]));
    assert!(annc.ack(&within(&answer, "ACK", 1, ""), false));
    assert_eq!(said(&mut call).await, ("BYE".to_owned(), 60));
    assert!(!annc.knows(&within(&answer, "BYE", 2, "")), "it is forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_gives_a_session_more_time() {
    let annc = annc(1800);
    let fields = "Supported: timer\r\nSession-Expires: 90\r\n";
    let (Accepted { answer, mut call }, _phone) = call(&annc, fields, "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""), false);
    let waited = tokio::time::timeout(Duration::from_secs(50), call.next()).await;
    assert!(waited.is_err());
    let to = String::from_utf8(answer.header(HeaderId::To).unwrap().to_vec()).unwrap();
    let update =
        request(&format!("UPDATE sip:annc@h SIP/2.0\r\nTo: {to}\r\nCSeq: 2 UPDATE\r\n{fields}"), b"");
    let refreshed = annc.request(&update, &meeting());
    assert!(refreshed.response.start_line().starts_with(b"SIP/2.0 200"));
    assert_eq!(said(&mut call).await, ("BYE".to_owned(), 60));
}

#[tokio::test(start_paused = true)]
async fn a_phone_without_session_timers_is_asked_whether_it_is_there() {
    let annc = annc(120);
    let (Accepted { answer, mut call }, _phone) = call(&annc, "", "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""), false);
    let options = asked(&mut call, 60).await;
    assert!(text(&options).starts_with("OPTIONS "));
    assert!(call.answered(Some(&response(&options, 200, "", "")), false).is_none());
    assert_eq!(said(&mut call).await, ("OPTIONS".to_owned(), 60));
    call.answered(None, false);
    assert_eq!(said(&mut call).await, ("over".to_owned(), 0));
}

const REFRESHED: &str = "Supported: timer\r\nSession-Expires: 100;refresher=uas\r\n";

#[tokio::test(start_paused = true)]
async fn a_caller_who_wants_it_and_knows_update_is_refreshed_by_it() {
    let annc = annc(1800);
    let (Accepted { answer, mut call }, _phone) =
        call(&annc, &format!("{REFRESHED}Allow: INVITE, UPDATE\r\n"), "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""), false);
    let update = asked(&mut call, 50).await;
    let sent = text(&update);
    assert!(sent.starts_with("UPDATE ") && sent.contains("Session-Expires: 100;refresher=uac\r\n"), "{sent}");
    assert!(sent.contains("Contact: <sip:annc@example.com>\r\n"), "{sent}");
    // It wants a longer interval; then it refreshes itself, and does not.
    call.answered(Some(&response(&update, 422, "Min-SE: 200\r\n", "")), false);
    let longer = asked(&mut call, 0).await;
    assert!(text(&longer).contains("Session-Expires: 200;refresher=uac\r\n"));
    call.answered(Some(&response(&longer, 200, "Session-Expires: 120;refresher=uas\r\n", "")), false);
    assert_eq!(said(&mut call).await, ("BYE".to_owned(), 88));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_does_not_know_update_is_refreshed_by_an_invite_that_changes_nothing() {
    let annc = annc(1800);
    let (Accepted { answer, mut call }, phone) = call(&annc, REFRESHED, "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""), false);
    let invite = asked(&mut call, 50).await;
    let sent = text(&invite);
    assert!(sent.starts_with("INVITE ") && sent.contains("CSeq: 1 INVITE\r\n"), "{sent}");
    let before = text(&answer);
    assert_eq!(sent.split_once("\r\n\r\n").unwrap().1, before.split_once("\r\n\r\n").unwrap().1);
    // Both asked at once: again, soon.
    assert!(call.answered(Some(&response(&invite, 491, "", "")), false).is_none());
    let Say::Request(invite) = call.next().await else { panic!() };
    let port = phone.local_addr().unwrap().port();
    let body = format!("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {port} RTP/AVP 0\r\na=recvonly\r\n");
    let ok = response(&invite, 200, "Contact: <sip:moved@192.0.2.34>\r\n", &body);
    let ack = text(&call.answered(Some(&ok), false).unwrap());
    assert!(
        ack.starts_with("ACK sip:moved@192.0.2.34 SIP/2.0\r\n") && ack.contains("CSeq: 2 ACK\r\n"),
        "{ack}"
    );
    let invite = asked(&mut call, 50).await;
    // An answer that leads where nothing may be sent.
    let body = body.replace("127.0.0.1", "192.0.2.7");
    assert!(call.answered(Some(&response(&invite, 200, "", &body)), false).is_some());
    assert_eq!(said(&mut call).await, ("BYE".to_owned(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_phone_that_refuses_update_is_asked_by_invite_and_one_that_knows_no_call_is_gone() {
    let annc = annc(1800);
    let (Accepted { answer, mut call }, _phone) =
        call(&annc, &format!("{REFRESHED}Allow: UPDATE\r\n"), "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""), false);
    let update = asked(&mut call, 50).await;
    call.answered(Some(&response(&update, 501, "", "")), false);
    let invite = asked(&mut call, 0).await;
    assert!(text(&invite).starts_with("INVITE "));
    call.answered(Some(&response(&invite, 481, "", "")), false);
    assert_eq!(said(&mut call).await.0, "over");
}

#[tokio::test(start_paused = true)]
async fn the_200_to_an_invite_in_a_call_is_repeated_until_its_ack() {
    let annc = annc(1800);
    let (Accepted { answer, mut call }, phone) = call(&annc, "", "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""), false);
    let port = phone.local_addr().unwrap().port();
    let sdp = format!("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {port} RTP/AVP 0\r\n");
    let invite = |number| annc.request(&within(&answer, "INVITE", number, &sdp), &meeting()).unacked.unwrap();
    let mut unacked = invite(2);
    assert!(unacked.again().await && unacked.again().await);
    annc.ack(&within(&answer, "ACK", 1, ""), false);
    assert!(unacked.again().await, "that was for another");
    annc.ack(&within(&answer, "ACK", 2, ""), false);
    assert!(!unacked.again().await);
    // A newer one takes the place of an older one, and without an ACK the call is ended.
    let (mut older, begun) = (invite(3), Instant::now());
    let mut newer = invite(4);
    assert!(!older.again().await);
    let mut times = 0;
    while newer.again().await {
        times += 1;
    }
    assert_eq!((times, begun.elapsed().as_secs()), (10, 32));
    assert_eq!(said(&mut call).await.0, "BYE");
}

/// The value of an attribute of a description in a message.
fn attributes(message: &str, name: &str) -> Vec<String> {
    let start = format!("a={name}:");
    message.lines().filter_map(|line| line.strip_prefix(&start).map(str::to_owned)).collect()
}

#[tokio::test(start_paused = true)]
async fn an_offer_of_ours_over_tls_has_keys_and_is_not_played_in_clear() {
    let annc = annc(1800);
    let invite = request(
        "INVITE sip:annc@example.com;play=file:///tone_ulaw.wav SIP/2.0\r\nContact: <sip:alice@192.0.2.33>\r\n",
        b"",
    );
    let secure = || Meeting { secure: true, ..meeting() };
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = phone.local_addr().unwrap().port();
    let theirs = "2 AES_CM_128_HMAC_SHA1_32 inline:C0uJXOJCTk66l01HPVJjFYOy0eSwVbQ7xlMwjcGS";
    for (protocol, key, is_played) in [
        ("RTP/SAVP", format!("a=crypto:{theirs}\r\n"), true),
        ("RTP/AVP", String::new(), false),
        ("RTP/SAVP", format!("a=crypto:{}\r\n", theirs.replacen('2', "7", 1)), false),
    ] {
        let Accepted { answer, mut call } = annc.invite(&invite, &secure()).await.unwrap();
        let offered = text(&answer);
        assert!(offered.contains(" RTP/SAVP 0 8 9"), "{offered}");
        assert_eq!(attributes(&offered, "crypto").len(), 2);
        let body = format!("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {port} {protocol} 0\r\n{key}");
        annc.ack(&within(&answer, "ACK", 1, &body), true);
        match is_played {
            true => {
                assert!(tokio::time::timeout(Duration::from_millis(1), call.next()).await.is_err());
                // Head, 20 ms, and the short tag.
                assert_eq!(phone.recv(&mut [0; 500]).unwrap(), 12 + 160 + 4);
            }
            false => assert_eq!(said(&mut call).await.0, "BYE", "{protocol}"),
        }
    }
    // In clear no keys are sent.
    let Accepted { answer, .. } = annc.invite(&invite, &meeting()).await.unwrap();
    assert!(attributes(&text(&answer), "crypto").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_the_ack_is_not_followed_to_where_nothing_may_be_sent() {
    let annc = annc(1800);
    let start = "INVITE sip:annc@example.com;play=file:///tone_ulaw.wav SIP/2.0\r\n";
    let invite = request(&format!("{start}Contact: <sip:alice@192.0.2.33>\r\n"), b"");
    let Accepted { answer, mut call } = annc.invite(&invite, &meeting()).await.unwrap();
    annc.ack(&within(&answer, "ACK", 1, "v=0\r\nc=IN IP4 192.0.2.7\r\nm=audio 4000 RTP/AVP 0\r\n"), false);
    assert_eq!(said(&mut call).await.0, "BYE");
}

#[tokio::test(start_paused = true)]
async fn calls_hold_no_more_together_than_they_may() {
    let annc = annc(1800);
    // One announcement is 1 MiB at most, all calls may hold 4: what is fetched is far less.
    let mut calls = Vec::new();
    for _ in 0..6 {
        calls.push(call(&annc, "", "recvonly").await);
    }
    let small = annc_with(Settings { memory: 1 << 20, ..settings(1800) });
    let first = call(&small, "", "recvonly").await;
    let sdp = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n";
    let fields = "Contact: <sip:alice@192.0.2.33>\r\nContent-Type: application/sdp\r\n";
    let start = "INVITE sip:annc@example.com;play=file:///tone_ulaw.wav SIP/2.0\r\n";
    let invite = request(&format!("{start}{fields}"), sdp.as_bytes());
    let refused = small.invite(&invite, &meeting()).await.unwrap_err();
    assert_eq!((refused.verdict(404).status, refused.verdict(404).reason), (503, "Service Unavailable"));
    drop(first);
    assert!(small.invite(&invite, &meeting()).await.is_ok(), "its share was given back");
}

/// Names that nobody ever answers.
struct Silent;

impl crate::source::Names for Silent {
    fn lookup(
        &self,
        _host: String,
        _port: u16,
    ) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_call_is_played_while_another_is_fetched_and_all_children_are_busy() {
    let mut wanted = settings(1800);
    wanted.sources.allow = vec!["http://media.example.com".parse().unwrap()];
    let annc = Annc::start(wanted, Arc::new(Silent)).unwrap();
    let start = "INVITE sip:annc@example.com;play=http://media.example.com/a.wav SIP/2.0\r\n";
    let stuck = request(&format!("{start}Contact: <sip:alice@192.0.2.33>\r\n"), b"");
    let other = annc.clone();
    let stuck = tokio::spawn(async move { other.invite(&stuck, &meeting()).await.map(drop) });
    let effort = annc.bench().begin();
    let busy = tokio::spawn(async move {
        effort
            .run(true, |stop| {
                while !stop() {
                    std::thread::yield_now();
                }
                Ok(())
            })
            .await
    });
    let (Accepted { answer, mut call }, phone) = call(&annc, "", "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""), false);
    let driven = tokio::spawn(async move { call.next().await });
    let heard = tokio::task::spawn_blocking(move || {
        for _ in 0..5 {
            phone.recv(&mut [0; 500]).unwrap();
        }
    });
    heard.await.unwrap();
    assert!(!stuck.is_finished() && !busy.is_finished());
    for task in [driven.abort_handle(), stuck.abort_handle(), busy.abort_handle()] {
        task.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_held_too_long_is_ended() {
    let annc = annc(1800);
    let (Accepted { answer, mut call }, phone) = call(&annc, "", "inactive").await;
    annc.ack(&within(&answer, "ACK", 1, ""), false);
    assert_eq!(said(&mut call).await, ("BYE".to_owned(), 300));
    phone.set_nonblocking(true).unwrap();
    assert!(phone.recv(&mut [0; 500]).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_to_our_offer_is_none_is_ended() {
    let annc = annc(1800);
    let start = "INVITE sip:annc@example.com;play=file:///tone_ulaw.wav SIP/2.0\r\n";
    let invite = request(&format!("{start}Contact: <sip:alice@192.0.2.33>\r\n"), b"");
    for body in ["", "v=0\r\nm=audio 0 RTP/AVP 0\r\n", "hello"] {
        let Accepted { answer, mut call } = annc.invite(&invite, &meeting()).await.unwrap();
        annc.ack(&within(&answer, "ACK", 1, body), false);
        assert_eq!(said(&mut call).await, ("BYE".to_owned(), 0), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_hangs_up() {
    let annc = annc(1800);
    let (Accepted { answer, mut call }, _phone) = call(&annc, "", "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""), false);
    annc.hang_up();
    assert_eq!(said(&mut call).await.0, "BYE");
    assert_eq!(said(&mut call).await.0, "over");
}

#[tokio::test(start_paused = true)]
async fn a_bye_ends_the_call_and_another_finds_none() {
    let annc = annc(1800);
    let (Accepted { answer, mut call }, _phone) = call(&annc, "", "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""), false);
    let status = |number| {
        let answer = annc.request(&within(&answer, "BYE", number, ""), &meeting());
        String::from_utf8_lossy(answer.response.start_line()).into_owned()
    };
    assert!(status(1).starts_with("SIP/2.0 500"), "its number was used");
    assert!(status(2).starts_with("SIP/2.0 200"));
    assert_eq!(said(&mut call).await, ("over".to_owned(), 0));
    assert!(status(3).starts_with("SIP/2.0 481"));
}

#[tokio::test(start_paused = true)]
async fn another_codec_in_a_new_offer_is_refused_and_the_call_goes_on() {
    let annc = annc(1800);
    let (Accepted { answer, mut call }, _phone) = call(&annc, "", "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""), false);
    let sdp = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n";
    let refused = annc.request(&within(&answer, "INVITE", 2, sdp), &meeting());
    assert!(refused.response.start_line().starts_with(b"SIP/2.0 488"));
    assert!(annc.knows(&within(&answer, "BYE", 3, "")));
    assert!(tokio::time::timeout(Duration::from_secs(1), call.next()).await.is_err());
}
