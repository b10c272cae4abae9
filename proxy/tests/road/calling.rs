//! Calls: forks of INVITE, their ends, and the requests of their dialogs.

use crate::support::ua::Received;
use crate::support::{House, Listener, Tcp, Udp, fresh, register_over, request, with_body};

/// An INVITE for john that rings at both phones.
async fn ringing(alice: &Udp, phones: [&Udp; 2]) -> (String, [Received; 2]) {
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

/// A request in the dialog of `invite`, from its called phone (with the tag that `Received::answer` gives) or
/// from its caller, along those routes.
fn in_dialog(
    method: &str,
    uri: &str,
    invite: &Received,
    from_called: bool,
    routes: &[&str],
    via: &str,
) -> String {
    let number = fresh();
    let to = format!("{};tag=ua6", invite.field("To"));
    let (from, to) = if from_called { (&*to, invite.field("From")) } else { (invite.field("From"), &*to) };
    let routes: String = routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
    format!(
        "{method} {uri} SIP/2.0\r\nVia: {via};rport;branch=z9hG4bKdlg{number}\r\nMax-Forwards: 70\r\n{routes}\
         From: {from}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n",
        invite.field("Call-ID"),
    )
}

#[tokio::test]
async fn a_dialog_between_a_connection_and_a_datagram_phone_goes_on_through_us_both_ways() {
    let house = House::new().await;
    // Neither the port of its Contact nor any other of the caller takes a connection.
    let gone = Listener::new().await;
    let dead = gone.addr;
    drop(gone);
    let phone = house.registered("john", "").await;
    let mut alice = Tcp::connect(house.tcp).await;
    let contact = format!("Contact: <sip:alice@{dead};transport=tcp>\r\n");
    alice.send(with_body("INVITE", "sip:john@example.com", "TCP", alice.addr(), &contact, b"")).await;
    let invite = phone.recv().await;
    let routes = invite.all("Record-Route");
    assert_eq!(routes.len(), 2, "one for each side (RFC 5658)");
    assert!(!routes[0].contains("transport=") && routes[1].contains(";transport=tcp;lr"), "{routes:?}");
    let mine = format!("Contact: <sip:john@{}>\r\n", phone.addr);
    phone.send(invite.answer("200 OK", &mine)).await;
    assert_eq!(alice.recv_final().await.status(), 200);

    let reversed: Vec<&str> = routes.iter().rev().copied().collect();
    let via = format!("SIP/2.0/TCP {}", alice.addr());
    let target = format!("sip:john@{}", phone.addr);
    alice.send(in_dialog("ACK", &target, &invite, false, &reversed, &via)).await;
    let ack = phone.recv().await;
    assert_eq!((ack.method(), ack.has("Route"), ack.uri()), ("ACK", false, &*target));
    for method in ["INFO", "UPDATE", "MESSAGE"] {
        alice.send(in_dialog(method, &target, &invite, false, &reversed, &via)).await;
        assert_eq!(phone.take("200 OK", "").await.method(), method);
        assert_eq!(alice.recv_final().await.status(), 200);
    }

    let via = format!("SIP/2.0/UDP {}", phone.addr);
    let target = format!("sip:alice@{dead};transport=tcp");
    phone.send(in_dialog("BYE", &target, &invite, true, &routes, &via)).await;
    let bye = alice.take("200 OK", "").await;
    assert_eq!((bye.method(), bye.has("Route")), ("BYE", false), "over the connection the caller made");
    assert_eq!(phone.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_caller_behind_a_nat_is_found_again_where_its_call_came_from() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let alice = house.phone().await;
    let contact = "Contact: <sip:alice@10.9.9.9:5060>\r\n";
    alice.send(request("INVITE", "sip:john@example.com", alice.addr, contact)).await;
    let invite = phone.take("200 OK", "").await;
    assert_eq!(alice.recv_final().await.status(), 200);
    let via = format!("SIP/2.0/UDP {}", phone.addr);
    let routes = invite.all("Record-Route");
    phone.send(in_dialog("BYE", "sip:alice@10.9.9.9:5060", &invite, true, &routes, &via)).await;
    assert_eq!(alice.take("200 OK", "").await.method(), "BYE");
    assert_eq!(phone.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_dialog_opens_no_way_but_to_its_other_side() {
    let house = House::new().await;
    let phone = house.registered("john", "").await;
    let (alice, other) = (house.phone().await, house.phone().await);
    alice.send(request("INVITE", "sip:john@example.com", alice.addr, "")).await;
    let invite = phone.take("200 OK", "").await;
    assert_eq!(alice.recv_final().await.status(), 200);
    let mut routes = invite.all("Record-Route");
    routes.reverse();
    let via = format!("SIP/2.0/UDP {}", alice.addr);
    let around = format!("<sip:{};lr>", other.addr).replace("127.0.0.1", "127.0.0.3");
    let (elsewhere, target) = ("sip:john@127.0.0.2:5060", format!("sip:john@{}", phone.addr));
    let by_route: Vec<&str> = routes.iter().copied().chain([&*around]).collect();
    for (target, routes) in [(elsewhere, &routes), (&*target, &by_route)] {
        let answer = alice.ask(in_dialog("INFO", target, &invite, false, routes, &via)).await;
        assert_eq!(answer.status(), 403, "{target}");
        assert!(answer.field("Warning").contains("dialog"), "{answer:#?}");
    }
}

#[tokio::test]
async fn a_phone_with_one_flow_only_is_reached_over_it_in_its_dialogs() {
    let house = House::new().await;
    let mut phone = Tcp::connect(house.tcp).await;
    let contact = "<sip:john@10.1.1.1;transport=tcp>;reg-id=1;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000000000a>\"";
    let supported = "Supported: path, outbound\r\n";
    assert_eq!(phone.ask(register_over("TCP", phone.addr(), "john", contact, supported)).await.status(), 200);
    let alice = house.phone().await;
    alice.send(request("INVITE", "sip:john@example.com", alice.addr, "")).await;
    let invite = phone.take("200 OK", "").await;
    assert_eq!(alice.recv_final().await.status(), 200);
    let mut routes = invite.all("Record-Route");
    routes.reverse();
    let via = format!("SIP/2.0/UDP {}", alice.addr);
    alice.send(in_dialog("BYE", "sip:john@10.1.1.1;transport=tcp", &invite, false, &routes, &via)).await;
    assert_eq!(phone.take("200 OK", "").await.method(), "BYE");
    assert_eq!(alice.recv_final().await.status(), 200);
}
