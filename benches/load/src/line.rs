//! A line: one UDP socket or one connection to the server, that sends what is given to it, answers what it
//! gets, and tells the tally of the answers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use clap::ValueEnum;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::sync::mpsc;

use crate::message::{self, Incoming};
use crate::secure::Trust;
use crate::tally::Tally;

/// Messages that wait for a line. When it is full the sender waits, and the wait counts as latency.
const QUEUE: usize = 1024;

const LONGEST: usize = 65_536;

/// What carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// Datagrams
    Udp,
    /// Connections
    Tcp,
    /// Connections with TLS; needs --ca
    Tls,
}

impl Transport {
    pub(crate) const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    pub(crate) const fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
        }
    }
}

/// Where lines lead, and how.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) transport: Transport,
    pub(crate) server: SocketAddr,
    /// For TLS, whom it believes.
    pub(crate) trust: Option<Trust>,
}

/// One line. It closes when it is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) local: SocketAddr,
    queue: mpsc::Sender<Vec<u8>>,
}

impl Line {
    /// Opens a line from that address.
    pub(crate) async fn open(way: &Way, from: IpAddr, tally: Arc<Tally>) -> io::Result<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let from = SocketAddr::new(from, 0);
        if way.transport == Transport::Udp {
            let socket = Arc::new(UdpSocket::bind(from).await?);
            socket.connect(way.server).await?;
            let local = socket.local_addr()?;
            tokio::spawn(datagrams(socket, waiting, tally));
            return Ok(Self { local, queue });
        }
        let socket = if from.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind(from)?;
        let stream = socket.connect(way.server).await?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        match &way.trust {
            Some(trust) => {
                let (read, write) = tokio::io::split(trust.connect(stream).await?);
                run(read, write, &queue, waiting, tally);
            }
            None => {
                let (read, write) = TcpStream::into_split(stream);
                run(read, write, &queue, waiting, tally);
            }
        }
        Ok(Self { local, queue })
    }

    /// Gives a message to the line.
    pub(crate) async fn send(&self, message: Vec<u8>) {
        // A connection that the server closed answers nothing more, which is counted.
        let _closed = self.queue.send(message).await;
    }
}

/// Sends and receives on one socket until its line is dropped.
async fn datagrams(socket: Arc<UdpSocket>, mut waiting: mpsc::Receiver<Vec<u8>>, tally: Arc<Tally>) {
    let mut buffer = vec![0; LONGEST];
    loop {
        tokio::select! {
            message = waiting.recv() => {
                let Some(message) = message else { return };
                // What is not sent is not answered, which is counted.
                let _lost = socket.send(&message).await;
            }
            received = socket.recv(&mut buffer) => {
                // An ICMP error is told on this occasion; the requests it concerns are not answered.
                let Ok(length) = received else { continue };
                if let Some(answer) = take(buffer.get(..length).unwrap_or_default(), &tally) {
                    let _lost = socket.send(&answer).await;
                }
            }
        }
    }
}

/// Both halves of a connection.
fn run(
    read: impl AsyncRead + Unpin + Send + 'static,
    write: impl AsyncWrite + Unpin + Send + 'static,
    queue: &mpsc::Sender<Vec<u8>>,
    waiting: mpsc::Receiver<Vec<u8>>,
    tally: Arc<Tally>,
) {
    tokio::spawn(written(write, waiting));
    tokio::spawn(stream_read(read, queue.clone().downgrade(), tally));
}

async fn written(mut half: impl AsyncWrite + Unpin, mut waiting: mpsc::Receiver<Vec<u8>>) {
    while let Some(message) = waiting.recv().await {
        if half.write_all(&message).await.is_err() || half.flush().await.is_err() {
            return;
        }
    }
    // Nobody gives it anything more.
    let _closed = half.shutdown().await;
}

async fn stream_read(mut half: impl AsyncRead + Unpin, queue: mpsc::WeakSender<Vec<u8>>, tally: Arc<Tally>) {
    let mut unread: Vec<u8> = Vec::new();
    while let Ok(1..) = half.read_buf(&mut unread).await {
        while let Some(length) = message::whole(&unread) {
            let answer = take(unread.get(..length).unwrap_or_default(), &tally);
            unread.drain(..length);
            let (Some(answer), Some(queue)) = (answer, queue.upgrade()) else { continue };
            let _closed = queue.send(answer).await;
        }
    }
    tally.closed();
}

/// Counts a message; gives the answer to a request.
fn take(message: &[u8], tally: &Tally) -> Option<Vec<u8>> {
    match message::read(message) {
        Incoming::Final { number, status } => tally.answered(number, status),
        Incoming::Nothing => {}
        Incoming::Request => {
            tally.delivered();
            return Some(message::ok(message));
        }
    }
    None
}
