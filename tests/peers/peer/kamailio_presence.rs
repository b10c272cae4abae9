//! Kamailio as the presence server of another domain, with a watcher of ours; SIPp as publisher and watcher.

use std::net::SocketAddr;
use std::process::Command;

use crate::harness::phone::serial;
use crate::harness::picture::picture;
use crate::harness::program::Program;
use crate::harness::server::free_port;
use crate::harness::{self, Line, Message, Phone, Server, sipp};

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

/// A document with a photo in it, as Kamailio takes it and passes it on: XML alone. Its link is to a place.
fn document(note: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         entity=\"pres:alice@presence.test\"><tuple id=\"t1\"><status><basic>open</basic></status></tuple>\
         <note>{note}</note></presence>\r\n"
    )
}

#[test]
fn a_watcher_of_ours_hears_from_kamailio_what_is_published_there() {
    let kamailio = Kamailio::start();
    let hop =
        format!("route=[{{domain=\"presence.test\", next_hop=\"sip:{};transport=tcp\"}}]", kamailio.sip);
    let server = Server::with(&[&hop, "peer=[{address=\"127.0.0.1\"}]"]);
    let mut john = Phone::tcp("john");
    let subscribe = Message::new("SUBSCRIBE sip:alice@presence.test SIP/2.0")
        .with("Max-Forwards", "70")
        .with("From", &format!("<sip:john@example.com>;tag=w{}", serial()))
        .with("To", "<sip:alice@presence.test>")
        .with("Call-ID", &format!("sub-{}@there", serial()))
        .with("CSeq", "1 SUBSCRIBE")
        .with("Contact", &format!("<{}>", john.uri()))
        .with("Event", "presence")
        .with("Expires", "600")
        // So few octets that the document does not come as it is.
        .with("Accept", "application/pidf+xml, text/plain");
    let answer = Line::tcp(server.sip).request(&subscribe);
    assert!(matches!(answer.status(), 200 | 202), "{answer}");
    let first = john.take();
    assert_eq!((first.method(), first.get("Event")), ("NOTIFY", "presence"));
    let publish = Message::new("PUBLISH sip:alice@presence.test SIP/2.0")
        .with("Max-Forwards", "70")
        .with("From", "<sip:alice@presence.test>;tag=p1")
        .with("To", "<sip:alice@presence.test>")
        .with("Call-ID", &format!("pub-{}@here", serial()))
        .with("CSeq", "1 PUBLISH")
        .with("Event", "presence")
        .with("Expires", "600")
        .body("application/pidf+xml", document("At home").as_bytes());
    let published = Line::tcp(kamailio.sip).request(&publish);
    assert_eq!(published.status(), 200, "{published}");
    loop {
        let told = john.take();
        if String::from_utf8_lossy(&told.body).contains("At home") {
            break;
        }
    }
    let refreshed = subscribe.set("CSeq", "2 SUBSCRIBE").set("To", answer.get("To"));
    let mut refreshed = refreshed;
    for route in answer.all("Record-Route").iter().rev() {
        refreshed = refreshed.with("Route", route);
    }
    refreshed.start = format!("SUBSCRIBE {} SIP/2.0", answer.get("Contact").trim_matches(['<', '>']));
    let again = Line::tcp(server.sip).request(&refreshed);
    assert!(matches!(again.status(), 200 | 202), "{again}");
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
