//! Calls: forks of INVITE, their ends, and the requests of their dialogs.

use crate::support::{House, Udp, request};

/// An INVITE for john that rings at both phones.
async fn ringing(alice: &Udp, phones: [&Udp; 2]) -> (String, [crate::support::ua::Received; 2]) {
    let invite = request("INVITE", "sip:john@example.com", alice.addr, "");
    alice.send(&invite).await;
    let got = [phones[0].recv().await, phones[1].recv().await];
    for (phone, invite) in phones.iter().zip(&got) {
        phone.send(invite.answer("180 Ringing", "")).await;
        assert_eq!(alice.recv_final().await.status(), 180);
    }
    (invite, got)
}

#[tokio::test]
async fn a_second_2xx_that_crosses_its_cancel_reaches_the_caller_too() {
    let house = House::new().await;
    let (one, two) = (house.registered("john", "").await, house.registered("john", "").await);
    let alice = house.phone().await;
    let (_, [first, second]) = ringing(&alice, [&one, &two]).await;
    one.send(first.answer("200 OK", "X-Phone: one\r\n")).await;
    assert_eq!(alice.recv_final().await.field("X-Phone"), "one");
    two.send(second.answer("200 OK", "X-Phone: two\r\n")).await;
    assert_eq!(alice.recv_final().await.field("X-Phone"), "two");
}

#[tokio::test]
async fn a_6xx_ends_the_whole_call_and_no_lower_phone_rings() {
    let house = House::new().await;
    let (one, two) = (house.registered("john", "").await, house.registered("john", "").await);
    let last = house.phone().await;
    let contact = format!("<sip:john@{}>;q=0.1", last.addr);
    let entered = crate::support::register(last.addr, "john", &contact, "");
    assert_eq!(last.ask(entered).await.status(), 200);
    let alice = house.phone().await;
    let (_, [first, second]) = ringing(&alice, [&one, &two]).await;
    one.send(first.answer("603 Decline", "")).await;
    assert_eq!(one.recv().await.method(), "ACK");
    assert_eq!(two.take("200 OK", "").await.method(), "CANCEL");
    two.send(second.answer("487 Request Terminated", "")).await;
    assert_eq!(alice.recv_final().await.status(), 603);
    assert!(last.pending().is_none());
}

#[tokio::test]
async fn a_2xx_after_the_callers_cancel_still_reaches_it() {
    let house = House::new().await;
    let (one, two) = (house.registered("john", "").await, house.registered("john", "").await);
    let alice = house.phone().await;
    let (invite, [first, second]) = ringing(&alice, [&one, &two]).await;
    assert_eq!(alice.ask(invite.replace("INVITE", "CANCEL")).await.status(), 200);
    assert_eq!(one.take("200 OK", "").await.method(), "CANCEL");
    assert_eq!(two.take("200 OK", "").await.method(), "CANCEL");
    one.send(first.answer("487 Request Terminated", "")).await;
    two.send(second.answer("200 OK", "")).await;
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_call_cancelled_while_it_searches_rings_nowhere_else() {
    let house = House::new().await;
    let (one, two) = (house.phone().await, house.phone().await);
    for (phone, q) in [(&one, "0.9"), (&two, "0.4")] {
        let contact = format!("<sip:john@{}>;q={q}", phone.addr);
        let entered = crate::support::register(phone.addr, "john", &contact, "");
        assert_eq!(phone.ask(entered).await.status(), 200);
    }
    let alice = house.phone().await;
    let invite = request("INVITE", "sip:john@example.com", alice.addr, "");
    alice.send(&invite).await;
    let first = one.recv().await;
    one.send(first.answer("180 Ringing", "")).await;
    assert_eq!(alice.recv_final().await.status(), 180);
    assert_eq!(alice.ask(invite.replace("INVITE", "CANCEL")).await.status(), 200);
    assert_eq!(one.take("200 OK", "").await.method(), "CANCEL");
    one.send(first.answer("487 Request Terminated", "")).await;
    assert_eq!(alice.recv_final().await.status(), 487);
    assert!(two.pending().is_none());
}

#[tokio::test]
async fn methods_nobody_has_heard_of_pass() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    for method in ["INFO", "REFER", "UPDATE", "PRACK", "PUBLISH", "BYE", "FLY", "mEsSaGe"] {
        alice.send(request(method, "sip:john@example.com", alice.addr, "X-Odd: kept\r\n")).await;
        let got = phone.take("200 OK", "").await;
        assert_eq!((got.method(), got.field("X-Odd")), (method, "kept"));
        assert_eq!(alice.recv_final().await.status(), 200, "{method}");
    }
}
