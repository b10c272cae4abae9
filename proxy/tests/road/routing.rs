//! Requests and their way through the proxy, over real sockets.

use crate::support::{House, Listener, Tcp, Udp, fresh, register, register_over, request, text, with_body};
use proxy::relay::Relay;
use proxy::settings::NextHop;

#[tokio::test]
async fn a_message_reaches_the_registered_phone_and_its_answer_the_sender() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let got = phone.take("200 OK", "X-Mine: yes\r\n").await;
    assert_eq!(got.uri(), format!("sip:john@{}", phone.addr));
    assert_eq!(got.field("Max-Forwards"), "69");
    assert_eq!(got.field("Max-Breadth"), "60");
    assert_eq!(got.body, b"Watson, come here.");
    assert_eq!(got.all("Via").len(), 2);
    assert!(!got.has("Record-Route") && !got.has("Content-Adapted"));
    let answer = alice.recv_final().await;
    assert_eq!((answer.status(), answer.field("X-Mine")), (200, "yes"));
    assert_eq!(answer.all("Via").len(), 1, "our Via is taken off");
}

#[tokio::test]
async fn a_message_over_tcp_reaches_a_phone_on_the_connection_it_registered_on() {
    let house = House::new().await;
    let mut phone = Tcp::connect(house.tcp).await;
    let contact = format!("<sip:john@{};transport=tcp>", phone.addr());
    let answer = phone.ask(register_over("TCP", phone.addr(), "john", &contact, "")).await;
    assert_eq!(answer.status(), 200);
    let mut alice = Tcp::connect(house.tcp).await;
    let fields = "Content-Type: text/plain\r\n";
    alice.send(with_body("MESSAGE", "sip:john@example.com", "TCP", alice.addr(), fields, b"hello")).await;
    let got = phone.take("200 OK", "").await;
    assert!(got.field("Via").starts_with("SIP/2.0/TCP "), "{got:#?}");
    assert_eq!(got.body, b"hello");
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_fork_to_two_phones_gives_the_sender_exactly_one_2xx() {
    let house = House::new().await;
    let (one, two) = (house.registered("john", "").await, house.registered("john", "").await);
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let (first, second) = (one.recv().await, two.recv().await);
    assert_eq!([first.field("Max-Breadth"), second.field("Max-Breadth")], ["30", "30"]);
    assert_ne!(first.branch(), second.branch());
    one.send(first.answer("200 OK", "")).await;
    assert_eq!(alice.recv_final().await.status(), 200);
    two.send(second.answer("200 OK", "")).await;
    // What the proxy answers next comes behind a second 200, if there were one.
    let next = alice.ask(request("OPTIONS", "sip:example.com", alice.addr, "")).await;
    assert!(next.field("CSeq").ends_with("OPTIONS"), "{next:#?}");
}

#[tokio::test]
async fn the_best_of_two_refusals_goes_back_when_both_are_there() {
    let house = House::new().await;
    let (one, two) = (house.registered("john", "").await, house.registered("john", "").await);
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    one.take("500 Broken", "").await;
    two.take("486 Busy Here", "").await;
    assert_eq!(alice.recv_final().await.status(), 486);
}

#[tokio::test]
async fn phones_of_lower_preference_are_tried_after_the_others_failed() {
    let house = House::new().await;
    let (high, low) = (house.phone().await, house.phone().await);
    for (phone, q) in [(&high, "0.9"), (&low, "0.4")] {
        let contact = format!("<sip:john@{}>;q={q}", phone.addr);
        assert_eq!(phone.ask(register(phone.addr, "john", &contact, "")).await.status(), 200);
    }
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let first = high.recv().await;
    assert!(low.pending().is_none(), "the second choice waits");
    assert_eq!(first.field("Max-Breadth"), "30", "the other half is kept for it");
    high.send(first.answer("480 Not Here", "")).await;
    low.take("200 OK", "").await;
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_breadth_of_one_forks_serially_and_of_zero_not_at_all() {
    let house = House::new().await;
    let phones = [house.registered("john", "").await, house.registered("john", "").await];
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "Max-Breadth: 1\r\n")).await;
    let (first, second) = tokio::select! {
        got = phones[0].recv() => { phones[0].send(got.answer("404 Not Here", "")).await; (got, &phones[1]) }
        got = phones[1].recv() => { phones[1].send(got.answer("404 Not Here", "")).await; (got, &phones[0]) }
    };
    assert_eq!(first.field("Max-Breadth"), "1");
    assert_eq!(second.take("200 OK", "").await.field("Max-Breadth"), "1");
    assert_eq!(alice.recv_final().await.status(), 200);

    let answer = alice.ask(text("sip:john@example.com", alice.addr, "Max-Breadth: 0\r\n")).await;
    assert_eq!(answer.status(), 440);
}

#[tokio::test]
async fn nobody_there_is_404_for_strangers_and_480_for_users_who_left() {
    let house = House::new().await;
    let alice = house.phone().await;
    assert_eq!(alice.ask(text("sip:nobody@example.com", alice.addr, "")).await.status(), 404);

    let phone = house.phone().await;
    let contact = format!("<sip:john@{}>", phone.addr);
    let enter = register(phone.addr, "john", &contact, "");
    assert_eq!(phone.ask(&enter).await.status(), 200);
    let leave = register(phone.addr, "john", &contact, "").replace(";expires=600", ";expires=0");
    assert_eq!(phone.ask(leave).await.status(), 200);
    assert_eq!(alice.ask(text("sip:john@example.com", alice.addr, "")).await.status(), 480);
}

#[tokio::test]
async fn a_request_without_hops_left_is_483() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    let answer = alice.ask(text("sip:john@example.com", alice.addr, "Max-Forwards: 0\r\n")).await;
    assert_eq!(answer.status(), 483);
    let options = request("OPTIONS", "sip:john@example.com", alice.addr, "Max-Forwards: 0\r\n");
    assert_eq!(alice.ask(options).await.status(), 483);
    assert!(phone.pending().is_none());
}

#[tokio::test]
async fn an_extension_the_proxy_must_know_and_does_not_is_420_and_named() {
    let house = House::new().await;
    let alice = house.phone().await;
    let answer = alice.ask(text("sip:john@example.com", alice.addr, "Proxy-Require: foo, bar\r\n")).await;
    assert_eq!((answer.status(), answer.field("Unsupported")), (420, "foo, bar"));
}

#[tokio::test]
async fn a_scheme_the_proxy_cannot_route_is_416() {
    let house = House::new().await;
    let alice = house.phone().await;
    for uri in ["tel:+15551234", "nobody:knows", "sips:john@example.com"] {
        assert_eq!(alice.ask(text(uri, alice.addr, "")).await.status(), 416, "{uri}");
    }
}

#[tokio::test]
async fn a_request_that_comes_round_unchanged_is_482_and_a_spiral_goes_on() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let got = phone.recv().await;
    let again = |uri: &str| {
        let number = fresh();
        let vias: String = got.all("Via").iter().map(|via| format!("Via: {via}\r\n")).collect();
        format!(
            "MESSAGE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {};rport;branch=z9hG4bKloop{number}\r\n{vias}\
             Max-Forwards: 60\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 MESSAGE\r\n\
             Content-Length: 0\r\n\r\n",
            phone.addr,
            got.field("From"),
            got.field("To"),
            got.field("Call-ID"),
        )
    };
    assert_eq!(phone.ask(again("sip:john@example.com")).await.status(), 482);
    assert_eq!(phone.ask(again("sip:else@example.com")).await.status(), 404, "a spiral is looked up");
}

#[tokio::test]
async fn options_to_the_server_says_what_it_takes() {
    let house = House::new().await;
    let alice = house.phone().await;
    for uri in ["sip:example.com".to_owned(), format!("sip:{}", house.udp)] {
        let answer = alice.ask(request("OPTIONS", &uri, alice.addr, "")).await;
        assert_eq!(answer.status(), 200, "{uri}");
        assert!(answer.field("Allow").contains("MESSAGE"));
        assert!(answer.has("Accept") && answer.has("Supported"));
        assert!(answer.field("Server").starts_with("bespoke/"));
        assert!(answer.field("To").contains(";tag="));
    }
}

#[tokio::test]
async fn strangers_relay_nowhere_and_peers_where_the_operator_says() {
    let edge = Udp::new("127.0.0.1:9".parse().unwrap()).await;
    let next_hop = format!("sip:{}", edge.addr);
    let route = NextHop { domain: "example.net".to_owned(), next_hop: next_hop.clone(), edge: false };

    let house = House::with(|settings| settings.routes = vec![route.clone()]).await;
    let alice = house.phone().await;
    let answer = alice.ask(text("sip:bob@example.net", alice.addr, "")).await;
    assert_eq!(answer.status(), 403);
    assert!(answer.field("Warning").contains("Relaying"), "{answer:#?}");
    let around = format!("Route: <sip:{}>\r\n", edge.addr);
    let answer = alice.ask(text("sip:john@example.com", alice.addr, &around)).await;
    assert_eq!(answer.status(), 403, "not by a Route of their own either");

    let house = House::with(|settings| {
        settings.routes = vec![route];
        settings.relay = Relay::Trusted;
        settings.peers = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let alice = house.phone().await;
    alice.send(text("sip:bob@example.net", alice.addr, "")).await;
    let got = edge.recv().await;
    assert_eq!(got.uri(), "sip:bob@example.net");
    assert_eq!(got.field("Route"), format!("<{next_hop};lr>"));
    assert!(edge.pending().is_none());
}

#[tokio::test]
async fn an_expired_message_is_not_delivered_and_its_sender_told() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    let old = "Date: Sun, 09 Sep 2001 01:46:40 GMT\r\nExpires: 60\r\n";
    let answer = alice.ask(text("sip:john@example.com", alice.addr, old)).await;
    assert_eq!(answer.status(), 480);
    assert!(answer.field("Warning").contains("Expires"));
    assert!(phone.pending().is_none());
}

#[tokio::test]
async fn a_contact_that_lists_methods_without_message_gets_none() {
    let house = House::new().await;
    let (calls, messages) = (house.phone().await, house.registered("john", "").await);
    let contact = format!("<sip:john@{}>;methods=\"INVITE,BYE\"", calls.addr);
    assert_eq!(calls.ask(register(calls.addr, "john", &contact, "")).await.status(), 200);
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    messages.take("200 OK", "").await;
    assert_eq!(alice.recv_final().await.status(), 200);
    assert!(calls.pending().is_none());
}

#[tokio::test]
async fn the_path_of_a_binding_becomes_the_route_to_it() {
    let house = House::new().await;
    let edge = house.phone().await;
    let phone = house.phone().await;
    let fields = format!("Path: <sip:edge@{};lr>\r\nSupported: path\r\n", edge.addr);
    let contact = format!("<sip:john@{}>", phone.addr);
    assert_eq!(phone.ask(register(phone.addr, "john", &contact, &fields)).await.status(), 200);
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let got = edge.take("200 OK", "").await;
    assert_eq!(got.field("Route"), format!("<sip:edge@{};lr>", edge.addr));
    assert_eq!(got.uri(), format!("sip:john@{}", phone.addr));
    assert!(phone.pending().is_none());
}

#[tokio::test]
async fn a_subscription_is_record_routed_and_its_notify_comes_back_through() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let watcher = house.phone().await;
    let contact = format!("Contact: <sip:w@{}>\r\nEvent: presence\r\n", watcher.addr);
    watcher.send(request("SUBSCRIBE", "sip:john@example.com", watcher.addr, &contact)).await;
    let subscribe = phone.take("200 OK", "").await;
    let route = subscribe.all("Record-Route").join(", ");
    assert_eq!(watcher.recv_final().await.status(), 200);

    let notify = |route: &str| {
        let number = fresh();
        format!(
            "NOTIFY sip:w@{} SIP/2.0\r\nVia: SIP/2.0/UDP {};rport;branch=z9hG4bKn{number}\r\n\
             Route: {route}\r\nMax-Forwards: 70\r\nFrom: {};tag=n\r\nTo: {}\r\nCall-ID: {}\r\n\
             CSeq: {number} NOTIFY\r\nEvent: presence\r\nContent-Length: 0\r\n\r\n",
            watcher.addr,
            phone.addr,
            subscribe.field("To"),
            subscribe.field("From"),
            subscribe.field("Call-ID"),
        )
    };
    phone.send(notify(&route)).await;
    let got = watcher.take("200 OK", "").await;
    assert!(!got.has("Route") && got.has("Record-Route"), "{got:#?}");
    assert_eq!(phone.recv_final().await.status(), 200);

    let forged = format!("<sip:{};lr>", house.udp);
    assert_eq!(phone.ask(notify(&forged)).await.status(), 403, "without our mark it is relaying");
    let elsewhere =
        notify(&route).replace(&format!("NOTIFY sip:w@{}", watcher.addr), "NOTIFY sip:w@127.0.0.2:9");
    phone.send(elsewhere).await;
    assert_eq!(
        watcher.take("200 OK", "").await.uri(),
        "sip:w@127.0.0.2:9",
        "to the other side and nowhere else"
    );
    assert_eq!(phone.recv_final().await.status(), 200);
    let outside = phone.ask(notify(&route).replace(";tag=", ";x=")).await;
    assert_eq!(outside.status(), 403, "the mark is good in its dialog only");
}

#[tokio::test]
async fn an_invite_rings_and_is_cancelled_through_the_proxy() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    let invite = request("INVITE", "sip:john@example.com", alice.addr, "");
    alice.send(&invite).await;
    let ringing = phone.recv().await;
    phone.send(ringing.answer("180 Ringing", "")).await;
    assert_eq!(alice.recv_final().await.status(), 180);

    let cancel = invite.replace("INVITE", "CANCEL");
    assert_eq!(alice.ask(cancel).await.status(), 200);
    let cancelled = phone.take("200 OK", "").await;
    assert_eq!((cancelled.method(), cancelled.branch()), ("CANCEL", ringing.branch()));
    phone.send(ringing.answer("487 Request Terminated", "")).await;
    assert_eq!(phone.recv().await.method(), "ACK");
    assert_eq!(alice.recv_final().await.status(), 487);
}

#[tokio::test]
async fn an_answered_fork_cancels_the_other_phone() {
    let house = House::new().await;
    let (one, two) = (house.registered("john", "").await, house.registered("john", "").await);
    let alice = house.phone().await;
    alice.send(request("INVITE", "sip:john@example.com", alice.addr, "")).await;
    let (first, second) = (one.recv().await, two.recv().await);
    two.send(second.answer("180 Ringing", "")).await;
    assert_eq!(alice.recv_final().await.status(), 180);
    one.send(first.answer("200 OK", "")).await;
    assert_eq!(alice.recv_final().await.status(), 200);
    let cancel = two.take("200 OK", "").await;
    assert_eq!(cancel.method(), "CANCEL");
}

#[tokio::test]
async fn an_ack_for_a_2xx_goes_to_the_user_who_was_called() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    alice.send(request("ACK", "sip:john@example.com", alice.addr, "")).await;
    assert_eq!(phone.recv().await.method(), "ACK");
}

#[tokio::test]
async fn an_ack_goes_one_way_only_and_does_not_multiply_in_a_loop() {
    let house = House::new().await;
    let phone = house.phone().await;
    let contacts = format!(
        "<sip:john@{}>;q=0.9;expires=60, <sip:john@{us};x=1>;q=0.5;expires=60, <sip:john@{us};x=2>;q=0.5",
        phone.addr,
        us = house.udp
    );
    assert_eq!(phone.ask(register(phone.addr, "john", &contacts, "")).await.status(), 200);
    let alice = house.phone().await;
    alice.send(request("ACK", "sip:john@example.com", alice.addr, "Max-Breadth: 7\r\n")).await;
    let got = phone.recv().await;
    assert_eq!((got.method(), got.field("Max-Breadth")), ("ACK", "7"));
    for _ in 0..10 {
        assert_eq!(alice.ask(request("OPTIONS", "sip:example.com", alice.addr, "")).await.status(), 200);
        assert!(phone.pending().is_none());
    }
}

#[tokio::test]
async fn a_contact_that_refuses_connections_is_500_and_never_silence() {
    let house = House::new().await;
    let phone = house.phone().await;
    let gone = Listener::new().await;
    let contact = format!("<sip:john@{};transport=tcp>", gone.addr);
    drop(gone);
    let mut by_tcp = Tcp::connect(house.tcp).await;
    let registered = by_tcp.ask(register_over("TCP", by_tcp.addr(), "john", &contact, "")).await;
    assert_eq!(registered.status(), 200);
    drop(by_tcp);
    assert_eq!(phone.ask(text("sip:john@example.com", phone.addr, "")).await.status(), 500);
}

#[tokio::test]
async fn our_address_in_place_of_the_domain_means_the_same_user() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    alice.send(text(&format!("sip:john@{}", house.udp), alice.addr, "")).await;
    assert_eq!(phone.take("200 OK", "").await.uri(), format!("sip:john@{}", phone.addr));
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_phone_whose_contact_takes_no_connection_is_reached_over_the_one_it_made() {
    let house = House::new().await;
    let gone = Listener::new().await;
    let contact = format!("<sip:john@{};transport=tcp>", gone.addr);
    drop(gone);
    let mut phone = Tcp::connect(house.tcp).await;
    assert_eq!(phone.ask(register_over("TCP", phone.addr(), "john", &contact, "")).await.status(), 200);
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    assert_eq!(phone.take("200 OK", "").await.method(), "MESSAGE");
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn more_requests_than_may_be_on_their_road_are_503_with_a_time_to_come_back() {
    let house = House::with(|settings| settings.in_progress = 1).await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let waiting = phone.recv().await;
    let busy = alice.ask(text("sip:john@example.com", alice.addr, "")).await;
    assert_eq!((busy.status(), busy.field("Retry-After")), (503, "5"));
    phone.send(waiting.answer("200 OK", "")).await;
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn an_answer_without_a_way_back_is_502() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let got = phone.recv().await;
    let senders_via = format!("Via: {}\r\n", got.all("Via")[1]);
    let answer = String::from_utf8(got.answer("200 OK", "")).unwrap();
    assert!(answer.contains(&senders_via));
    phone.send(answer.replace(&senders_via, "")).await;
    assert_eq!(alice.recv_final().await.status(), 502);
}

#[tokio::test]
async fn challenges_of_all_branches_go_back_together() {
    let house = House::new().await;
    let (one, two) = (house.registered("john", "").await, house.registered("john", "").await);
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    one.take("407 Proxy Authentication Required", "Proxy-Authenticate: Digest realm=\"one\"\r\n").await;
    two.take("401 Unauthorized", "WWW-Authenticate: Digest realm=\"two\"\r\n").await;
    let answer = alice.recv_final().await;
    assert!(matches!(answer.status(), 401 | 407));
    assert_eq!(answer.field("Proxy-Authenticate"), "Digest realm=\"one\"");
    assert_eq!(answer.field("WWW-Authenticate"), "Digest realm=\"two\"");
}
