//! Who proves to be whom, who is believed, and what a request says of its sender when it leaves.

use proxy::settings::NextHop;

use crate::support::{House, Udp, credentials, fresh, proven, register, request, text};

/// A MESSAGE to john that says it is from `from`.
fn message_from(from: &str, phone: &Udp, fields: &str) -> String {
    let message = String::from_utf8(text("sip:john@example.com", phone.addr, fields)).unwrap();
    message.replace("<sip:alice@example.org>", from)
}

const ALICE: &str = "<sip:alice@example.com>";

#[tokio::test]
async fn a_register_is_asked_for_sha_256_then_md5_and_either_opens() {
    let house = House::guarded(|_| {}).await;
    let phone = house.phone().await;
    let request = register(phone.addr, "john", &format!("<sip:john@{}>", phone.addr), "");
    let asked = phone.ask(&request).await;
    let challenges = asked.all("WWW-Authenticate");
    assert_eq!((asked.status(), challenges.len()), (401, 2));
    assert!(challenges[0].contains("algorithm=SHA-256") && challenges[1].contains("algorithm=MD5"));
    for (at, challenge) in challenges.iter().enumerate() {
        let line = credentials(&request, challenge, "john", "secret", at as u32 + 1);
        let again = request.replace("branch=z9hG4bK", &format!("branch=z9hG4bK{at}"));
        let again = again.replace("CSeq: 1", &format!("CSeq: {}", at + 2));
        let again = again.replace("Max-Forwards", &format!("Authorization: {line}\r\nMax-Forwards"));
        assert_eq!(phone.ask(&again).await.status(), 200, "{challenge}");
        let replayed = phone.ask(again.replace("branch=z9hG4bK", "branch=z9hG4bKr")).await;
        assert_eq!(replayed.status(), 401, "the same count again");
        assert!(replayed.field("WWW-Authenticate").ends_with("stale=true"));
    }
}

#[tokio::test]
async fn a_user_registers_no_other_users_address() {
    let house = House::guarded(|_| {}).await;
    let phone = house.phone().await;
    let request = register(phone.addr, "ann", &format!("<sip:ann@{}>", phone.addr), "");
    let asked = phone.ask(&request).await;
    let answer = phone.ask(proven(&request, &asked, "john", "secret")).await;
    assert_eq!(answer.status(), 403);
    assert!(answer.field("Warning").contains("another user's"));
}

#[tokio::test]
async fn an_unknown_extension_is_told_before_a_password_is_asked_for() {
    let house = House::guarded(|_| {}).await;
    let phone = house.phone().await;
    let request = register(phone.addr, "john", &format!("<sip:john@{}>", phone.addr), "Require: foo\r\n");
    assert_eq!(phone.ask(&request).await.status(), 420);
}

#[tokio::test]
async fn a_wrong_user_and_a_wrong_password_get_the_same_answer() {
    let house = House::guarded(|_| {}).await;
    let phone = house.phone().await;
    let mut answers = Vec::new();
    for (user, password) in [("john", "guess"), ("nobody", "guess")] {
        let request = register(phone.addr, user, &format!("<sip:x@{}>", phone.addr), "");
        let asked = phone.ask(&request).await;
        let answer = phone.ask(proven(&request, &asked, user, password)).await;
        let shape = |value: &str| value.split("nonce=").next().unwrap().to_owned();
        let challenges: Vec<_> = answer.all("WWW-Authenticate").into_iter().map(shape).collect();
        let names: Vec<_> = answer.fields.iter().map(|(name, _)| name.clone()).collect();
        answers.push((answer.start.clone(), names, challenges, answer.field("WWW-Authenticate").len()));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_sender_of_ours_is_asked_and_then_named_to_the_recipient() {
    let house = House::guarded(|_| {}).await;
    let john = house.registered("john", "").await;
    let alice = house.phone().await;
    let elsewhere = "Proxy-Authorization: Digest username=\"a\", realm=\"example.net\", nonce=\"n\", uri=\"u\", \
                     response=\"r\"\r\n";
    let wishes = "P-Preferred-Identity: \"Boss\" <sip:boss@example.com>\r\n\
                  P-Asserted-Identity: <sip:boss@example.com>\r\n";
    let message = message_from(ALICE, &alice, &format!("{elsewhere}{wishes}"));
    let asked = alice.ask(&message).await;
    assert_eq!((asked.status(), asked.all("Proxy-Authenticate").len()), (407, 2));
    assert!(john.pending().is_none());
    alice.send(proven(&message, &asked, "alice", "secret")).await;
    let got = john.take("200 OK", "").await;
    let left = got.all("Proxy-Authorization");
    assert!(left.len() == 1 && left[0].contains("example.net"), "only others' credentials go on: {got:#?}");
    assert_eq!(got.all("P-Asserted-Identity"), ["<sip:alice@example.com>"]);
    assert!(!got.has("P-Preferred-Identity"));
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_sender_who_wants_to_stay_hidden_is_named_to_nobody_but_a_neighbour() {
    let edge = Udp::at("127.0.0.2", "127.0.0.1:9".parse().unwrap()).await;
    let next_hop = format!("sip:{}", edge.addr);
    let house = House::guarded(|settings| {
        settings.routes = vec![NextHop { domain: "example.net".to_owned(), next_hop, edge: false }];
        settings.peers = vec!["127.0.0.2".parse().unwrap()];
    })
    .await;
    let john = house.registered("john", "").await;
    let alice = house.phone().await;
    let privacy = "Privacy: header;id\r\n";
    let message = message_from(ALICE, &alice, privacy);
    let asked = alice.ask(&message).await;
    alice.send(proven(&message, &asked, "alice", "secret")).await;
    assert!(!john.take("200 OK", "").await.has("P-Asserted-Identity"));
    assert_eq!(alice.recv_final().await.status(), 200);

    let message =
        message.replace("sip:john@example.com", "sip:bob@example.net").replace("z9hG4bK", "z9hG4bKx");
    let asked = alice.ask(&message).await;
    alice.send(proven(&message, &asked, "alice", "secret")).await;
    assert_eq!(edge.recv().await.all("P-Asserted-Identity"), ["<sip:alice@example.com>"]);
}

#[tokio::test]
async fn nobody_sends_as_another_user_however_the_address_is_spelled() {
    let house = House::guarded(|_| {}).await;
    let john = house.registered("john", "").await;
    let mallory = house.phone().await;
    let mapped = format!("<sip:ann@[::ffff:127.0.0.1]:{}>", house.udp.port());
    let ip = format!("<sip:ann@{}>", house.udp);
    for from in [
        "<sip:ann@example.com>",
        "<sip:ann@EXAMPLE.com>",
        "<sips:ann@example.com>",
        "<sip:ann@example.com:9999>",
        "<sip:ann@example.com.>",
        "<sip:%61nn@example.com;x=y>",
        "\"Ann\" <sip:ann@example.com>",
        "<sip:example.com>",
        &mapped,
        &ip,
    ] {
        let message = message_from(from, &mallory, "");
        let asked = mallory.ask(&message).await;
        assert_eq!(asked.status(), 407, "{from}");
        let answer = mallory.ask(proven(&message, &asked, "john", "secret")).await;
        assert_eq!(answer.status(), 403, "{from}");
    }
    assert!(john.pending().is_none());
}

#[tokio::test]
async fn strangers_from_other_domains_reach_our_users_and_assert_nothing() {
    let house = House::guarded(|_| {}).await;
    let john = house.registered("john", "").await;
    let stranger = house.phone().await;
    let fields = "P-Asserted-Identity: <sip:boss@example.com>\r\nP-Preferred-Identity: <sip:x@y>\r\n";
    stranger.send(text("sip:john@example.com", stranger.addr, fields)).await;
    let got = john.take("200 OK", "").await;
    assert!(!got.has("P-Asserted-Identity") && !got.has("P-Preferred-Identity"), "{got:#?}");
    assert_eq!(stranger.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_user_may_hide_behind_another_from_and_still_prove_the_password() {
    let house = House::guarded(|_| {}).await;
    let john = house.registered("john", "").await;
    let alice = house.phone().await;
    let message = message_from("<sip:anonymous@anonymous.invalid>", &alice, "Privacy: id\r\n");
    let bogus = message.replacen(
        "Max-Forwards:",
        "Proxy-Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"old\", uri=\"sip:john@example.com\", \
         response=\"x\", qop=auth, nc=00000001, cnonce=\"c\", algorithm=SHA-256\r\nMax-Forwards:",
        1,
    );
    let asked = alice.ask(&bogus).await;
    assert_eq!(asked.status(), 407);
    alice.send(proven(&message, &asked, "alice", "secret")).await;
    assert!(!john.take("200 OK", "").await.has("P-Asserted-Identity"));
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_neighbour_is_asked_nothing_and_believed() {
    let house = House::guarded(|settings| settings.peers = vec!["127.0.0.2".parse().unwrap()]).await;
    let john = house.registered("john", "").await;
    let peer = Udp::at("127.0.0.2", house.udp).await;
    let identity = "P-Asserted-Identity: \"Alice\" <sip:alice@example.com>\r\n";
    for from in [ALICE, "<sip:w@presence.example.net>"] {
        peer.send(message_from(from, &peer, identity)).await;
        let got = john.take("200 OK", "").await;
        assert_eq!(got.all("P-Asserted-Identity"), ["\"Alice\" <sip:alice@example.com>"]);
        assert_eq!(peer.recv_final().await.status(), 200);
    }

    let contact = format!("<sip:ann@{}>", peer.addr);
    let behind = register(peer.addr, "ann", &contact, "");
    assert_eq!(peer.ask(&behind).await.status(), 401, "users behind it still have passwords");
    let asserted = register(peer.addr, "ann", &contact, "P-Asserted-Identity: <sip:ann@example.com>\r\n");
    assert_eq!(peer.ask(&asserted).await.status(), 200);
    let other = register(peer.addr, "john", &contact, "P-Asserted-Identity: <sip:ann@example.com>\r\n");
    assert_eq!(peer.ask(&other).await.status(), 401);
    let stranger = house.phone().await;
    let same = register(stranger.addr, "ann", &contact, "P-Asserted-Identity: <sip:ann@example.com>\r\n");
    assert_eq!(stranger.ask(&same).await.status(), 401, "from elsewhere it means nothing");
}

#[tokio::test]
async fn after_too_many_wrong_passwords_nobody_is_listened_to_for_a_while() {
    let house = House::guarded(|_| {}).await;
    let mallory = Udp::at("127.0.0.3", house.udp).await;
    for _ in 0..5 {
        let request = register(mallory.addr, "ann", &format!("<sip:ann@{}>", mallory.addr), "");
        let asked = mallory.ask(&request).await;
        assert_eq!(mallory.ask(proven(&request, &asked, "ann", "guess")).await.status(), 401);
    }
    let banned = mallory.ask(register(mallory.addr, "ann", &format!("<sip:ann@{}>", mallory.addr), "")).await;
    assert_eq!(banned.start, "SIP/2.0 403 Too Many Failures");
    assert!(banned.field("Retry-After").parse::<u64>().unwrap() > 200);
    house.registered("john", "").await;
}

#[tokio::test]
async fn credentials_that_cannot_be_read_are_400_with_what_is_wrong() {
    let house = House::guarded(|_| {}).await;
    let alice = house.phone().await;
    let message = message_from(ALICE, &alice, "");
    let asked = alice.ask(&message).await;
    let good = proven(&message, &asked, "alice", "secret");
    for (from, to, reason) in [
        ("nc=00000001", "nc=1", "400 Bad qop Or nc In Credentials"),
        (", cnonce=\"0a4f113b\"", "", "400 Parameter Missing In Credentials"),
        ("uri=\"sip:john@", "uri=\"sip:bob@example.net;", "400 Credentials Are For Another Request-URI"),
    ] {
        let number = fresh();
        let bad = good.replace(from, to).replace("z9hG4bKp", &format!("z9hG4bK{number}"));
        assert_eq!(alice.ask(bad).await.start, format!("SIP/2.0 {reason}"));
    }
}

#[tokio::test]
async fn ack_is_never_challenged() {
    let house = House::guarded(|_| {}).await;
    let john = house.registered("john", "").await;
    let alice = house.phone().await;
    let ack = request("ACK", "sip:john@example.com", alice.addr, "").replace("example.org", "example.com");
    alice.send(ack).await;
    assert_eq!(john.recv().await.method(), "ACK");
    let next = alice.ask(request("OPTIONS", "sip:example.com", alice.addr, "")).await;
    assert!(next.field("CSeq").ends_with("OPTIONS"), "nothing came for the ACK");
}

#[tokio::test]
async fn challenges_of_both_phones_of_a_fork_go_back_each_in_its_order() {
    let house = House::new().await;
    let (one, two) = (house.registered("john", "").await, house.registered("john", "").await);
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let challenges = |realm: &str| {
        ["SHA-256", "MD5"]
            .map(|name| format!("Proxy-Authenticate: Digest realm=\"{realm}\", algorithm={name}\r\n"))
            .concat()
    };
    one.take("407 Proxy Authentication Required", &challenges("one")).await;
    two.take("401 Unauthorized", &challenges("two").replace("Proxy-", "WWW-")).await;
    let answer = alice.recv_final().await;
    for (name, realm) in [("Proxy-Authenticate", "one"), ("WWW-Authenticate", "two")] {
        let all = answer.all(name);
        assert_eq!(all.len(), 2, "{answer:#?}");
        assert!(all.iter().all(|each| each.contains(realm)));
        assert!(all[0].contains("SHA-256") && all[1].contains("MD5"), "{all:?}");
    }
}
