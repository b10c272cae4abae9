//! Connections: TCP, TLS, WebSocket. Who is connected, and the way to a connection.

mod budget;
mod connection;
mod framer;
mod goal;
mod known;
mod life;
mod listener;
mod reader;
mod upgrade;
mod websocket;
mod writer;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;

use crate::wiring::Wiring;
use crate::{Config, Flow, Protocol, TransportError};

pub(crate) use budget::Budget;
pub(crate) use connection::{Blame, Connection, Outbound};
pub(crate) use goal::Goal;
pub(crate) use known::Known;
pub(crate) use life::Duplex;
pub(crate) use listener::{Listener, accept};
pub use upgrade::{UpgradeRefused, judge_upgrade};

/// All connections of an endpoint. The lock is taken when a connection comes or goes and when a shard looks for
/// one it has not used yet (see [`Known`]); responses hold theirs.
#[derive(Debug)]
pub(crate) struct Connections {
    open: Mutex<Open>,
    next_id: AtomicU64,
    budget: Arc<Budget>,
}

#[derive(Debug, Default)]
struct Open {
    by_id: HashMap<u64, Arc<Connection>>,
    by_goal: HashMap<Goal, u64>,
    per_source: HashMap<IpAddr, usize>,
}

impl Connections {
    /// Ids begin anywhere, so that a flow remembered from another run of the program names none of this one.
    pub(crate) fn new(seed: u64, config: &Config) -> Self {
        let budget = Arc::new(Budget::new(config.buffered_octets));
        Self { open: Mutex::default(), next_id: AtomicU64::new(seed), budget }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().by_id.len()
    }

    /// The octets they hold together.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The connection of a flow, if it is still this one.
    pub(crate) fn of_flow(&self, flow: &Flow) -> Option<Arc<Connection>> {
        let open = self.lock();
        let found = open.by_id.get(&flow.id)?;
        (found.remote() == flow.remote && found.takes_requests()).then(|| Arc::clone(found))
    }

    /// A connection to that goal: one that is open or opening, else a new one.
    pub(crate) fn towards(&self, wiring: &Arc<Wiring>, to: &Goal) -> Result<Arc<Connection>, TransportError> {
        let mut open = self.lock();
        let known = open.by_goal.get(to).and_then(|id| open.by_id.get(id));
        if let Some(found) = known.filter(|found| found.takes_requests()) {
            return Ok(Arc::clone(found));
        }
        let at = (to.protocol(), to.addr());
        let (connection, queue) = self.admit(&mut open, wiring, at, Some(to.clone()))?;
        drop(open);
        let opening = life::open(Arc::clone(wiring), Arc::clone(&connection), to.clone(), queue);
        wiring.tasks.spawn(opening);
        Ok(connection)
    }

    /// Takes a connection that came in. Over a limit the stream is dropped, which closes it.
    fn accepted(&self, wiring: &Arc<Wiring>, protocol: Protocol, stream: TcpStream, from: SocketAddr) {
        let goal = Goal::of_accepted(protocol, from);
        let admitted = self.admit(&mut self.lock(), wiring, (protocol, from), goal);
        if let Ok((connection, queue)) = admitted {
            wiring.tasks.spawn(life::accepted(Arc::clone(wiring), connection, queue, stream));
        }
    }

    /// Takes a WebSocket whose handshake somebody else made.
    pub(crate) fn adopt(
        &self,
        wiring: &Arc<Wiring>,
        protocol: Protocol,
        stream: Box<dyn Duplex>,
        ends: (SocketAddr, SocketAddr),
    ) -> Result<Flow, TransportError> {
        let (local, remote) = ends;
        let (connection, queue) = self.admit(&mut self.lock(), wiring, (protocol, remote), None)?;
        connection.shaken(Some(local), Vec::new());
        let flow = connection.flow();
        wiring.tasks.spawn(life::adopted(Arc::clone(wiring), connection, queue, stream));
        Ok(flow)
    }

    fn admit(
        &self,
        open: &mut Open,
        wiring: &Wiring,
        at: (Protocol, SocketAddr),
        goal: Option<Goal>,
    ) -> Result<(Arc<Connection>, connection::Queue), TransportError> {
        let source = at.1.ip();
        let from_there = open.per_source.get(&source).copied().unwrap_or_default();
        let config = &wiring.config;
        if open.by_id.len() >= config.connections || from_there >= config.connections_per_source {
            wiring.metrics.connections_refused.add_one();
            return Err(TransportError::Limit);
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (connection, queue) = Connection::new(id, at, goal, config, &self.budget);
        open.by_id.insert(id, Arc::clone(&connection));
        if let Some(goal) = connection.goal() {
            open.by_goal.insert(goal.clone(), id);
        }
        *open.per_source.entry(source).or_default() += 1;
        wiring.metrics.connections_opened.add_one();
        Ok((connection, queue))
    }

    /// Forgets a connection that is closed.
    fn remove(&self, connection: &Connection) {
        let mut open = self.lock();
        if open.by_id.remove(&connection.id()).is_none() {
            return;
        }
        if let Some(goal) = connection.goal().filter(|goal| open.by_goal.get(goal) == Some(&connection.id()))
        {
            open.by_goal.remove(goal);
        }
        let source = connection.remote().ip();
        if let Some(count) = open.per_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                open.per_source.remove(&source);
            }
        }
    }
}
