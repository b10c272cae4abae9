//! One connection: its handle, which anyone may hold, and its life from the handshake to the end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use sip::Encoded;
use sip::transaction::Id;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{reader, writer};
use crate::peer::unspecified;
use crate::shard::{Order, Orders};
use crate::wiring::Wiring;
use crate::{Config, Flow, Protocol, TransportError};

/// A connection as its users see it.
#[derive(Debug)]
pub(crate) struct Connection {
    id: u64,
    remote: SocketAddr,
    /// Known once the handshake is done.
    local: OnceLock<SocketAddr>,
    queue: mpsc::Sender<Outbound>,
    octets_waiting: AtomicUsize,
    octets_allowed: usize,
    closed: CancellationToken,
    /// When the last message was written, in milliseconds since `born`.
    written: AtomicUsize,
    born: Instant,
}

/// The far end of a connection's queue.
pub(crate) type Queue = mpsc::Receiver<Outbound>;

/// What waits to be written.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) octets: Encoded,
    /// Who is told if it can't be written.
    pub(crate) blame: Option<Blame>,
    /// Nothing is written behind it.
    pub(crate) last: bool,
}

/// The transaction that a failed write belongs to.
#[derive(Debug)]
pub(crate) struct Blame {
    pub(crate) orders: Orders,
    pub(crate) id: Id,
}

impl Blame {
    pub(super) fn report(self, error: TransportError) {
        self.orders.give(Order::Failed { id: self.id, error });
    }
}

impl Connection {
    pub(super) fn new(id: u64, remote: SocketAddr, config: &Config) -> (Arc<Self>, Queue) {
        let (queue, receiver) = mpsc::channel(config.write_queue.max(1));
        let connection = Self {
            id,
            remote,
            local: OnceLock::new(),
            queue,
            octets_waiting: AtomicUsize::new(0),
            octets_allowed: config.write_octets,
            closed: CancellationToken::new(),
            written: AtomicUsize::new(0),
            born: Instant::now(),
        };
        (Arc::new(connection), receiver)
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) const fn remote(&self) -> SocketAddr {
        self.remote
    }

    pub(crate) fn flow(&self) -> Flow {
        let local = self.local.get().copied().unwrap_or_else(|| unspecified(self.remote.ip()));
        Flow { protocol: Protocol::Tcp, local, remote: self.remote, id: self.id }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_cancelled() || self.queue.is_closed()
    }

    pub(super) const fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// Queues a message, or gives it back with the reason.
    pub(crate) fn send(&self, outbound: Outbound) -> Result<(), (Outbound, TransportError)> {
        if self.is_closed() {
            return Err((outbound, TransportError::FlowClosed));
        }
        let octets = outbound.octets.len();
        let waiting = self.octets_waiting.fetch_add(octets, Ordering::Relaxed);
        let refused = if waiting > 0 && waiting.saturating_add(octets) > self.octets_allowed {
            Some((outbound, TransportError::QueueFull))
        } else {
            match self.queue.try_send(outbound) {
                Ok(()) => None,
                Err(mpsc::error::TrySendError::Full(outbound)) => Some((outbound, TransportError::QueueFull)),
                Err(mpsc::error::TrySendError::Closed(outbound)) => {
                    Some((outbound, TransportError::FlowClosed))
                }
            }
        };
        refused.map_or(Ok(()), |refused| {
            self.octets_waiting.fetch_sub(octets, Ordering::Relaxed);
            Err(refused)
        })
    }

    /// The writer took a message from the queue.
    pub(super) fn taken(&self, octets: usize) {
        self.octets_waiting.fetch_sub(octets, Ordering::Relaxed);
    }

    /// The writer wrote one.
    pub(super) fn wrote(&self) {
        let now = usize::try_from(self.born.elapsed().as_millis()).unwrap_or(usize::MAX);
        self.written.store(now, Ordering::Relaxed);
    }

    /// When the last message was written.
    pub(super) fn last_written(&self) -> Instant {
        let after = u64::try_from(self.written.load(Ordering::Relaxed)).unwrap_or_default();
        self.born + std::time::Duration::from_millis(after)
    }
}

/// Connects, then lives. What waits in the queue is reported if there is no connection.
pub(super) async fn open(wiring: Arc<Wiring>, connection: Arc<Connection>, queue: Queue) {
    let connecting = timeout(wiring.config.connect_timeout, TcpStream::connect(connection.remote));
    let outcome = tokio::select! {
        outcome = connecting => outcome,
        () = wiring.stop.cancelled() => return wiring.connections.remove(&connection),
    };
    let error = match outcome {
        Ok(Ok(stream)) => return live(wiring, connection, queue, stream).await,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::TimedOut => TransportError::ConnectTimeout,
        Ok(Err(error)) => TransportError::from(&error),
        Err(_elapsed) => TransportError::ConnectTimeout,
    };
    connection.closed.cancel();
    wiring.connections.remove(&connection);
    writer::report_all(&wiring, queue, error);
}

/// Reads and writes until one of them ends it.
pub(super) async fn live(wiring: Arc<Wiring>, connection: Arc<Connection>, queue: Queue, stream: TcpStream) {
    // Latency over fewer packets; without it the connection only is slower.
    let _slower = stream.set_nodelay(true);
    if let Ok(local) = stream.local_addr() {
        // Set here and nowhere else.
        let _first = connection.local.set(local);
    }
    let (read, write) = stream.into_split();
    let writing = writer::run(Arc::clone(&wiring), Arc::clone(&connection), queue, write);
    let writing = wiring.tasks.spawn(writing);
    reader::run(&wiring, &connection, read).await;
    connection.closed.cancel();
    wiring.connections.remove(&connection);
    // The writer sees the same token; a task of ours does not panic.
    let _done = writing.await;
}
