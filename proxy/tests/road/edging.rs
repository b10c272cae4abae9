//! Flows of phones (RFC 5626): as the registrar they come to first, and as the edge before another one.

use proxy::Settings;
use proxy::settings::NextHop;

use crate::support::{House, Tcp, Udp, register_over, request, text};

const OUTBOUND: &str = "Supported: path, outbound\r\n";

/// A server that is the edge of example.net, whose registrar the returned user agent plays.
async fn edge() -> (House, Udp) {
    edge_with(false).await
}

/// With users of its own who have passwords, or none.
async fn edge_with(passwords: bool) -> (House, Udp) {
    let home = Udp::new("127.0.0.1:9".parse().unwrap()).await;
    let route =
        NextHop { domain: "example.net".to_owned(), next_hop: format!("sip:{}", home.addr), edge: true };
    let change = |settings: &mut Settings| settings.routes = vec![route];
    let house = if passwords { House::guarded(change).await } else { House::with(change).await };
    let home = home.of(house.udp);
    (house, home)
}

/// A REGISTER of john at example.net over TCP.
fn foreign_register(phone: &Tcp, fields: &str) -> String {
    let contact =
        format!("<sip:john@{};transport=tcp;ob>;reg-id=1;+sip.instance=\"<urn:x:1>\"", phone.addr());
    register_over("TCP", phone.addr(), "john", &contact, fields).replace("example.com", "example.net")
}

/// Registers john through the edge; returns the Path that his registrar got.
async fn registered(home: &Udp, phone: &mut Tcp) -> String {
    phone.send(foreign_register(phone, OUTBOUND)).await;
    let path = home.take("200 OK", "Require: outbound\r\n").await.field("Path").to_owned();
    assert_eq!(phone.recv_final().await.status(), 200);
    path
}

fn route(path: &str) -> String {
    format!("Route: {path}\r\n")
}

#[tokio::test]
async fn what_comes_along_the_path_goes_over_the_flow_that_the_phone_opened() {
    let (house, home) = edge().await;
    let mut phone = Tcp::connect(house.tcp).await;
    let path = registered(&home, &mut phone).await;
    assert!(path.ends_with(";lr;ob>") && path.starts_with("<sip:flow."), "{path}");
    let contact = format!("sip:john@{};transport=tcp;ob", phone.addr());
    home.send(text(&contact, home.addr, &route(&path))).await;
    let got = phone.take("200 OK", "").await;
    assert_eq!((got.uri(), got.has("Route")), (contact.as_str(), false));
    assert_eq!(home.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_token_that_is_not_ours_is_403_and_a_flow_that_is_gone_430() {
    let (house, home) = edge().await;
    let mut phone = Tcp::connect(house.tcp).await;
    let path = registered(&home, &mut phone).await;
    let contact = format!("sip:john@{};transport=tcp;ob", phone.addr());
    let (start, rest) = path.split_once("flow.").unwrap();
    let forged = format!("{start}flow.AAAA{}", &rest[4..]);
    assert_eq!(home.ask(text(&contact, home.addr, &route(&forged))).await.status(), 403);
    drop(phone);
    // The server learns of the end of a connection in its own time.
    let mut status = 0;
    for _ in 0..100 {
        home.send(text(&contact, home.addr, &route(&path))).await;
        status = home.recv_final().await.status();
        if status == 430 {
            break;
        }
    }
    assert_eq!(status, 430);
}

#[tokio::test]
async fn a_register_that_wants_its_flow_kept_must_know_path() {
    let (house, home) = edge().await;
    let mut phone = Tcp::connect(house.tcp).await;
    let answer = phone.ask(foreign_register(&phone, "Supported: outbound\r\n")).await;
    assert_eq!((answer.status(), answer.field("Require")), (421, "path"));
    assert!(home.pending().is_none());
}

#[tokio::test]
async fn no_path_is_put_into_what_another_edge_sent_or_a_phone_that_knows_none() {
    let (house, home) = edge().await;
    let mut phone = Tcp::connect(house.tcp).await;
    let second = foreign_register(&phone, OUTBOUND).replacen(
        "Max-Forwards",
        "Via: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKfirst\r\nMax-Forwards",
        1,
    );
    phone.send(second).await;
    assert!(!home.take("200 OK", "").await.has("Path"));
    phone.recv_final().await;
    let plain = foreign_register(&phone, "").replace(";reg-id=1", "");
    phone.send(plain).await;
    assert!(!home.take("200 OK", "").await.has("Path"));
}

#[tokio::test]
async fn the_dialogs_of_a_phone_behind_the_edge_stay_on_its_flow() {
    let (house, home) = edge().await;
    let mut phone = Tcp::connect(house.tcp).await;
    let path = registered(&home, &mut phone).await;
    // A call to the phone, whose Contact leads nowhere.
    let contact = "sip:john@192.0.2.9;transport=tcp;ob";
    let caller = format!("{}Contact: <sip:alice@{}>\r\n", route(&path), home.addr);
    home.send(request("INVITE", contact, home.addr, &caller)).await;
    let invite = phone.take("200 OK", &format!("Contact: <{contact}>\r\n")).await;
    assert_eq!(home.recv_final().await.status(), 200);
    let mut routes = invite.all("Record-Route");
    assert_eq!(routes.len(), 2);
    let to = format!("{};tag=ua6", invite.field("To"));
    let within = |method: &str, uri: &str, via: &str, routes: &str, from: &str, to: &str| {
        let number = crate::support::fresh();
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{via};rport;branch=z9hG4bKe{number}\r\nRoute: {routes}\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {number} {method}\r\n\
             Content-Length: 0\r\n\r\n",
            invite.field("Call-ID")
        )
    };
    let via = format!("TCP {}", phone.addr());
    let alice = format!("sip:alice@{}", home.addr);
    let bye = within("BYE", &alice, &via, &routes.join(", "), &to, invite.field("From"));
    phone.send(&bye).await;
    assert_eq!(home.take("200 OK", "").await.method(), "BYE");
    assert_eq!(phone.recv_final().await.status(), 200);
    // In another call the same record opens nothing.
    let call = invite.field("Call-ID");
    let other = bye.replace(call, "another").replace("branch=z9hG4bKe", "branch=z9hG4bKf");
    assert_eq!(phone.ask(other).await.status(), 403);
    // The other way it goes over the flow, and to nobody when that is gone.
    routes.reverse();
    let via = format!("UDP {}", home.addr);
    let info = || within("INFO", contact, &via, &routes.join(", "), invite.field("From"), &to);
    home.send(info()).await;
    assert_eq!(phone.take("200 OK", "").await.method(), "INFO");
    assert_eq!(home.recv_final().await.status(), 200);
}

#[tokio::test]
async fn what_a_phone_sends_along_its_own_flow_goes_to_its_domain_and_nowhere_else() {
    for (passwords, refusal) in [(false, 403), (true, 407)] {
        goes_to_its_domain(edge_with(passwords).await, refusal).await;
    }
}

async fn goes_to_its_domain((house, home): (House, Udp), refusal: u16) {
    let mut phone = Tcp::connect(house.tcp).await;
    let path = registered(&home, &mut phone).await;
    let via = format!("SIP/2.0/TCP {}", phone.addr());
    let victim = Udp::new(house.udp).await;
    let send = |uri: &str, routes: &str| {
        let octets = String::from_utf8(text(uri, phone.addr(), routes)).unwrap();
        octets.replace(&format!("SIP/2.0/UDP {}", phone.addr()), &via)
    };
    let to_domain = send("sip:ann@example.net", &route(&path));
    let by_route = send(
        &format!("sip:ann@{}", victim.addr),
        &format!("{}{}", route(&path), route(&format!("<sip:{};lr>", home.addr))),
    );
    let elsewhere = send(&format!("sip:ann@{}", victim.addr), &route(&path));
    for octets in [to_domain, by_route] {
        phone.send(octets).await;
        assert_eq!(home.take("200 OK", "").await.method(), "MESSAGE");
        assert_eq!(phone.recv_final().await.status(), 200);
    }
    assert_eq!(phone.ask(elsewhere).await.status(), refusal);
    assert!(victim.pending().is_none());
}

/// Registers over a connection of its own as flow `reg_id` of one phone.
async fn flow(house: &House, reg_id: u32) -> Tcp {
    let mut phone = Tcp::connect(house.tcp).await;
    let contact =
        format!("<sip:john@192.0.2.9;transport=tcp;ob>;reg-id={reg_id};+sip.instance=\"<urn:x:1>\"");
    let answer = phone.ask(register_over("TCP", phone.addr(), "john", &contact, OUTBOUND)).await;
    assert_eq!((answer.status(), answer.field("Require")), (200, "outbound"));
    phone
}

#[tokio::test]
async fn of_several_flows_one_that_is_there_is_taken_and_without_any_it_is_480() {
    let house = House::new().await;
    let mut one = flow(&house, 1).await;
    let two = flow(&house, 2).await;
    drop(two);
    let alice = house.phone().await;
    // Whether the server has seen the second flow end already or not.
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    one.take("200 OK", "").await;
    assert_eq!(alice.recv_final().await.status(), 200);
    drop(one);
    let mut status = 0;
    for _ in 0..100 {
        status = alice.ask(text("sip:john@example.com", alice.addr, "")).await.status();
        if status == 480 {
            break;
        }
    }
    assert_eq!(status, 480);
}

#[tokio::test]
async fn a_gruu_reaches_its_device_alone() {
    let house = House::new().await;
    let phones = [house.phone().await, house.phone().await];
    for (number, phone) in phones.iter().enumerate() {
        let contact = format!("<sip:john@{}>;+sip.instance=\"<urn:x:{number}>\"", phone.addr);
        let answer =
            phone.ask(crate::support::register(phone.addr, "john", &contact, "Supported: gruu\r\n")).await;
        assert_eq!(answer.status(), 200);
    }
    let alice = house.phone().await;
    alice.send(text("sip:john@example.com;gr=urn:x:1", alice.addr, "")).await;
    let got = phones[1].take("200 OK", "").await;
    assert_eq!(got.uri(), format!("sip:john@{}", phones[1].addr));
    assert_eq!(alice.recv_final().await.status(), 200);
    assert!(phones[0].pending().is_none());
    let unknown = alice.ask(text("sip:john@example.com;gr=urn:x:2", alice.addr, "")).await;
    assert_eq!(unknown.status(), 404);
}
