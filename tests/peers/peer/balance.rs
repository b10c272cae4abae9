//! Adaptation servers behind an HTTP load balancer of others (draft-coulombe 5.2): nginx.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::harness::certificates::Authority;
use crate::harness::picture::{Picture, picture};
use crate::harness::server::free_port;
use crate::harness::{self, Line, Message, Phone, Server, eventually};

/// nginx before those servers; it ends with this value.
struct Balancer {
    address: std::net::SocketAddr,
    dir: tempfile::TempDir,
    child: Child,
}

impl Balancer {
    fn before(servers: &[&Server]) -> Balancer {
        let (dir, address) = (tempfile::tempdir().unwrap(), free_port());
        let each = servers.iter().map(|server| format!("server {} max_fails=0;", server.admin));
        let folder = dir.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {folder}/{kind};"))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  {temporary} client_max_body_size 32m;
  log_format told '$status $http_traceparent $http_content_digest';
  access_log {folder}/access.log told;
  upstream adapting {{ {servers} }}
  server {{ listen {address}; location / {{
    proxy_pass http://adapting; proxy_next_upstream error timeout http_503 non_idempotent; }} }}
}}",
            servers = each.collect::<String>(),
        );
        std::fs::write(dir.path().join("nginx.conf"), config).unwrap();
        let child = Command::new("/usr/sbin/nginx")
            .arg("-c")
            .arg(dir.path().join("nginx.conf"))
            .arg("-e")
            .arg(dir.path().join("error.log"))
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx runs (Debian's package nginx-light)");
        eventually("nginx listens", || std::net::TcpStream::connect(address).is_ok());
        Balancer { address, dir, child }
    }

    /// What it was asked: a line each, the answer's status first.
    fn asked(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SMALL: (&str, &str) = ("Accept", "text/plain, image/gif;media-pix-x=max+160;media-pix-y=max+120");

fn adapted(server: &Server, john: &mut Phone) -> Message {
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&harness::example("020")).octets());
    let received = john.take();
    assert_eq!(sender.final_response().status(), 200);
    assert_eq!(picture(&received.body), Picture { kind: "image/gif", width: 160, height: 120 }, "{received}");
    received
}

#[test]
fn bodies_are_adapted_behind_nginx_and_here_when_nobody_is_left_there() {
    let (mut one, mut other) = (Server::start(), Server::start());
    let balancer = Balancer::before(&[&one, &other]);
    let server = Server::with(&[&format!("adapt.offload=[\"http://{}\"]", balancer.address)]);
    let mut john = Phone::tcp("john");
    john.register(&server, &[SMALL]);

    let there: Vec<Message> = (0..4).map(|_| adapted(&server, &mut john)).collect();
    let done = |server: &Server| server.metric("bespoke_adapt_requests_total{status=\"200\"}");
    assert_eq!((done(&one), done(&other)), (2, 2), "in turn");
    let again = "bespoke_content_variants_total{from=\"memory\"}";
    assert_eq!((one.metric(again), other.metric(again)), (1, 1), "the same body is adapted once by each");
    for line in balancer.asked() {
        let words: Vec<&str> = line.split(' ').collect();
        assert!(words[0] == "200" && words[1].starts_with("00-") && words[1].len() == 55, "{line}");
        assert!(words[2].starts_with("sha-256=:"), "{line}");
    }

    one.kill();
    adapted(&server, &mut john);
    adapted(&server, &mut john);
    assert_eq!(done(&other), 4, "nginx asks the one that is left");
    other.kill();
    let here: Vec<Message> = (0..5).map(|_| adapted(&server, &mut john)).collect();
    assert!(
        here.iter().chain(&there).all(|message| message.body == there[0].body),
        "who adapts makes no difference"
    );
    assert_eq!(server.metric("bespoke_offload_total{result=\"dead\"}"), 3);
    let dead = balancer.asked().iter().filter(|line| line.starts_with("502")).count();
    assert_eq!(dead, 3, "after three failures it is left alone for a while");
}

fn curl(to: &str, authority: &Path, own: Option<[&PathBuf; 2]>) -> String {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--cacert"])
        .arg(authority);
    if let Some([cert, key]) = own {
        curl.arg("--cert").arg(cert).arg("--key").arg(key);
    }
    String::from_utf8(curl.arg(to).output().unwrap().stdout).unwrap()
}

#[test]
fn servers_that_adapt_for_others_know_them_by_their_certificates() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let worker = authority.sign("worker", "IP:127.0.0.1");
    let asker = authority.sign("asker", "IP:127.0.0.1");
    let other = stranger.sign("other", "IP:127.0.0.1");
    let root = authority.root();
    let [cert, key] = worker.settings();
    let client_ca = format!("admin.client_ca={}", root.display());
    let worker = Server::with(&["admin.tls=true", &client_ca, &cert, &key]);
    let at = |path: &str| format!("https://{}{path}", worker.admin);
    assert_eq!(curl(&at("/metrics"), &root, None), "401", "no certificate");
    assert_eq!(curl(&at("/healthz"), &root, None), "200", "health is open");
    assert_eq!(curl(&at("/metrics"), &root, Some([&other.cert, &other.key])), "000", "a stranger's");
    assert_eq!(curl(&at("/metrics"), &root, Some([&asker.cert, &asker.key])), "200");

    let [cert, key] = asker.settings();
    let (urls, roots) = (
        format!("adapt.offload=[\"https://{}\"]", worker.admin),
        format!("adapt.offload_ca={}", root.display()),
    );
    let server = Server::with(&[&urls, &roots, "adapt.offload_certificate=true", &cert, &key]);
    let mut john = Phone::tcp("john");
    john.register(&server, &[SMALL]);
    adapted(&server, &mut john);
    assert_eq!(server.metric("bespoke_offload_total{result=\"adapted\"}"), 1);
    let unknown = Server::with(&[&urls, &roots]);
    let mut john = Phone::tcp("john");
    john.register(&unknown, &[SMALL]);
    adapted(&unknown, &mut john);
    assert_eq!(unknown.metric("bespoke_offload_total{result=\"dead\"}"), 1, "401 to who shows none");
}
