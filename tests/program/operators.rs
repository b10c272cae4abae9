//! A running server as its operators see it.

use std::process::Command;

use crate::harness::http::fetch;
use crate::harness::{Line, Phone, Server, phone};

#[test]
fn health_readiness_metrics_and_a_page_are_served() {
    let server = Server::start();
    for listener in [server.http, server.admin] {
        assert_eq!(fetch(listener, "GET", "/healthz", &[]).status(), 200);
        assert_eq!(fetch(listener, "GET", "/readyz", &[]).status(), 200);
    }
    let page = fetch(server.admin, "GET", "/", &[]);
    assert_eq!((page.status(), page.get("content-type")), (200, "text/html; charset=utf-8"));
    let metrics = fetch(server.admin, "GET", "/metrics", &[]);
    assert!(metrics.get("content-type").starts_with("text/plain"));
    let lost = fetch(server.admin, "GET", "/nowhere", &[]);
    assert_eq!((lost.status(), lost.get("content-type")), (404, "application/problem+json"));
    assert_eq!(fetch(server.http, "GET", "/metrics", &[]).status(), 404, "metrics are not public");
}

#[test]
fn a_request_counts_in_the_metrics() {
    let server = Server::start();
    Phone::udp("john").register(&server, &[]);
    let metrics = fetch(server.admin, "GET", "/metrics", &[]);
    let text = String::from_utf8(metrics.body).unwrap();
    assert!(text.contains("bespoke_requests_total{method=\"REGISTER\"} 1"), "{text}");
}

#[test]
fn the_operators_listener_asks_for_its_token_but_not_for_health() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("admin.token");
    std::fs::write(&file, "open sesame\n").unwrap();
    let server = Server::with(&[&format!("admin.token_file={}", file.display())]);
    assert_eq!(fetch(server.admin, "GET", "/healthz", &[]).status(), 200);
    let refused = fetch(server.admin, "GET", "/metrics", &[]);
    assert_eq!((refused.status(), refused.get("www-authenticate")), (401, "Bearer"));
    let wrong = [("Authorization", "Bearer open sesam")];
    assert_eq!(fetch(server.admin, "GET", "/metrics", &wrong).status(), 401);
    let right = [("Authorization", "Bearer open sesame")];
    assert_eq!(fetch(server.admin, "GET", "/metrics", &right).status(), 200);
}

#[test]
fn sigterm_ends_the_server_with_0_after_what_it_has_begun() {
    let mut server = Server::start();
    Phone::udp("john").register(&server, &[]);
    assert_eq!(server.terminate(), Some(0), "{}", server.log());
}

#[test]
fn two_servers_on_one_data_dir_or_one_port_say_so() {
    let server = Server::start();
    let run = |set: &[String]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bespoke"));
        for set in set {
            command.args(["--set", set]);
        }
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let free = ["sip.listen=udp:127.0.0.1:0", "http.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0"];
    let mut same_folder: Vec<String> = free.iter().map(|&text| text.to_owned()).collect();
    same_folder.push(format!("data_dir={}", server.data_dir().display()));
    let (code, said) = run(&same_folder);
    assert_eq!(code, Some(1));
    assert!(said.contains("another bespoke runs on it"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let same_port = [
        format!("sip.listen=udp:{}", server.sip),
        free[1].to_owned(),
        free[2].to_owned(),
        format!("data_dir={}", folder.path().join("data").display()),
    ];
    let (code, said) = run(&same_port);
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("udp:{}", server.sip)), "{said}");
}

#[test]
fn the_log_has_one_line_for_a_message_and_names_nobody() {
    let server = Server::start();
    let mut john = Phone::tcp("john");
    john.register(&server, &[]);
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&phone::message_to("john").body("text/plain", b"secret words")).octets());
    john.take();
    assert_eq!(sender.final_response().status(), 200);
    drop(sender);
    let mut server = server;
    server.terminate();
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("MESSAGE")).count();
    assert_eq!(lines, 1, "{log}");
    assert!(!log.contains("john") && !log.contains("alice") && !log.contains("secret"), "{log}");
}

#[test]
fn an_opened_log_shows_who_and_to_whom() {
    let mut server = Server::with(&["log.redact=false"]);
    let mut john = Phone::tcp("john");
    john.register(&server, &[]);
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&phone::message_to("john").body("text/plain", b"secret words")).octets());
    john.take();
    assert_eq!(sender.final_response().status(), 200);
    server.terminate();
    let log = server.log();
    let line = log.lines().find(|line| line.contains("MESSAGE")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("sip:john@example.com") && line.contains("sip:alice@example.org"), "{line}");
    assert!(!log.contains("secret"), "bodies are never shown");
}

#[test]
fn sighup_takes_over_a_changed_config_and_refuses_a_wrong_one() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.toml");
    let sockets = "[sip]\nlisten = \"udp:127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
                   [admin]\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(&file, format!("data_dir = \"data\"\n{sockets}")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_bespoke"))
        .args(["-c", "b.toml"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line == "ready"));
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let hang_up = |text: String| {
        std::fs::write(&file, text).unwrap();
        let sent = Command::new("kill").args(["-s", "HUP", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    };
    let mut next = |words: &str| log.find(|line| line.contains(words)).unwrap();

    hang_up(format!("data_dir = \"data\"\n{sockets}[cpi]\ntiers = \"minimal\"\n[content]\nttl = \"1d\"\n"));
    assert!(next("in force from now on").contains("cpi.tiers"));
    assert!(next("after a restart only").contains("content.ttl"));
    hang_up(format!("{sockets}[cpi]\ntiers = \"lowest\"\n"));
    assert!(next("the old one stays in force").contains("b.toml:8:9: cpi.tiers: unknown value `lowest`"));

    let sent = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
