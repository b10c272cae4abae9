//! Fetches over real sockets, by a client that writes HTTP itself.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use indirection::{Content, ContentStore, Fetching, Link, Options, router};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const START: u64 = 1_900_000_000;

struct Server {
    store: ContentStore,
    addr: SocketAddr,
    now: Arc<AtomicU64>,
    _dir: tempfile::TempDir,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn sha1(&self) -> String {
        Sha1::digest(&self.body).iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

impl Server {
    async fn start(change: impl FnOnce(&mut Fetching)) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let options = Options { public_url: format!("http://{addr}"), ..Options::default() };
        let now = Arc::new(AtomicU64::new(START));
        let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let store = ContentStore::open(dir.path(), options, time(START)).unwrap();
        let mut fetching = Fetching::new(adapter::Settings::new("store.example.com"));
        let clock = now.clone();
        fetching.now = Arc::new(move || time(clock.load(Ordering::Relaxed)));
        change(&mut fetching);
        let app = router(store.clone(), fetching);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Server { store, addr, now, _dir: dir }
    }

    async fn put(&self, content: Content, octets: Vec<u8>) -> Link {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(START);
        self.store.put(content, Bytes::from(octets), now).await.unwrap()
    }

    async fn ask(&self, method: &str, path: &str, fields: &str) -> Answer {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let body = answer.split_off(end);
        let head = String::from_utf8(answer).unwrap();
        Answer { status: head[9..12].parse().unwrap(), head, body }
    }

    async fn get(&self, link: &Link, fields: &str) -> Answer {
        self.ask("GET", &format!("/c/{}", link.token), fields).await
    }
}

fn message(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/data/messages/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn sunset() -> (Content, Vec<u8>) {
    let message = message("020-fig1-message-original.msg");
    let content = Content {
        content_type: "image/gif".into(),
        disposition: Some("render".into()),
        description: Some("Sunset".into()),
        ..Content::default()
    };
    (content, message[message.len() - 3073..].to_vec())
}

fn of(content_type: &str) -> Content {
    Content { content_type: content_type.into(), ..Content::default() }
}

/// Width and height of a GIF's screen.
fn screen(gif: &[u8]) -> (u16, u16) {
    (u16::from_le_bytes([gif[6], gif[7]]), u16::from_le_bytes([gif[8], gif[9]]))
}

/// The Accept fields of example 025.
fn accept_025() -> String {
    let request = String::from_utf8(message("025-fig3-http-get.msg")).unwrap();
    request
        .lines()
        .filter(|line| !line.starts_with("GET") && !line.starts_with("Host") && !line.is_empty())
        .map(|line| format!("{line}\r\n"))
        .collect()
}

#[tokio::test]
async fn the_request_025_gets_an_answer_like_026() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    let answer = server.get(&link, &accept_025()).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(screen(&answer.body), (158, 119));
    assert_eq!(answer.field("content-type"), Some("image/gif"));
    assert_eq!(answer.field("content-length").unwrap(), answer.body.len().to_string());
    assert_eq!(answer.field("vary"), Some("Accept, Accept-Encoding, Accept-Charset, User-Agent"));
    assert_eq!(answer.field("cache-control"), Some("private, no-transform"));
    assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.field("content-disposition"), None);
    assert_eq!(
        answer.field("content-adapted"),
        Some(
            "store.example.com;ops=\"scale\";type=\"image/gif\";length=3073;media-pix-x=320;media-pix-y=240"
        )
    );
}

#[tokio::test]
async fn without_capabilities_the_original_comes() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    for fields in ["", "Accept: */*\r\n", "Accept: */*;q=0.8\r\nAccept-Encoding: gzip, br\r\n"] {
        let answer = server.get(&link, fields).await;
        assert_eq!((answer.status, answer.body.len()), (200, 3073), "{fields}");
        assert_eq!(answer.sha1(), "3b0df19df882945e936f385c840baf5fc85f97a1");
        assert_eq!(answer.field("content-adapted"), None);
    }
}

#[tokio::test]
async fn a_browser_sees_the_original_too() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    let browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
                   Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\n";
    assert_eq!(server.get(&link, browser).await.sha1(), "3b0df19df882945e936f385c840baf5fc85f97a1");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    let path = format!("/c/{}", link.token);
    for fields in [String::new(), accept_025()] {
        let (head, get) = (server.ask("HEAD", &path, &fields).await, server.ask("GET", &path, &fields).await);
        assert!(head.body.is_empty() && !get.body.is_empty());
        let lines = |answer: &Answer| {
            let lines = answer.head.lines().filter(|line| !line.starts_with("date")).map(str::to_owned);
            lines.collect::<Vec<_>>()
        };
        assert_eq!(lines(&head), lines(&get));
    }
}

#[tokio::test]
async fn each_refusal_is_a_problem_document() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    let path = format!("/c/{}", link.token);
    let unknown = "/c/AAAAAAAAAAAAAAAAAAAAAA";
    let traversal = "/c/..%2f..%2fkey";
    for (method, path, fields, status) in [
        ("GET", unknown, "", 404),
        ("GET", "/c/short", "", 404),
        ("GET", traversal, "", 404),
        ("GET", &format!("{path}/x"), "", 404),
        ("POST", &path, "Content-Length: 0\r\n", 405),
        ("DELETE", &path, "", 405),
        ("GET", &path, "Accept: audio/amr\r\n", 406),
        ("GET", &path, "Accept: image/gif;length=max+20\r\n", 406),
    ] {
        let answer = server.ask(method, path, fields).await;
        assert_eq!(answer.status, status, "{method} {path} {fields}");
        assert_eq!(answer.field("content-type"), Some("application/problem+json"));
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        assert_eq!(answer.field("allow"), (status == 405).then_some("GET, HEAD"));
    }
}

#[tokio::test]
async fn an_expired_link_is_gone() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    server.now.store(START + 7 * 86_400, Ordering::Relaxed);
    assert_eq!(server.get(&link, "").await.status, 200);
    server.now.store(START + 7 * 86_400 + 1, Ordering::Relaxed);
    assert_eq!(server.get(&link, "").await.status, 410);
}

#[tokio::test]
async fn fixed_content_is_the_same_whatever_the_capabilities() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(Content { fixed: true, ..content }, octets).await;
    assert_eq!(link.hash().unwrap(), "3b0df19df882945e936f385c840baf5fc85f97a1");
    for fields in
        [accept_025(), "Accept: audio/amr\r\n".into(), "Accept: image/gif;media-pix-x=max+160\r\n".into()]
    {
        let answer = server.get(&link, &fields).await;
        assert_eq!((answer.status, answer.sha1()), (200, link.hash().unwrap()));
    }
}

#[tokio::test]
async fn the_type_is_kept_unless_the_terminal_can_not_take_it() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    let kept = server.get(&link, "Accept: image/png, image/gif;q=.5;media-pix-x=max+100\r\n").await;
    assert_eq!((kept.field("content-type"), screen(&kept.body).0), (Some("image/gif"), 100));
    let other = server.get(&link, "Accept: image/jpeg;media-pix-x=max+160;media-pix-y=max+120\r\n").await;
    assert_eq!((other.status, other.field("content-type")), (200, Some("image/jpeg")));
    assert!(other.field("content-adapted").unwrap().contains("transcode"));
}

#[tokio::test]
async fn a_terminal_that_was_told_of_another_type_gets_that() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(Content { serve_as: Some("image/jpeg".into()), ..content }, octets).await;
    for fields in [
        "",
        "Accept: */*\r\n",
        "Accept: image/*;media-pix-x=max+160\r\n",
        "Accept: image/jpeg, image/gif\r\n",
    ] {
        let answer = server.get(&link, fields).await;
        assert_eq!((answer.status, answer.field("content-type")), (200, Some("image/jpeg")), "{fields}");
    }
    let answer = server.get(&link, "Accept: image/gif\r\n").await;
    assert_eq!(answer.field("content-type"), Some("image/gif"));
}

#[tokio::test]
async fn an_octet_limit_in_the_fetch_is_held() {
    let server = Server::start(|_| ()).await;
    let photo =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/images/life_640x480.jpg")).unwrap();
    let link = server.put(of("image/jpeg"), photo).await;
    let answer = server.get(&link, "Accept: image/jpeg;length=max-16384;media-pix-x=max+640\r\n").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() < 16_384 && answer.body.len() > 8_000, "{}", answer.body.len());
    let answer =
        server.get(&link, "Accept: image/jpeg\r\nAccept-Encoding: identity;length=max+16384\r\n").await;
    assert!(answer.status == 200 && answer.body.len() <= 16_384);
}

#[tokio::test]
async fn a_script_can_not_run_from_here() {
    let server = Server::start(|_| ()).await;
    for content_type in ["text/html", "image/svg+xml", "application/x-unknown"] {
        let link = server.put(of(content_type), b"<script>alert(1)</script>".to_vec()).await;
        let answer = server.get(&link, "").await;
        assert_eq!(answer.field("content-disposition"), Some("attachment"), "{content_type}");
        assert_eq!(answer.field("content-security-policy"), Some("default-src 'none'; sandbox"));
    }
}

#[tokio::test]
async fn html_becomes_text_in_the_charset_of_the_fetch() {
    let server = Server::start(|_| ()).await;
    let link = server.put(of("text/html; charset=utf-8"), "<p>Größe</p>".into()).await;
    let answer = server.get(&link, "Accept: text/plain\r\nAccept-Charset: iso-8859-1\r\n").await;
    assert_eq!((answer.status, &*answer.body), (200, &b"Gr\xf6\xdfe"[..]), "{}", answer.head);
    assert_eq!(answer.field("content-disposition"), None);
}

#[tokio::test]
async fn a_text_in_any_charset_is_left_alone_when_the_fetch_names_none() {
    let server = Server::start(|_| ()).await;
    let link = server.put(of("text/plain; charset=iso-8859-1"), b"Gr\xf6\xdfe".to_vec()).await;
    let answer = server.get(&link, "Accept: text/plain\r\n").await;
    assert_eq!((answer.status, &*answer.body), (200, &b"Gr\xf6\xdfe"[..]));
}

#[tokio::test]
async fn a_server_without_a_free_worker_says_so() {
    let server = Server::start(|fetching| {
        fetching.deadline = Duration::ZERO;
    })
    .await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    let answer = server.get(&link, &accept_025()).await;
    assert_eq!((answer.status, answer.field("retry-after")), (503, Some("2")));
    assert_eq!(server.get(&link, "").await.status, 200, "what needs no adapting is still served");
}

#[tokio::test]
async fn what_is_too_long_to_adapt_is_refused_and_served_as_it_is() {
    let server = Server::start(|fetching| fetching.adapt_octets = 3000).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    assert_eq!(server.get(&link, &accept_025()).await.status, 406);
    assert_eq!(server.get(&link, "").await.status, 200);
}

#[tokio::test]
async fn a_stored_coding_is_named() {
    let server = Server::start(|_| ()).await;
    let content = Content { content_encoding: Some("gzip".into()), fixed: true, ..of("text/plain") };
    let link = server.put(content, b"\x1f\x8b...".to_vec()).await;
    assert_eq!(server.get(&link, "").await.field("content-encoding"), Some("gzip"));
}

#[tokio::test]
async fn what_is_too_long_to_adapt_but_acceptable_as_it_is_comes_as_it_is() {
    let server = Server::start(|fetching| fetching.adapt_octets = 10).await;
    let link = server.put(of("video/mp4"), vec![7; 100]).await;
    let answer = server.get(&link, "Accept: video/mp4;length=max+100\r\n").await;
    assert_eq!((answer.status, answer.body.len()), (200, 100));
    assert_eq!(server.get(&link, "Accept: video/mp4;length=max+99\r\n").await.status, 406);
    assert_eq!(server.get(&link, "Accept: image/*\r\n").await.status, 406);
}

#[tokio::test]
async fn a_content_that_is_swept_while_it_is_fetched_is_gone_and_no_failure() {
    let asked = Arc::new(AtomicU64::new(0));
    let server = Server::start(|fetching| {
        let asked = asked.clone();
        let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        // The link is alive when it is looked up and has ended when its file is opened.
        fetching.now = Arc::new(move || match asked.fetch_add(1, Ordering::Relaxed) {
            0 => time(START),
            _ => time(START + 400 * 86_400),
        });
    })
    .await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    for folder in std::fs::read_dir(server._dir.path().join("blobs")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
    assert_eq!(server.get(&link, "").await.status, 410);
}

#[tokio::test]
async fn a_token_that_is_no_text_is_a_problem_document_too() {
    let server = Server::start(|_| ()).await;
    let answer = server.ask("GET", "/c/%ff%fe", "").await;
    assert_eq!((answer.status, answer.field("content-type")), (404, Some("application/problem+json")));
}
