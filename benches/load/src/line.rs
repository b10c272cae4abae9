//! A line: one UDP socket or one TCP connection to the server, that sends what is given to it, answers what it
//! gets, and tells the tally of the answers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use clap::ValueEnum;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::sync::mpsc;

use crate::message::{self, Incoming};
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
}

impl Transport {
    pub(crate) const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    pub(crate) const fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
        }
    }
}

/// One line. It closes when it is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) local: SocketAddr,
    queue: mpsc::Sender<Vec<u8>>,
}

impl Line {
    /// Opens a line from that address.
    pub(crate) async fn open(
        transport: Transport,
        from: IpAddr,
        server: SocketAddr,
        tally: Arc<Tally>,
    ) -> io::Result<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let from = SocketAddr::new(from, 0);
        let local = match transport {
            Transport::Udp => {
                let socket = Arc::new(UdpSocket::bind(from).await?);
                socket.connect(server).await?;
                let local = socket.local_addr()?;
                tokio::spawn(datagrams(socket, waiting, tally));
                local
            }
            Transport::Tcp => {
                let socket = if from.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
                socket.bind(from)?;
                let stream = socket.connect(server).await?;
                stream.set_nodelay(true)?;
                let local = stream.local_addr()?;
                let (read, write) = stream.into_split();
                tokio::spawn(written(write, waiting));
                tokio::spawn(stream_read(read, queue.clone().downgrade(), tally));
                local
            }
        };
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

async fn written(mut half: OwnedWriteHalf, mut waiting: mpsc::Receiver<Vec<u8>>) {
    while let Some(message) = waiting.recv().await {
        if half.write_all(&message).await.is_err() {
            return;
        }
    }
}

async fn stream_read(mut half: OwnedReadHalf, queue: mpsc::WeakSender<Vec<u8>>, tally: Arc<Tally>) {
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
