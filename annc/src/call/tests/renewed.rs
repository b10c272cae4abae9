//! New offers in a call: what they change, what they can't, and when they have to wait.

use super::*;
use crate::rtp::Protector;
use crate::sdp::{Key, Suite};

/// A call that has begun, and its phone.
async fn begun(annc: &Annc, fields: &str) -> (Outgoing, Call, UdpSocket) {
    let (Accepted { answer, mut call }, phone) = call(annc, fields, "recvonly").await;
    annc.ack(&within(&answer, "ACK", 1, ""), false);
    still(&mut call).await;
    (answer, call, phone)
}

/// Nothing is to be said now; what plays has begun.
async fn still(call: &mut Call) {
    assert!(tokio::time::timeout(Duration::from_millis(1), call.next()).await.is_err());
}

fn offer(phone: &UdpSocket, medium: &str, lines: &str) -> String {
    let port = phone.local_addr().unwrap().port();
    let medium = medium.replace("PORT", &port.to_string());
    format!("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {medium}\r\n{lines}")
}

fn status(answered: &crate::desk::Answered) -> String {
    String::from_utf8_lossy(&answered.response.start_line()[8..11]).into_owned()
}

/// The first packet that is none of those before.
fn next_packet(phone: &UdpSocket, is_new: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut buffer = [0; 500];
    phone.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for _ in 0..500 {
        let length = phone.recv(&mut buffer).unwrap();
        if is_new(&buffer[..length]) {
            return buffer[..length].to_vec();
        }
    }
    panic!("none came")
}

#[tokio::test(start_paused = true)]
async fn another_payload_type_is_sent_and_longer_packets_than_may_be_are_refused() {
    let annc = annc(1800);
    let (answer, mut call, phone) = begun(&annc, "").await;
    let ask = |number, lines: &str, medium: &str| {
        annc.request(&within(&answer, "INVITE", number, &offer(&phone, medium, lines)), &meeting())
    };
    let refused = ask(2, "a=maxptime:10\r\n", "PORT RTP/AVP 0");
    assert_eq!(status(&refused), "488");
    let taken = ask(3, "a=rtpmap:97 PCMU/8000\r\na=ptime:40\r\n", "PORT RTP/AVP 97");
    let said = text(&taken.response);
    assert!(said.contains(" RTP/AVP 97\r\n") && said.contains("a=ptime:20\r\n"), "{said}");
    annc.ack(&within(&answer, "ACK", 3, ""), false);
    still(&mut call).await;
    assert_eq!(next_packet(&phone, |packet| packet[1] & 0x7f == 97).len(), 172);
}

/// A call for a film, whose sound and pictures go to these ports for so many milliseconds.
async fn film(annc: &Annc, offer: &str, long: u32) -> Accepted {
    let start = format!("INVITE sip:annc@example.com;play=file:///clip.mp4;duration={long} SIP/2.0\r\n");
    let fields = "Contact: <sip:alice@192.0.2.33>\r\nContent-Type: application/sdp\r\n";
    let invite = request(&format!("{start}{fields}"), offer.as_bytes());
    let accepted = annc.invite(&invite, &meeting()).await.unwrap();
    annc.ack(&within(&accepted.answer, "ACK", 1, ""), false);
    accepted
}

fn with_pictures(phone: &UdpSocket, port: u16) -> String {
    let pictures =
        "RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\na=fmtp:99 packetization-mode=1;profile-level-id=64001f\r\n";
    offer(phone, "PORT RTP/AVP 0", &format!("m=video {port} {pictures}"))
}

#[tokio::test]
async fn a_stream_that_is_given_up_is_over_and_the_call_ends_with_the_other() {
    let annc = annc(1800);
    let [sound, pictures] = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    let port = pictures.local_addr().unwrap().port();
    let Accepted { answer, mut call } = film(&annc, &with_pictures(&sound, port), 500).await;
    assert!(!text(&answer).contains("m=video 0 "), "{}", text(&answer));
    still(&mut call).await;
    let taken = annc.request(&within(&answer, "INVITE", 2, &with_pictures(&sound, 0)), &meeting());
    let said = text(&taken.response);
    assert!(said.contains("m=video 0 RTP/AVP 99\r\n") && !said.contains("m=audio 0 "), "{said}");
    annc.ack(&within(&answer, "ACK", 2, ""), false);
    let end = tokio::time::timeout(Duration::from_secs(20), said_next(&mut call)).await;
    assert_eq!(end.as_deref(), Ok("BYE"), "nothing is left to be played");
}

#[tokio::test]
async fn who_gives_up_a_stream_in_an_answer_goes_on_with_the_other_and_needs_one() {
    let annc = annc(1800);
    let [sound, pictures] = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    let port = pictures.local_addr().unwrap().port();
    let Accepted { answer, mut call } = film(&annc, &with_pictures(&sound, port), 60_000).await;
    still(&mut call).await;
    for (number, left) in [(2, with_pictures(&sound, 0)), (4, with_pictures(&sound, port))] {
        annc.request(&within(&answer, "INVITE", number, ""), &meeting());
        annc.ack(&within(&answer, "ACK", number, &left), false);
        still(&mut call).await;
    }
    let none = with_pictures(&sound, 0).replace(&sound.local_addr().unwrap().port().to_string(), "0");
    assert_eq!(status(&annc.request(&within(&answer, "INVITE", 5, &none), &meeting())), "488");
    annc.request(&within(&answer, "INVITE", 6, ""), &meeting());
    annc.ack(&within(&answer, "ACK", 6, &none), false);
    assert_eq!(said_next(&mut call).await, "BYE");
}

#[tokio::test]
async fn media_are_not_agreed_on_that_our_address_can_not_send_to() {
    let annc = annc(1800);
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ipv4 = offer(&phone, "PORT RTP/AVP 0", "");
    let ipv6 = ipv4.replace("IP4 127.0.0.1", "IP6 ::1");
    let start = "INVITE sip:annc@example.com;play=file:///tone_ulaw.wav SIP/2.0\r\n";
    let fields = "Contact: <sip:alice@192.0.2.33>\r\nContent-Type: application/sdp\r\n";
    let invite = request(&format!("{start}{fields}"), ipv6.as_bytes());
    let refused = annc.invite(&invite, &meeting()).await.unwrap_err();
    assert_eq!(refused.verdict(404).status, 488);
    let (answer, _call, phone) = begun(&annc, "").await;
    let moved = offer(&phone, "PORT RTP/AVP 0", "").replace("IP4 127.0.0.1", "IP6 ::1");
    assert_eq!(status(&annc.request(&within(&answer, "INVITE", 2, &moved), &meeting())), "488");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_offered_to_the_phone_takes_its_offers_too() {
    let annc = annc(1800);
    let start = "INVITE sip:annc@example.com;play=file:///tone_ulaw.wav;repeat=forever SIP/2.0\r\n";
    let invite = request(&format!("{start}Contact: <sip:alice@192.0.2.33>\r\n"), b"");
    let Accepted { answer, mut call } = annc.invite(&invite, &meeting()).await.unwrap();
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let body = offer(&phone, "PORT RTP/AVP 0", "");
    let update = annc.request(&within(&answer, "UPDATE", 2, &body), &meeting());
    assert_eq!(status(&update), "491", "the offer in the 200 has no answer yet");
    annc.ack(&within(&answer, "ACK", 1, &body), false);
    still(&mut call).await;
    next_packet(&phone, |_| true);
    let again = text(&annc.request(&within(&answer, "INVITE", 3, &body), &meeting()).response);
    let port = text(&answer).split_once("m=audio ").unwrap().1[..5].to_owned();
    assert!(again.contains(&format!("m=audio {port} RTP/AVP 0\r\n")), "{again}");
}

#[tokio::test(start_paused = true)]
async fn an_offer_that_changes_nothing_is_answered_by_the_same_version() {
    let annc = annc(1800);
    let (answer, _call, phone) = begun(&annc, "").await;
    let body = |message: &Outgoing| text(message).split_once("\r\n\r\n").unwrap().1.to_owned();
    let same = offer(&phone, "PORT RTP/AVP 0", "a=recvonly\r\n").replace("m=", "t=0 0\r\nm=");
    let again = annc.request(&within(&answer, "INVITE", 2, &same), &meeting());
    assert_eq!(body(&again.response), body(&answer));
    let held = same.replace("recvonly", "inactive");
    let held = annc.request(&within(&answer, "INVITE", 3, &held), &meeting());
    assert_ne!(body(&held.response).lines().nth(1), body(&answer).lines().nth(1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_the_ack_of_a_new_invite_is_followed() {
    let annc = annc(1800);
    let (answer, mut call, phone) = begun(&annc, "").await;
    let held = offer(&phone, "PORT RTP/AVP 0", "a=inactive\r\n");
    annc.request(&within(&answer, "INVITE", 2, &held), &meeting());
    annc.ack(&within(&answer, "ACK", 2, ""), false);
    let offered = annc.request(&within(&answer, "INVITE", 3, ""), &meeting());
    let said = text(&offered.response);
    assert!(said.contains("a=sendonly\r\n"), "who is held may be let go on: {said}");
    for (number, method) in [(4, "UPDATE"), (5, "INVITE")] {
        let pending = annc.request(&within(&answer, method, number, &held), &meeting());
        assert_eq!(status(&pending), "491", "our offer has no answer yet");
    }
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let moved = offer(&elsewhere, "PORT RTP/AVP 0", "a=recvonly\r\n");
    annc.ack(&within(&answer, "ACK", 3, &moved), false);
    still(&mut call).await;
    next_packet(&elsewhere, |_| true);
    // Without an answer all stays as it was; one that leads where nothing may be sent ends the call.
    annc.request(&within(&answer, "INVITE", 6, ""), &meeting());
    annc.ack(&within(&answer, "ACK", 6, ""), false);
    still(&mut call).await;
    annc.request(&within(&answer, "INVITE", 7, ""), &meeting());
    annc.ack(&within(&answer, "ACK", 7, &moved.replace("127.0.0.1", "192.0.2.7")), false);
    assert_eq!(said_next(&mut call).await, "BYE");
}

async fn said_next(call: &mut Call) -> String {
    said(call).await.0
}

const OURS_TO_REFRESH: &str = "Supported: timer\r\nSession-Expires: 100;refresher=uas\r\n";

#[tokio::test(start_paused = true)]
async fn an_offer_waits_while_an_invite_of_ours_is_out() {
    let annc = annc(1800);
    let (answer, mut call, phone) = begun(&annc, OURS_TO_REFRESH).await;
    let invite = asked(&mut call, 49).await;
    assert!(text(&invite).starts_with("INVITE "));
    let body = offer(&phone, "PORT RTP/AVP 0", "");
    let ask = |method, number, body: &str| {
        status(&annc.request(&within(&answer, method, number, body), &meeting()))
    };
    assert_eq!(ask("INVITE", 2, &body), "491");
    assert_eq!(ask("INVITE", 3, ""), "491");
    assert_eq!(ask("UPDATE", 4, &body), "491");
    assert_eq!(ask("UPDATE", 5, ""), "200", "it offers nothing");
    call.answered(Some(&response(&invite, 200, "", "")), false);
    assert_eq!(ask("INVITE", 6, &body), "200");
}

#[tokio::test(start_paused = true)]
async fn after_a_collision_it_is_tried_again_within_two_seconds_and_not_beyond_the_session() {
    let annc = annc(1800);
    let (_answer, mut call, _phone) = begun(&annc, OURS_TO_REFRESH).await;
    let mut invite = asked(&mut call, 49).await;
    let (begun, mut times) = (Instant::now(), 0);
    loop {
        let asked = Instant::now();
        call.answered(Some(&response(&invite, 491, "", "")), false);
        match call.next().await {
            Say::Request(request) if text(&request).starts_with("INVITE ") => invite = *request,
            Say::Request(request) if text(&request).starts_with("BYE ") => break,
            other => panic!("{other:?}"),
        }
        let pause = asked.elapsed();
        assert!(pause <= Duration::from_secs(2) && pause.subsec_millis() % 10 <= 1, "{pause:?}");
        times += 1;
    }
    // The session ends 32 s before its 100 are over.
    assert_eq!(begun.elapsed().as_secs(), 18);
    assert!(times >= 9, "{times}");
}

#[tokio::test(start_paused = true)]
async fn who_collides_with_a_caller_who_refreshes_from_now_on_leaves_it_to_him() {
    let annc = annc(1800);
    let (answer, mut call, _phone) = begun(&annc, OURS_TO_REFRESH).await;
    let invite = asked(&mut call, 49).await;
    let to = String::from_utf8(answer.header(HeaderId::To).unwrap().to_vec()).unwrap();
    let timer = "Supported: timer\r\nSession-Expires: 200;refresher=uac\r\n";
    let update = request(&format!("UPDATE sip:annc@h SIP/2.0\r\nTo: {to}\r\nCSeq: 2 UPDATE\r\n{timer}"), b"");
    let taken = annc.request(&update, &meeting());
    assert_eq!(taken.response.header("Require"), Some(&b"timer"[..]));
    call.answered(Some(&response(&invite, 491, "", "")), false);
    assert_eq!(said(&mut call).await, ("BYE".to_owned(), 168), "he did not refresh it");
}

#[tokio::test(start_paused = true)]
async fn no_invite_of_ours_leaves_before_the_ack_of_theirs() {
    let annc = annc(1800);
    let (answer, mut call, phone) = begun(&annc, OURS_TO_REFRESH).await;
    let to = String::from_utf8(answer.header(HeaderId::To).unwrap().to_vec()).unwrap();
    let body = offer(&phone, "PORT RTP/AVP 0", "");
    let fields = format!("To: {to}\r\nCSeq: 2 INVITE\r\nContent-Type: application/sdp\r\n{OURS_TO_REFRESH}");
    let invite = request(&format!("INVITE sip:annc@h SIP/2.0\r\n{fields}"), body.as_bytes());
    let mut taken = annc.request(&invite, &meeting());
    let waited = tokio::time::timeout(Duration::from_secs(60), call.next()).await;
    assert!(waited.is_err(), "it would be due after 50");
    annc.ack(&within(&answer, "ACK", 2, ""), false);
    assert!(text(&asked(&mut call, 0).await).starts_with("INVITE "));
    assert!(!taken.unacked.take().unwrap().again().await);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_drops_his_timer_is_asked_whether_he_is_there() {
    let annc = annc(120);
    let (answer, mut call, _phone) = begun(&annc, "Supported: timer\r\nSession-Expires: 90\r\n").await;
    annc.request(&within(&answer, "UPDATE", 2, ""), &meeting());
    assert_eq!(said(&mut call).await, ("OPTIONS".to_owned(), 60));
}

#[tokio::test(start_paused = true)]
async fn an_interval_that_was_too_small_is_asked_for_with_the_least_that_is_known() {
    let annc = annc(1800);
    let fields = format!("{OURS_TO_REFRESH}Allow: UPDATE\r\n");
    let (answer, mut call, _phone) = begun(&annc, &fields).await;
    let update = asked(&mut call, 49).await;
    assert!(!text(&update).contains("Min-SE"), "nobody said one");
    call.answered(Some(&response(&update, 422, "Min-SE: 200\r\n", "")), false);
    let longer = text(&asked(&mut call, 0).await);
    assert!(longer.contains("Session-Expires: 200;") && longer.contains("Min-SE: 200\r\n"), "{longer}");
    // That of a request counts, too.
    let to = String::from_utf8(answer.header(HeaderId::To).unwrap().to_vec()).unwrap();
    let timer = "Supported: timer\r\nSession-Expires: 300;refresher=uas\r\nMin-SE: 300\r\n";
    let update = request(&format!("UPDATE sip:annc@h SIP/2.0\r\nTo: {to}\r\nCSeq: 2 UPDATE\r\n{timer}"), b"");
    annc.request(&update, &meeting());
    let larger = text(&asked(&mut call, 150).await);
    assert!(larger.contains("Session-Expires: 300;") && larger.contains("Min-SE: 300\r\n"), "{larger}");
}

#[tokio::test(start_paused = true)]
async fn a_200_is_not_repeated_after_the_bye() {
    let annc = annc(1800);
    let (answer, _call, _phone) = begun(&annc, "").await;
    let mut unacked = annc.request(&within(&answer, "INVITE", 2, ""), &meeting()).unacked.unwrap();
    let begun = Instant::now();
    let bye = async { annc.request(&within(&answer, "BYE", 3, ""), &meeting()) };
    let (again, _) = tokio::join!(unacked.again(), bye);
    assert_eq!((again, begun.elapsed()), (false, Duration::ZERO));
}

fn secure() -> Meeting {
    Meeting { secure: true, ..meeting() }
}

const ONE: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:C0uJXOJCTk66l01HPVJjFYOy0eSwVbQ7xlMwjcGS\r\n";
const OTHER: &str = "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:d0uJXOJCTk66l01HPVJjFYOy0eSwVbQ7xlMwjcGS\r\n";

/// A call under SRTP.
async fn secret(annc: &Annc, fields: &str) -> (Outgoing, Call, UdpSocket) {
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let start = "INVITE sip:annc@example.com;play=file:///tone_ulaw.wav;repeat=forever SIP/2.0\r\n";
    let contact = "Contact: <sip:alice@192.0.2.33>\r\nContent-Type: application/sdp\r\n";
    let body = offer(&phone, "PORT RTP/SAVP 0", ONE);
    let invite = request(&format!("{start}{contact}{fields}"), body.as_bytes());
    let Accepted { answer, mut call } = annc.invite(&invite, &secure()).await.unwrap();
    annc.ack(&within(&answer, "ACK", 1, ""), true);
    still(&mut call).await;
    (answer, call, phone)
}

#[tokio::test(start_paused = true)]
async fn a_new_key_of_the_caller_is_answered_by_one_of_ours_and_both_are_used() {
    let annc = annc(1800);
    let (answer, mut call, phone) = secret(&annc, "").await;
    let key = |message: &Outgoing| Key::read(&attributes(&text(message), "crypto")[0]).unwrap();
    let first = key(&answer);
    let old = next_packet(&phone, |_| true);
    assert_eq!(old.len(), 12 + 160 + 10);
    let renew = |number, line: &str| {
        let body = offer(&phone, "PORT RTP/SAVP 0", line);
        annc.request(&within(&answer, "UPDATE", number, &body), &secure()).response
    };
    // The same key in another place is no other.
    let same = key(&renew(2, &ONE.replace("crypto:1", "crypto:4")));
    assert!(same.is_same(&first) && same.tag == 4);
    let second = key(&renew(3, OTHER));
    assert_eq!((second.tag, second.suite), (2, Suite::Sha1_32));
    assert!(second.secret != first.secret, "RFC 4568 §7.1.4");
    still(&mut call).await;
    let new = next_packet(&phone, |packet| packet[8..12] != old[8..12]);
    // Its first packet, of a source whose numbers begin in the lower half and whose rollover counter is zero.
    assert!(new[2] < 0x80 && new.len() == 12 + 160 + 4);
    let mut clear = new[..172].to_vec();
    // A key stream over what it made is what it was made of.
    Protector::new(&second).rtp(&mut clear).unwrap();
    let mut again = clear[..172].to_vec();
    Protector::new(&second).rtp(&mut again).unwrap();
    assert_eq!(again, new, "it is signed and encrypted under the new key");
}

#[tokio::test(start_paused = true)]
async fn keys_are_neither_believed_nor_told_where_others_read_them() {
    let careful = annc(1800);
    let (answer, _call, phone) = secret(&careful, "").await;
    let savp = offer(&phone, "PORT RTP/SAVP 0", OTHER);
    let avp = offer(&phone, "PORT RTP/AVP 0", OTHER);
    for (number, (method, body)) in
        (2..).zip([("INVITE", savp.as_str()), ("UPDATE", &savp), ("INVITE", &avp), ("INVITE", "")])
    {
        let refused = careful.request(&within(&answer, method, number, body), &meeting());
        assert_eq!((status(&refused).as_str(), refused.unacked.is_none()), ("488", true), "{method} {body}");
        assert!(attributes(&text(&refused.response), "crypto").is_empty());
    }
    let offered = careful.request(&within(&answer, "INVITE", 6, ""), &secure());
    assert_eq!(attributes(&text(&offered.response), "crypto").len(), 1);
    let careless = annc_with(Settings { keys_in_clear: true, ..settings(1800) });
    let (answer, _call, phone) = secret(&careless, "").await;
    let savp = offer(&phone, "PORT RTP/SAVP 0", OTHER);
    assert_eq!(status(&careless.request(&within(&answer, "INVITE", 2, &savp), &meeting())), "200");
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_keys_that_came_in_clear_ends_the_call() {
    let annc = annc(1800);
    let start = "INVITE sip:annc@example.com;play=file:///tone_ulaw.wav SIP/2.0\r\n";
    let invite = request(&format!("{start}Contact: <sip:alice@192.0.2.33>\r\n"), b"");
    let Accepted { answer, mut call } = annc.invite(&invite, &secure()).await.unwrap();
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let body = offer(&phone, "PORT RTP/SAVP 0", ONE);
    annc.ack(&within(&answer, "ACK", 1, &body), false);
    assert_eq!(said_next(&mut call).await, "BYE");
    // So does one to a refresh.
    let (_answer, mut call, phone) = secret(&annc, OURS_TO_REFRESH).await;
    let Say::Secret(invite) = call.next().await else { panic!() };
    let body = offer(&phone, "PORT RTP/SAVP 0", ONE);
    call.answered(Some(&response(&invite, 200, "", &body)), false);
    assert_eq!(said_next(&mut call).await, "BYE");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_with_keys_is_secret_and_where_it_can_not_be_the_session_ends_at_its_time() {
    let annc = annc(1800);
    let (_answer, mut call, phone) = secret(&annc, OURS_TO_REFRESH).await;
    let Say::Secret(invite) = call.next().await else { panic!() };
    assert_eq!(attributes(&text(&invite), "crypto").len(), 1);
    let body = offer(&phone, "PORT RTP/SAVP 0", ONE);
    call.answered(Some(&response(&invite, 200, "", &body)), true);
    let Say::Secret(_) = call.next().await else { panic!() };
    call.withheld();
    assert_eq!(said(&mut call).await, ("BYE".to_owned(), 18));
    let (_answer, mut call, _phone) = secret(&annc, &format!("{OURS_TO_REFRESH}Allow: UPDATE\r\n")).await;
    let update = asked(&mut call, 49).await;
    assert!(text(&update).starts_with("UPDATE ") && attributes(&text(&update), "crypto").is_empty());
}
