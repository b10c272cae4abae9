//! What callers ask for (RFC 3841).

use crate::support::{House, Udp, register, request, text};

/// Phones of john with those Contact parameters.
async fn phones<const N: usize>(house: &House, params: [&str; N]) -> [Udp; N] {
    let mut phones = Vec::new();
    for params in params {
        let phone = house.phone().await;
        let contact = format!("<sip:john@{}>{params}", phone.addr);
        assert_eq!(phone.ask(register(phone.addr, "john", &contact, "")).await.status(), 200);
        phones.push(phone);
    }
    phones.try_into().unwrap()
}

#[tokio::test]
async fn a_caller_reaches_the_phones_it_means_and_no_other() {
    let house = House::new().await;
    let [fixed, mobile] = phones(&house, [";mobility=\"fixed\"", ";mobility=\"mobile\""]).await;
    let alice = house.phone().await;
    let wish = "Accept-Contact: *;mobility=\"mobile\";require\r\n";
    alice.send(text("sip:john@example.com", alice.addr, wish)).await;
    mobile.take("200 OK", "").await;
    assert_eq!(alice.recv_final().await.status(), 200);
    alice.send(text("sip:john@example.com", alice.addr, "j: *;mobility=\"mobile\"\r\n")).await;
    fixed.take("200 OK", "").await;
    assert_eq!(alice.recv_final().await.status(), 200);
    assert!(fixed.pending().is_none() && mobile.pending().is_none());
}

#[tokio::test]
async fn a_caller_that_wants_none_of_the_phones_gets_480() {
    let house = House::new().await;
    let [phone] = phones(&house, [";automata"]).await;
    let alice = house.phone().await;
    let answer = alice.ask(text("sip:john@example.com", alice.addr, "Reject-Contact: *;automata\r\n")).await;
    assert_eq!(answer.status(), 480);
    assert!(phone.pending().is_none());
    let many = "Accept-Contact: *;audio\r\n".repeat(21);
    assert_eq!(alice.ask(text("sip:john@example.com", alice.addr, &many)).await.status(), 403);
}

#[tokio::test]
async fn of_equal_phones_the_one_worth_more_to_the_caller_is_tried_first() {
    let house = House::new().await;
    let [silent, says] = phones(&house, [";audio", ";audio;video"]).await;
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "Accept-Contact: *;video\r\n")).await;
    let first = says.recv().await;
    assert!(silent.pending().is_none());
    says.send(first.answer("480 Not Here", "")).await;
    silent.take("200 OK", "").await;
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_caller_may_forbid_a_fork_or_ask_for_all_at_once_or_one_by_one() {
    let house = House::new().await;
    let [best, second] = phones(&house, [";q=0.9", ";q=0.5"]).await;
    let alice = house.phone().await;

    alice.send(text("sip:john@example.com", alice.addr, "Request-Disposition: no-fork\r\n")).await;
    best.take("480 Not Here", "").await;
    assert_eq!(alice.recv_final().await.status(), 480);
    assert!(second.pending().is_none());

    alice.send(text("sip:john@example.com", alice.addr, "d: parallel\r\n")).await;
    let (one, two) = (best.recv().await, second.recv().await);
    best.send(one.answer("480 Not Here", "")).await;
    second.send(two.answer("200 OK", "")).await;
    assert_eq!(alice.recv_final().await.status(), 200);

    let equal = house.registered("ann", "").await;
    let other = house.registered("ann", "").await;
    alice.send(text("sip:ann@example.com", alice.addr, "Request-Disposition: sequential\r\n")).await;
    let (first, next) = tokio::select! {
        got = equal.recv() => { equal.send(got.answer("480 Not Here", "")).await; (got, &other) }
        got = other.recv() => { other.send(got.answer("480 Not Here", "")).await; (got, &equal) }
    };
    assert_ne!(first.branch(), next.take("200 OK", "").await.branch());
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn no_cancel_leaves_the_other_phones_ringing() {
    let house = House::new().await;
    let [one, two] = phones(&house, ["", ""]).await;
    let alice = house.phone().await;
    let asked = "Request-Disposition: no-cancel\r\n";
    alice.send(request("INVITE", "sip:john@example.com", alice.addr, asked)).await;
    let (first, second) = (one.recv().await, two.recv().await);
    two.send(second.answer("180 Ringing", "")).await;
    assert_eq!(alice.recv_final().await.status(), 180);
    one.send(first.answer("200 OK", "")).await;
    assert_eq!(alice.recv_final().await.status(), 200);
    two.send(second.answer("200 OK", "")).await;
    assert_eq!(alice.recv_final().await.status(), 200, "both answers reach the caller");
    assert!(two.pending().is_none());
}

#[tokio::test]
async fn a_subscription_goes_to_phones_that_know_its_event_package() {
    let house = House::new().await;
    let [reg, presence] = phones(&house, [";events=\"reg\"", ";events=\"presence\""]).await;
    let watcher = house.phone().await;
    let fields = format!("Contact: <sip:w@{}>\r\nEvent: presence;id=1\r\n", watcher.addr);
    watcher.send(request("SUBSCRIBE", "sip:john@example.com", watcher.addr, &fields)).await;
    presence.take("200 OK", "").await;
    assert_eq!(watcher.recv_final().await.status(), 200);
    assert!(reg.pending().is_none());
}
