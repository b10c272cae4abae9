//! Kamailio as the presence server of another domain, with a watcher of ours; SIPp as publisher and watcher.

use std::net::SocketAddr;
use std::process::Command;

use crate::harness::phone::serial;
use crate::harness::picture::picture;
use crate::harness::program::Program;
use crate::harness::server::free_port;
use crate::harness::{self, Line, Message, Phone, Server, http, sipp};

/// A running presence server of the domain `presence.test`.
struct Kamailio {
    sip: SocketAddr,
    /// Ends before its folder goes.
    _program: Program,
    _dir: tempfile::TempDir,
}

impl Kamailio {
    fn start() -> Self {
        let sip = free_port();
        let dir = tempfile::tempdir().unwrap();
        let copied = Command::new("cp")
            .args(["-r", "/usr/share/kamailio/dbtext/kamailio"])
            .arg(dir.path().join("dbtext"))
            .status();
        assert!(copied.unwrap().success(), "Debian's package kamailio has tables as text");
        let config = include_str!("../scenarios/kamailio_presence.cfg")
            .replace("@SIP@", &sip.to_string())
            .replace("@MODULES@", &modules())
            .replace("@DIR@", &dir.path().to_string_lossy());
        let file = dir.path().join("kamailio.cfg");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("/usr/sbin/kamailio");
        command.args(["-DD", "-E", "-m", "64", "-M", "8", "-Y"]).arg(dir.path()).arg("-f").arg(file);
        Self { sip, _program: Program::serving(command, sip), _dir: dir }
    }
}

/// Debian keeps modules in a folder named after the processor.
fn modules() -> String {
    let folders = std::fs::read_dir("/usr/lib").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders = folders.map(|path| path.join("kamailio/modules"));
    let folder = folders.find(|path| path.join("presence_xml.so").exists());
    format!("{}/", folder.expect("Debian's package kamailio-presence-modules").display())
}

/// A document as Kamailio takes it and passes it on: XML alone.
fn document(note: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         entity=\"pres:alice@presence.test\"><tuple id=\"t1\"><status><basic>open</basic></status></tuple>\
         <note>{note}</note></presence>\r\n"
    )
}

/// Ours, with Kamailio behind it.
fn before(kamailio: &Kamailio) -> Server {
    let hop =
        format!("route=[{{domain=\"presence.test\", next_hop=\"sip:{};transport=tcp\"}}]", kamailio.sip);
    Server::with(&[&hop, "peer=[{address=\"127.0.0.1\"}]"])
}

/// john watches alice at Kamailio; what he was answered, after his first NOTIFY.
fn watch(server: &Server, john: &mut Phone, accept: &str) -> (Message, Message) {
    let subscribe = Message::new("SUBSCRIBE sip:alice@presence.test SIP/2.0")
        .with("Max-Forwards", "70")
        .with("From", &format!("<sip:john@example.com>;tag=w{}", serial()))
        .with("To", "<sip:alice@presence.test>")
        .with("Call-ID", &format!("sub-{}@there", serial()))
        .with("CSeq", "1 SUBSCRIBE")
        .with("Contact", &format!("<{}>", john.uri()))
        .with("Event", "presence")
        .with("Expires", "600")
        .with("Accept", accept);
    let answer = Line::tcp(server.sip).request(&subscribe);
    assert!(matches!(answer.status(), 200 | 202), "{answer}");
    let first = john.take();
    assert_eq!((first.method(), first.get("Event")), ("NOTIFY", "presence"));
    (subscribe, answer)
}

/// A phone whose connections are gone, where it was.
fn reopened(phone: Phone) -> Phone {
    let at = phone.addr();
    drop(phone);
    Phone::tcp_at("john", at)
}

fn publish(kamailio: &Kamailio, note: &str) {
    let publish = Message::new("PUBLISH sip:alice@presence.test SIP/2.0")
        .with("Max-Forwards", "70")
        .with("From", "<sip:alice@presence.test>;tag=p1")
        .with("To", "<sip:alice@presence.test>")
        .with("Call-ID", &format!("pub-{}@here", serial()))
        .with("CSeq", "1 PUBLISH")
        .with("Event", "presence")
        .with("Expires", "600")
        .body("application/pidf+xml", document(note).as_bytes());
    let published = Line::tcp(kamailio.sip).request(&publish);
    assert_eq!(published.status(), 200, "{published}");
}

#[test]
fn a_watcher_of_ours_hears_from_kamailio_what_is_published_there() {
    let kamailio = Kamailio::start();
    let server = before(&kamailio);
    let mut john = Phone::tcp("john");
    let (subscribe, answer) = watch(&server, &mut john, "application/pidf+xml, text/plain");
    publish(&kamailio, "At home");
    loop {
        let told = john.take();
        if String::from_utf8_lossy(&told.body).contains("At home") {
            assert!(told.header("Content-Adapted").is_none(), "he takes it as it is: {told}");
            break;
        }
    }
    let mut refreshed = subscribe.set("CSeq", "2 SUBSCRIBE").set("To", answer.get("To"));
    for route in answer.all("Record-Route").iter().rev() {
        refreshed = refreshed.with("Route", route);
    }
    refreshed.start = format!("SUBSCRIBE {} SIP/2.0", answer.get("Contact").trim_matches(['<', '>']));
    let again = Line::tcp(server.sip).request(&refreshed);
    assert!(matches!(again.status(), 200 | 202), "{again}");
}

/// A document that is larger than the watcher said he takes: Kamailio heeds no `length`, and ours puts a link in its
/// place, under which the very document lies. To who takes no such link it passes as it is: a NOTIFY is never refused
/// (CPI.md 3.8), and a presence document becomes no text (P5).
#[test]
fn a_document_of_kamailio_that_is_too_large_for_the_watcher_is_a_link_on_its_way() {
    let kamailio = Kamailio::start();
    let mut server = before(&kamailio);
    let limited = "application/pidf+xml;length=max+900";
    let mut external = Phone::tcp("john");
    watch(&server, &mut external, &format!("{limited}, message/external-body"));
    let mut plain = Phone::tcp("john");
    watch(&server, &mut plain, &format!("{limited}, text/plain"));
    // What they said outlives our end.
    server.crash_and_restart();
    let [mut external, mut plain] = [external, plain].map(reopened);
    let note = "At home, where it is quiet. ".repeat(60);
    publish(&kamailio, &note);
    let told = next(&mut external, |told| told.get("Content-Type").starts_with("message/external-body"));
    assert!(told.header("Content-Adapted").is_some_and(|note| note.contains("indirect")), "{told}");
    let kind = told.get("Content-Type");
    let url = kind[kind.find("http://").expect("a link")..].split('"').next().unwrap();
    let fetched = http::get(server.http, url, &[]);
    assert_eq!(fetched.status(), 200, "{fetched}");
    assert!(String::from_utf8_lossy(&fetched.body).contains(&note), "{fetched}");
    let told = next(&mut plain, |told| String::from_utf8_lossy(&told.body).contains(&note));
    assert!(told.header("Content-Adapted").is_none(), "{told}");
}

/// The next NOTIFY of which that is so; those before it are small.
fn next(phone: &mut Phone, is_it: impl Fn(&Message) -> bool) -> Message {
    loop {
        let told = phone.take();
        if is_it(&told) {
            return told;
        }
        assert!(told.body.len() <= 900, "{told}");
    }
}

/// A list of ours with a member at Kamailio: it is asked there in the watcher's name, and what it says is in the list.
#[test]
fn a_list_of_ours_tells_of_a_user_of_kamailio() {
    let kamailio = Kamailio::start();
    let hop =
        format!("route=[{{domain=\"presence.test\", next_hop=\"sip:{};transport=tcp\"}}]", kamailio.sip);
    let server = Server::with(&[&hop, "presence.elsewhere=10", "presence.notify_every=1s"]);
    let path = "/api/v1/lists/friends@example.com";
    let list = http::send(server.admin, "PUT", path, &[], br#"{"members":["alice@presence.test"]}"#);
    assert!(matches!(list.status(), 200 | 204), "{list}");
    publish(&kamailio, "At home");
    let mut john = Phone::tcp("john");
    let accept = "application/pidf+xml, application/rlmi+xml, multipart/related";
    let subscribe = Message::new("SUBSCRIBE sip:friends@example.com SIP/2.0")
        .with("Max-Forwards", "70")
        .with("From", &format!("<sip:john@example.com>;tag=w{}", serial()))
        .with("To", "<sip:friends@example.com>")
        .with("Call-ID", &format!("sub-{}@there", serial()))
        .with("CSeq", "1 SUBSCRIBE")
        .with("Contact", &format!("<{}>", john.uri()))
        .with("Event", "presence")
        .with("Expires", "600")
        .with("Supported", "eventlist")
        .with("Accept", accept);
    assert_eq!(Line::tcp(server.sip).request(&subscribe).status(), 200);
    loop {
        let told = String::from_utf8_lossy(&john.take().body).into_owned();
        if told.contains("At home") {
            assert!(told.contains("sip:alice@presence.test") && told.contains("state=\"active\""), "{told}");
            break;
        }
    }
}

/// SIPp as both ends of ours: it publishes a photo that its watcher's terminal shows smaller.
#[test]
fn sipp_publishes_and_sipp_watches() {
    let server = Server::start();
    let photo = harness::data("images/life_640x480.jpg");
    assert_eq!(picture(&photo).width, 640);
    sipp::run(server.sip, "publish_note.xml", &["-t", "t1"], &[]);
    sipp::run(server.sip, "watch_note.xml", &["-t", "u1"], &[]);
}
