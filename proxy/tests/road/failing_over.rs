//! Next hops by name: the addresses of one are tried one after the other (RFC 3263 §4.3), and names that lead
//! nowhere are answered for.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use proxy::settings::NextHop;
use tokio::time::{Instant, sleep};
use transport::{Family, Lookup, Naptr, Resolve, Srv};

use crate::support::ua::Received;
use crate::support::{House, Udp, request, text};

/// `cluster.example` has these servers, by SRV, in this order; `silent.example` name servers that say nothing.
#[derive(Debug)]
struct Cluster(Vec<SocketAddr>);

impl Resolve for Cluster {
    fn naptr<'a>(&'a self, domain: &'a str) -> Lookup<'a, Naptr> {
        Box::pin(async move {
            if domain.starts_with("silent") {
                std::future::pending::<()>().await;
            }
            Ok(Vec::new())
        })
    }

    fn srv<'a>(&'a self, service: &'a str) -> Lookup<'a, Srv> {
        let servers = self.0.iter().zip(1..).map(|(addr, priority)| Srv {
            priority,
            weight: 0,
            port: addr.port(),
            target: addr.ip().to_string(),
        });
        let found = if service == "_sip._udp.cluster.example" { servers.collect() } else { Vec::new() };
        Box::pin(async move {
            if service.contains("silent") {
                std::future::pending::<()>().await;
            }
            Ok(found)
        })
    }

    fn addresses<'a>(&'a self, host: &'a str, family: Family) -> Lookup<'a, IpAddr> {
        Box::pin(async move {
            match (host, family) {
                ("inside.example", Family::V4) => Ok(vec![[127, 0, 0, 1].into()]),
                _ => Ok(Vec::new()),
            }
        })
    }
}

/// A cluster of so many servers, which nobody has asked yet, and somebody who writes to it.
async fn cluster<const N: usize>() -> (House, [Udp; N], Udp) {
    let unused = "127.0.0.1:9".parse().unwrap();
    let mut servers = Vec::new();
    for _ in 0..N {
        servers.push(Udp::new(unused).await);
    }
    let house = house(&servers).await;
    let servers = servers.into_iter().map(|server| server.of(house.udp)).collect::<Vec<_>>();
    let alice = house.phone().await;
    (house, servers.try_into().unwrap(), alice)
}

async fn house(servers: &[Udp]) -> House {
    let names = Cluster(servers.iter().map(|server| server.addr).collect());
    House::with_names(Arc::new(names), |settings| {
        let next_hop = "sip:cluster.example".to_owned();
        settings.routes = vec![NextHop { domain: "example.net".to_owned(), next_hop, edge: false }];
    })
    .await
}

/// What comes next, while the clock jumps over the silence of others.
async fn next(at: &Udp) -> Received {
    loop {
        tokio::select! {
            biased;
            got = at.recv() => return got,
            () = sleep(Duration::from_millis(100)) => {}
        }
    }
}

async fn next_final(at: &Udp) -> Received {
    loop {
        let got = next(at).await;
        if got.status() != 100 {
            return got;
        }
    }
}

const BOB: &str = "sip:bob@example.net";

#[tokio::test]
async fn an_address_that_refuses_is_followed_by_the_next() {
    let (_house, [dead, alive], alice) = cluster().await;
    drop(dead);
    alice.send(text(BOB, alice.addr, "")).await;
    let got = alive.take("200 OK", "").await;
    assert_eq!(got.uri(), BOB);
    assert_eq!(alice.recv_final().await.status(), 200);
}

#[tokio::test]
async fn a_black_hole_is_followed_by_the_next_while_the_sender_still_waits() {
    let (_house, [dead, alive], alice) = cluster().await;
    tokio::time::pause();
    let start = Instant::now();
    alice.send(text(BOB, alice.addr, "")).await;
    let got = next(&alive).await;
    assert_eq!(start.elapsed().as_secs(), 4);
    assert_ne!(dead.pending().unwrap().branch(), got.branch());
    alive.send(got.answer("200 OK", "")).await;
    assert_eq!(next_final(&alice).await.status(), 200);
    // The next message does not try it first.
    let start = Instant::now();
    alice.send(text(BOB, alice.addr, "")).await;
    let got = next(&alive).await;
    assert_eq!(start.elapsed().as_secs(), 0);
    alive.send(got.answer("200 OK", "")).await;
    assert_eq!(next_final(&alice).await.status(), 200);
    sleep(Duration::from_secs(40)).await;
    while dead.pending().is_some() {}
    alice.send(text(BOB, alice.addr, "")).await;
    assert_eq!(next(&dead).await.uri(), BOB, "after a while it is tried again");
}

#[tokio::test]
async fn the_late_answer_of_a_silent_address_counts() {
    let (_house, [slow, dead], alice) = cluster().await;
    tokio::time::pause();
    alice.send(text(BOB, alice.addr, "")).await;
    let first = next(&slow).await;
    next(&dead).await;
    slow.send(first.answer("200 OK", "")).await;
    assert_eq!(next_final(&alice).await.status(), 200);
}

#[tokio::test]
async fn many_silent_addresses_share_the_time_the_sender_waits() {
    let (_house, servers, alice) = cluster::<8>().await;
    tokio::time::pause();
    let start = Instant::now();
    alice.send(text(BOB, alice.addr, "")).await;
    let got = next(&servers[7]).await;
    assert!(start.elapsed().as_secs() <= 24);
    servers[7].send(got.answer("200 OK", "")).await;
    assert_eq!(next_final(&alice).await.status(), 200);
}

#[tokio::test]
async fn a_server_that_answers_503_has_its_peace_as_long_as_it_says() {
    let (_house, [busy, other], alice) = cluster().await;
    tokio::time::pause();
    alice.send(text(BOB, alice.addr, "")).await;
    let got = next(&busy).await;
    busy.send(got.answer("503 Service Unavailable", "Retry-After: 20 (full)\r\n")).await;
    for _ in 0..2 {
        let got = next(&other).await;
        other.send(got.answer("200 OK", "")).await;
        assert_eq!(next_final(&alice).await.status(), 200);
        alice.send(text(BOB, alice.addr, "")).await;
    }
    let got = next(&other).await;
    other.send(got.answer("503 Service Unavailable", "Retry-After: 20\r\n")).await;
    assert_eq!(next_final(&alice).await.status(), 500, "every address has spoken (RFC 3261 §16.7 step 6)");
    alice.send(text(BOB, alice.addr, "")).await;
    assert_eq!(next_final(&alice).await.status(), 500);
    assert!(busy.pending().is_none() && other.pending().is_none(), "both are left alone");
    sleep(Duration::from_secs(20)).await;
    alice.send(text(BOB, alice.addr, "")).await;
    assert_eq!(next(&busy).await.uri(), BOB);
}

#[tokio::test]
async fn other_answers_are_final() {
    let (_house, [first, second], alice) = cluster().await;
    for status in ["404 Not Found", "500 Server Internal Error", "603 Decline"] {
        alice.send(text(BOB, alice.addr, "")).await;
        first.take(status, "").await;
        assert_eq!(alice.recv_final().await.status().to_string(), status[..3]);
    }
    assert!(second.pending().is_none());
}

#[tokio::test]
async fn a_server_that_says_100_is_not_silent() {
    let (_house, [slow, other], alice) = cluster().await;
    tokio::time::pause();
    alice.send(text(BOB, alice.addr, "")).await;
    let got = next(&slow).await;
    slow.send(got.answer("100 Trying", "")).await;
    sleep(Duration::from_secs(10)).await;
    assert!(other.pending().is_none());
    slow.send(got.answer("200 OK", "")).await;
    assert_eq!(next_final(&alice).await.status(), 200);
}

#[tokio::test]
async fn an_invite_goes_on_and_its_silent_address_is_cancelled_when_it_wakes() {
    let (_house, [slow, alive], alice) = cluster().await;
    tokio::time::pause();
    alice.send(request("INVITE", BOB, alice.addr, "Contact: <sip:alice@127.0.0.1>\r\n")).await;
    let first = next(&slow).await;
    let second = next(&alive).await;
    alive.send(second.answer("200 OK", "Contact: <sip:bob@127.0.0.1>\r\n")).await;
    assert_eq!(next_final(&alice).await.status(), 200);
    slow.send(first.answer("180 Ringing", "")).await;
    loop {
        let got = next(&slow).await;
        if got.method() == "CANCEL" {
            assert_eq!(got.branch(), first.branch());
            break;
        }
    }
}

#[tokio::test]
async fn when_no_address_takes_it_the_sender_hears_so() {
    let (_house, servers, alice) = cluster::<3>().await;
    drop(servers);
    assert_eq!(alice.ask(text(BOB, alice.addr, "")).await.status(), 500);
}

#[tokio::test]
async fn name_servers_that_do_not_answer_are_504_and_hold_up_no_other() {
    let (house, [], alice) = cluster().await;
    let phone = house.registered("john", "").await;
    let senders = futures_util::future::join_all((0..100).map(|_| house.phone())).await;
    tokio::time::pause();
    let start = Instant::now();
    for (sender, n) in senders.iter().zip(0..) {
        sender.send(text(&format!("sip:x@silent{n}.example"), sender.addr, "")).await;
    }
    alice.send(text("sip:john@example.com", alice.addr, "")).await;
    let got = phone.recv().await;
    assert!(start.elapsed().as_secs() < 1);
    phone.send(got.answer("200 OK", "")).await;
    assert_eq!(alice.recv_final().await.status(), 200);
    for sender in &senders {
        assert_eq!(next_final(sender).await.status(), 504);
    }
    assert!(start.elapsed().as_secs() <= 6);
}

#[tokio::test]
async fn a_domain_that_is_not_there_is_404_and_one_that_lies_inside_403() {
    let (_house, [], alice) = cluster().await;
    let answer = alice.ask(text("sip:bob@nowhere.example", alice.addr, "")).await;
    assert_eq!((answer.status(), answer.start.contains("Domain")), (404, true));
    // From outside it would be closed; from this machine it is a way like others.
    let answer = alice.ask(text("sip:bob@inside.example:9", alice.addr, "")).await;
    assert_eq!(answer.status(), 500);
}
