//! The endpoint: from a config to sockets, from sockets to tasks, and the end of it all.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use sip::{Encoded, Outgoing};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::complaint::Complaints;
use crate::datagram::{self, DatagramSocket};
use crate::mailbox::mailbox;
use crate::metrics::Metrics;
use crate::resolve::{Asker, Desk, LocateError, Locator};
use crate::shard::{self, Inbox, NewRequest, Order, Shard};
use crate::stream::{self, Duplex, Listener};
use crate::tls::Tls;
use crate::wiring::{SentBy, ShardQueues, Told, Wiring};
use crate::{
    Audience, BindError, ClientEvent, ClientTransaction, Config, Destination, Flow, Handler, Listen,
    Protocol, Shaken, TlsError, TlsFiles, TransportError,
};

/// How often a draining endpoint looks whether its transactions are through.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// How long tasks may take to end once they are told to.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// Sends requests and stateless messages, and knows the sockets. Clones are the same endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    wiring: Arc<Wiring>,
}

/// An endpoint whose sockets are open and whose tasks wait for their handler.
#[derive(Debug)]
pub struct Bound {
    endpoint: Endpoint,
    inboxes: Vec<Inbox>,
    datagrams: Vec<Vec<(Arc<DatagramSocket>, datagram::Waiting)>>,
    listeners: Vec<Listener>,
}

impl Endpoint {
    /// Opens all sockets of the config. What arrives from now on waits in them.
    ///
    /// # Errors
    /// [`BindError`] names the address; the sockets opened before it are closed again.
    #[expect(clippy::unused_async, reason = "sockets must be opened on a runtime")]
    pub async fn bind(config: Config) -> Result<Bound, BindError> {
        let tls = config.tls.load()?;
        warn_of_age(&tls);
        let mut sockets = Sockets::default();
        for listen in &config.listen {
            if listen.protocol.is_secure() && !tls.has_certificate() {
                return Err(BindError::NoCertificate { protocol: listen.protocol, addr: listen.addr });
            }
            sockets.open(listen.protocol, listen.addr, &config).map_err(|source| BindError::Listen {
                protocol: listen.protocol,
                addr: listen.addr,
                source,
            })?;
        }
        for Listen { protocol, addr } in &config.adopted {
            sockets.sent_by.push(SentBy::new(*protocol, *addr, config.sent_by.as_deref()));
        }
        if sockets.sent_by.is_empty() {
            return Err(BindError::NoListeners);
        }
        let share = config.transactions_per_shard();
        let (mut shards, mut inboxes) = (Vec::new(), Vec::new());
        for _ in 0..config.shard_count() {
            let (arrivals, orders, inbox) = shard::queues(config.shard_queue, share);
            shards.push(ShardQueues { arrivals, orders });
            inboxes.push(inbox);
        }
        let metrics = Arc::new(Metrics::register());
        let locator = locator(&config, &sockets, &metrics);
        let wiring = Wiring {
            connections: stream::Connections::new(unguessable(), &config),
            tls: RwLock::new(Arc::new(tls)),
            handler: Told::default(),
            metrics,
            complaints: Complaints::new(),
            locator,
            shards: shards.into(),
            datagrams: sockets.datagrams.iter().map(|worker| of_worker(worker)).collect(),
            sent_by: sockets.sent_by,
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
            hasher: RandomState::new(),
            numbers: 0.into(),
            turn: 0.into(),
            config,
        };
        let endpoint = Endpoint { wiring: Arc::new(wiring) };
        Ok(Bound { endpoint, inboxes, datagrams: sockets.datagrams, listeners: sockets.listeners })
    }

    /// Sends a request in a transaction of its own, over the destination's protocol. Our Via, with a fresh
    /// branch, is put on top here; the outgoing message has none of ours yet.
    pub fn request(&self, outgoing: Outgoing, destination: Destination) -> ClientTransaction {
        self.request_marked(&outgoing, destination, None)
    }

    /// As [`Self::request`], with `mark` (a token) at the end of the branch behind a dot: what loop detection
    /// compares (RFC 5393 §4.2.1).
    pub fn request_marked(
        &self,
        outgoing: &Outgoing,
        destination: Destination,
        mark: Option<&str>,
    ) -> ClientTransaction {
        let wiring = &self.wiring;
        let (shard, orders) = wiring.next_shard();
        let branch = wiring.next_branch(shard, mark);
        let octets = outgoing.encode_under(&self.via(&destination, &branch));
        let method = method_of(outgoing);
        let is_invite = method == b"INVITE";
        let (events, receiver) = mailbox(wiring.config.response_queue.max(8));
        let refuse = events.clone();
        let new = NewRequest { method, branch: branch.clone(), octets, destination, events };
        if !orders.give(Order::Request(Box::new(new))) {
            let refusal = ClientEvent::TransportError(crate::TransportError::QueueFull);
            // The queue is new and the receiver is here.
            let _sent = refuse.give(refusal);
        }
        ClientTransaction::new(branch, orders, receiver, is_invite)
    }

    /// Sends a request without a transaction, with our Via: an ACK for a 2xx (RFC 3261 §16.11). Nobody hears
    /// whether it arrived. `mark` as in [`Self::request_marked`].
    pub fn send_stateless(&self, outgoing: &Outgoing, destination: Destination, mark: Option<&str>) {
        let wiring = &self.wiring;
        let (shard, _) = wiring.next_shard();
        let branch = wiring.next_branch(shard, mark);
        let octets = outgoing.encode_under(&self.via(&destination, &branch));
        self.send_encoded(octets, destination);
    }

    /// Sends octets as they are, once.
    pub fn send_encoded(&self, octets: Encoded, destination: Destination) {
        let (_, orders) = self.wiring.next_shard();
        orders.give(Order::Stateless { octets, destination });
    }

    /// What stands on top of a request of ours.
    fn via(&self, destination: &Destination, branch: &str) -> String {
        let protocol = destination.protocol();
        let sent_by = self.wiring.sent_by(protocol, Some(destination.remote().ip()));
        // RFC 3581 §3; the branch stands before it, where a router's quotation still has it.
        let rport = if protocol.is_reliable() { "" } else { ";rport" };
        ["SIP/2.0/", protocol.via(), " ", sent_by, ";branch=", branch, rport].concat()
    }

    /// The ways to the server of a SIP or SIPS URI, best first, at least one and at most 16 (RFC 3263 §4).
    /// Only addresses that are `open` to who named the URI (see [`crate::may_reach`]) are given, whatever the
    /// DNS says.
    ///
    /// # Errors
    /// [`LocateError`]: there is no such server, or the name servers don't say in time.
    pub async fn locate(
        &self,
        uri: &sip::Uri,
        asker: Asker,
        open: impl Fn(SocketAddr) -> bool + Sync,
    ) -> Result<Vec<Destination>, LocateError> {
        self.wiring.locator.locate(uri, asker, &open, &mut |most| self.wiring.dice(most)).await
    }

    /// Host and port we write in the Via of that protocol; `None` without a listener of it.
    pub fn sent_by(&self, protocol: Protocol) -> Option<String> {
        self.wiring.sent_by.iter().find(|by| by.protocol == protocol).map(|by| by.text.clone())
    }

    /// Octets of the longest of them.
    pub fn longest_sent_by(&self) -> usize {
        self.wiring.sent_by.iter().map(|by| by.text.len()).max().unwrap_or(0)
    }

    /// The sockets that are open, in the order of the config.
    pub fn local_addrs(&self) -> Vec<(Protocol, SocketAddr)> {
        self.wiring.sent_by.iter().map(|by| (by.protocol, by.local)).collect()
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.wiring.metrics
    }

    /// Connections that are open or opening.
    pub fn connections(&self) -> usize {
        self.wiring.connections.len()
    }

    /// Octets that all connections together hold: half of messages, and messages that wait to be written.
    pub fn buffered(&self) -> usize {
        self.wiring.connections.budget().held()
    }

    /// Whether the connection of a flow is still open; a flow over UDP always is.
    pub fn is_open(&self, flow: &Flow) -> bool {
        flow.protocol == Protocol::Udp || self.wiring.connections.of_flow(flow).is_some()
    }

    /// The domains that the other end of a flow proved to speak for with its certificate, in lower case
    /// (RFC 5922 §7.1); none without TLS, without a certificate, or when the connection is gone.
    pub fn identities(&self, flow: &Flow) -> Vec<String> {
        let found = self.wiring.connections.of_flow(flow);
        found.map(|connection| connection.identities().to_vec()).unwrap_or_default()
    }

    /// Takes over a WebSocket whose handshake somebody else made (see [`crate::judge_upgrade`]): from now on it
    /// is a connection like those of our own listeners.
    ///
    /// # Errors
    /// [`TransportError::Limit`]: there are as many connections as may be; the stream was dropped.
    pub fn adopt<S>(
        &self,
        stream: S,
        protocol: Protocol,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<Flow, TransportError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream: Box<dyn Duplex> = Box::new(stream);
        self.wiring.connections.adopt(&self.wiring, protocol, stream, (local, remote))
    }

    /// The TLS handshake with one who connected to a listener of somebody else to speak HTTP, in the time of a head;
    /// and what was agreed on.
    ///
    /// # Errors
    /// There is no certificate, or the handshake came to nothing.
    pub async fn secure<S>(
        &self,
        stream: S,
        audience: Audience,
    ) -> io::Result<(impl AsyncRead + AsyncWrite + Unpin + Send + use<S>, Shaken)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let tls = self.wiring.tls();
        let shaken = timeout(self.wiring.config.head_deadline, tls.accept_web(stream, audience)).await;
        let shaken = shaken.unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into()));
        shaken.inspect_err(|_| self.wiring.metrics.handshakes_failed.add_one())
    }

    /// Reads certificates again, and uses them in handshakes from now on; connections go on with what they began
    /// with.
    ///
    /// # Errors
    /// A file is no good, or our certificate is not good today; then nothing changed.
    pub fn reload_tls(&self, files: &TlsFiles) -> Result<(), TlsError> {
        let tls = files.load()?;
        let before = self.wiring.tls();
        if !tls.is_good(SystemTime::now()) {
            return Err(files.not_today());
        }
        if before.has_certificate() && !tls.has_certificate() {
            return Err(files.missing());
        }
        *self.wiring.tls.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tls);
        Ok(())
    }

    /// Ends gracefully: no new connections, 503 to new requests, until all transactions have their final
    /// response or `patience` is over; then everything is closed. Returns the number of transactions that were
    /// left without.
    pub async fn drain(&self, patience: Duration) -> usize {
        let deadline = Instant::now() + patience;
        self.wiring.draining.cancel();
        for shard in &self.wiring.shards {
            shard.orders.give(Order::Drain);
        }
        let mut waiting = self.waiting().await;
        while waiting > 0 && Instant::now() < deadline {
            sleep(DRAIN_LOOK).await;
            waiting = self.waiting().await;
        }
        self.wiring.stop.cancel();
        self.wiring.tasks.close();
        // What has not ended by then is dropped with the runtime.
        let _overdue = timeout(LAST_WAIT, self.wiring.tasks.wait()).await;
        waiting
    }

    /// Transactions, of all shards, whose final response has not come or not gone yet.
    pub async fn waiting(&self) -> usize {
        let mut sum = 0;
        for shard in &self.wiring.shards {
            let (answer, count) = oneshot::channel();
            shard.orders.give(Order::CountWaiting(answer));
            sum += count.await.unwrap_or_default();
        }
        sum
    }
}

impl Bound {
    /// The sockets that are open, in the order of the config.
    pub fn local_addrs(&self) -> Vec<(Protocol, SocketAddr)> {
        self.endpoint.local_addrs()
    }

    /// The endpoint, for a handler that sends requests itself. Nothing is sent before [`Self::serve`].
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// Starts the tasks, on the workers of the config or else on the current runtime.
    pub fn serve(self, handler: Arc<dyn Handler>) -> Endpoint {
        let wiring = &self.endpoint.wiring;
        // An endpoint is served once.
        let _first = wiring.handler.0.set(Arc::clone(&handler));
        let workers = &wiring.config.workers;
        for (number, inbox) in self.inboxes.into_iter().enumerate() {
            let _inside = workers.get(number).map(Handle::enter);
            let shard = Shard::new(Arc::clone(wiring), Arc::clone(&handler), number);
            wiring.tasks.spawn(shard.run(inbox));
        }
        for (number, sockets) in self.datagrams.into_iter().enumerate() {
            let _inside = workers.get(number).map(Handle::enter);
            for (socket, waiting) in sockets {
                wiring.tasks.spawn(datagram::watch_errors(Arc::clone(&socket), Arc::clone(wiring)));
                wiring.tasks.spawn(datagram::send_waiting(socket, waiting, Arc::clone(wiring)));
            }
        }
        let _inside = workers.first().map(Handle::enter);
        for listener in self.listeners {
            wiring.tasks.spawn(stream::accept(listener, Arc::clone(wiring)));
        }
        self.endpoint
    }
}

fn of_worker(sockets: &[(Arc<DatagramSocket>, datagram::Waiting)]) -> Vec<Arc<DatagramSocket>> {
    sockets.iter().map(|(socket, _)| Arc::clone(socket)).collect()
}

/// Sockets as they are opened one by one.
#[derive(Default)]
struct Sockets {
    /// By worker.
    datagrams: Vec<Vec<(Arc<DatagramSocket>, datagram::Waiting)>>,
    listeners: Vec<Listener>,
    sent_by: Vec<SentBy>,
}

impl Sockets {
    fn open(&mut self, protocol: Protocol, addr: SocketAddr, config: &Config) -> io::Result<()> {
        let local = match protocol {
            Protocol::Udp => {
                let id = u64::try_from(self.datagrams.first().map_or(0, Vec::len)).unwrap_or_default();
                let sockets = DatagramSocket::bind(addr, id, config.datagram_queue, &config.workers)?;
                let local = sockets.first().map_or(addr, |(socket, _)| socket.local());
                self.datagrams.resize_with(sockets.len(), Vec::new);
                self.datagrams.iter_mut().zip(sockets).for_each(|(worker, socket)| worker.push(socket));
                local
            }
            Protocol::Tcp | Protocol::Tls | Protocol::Ws | Protocol::Wss => {
                let _inside = config.workers.first().map(Handle::enter);
                let listener = Listener::bind(protocol, addr)?;
                let local = listener.local_addr()?;
                self.listeners.push(listener);
                local
            }
        };
        self.sent_by.push(SentBy::new(protocol, local, config.sent_by.as_deref()));
        Ok(())
    }
}

/// One question may take half the time that all for one URI have: a server that never answers the first leaves
/// time for the others.
fn locator(config: &Config, sockets: &Sockets, metrics: &Arc<Metrics>) -> Locator {
    let listeners = sockets.sent_by.iter().map(|by| (by.protocol, by.local));
    let limit = config.resolve_timeout;
    let desk = Desk::new(Arc::clone(&config.resolver), Arc::clone(metrics), limit / 2);
    Locator::new(Arc::new(desk), crate::resolve::Sockets::new(listeners), limit)
}

fn method_of(outgoing: &Outgoing) -> Vec<u8> {
    outgoing.start_line().split(|&b| b == b' ').next().unwrap_or_default().to_vec()
}

/// A number nobody outside knows: the system's random keys, hashed.
fn unguessable() -> u64 {
    RandomState::new().hash_one(0u8)
}

/// At start an old certificate is better than no server.
fn warn_of_age(tls: &Tls) {
    if !tls.is_good(SystemTime::now()) {
        tracing::warn!("the certificate is not good today: those who connect with TLS will refuse it");
    }
}
