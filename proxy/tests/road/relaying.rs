//! The server as somebody would like to use it who may not: as a relay to elsewhere, as a way into the operator's
//! network, along dialogs of others.

use proxy::relay::Relay;

use crate::support::{House, Udp, fresh, proven, request, text};

/// Somebody whom no request of a stranger may reach.
async fn victim() -> Udp {
    Udp::new("127.0.0.1:9".parse().unwrap()).await
}

/// Asks something that must be refused, and sees that the victim got nothing: what the server sends would be there
/// before the answer to the OPTIONS that follows.
async fn is_refused(house: &House, sender: &Udp, victim: &Udp, octets: impl AsRef<[u8]>, why: &str) {
    let answer = sender.ask(octets).await;
    let is_ours = answer.has("Server") && answer.field("Server").starts_with("bespoke/");
    assert!(is_ours && answer.status() != 503, "{why}: {answer:#?}");
    let after = sender.ask(request("OPTIONS", &format!("sip:{}", house.udp), sender.addr, "")).await;
    assert!(after.field("CSeq").ends_with("OPTIONS"));
    assert!(victim.pending().is_none(), "{why}");
}

#[tokio::test]
async fn a_stranger_is_relayed_nowhere_whatever_is_written() {
    for house in [House::new().await, House::guarded(|_| {}).await] {
        let (mallory, victim) = (house.phone().await, victim().await);
        let at = victim.addr;
        for uri in [
            format!("sip:x@{at}"),
            format!("sip:x@[::ffff:127.0.0.1]:{}", at.port()),
            format!("sip:john@example.com:{}", at.port()),
            format!("sip:john@example.com;maddr=127.0.0.1:{}", at.port()),
            format!("sip:john@example.com:{};maddr=127.0.0.1", at.port()),
            format!("sip:{}:{};transport=udp", at.ip(), at.port()),
            format!("sip:example.com@{at};lr"),
            format!("sip:x@{at};transport=tcp"),
        ] {
            for method in ["MESSAGE", "INVITE", "REFER", "REGISTER", "OPTIONS", "NOTIFY", "FOO"] {
                let octets = request(method, &uri, mallory.addr, "");
                is_refused(&house, &mallory, &victim, octets, &format!("{method} {uri}")).await;
            }
        }
    }
}

#[tokio::test]
async fn a_stranger_chooses_no_route() {
    for house in [House::new().await, House::guarded(|_| {}).await] {
        let (mallory, victim) = (house.phone().await, victim().await);
        let _john = house.registered("john", "").await;
        for route in [
            format!("<sip:{};lr>", victim.addr),
            format!("<sip:{};lr>, <sip:{};lr>", house.udp, victim.addr),
            format!("<sip:example.com;lr>, <sip:x@[::ffff:127.0.0.1]:{};lr>", victim.addr.port()),
            format!("<sip:{}>", victim.addr),
            format!("<sip:example.com:{};lr>", victim.addr.port()),
        ] {
            let octets = text("sip:john@example.com", mallory.addr, &format!("Route: {route}\r\n"));
            is_refused(&house, &mallory, &victim, octets, &route).await;
        }
    }
}

#[tokio::test]
async fn to_tags_and_our_name_in_a_route_open_nothing() {
    let house = House::guarded(|_| {}).await;
    let (mallory, victim) = (house.phone().await, victim().await);
    for route in [
        format!("<sip:{};lr>", house.udp),
        format!("<sip:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@{};lr>", house.udp),
    ] {
        for method in ["NOTIFY", "SUBSCRIBE", "BYE", "MESSAGE"] {
            let octets = request(
                method,
                &format!("sip:x@{}", victim.addr),
                mallory.addr,
                &format!("Route: {route}\r\n"),
            );
            let octets =
                octets.replace("To: <sip:x@", "To: <sip:john@").replace(">\r\nCall-ID", ">;tag=t\r\nCall-ID");
            is_refused(&house, &mallory, &victim, octets, &format!("{method} {route}")).await;
        }
    }
}

#[tokio::test]
async fn who_may_relay_is_what_the_operator_says() {
    let expected = [(Relay::Authenticated, 200), (Relay::Trusted, 403), (Relay::None, 403)];
    for (relay, status) in expected {
        let house = House::guarded(|settings| settings.relay = relay).await;
        let (alice, bob) = (house.phone().await, victim().await);
        let message = request("MESSAGE", &format!("sip:bob@{}", bob.addr), alice.addr, "");
        let message = message.replace("alice@example.org", "alice@example.com");
        let asked = alice.ask(&message).await;
        assert_eq!(asked.status(), 407, "{relay:?}");
        alice.send(proven(&message, &asked, "alice", "secret")).await;
        if status == 200 {
            let got = bob.recv().await;
            assert!(!got.has("Proxy-Authorization"), "{got:#?}");
            bob.socket.send_to(&got.answer("200 OK", ""), house.udp).await.unwrap();
        }
        assert_eq!(alice.recv_final().await.status(), status, "{relay:?}");
    }
}

/// A dialog between a watcher from elsewhere and john, and what both know of it.
struct Dialog {
    watcher: Udp,
    john: Udp,
    call_id: String,
    watcher_side: String,
    john_side: String,
    /// As john got them.
    routes: Vec<String>,
}

impl Dialog {
    async fn new(house: &House) -> Dialog {
        let john = house.registered("john", "").await;
        let watcher = house.phone().await;
        let contact = format!("Contact: <sip:w@{}>\r\nEvent: presence\r\n", watcher.addr);
        watcher.send(request("SUBSCRIBE", "sip:john@example.com", watcher.addr, &contact)).await;
        let got = john.take("200 OK", "").await;
        assert_eq!(watcher.recv_final().await.status(), 200);
        Dialog {
            call_id: got.field("Call-ID").to_owned(),
            watcher_side: got.field("From").to_owned(),
            john_side: format!("{};tag=n", got.field("To")),
            routes: got.all("Record-Route").into_iter().map(str::to_owned).collect(),
            watcher,
            john,
        }
    }

    /// A request of john's side to the watcher.
    fn back(&self) -> String {
        let routes = self.routes.join(", ");
        self.request("NOTIFY", self.watcher.addr, &self.john, &routes, &self.john_side, &self.watcher_side)
    }

    /// A request of the watcher's side to john.
    fn forth(&self) -> String {
        let routes: Vec<_> = self.routes.iter().rev().map(String::as_str).collect();
        let (from, to) = (&self.watcher_side, &self.john_side);
        self.request("SUBSCRIBE", self.john.addr, &self.watcher, &routes.join(", "), from, to)
    }

    fn request(
        &self,
        method: &str,
        to: std::net::SocketAddr,
        by: &Udp,
        routes: &str,
        from: &str,
        to_field: &str,
    ) -> String {
        let number = fresh();
        format!(
            "{method} sip:x@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {};rport;branch=z9hG4bKd{number}\r\n\
             Route: {routes}\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to_field}\r\nCall-ID: {}\r\n\
             CSeq: {number} {method}\r\nEvent: presence\r\nContent-Length: 0\r\n\r\n",
            by.addr, self.call_id,
        )
    }
}

#[tokio::test]
async fn a_dialog_set_up_through_here_goes_on_both_ways_and_no_password_is_asked_for() {
    for house in [House::new().await, House::guarded(|_| {}).await] {
        let dialog = Dialog::new(&house).await;
        dialog.john.send(dialog.back()).await;
        assert_eq!(dialog.watcher.take("200 OK", "").await.method(), "NOTIFY");
        assert_eq!(dialog.john.recv_final().await.status(), 200);
        dialog.watcher.send(dialog.forth()).await;
        assert_eq!(dialog.john.take("200 OK", "").await.method(), "SUBSCRIBE");
        assert_eq!(dialog.watcher.recv_final().await.status(), 200);
    }
}

#[tokio::test]
async fn the_marks_of_a_dialog_lead_its_sides_nowhere_else() {
    for house in [House::new().await, House::guarded(|_| {}).await] {
        let dialog = Dialog::new(&house).await;
        let victim = victim().await;
        let forth = dialog.forth();
        let to_victim =
            forth.replacen(&format!("sip:x@{}", dialog.john.addr), &format!("sip:x@{}", victim.addr), 1);
        let further =
            forth.replace("Max-Forwards", &format!("Route: <sip:{};lr>\r\nMax-Forwards", victim.addr));
        let [of_john, of_watcher] = &*dialog.routes else { panic!("{:?}", dialog.routes) };
        for (why, octets) in [
            ("another target", to_victim.clone()),
            ("a further route", further),
            ("another Call-ID", to_victim.replace(&dialog.call_id, "other")),
            ("no To-tag", to_victim.replace(";tag=n", "")),
            ("another method", to_victim.replace("SUBSCRIBE", "MESSAGE")),
            ("another callee", to_victim.replace("sip:john@example.com", &format!("sip:x@{}", victim.addr))),
            ("the sender's own mark", to_victim.replace(of_john, of_watcher)),
        ] {
            let octets = octets.replace("z9hG4bKd", &format!("z9hG4bK{}", fresh()));
            is_refused(&house, &dialog.watcher, &victim, octets, why).await;
        }
    }
}

#[tokio::test]
async fn a_user_who_leaves_the_way_of_the_dialog_proves_a_password_and_the_request_still_goes_to_its_side() {
    let house = House::guarded(|settings| settings.relay = Relay::None).await;
    let dialog = Dialog::new(&house).await;
    let victim = victim().await;
    let elsewhere = dialog.back().replacen(
        &format!("sip:x@{}", dialog.watcher.addr),
        &format!("sip:x@{}", victim.addr),
        1,
    );
    let asked = dialog.john.ask(&elsewhere).await;
    assert_eq!(asked.status(), 407);
    dialog.john.send(proven(&elsewhere, &asked, "john", "secret")).await;
    assert_eq!(dialog.watcher.take("200 OK", "").await.uri(), format!("sip:x@{}", victim.addr));
    assert_eq!(dialog.john.recv_final().await.status(), 200);
    assert!(victim.pending().is_none());
}

#[tokio::test]
async fn the_mark_of_a_dialog_makes_nobody_another_user() {
    let house = House::guarded(|_| {}).await;
    let dialog = Dialog::new(&house).await;
    let mallory = Udp::at("127.0.0.3", house.udp).await;
    let as_john = dialog.back().replace(&dialog.john.addr.to_string(), &mallory.addr.to_string());
    assert_eq!(mallory.ask(as_john).await.status(), 407, "john's side, but not from where john is");
    let as_ann = dialog.forth().replace("alice@example.org", "ann@example.com");
    assert_eq!(dialog.watcher.ask(as_ann).await.status(), 407);
    assert!(dialog.john.pending().is_none());
}

#[tokio::test]
async fn what_a_refer_names_is_for_its_recipient_and_not_followed_here() {
    let house = House::guarded(|_| {}).await;
    let (john, victim) = (house.registered("john", "").await, victim().await);
    let stranger = house.phone().await;
    let fields = format!("Refer-To: <sip:x@{}>\r\n", victim.addr);
    stranger.send(request("REFER", "sip:john@example.com", stranger.addr, &fields)).await;
    assert_eq!(john.take("202 Accepted", "").await.field("Refer-To"), format!("<sip:x@{}>", victim.addr));
    assert_eq!(stranger.recv_final().await.status(), 202);
    assert!(victim.pending().is_none());
}

#[tokio::test]
async fn an_answer_goes_to_whom_the_request_came_from_and_to_no_maddr() {
    let house = House::new().await;
    let (mallory, victim) = (house.phone().await, victim().await);
    let octets = request("OPTIONS", "sip:example.com", mallory.addr, "");
    let via = format!("SIP/2.0/UDP 127.0.0.1:{};maddr=127.0.0.1", victim.addr.port());
    let aimed = octets.replace(&format!("SIP/2.0/UDP {};rport", mallory.addr), &format!("{via};rport"));
    assert_eq!(mallory.ask(aimed).await.status(), 200);
    assert!(victim.pending().is_none());
}

#[tokio::test]
async fn a_call_of_a_user_goes_on_to_the_contact_of_another_domain_wherever_that_is() {
    let house = House::guarded(|_| {}).await;
    let alice = house.phone().await;
    let (bob, gateway) = (victim().await.of(house.udp), Udp::at("127.0.0.4", house.udp).await);
    let fields = format!("Contact: <sip:alice@{}>\r\n", alice.addr);
    let invite = request("INVITE", &format!("sip:bob@{}", bob.addr), alice.addr, &fields);
    let invite = invite.replace("alice@example.org", "alice@example.com");
    let asked = alice.ask(&invite).await;
    assert_eq!(asked.status(), 407);
    alice.send(proven(&invite, &asked, "alice", "secret")).await;
    let got = bob.take("200 OK", &format!("Contact: <sip:bob@{}>\r\n", gateway.addr)).await;
    assert_eq!(alice.recv_final().await.status(), 200);
    let mut routes = got.all("Record-Route");
    routes.reverse();
    let within = |method: &str, by: &Udp| {
        let number = fresh();
        format!(
            "{method} sip:bob@{} SIP/2.0\r\nVia: SIP/2.0/UDP {};rport;branch=z9hG4bKw{number}\r\nRoute: {}\r\n\
             Max-Forwards: 70\r\nFrom: {}\r\nTo: {};tag=ua6\r\nCall-ID: {}\r\nCSeq: {number} {method}\r\n\
             Content-Length: 0\r\n\r\n",
            gateway.addr,
            by.addr,
            routes.join(", "),
            got.field("From"),
            got.field("To"),
            got.field("Call-ID"),
        )
    };
    alice.send(within("ACK", &alice)).await;
    assert_eq!(gateway.recv().await.method(), "ACK");
    let bye = within("BYE", &alice);
    let asked = alice.ask(&bye).await;
    assert_eq!(asked.status(), 407, "the gateway is not where the call was set up to");
    alice.send(proven(&bye, &asked, "alice", "secret")).await;
    assert_eq!(gateway.take("200 OK", "").await.method(), "BYE");
    assert_eq!(alice.recv_final().await.status(), 200);

    let mallory = Udp::at("127.0.0.3", house.udp).await;
    mallory.send(within("ACK", &mallory)).await;
    let after = mallory.ask(request("OPTIONS", &format!("sip:{}", house.udp), mallory.addr, "")).await;
    assert_eq!(after.status(), 200);
    assert!(gateway.pending().is_none(), "nor is an ACK from elsewhere hers");
}
