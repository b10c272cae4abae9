//! What a URL may and may not reach.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Names of one test.
#[derive(Default)]
struct Book(Mutex<HashMap<String, Vec<std::net::IpAddr>>>);

impl Book {
    fn with(names: &[(&str, &str)]) -> Arc<Book> {
        let book = Book::default();
        for (name, address) in names {
            book.0.lock().unwrap().entry((*name).to_owned()).or_default().push(address.parse().unwrap());
        }
        Arc::new(book)
    }
}

impl Names for Book {
    fn lookup(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let found = self.0.lock().unwrap().get(&host).cloned();
        Box::pin(async move {
            let found = found.ok_or(io::ErrorKind::NotFound)?;
            Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
        })
    }
}

fn settings(allow: &[impl AsRef<str>]) -> Settings {
    Settings {
        allow: allow.iter().map(|entry| entry.as_ref().parse().unwrap()).collect(),
        networks: Vec::new(),
        imap: Vec::new(),
        folder: None,
        octets: 1000,
        deadline: Duration::from_secs(5),
        trust: crate::trust(None).unwrap(),
        contact: "annc@example.com".to_owned(),
        connections: [4, 4],
    }
}

fn order(play: &str) -> Order {
    let escaped: String = play
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    Order::read(&format!("sip:annc@h;play={escaped}").parse().unwrap()).unwrap()
}

async fn fetch(settings: Settings, names: &[(&str, &str)], play: &str) -> Result<Content, SourceError> {
    Sources::new(settings, Book::with(names)).unwrap().fetch(&order(play)).await
}

/// A server on the loopback that answers every connection with that, and its port.
async fn server(answer: impl Into<String>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = answer.into();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 2000];
            let _asked = stream.read(&mut request).await;
            let _answered = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: audio/basic\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn moved(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn an_object_on_the_list_is_fetched_with_its_type() {
    let port = server(ok("abc")).await;
    let url = format!("http://127.0.0.1:{port}");
    let content = fetch(settings(&[&url]), &[], &format!("{url}/a.ul")).await.unwrap();
    assert_eq!((&content.octets[..], content.media_type.as_str()), (&b"abc"[..], "audio/basic"));
}

#[tokio::test]
async fn nothing_is_fetched_from_a_host_a_port_or_a_scheme_that_is_not_listed() {
    let port = server(ok("secret")).await;
    let list = settings(&[format!("http://media.example:{port}")]);
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://media.example.evil:{port}/"),
        format!("https://media.example:{port}/"),
        "http://media.example/".to_owned(),
        "imap://media.example/INBOX/;uid=1;urlauth=anonymous:internal:1".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let outcome = fetch(list.clone(), &[("localhost", "127.0.0.1")], &url).await;
        assert!(matches!(outcome, Err(SourceError::NotAllowed)), "{url}: {outcome:?}");
    }
    for url in ["ftp://media.example/", "gopher://x/", "nonsense", "/etc/passwd", "//media.example/"] {
        let outcome = fetch(list.clone(), &[], url).await;
        assert!(matches!(outcome, Err(SourceError::Url(_))), "{url}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_listed_name_that_leads_inside_is_not_followed() {
    let port = server(ok("secret")).await;
    let list = settings(&[format!("http://media.example:{port}"), format!("imap://media.example:{port}")]);
    for address in
        ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "fd00::1", "64:ff9b::7f00:1"]
    {
        let http =
            fetch(list.clone(), &[("media.example", address)], &format!("http://media.example:{port}/"))
                .await;
        assert!(matches!(http, Err(SourceError::NotAllowed)), "{address}: {http:?}");
        let url = format!("imap://media.example:{port}/INBOX/;uid=1;urlauth=anonymous:internal:1");
        let imap = fetch(list.clone(), &[("media.example", address)], &url).await;
        assert!(matches!(imap, Err(SourceError::NotAllowed)), "{address}: {imap:?}");
    }
    let meant = Settings { networks: vec!["127.0.0.0/8".parse().unwrap()], ..list };
    let both = [("media.example", "10.0.0.1"), ("media.example", "127.0.0.1")];
    assert!(fetch(meant, &both, &format!("http://media.example:{port}/")).await.is_ok());
}

#[tokio::test]
async fn a_redirection_leads_to_what_is_listed_and_nowhere_else() {
    let secret = server(ok("secret")).await;
    let to = |place: &str| format!("http://{place}:{secret}/");
    for target in [
        to("127.0.0.1"),
        to("localhost"),
        "file:///etc/passwd".into(),
        "imap://h/".into(),
        to("u:p@media.example"),
    ] {
        let port = server(moved(&target)).await;
        let url = format!("http://127.0.0.1:{port}");
        let list = settings(&[url.clone(), format!("http://media.example:{secret}")]);
        let outcome = fetch(list, &[("localhost", "127.0.0.1")], &url).await;
        assert!(
            matches!(outcome, Err(SourceError::NotAllowed | SourceError::Url(_))),
            "{target}: {outcome:?}"
        );
    }
    let port = server(moved(&to("127.0.0.1"))).await;
    let url = format!("http://127.0.0.1:{port}");
    let content = fetch(settings(&[url.clone(), to("127.0.0.1")]), &[], &url).await;
    assert_eq!(&content.unwrap().octets[..], b"secret");
}

#[tokio::test]
async fn redirections_without_an_end_are_given_up() {
    let port = server(moved("/again")).await;
    let url = format!("http://127.0.0.1:{port}");
    let outcome = fetch(settings(&[&url]), &[], &url).await;
    assert!(matches!(outcome, Err(SourceError::NotRetrieved(_))), "{outcome:?}");
}

#[tokio::test]
async fn credentials_in_a_url_are_refused() {
    let list = settings(&["http://127.0.0.1:9", "imap://127.0.0.1:9"]);
    for url in ["http://u@127.0.0.1:9/", "http://u:p@127.0.0.1:9/", "http://:p@127.0.0.1:9/"] {
        assert!(matches!(fetch(list.clone(), &[], url).await, Err(SourceError::Url(_))), "{url}");
    }
    let url = "imap://u:p@127.0.0.1:9/INBOX/;uid=1;urlauth=anonymous:internal:1";
    assert!(matches!(fetch(list, &[], url).await, Err(SourceError::Url(_))));
}

#[tokio::test]
async fn what_is_too_long_is_not_read_to_its_end() {
    let url = format!("http://127.0.0.1:{}", server(ok(&"x".repeat(1001))).await);
    assert!(matches!(fetch(settings(&[&url]), &[], &url).await, Err(SourceError::TooLarge(1000))));
}

#[tokio::test]
async fn statuses_tell_what_is_not_there_from_what_went_wrong() {
    for (status, is_found) in
        [("404 Not Found", false), ("410 Gone", false), ("500 Oops", true), ("403 No", true)]
    {
        let url = format!(
            "http://127.0.0.1:{}",
            server(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).await
        );
        let outcome = fetch(settings(&[&url]), &[], &url).await;
        assert_eq!(matches!(outcome, Err(SourceError::NotRetrieved(_))), is_found, "{status}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_costs_the_deadline_and_no_more() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    let list = settings(&[format!("imap://{place}")]);
    let url = format!("imap://{place}/INBOX/;uid=1;urlauth=anonymous:internal:1");
    let begun = tokio::time::Instant::now();
    assert!(matches!(fetch(list, &[], &url).await, Err(SourceError::Late)));
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn a_url_for_users_is_not_even_asked_for_without_being_one() {
    // Port 9 takes no connection: an answer at once shows that none was tried.
    let list = settings(&["imap://127.0.0.1:9"]);
    for access in ["authuser", "stream", "user+bob", "submit+bob"] {
        let url = format!("imap://a@127.0.0.1:9/INBOX/;uid=1;urlauth={access}:internal:1");
        let outcome = fetch(list.clone(), &[], &url).await;
        assert!(matches!(outcome, Err(SourceError::NotAuthorized)), "{access}: {outcome:?}");
    }
}

fn folder() -> (tempfile::TempDir, Settings) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("played");
    std::fs::create_dir_all(root.join("provisioned/en_GB")).unwrap();
    std::fs::write(root.join("a b.ul"), "plain").unwrap();
    std::fs::write(root.join("provisioned/7.wav"), "any").unwrap();
    std::fs::write(root.join("provisioned/en_GB/7.au"), "british").unwrap();
    std::fs::write(root.join("long.wav"), vec![0; 1001]).unwrap();
    std::fs::write(dir.path().join("secret.wav"), "secret").unwrap();
    std::os::unix::fs::symlink(dir.path().join("secret.wav"), root.join("link.wav")).unwrap();
    let settings = Settings { folder: Some(root), ..settings(&[] as &[&str]) };
    (dir, settings)
}

#[tokio::test]
async fn files_are_of_the_folder() {
    let (_dir, settings) = folder();
    let content = fetch(settings.clone(), &[], "file:///a%20b.ul").await.unwrap();
    assert_eq!((&content.octets[..], content.media_type.as_str()), (&b"plain"[..], "audio/basic"));
    for url in [
        "file:///../secret.wav",
        "file:///%2e%2e/secret.wav",
        "file:///..%2fsecret.wav",
        "file:///link.wav",
        "file:///etc/passwd",
        "file:///",
        "file:///provisioned",
        "file:///nothing.wav",
        "file://elsewhere/a.wav",
    ] {
        let outcome = fetch(settings.clone(), &[], url).await;
        assert!(
            matches!(outcome, Err(SourceError::NotFound(_) | SourceError::NotAllowed)),
            "{url}: {outcome:?}"
        );
    }
    assert!(matches!(fetch(settings, &[], "file:///long.wav").await, Err(SourceError::TooLarge(1000))));
}

#[tokio::test]
async fn a_provisioned_announcement_speaks_the_language_that_is_nearest() {
    let (_dir, settings) = folder();
    let sources = Sources::new(settings, Book::with(&[])).unwrap();
    for (locale, expected) in
        [("", "any"), ("de", "any"), ("en_GB", "british"), ("en", "british"), ("en_CA", "british")]
    {
        let mut order = order("/provisioned/7");
        order.locale = Some(locale.to_owned()).filter(|locale| !locale.is_empty());
        assert_eq!(&sources.fetch(&order).await.unwrap().octets[..], expected.as_bytes(), "{locale}");
    }
    for bad in ["/provisioned/", "/provisioned/..", "/provisioned/a/b"] {
        assert!(matches!(sources.fetch(&order(bad)).await, Err(SourceError::Url(_))), "{bad}");
    }
    assert!(matches!(sources.fetch(&order("/provisioned/8")).await, Err(SourceError::NotFound(_))));
}
