//! The handle of a connection, which anyone may hold.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use sip::Encoded;
use sip::transaction::Id;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Budget, Goal};
use crate::peer::unspecified;
use crate::shard::{Order, Orders};
use crate::{Config, Flow, Protocol, TransportError};

/// A connection as its users see it.
#[derive(Debug)]
pub(crate) struct Connection {
    id: u64,
    protocol: Protocol,
    remote: SocketAddr,
    /// Where it leads, for others who want to go there too.
    goal: Option<Goal>,
    /// Known once the handshake is done.
    local: OnceLock<SocketAddr>,
    /// Whom the other end proved to be; set with the handshake.
    identities: OnceLock<Box<[String]>>,
    queue: mpsc::Sender<Box<Outbound>>,
    octets_waiting: AtomicUsize,
    octets_allowed: usize,
    budget: Arc<Budget>,
    closed: CancellationToken,
    /// The other end sends nothing more, but may still read.
    ended: AtomicBool,
    /// Requests read whose final response is not queued yet.
    owed: AtomicUsize,
    settled: Notify,
    /// Whether the handler was told that nothing more comes.
    told: AtomicBool,
    /// When the last message was written, in milliseconds since `born`.
    written: AtomicUsize,
    born: Instant,
}

/// The far end of a connection's queue.
pub(crate) type Queue = mpsc::Receiver<Box<Outbound>>;

/// What waits to be written.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) octets: Encoded,
    /// Who is told if it can't be written.
    pub(crate) blame: Option<Blame>,
    /// Nothing is written behind it.
    pub(crate) last: bool,
    /// No SIP but a frame of WebSocket's own, whole.
    pub(crate) is_frame: bool,
}

impl Outbound {
    /// Of a transaction.
    pub(crate) const fn new(octets: Encoded, blame: Option<Blame>) -> Self {
        Self { octets, blame, last: false, is_frame: false }
    }

    /// The same on that other way.
    pub(crate) fn going_nowhere_else(mut self) -> Self {
        if let Some(blame) = &mut self.blame {
            blame.otherwise = None;
        }
        self
    }

    /// Whether there is another way for it.
    pub(super) fn may_go_otherwise(&self) -> bool {
        self.blame.as_ref().is_some_and(|blame| blame.otherwise.is_some())
    }

    /// The connection's own word.
    pub(super) const fn own(octets: Encoded, last: bool) -> Self {
        Self { octets, blame: None, last, is_frame: false }
    }
}

/// The transaction that a failed write belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Blame {
    pub(crate) orders: Orders,
    pub(crate) id: Id,
    /// Where the message goes instead (RFC 3261 §18.2.2).
    pub(crate) otherwise: Option<Goal>,
}

impl Connection {
    pub(super) fn new(
        id: u64,
        at: (Protocol, SocketAddr),
        goal: Option<Goal>,
        config: &Config,
        budget: &Arc<Budget>,
    ) -> (Arc<Self>, Queue) {
        let (queue, receiver) = mpsc::channel(config.write_queue.max(1));
        let connection = Self {
            id,
            protocol: at.0,
            remote: at.1,
            goal,
            local: OnceLock::new(),
            identities: OnceLock::new(),
            queue,
            octets_waiting: AtomicUsize::new(0),
            octets_allowed: config.write_octets,
            budget: Arc::clone(budget),
            closed: CancellationToken::new(),
            ended: AtomicBool::new(false),
            owed: AtomicUsize::new(0),
            settled: Notify::new(),
            told: AtomicBool::new(false),
            written: AtomicUsize::new(0),
            born: Instant::now(),
        };
        (Arc::new(connection), receiver)
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) const fn remote(&self) -> SocketAddr {
        self.remote
    }

    pub(super) const fn goal(&self) -> Option<&Goal> {
        self.goal.as_ref()
    }

    pub(crate) fn flow(&self) -> Flow {
        let local = self.local.get().copied().unwrap_or_else(|| unspecified(self.remote.ip()));
        Flow { protocol: self.protocol, local, remote: self.remote, id: self.id }
    }

    /// Whom the other end proved to be (RFC 5922 §7.1); nobody where it was not asked or is not there yet.
    pub(crate) fn identities(&self) -> &[String] {
        self.identities.get().map_or(&[], |all| &**all)
    }

    /// What became known in the handshake.
    pub(super) fn shaken(&self, local: Option<SocketAddr>, identities: Vec<String>) {
        if let Some(local) = local {
            // Set here and nowhere else, as the next.
            let _first = self.local.set(local);
        }
        if !identities.is_empty() {
            let _first = self.identities.set(identities.into());
        }
    }

    /// Whether a request of ours may go this way and find an answer.
    pub(crate) fn takes_requests(&self) -> bool {
        !self.is_closed() && !self.ended.load(Ordering::Acquire)
    }

    fn is_closed(&self) -> bool {
        self.closed.is_cancelled() || self.queue.is_closed()
    }

    pub(super) const fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// The other end sends nothing more.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether the handler still has to be told that nothing more comes; once.
    pub(crate) fn is_news(&self) -> bool {
        !self.told.swap(true, Ordering::AcqRel)
    }

    /// A request was read that will have an answer.
    pub(crate) fn owe(&self) {
        self.owed.fetch_add(1, Ordering::AcqRel);
    }

    /// Waits until every request has its final response queued.
    pub(super) async fn settled(&self) {
        loop {
            let next = self.settled.notified();
            if self.owed.load(Ordering::Acquire) == 0 {
                return;
            }
            next.await;
        }
    }

    fn paid(&self) {
        let less = |owed: usize| Some(owed.saturating_sub(1));
        let before = self.owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        if before.is_ok_and(|before| before <= 1) {
            self.settled.notify_waiters();
        }
    }

    /// Queues a message, or gives it back with the reason.
    pub(crate) fn send(&self, outbound: Outbound) -> Result<(), (Box<Outbound>, TransportError)> {
        let outbound = Box::new(outbound);
        if self.is_closed() {
            return Err((outbound, TransportError::FlowClosed));
        }
        let octets = outbound.octets.len();
        let is_final = outbound.octets.status().is_some_and(|status| status >= 200);
        let waiting = self.octets_waiting.load(Ordering::Relaxed);
        let too_many = waiting > 0 && waiting.saturating_add(octets) > self.octets_allowed;
        if too_many || !self.budget.take(octets) {
            return Err((outbound, TransportError::QueueFull));
        }
        self.octets_waiting.fetch_add(octets, Ordering::Relaxed);
        let refused = match self.queue.try_send(outbound) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(outbound)) => Some((outbound, TransportError::QueueFull)),
            Err(mpsc::error::TrySendError::Closed(outbound)) => Some((outbound, TransportError::FlowClosed)),
        };
        if let Some((outbound, error)) = refused {
            self.taken(octets);
            return Err((outbound, error));
        }
        if is_final {
            self.paid();
        }
        Ok(())
    }

    /// A message left the queue.
    pub(super) fn taken(&self, octets: usize) {
        self.octets_waiting.fetch_sub(octets, Ordering::Relaxed);
        self.budget.give_back(octets);
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

impl Blame {
    /// It was not written: it goes another way if there is one, else its transaction hears of it.
    pub(super) fn report(self, octets: Encoded, error: TransportError) {
        let Self { orders, id, otherwise } = self;
        match otherwise {
            Some(to) => orders.give(Order::Redirect { id, octets, to: Box::new(to) }),
            None => orders.give(Order::Failed { id, error }),
        };
    }
}
