//! A server on a port of its own, and a client that writes HTTP itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use indirection::{Content, ContentStore, Fetching, Late, Link, Options, Workshop, adapting, router};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const START: u64 = 1_900_000_000;

pub(crate) struct Server {
    pub(crate) store: ContentStore,
    pub(crate) addr: SocketAddr,
    pub(crate) now: Arc<AtomicU64>,
    pub(crate) dir: Option<tempfile::TempDir>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn sha1(&self) -> String {
        Sha1::digest(&self.body).iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

impl Server {
    pub(crate) async fn start(change: impl FnOnce(&mut Fetching)) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let store = ContentStore::open(dir.path(), Options::default(), time(START)).await.unwrap();
        Server { dir: Some(dir), ..Server::over(store, change).await }
    }

    pub(crate) async fn over(store: ContentStore, change: impl FnOnce(&mut Fetching)) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let now = Arc::new(AtomicU64::new(START));
        let mut fetching = Fetching::new(adapter::Settings::new("store.example.com"));
        let clock = now.clone();
        fetching.now = Arc::new(move || time(clock.load(Ordering::Relaxed)));
        change(&mut fetching);
        let late: Late = Arc::new(store.clone().into());
        let workshop = Workshop::new(fetching, late.clone());
        let app = router(late, workshop.clone()).merge(adapting(workshop));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Server { store, addr, now, dir: None }
    }

    pub(crate) async fn put(&self, content: Content, octets: Vec<u8>) -> Link {
        self.store.put(content, Bytes::from(octets), time(START)).await.unwrap()
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, fields: &str) -> Answer {
        self.send(method, path, fields, b"").await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, fields: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let body = answer.split_off(end);
        let head = String::from_utf8(answer).unwrap();
        Answer { status: head[9..12].parse().unwrap(), head, body }
    }

    pub(crate) async fn get(&self, link: &Link, fields: &str) -> Answer {
        self.ask("GET", &format!("/c/{}", link.token), fields).await
    }
}

pub(crate) fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

pub(crate) fn of(content_type: &str) -> Content {
    Content { content_type: content_type.into(), ..Content::default() }
}
