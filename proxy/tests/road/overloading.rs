//! More than can be done: what is refused, what is not, and what it costs.

use crate::support::{DOMAIN, House, request, text};

fn options(from: std::net::SocketAddr) -> String {
    request("OPTIONS", &format!("sip:{DOMAIN}"), from, "")
}

#[tokio::test]
async fn an_address_over_its_rate_gets_503_with_retry_after_and_what_it_had_begun_is_answered() {
    let house = House::with(|settings| settings.source_rate = 1).await;
    let phone = house.phone().await;
    let first = options(phone.addr);
    for _ in 0..3 {
        assert_eq!(
            phone.ask(&first).await.status(),
            200,
            "the first, and its repetitions, which cost nothing"
        );
    }
    let mut statuses = Vec::new();
    let refused = loop {
        let answer = phone.ask(options(phone.addr)).await;
        statuses.push(answer.status());
        if answer.status() != 200 {
            break answer;
        }
        assert!(statuses.len() < 10, "no end");
    };
    assert_eq!((refused.status(), refused.field("Retry-After")), (503, "5"));
    assert_eq!(phone.ask(&first).await.status(), 200, "a repetition of what was answered");
}

#[tokio::test]
async fn a_peer_has_no_rate() {
    let house = House::with(|settings| {
        settings.source_rate = 1;
        settings.peers = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let peer = house.phone().await;
    for _ in 0..20 {
        assert_eq!(peer.ask(options(peer.addr)).await.status(), 200);
    }
}

#[tokio::test]
async fn a_user_over_his_rate_is_refused_and_another_one_from_the_same_address_is_not() {
    let house = House::with(|settings| settings.user_rate = 1).await;
    let phone = house.phone().await;
    let from = |user: &str| {
        let sent = String::from_utf8(text("sip:nobody@example.com", phone.addr, "")).unwrap();
        sent.replace("sip:alice@example.org", &format!("sip:{user}@{DOMAIN}"))
    };
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(phone.ask(from("john")).await.status());
    }
    assert_eq!((statuses[0], statuses[9]), (404, 503));
    assert_eq!(phone.ask(from("ann")).await.status(), 404);
}

#[tokio::test]
async fn with_too_many_under_way_new_requests_get_503_and_those_under_way_end_well() {
    let house = House::with(|settings| settings.in_progress = 1).await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let under_way = phone.recv().await;
    let refused = alice.ask(text("sip:john@example.com", alice.addr, "")).await;
    assert_eq!((refused.status(), refused.has("Retry-After")), (503, true));
    phone.send(under_way.answer("200 OK", "")).await;
    assert_eq!(alice.recv_final().await.status(), 200);
}
