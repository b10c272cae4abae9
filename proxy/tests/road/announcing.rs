//! What the announcement service asks its callers, with the clock paused: it jumps to the next deadline whenever all is
//! quiet.

use std::sync::Arc;
use std::time::Duration;

use annc::source::SystemNames;
use annc::{Annc, Settings};
use rcgen::SanType;
use tokio::time::Instant;

use crate::certificates::Authority;
use crate::support::ua::Received;
use crate::support::{House, Tcp, Udp, with_body};

fn settings() -> Settings {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/media");
    let sources = annc::source::Settings {
        allow: Vec::new(),
        networks: Vec::new(),
        imap: Vec::new(),
        folder: Some(folder.into()),
        octets: 1 << 20,
        deadline: Duration::from_secs(10),
        trust: annc::trust(None).unwrap(),
        contact: "annc@example.com".to_owned(),
        connections: [1, 1],
    };
    Settings {
        address: [127, 0, 0, 1].into(),
        // Of these tests alone.
        ports: (26_000, 26_099),
        streams: 8,
        longest: Duration::from_secs(3600),
        seconds: 60,
        ffmpeg: None,
        children: 1,
        effort: Duration::from_secs(60),
        memory: 4 << 20,
        offer_srtp: false,
        hold: Duration::from_secs(300),
        patience: Duration::from_secs(30),
        session: 1800,
        symmetric: false,
        strangers: true,
        keys_in_clear: false,
        failed: 404,
        sources,
    }
}

/// Since then, to the nearest second: what comes over a socket takes its milliseconds.
fn seconds(since: Instant) -> u64 {
    (since.elapsed() + Duration::from_millis(500)).as_secs()
}

/// A request of the caller in the call that this 200 made.
fn within(ok: &Received, method: &str, number: u32, from: &Udp) -> String {
    within_over("UDP", ok, method, number, from)
}

fn within_over(transport: &str, ok: &Received, method: &str, number: u32, from: &Udp) -> String {
    let via = format!("SIP/2.0/{transport} {};rport;branch=z9hG4bKwithin{method}{number}", from.addr);
    let (of, to, call) = (ok.field("From"), ok.field("To"), ok.field("Call-ID"));
    let target = ok.field("Contact").trim_matches(['<', '>']).to_owned();
    format!(
        "{method} {target} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {of}\r\nTo: {to}\r\nCall-ID: {call}\r\n\
         CSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

#[tokio::test]
async fn an_invite_of_ours_that_only_rings_is_given_up_after_32_seconds_and_the_call_with_it() {
    let house = House::new().await;
    house.proxy.announce(Annc::start(settings(), Arc::new(SystemNames)).unwrap());
    let alice = house.phone().await;
    // Held, so that nothing is played to a port that nobody has open.
    let sdp = "v=0\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=inactive\r\n";
    let fields = format!(
        "Contact: <sip:alice@{}>\r\nContent-Type: application/sdp\r\nSupported: timer\r\n\
         Session-Expires: 90;refresher=uas\r\n",
        alice.addr
    );
    let uri = "sip:annc@example.com;play=file:///tone_ulaw.wav;repeat=forever";
    let invite = with_body("INVITE", uri, "UDP", alice.addr, &fields, sdp.as_bytes());
    alice.send(invite).await;
    let ok = alice.recv_final().await;
    assert_eq!(ok.status(), 200, "{ok:#?}");
    alice.send(within(&ok, "ACK", 1, &alice)).await;
    tokio::time::pause();
    let begun = Instant::now();
    let (mut asked, mut given_up) = (None, None);
    while given_up.is_none() && begun.elapsed() < Duration::from_secs(200) {
        tokio::select! {
            got = alice.recv() => match got.method() {
                "INVITE" if asked.is_none() => {
                    asked = Some(seconds(begun));
                    alice.send(got.answer("180 Ringing", "")).await;
                }
                "CANCEL" => given_up = Some(seconds(begun)),
                _ => {}
            },
            () = tokio::time::sleep(Duration::from_secs(9)) => {}
        }
    }
    assert_eq!((asked, given_up), (Some(45), Some(77)));
    tokio::time::resume();
    alice.send(within(&ok, "BYE", 2, &alice)).await;
    loop {
        let answer = alice.recv().await;
        if answer.start.starts_with("SIP/") && answer.field("CSeq") == "2 BYE" {
            assert_eq!(answer.status(), 481, "it is over");
            return;
        }
    }
}

const SAVP: &str = "v=0\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\na=inactive\r\n\
    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:C0uJXOJCTk66l01HPVJjFYOy0eSwVbQ7xlMwjcGS\r\n";

/// A phone that called over TLS is reached over that connection; once it is gone, over UDP as its Contact says.
#[tokio::test]
async fn an_invite_of_ours_with_keys_goes_over_tls_or_not_at_all() {
    let authority = Authority::new();
    let files = authority.sign("server", &[SanType::DnsName("example.com".try_into().unwrap())]);
    let house = House::secure(files).await;
    house.proxy.announce(Annc::start(settings(), Arc::new(SystemNames)).unwrap());
    let alice = house.phone().await;
    let stream = authority.connect(house.tls.unwrap(), "example.com", None).await.unwrap();
    let mut secure = Tcp::on(stream);
    let fields = format!(
        "Contact: <sip:alice@{}>\r\nContent-Type: application/sdp\r\nSupported: timer\r\n\
         Session-Expires: 90;refresher=uas\r\n",
        alice.addr
    );
    let uri = "sip:annc@example.com;play=file:///tone_ulaw.wav;repeat=forever";
    let ok = secure.ask(with_body("INVITE", uri, "TLS", alice.addr, &fields, SAVP.as_bytes())).await;
    assert_eq!(ok.status(), 200, "{ok:#?}");
    secure.send(within_over("TLS", &ok, "ACK", 1, &alice)).await;
    tokio::time::pause();
    let begun = Instant::now();
    // What waits longer than a test waits for what must come.
    let invite = loop {
        tokio::select! {
            got = secure.recv() => break got,
            () = tokio::time::sleep(Duration::from_secs(9)) => {}
        }
    };
    assert_eq!((invite.method(), seconds(begun)), ("INVITE", 45));
    assert!(String::from_utf8_lossy(&invite.body).contains("a=crypto:1 "));
    let answered = Instant::now();
    secure.send(invite.answer("200 OK", &format!("Contact: <sip:alice@{}>\r\n", alice.addr))).await;
    assert_eq!(secure.recv().await.method(), "ACK");
    drop(secure);
    let bye = loop {
        tokio::select! {
            got = alice.recv() => break got,
            () = tokio::time::sleep(Duration::from_secs(9)) => {}
        }
    };
    // 30 s before the end of the session, which was not refreshed after 45.
    assert_eq!((bye.method(), seconds(answered)), ("BYE", 60), "no INVITE in clear");
}
