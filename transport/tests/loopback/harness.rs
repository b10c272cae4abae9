//! An endpoint on free ports with a handler that records, and peers that speak octets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use sip::{Request, ResponseBuilder};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use transport::{Config, Endpoint, Flow, Handler, Listen, Protocol, ServerTransaction};

/// What a test wants the handler to do with requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answer this status at once.
    Answer(u16),
    /// Hand request and transaction to the test.
    Hand,
}

pub(crate) struct Recorder {
    manner: Manner,
    pub(crate) requests: Mutex<Vec<Request>>,
    pub(crate) acks: Mutex<Vec<Request>>,
    pub(crate) strays: Mutex<Vec<u16>>,
    pub(crate) closed: Mutex<Vec<Flow>>,
    handed: mpsc::UnboundedSender<(Request, ServerTransaction)>,
}

impl Handler for Recorder {
    fn request(&self, request: Request, transaction: ServerTransaction) {
        self.requests.lock().unwrap().push(request.clone());
        match self.manner {
            Manner::Answer(status) => {
                transaction.respond(ResponseBuilder::to_request(&request, status, "Answer").encode());
            }
            Manner::Hand => self.handed.send((request, transaction)).unwrap(),
        }
    }

    fn ack(&self, request: Request, _: Flow) {
        self.acks.lock().unwrap().push(request);
    }

    fn stray_response(&self, response: sip::Response, _: Flow) {
        self.strays.lock().unwrap().push(response.status());
    }

    fn closed(&self, flow: Flow) {
        self.closed.lock().unwrap().push(flow);
    }
}

/// A running endpoint.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
    handed: mpsc::UnboundedReceiver<(Request, ServerTransaction)>,
}

pub(crate) fn config() -> Config {
    let addr = "127.0.0.1:0".parse().unwrap();
    let listen = vec![Listen { protocol: Protocol::Udp, addr }, Listen { protocol: Protocol::Tcp, addr }];
    Config { listen, shards: 2, ..Config::default() }
}

impl Server {
    pub(crate) async fn start(manner: Manner) -> Self {
        Self::with(config(), manner).await
    }

    pub(crate) async fn with(config: Config, manner: Manner) -> Self {
        let (sender, handed) = mpsc::unbounded_channel();
        let recorder = Arc::new(Recorder {
            manner,
            requests: Mutex::default(),
            acks: Mutex::default(),
            strays: Mutex::default(),
            closed: Mutex::default(),
            handed: sender,
        });
        let bound = Endpoint::bind(config).await.unwrap();
        let of = |wanted| bound.local_addrs().into_iter().find(|(p, _)| *p == wanted).map(|(_, addr)| addr);
        let none = "0.0.0.0:0".parse().unwrap();
        let (udp, tcp) = (of(Protocol::Udp).unwrap_or(none), of(Protocol::Tcp).unwrap_or(none));
        let endpoint = bound.serve(Arc::clone(&recorder) as Arc<dyn Handler>);
        Self { endpoint, recorder, udp, tcp, handed }
    }

    /// The next request that was handed over.
    pub(crate) async fn next(&mut self) -> (Request, ServerTransaction) {
        self.handed.recv().await.unwrap()
    }

    /// Where it listens for that protocol.
    pub(crate) fn at(&self, protocol: Protocol) -> SocketAddr {
        self.endpoint.local_addrs().into_iter().find(|(found, _)| *found == protocol).unwrap().1
    }

    pub(crate) fn seen(&self) -> usize {
        self.recorder.requests.lock().unwrap().len()
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::new(TcpStream::connect(self.tcp).await.unwrap())
    }
}

/// A socket of a peer.
pub(crate) struct Peer {
    pub(crate) socket: UdpSocket,
}

impl Peer {
    pub(crate) async fn bind() -> Self {
        Self { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub(crate) async fn send(&self, text: &str, to: SocketAddr) {
        self.socket.send_to(text.as_bytes(), to).await.unwrap();
    }

    pub(crate) async fn receive(&self) -> (String, SocketAddr) {
        let mut octets = vec![0; 65_535];
        let (len, from) = self.socket.recv_from(&mut octets).await.unwrap();
        (String::from_utf8_lossy(&octets[..len]).into_owned(), from)
    }

    /// What has arrived already.
    pub(crate) async fn arrived(&self) -> Vec<String> {
        settle().await;
        let mut all = Vec::new();
        let mut octets = vec![0; 65_535];
        while let Ok((len, _)) = self.socket.try_recv_from(&mut octets) {
            all.push(String::from_utf8_lossy(&octets[..len]).into_owned());
        }
        all
    }
}

/// Lets all tasks of a runtime of one thread come to rest.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// Waits for what the kernel still carries. Real time may pass, but nothing depends on how much.
pub(crate) async fn eventually(what: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if what() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never happened");
}

/// A connection of a peer.
pub(crate) struct Wire<S = TcpStream> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next head, and its body as Content-Length has it.
    pub(crate) async fn receive(&mut self) -> String {
        loop {
            if let Some(whole) = self.whole() {
                return whole;
            }
            let mut chunk = [0; 4096];
            let len = self.stream.read(&mut chunk).await.unwrap();
            assert!(len > 0, "closed");
            self.buffer.extend_from_slice(&chunk[..len]);
        }
    }

    fn whole(&mut self) -> Option<String> {
        let head = self.buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&self.buffer[..head]).into_owned();
        let length: usize = field(&text, "Content-Length").parse().unwrap();
        if self.buffer.len() < head + length {
            return None;
        }
        let whole: Vec<u8> = self.buffer.drain(..head + length).collect();
        Some(String::from_utf8_lossy(&whole).into_owned())
    }

    /// Waits for the end of the stream and gives what came before it.
    pub(crate) async fn end(mut self) -> String {
        let mut rest = std::mem::take(&mut self.buffer);
        // A reset is an end too.
        let _reset = self.stream.read_to_end(&mut rest).await;
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// A request as a peer sends it. `via` is what follows the transport.
pub(crate) fn message(method: &str, via: &str, body: &str) -> String {
    let length = body.len();
    let transport = if via.contains("tcp.example") { "TCP" } else { "UDP" };
    format!(
        "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/{transport} {via}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1\r\n\
         CSeq: 1 {method}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// The value of the first such field.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// The answer a peer gives to a request of ours.
pub(crate) fn reply(request: &str, status: u16) -> String {
    let copied = ["Via", "From", "To", "Call-ID", "CSeq"];
    let lines: String = copied.iter().map(|name| format!("{name}: {}\r\n", field(request, name))).collect();
    format!("SIP/2.0 {status} Answer\r\n{lines}Content-Length: 0\r\n\r\n")
}
