//! What the tasks of one endpoint share: the queues to the shards, the sockets, the limits.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use sip::transaction;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::complaint::Complaints;
use crate::datagram::DatagramSocket;
use crate::icmp;
use crate::metrics::Metrics;
use crate::peer::Peer;
use crate::resolve::Locator;
use crate::shard::{self, Arrivals, Order, Orders};
use crate::stream::{Connection, Connections};
use crate::tls::Tls;
use crate::{Config, Destination, Handler, Protocol, TransportError};

#[derive(Debug)]
pub(crate) struct Wiring {
    pub(crate) config: Config,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) complaints: Complaints,
    pub(crate) locator: Locator,
    pub(crate) shards: Box<[ShardQueues]>,
    /// By worker, and for each the listeners in their order.
    pub(crate) datagrams: Vec<Vec<Arc<DatagramSocket>>>,
    pub(crate) connections: Connections,
    /// Replaced as a whole when the files are read again; connections keep what they began with.
    pub(crate) tls: RwLock<Arc<Tls>>,
    pub(crate) handler: Told,
    /// Host and port we write in Via, per listener.
    pub(crate) sent_by: Vec<SentBy>,
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the endpoint begins to drain: no more connections are accepted.
    pub(crate) draining: CancellationToken,
    /// Cancelled when everything ends.
    pub(crate) stop: CancellationToken,
    /// Which shard a request belongs to can't be aimed from outside, nor can a branch be guessed.
    pub(crate) hasher: RandomState,
    pub(crate) numbers: AtomicU64,
    pub(crate) turn: AtomicUsize,
}

/// Who hears of connections that closed; nobody before the endpoint serves.
#[derive(Default)]
pub(crate) struct Told(pub(crate) OnceLock<Arc<dyn Handler>>);

impl fmt::Debug for Told {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.get().is_some() { "Told(a handler)" } else { "Told(nobody)" })
    }
}

/// The two queues of a shard.
#[derive(Debug)]
pub(crate) struct ShardQueues {
    pub(crate) arrivals: Arrivals,
    pub(crate) orders: Orders,
}

/// One listener as a Via names it.
#[derive(Clone, Debug)]
pub(crate) struct SentBy {
    pub(crate) protocol: Protocol,
    pub(crate) local: SocketAddr,
    pub(crate) text: String,
}

impl SentBy {
    pub(crate) fn new(protocol: Protocol, local: SocketAddr, host: Option<&str>) -> Self {
        let text = match host {
            Some(host) => format!("{host}:{}", local.port()),
            None => SocketAddr::new(reachable(local.ip()), local.port()).to_string(),
        };
        Self { protocol, local, text }
    }
}

/// For a listener on all addresses, the one this machine would use towards the world. No packet is sent.
fn reachable(ip: IpAddr) -> IpAddr {
    /// Addresses for documentation (RFC 5737, RFC 3849): routed as anything unknown is.
    const WORLD: [(&str, &str); 2] = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];
    if !ip.is_unspecified() {
        return ip;
    }
    let found = WORLD.iter().find_map(|(any, world)| {
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(world).ok()?;
        socket.local_addr().ok().map(|addr| addr.ip()).filter(|found| found.is_ipv4() == ip.is_ipv4())
    });
    let loopback =
        if ip.is_ipv4() { IpAddr::from([127, 0, 0, 1]) } else { IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]) };
    found.unwrap_or(loopback)
}

impl Wiring {
    /// A branch that was not given before. Whoever sees one of ours learns nothing of the next: responses are
    /// told by their branch alone, so one that can be guessed lets anyone answer in another's place.
    pub(crate) fn next_branch(&self, shard: u16, mark: Option<&str>) -> String {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        transaction::branch(shard, self.hasher.hash_one(number), number, mark)
    }

    /// A number from 0 to `most` that nobody outside can tell before.
    pub(crate) fn dice(&self, most: u32) -> u32 {
        let number = self.hasher.hash_one(self.numbers.fetch_add(1, Ordering::Relaxed));
        u32::try_from(number % (u64::from(most) + 1)).unwrap_or_default()
    }

    /// The shard for the next request of ours: on a worker its own, so that the request stays on its thread.
    pub(crate) fn next_shard(&self) -> (u16, Orders) {
        let in_turn = || self.turn.fetch_add(1, Ordering::Relaxed);
        let turn = shard::of_this_worker().unwrap_or_else(in_turn) % self.shards.len().max(1);
        let number = u16::try_from(turn).unwrap_or_default();
        let orders = self.shards.get(turn).map_or_else(Orders::closed, |shard| shard.orders.clone());
        (number, orders)
    }

    /// The shard a request belongs to.
    pub(crate) fn shard_of(&self, request: &sip::Request) -> usize {
        let shards = u64::try_from(self.shards.len()).unwrap_or(1).max(1);
        if shards == 1 {
            return 0;
        }
        let at = transaction::affinity(request, &self.hasher) % shards;
        usize::try_from(at).unwrap_or_default()
    }

    /// What we write as sent-by towards a destination.
    pub(crate) fn sent_by(&self, protocol: Protocol, towards: Option<IpAddr>) -> &str {
        let fits = |by: &&SentBy| towards.is_none_or(|ip| by.local.is_ipv4() == ip.is_ipv4());
        let of_protocol = || self.sent_by.iter().filter(|by| by.protocol == protocol);
        let near = |by: &&SentBy| towards.is_none_or(|ip| reaches(by.local, ip));
        let found = of_protocol().find(near).or_else(|| of_protocol().find(fits));
        let found = found.or_else(|| self.sent_by.iter().find(fits)).or_else(|| self.sent_by.first());
        found.map_or("localhost", |by| by.text.as_str())
    }

    /// The sockets that a shard sends from.
    pub(crate) fn datagrams_of(&self, shard: usize) -> &[Arc<DatagramSocket>] {
        let worker = shard.checked_rem(self.datagrams.len()).and_then(|worker| self.datagrams.get(worker));
        worker.map(Vec::as_slice).unwrap_or_default()
    }

    /// The socket datagrams of that shard to a destination leave from.
    pub(crate) fn datagram_peer(
        &self,
        shard: usize,
        destination: &Destination,
    ) -> Result<Peer, TransportError> {
        let to = destination.remote();
        let sockets = self.datagrams_of(shard);
        let of = |wanted: &dyn Fn(&DatagramSocket) -> bool| sockets.iter().find(|socket| wanted(socket));
        let socket = match destination {
            Destination::Flow(flow) => {
                of(&|socket| socket.local() == flow.local).or_else(|| of(&|socket| socket.id() == flow.id))
            }
            Destination::Address { .. } | Destination::Named { .. } => {
                of(&|socket| reaches(socket.local(), to.ip()))
            }
        };
        let socket = socket.or_else(|| of(&|socket| socket.local().is_ipv4() == to.is_ipv4()));
        let socket = Arc::clone(socket.ok_or(TransportError::NoSocket)?);
        Ok(Peer::Datagram { socket, source: to, to })
    }

    /// What TLS is done with from now on.
    pub(crate) fn tls(&self) -> Arc<Tls> {
        Arc::clone(&self.tls.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The other end of a connection sends nothing more: the handler hears of it, once. When all of them end
    /// with the endpoint that is no news.
    pub(crate) fn closed(&self, connection: &Connection) {
        if connection.is_news()
            && !self.stop.is_cancelled()
            && let Some(handler) = self.handler.0.get()
        {
            handler.closed(connection.flow());
        }
    }

    /// ICMP said that a datagram did not arrive.
    pub(crate) fn unreachable(&self, failed: icmp::Failed) {
        self.metrics.icmp_errors.add_one();
        if let Some(shard) = self.shards.get(usize::from(failed.shard)) {
            let icmp::Failed { method, branch, error, .. } = failed;
            shard.orders.give(Order::Unreachable { method, branch, error });
        }
    }
}

/// Whether a socket bound there can send to that address without surprise: loopback keeps to itself.
fn reaches(local: SocketAddr, to: IpAddr) -> bool {
    local.is_ipv4() == to.is_ipv4()
        && (local.ip().is_unspecified() || local.ip().is_loopback() == to.is_loopback())
}
