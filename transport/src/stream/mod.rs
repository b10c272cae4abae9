//! TCP: who is connected, and the way to a connection.

mod connection;
mod known;
mod listener;
mod reader;
mod writer;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wiring::Wiring;
use crate::{Flow, TransportError};

pub(crate) use connection::{Blame, Connection, Outbound};
pub(crate) use known::Known;
pub(crate) use listener::{accept, bind};

/// All connections of an endpoint. The lock is taken when a connection comes or goes and when a shard looks for
/// one it has not used yet (see [`Known`]); responses hold theirs.
#[derive(Debug)]
pub(crate) struct Connections {
    open: Mutex<Open>,
    next_id: AtomicU64,
}

#[derive(Debug, Default)]
struct Open {
    by_id: HashMap<u64, Arc<Connection>>,
    by_remote: HashMap<SocketAddr, u64>,
    per_source: HashMap<IpAddr, usize>,
}

impl Connections {
    /// Ids begin anywhere, so that a flow remembered from another run of the program names none of this one.
    pub(crate) fn new(seed: u64) -> Self {
        Self { open: Mutex::default(), next_id: AtomicU64::new(seed) }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().by_id.len()
    }

    /// The connection of a flow, if it is still this one.
    pub(crate) fn of_flow(&self, flow: &Flow) -> Option<Arc<Connection>> {
        let open = self.lock();
        let found = open.by_id.get(&flow.id)?;
        (found.remote() == flow.remote && !found.is_closed()).then(|| Arc::clone(found))
    }

    /// A connection to that address: one that is open or opening, else a new one.
    pub(crate) fn towards(
        &self,
        wiring: &Arc<Wiring>,
        to: SocketAddr,
    ) -> Result<Arc<Connection>, TransportError> {
        let mut open = self.lock();
        let known = open.by_remote.get(&to).and_then(|id| open.by_id.get(id));
        if let Some(found) = known.filter(|found| !found.is_closed()) {
            return Ok(Arc::clone(found));
        }
        let (connection, queue) = self.admit(&mut open, wiring, to)?;
        drop(open);
        wiring.tasks.spawn(connection::open(Arc::clone(wiring), Arc::clone(&connection), queue));
        Ok(connection)
    }

    /// Takes a connection that came in.
    fn accepted(
        &self,
        wiring: &Arc<Wiring>,
        from: SocketAddr,
    ) -> Option<(Arc<Connection>, connection::Queue)> {
        self.admit(&mut self.lock(), wiring, from).ok()
    }

    fn admit(
        &self,
        open: &mut Open,
        wiring: &Wiring,
        remote: SocketAddr,
    ) -> Result<(Arc<Connection>, connection::Queue), TransportError> {
        let from_there = open.per_source.get(&remote.ip()).copied().unwrap_or_default();
        let config = &wiring.config;
        if open.by_id.len() >= config.connections || from_there >= config.connections_per_source {
            wiring.metrics.connections_refused.add_one();
            return Err(TransportError::Limit);
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (connection, queue) = Connection::new(id, remote, config);
        open.by_id.insert(id, Arc::clone(&connection));
        open.by_remote.insert(remote, id);
        *open.per_source.entry(remote.ip()).or_default() += 1;
        wiring.metrics.connections_opened.add_one();
        Ok((connection, queue))
    }

    /// Forgets a connection that is closed.
    fn remove(&self, connection: &Connection) {
        let mut open = self.lock();
        let remote = connection.remote();
        if open.by_id.remove(&connection.id()).is_none() {
            return;
        }
        if open.by_remote.get(&remote) == Some(&connection.id()) {
            open.by_remote.remove(&remote);
        }
        if let Some(count) = open.per_source.get_mut(&remote.ip()) {
            *count -= 1;
            if *count == 0 {
                open.per_source.remove(&remote.ip());
            }
        }
    }
}
