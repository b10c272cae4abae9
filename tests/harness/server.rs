//! The program under test as a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use super::{PATIENCE, http};

/// The config file, where there is one.
const CONFIG: &str = "bespoke.toml";

/// Lines of a server's log that a failed test shows.
const LOG_LINES: usize = 100;

/// A running server for `example.com` on free ports of the loopback, with state of its own. It ends, by
/// pid, when this value is dropped.
pub(crate) struct Server {
    pub(crate) sip: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
    dir: tempfile::TempDir,
    setup: Setup,
    child: Child,
    /// Whether `child` is a wrapper and the server a child of it.
    wrapped: bool,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// How a server is started, beyond what all of them have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    /// `key=value`; one of `sip.listen` comes beside the UDP and TCP sockets.
    pub(crate) settings: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    /// The text of its config file, which [`Server::reload`] may replace.
    pub(crate) config: Option<String>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts with further `key=value` settings.
    pub(crate) fn with(settings: &[&str]) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), settings)
    }

    /// Starts on the state that `dir` holds.
    pub(crate) fn in_dir(dir: tempfile::TempDir, settings: &[&str]) -> Self {
        Self::launched(dir, Setup::of(settings), None::<fn(&Command) -> Command>)
    }

    /// Starts as [`Server::with`], but through `wrap`, such as a tracer or a shell that sets limits.
    pub(crate) fn wrapped(wrap: impl FnOnce(&Command) -> Command, settings: &[&str]) -> Self {
        Self::launched(tempfile::tempdir().unwrap(), Setup::of(settings), Some(wrap))
    }

    /// Writes another config file, which is read again.
    pub(crate) fn reload(&self, config: &str) {
        std::fs::write(self.dir.path().join(CONFIG), config).unwrap();
        let sent = Command::new("kill").args(["-s", "HUP", &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
        super::eventually("the config is in force", || self.log().contains("in force from now on"));
    }

    /// Starts with all that a setup has.
    pub(crate) fn set_up(setup: Setup) -> Self {
        Self::launched(tempfile::tempdir().unwrap(), setup, None::<fn(&Command) -> Command>)
    }

    fn launched(
        dir: tempfile::TempDir,
        setup: Setup,
        wrap: Option<impl FnOnce(&Command) -> Command>,
    ) -> Self {
        let (sip, http, admin) = (free_port(), free_port(), free_port());
        let command = setup.command(dir.path(), sip, http, admin);
        let wrapped = wrap.is_some();
        let (child, log, readers) = launch(match wrap {
            Some(wrap) => wrap(&command),
            None => command,
        });
        Self { sip, http, admin, dir, setup, child, wrapped, log, readers }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Gives a user of `example.com` a password, through the running server.
    pub(crate) fn add_user(&self, name: &str, password: &str) {
        let added = self.user(&["add", name], &format!("{password}\n"));
        assert!(added.status.success(), "{added:?}");
    }

    /// `bespoke user` beside this server, with that on its stdin.
    pub(crate) fn user(&self, args: &[&str], input: &str) -> Output {
        let settings: Vec<&str> = self.setup.settings.iter().map(String::as_str).collect();
        user(&self.data_dir(), &settings, args, input)
    }

    /// Everything the server has written to its log and to stdout so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// A counter or gauge of the server, by its whole name.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let page = http::fetch(self.admin, "GET", "/metrics", &[]);
        let text = String::from_utf8(page.body).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no metric {name}:\n{text}"))
    }

    /// Ends it as a crash would, and starts it again on the same state and ports.
    pub(crate) fn crash_and_restart(&mut self) {
        self.kill();
        let command = self.setup.command(self.dir.path(), self.sip, self.http, self.admin);
        (self.child, self.log, self.readers) = launch(command);
    }

    /// The processes it started.
    pub(crate) fn children(&self) -> Vec<u32> {
        children_of(self.pid())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if self.wrapped {
            // A tracer that is killed lets its server go on; one whose server is killed ends, its trace written.
            for pid in children_of(self.pid()) {
                let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            }
        } else {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }

    /// Sends SIGTERM and waits for the end; gives the exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let sent = Command::new("kill").arg("-TERM").arg(self.pid().to_string()).status().unwrap();
        assert!(sent.success());
        let code = self.child.wait().unwrap().code();
        // What it wrote last may still be in the pipe.
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        code
    }

    /// Resident memory in KiB, now and at its highest.
    pub(crate) fn memory_kib(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(LOG_LINES);
            eprintln!("--- server log, {last} lines before it\n{}\n---", lines[last..].join("\n"));
        }
    }
}

impl Setup {
    fn of(settings: &[&str]) -> Self {
        Self { settings: settings.iter().map(ToString::to_string).collect(), ..Self::default() }
    }

    fn command(&self, dir: &Path, sip: SocketAddr, http: SocketAddr, admin: SocketAddr) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bespoke"));
        command
            .current_dir(dir)
            .arg("serve")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        let beside = self.settings.iter().filter_map(|setting| setting.strip_prefix("sip.listen="));
        let listen: String = beside.map(|socket| format!(", \"{socket}\"")).collect();
        let fixed = [
            "domain=example.com".to_owned(),
            format!("sip.listen=[\"udp:{sip}\", \"tcp:{sip}\"{listen}]"),
            format!("http.listen={http}"),
            format!("admin.listen={admin}"),
            format!("data_dir={}", dir.join("data").display()),
        ];
        // It is asked what it is at every start, which tests of something else need not wait for.
        let own = !self.settings.iter().any(|setting| setting.starts_with("media.ffmpeg="));
        let without = own.then(|| "media.ffmpeg=off".to_owned());
        let further = self.settings.iter().filter(|setting| !setting.starts_with("sip.listen="));
        for setting in fixed.iter().chain(&without).chain(further) {
            command.arg("--set").arg(setting);
        }
        if let Some(text) = &self.config {
            std::fs::write(dir.join(CONFIG), text).unwrap();
            command.args(["-c", CONFIG]);
        }
        command
    }
}

/// `bespoke user` for that `data_dir` and the domain `example.com`, with further settings.
pub(crate) fn user(data: &Path, settings: &[&str], args: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bespoke"));
    command.arg("user").args(args);
    let fixed = ["domain=example.com".to_owned(), format!("data_dir={}", data.display())];
    for setting in fixed.iter().map(String::as_str).chain(settings.iter().copied()) {
        command.args(["--set", setting]);
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that needs no input may have ended already.
    let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn launch(mut command: Command) -> (Child, Arc<Mutex<String>>, Vec<JoinHandle<()>>) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    let (ready, is_ready) = mpsc::channel();
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let readers = vec![follow(stdout, log.clone(), Some(ready)), follow(stderr, log.clone(), None)];
    if is_ready.recv_timeout(PATIENCE).is_err() {
        let _ = child.kill();
        panic!("the server did not get ready:\n{}", log.lock().unwrap());
    }
    (child, log, readers)
}

fn follow(
    stream: impl Read + Send + 'static,
    log: Arc<Mutex<String>>,
    ready: Option<mpsc::Sender<()>>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
            if let (Some(ready), "ready") = (&ready, line.trim()) {
                let _ = ready.send(());
            }
        }
    })
}

/// The processes whose parent is `parent`, from /proc (the fourth field of `stat`, after the name in brackets).
fn children_of(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        fields.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    processes.filter(is_child).collect()
}

/// A loopback port free for UDP and TCP just now, that no other call of this process gets. It is below
/// those that the system hands to outgoing connections, so that none of them takes it meanwhile.
pub(crate) fn free_port() -> SocketAddr {
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 22_000;
    let start = std::process::id().wrapping_mul(257);
    loop {
        let port = FIRST + start.wrapping_add(super::phone::serial().wrapping_mul(7)) % PORTS;
        let addr = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
        if UdpSocket::bind(addr).is_ok() && TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
}
