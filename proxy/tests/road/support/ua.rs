//! Small user agents over real loopback sockets: they send and read octets and know no more SIP than a
//! test needs.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// How long a test waits for what must come, before it fails. Nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A message as it came off the wire.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Octets of the whole message.
    pub(crate) octets: usize,
}

impl Received {
    /// Reads one whole message; `None` while more octets must come, with their number when it is known.
    fn read(octets: &[u8]) -> Option<(Received, usize)> {
        let head_end = octets.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&octets[..head_end]).replace("\r\n ", " ");
        let mut lines = head.split("\r\n");
        let start = lines.next()?.to_owned();
        let fields: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        let length = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = length.map_or(0, |(_, value)| value.parse().expect("a Content-Length"));
        let body = octets.get(head_end..head_end + length)?.to_vec();
        Some((Received { start, fields, body, octets: head_end + length }, head_end + length))
    }

    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn uri(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The first field of that name; the test fails without it.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or_else(|| panic!("no {name} in {self:#?}"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// The branch of the top Via.
    pub(crate) fn branch(&self) -> String {
        let via = self.field("Via");
        via.split("branch=").nth(1).unwrap_or_default().split([';', ',']).next().unwrap().to_owned()
    }

    /// The octets of an answer to this request, with a tag of the answerer.
    pub(crate) fn answer(&self, status: &str, more: &str) -> Vec<u8> {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for (name, value) in &self.fields {
            match name.to_ascii_lowercase().as_str() {
                "via" | "from" | "call-id" | "cseq" => text += &format!("{name}: {value}\r\n"),
                "to" if value.contains("tag=") || status.starts_with("100") => {
                    text += &format!("{name}: {value}\r\n");
                }
                "to" => text += &format!("{name}: {value};tag=ua{}\r\n", status.len()),
                _ => {}
            }
        }
        (text + more + "Content-Length: 0\r\n\r\n").into_bytes()
    }
}

/// A user agent on a UDP socket of its own.
#[derive(Debug)]
pub(crate) struct Udp {
    pub(crate) socket: UdpSocket,
    pub(crate) addr: SocketAddr,
    server: SocketAddr,
}

/// Ports that the system gives to nobody by itself, each once in this process.
fn next_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 20_000).unwrap();
    10_000 + (start + TAKEN.fetch_add(1, Ordering::Relaxed)) % 20_000
}

impl Udp {
    pub(crate) async fn new(server: SocketAddr) -> Udp {
        Udp::at("127.0.0.1", server).await
    }

    /// At that address of this machine.
    pub(crate) async fn at(ip: &str, server: SocketAddr) -> Udp {
        loop {
            let addr = SocketAddr::from((ip.parse::<IpAddr>().unwrap(), next_port()));
            // Free for connections too: some of these terminals take both on one port.
            if TcpListener::bind(addr).await.is_ok()
                && let Ok(socket) = UdpSocket::bind(addr).await
            {
                return Udp { socket, addr, server };
            }
        }
    }

    /// The same one, sending to that server.
    pub(crate) fn of(self, server: SocketAddr) -> Udp {
        Udp { server, ..self }
    }

    pub(crate) async fn send(&self, octets: impl AsRef<[u8]>) {
        self.socket.send_to(octets.as_ref(), self.server).await.unwrap();
    }

    pub(crate) async fn recv(&self) -> Received {
        let mut buffer = vec![0; 65536];
        let (length, _) = tokio::time::timeout(PATIENCE, self.socket.recv_from(&mut buffer))
            .await
            .expect("nothing came")
            .unwrap();
        Received::read(&buffer[..length]).expect("a whole message").0
    }

    /// What comes next that is not a 100.
    pub(crate) async fn recv_final(&self) -> Received {
        loop {
            let received = self.recv().await;
            if received.status() != 100 {
                return received;
            }
        }
    }

    /// What lies in the socket now; `None` if nothing does.
    pub(crate) fn pending(&self) -> Option<Received> {
        let mut buffer = vec![0; 65536];
        let (length, _) = self.socket.try_recv_from(&mut buffer).ok()?;
        Received::read(&buffer[..length]).map(|(received, _)| received)
    }

    /// Sends a request and waits for its final answer.
    pub(crate) async fn ask(&self, octets: impl AsRef<[u8]>) -> Received {
        self.send(octets).await;
        self.recv_final().await
    }

    /// Takes one request and answers it.
    pub(crate) async fn take(&self, status: &str, more: &str) -> Received {
        let request = self.recv().await;
        self.send(request.answer(status, more)).await;
        request
    }
}

/// A user agent that listens on TCP.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    pub(crate) addr: SocketAddr,
}

impl Listener {
    pub(crate) async fn new() -> Listener {
        Listener::at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn at(addr: SocketAddr) -> Listener {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        Listener { listener, addr }
    }

    pub(crate) async fn accept(&self) -> Tcp {
        let (stream, _) =
            tokio::time::timeout(PATIENCE, self.listener.accept()).await.expect("no connection").unwrap();
        Tcp { stream, buffer: Vec::new() }
    }
}

/// One TCP connection of a user agent.
#[derive(Debug)]
pub(crate) struct Tcp<S = TcpStream> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl Tcp {
    pub(crate) async fn connect(server: SocketAddr) -> Tcp {
        Tcp::on(TcpStream::connect(server).await.unwrap())
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Tcp<S> {
    /// On a connection that is open.
    pub(crate) const fn on(stream: S) -> Tcp<S> {
        Tcp { stream, buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.stream.write_all(octets.as_ref()).await.unwrap();
    }

    pub(crate) async fn recv(&mut self) -> Received {
        loop {
            if let Some((received, length)) = Received::read(&self.buffer) {
                self.buffer.drain(..length);
                return received;
            }
            let read = self.stream.read_buf(&mut self.buffer);
            let read = tokio::time::timeout(PATIENCE, read).await.expect("nothing came").unwrap();
            assert_ne!(read, 0, "the connection was closed");
        }
    }

    pub(crate) async fn recv_final(&mut self) -> Received {
        loop {
            let received = self.recv().await;
            if received.status() != 100 {
                return received;
            }
        }
    }

    pub(crate) async fn ask(&mut self, octets: impl AsRef<[u8]>) -> Received {
        self.send(octets).await;
        self.recv_final().await
    }

    pub(crate) async fn take(&mut self, status: &str, more: &str) -> Received {
        let request = self.recv().await;
        self.send(request.answer(status, more)).await;
        request
    }
}

/// A user agent that takes datagrams and connections on one port.
#[derive(Debug)]
pub(crate) struct Both {
    pub(crate) udp: Udp,
    listener: Listener,
}

impl Both {
    pub(crate) async fn of(udp: Udp) -> Both {
        let listener = Listener::at(udp.addr).await;
        Both { udp, listener }
    }

    /// Takes one request, whatever it comes over, and answers it.
    pub(crate) async fn take(&self, status: &str, more: &str) -> Received {
        tokio::select! {
            got = self.udp.take(status, more) => got,
            mut connection = self.listener.accept() => connection.take(status, more).await,
        }
    }
}
