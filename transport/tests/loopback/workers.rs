//! Shards on threads of their own, which share one address.

use std::sync::Arc;

use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use transport::{BindError, Config, Endpoint};

use crate::harness::{Manner, Peer, Server, config, message};

/// Threads that run until this is dropped.
struct Threads {
    handles: Vec<Handle>,
    stop: Arc<Notify>,
}

impl Threads {
    fn start(count: usize) -> Self {
        let stop = Arc::new(Notify::new());
        let start = |_| {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let (handle, stop) = (runtime.handle().clone(), Arc::clone(&stop));
            std::thread::spawn(move || runtime.block_on(stop.notified()));
            handle
        };
        Self { handles: (0..count).map(start).collect(), stop }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for _ in &self.handles {
            self.stop.notify_one();
        }
    }
}

#[tokio::test]
async fn every_sender_is_answered_from_the_one_address_whichever_worker_it_falls_to() {
    let threads = Threads::start(3);
    let server =
        Server::with(Config { workers: threads.handles.clone(), ..config() }, Manner::Answer(200)).await;
    for number in 0..40 {
        let peer = Peer::bind().await;
        let via = format!("h.example;rport;branch=z9hG4bK{number}");
        for _ in 0..2 {
            peer.send(&message("MESSAGE", &via, ""), server.udp).await;
            let (response, from) = peer.receive().await;
            assert!(response.starts_with("SIP/2.0 200") && from == server.udp, "{response}");
        }
    }
    assert_eq!(server.seen(), 40, "repetitions met their transactions");
    let mut wire = server.connect().await;
    wire.send(&message("MESSAGE", "tcp.example;branch=z9hG4bKtcp", "")).await;
    assert!(wire.receive().await.starts_with("SIP/2.0 200"));
    assert_eq!(server.endpoint.drain(std::time::Duration::from_secs(5)).await, 0);
}

#[tokio::test]
async fn an_address_that_someone_has_is_refused_though_workers_share_theirs() {
    let threads = Threads::start(2);
    let shared = || Config { workers: threads.handles.clone(), ..config() };
    let server = Server::with(shared(), Manner::Answer(200)).await;
    let mut second = shared();
    second.listen.truncate(1);
    second.listen[0].addr = server.udp;
    let refused = Endpoint::bind(second).await.map(drop);
    assert!(matches!(refused, Err(BindError::Listen { addr, .. }) if addr == server.udp), "{refused:?}");
}
