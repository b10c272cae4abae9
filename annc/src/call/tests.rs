//! Calls that nobody ends, under a clock that jumps.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use sip::Outgoing;

use super::*;
use crate::desk::{Accepted, Annc};
use crate::source::SystemNames;
use crate::testing::request;
use crate::{Settings, source};

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn annc(session: u32) -> Annc {
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
    let settings = Settings {
        address: LOOPBACK,
        // Of this test alone.
        ports: (27_000, 27_999),
        streams: 8,
        longest: Duration::from_secs(3600),
        seconds: 60,
        ffmpeg: None,
        children: 1,
        effort: Duration::from_secs(60),
        hold: Duration::from_secs(300),
        patience: Duration::from_secs(30),
        session,
        symmetric: false,
        strangers: false,
        keys_in_clear: false,
        failed: 404,
        sources,
    };
    Annc::start(settings, Arc::new(SystemNames)).unwrap()
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

fn meeting() -> Meeting<'static> {
    let open: &'static (dyn Fn(SocketAddr) -> bool + Send + Sync) = &|_| true;
    Meeting { local: LOOPBACK, secure: false, contact: "<sip:annc@example.com>".to_owned(), open }
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
        Say::Request(request) => {
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
    assert!(annc.ack(&within(&answer, "ACK", 1, "")));
    assert_eq!(said(&mut call).await, ("BYE".to_owned(), 60));
    assert!(!annc.knows(&within(&answer, "BYE", 2, "")), "it is forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_gives_a_session_more_time() {
    let annc = annc(1800);
    let fields = "Supported: timer\r\nSession-Expires: 90\r\n";
    let (Accepted { answer, mut call }, _phone) = call(&annc, fields, "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""));
    let waited = tokio::time::timeout(Duration::from_secs(50), call.next()).await;
    assert!(waited.is_err());
    let to = String::from_utf8(answer.header(HeaderId::To).unwrap().to_vec()).unwrap();
    let update =
        request(&format!("UPDATE sip:annc@h SIP/2.0\r\nTo: {to}\r\nCSeq: 2 UPDATE\r\n{fields}"), b"");
    let refreshed = annc.request(&update, &meeting());
    assert!(refreshed.start_line().starts_with(b"SIP/2.0 200"));
    assert_eq!(said(&mut call).await, ("BYE".to_owned(), 60));
}

#[tokio::test(start_paused = true)]
async fn a_phone_without_session_timers_is_asked_whether_it_is_there() {
    let annc = annc(120);
    let (Accepted { answer, mut call }, _phone) = call(&annc, "", "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""));
    assert_eq!(said(&mut call).await, ("OPTIONS".to_owned(), 60));
    call.answered(Some(200));
    assert_eq!(said(&mut call).await, ("OPTIONS".to_owned(), 60));
    call.answered(None);
    assert_eq!(said(&mut call).await, ("over".to_owned(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_wants_it_is_refreshed_from_here() {
    let annc = annc(1800);
    let fields = "Supported: timer\r\nSession-Expires: 100;refresher=uas\r\n";
    let (Accepted { answer, mut call }, _phone) = call(&annc, fields, "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""));
    assert_eq!(said(&mut call).await, ("UPDATE".to_owned(), 50));
    call.answered(Some(481));
    assert_eq!(said(&mut call).await.0, "over");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_held_too_long_is_ended() {
    let annc = annc(1800);
    let (Accepted { answer, mut call }, phone) = call(&annc, "", "inactive").await;
    annc.ack(&within(&answer, "ACK", 1, ""));
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
        annc.ack(&within(&answer, "ACK", 1, body));
        assert_eq!(said(&mut call).await, ("BYE".to_owned(), 0), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_hangs_up() {
    let annc = annc(1800);
    let (Accepted { answer, mut call }, _phone) = call(&annc, "", "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""));
    annc.hang_up();
    assert_eq!(said(&mut call).await.0, "BYE");
    assert_eq!(said(&mut call).await.0, "over");
}

#[tokio::test(start_paused = true)]
async fn a_bye_ends_the_call_and_another_finds_none() {
    let annc = annc(1800);
    let (Accepted { answer, mut call }, _phone) = call(&annc, "", "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""));
    let status = |number| {
        let answer = annc.request(&within(&answer, "BYE", number, ""), &meeting());
        String::from_utf8_lossy(answer.start_line()).into_owned()
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
    annc.ack(&within(&answer, "ACK", 1, ""));
    let sdp = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n";
    let refused = annc.request(&within(&answer, "INVITE", 2, sdp), &meeting());
    assert!(refused.start_line().starts_with(b"SIP/2.0 488"));
    assert!(annc.knows(&within(&answer, "BYE", 3, "")));
    assert!(tokio::time::timeout(Duration::from_secs(1), call.next()).await.is_err());
}
