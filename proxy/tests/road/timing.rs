//! What happens when nothing comes, with the clock paused: it jumps to the next deadline whenever all is
//! quiet.

use std::time::Duration;

use crate::support::{House, message, request, text};
use proxy::settings::Unknown;
use tokio::time::Instant;

#[tokio::test]
async fn a_dead_phone_gets_its_retransmissions_and_the_sender_a_100_and_then_silence() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    tokio::time::pause();
    let start = Instant::now();
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let mut at = Vec::new();
    let mut branches = Vec::new();
    while start.elapsed() < Duration::from_secs(40) {
        tokio::select! {
            got = phone.recv() => {
                at.push(start.elapsed().as_millis() / 100);
                branches.push(got.branch());
            }
            answer = alice.recv() => {
                assert_eq!(answer.status(), 100, "no 408 ever: {answer:#?}");
                assert_eq!(start.elapsed().as_millis() / 100, 35);
            }
            () = tokio::time::sleep(Duration::from_secs(9)) => {}
        }
    }
    assert_eq!(at, [0, 5, 15, 35, 75, 115, 155, 195, 235, 275, 315]);
    branches.dedup();
    assert_eq!(branches.len(), 1, "retransmissions, not new branches");
    assert!(alice.pending().is_none());
}

#[tokio::test]
async fn a_terminal_that_does_not_say_what_it_shows_holds_a_message_up_for_two_seconds() {
    let house = House::with(|settings| settings.unknown = Unknown::Options).await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    tokio::time::pause();
    let start = Instant::now();
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let message = loop {
        tokio::select! {
            got = phone.recv() => match got.method() {
                "MESSAGE" => break got,
                other => assert_eq!(other, "OPTIONS"),
            },
            () = tokio::time::sleep(Duration::from_secs(9)) => {}
        }
    };
    assert_eq!(start.elapsed().as_secs(), 2);
    phone.send(message.answer("200 OK", "")).await;
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn an_invite_that_rings_for_ever_is_cancelled_by_timer_c() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    tokio::time::pause();
    let start = Instant::now();
    alice.send(request("INVITE", "sip:john@example.com", alice.addr, "")).await;
    let ringing = phone.recv().await;
    phone.send(ringing.answer("180 Ringing", "")).await;
    let cancel = loop {
        tokio::select! {
            got = phone.recv() => if got.method() == "CANCEL" { break got },
            answer = alice.recv() => assert!(answer.status() < 200, "{answer:#?}"),
            () = tokio::time::sleep(Duration::from_secs(10)) => {}
        }
    };
    assert!(start.elapsed() > Duration::from_secs(180));
    phone.send(cancel.answer("200 OK", "")).await;
    phone.send(ringing.answer("487 Request Terminated", "")).await;
    assert_eq!(alice.recv_final().await.status(), 487);
}

#[tokio::test]
async fn a_store_that_hangs_holds_a_message_up_for_its_deadline_and_no_longer() {
    let house = House::new().await;
    house.shelf.stuck.store(true, std::sync::atomic::Ordering::Relaxed);
    let phone = house.registered("john", "Accept: text/plain\r\n").await;
    let alice = house.phone().await;
    tokio::time::pause();
    let start = Instant::now();
    alice.send(message("020-fig1-message-original.msg", alice.addr)).await;
    let answer = loop {
        tokio::select! {
            answer = alice.recv() => if answer.status() != 100 { break answer },
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    };
    assert_eq!(answer.status(), 415, "nothing but a link would have done");
    assert!((4..6).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert!(phone.pending().is_none());
}
