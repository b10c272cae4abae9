//! Bodies on their way to terminals that said, or did not say, what they can show.

use std::time::Duration;

use crate::support::{
    House, Listener, Tcp, Udp, cpi_of, example, message, pixels, register, register_over, request, text,
    with_body,
};
use proxy::settings::{ForkMode, Unknown};

const GIF_TIERS: &str = "005-register-accept-gif-tiers.msg";
const OVERRIDE: &str = "006-register-accept-override.msg";
const SUNSET: &str = "020-fig1-message-original.msg";

/// What the store holds and the photo's own octets.
fn sunset() -> Vec<u8> {
    let octets = example(SUNSET);
    let body = octets.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    octets[body..].to_vec()
}

fn with_external_body(register: &str) -> String {
    format!("{}Accept: message/external-body\r\n", cpi_of(register))
}

#[tokio::test]
async fn a_picture_is_scaled_into_the_preferred_tier_and_said_to_be() {
    let house = House::new().await;
    let phone = house.registered_for_both("john", &cpi_of(GIF_TIERS)).await;
    let alice = house.phone().await;
    let original = message(SUNSET, alice.addr);
    alice.send(&original).await;
    let got = phone.take("200 OK", "").await;
    assert_eq!(got.field("Content-Type"), "image/gif");
    assert_eq!(pixels(&got.body), (158, 119));
    assert!(got.field("Content-Adapted").contains("scale"), "{got:#?}");
    assert_eq!(got.field("Content-Length"), got.body.len().to_string());
    assert_eq!(got.field("Max-Forwards"), "69");
    assert_eq!(got.uri(), format!("sip:john@{}", phone.udp.addr));
    let head = String::from_utf8_lossy(&original).into_owned();
    for name in ["From", "To", "Call-ID", "CSeq"] {
        assert!(head.contains(&format!("{name}: {}\r\n", got.field(name))), "{name}");
    }
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_specific_limit_overrides_the_general_one() {
    let house = House::new().await;
    let phone = house.registered_for_both("john", &cpi_of(OVERRIDE)).await;
    let alice = house.phone().await;
    alice.send(message(SUNSET, alice.addr)).await;
    assert_eq!(pixels(&phone.take("200 OK", "").await.body), (160, 120));
}

#[tokio::test]
async fn two_phones_at_once_get_links_of_their_own_or_pictures_of_their_own() {
    for mode in [ForkMode::Indirect, ForkMode::PerBranch] {
        let house = House::with(|settings| settings.fork = mode).await;
        let one = house.registered_for_both("john", &with_external_body(GIF_TIERS)).await;
        let two = house.registered_for_both("john", &with_external_body(OVERRIDE)).await;
        let alice = house.phone().await;
        alice.send(message(SUNSET, alice.addr)).await;
        let (first, second) = (one.take("200 OK", "").await, two.take("200 OK", "").await);
        if mode == ForkMode::PerBranch {
            assert_eq!([pixels(&first.body), pixels(&second.body)], [(158, 119), (160, 120)]);
        } else {
            let url = |body: &[u8]| {
                let text = String::from_utf8_lossy(body).into_owned();
                let head = text.to_ascii_lowercase();
                let at = head.find("/c/token").unwrap_or_else(|| panic!("no link in {text}"));
                text[at..].split('"').next().unwrap().to_owned()
            };
            assert!(first.field("Content-Type").starts_with("message/external-body"), "{first:#?}");
            let urls =
                [&first, &second].map(|got| url(&[got.field("Content-Type").as_bytes(), &got.body].concat()));
            assert_ne!(urls[0], urls[1], "one token per branch");
            let deposits = house.shelf.deposits.lock().unwrap();
            assert!(deposits.iter().all(|deposit| deposit.request.content == sunset()));
            assert!(deposits.iter().all(|deposit| deposit.recipient == "sip:john@example.com"));
        }
        assert_eq!(alice.recv_final().await.status(), 200);
    }
}

#[tokio::test]
async fn with_adaptation_off_the_identical_body_goes_out() {
    let off = House::with(|settings| settings.adapt.enabled = false).await;
    let for_john = House::with(|settings| {
        settings.adapt.users.insert("john@example.com".to_owned(), false);
    })
    .await;
    for house in [off, for_john] {
        let phone = house.registered("john", &cpi_of(GIF_TIERS)).await;
        // Large as it is, it must find TCP: the phone listens there too.
        let listener = Listener::at(phone.addr).await;
        let alice = house.phone().await;
        alice.send(message(SUNSET, alice.addr)).await;
        let got = listener.accept().await.take("200 OK", "").await;
        assert_eq!(got.body, sunset());
        assert!(!got.has("Content-Adapted"));
        assert_eq!(alice.recv_final().await.status(), 200);
    }
}

#[tokio::test]
async fn a_silent_terminal_is_asked_once_what_it_can_show() {
    let house = House::with(|settings| settings.unknown = Unknown::Options).await;
    let phone = house.registered_for_both("john", "").await;
    let alice = house.phone().await;
    let says = "Accept: text/plain, image/gif;media-pix-x=max+160;media-pix-y=max+120\r\n";
    alice.send(message(SUNSET, alice.addr)).await;
    let query = phone.take("200 OK", says).await;
    assert_eq!((query.method(), query.uri()), ("OPTIONS", &*format!("sip:john@{}", phone.udp.addr)));
    assert_eq!(query.field("To"), "<sip:john@example.com>");
    assert_eq!(pixels(&phone.take("200 OK", "").await.body), (160, 120));
    assert_eq!(alice.recv_final().await.status(), 200);

    alice.send(message(SUNSET, alice.addr)).await;
    let second = phone.take("200 OK", "").await;
    assert_eq!(second.method(), "MESSAGE", "not asked again");
    assert_eq!(pixels(&second.body), (160, 120));
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_415_teaches_what_the_terminal_takes_and_its_branch_is_tried_once_more() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let listener = Listener::at(phone.addr).await;
    let alice = house.phone().await;
    let says = "Accept: text/plain, image/jpeg;media-pix-x=max+160;media-pix-y=max+120\r\n";
    alice.send(message(SUNSET, alice.addr)).await;
    let mut connection = listener.accept().await;
    let first = connection.take("415 Unsupported Media Type", says).await;
    assert_eq!(first.body, sunset());
    let second = either(&phone, &mut connection).await;
    assert_eq!(second.field("Content-Type"), "image/jpeg");
    let (width, height) = pixels(&second.body);
    assert!(width <= 160 && height <= 120, "{width}x{height}");
    assert_ne!(first.branch(), second.branch());
    assert_eq!(alice.recv_final().await.status(), 200, "the 415 was not counted");
}

/// Takes a message on the datagram socket or on the connection.
async fn either(phone: &Udp, connection: &mut crate::support::Tcp) -> crate::support::ua::Received {
    tokio::select! {
        got = phone.recv() => { phone.send(got.answer("200 OK", "")).await; got }
        got = connection.recv() => { connection.send(got.answer("200 OK", "")).await; got }
    }
}

#[tokio::test]
async fn a_retry_that_does_not_arrive_leaves_the_first_answer() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let elsewhere = house.phone().await;
    let alice = house.phone().await;
    alice.send(message(SUNSET, alice.addr)).await;
    let got = phone.recv().await;
    drop(phone);
    elsewhere.send(got.answer("415 Text Only", "Accept: text/plain\r\n")).await;
    assert_eq!(alice.recv_final().await.start, "SIP/2.0 415 Text Only");
}

#[tokio::test]
async fn a_415_that_teaches_nothing_new_is_the_answer() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    phone.take("415 No Text Today", "Accept: text/plain\r\n").await;
    let answer = alice.recv_final().await;
    assert_eq!(answer.start, "SIP/2.0 415 No Text Today");
}

#[tokio::test]
async fn what_cannot_be_shown_or_linked_is_refused_with_what_could() {
    let house = House::without_links().await;
    let _phone = house.registered("john", "Accept: text/plain;media-pix-x=max+1\r\n").await;
    let alice = house.phone().await;
    let answer = alice.ask(message(SUNSET, alice.addr)).await;
    assert_eq!(answer.status(), 415);
    assert_eq!(answer.field("Accept"), "text/plain", "types only");
    assert!(answer.field("Warning").starts_with("399 proxy.example.com \""));
}

#[tokio::test]
async fn what_cannot_be_shown_is_linked_in_words() {
    let house = House::new().await;
    let phone = house.registered("john", "Accept: text/plain\r\n").await;
    let alice = house.phone().await;
    alice.send(message(SUNSET, alice.addr)).await;
    let got = phone.take("200 OK", "").await;
    assert!(got.field("Content-Type").starts_with("text/plain"));
    let body = String::from_utf8(got.body).unwrap();
    assert!(body.contains("https://content.example.com/c/token0"), "{body}");
    assert_eq!(house.shelf.deposits.lock().unwrap()[0].sender, "sip:alice@example.org");
}

#[tokio::test]
async fn when_the_pool_is_busy_or_too_late_the_picture_is_linked() {
    let late = House::with(|settings| settings.adapt_deadline = Duration::ZERO).await;
    let busy = House::new().await;
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Arc::new(std::sync::Mutex::new(held));
    while {
        let held = std::sync::Arc::clone(&held);
        busy.pool.submit(move || drop(held.lock().map(|held| held.recv()))).is_ok()
    } {}
    for house in [&late, &busy] {
        let phone = house.registered("john", &with_external_body(GIF_TIERS)).await;
        let alice = house.phone().await;
        alice.send(message(SUNSET, alice.addr)).await;
        let got = phone.take("200 OK", "").await;
        assert!(got.field("Content-Type").starts_with("message/external-body"), "{got:#?}");
        assert_eq!(alice.recv_final().await.status(), 200);
    }
    drop(hold);
}

#[tokio::test]
async fn thirteen_hundred_octets_go_over_udp_and_one_more_over_tcp() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let listener = Listener::at(phone.addr).await;
    let alice = house.phone().await;
    alice.send(message_of_size(1300, alice.addr)).await;
    let small = phone.take("200 OK", "").await;
    assert!(small.field("Via").starts_with("SIP/2.0/UDP "));
    assert_eq!(alice.recv_final().await.status(), 200);

    alice.send(message_of_size(1301, alice.addr)).await;
    let large = listener.accept().await.take("200 OK", "").await;
    assert!(large.field("Via").starts_with("SIP/2.0/TCP "), "{large:#?}");
    assert_eq!(alice.recv_final().await.status(), 200);
}

/// A MESSAGE of text of that many octets in all.
fn message_of_size(octets: usize, from: std::net::SocketAddr) -> Vec<u8> {
    let empty = sized(from, 1000);
    let body = 1000 + octets - empty.len();
    let sized = sized(from, body);
    assert_eq!(sized.len(), octets);
    sized
}

fn sized(from: std::net::SocketAddr, body: usize) -> Vec<u8> {
    let octets = text("sip:john@example.com", from, "X-Pad: 0000000000000000000000000000000\r\n");
    let head = String::from_utf8(octets).unwrap().replace("Watson, come here.", "");
    // The number of the message may gain a digit between two of them.
    let head = head.replace("Content-Length: 18", &format!("Content-Length: {body:04}"));
    let number = head.split("z9hG4bKua").nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
    let padded = format!("{number:0>9}");
    let head = head.replace(&format!("ua{number}\r"), &format!("ua{padded}\r"));
    let head = head.replace(&format!("tag=a{number}\r"), &format!("tag=a{padded}\r"));
    let head = head.replace(&format!("call{number}@"), &format!("call{padded}@"));
    [head.as_bytes(), &vec![b'x'; body]].concat()
}

#[tokio::test]
async fn where_only_a_datagram_gets_through_a_long_text_becomes_a_link() {
    let house = House::new().await;
    // Nothing listens on TCP at this phone's address, and the other is bound to its flow.
    let refusing = house.registered("john", "").await;
    let bound = house.phone().await;
    let contact = format!("<sip:ann@{}>;+sip.instance=\"<urn:uuid:1>\";reg-id=1", bound.addr);
    let registered = bound.ask(register(bound.addr, "ann", &contact, "Supported: path, outbound\r\n")).await;
    assert_eq!(registered.status(), 200);
    let alice = house.phone().await;
    for (user, phone) in [("john", &refusing), ("ann", &bound)] {
        let long = message_of_size(1400, alice.addr);
        let long = String::from_utf8(long).unwrap().replace("john@", &format!("{user}@"));
        alice.send(long).await;
        let got = phone.take("200 OK", "").await;
        assert!(got.octets <= 1300, "{} octets", got.octets);
        assert!(String::from_utf8_lossy(&got.body).contains("/c/token"), "{got:#?}");
        assert_eq!(alice.recv_final().await.status(), 200);
    }
}

#[tokio::test]
async fn where_only_a_datagram_gets_through_and_nothing_is_stored_it_is_513() {
    let house = House::without_links().await;
    let _phone = house.registered("john", "").await;
    let alice = house.phone().await;
    let answer = alice.ask(message_of_size(1400, alice.addr)).await;
    assert_eq!(answer.status(), 513);
    assert!(answer.has("Warning"));
}

#[tokio::test]
async fn a_notify_for_a_watcher_of_another_domain_passes_untouched() {
    let house = House::with(|settings| settings.unknown = Unknown::Indirect).await;
    let phone = house.registered("john", "").await;
    let watcher = house.phone().await;
    let event = format!("Contact: <sip:w@{}>\r\nEvent: presence\r\n", watcher.addr);
    let subscribe = request("SUBSCRIBE", "sip:john@example.com", watcher.addr, &event);
    for (domain, is_ours) in [("example.org", false), ("example.com", true)] {
        let subscribe = subscribe.replace("alice@example.org", &format!("alice@{domain}"));
        watcher.send(subscribe.replace("call", domain).replace("bKua", &format!("bK{domain}"))).await;
        let subscribe = phone.take("200 OK", "").await;
        assert_eq!(watcher.recv_final().await.status(), 200);
        let head = format!(
            "NOTIFY sip:w@{} SIP/2.0\r\nVia: SIP/2.0/UDP {};rport;branch=z9hG4bKn{domain}\r\n\
             Route: {}\r\nMax-Forwards: 70\r\nFrom: {};tag=n\r\nTo: {}\r\nCall-ID: {}\r\n\
             CSeq: 1 NOTIFY\r\nEvent: presence\r\nContent-Type: image/gif\r\nContent-Length: 7\r\n\r\nGIF89a;",
            watcher.addr,
            phone.addr,
            subscribe.all("Record-Route").join(", "),
            subscribe.field("To"),
            subscribe.field("From"),
            subscribe.field("Call-ID"),
        );
        phone.send(head).await;
        let got = watcher.take("200 OK", "").await;
        assert_eq!(got.body != b"GIF89a;", is_ours, "{got:#?}");
        assert_eq!(phone.recv_final().await.status(), 200);
    }
}

#[tokio::test]
async fn what_no_datagram_holds_is_513_where_there_is_nothing_else() {
    let house = House::new().await;
    let bound = house.phone().await;
    let contact = format!("<sip:ann@{}>;+sip.instance=\"<urn:uuid:1>\";reg-id=1", bound.addr);
    assert_eq!(bound.ask(register(bound.addr, "ann", &contact, "")).await.status(), 200);
    let mut alice = Tcp::connect(house.tcp).await;
    let fields = "Content-Type: application/sdp\r\n";
    let invite = with_body("INVITE", "sip:ann@example.com", "TCP", alice.addr(), fields, &vec![b'v'; 65_507]);
    assert_eq!(alice.ask(invite).await.status(), 513);
    assert!(bound.pending().is_none());
}

#[tokio::test]
async fn an_unknown_terminal_gets_links_where_the_operator_wants_it() {
    let house = House::with(|settings| settings.unknown = Unknown::Indirect).await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    alice.send(message(SUNSET, alice.addr)).await;
    let got = phone.take("200 OK", "").await;
    assert_ne!(got.body, sunset());
    assert_eq!(house.shelf.deposits.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn content_is_stored_once_however_often_its_message_is_put_together() {
    let house = House::new().await;
    // A phone without TCP that takes no pictures: the picture is linked in the message as it would go over
    // TCP, and again in the one that fits a datagram.
    let phone = house.registered("john", "Accept: text/plain, multipart/mixed\r\n").await;
    let alice = house.phone().await;
    let long = "x".repeat(1500);
    let mut body =
        format!("--b\r\nContent-Type: text/plain\r\n\r\n{long}\r\n--b\r\nContent-Type: image/gif\r\n\r\n");
    body = format!("{body}{}\r\n--b--\r\n", "GIF");
    let fields = "Content-Type: multipart/mixed; boundary=b\r\n";
    alice
        .send(with_body("MESSAGE", "sip:john@example.com", "UDP", alice.addr, fields, body.as_bytes()))
        .await;
    let got = phone.take("200 OK", "").await;
    assert!(got.octets <= 1300, "{got:#?}");
    assert_eq!(alice.recv_final().await.status(), 200);
    let deposits = house.shelf.deposits.lock().unwrap();
    let mut stored: Vec<_> = deposits.iter().map(|deposit| deposit.request.content.clone()).collect();
    stored.sort();
    let all = stored.len();
    stored.dedup();
    assert!(all > 0 && stored.len() == all, "{all} deposits of {} contents", stored.len());
}

#[tokio::test]
async fn a_phone_that_was_not_reached_is_asked_when_it_is_there_again() {
    let house = House::with(|settings| settings.unknown = Unknown::Options).await;
    let gone = Listener::new().await;
    let addr = gone.addr;
    drop(gone);
    let contact = format!("<sip:john@{addr};transport=tcp>");
    let mut away = Tcp::connect(house.tcp).await;
    assert_eq!(away.ask(register_over("TCP", away.addr(), "john", &contact, "")).await.status(), 200);
    drop(away);
    let alice = house.phone().await;
    assert_eq!(alice.ask(message(SUNSET, alice.addr)).await.status(), 500, "nobody could be asked");
    let back = Listener::at(addr).await;
    alice.send(message(SUNSET, alice.addr)).await;
    let mut phone = back.accept().await;
    let query = phone.take("200 OK", "Accept: image/gif;media-pix-x=max+160;media-pix-y=max+120\r\n").await;
    assert_eq!(query.method(), "OPTIONS");
    assert_eq!(pixels(&phone.take("200 OK", "").await.body), (160, 120));
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_phone_is_asked_over_the_connection_it_made_when_its_contact_takes_none() {
    let house = House::with(|settings| settings.unknown = Unknown::Options).await;
    let gone = Listener::new().await;
    let contact = format!("<sip:john@{};transport=tcp>", gone.addr);
    drop(gone);
    let mut phone = Tcp::connect(house.tcp).await;
    assert_eq!(phone.ask(register_over("TCP", phone.addr(), "john", &contact, "")).await.status(), 200);
    let alice = house.phone().await;
    alice.send(message(SUNSET, alice.addr)).await;
    let query = phone.take("200 OK", "Accept: image/gif;media-pix-x=max+160;media-pix-y=max+120\r\n").await;
    assert_eq!(query.method(), "OPTIONS");
    assert_eq!(pixels(&phone.take("200 OK", "").await.body), (160, 120));
    assert_eq!(alice.recv_final().await.status(), 200);
}
