//! Contents that a sender only named, for phones that don't know such parts (`fetch.allow`, RFC 4483 §7).

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::picture::{Picture, picture};
use crate::harness::{self, Message, Phone, Server, phone};
use crate::{SUNSET_SHA1, deliver, parts};

/// A web server of somebody else's.
struct Origin {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Origin {
    /// Answers each path with what `answer` says: head lines and body.
    fn start(answer: impl Fn(&str) -> (String, Vec<u8>) + Send + Sync + 'static) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (counted, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || serve(stream, &*answer));
            }
        });
        Origin { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&str) -> (String, Vec<u8>)) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(path) = lines.next().and_then(|first| Some(first.split(' ').nth(1)?.to_owned())) else { return };
    let _rest_of_the_head = lines.take_while(|line| !line.is_empty()).count();
    let (head, body) = answer(&path);
    if head == "never" {
        // Until the other end has enough of it.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
        return;
    }
    let _ = stream
        .write_all(&[format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes(), &body].concat());
}

fn gif() -> Vec<u8> {
    harness::example("020").body
}

fn ok(kind: &str, body: Vec<u8>) -> (String, Vec<u8>) {
    (format!("200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}", body.len()), body)
}

const INNER: &[u8] = b"Content-Type: image/gif\r\nContent-ID: <a@b>\r\n\r\n";

fn external(url: &str, more: &str) -> String {
    format!(
        "message/external-body; access-type=\"URL\"; expiration=\"Mon, 24 Jun 2030 09:00:00 GMT\"; URL=\"{url}\"{more}"
    )
}

fn phone_without_links(server: &Server) -> Phone {
    let john = Phone::tcp("john");
    john.register(server, &[("Accept", "text/plain, multipart/mixed, image/gif;media-pix-x=max+160")]);
    john
}

fn told(server: &Server, john: &mut Phone, url: &str, more: &str) -> Message {
    let (received, answer) =
        deliver(server, john, &phone::message_to("john").body(&external(url, more), INNER));
    assert_eq!(answer.status(), 200, "{answer}");
    received
}

#[test]
fn a_listed_content_comes_in_the_message_and_fits() {
    let origin = Origin::start(|_| ok("image/gif", gif()));
    let patient = ["adapt.deadline=20s", "fetch.timeout=10s"];
    let server = Server::with(&[&format!("fetch.allow=[\"{}\"]", origin.address), patient[0], patient[1]]);
    let mut john = phone_without_links(&server);
    let url = format!("http://{}/sunset.gif", origin.address);
    let received = told(&server, &mut john, &url, &format!("; size=3073; hash={SUNSET_SHA1}"));
    assert_eq!(received.get("Content-Type"), "image/gif", "{received}");
    assert_eq!(picture(&received.body), Picture { kind: "image/gif", width: 160, height: 120 });
    let notes = received.get("Content-Adapted");
    assert!(notes.contains("ops=\"fetch\";type=\"message/external-body\""), "{notes}");
    assert_eq!(received.get("Content-ID"), "<a@b>");

    let link = external(&url, "");
    let body = [
        b"--b\r\n\r\nLook:\r\n--b\r\nContent-Type: ".as_slice(),
        link.as_bytes(),
        b"\r\n\r\n",
        INNER,
        b"\r\n--b--\r\n",
    ];
    let mixed = phone::message_to("john").body("multipart/mixed; boundary=b", &body.concat());
    let (received, _) = deliver(&server, &mut john, &mixed);
    let parts = parts(&received);
    assert_eq!(parts[0].body, b"Look:");
    assert_eq!(picture(&parts[1].body).width, 160);
    assert_eq!(origin.asked(), 2);

    let mut knows = Phone::tcp("knows");
    knows.register(&server, &[("Accept", "text/plain, message/external-body, image/gif")]);
    let kind = external(&url, "");
    let (received, _) = deliver(&server, &mut knows, &phone::message_to("knows").body(&kind, INNER));
    assert_eq!(received.body, INNER, "who knows links fetches by himself");
    assert_eq!(origin.asked(), 2);
}

#[test]
fn what_is_not_listed_or_not_what_was_named_stays_a_link() {
    let inside = Origin::start(|_| ok("image/gif", gif()));
    let hidden = inside.address;
    let origin = Origin::start(move |path| match path {
        "/elsewhere" => {
            (format!("302 Found\r\nLocation: http://{hidden}/secret\r\nContent-Length: 0"), vec![])
        }
        "/file" => ("302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0".to_owned(), vec![]),
        "/loop" => ("302 Found\r\nLocation: /loop\r\nContent-Length: 0".to_owned(), vec![]),
        "/html" => ok("text/html", gif()),
        "/coded" => ("200 OK\r\nContent-Type: image/gif\r\nContent-Encoding: gzip".to_owned(), gif()),
        "/long" => ("200 OK\r\nContent-Type: image/gif".to_owned(), vec![0; 300 << 10]),
        "/gone" => ("404 Not Found\r\nContent-Length: 0".to_owned(), vec![]),
        "/never" => ("never".to_owned(), vec![]),
        _ => ok("image/gif", gif()),
    });
    let server = Server::with(&[
        &format!("fetch.allow=[\"{}\"]", origin.address),
        "fetch.max_item=256KiB",
        "fetch.timeout=500ms",
    ]);
    let mut john = phone_without_links(&server);
    let listed = |path: &str| format!("http://{}{path}", origin.address);
    for (url, more) in [
        (format!("http://{hidden}/secret"), ""),
        (format!("http://{}@{hidden}/secret", origin.address), ""),
        (format!("http://me:you@{}/", origin.address), ""),
        (listed("/elsewhere"), ""),
        (listed("/file"), ""),
        (listed("/loop"), ""),
        (listed("/html"), ""),
        (listed("/coded"), ""),
        (listed("/long"), ""),
        (listed("/gone"), ""),
        (listed("/never"), ""),
        (listed("/a.gif"), "; size=3072"),
        (listed("/b.gif"), "; hash=0000000000000000000000000000000000000000"),
    ] {
        let received = told(&server, &mut john, &url, more);
        assert!(received.get("Content-Type").starts_with("text/plain"), "{url}: {received}");
        assert!(String::from_utf8_lossy(&received.body).contains(&url), "{url}: {received}");
    }
    assert_eq!(inside.asked(), 0, "nobody came to where it was not listed");
    assert!(!server.log().contains("/never"), "a URL is somebody's secret: {}", server.log());
}
