//! Messages for users who can't be reached: kept, and delivered when they come back.

use std::time::Duration;

use crate::support::{DOMAIN, House, Udp, cpi_of, example, register, text, with_body};

/// A proxy that keeps messages.
async fn house() -> House {
    House::with(|settings| settings.offline.store = true).await
}

/// Makes a user known who has no phone.
async fn known(house: &House, user: &str) {
    let phone = house.registered(user, "").await;
    leave(&phone, user).await;
}

/// The phone goes.
async fn leave(phone: &Udp, user: &str) {
    let contact = format!("<sip:{user}@{}>", phone.addr);
    let request = register(phone.addr, user, &contact, "").replace("expires=600", "expires=0");
    assert_eq!(phone.ask(request).await.status(), 200);
}

/// Refreshes the binding of a phone.
async fn refresh(phone: &Udp, user: &str) {
    let contact = format!("<sip:{user}@{}>", phone.addr);
    phone.send(register(phone.addr, user, &contact, "")).await;
    while phone.recv().await.status() != 200 {}
}

fn john() -> String {
    format!("sip:john@{DOMAIN}")
}

fn waiting(house: &House) -> usize {
    house.offline.waiting(&john()).len()
}

/// Until nothing waits for john any more.
async fn emptied(house: &House) {
    let empty = async {
        while waiting(house) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), empty).await.expect("something waits on");
}

/// The next MESSAGE, whatever else comes.
async fn message(phone: &Udp) -> crate::support::ua::Received {
    loop {
        let received = phone.recv().await;
        if received.method() == "MESSAGE" {
            return received;
        }
    }
}

#[tokio::test]
async fn a_message_for_a_user_without_a_phone_is_202_and_comes_with_his_next_register() {
    let house = house().await;
    known(&house, "john").await;
    let alice = house.phone().await;
    let sent = text(&john(), alice.addr, "Subject: hello\r\nRoute: <sip:example.com;lr>\r\n");
    assert_eq!(alice.ask(&sent).await.status(), 202);
    assert_eq!(waiting(&house), 1);

    let phone = house.registered("john", "").await;
    let got = message(&phone).await;
    let sent = String::from_utf8(sent).unwrap();
    for name in ["From", "Call-ID", "CSeq", "Subject"] {
        assert!(sent.contains(&format!("{name}: {}\r\n", got.field(name))), "{name}: {got:#?}");
    }
    assert_eq!(got.uri(), format!("sip:john@{}", phone.addr));
    assert_eq!((got.all("Via").len(), got.field("Max-Forwards"), got.has("Route")), (1, "69", false));
    assert!(got.field("Date").ends_with(" GMT"));
    assert_eq!(got.body, b"Watson, come here.");
    phone.send(got.answer("200 OK", "")).await;
    emptied(&house).await;
    assert!(alice.pending().is_none(), "the sender had his answer");
}

#[tokio::test]
async fn messages_come_one_by_one_in_their_order_and_one_run_delivers_them_all() {
    let house = house().await;
    known(&house, "john").await;
    let alice = house.phone().await;
    for number in 0..3 {
        let sent = text(&john(), alice.addr, &format!("Subject: {number}\r\n"));
        assert_eq!(alice.ask(sent).await.status(), 202);
    }
    let phone = house.registered("john", "").await;
    for number in ["0", "1", "2"] {
        let got = message(&phone).await;
        assert_eq!(got.field("Subject"), number);
        refresh(&phone, "john").await;
        assert!(phone.pending().is_none(), "no second run, and no second message before the answer");
        phone.send(got.answer("200 OK", "")).await;
    }
    emptied(&house).await;
}

#[tokio::test]
async fn a_kept_picture_is_made_to_fit_the_phone_that_comes() {
    let house = house().await;
    known(&house, "john").await;
    let alice = house.phone().await;
    let photo = example("020-fig1-message-original.msg");
    let body = photo.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let fields = "Content-Type: image/gif\r\n";
    let sent = with_body("MESSAGE", &john(), "UDP", alice.addr, fields, &photo[body..]);
    assert_eq!(alice.ask(sent).await.status(), 202);
    let phone = house.registered_for_both("john", &cpi_of("005-register-accept-gif-tiers.msg")).await;
    let got = phone.take("200 OK", "").await;
    assert_eq!(got.field("Content-Type"), "image/gif");
    assert!(got.has("Content-Adapted") && got.body.len() < photo.len() - body);
    emptied(&house).await;
}

#[tokio::test]
async fn what_is_not_worth_keeping_is_refused_as_before() {
    let house = house().await;
    known(&house, "john").await;
    let alice = house.phone().await;
    assert_eq!(alice.ask(text(&john(), alice.addr, "Expires: 0\r\n")).await.status(), 480);
    let typing = "Content-Type: application/im-iscomposing+xml\r\n";
    let typing = with_body("MESSAGE", &john(), "UDP", alice.addr, typing, b"<x/>");
    assert_eq!(alice.ask(typing).await.status(), 480);
    assert_eq!(alice.ask(text("sip:nobody@example.com", alice.addr, "")).await.status(), 404);
    assert_eq!(house.offline.all().messages, 0);
}

#[tokio::test]
async fn over_a_quota_the_sender_is_told_why() {
    let house = House::with(|settings| {
        settings.offline.store = true;
        settings.offline.user_messages = 1;
    })
    .await;
    known(&house, "john").await;
    let alice = house.phone().await;
    assert_eq!(alice.ask(text(&john(), alice.addr, "")).await.status(), 202);
    let refused = alice.ask(text(&john(), alice.addr, "")).await;
    assert_eq!(refused.status(), 480);
    assert!(refused.field("Warning").contains("too many messages wait already"));
}

#[tokio::test]
async fn a_message_sent_again_by_a_sender_who_missed_the_202_is_kept_once() {
    let house = house().await;
    known(&house, "john").await;
    let alice = house.phone().await;
    let sent = String::from_utf8(text(&john(), alice.addr, "")).unwrap();
    assert_eq!(alice.ask(&sent).await.status(), 202);
    assert_eq!(alice.ask(sent.replace("branch=z9hG4bK", "branch=z9hG4bKagain")).await.status(), 202);
    assert_eq!(waiting(&house), 1);
}

#[tokio::test]
async fn what_the_recipient_does_not_want_goes_and_the_next_one_comes() {
    let house = house().await;
    known(&house, "john").await;
    let alice = house.phone().await;
    for number in 0..3 {
        let sent = text(&john(), alice.addr, &format!("Subject: {number}\r\n"));
        assert_eq!(alice.ask(sent).await.status(), 202);
    }
    let phone = house.registered("john", "").await;
    for (subject, answer) in [("0", "603 Decline"), ("1", "415 Unsupported Media Type"), ("2", "200 OK")] {
        let got = message(&phone).await;
        assert_eq!(got.field("Subject"), subject);
        phone.send(got.answer(answer, "")).await;
    }
    emptied(&house).await;
}

#[tokio::test]
async fn a_phone_that_can_not_take_it_now_gets_it_with_its_next_register_until_attempts_run_out() {
    let house = House::with(|settings| {
        settings.offline.store = true;
        settings.offline.attempts = 2;
    })
    .await;
    known(&house, "john").await;
    let alice = house.phone().await;
    assert_eq!(alice.ask(text(&john(), alice.addr, "")).await.status(), 202);
    let phone = house.registered("john", "").await;
    let first = message(&phone).await;
    phone.send(first.answer("480 Temporarily Unavailable", "")).await;
    while house.offline.waiting(&john())[0].attempts == 0 {
        tokio::task::yield_now().await;
    }
    refresh(&phone, "john").await;
    let second = message(&phone).await;
    assert_eq!(
        (first.field("Call-ID"), first.field("CSeq")),
        (second.field("Call-ID"), second.field("CSeq"))
    );
    assert_ne!(first.branch(), second.branch());
    phone.send(second.answer("480 Temporarily Unavailable", "")).await;
    // Within a minute of the first it does not count; the third that comes would be the last.
    refresh(&phone, "john").await;
    let third = message(&phone).await;
    phone.send(third.answer("200 OK", "")).await;
    emptied(&house).await;
}

/// Lets the clock jump until shortly before a message nobody answers is kept. From there it runs: the store
/// writes on a thread that knows nothing of the test's clock, which would jump over all that follows.
async fn almost_kept() {
    tokio::time::pause();
    tokio::time::sleep(Duration::from_millis(23_900)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_message_that_no_phone_answers_is_202_before_its_sender_gives_up() {
    let house = house().await;
    let _dead = house.registered("john", "").await;
    let alice = house.phone().await;
    alice.send(text(&john(), alice.addr, "")).await;
    almost_kept().await;
    assert_eq!(alice.recv_final().await.status(), 202);
    assert_eq!(waiting(&house), 1);
}

#[tokio::test]
async fn a_phone_that_answers_after_all_is_not_sent_the_message_again() {
    let house = house().await;
    let slow = house.registered("john", "").await;
    let alice = house.phone().await;
    alice.send(text(&john(), alice.addr, "")).await;
    let first = message(&slow).await;
    almost_kept().await;
    assert_eq!(alice.recv_final().await.status(), 202);
    assert_eq!(waiting(&house), 1);
    slow.send(first.answer("200 OK", "")).await;
    emptied(&house).await;
}

#[tokio::test]
async fn a_phone_that_came_while_the_message_was_on_its_way_gets_it_without_registering_again() {
    let house = house().await;
    let dead = house.registered("john", "").await;
    let alice = house.phone().await;
    alice.send(text(&john(), alice.addr, "")).await;
    let first = message(&dead).await;
    let phone = house.registered("john", "").await;
    dead.send(first.answer("480 Temporarily Unavailable", "")).await;
    assert_eq!(alice.recv_final().await.status(), 202);
    phone.send(message(&phone).await.answer("200 OK", "")).await;
    emptied(&house).await;
}
