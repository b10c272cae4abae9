//! Terminals that answer 3xx: what they name is asked in their place, or the answer goes back.

use proxy::relay::Relay;

use crate::support::{House, Udp, register, request, text};

/// Somebody at no domain of ours.
async fn elsewhere() -> Udp {
    Udp::new("127.0.0.1:9".parse().unwrap()).await
}

fn contacts(uris: &[&str]) -> String {
    uris.iter().map(|uri| format!("Contact: <{uri}>\r\n")).collect()
}

#[tokio::test]
async fn a_redirection_to_a_user_of_ours_is_followed_for_whoever_sends() {
    let house = House::new().await;
    let (john, ann) = (house.registered("john", "").await, house.registered("ann", "").await);
    let alice = house.phone().await;
    for status in ["300 Multiple Choices", "301 Moved Permanently", "302 Moved Temporarily"] {
        alice.send(text("sip:john@example.com", alice.addr, "")).await;
        john.take(status, &contacts(&["sip:ann@example.com"])).await;
        assert_eq!(ann.take("200 OK", "").await.uri(), format!("sip:ann@{}", ann.addr));
        assert_eq!(alice.recv_final().await.status(), 200, "{status}");
    }
}

#[tokio::test]
async fn what_is_no_mere_redirection_goes_back_with_its_contacts() {
    let house = House::new().await;
    let (john, ann) = (house.registered("john", "").await, house.registered("ann", "").await);
    let alice = house.phone().await;
    let other = "sip:ann@example.com";
    for (status, named) in [
        ("305 Use Proxy", vec![other]),
        ("380 Alternative Service", vec![other]),
        ("302 Moved Temporarily", vec![]),
        ("302 Moved Temporarily", vec!["tel:+15551234"]),
        ("302 Moved Temporarily", vec!["sip:nobody@example.com"]),
        ("302 Moved Temporarily", vec![other, "mailto:ann@example.com"]),
        ("302 Moved Temporarily", vec!["sip:john@example.com"]),
    ] {
        alice.send(text("sip:john@example.com", alice.addr, "")).await;
        john.take(status, &contacts(&named)).await;
        let answer = alice.recv_final().await;
        assert!(answer.start.ends_with(status), "{named:?}: {}", answer.start);
        assert_eq!(answer.all("Contact").len(), named.len());
        assert!(ann.pending().is_none() && john.pending().is_none(), "{named:?}");
    }
}

#[tokio::test]
async fn nobody_is_relayed_by_a_redirection_who_may_not_relay() {
    let expected =
        [(Relay::Authenticated, false, 302), (Relay::Trusted, true, 200), (Relay::None, true, 302)];
    for (relay, is_peer, status) in expected {
        let house = House::with(|settings| {
            settings.relay = relay;
            settings.peers.extend(is_peer.then(|| "127.0.0.1".parse().unwrap()));
        })
        .await;
        let john = house.registered("john", "").await;
        let (alice, victim) = (house.phone().await, elsewhere().await.of(house.udp));
        for uri in
            [format!("sip:x@{}", victim.addr), format!("sip:john@example.com;maddr={}", victim.addr.ip())]
        {
            let is_direct = !uri.contains("maddr");
            if status == 200 && !is_direct {
                continue;
            }
            alice.send(text("sip:john@example.com", alice.addr, "")).await;
            john.take("302 Moved Temporarily", &contacts(&[&uri])).await;
            if status == 200 {
                victim.take("200 OK", "").await;
            }
            assert_eq!(alice.recv_final().await.status(), status, "{relay:?} {uri}");
            assert!(victim.pending().is_none());
        }
    }
}

#[tokio::test]
async fn a_terminal_names_nothing_further_inside_than_itself() {
    let house = House::with(|settings| {
        settings.relay = Relay::Trusted;
        settings.peers = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let john = house.registered("john", "").await;
    let alice = house.phone().await;
    for uri in ["sip:x@224.0.1.75", "sip:x@255.255.255.255:5060"] {
        alice.send(text("sip:john@example.com", alice.addr, "")).await;
        john.take("302 Moved Temporarily", &contacts(&[uri])).await;
        assert_eq!(alice.recv_final().await.status(), 302, "{uri}");
    }
}

#[tokio::test]
async fn redirections_in_a_circle_end() {
    let house = House::new().await;
    let (john, ann) = (house.registered("john", "").await, house.registered("ann", "").await);
    let alice = house.phone().await;
    alice.send(request("INVITE", "sip:john@example.com", alice.addr, "")).await;
    let moved = |to: &str| contacts(&[&format!("sip:{to}@example.com")]);
    john.take("302 Moved Temporarily", &moved("ann")).await;
    assert_eq!(john.recv().await.method(), "ACK");
    ann.take("302 Moved Temporarily", &moved("john")).await;
    assert_eq!(ann.recv().await.method(), "ACK");
    let answer = alice.recv_final().await;
    assert_eq!((answer.status(), answer.field("Contact")), (302, "<sip:john@example.com>"));
    assert!(john.pending().is_none());
}

#[tokio::test]
async fn of_several_the_one_that_is_wanted_most_is_asked_first_and_the_next_when_it_fails() {
    let house = House::new().await;
    let john = house.registered("john", "").await;
    let (ann, lee) = (house.registered("ann", "").await, house.registered("lee", "").await);
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let named = "Contact: <sip:lee@example.com>;q=0.25\r\nContact: <sip:ann@example.com>;q=0.5\r\n";
    john.take("300 Multiple Choices", named).await;
    ann.take("486 Busy Here", "").await;
    lee.take("200 OK", "").await;
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn another_phone_of_the_user_goes_on_ringing_while_a_redirection_is_followed() {
    let house = House::new().await;
    let (one, two) = (house.registered("john", "").await, house.phone().await);
    let contact = format!("<sip:john@{}>", two.addr);
    assert_eq!(two.ask(register(two.addr, "john", &contact, "")).await.status(), 200);
    let ann = house.registered("ann", "").await;
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let rings = two.recv().await;
    one.take("302 Moved Temporarily", &contacts(&["sip:ann@example.com"])).await;
    ann.take("486 Busy Here", "").await;
    two.send(rings.answer("200 OK", "")).await;
    assert_eq!(alice.recv_final().await.status(), 200);
}

/// RFC 5630 §5.3: who asked by one scheme decides himself whether the other will do.
#[tokio::test]
async fn a_redirection_from_a_sip_uri_to_a_sips_uri_goes_back() {
    let house = House::with(|settings| {
        settings.relay = Relay::Trusted;
        settings.peers.push("127.0.0.1".parse().unwrap());
    })
    .await;
    let john = house.registered("john", "").await;
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    john.take("302 Moved Temporarily", &contacts(&["sips:john@127.0.0.1:1"])).await;
    let answer = alice.recv_final().await;
    assert_eq!((answer.status(), answer.field("Contact")), (302, "<sips:john@127.0.0.1:1>"));
}
