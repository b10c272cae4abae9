//! What the transport is told at start. Every queue, table and wait has its limit here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sip::transaction::Timers;
use tokio::runtime::Handle;

use crate::{Protocol, Resolve, SystemResolver, TlsFiles};

/// One socket to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What it speaks.
    pub protocol: Protocol,
    /// Where; port 0 lets the system choose (see `Bound::local_addrs`).
    pub addr: SocketAddr,
}

/// All of it, with defaults that fit a machine of a few cores.
#[derive(Clone, Debug)]
pub struct Config {
    /// The sockets to open.
    pub listen: Vec<Listen>,
    /// WebSocket listeners that somebody else serves, who hands their connections to `Endpoint::adopt`.
    pub adopted: Vec<Listen>,
    /// Certificates.
    pub tls: TlsFiles,
    /// Origins whose pages may open a WebSocket, as a browser writes them; none: all.
    pub origins: Vec<String>,
    /// The host we write in Via and where responses come back to when a connection is gone. `None`: the
    /// address of the socket.
    pub sent_by: Option<String>,
    /// Shards of the transaction table, each one task. 0: one per core. Not asked where there are workers.
    pub shards: usize,
    /// Runtimes of one thread, each for one shard with sockets of its own; a message whose road never leaves its
    /// thread costs no wake-up. Empty: all runs on the runtime that [`crate::Bound::serve`] is called on.
    pub workers: Vec<Handle>,
    /// Limits of one message.
    pub messages: sip::Limits,
    /// Values of the transaction timers.
    pub timers: Timers,
    /// Transactions of the whole endpoint; a request beyond them is answered 503.
    pub transactions: usize,
    /// What Retry-After says in that 503, and while draining, in seconds.
    pub retry_after: u32,
    /// Messages that wait for one shard; what comes beyond is dropped and counted (a connection waits).
    pub shard_queue: usize,
    /// Connections, both ways together; beyond them new ones are closed at once.
    pub connections: usize,
    /// Connections from one address.
    pub connections_per_source: usize,
    /// Octets that all connections together hold, of messages half arrived and of those that wait to be written;
    /// beyond, a message is answered 503 and its connection closed, or not queued.
    pub buffered_octets: usize,
    /// A WebSocket that was silent for so long is pinged; one that answers no ping is closed.
    pub ping: Duration,
    /// A connection on which nothing came or went for so long is closed.
    pub idle: Duration,
    /// The time from the first octet of a head to its last; and the time of a TLS and a WebSocket handshake that
    /// somebody else began.
    pub head_deadline: Duration,
    /// The time from the first octet of a message to the last of its body.
    pub message_deadline: Duration,
    /// The time a TCP handshake of ours may take, with TLS on top.
    pub connect_timeout: Duration,
    /// The time the other end may take to read on while something is written to it; the whole of what is written
    /// in one go, one message or several small ones, has [`Self::message_deadline`] as what is read has.
    pub write_timeout: Duration,
    /// Messages that wait to be written to one connection.
    pub write_queue: usize,
    /// Octets that wait to be written to one connection.
    pub write_octets: usize,
    /// Datagrams that wait while a UDP socket takes no more.
    pub datagram_queue: usize,
    /// Responses that wait for the user of one client transaction.
    pub response_queue: usize,
    /// The time that all questions to the resolver for one URI may take.
    pub resolve_timeout: Duration,
    /// Names to addresses.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            adopted: Vec::new(),
            tls: TlsFiles::default(),
            origins: Vec::new(),
            sent_by: None,
            shards: 0,
            workers: Vec::new(),
            messages: sip::Limits::default(),
            timers: Timers::default(),
            transactions: 200_000,
            retry_after: 5,
            shard_queue: 4096,
            connections: 20_000,
            connections_per_source: 1000,
            buffered_octets: 256 << 20,
            ping: Duration::from_secs(30),
            idle: Duration::from_secs(15 * 60),
            head_deadline: Duration::from_secs(10),
            message_deadline: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            write_queue: 4096,
            write_octets: 16 << 20,
            datagram_queue: 1024,
            response_queue: 32,
            resolve_timeout: Duration::from_secs(5),
            resolver: Arc::new(SystemResolver),
        }
    }
}

impl Config {
    /// The number of shards; never 0, and few enough for the branch to name them.
    pub(crate) fn shard_count(&self) -> u16 {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let wanted = match (self.workers.len(), self.shards) {
            (0, 0) => cores(),
            (0, shards) => shards,
            (workers, _) => workers,
        };
        u16::try_from(wanted.clamp(1, 1024)).unwrap_or(1)
    }

    /// Its share of the transactions; never 0.
    pub(crate) fn transactions_per_shard(&self) -> usize {
        self.transactions.div_ceil(usize::from(self.shard_count())).max(1)
    }
}
