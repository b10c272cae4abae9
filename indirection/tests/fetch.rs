//! Fetches over real sockets, by a client that writes HTTP itself.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use indirection::Content;

use support::{Answer, START, Server, of};

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
async fn a_browser_that_asks_for_the_content_itself_gets_the_original() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    let browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
                   Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\n";
    let raw = server.ask("GET", &format!("/c/{}?raw", link.token), browser).await;
    assert_eq!(raw.sha1(), "3b0df19df882945e936f385c840baf5fc85f97a1");
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
    for folder in std::fs::read_dir(server.dir.as_ref().unwrap().path().join("blobs")).unwrap() {
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

#[tokio::test]
async fn who_has_the_representation_gets_304_and_who_wants_another_412() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    let mut tags = Vec::new();
    for fields in [String::new(), accept_025()] {
        let first = server.get(&link, &fields).await;
        let etag = first.field("etag").unwrap().to_owned();
        let again = server.get(&link, &format!("{fields}If-None-Match: \"x\", W/{etag}\r\n")).await;
        assert_eq!((again.status, again.body.len(), again.field("etag")), (304, 0, Some(&*etag)));
        assert_eq!(again.field("vary"), first.field("vary"));
        let other = server.get(&link, &format!("{fields}If-Match: \"x\"\r\n")).await;
        assert_eq!((other.status, other.field("content-type")), (412, Some("application/problem+json")));
        tags.push(etag);
    }
    assert_ne!(tags[0], tags[1], "the original and what is made of it are two representations");
}

#[tokio::test]
async fn ranges_of_the_original_and_of_a_variant_are_cut_out_of_them() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    for fields in [String::new(), accept_025()] {
        let whole = server.get(&link, &fields).await;
        assert_eq!(whole.field("accept-ranges"), Some("bytes"));
        let all = whole.body.len();
        let part = server.get(&link, &format!("{fields}Range: bytes=100-199\r\n")).await;
        assert_eq!((part.status, &*part.body), (206, &whole.body[100..200]));
        assert_eq!(part.field("content-range"), Some(&*format!("bytes 100-199/{all}")));
        assert_eq!((part.field("etag"), part.field("content-length")), (whole.field("etag"), Some("100")));
        let last = server.get(&link, &format!("{fields}Range: bytes=-5\r\n")).await;
        assert_eq!((last.status, &*last.body), (206, &whole.body[all - 5..]));
        let beyond = server.get(&link, &format!("{fields}Range: bytes={all}-\r\n")).await;
        let place = format!("bytes */{all}");
        assert_eq!((beyond.status, beyond.field("content-range")), (416, Some(&*place)));
        let many = server.get(&link, &format!("{fields}Range: bytes=0-1,10-12\r\n")).await;
        assert_eq!(many.status, 206);
        assert_eq!(many.field("content-length").unwrap(), many.body.len().to_string());
        assert!(many.field("content-type").unwrap().starts_with("multipart/byteranges; boundary="));
        let piece = [b"bytes 10-12/", all.to_string().as_bytes(), b"\r\n\r\n", &whole.body[10..13]].concat();
        assert!(many.body.windows(piece.len()).any(|part| part == piece));
        let stale = server.get(&link, &format!("{fields}Range: bytes=0-1\r\nIf-Range: \"x\"\r\n")).await;
        assert_eq!((stale.status, stale.body.len()), (200, all));
    }
}

/// Makes sound for phones, and counts how often.
#[derive(Default)]
struct Counting(AtomicU64);

impl adapter::Converter for Counting {
    fn probe(&self, media_type: &str, _: &Bytes) -> Option<adapter::Traits> {
        (media_type == "audio/basic").then(adapter::Traits::default)
    }

    fn offers(&self, _: &str, _: &Bytes, _: &dyn Fn(&str) -> Vec<adapter::Want>) -> Vec<adapter::Offer> {
        vec![adapter::Offer { media_type: "audio/amr".into(), octets: 3, ..adapter::Offer::default() }]
    }

    fn convert(
        &self,
        _: &Bytes,
        _: &str,
        _: &adapter::Offer,
        _: Option<u64>,
        _: &dyn Fn() -> bool,
    ) -> Result<adapter::Product, adapter::JobError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(adapter::Product {
            media_type: "audio/amr".into(),
            bytes: (&b"AMR"[..]).into(),
            pixels: None,
            quality: None,
            ops: vec!["transcode"],
            work: adapter::image::Work::default(),
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_fetches_at_once_do_the_work_of_one() {
    let counting = Arc::new(Counting::default());
    let server = Server::start(|fetching| {
        fetching.settings.converters = adapter::Converters(Arc::new([counting.clone() as _]));
    })
    .await;
    let link = server.put(of("audio/basic"), vec![0; 5000]).await;
    let server = Arc::new(server);
    let all: Vec<_> = (0..100)
        .map(|_| {
            let (server, link) = (server.clone(), link.clone());
            tokio::spawn(async move { server.get(&link, "Accept: audio/amr;length=max+100\r\n").await })
        })
        .collect();
    for one in all {
        assert_eq!(&*one.await.unwrap().body, b"AMR");
    }
    let again = "accept:audio/amr ; length=max+100\r\nUser-Agent: other\r\n";
    assert_eq!(&*server.get(&link, again).await.body, b"AMR", "said in other words, and from the cache");
    assert_eq!(counting.0.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_was_made_outlives_a_restart_and_goes_with_its_content() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    assert_eq!(server.get(&link, &accept_025()).await.status, 200);
    let variants = server.dir.as_ref().unwrap().path().join("variants");
    let count = || std::fs::read_dir(&variants).unwrap().count();
    assert_eq!(count(), 1);
    assert!(server.store.revoke(&link.token, support::time(START)).await.unwrap());
    assert_eq!((server.get(&link, "").await.status, count()), (410, 0));
}

#[tokio::test]
async fn a_client_that_can_not_set_headers_says_it_in_the_query() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    let path = format!("/c/{}?accept=image/gif;media-pix-x=max%2B80", link.token);
    assert_eq!(screen(&server.ask("GET", &path, "Accept: image/png\r\n").await.body), (80, 60));
}

#[tokio::test]
async fn a_terminal_known_by_its_name_gets_what_its_profile_takes() {
    let profile = cpi::decode::from_headers(
        [(&b"Accept"[..], &b"image/gif;media-pix-x=max+80"[..])],
        &cpi::Extensions::NONE,
    );
    let server = Server::start(|fetching| {
        fetching.profiles = [("Nokia7650*".to_owned(), profile.0)].into_iter().collect();
    })
    .await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    let named = server.get(&link, "User-Agent: Nokia7650/1.0\r\nAccept: */*\r\n").await;
    assert_eq!(screen(&named.body), (80, 60));
    let says = "User-Agent: Nokia7650/1.0\r\nAccept: image/gif\r\n";
    assert_eq!(screen(&server.get(&link, says).await.body), (320, 240), "what it says itself counts more");
}

#[tokio::test]
async fn a_person_who_opens_a_link_sees_a_page_and_no_octets() {
    let server = Server::start(|_| ()).await;
    let (mut content, octets) = sunset();
    content.description = Some("<script>alert('Sun & sea')</script>".into());
    let link = server.put(content, octets).await;
    for opens in [
        "Sec-Fetch-Dest: document\r\nAccept: */*\r\n",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n",
    ] {
        let page = server.get(&link, opens).await;
        assert_eq!((page.status, page.field("content-type")), (200, Some("text/html; charset=utf-8")));
        let text = String::from_utf8(page.body.clone()).unwrap();
        assert!(text.contains("&lt;script&gt;alert(&#39;Sun &amp; sea&#39;)&lt;/script&gt;"), "{text}");
        assert!(!text.contains("<script"), "{text}");
        for part in ["image/gif, 3.0 kB", "<img src=\"?raw\"", "href=\"?download\""] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let policy = page.field("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; img-src 'self'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(page.field("referrer-policy"), Some("no-referrer"));
    }
    for takes in [
        "Sec-Fetch-Dest: image\r\nAccept: image/avif,image/*,*/*;q=0.8\r\n",
        "Accept: */*\r\n",
        "Accept: text/html;q=0.5, image/gif\r\n",
    ] {
        assert_eq!(server.get(&link, takes).await.field("content-type"), Some("image/gif"), "{takes}");
    }
    let saved =
        server.ask("GET", &format!("/c/{}?download", link.token), "Sec-Fetch-Dest: document\r\n").await;
    assert_eq!((saved.body.len(), saved.field("content-disposition")), (3073, Some("attachment")));
}

#[tokio::test]
async fn hostile_fetches_are_harmless() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    let svg = server.put(of("image/svg+xml"), b"<svg onload='alert(1)'/>".to_vec()).await;
    let page = server.get(&svg, "Sec-Fetch-Dest: document\r\n").await;
    assert!(!String::from_utf8_lossy(&page.body).contains("<img"), "a picture with script is not shown");
    for path in ["/c/../../etc/passwd", "/c/..%2f..%2fetc%2fpasswd", "/c/", "/c/%00", "/c//etc/passwd"] {
        let answer = server.ask("GET", path, "").await;
        assert!(answer.status == 404, "{path}: {}", answer.status);
    }
    let pieces = format!("Range: bytes={}\r\n", vec!["0-0"; 10_000].join(","));
    let answer = server.get(&link, &pieces).await;
    assert_eq!(
        (answer.status, answer.body.len()),
        (200, 3073),
        "more pieces than anyone needs are the whole"
    );
    let entries = vec!["image/gif;media-pix-x=max+1"; 2000].join(", ");
    let answer = server.get(&link, &format!("Accept: {entries}\r\n")).await;
    assert!(matches!(answer.status, 200 | 406 | 431), "{}", answer.status);
}

/// Head and body of an example message.
fn halves(name: &str) -> (String, Vec<u8>) {
    let octets = message(name);
    let end = octets.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    (String::from_utf8(octets[..end].to_vec()).unwrap(), octets[end + 4..].to_vec())
}

#[tokio::test]
async fn a_multimedia_message_behind_one_link_is_shown_where_no_multipart_is() {
    let server = Server::start(|_| ()).await;
    let (head, body) = halves("029-message-smil-original.msg");
    let content_type = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).unwrap();
    let link = server.put(of(content_type), body.clone()).await;
    let takes = "Accept: application/smil, image/jpeg;media-pix-x=max+100, audio/amr\r\n";
    let smil = server.get(&link, takes).await;
    assert_eq!((smil.status, smil.field("content-type")), (200, Some("application/smil")), "{}", smil.head);
    let text = String::from_utf8(smil.body).unwrap();
    let (base, rest) = link.url.split_once("/c/").unwrap();
    let urls: Vec<&str> = text.split('"').filter(|word| word.starts_with(base)).collect();
    assert_eq!(urls.len(), 2, "{text}");
    assert!(urls.iter().all(|url| url.contains(&format!("/c/{rest}/1."))), "{text}");
    let path = |url: &str| url.strip_prefix(base).unwrap().to_owned();
    let mut kinds = Vec::new();
    for url in urls {
        let part = server.ask("GET", &path(url), takes).await;
        assert_eq!(part.status, 200, "{}", part.head);
        kinds.push(part.field("content-type").unwrap().to_owned());
        let range = server.ask("GET", &path(url), &format!("{takes}Range: bytes=0-1\r\n")).await;
        assert_eq!((range.status, &*range.body), (206, &part.body[..2]));
        let original = server.ask("GET", &path(url), "").await;
        assert!(body.windows(original.body.len()).any(|w| w == original.body), "a part as it was sent");
    }
    kinds.sort();
    assert_eq!(kinds, ["audio/amr", "image/jpeg"]);
    for none in ["1", "1.9", "1.1.1", "x", "../key", "1.2/", ""] {
        assert_eq!(
            server.ask("GET", &format!("/c/{}/{none}", link.token), takes).await.status,
            404,
            "{none}"
        );
    }
    let again = server.put(of(content_type), body.clone()).await;
    let other = String::from_utf8(server.get(&again, takes).await.body).unwrap();
    assert!(!other.contains(rest) && other.contains(&again.token.to_string()), "no link gives another away");
    server.store.revoke(&link.token, support::time(START)).await.unwrap();
    assert_eq!(server.ask("GET", &format!("/c/{}/1.2", link.token), takes).await.status, 410);
    let fixed = server.put(Content { fixed: true, ..of(content_type) }, body).await;
    assert_eq!(server.ask("GET", &format!("/c/{}/1.2", fixed.token), takes).await.status, 404);
}

#[tokio::test]
async fn the_same_words_get_the_same_answer_and_no_other_link_s() {
    let server = Server::start(|_| ()).await;
    let (content, octets) = sunset();
    let link = server.put(content, octets).await;
    let first = server.get(&link, &accept_025()).await;
    let etag = first.field("etag").unwrap().to_owned();
    let lines = |answer: &Answer| {
        let lines = answer.head.lines().filter(|line| !line.starts_with("date")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    let again = server.get(&link, &accept_025()).await;
    assert_eq!((lines(&again), &again.body), (lines(&first), &first.body));
    let known = server.get(&link, &format!("{}If-None-Match: {etag}\r\n", accept_025())).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    let part = server.get(&link, &format!("{}Range: bytes=1-2\r\n", accept_025())).await;
    assert_eq!((part.status, &*part.body), (206, &first.body[1..3]));
    let head = server.ask("HEAD", &format!("/c/{}", link.token), &accept_025()).await;
    assert_eq!((lines(&head), head.body.len()), (lines(&first), 0));
    assert_eq!(screen(&server.get(&link, "Accept: image/gif;media-pix-x=max+80\r\n").await.body), (80, 60));
    server.now.store(START + 7 * 86_400 + 1, Ordering::Relaxed);
    assert_eq!(
        server.get(&link, &accept_025()).await.status,
        410,
        "an answer that is ready ends with its link"
    );
}
