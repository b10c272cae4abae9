//! Programs that others wrote, started by a test and ended by their id.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// A running server, such as a name server.
pub(crate) struct Program {
    child: Child,
    name: String,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Program {
    /// Starts it, and waits until it takes TCP connections at `addr`.
    pub(crate) fn serving(mut command: Command, addr: SocketAddr) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut command);
        let said = Arc::new(Mutex::new(Vec::new()));
        keep(child.stdout.take().unwrap(), said.clone());
        keep(child.stderr.take().unwrap(), said.clone());
        let mut program = Self { child, name: format!("{command:?}"), said };
        let late = Instant::now() + PATIENCE;
        while TcpStream::connect(addr).is_err() {
            let ended = program.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < late, "it does not serve at {addr}: {ended:?}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        program
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Asked to end first: one with processes of its own ends those.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let late = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < late {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}---", self.name, String::from_utf8_lossy(&self.said.lock().unwrap()));
        }
    }
}

/// A connection that another program holds: what is written to the program goes to the server, and what
/// the server sends comes out of it.
pub(crate) struct Pipe {
    child: Child,
    stdin: Option<ChildStdin>,
    octets: mpsc::Receiver<Vec<u8>>,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Pipe {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut command);
        let said = Arc::new(Mutex::new(Vec::new()));
        keep(child.stderr.take().unwrap(), said.clone());
        let (tell, octets) = mpsc::channel();
        let mut stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                if tell.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { stdin: child.stdin.take(), child, octets, said }
    }

    /// Whether all of it was taken.
    pub(crate) fn write(&mut self, octets: &[u8]) -> bool {
        let Some(stdin) = &mut self.stdin else { return false };
        stdin.write_all(octets).and_then(|()| stdin.flush()).is_ok()
    }

    /// What came next; nothing at the end.
    pub(crate) fn read(&mut self) -> Vec<u8> {
        match self.octets.recv_timeout(PATIENCE) {
            Ok(octets) => octets,
            Err(mpsc::RecvTimeoutError::Disconnected) => Vec::new(),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing in time; it said {}", self.said()),
        }
    }

    /// What it told people.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the other end of a pipe: {}---", self.said());
        }
    }
}

fn spawn(command: &mut Command) -> Child {
    let name = command.get_program().to_string_lossy().into_owned();
    command.spawn().unwrap_or_else(|error| panic!("{name} does not run ({error}): ./test names its package"))
}

fn keep(mut stream: impl Read + Send + 'static, said: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            said.lock().unwrap().extend(&buffer[..length]);
        }
    });
}
