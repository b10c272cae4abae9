//! The connections one shard has used. The common table, and its lock, is asked only for a connection that
//! the shard sees for the first time.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Connection, Goal};
use crate::wiring::Wiring;
use crate::{Flow, TransportError};

/// Connections remembered before those that are closed are swept out.
const SWEEP_AT: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Known {
    by_goal: HashMap<Goal, Arc<Connection>>,
    by_flow: HashMap<u64, Arc<Connection>>,
}

impl Known {
    /// A connection to that goal: one that is open or opening, else a new one.
    pub(crate) fn towards(
        &mut self,
        wiring: &Arc<Wiring>,
        to: &Goal,
    ) -> Result<Arc<Connection>, TransportError> {
        if let Some(known) = self.by_goal.get(to).filter(|known| known.takes_requests()) {
            return Ok(Arc::clone(known));
        }
        let found = wiring.connections.towards(wiring, to)?;
        sweep(&mut self.by_goal);
        self.by_goal.insert(to.clone(), Arc::clone(&found));
        Ok(found)
    }

    /// The connection of a flow, if it is still this one.
    pub(crate) fn of_flow(&mut self, wiring: &Wiring, flow: &Flow) -> Option<Arc<Connection>> {
        let is_it = |known: &&Arc<Connection>| known.remote() == flow.remote && known.takes_requests();
        if let Some(known) = self.by_flow.get(&flow.id).filter(is_it) {
            return Some(Arc::clone(known));
        }
        let found = wiring.connections.of_flow(flow)?;
        sweep(&mut self.by_flow);
        self.by_flow.insert(flow.id, Arc::clone(&found));
        Some(found)
    }
}

/// Sweeps when the map would have to grow: it never holds much more than the connections that are open.
fn sweep<K: Eq + std::hash::Hash>(known: &mut HashMap<K, Arc<Connection>>) {
    if known.len() >= SWEEP_AT && known.len() == known.capacity() {
        known.retain(|_, connection| connection.takes_requests());
    }
}
