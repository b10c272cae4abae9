//! What a link does for whoever opens it, and what operators and other servers do with the store behind it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::harness::http::{fetch, get, send};
use crate::harness::picture::{Picture, picture};
use crate::harness::{self, Line, Phone, Server, phone};
use crate::{SUNSET_SHA1, deliver, example_to, sha1, url_of};

const LINKS: (&str, &str) = ("Accept", "text/plain, message/external-body, image/gif;length=max+0");

/// T14 and draft-coulombe 3.1.3: the link was for two phones, a third one opens it.
#[test]
fn a_third_phone_gets_what_it_can_show_itself() {
    let server = Server::start();
    let url = url_of(example_to(&server, &[LINKS], "020").get("Content-Type"));
    for (accept, kind, width, height) in [
        ("image/gif;media-pix-x=max+80", "image/gif", 80, 60),
        ("image/png;media-pix-x=max+64, image/jpeg;q=0.5", "image/png", 64, 48),
        ("image/jpeg;length=max+3000", "image/jpeg", 0, 0),
    ] {
        let third = get(server.http, &url, &[("Accept", accept)]);
        let got = picture(&third.body);
        assert_eq!(got.kind, kind, "{accept}");
        assert!(width == 0 || got == Picture { kind, width, height }, "{accept}: {got:?}");
        assert_eq!(third.get("Vary"), "Accept, Accept-Encoding, Accept-Charset, User-Agent");
        let tag = third.get("ETag").to_owned();
        let again = get(server.http, &url, &[("Accept", accept), ("If-None-Match", &tag)]);
        assert_eq!((again.status(), again.body.len()), (304, 0));
    }
}

/// T13 with a third phone
#[test]
fn a_picture_of_a_multimedia_message_is_made_to_fit_at_the_fetch() {
    let server = Server::start();
    let received = example_to(&server, &[("Accept", "application/smil, image/jpeg, audio/amr")], "029");
    let smil = String::from_utf8(received.body.clone()).unwrap();
    let fetched = |accept| {
        let urls = smil.split('"').filter(|word| word.starts_with("http://"));
        urls.map(|url| get(server.http, url, &[("Accept", accept)])).collect::<Vec<_>>()
    };
    let fitted = fetched("image/jpeg;media-pix-x=max+100, audio/amr");
    let pictures: Vec<_> = fitted.iter().filter(|part| part.get("Content-Type") == "image/jpeg").collect();
    assert_eq!(pictures.len(), 1);
    assert_eq!(picture(&pictures[0].body).width, 100);
}

#[test]
fn a_person_sees_a_page_and_saves_the_original() {
    let server = Server::start();
    let url = url_of(example_to(&server, &[LINKS], "020").get("Content-Type"));
    let page = get(server.http, &url, &[("Sec-Fetch-Dest", "document")]);
    assert!(page.get("Content-Type").starts_with("text/html"), "{page}");
    assert!(page.get("Content-Security-Policy").starts_with("default-src 'none'"), "{page}");
    let browser = [("Sec-Fetch-Dest", "document"), ("Accept", "text/html,application/xml;q=0.9,*/*;q=0.8")];
    assert_eq!(sha1(&get(server.http, &format!("{url}?raw"), &browser).body), SUNSET_SHA1);
    assert_eq!(get(server.http, &format!("{url}?download"), &[]).get("Content-Disposition"), "attachment");
}

#[test]
fn operators_see_and_end_links() {
    let mut server = Server::start();
    let urls = ["john", "mary"].map(|user| {
        let mut phone = Phone::tcp(user);
        phone.register(&server, &[LINKS]);
        let message = harness::example("020").set("To", &format!("<sip:{user}@example.com>"));
        let message =
            harness::Message { start: format!("MESSAGE sip:{user}@example.com SIP/2.0"), ..message };
        url_of(deliver(&server, &mut phone, &message).0.get("Content-Type"))
    });
    let api = |server: &Server, method: &str, path: &str| {
        let answer = fetch(server.admin, method, &format!("/api/v1/links{path}"), &[]);
        (answer.status(), String::from_utf8(answer.body).unwrap().trim().to_owned())
    };
    let usage = api(&server, "GET", "");
    assert_eq!(
        usage,
        (200, "{\"contents\":1,\"links\":2,\"octets\":3073}".to_owned()),
        "one content for both"
    );
    let token = urls[0].rsplit('/').next().unwrap();
    assert_eq!(api(&server, "DELETE", &format!("/{token}")), (200, "{\"removed\":1}".to_owned()));
    assert_eq!(api(&server, "DELETE", &format!("/{token}")).0, 404);
    assert_eq!(get(server.http, &urls[0], &[]).status(), 410);
    assert_eq!(get(server.http, &urls[1], &[]).status(), 200);
    assert_eq!(api(&server, "DELETE", "?recipient=mary@example.com"), (200, "{\"removed\":1}".to_owned()));
    server.crash_and_restart();
    assert_eq!(urls.map(|url| get(server.http, &url, &[]).status()), [410, 410]);
}

/// CPI.md C5: the server opens no address a sender wrote.
#[test]
fn a_link_that_came_in_becomes_text_and_is_never_opened_here() {
    let server = Server::start();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let url = format!("http://{}/picture.gif", elsewhere.local_addr().unwrap());
    let kind = format!(
        "message/external-body; access-type=\"URL\"; expiration=\"Mon, 24 Jun 2030 09:00:00 GMT\"; URL=\"{url}\"; size=3073"
    );
    let inner = b"Content-Type: image/gif\r\nContent-ID: <a@b>\r\n\r\n";
    let mut john = Phone::tcp("john");
    john.register(&server, &[("Accept", "text/plain")]);
    let (received, answer) = deliver(&server, &mut john, &phone::message_to("john").body(&kind, inner));
    assert_eq!(answer.status(), 200, "{answer}");
    assert!(received.get("Content-Type").starts_with("text/plain"), "{received}");
    assert!(String::from_utf8_lossy(&received.body).contains(&url), "{received}");
    let mut knows = Phone::tcp("knows");
    knows.register(&server, &[("Accept", "text/plain, message/external-body, image/gif")]);
    let (received, _) = deliver(&server, &mut knows, &phone::message_to("knows").body(&kind, inner));
    assert_eq!(received.body, inner, "a phone that knows links gets it as it came");
    assert!(elsewhere.accept().is_err(), "nobody came to where the sender's link points");
}

#[test]
fn clients_that_mean_harm_keep_nobody_from_a_link() {
    let server = Server::start();
    let url = url_of(example_to(&server, &[LINKS], "020").get("Content-Type"));
    let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
    let slow: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(server.http).unwrap();
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Slow: ").as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(get(server.http, &url, &[]).status(), 200, "beside {} who never end their head", slow.len());
    for head in [
        format!("Range: bytes={}\r\n", vec!["0-0"; 1_000_000].join(",")),
        (0..100_000).map(|n| format!("X-{n}: y\r\n")).collect(),
        format!("Accept: {}\r\n", "a".repeat(1_000_000)),
    ] {
        let mut stream = TcpStream::connect(server.http).unwrap();
        // It may be closed before all of it is written.
        let _ = stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n").as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{:?}", answer.get(..60));
    }
    for path in ["/c/../../../etc/passwd", "/c/%2e%2e/%2e%2e/etc/passwd", "/../etc/passwd"] {
        assert_eq!(fetch(server.http, "GET", path, &[]).status(), 404, "{path}");
    }
    assert_eq!(get(server.http, &url, &[]).status(), 200);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn html_and_svg_from_a_sender_run_nowhere() {
    let server = Server::start();
    let mut john = Phone::tcp("john");
    john.register(
        &server,
        &[("Accept", "text/plain;q=0, message/external-body, text/html;length=max+0, image/*;length=max+0")],
    );
    for kind in ["text/html", "image/svg+xml"] {
        let message =
            phone::message_to("john").body(kind, b"<svg onload='alert(1)'><script>alert(1)</script></svg>");
        let (received, _) = deliver(&server, &mut john, &message);
        let content = get(server.http, &url_of(received.get("Content-Type")), &[]);
        assert_eq!(content.get("Content-Disposition"), "attachment", "{kind}");
        assert_eq!(content.get("Content-Security-Policy"), "default-src 'none'; sandbox", "{kind}");
        assert_eq!(content.get("X-Content-Type-Options"), "nosniff", "{kind}");
    }
}

#[test]
fn the_adaptation_protocol_answers_as_it_says() {
    let server = Server::start();
    let picture_020 = harness::example("020").body;
    let adapt = |lines: &[(&str, &str)], body: &[u8]| {
        let lines: Vec<_> = [&[("Content-Type", "image/gif")], lines].concat();
        send(server.admin, "POST", "/adapt", &lines, body)
    };
    let fitted = adapt(&[("Accept", "image/png;media-pix-x=max+80")], &picture_020);
    assert_eq!(fitted.status(), 200, "{fitted}");
    assert_eq!(picture(&fitted.body), Picture { kind: "image/png", width: 80, height: 60 });
    assert!(fitted.get("Content-Digest").starts_with("sha-256=:"), "{fitted}");
    assert!(fitted.get("Content-Adapted").contains("transcode"), "{fitted}");
    assert_eq!(adapt(&[("Accept", "image/gif")], &picture_020).status(), 204);
    let impossible = adapt(&[("Accept", "audio/amr")], &picture_020);
    assert_eq!((impossible.status(), impossible.get("Content-Type")), (406, "application/problem+json"));
    let wrong = [
        ("Accept", "image/png"),
        ("Content-Digest", "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"),
    ];
    assert_eq!(adapt(&wrong, &picture_020).status(), 400);
    let no_time = [("Accept", "image/jpeg;media-pix-x=max+50"), ("Adapt-Deadline", "0")];
    let late = adapt(&no_time, &picture_020);
    assert_eq!((late.status(), late.get("Retry-After")), (503, "2"));
    assert_eq!(adapt(&[("Accept", "image/png"), ("Content-Length", "99999999999")], b"").status(), 413);
    assert_eq!(fetch(server.admin, "GET", "/adapt", &[]).status(), 405);
    assert_eq!(fetch(server.http, "POST", "/adapt", &[]).status(), 404, "it is nothing for the public");
}

#[test]
fn other_servers_adapt_for_this_one_and_their_death_is_no_harm() {
    let mut worker = Server::start();
    let offload = format!("adapt.offload=[\"http://127.0.0.1:9\", \"http://{}\"]", worker.admin);
    let server = Server::with(&[&offload]);
    let accept = ("Accept", "text/plain, image/gif;media-pix-x=max+160;media-pix-y=max+120");
    let mut john = Phone::tcp("john");
    john.register(&server, &[accept]);
    let send = |john: &mut Phone| {
        let (received, answer) = deliver(&server, john, &harness::example("020"));
        assert_eq!(answer.status(), 200, "{answer}");
        assert_eq!(
            picture(&received.body),
            Picture { kind: "image/gif", width: 160, height: 120 },
            "{received}"
        );
        assert!(received.get("Content-Adapted").contains("scale"), "{received}");
        received
    };
    let there = send(&mut john);
    let counted = |server: &Server, line: &str| {
        String::from_utf8(get(server.admin, "http://h/metrics", &[]).body).unwrap().contains(line)
    };
    assert!(counted(&worker, "bespoke_adapt_requests_total{status=\"200\"} 1"));
    assert!(counted(&server, "bespoke_offload_total{result=\"adapted\"} 1"));
    worker.kill();
    let here = send(&mut john);
    assert_eq!(there.body, here.body, "who adapts makes no difference");
    assert!(counted(&server, "bespoke_offload_total{result=\"dead\"}"));
    let _ = Line::tcp(server.sip);
}
