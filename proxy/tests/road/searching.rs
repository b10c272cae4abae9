//! Dead contacts, and what is tried in their place; with the clock paused where somebody is silent.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::ua::Received;
use crate::support::{House, Udp, register, request, text};

const INSTANCE: &str = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000000000001>\"";

/// Registers a contact for john at this phone.
async fn register_at(phone: &Udp, params: &str) {
    let contact = format!("<sip:john@{}>{params}", phone.addr);
    assert_eq!(
        phone.ask(register(phone.addr, "john", &contact, "Supported: path, outbound\r\n")).await.status(),
        200
    );
}

/// Phones of john with those Contact parameters.
async fn phones<const N: usize>(house: &House, params: [&str; N]) -> [Udp; N] {
    let mut phones = Vec::new();
    for params in params {
        let phone = house.phone().await;
        register_at(&phone, params).await;
        phones.push(phone);
    }
    phones.try_into().unwrap()
}

/// What comes to `alive` next, while others lie dead and the clock jumps.
async fn next(alive: &Udp) -> Received {
    loop {
        tokio::select! {
            biased;
            got = alive.recv() => return got,
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
}

#[tokio::test]
async fn a_message_passes_a_black_hole_while_its_sender_still_waits() {
    let house = House::new().await;
    let [dead, first, last] = phones(&house, [";q=0.9", ";q=0.5", ";q=0.1"]).await;
    let alice = house.phone().await;
    tokio::time::pause();
    let start = Instant::now();
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let got = next(&first).await;
    assert_eq!(start.elapsed().as_secs(), 4);
    first.send(got.answer("200 OK", "")).await;
    let answer = loop {
        let answer = next(&alice).await;
        if answer.status() != 100 {
            break answer;
        }
    };
    assert_eq!(answer.status(), 200);
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert!(last.pending().is_none(), "it has been delivered");
    assert!(dead.pending().is_some() && alice.pending().is_none());
}

#[tokio::test]
async fn a_late_answer_of_a_silent_contact_still_counts() {
    let house = House::new().await;
    let [slow, dead] = phones(&house, [";q=0.9", ";q=0.5"]).await;
    let alice = house.phone().await;
    tokio::time::pause();
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let waiting = next(&slow).await;
    next(&dead).await;
    slow.send(waiting.answer("200 OK", "")).await;
    while next(&alice).await.status() == 100 {}
}

#[tokio::test]
async fn with_a_breadth_of_one_the_next_is_tried_once_the_first_is_silent() {
    let house = House::new().await;
    let [_dead, last] = phones(&house, [";q=0.9", ";q=0.5"]).await;
    let alice = house.phone().await;
    tokio::time::pause();
    let start = Instant::now();
    alice.send(text("sip:john@example.com", alice.addr, "Max-Breadth: 1\r\n")).await;
    let got = next(&last).await;
    assert_eq!((start.elapsed().as_secs(), got.field("Max-Breadth")), (4, "1"));
    last.send(got.answer("200 OK", "")).await;
    loop {
        let answer = next(&alice).await;
        if answer.status() != 100 {
            assert_eq!(answer.status(), 200);
            break;
        }
    }
}

#[tokio::test]
async fn with_a_breadth_of_one_a_proxy_that_is_still_at_it_is_waited_for_and_nobody_asked_too_late() {
    let house = House::new().await;
    let [busy, last] = phones(&house, [";q=0.9", ";q=0.5"]).await;
    let alice = house.phone().await;
    tokio::time::pause();
    let start = Instant::now();
    alice.send(text("sip:john@example.com", alice.addr, "Max-Breadth: 1\r\n")).await;
    while start.elapsed() < Duration::from_secs(40) {
        tokio::select! {
            got = busy.recv() => busy.send(got.answer("100 Trying", "")).await,
            answer = alice.recv() => assert_eq!(answer.status(), 100),
            late = last.recv() => panic!("its sender has given up: {late:#?}"),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

#[tokio::test]
async fn a_flow_that_failed_is_followed_by_the_other_flow_of_the_phone() {
    let house = House::new().await;
    let flows = [format!(";{INSTANCE};reg-id=1"), format!(";{INSTANCE};reg-id=2")];
    let [old, new] = phones(&house, [&flows[0], &flows[1]]).await;
    let alice = house.phone().await;
    for failed in ["430 Flow Failed", "408 Request Timeout"] {
        alice.send(text("sip:john@example.com", alice.addr, "")).await;
        let (first, second) = tokio::select! {
            got = old.take(failed, "") => (got, &new),
            got = new.take(failed, "") => (got, &old),
        };
        let stand_in = second.take("200 OK", "").await;
        assert_ne!(first.branch(), stand_in.branch());
        assert_eq!(alice.recv_final().await.status(), 200);
    }
    for _ in 0..2 {
        assert!(old.pending().is_none() && new.pending().is_none(), "one contact at a time");
    }
}

#[tokio::test]
async fn a_430_of_the_last_flow_is_480_to_the_sender() {
    let house = House::new().await;
    let flow = format!(";{INSTANCE};reg-id=1");
    let [phone] = phones(&house, [&flow]).await;
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    phone.take("430 Flow Failed", "").await;
    assert_eq!(alice.recv_final().await.status(), 480);
}

#[tokio::test]
async fn a_phone_that_answered_is_not_asked_over_its_other_contact() {
    let house = House::new().await;
    let contact = format!(";{INSTANCE}");
    let [one, two] = phones(&house, [&contact, &contact]).await;
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    tokio::select! {
        _ = one.take("486 Busy Here", "") => {}
        _ = two.take("486 Busy Here", "") => {}
    }
    assert_eq!(alice.recv_final().await.status(), 486);
    assert!(one.pending().is_none() && two.pending().is_none());
}

#[tokio::test]
async fn a_silent_flow_is_followed_by_the_other_flow_of_the_phone() {
    let house = House::new().await;
    let flows = [format!(";{INSTANCE};reg-id=1"), format!(";{INSTANCE};reg-id=2")];
    let [old, new] = phones(&house, [&flows[0], &flows[1]]).await;
    let alice = house.phone().await;
    tokio::time::pause();
    let start = Instant::now();
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let second = tokio::select! {
        _ = old.recv() => &new,
        _ = new.recv() => &old,
    };
    let got = next(second).await;
    assert_eq!(start.elapsed().as_secs(), 4);
    second.send(got.answer("200 OK", "")).await;
    while next(&alice).await.status() == 100 {}
}

#[tokio::test]
async fn a_contact_that_refuses_gives_way_at_once_to_the_other_of_its_phone() {
    let house = House::new().await;
    let phone = house.phone().await;
    let gone = crate::support::Listener::new().await;
    let dead = format!("<sip:john@{};transport=tcp>;q=0.9;{INSTANCE}", gone.addr);
    drop(gone);
    register_at(&phone, &format!(";q=0.1;{INSTANCE}")).await;
    assert_eq!(phone.ask(register(phone.addr, "john", &dead, "")).await.status(), 200);
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    phone.take("200 OK", "").await;
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_call_to_a_silent_phone_goes_on_to_the_next_and_one_that_rings_does_not() {
    let house = House::new().await;
    let [dead, rings, last] = phones(&house, [";q=0.9", ";q=0.5", ";q=0.1"]).await;
    let alice = house.phone().await;
    tokio::time::pause();
    let start = Instant::now();
    alice.send(request("INVITE", "sip:john@example.com", alice.addr, "")).await;
    let invite = next(&rings).await;
    assert_eq!(start.elapsed().as_secs(), 4);
    rings.send(invite.answer("180 Ringing", "")).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(last.pending().is_none() && dead.pending().is_some());
    rings.send(invite.answer("200 OK", "")).await;
    while next(&alice).await.status() < 200 {}
}
