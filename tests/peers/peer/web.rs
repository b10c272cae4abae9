//! Links opened by curl over HTTP/2, and by a person's browser.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::certificates::Authority;
use crate::harness::http::get;
use crate::harness::{self, Line, Phone, Server};

/// The address of the link that john gets in place of example 020.
pub(super) fn link(server: &Server) -> String {
    let mut john = Phone::tcp("john");
    john.register(server, &[("Accept", "text/plain")]);
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&harness::example("020")).octets());
    let text = String::from_utf8(john.take().body).unwrap();
    text.split_whitespace().find(|word| word.starts_with("http")).expect("a link").to_owned()
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn curl_opens_a_link_over_http_2_and_http_1_1_by_tls() {
    let authority = Authority::new();
    let [cert, key] = authority.sign("web", "IP:127.0.0.1").settings();
    let server = Server::with(&["http.tls=true", &cert, &key]);
    let url = link(&server);
    assert!(url.starts_with("https://"), "{url}");
    for (version, says) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", version, "--output", "/dev/null", "--cacert"])
            .arg(authority.root());
        curl.args(["--write-out", "%{http_version} %{http_code} %{content_type} %{size_download}"]);
        let said = run(curl.arg(&url)).stdout;
        assert_eq!(String::from_utf8(said).unwrap(), format!("{says} 200 image/gif 3073"));
    }
}

#[test]
fn chromium_shows_the_page_and_the_picture_in_it() {
    let server = Server::start();
    let url = link(&server);
    let home = tempfile::tempdir().unwrap();
    let shot = home.path().join("shot.png");
    let chromium = |what: &[&str], home: &Path| {
        let mut command = Command::new("chromium");
        command.env("HOME", home).args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]);
        command.arg(format!("--user-data-dir={}", home.display())).args(what).arg(&url);
        run(&mut command)
    };
    let page = String::from_utf8(chromium(&["--dump-dom"], home.path()).stdout).unwrap();
    for part in ["Sunset", "image/gif, 3.0 kB", "<img src=\"?raw\"", "Download"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let to = format!("--screenshot={}", shot.display());
    let said = chromium(&[&to, "--window-size=800,600", "--enable-logging=stderr"], home.path()).stderr;
    let said = String::from_utf8_lossy(&said);
    assert!(!said.contains("Content Security Policy"), "the page breaks no rule of its own: {said}");
    assert!(std::fs::metadata(&shot).unwrap().len() > 5_000, "the picture is in the window");
    let metrics = String::from_utf8(get(server.admin, "http://h/metrics", &[]).body).unwrap();
    let fetched =
        metrics.lines().find(|line| line.starts_with("bespoke_content_fetches_total{status=\"200\"}"));
    let fetched: u32 = fetched.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(fetched >= 3, "two pages, and the picture, which may be kept: {fetched}");
}
