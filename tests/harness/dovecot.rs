//! A real IMAP server with URLAUTH: Dovecot on a loopback port of its own, with one mail that has every clip of
//! `tests/data/media`, base64.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::server::free_port;
use super::{PATIENCE, data, eventually};

/// The parts of the mail, from 2 on; part 1 is text. Name and media type.
pub(crate) const PARTS: [(&str, &str); 15] = [
    ("tone_ulaw.wav", "audio/x-wav"),
    ("tone.mp3", "audio/mpeg"),
    ("clip.mpg", "video/mpeg"),
    ("pic.png", "image/png"),
    ("tone.au", "audio/basic"),
    ("clip.mp4", "video/mp4"),
    ("tone.opus", "audio/ogg"),
    ("clip.webm", "video/webm"),
    ("tone_alaw.wav", "audio/x-wav"),
    ("tone_pcm16.wav", "audio/x-wav"),
    ("tone.m4a", "audio/mp4"),
    ("tone.ul", "audio/basic"),
    ("tone.amrraw", "audio/AMR"),
    ("clip.avi", "video/x-msvideo"),
    ("clip.3gp", "video/3gpp"),
];

/// A running server. Ended, by pid, when dropped.
pub(crate) struct Dovecot {
    pub(crate) port: u16,
    dir: tempfile::TempDir,
    fix: Child,
}

impl Dovecot {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port().port();
        let path = dir.path();
        std::fs::create_dir_all(path.join("run")).unwrap();
        open_to_all(path);
        deliver(path);
        let users = "alice:alicepw\nbob:bobpw\nmediasrv:mediapw\nanonymous:::::::nopassword=y\n";
        std::fs::write(path.join("users"), users).unwrap();
        let config = std::fs::read_to_string(scenario("dovecot.conf")).unwrap();
        let config = config.replace("@DIR@", &path.to_string_lossy()).replace("@PORT@", &port.to_string());
        std::fs::write(path.join("dovecot.conf"), config).unwrap();
        // Its daemons keep what it is given for output: a pipe would have no end.
        let mut command = Command::new("dovecot");
        command.arg("-c").arg(path.join("dovecot.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = command.status().expect("dovecot runs (Debian's package dovecot-imapd)");
        assert!(started.success(), "{started:?}");
        let sockets = path.join("run/token-login");
        eventually("Dovecot's token-login", || sockets.join("real-tokenlogin").exists());
        let fix = tokenfix(&sockets);
        Self { port, dir, fix }
    }

    /// The URL of a part of the mail of alice, as the server authorises it for `access` for a long time.
    pub(crate) fn url(&self, section: usize, access: &str) -> String {
        let rump = format!(
            "imap://alice@localhost:{}/INBOX/;uid=1/;section={section};expire=2099-01-01T00:00:00Z;urlauth={access}",
            self.port
        );
        let mut session = Session::open(self.port);
        session.command("LOGIN alice alicepw");
        session.command("SELECT INBOX");
        let reply = session.command(&format!("GENURLAUTH \"{rump}\" INTERNAL"));
        let start = reply.find("imap://").unwrap_or_else(|| panic!("no URL in {reply}"));
        reply[start..].split(['"', '\r', ' ']).next().unwrap().to_owned()
    }

    /// Ends the server; its port takes no connections any more.
    pub(crate) fn stop(&mut self) {
        let master = self.dir.path().join("run/master.pid");
        if let Ok(pid) = std::fs::read_to_string(master) {
            let pid = pid.trim().to_owned();
            let _ = Command::new("kill").arg(&pid).status();
            eventually("Dovecot's end", || !Path::new("/proc").join(&pid).exists());
        }
        let _ = self.fix.kill();
        let _ = self.fix.wait();
    }

    /// What it wrote to its log.
    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("dovecot.log")).unwrap_or_default()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("--- dovecot\n{}---", self.log());
        }
    }
}

fn scenario(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/scenarios").join(name)
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Puts the mail into the box of alice, as one that is new there.
fn deliver(dir: &Path) {
    let inbox = dir.join("mail/alice/Maildir");
    for folder in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(inbox.join(folder)).unwrap();
    }
    let mut mail = "From: bob@localhost\r\nTo: alice@localhost\r\nSubject: media\r\nMIME-Version: 1.0\r\n\
                    Content-Type: multipart/mixed; boundary=cut\r\n\r\n--cut\r\nContent-Type: text/plain\r\n\r\nSee\r\n"
        .to_owned();
    for (name, kind) in PARTS {
        mail.push_str(&format!("--cut\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n"));
        mail.push_str(&base64_lines(&data(&format!("media/{name}"))));
    }
    mail.push_str("--cut--\r\n");
    std::fs::write(inbox.join("new/1.mail"), mail).unwrap();
    let owned = Command::new("chown").args(["-R", "mail:mail"]).arg(dir.join("mail")).status().unwrap();
    assert!(owned.success(), "Dovecot's tests run as root, as ./test in CI does");
}

fn base64_lines(octets: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for line in octets.chunks(57) {
        for three in line.chunks(3) {
            let bits = three.iter().fold(0u32, |bits, octet| bits << 8 | u32::from(*octet))
                << (8 * (3 - three.len()));
            for at in 0..4 {
                let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
                text.push(if at > three.len() { '=' } else { char::from(letter) });
            }
        }
        text.push_str("\r\n");
    }
    text
}

fn tokenfix(sockets: &Path) -> Child {
    let mut command = Command::new("/usr/bin/python3");
    command.arg(scenario("tokenfix.py")).arg(sockets).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("Debian's python3 runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "ready");
    child
}

/// A session as a mail program has it.
struct Session {
    stream: TcpStream,
}

impl Session {
    fn open(port: u16) -> Self {
        let mut stream = None;
        eventually("Dovecot", || {
            stream = TcpStream::connect(("127.0.0.1", port)).ok();
            stream.is_some()
        });
        let stream = stream.unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    fn command(&mut self, command: &str) -> String {
        self.stream.write_all(format!("x {command}\r\n").as_bytes()).unwrap();
        let mut reply = String::new();
        let mut buffer = [0; 4096];
        while !reply.contains("\r\nx ") && !reply.starts_with("x ") {
            let length = self.stream.read(&mut buffer).unwrap();
            assert!(length > 0, "the mail server closed: {reply}");
            reply.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        reply
    }
}
