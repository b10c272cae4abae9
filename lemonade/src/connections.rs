//! Connections that have nothing to do, kept for the next URL of the same server and login.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::connection::{Connection, Server, TlsMode};
use crate::fault::FetchError;
use crate::fetched::Part;
use crate::reply::Limits;
use crate::session::Login;

/// The connections to all servers.
#[derive(Debug)]
pub struct Connections {
    limits: Limits,
    /// How many may be kept, and for how long.
    kept: usize,
    idle: Duration,
    /// One for each connection that may be in use at once.
    permits: Semaphore,
    waiting: Mutex<VecDeque<Idle>>,
}

#[derive(Debug)]
struct Idle {
    place: Place,
    since: Instant,
    connection: Connection,
}

/// What must be the same for a connection to be used again.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    host: String,
    port: u16,
    tls: TlsMode,
    login: Login,
}

impl Connections {
    /// `limits` are those of one reply; `at_once` connections may be in use (more wait), `kept` have nothing to do,
    /// each for `idle` at most.
    pub fn new(limits: Limits, at_once: usize, kept: usize, idle: Duration) -> Connections {
        let permits = Semaphore::new(at_once.min(Semaphore::MAX_PERMITS));
        Connections { limits, kept, idle, permits, waiting: Mutex::default() }
    }

    /// Fetches what a URL names over a kept connection or a fresh one. The caller has the deadline: dropped before
    /// its end, the connection is closed.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(
        &self,
        server: &Server,
        addresses: &[SocketAddr],
        login: &Login,
        url: &str,
    ) -> Result<Part, FetchError> {
        let _permit = self.permits.acquire().await.map_err(|_closed| FetchError::Closed)?;
        let place =
            || Place { host: server.host.clone(), port: server.port, tls: server.tls, login: login.clone() };
        while let Some(mut connection) = self.take(&place()) {
            match connection.fetch(url).await {
                // The server ended it while nobody looked.
                Err(error) if error.is_stale() => {}
                outcome => return self.put_back(place(), connection, outcome),
            }
        }
        let mut connection = Connection::open(server, addresses, login.clone(), self.limits).await?;
        let outcome = connection.fetch(url).await;
        self.put_back(place(), connection, outcome)
    }

    /// Closes those that have had nothing to do for too long.
    pub async fn sweep(&self) {
        loop {
            let now = Instant::now();
            let is_old = |idle: &Idle| now.duration_since(idle.since) >= self.idle;
            let old = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                // The oldest stands first.
                if waiting.front().is_some_and(is_old) { waiting.pop_front() } else { None }
            };
            let Some(old) = old else { return };
            old.connection.close().await;
        }
    }

    /// Connections that have nothing to do.
    pub fn kept(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn take(&self, place: &Place) -> Option<Connection> {
        let now = Instant::now();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let at = waiting.iter().rposition(|idle| idle.place == *place)?;
        let idle = waiting.remove(at)?;
        (now.duration_since(idle.since) < self.idle).then_some(idle.connection)
    }

    fn put_back(
        &self,
        place: Place,
        connection: Connection,
        outcome: Result<Part, FetchError>,
    ) -> Result<Part, FetchError> {
        let is_good = outcome.as_ref().map_or_else(FetchError::is_refusal, |_| true);
        if is_good && self.kept > 0 {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() >= self.kept {
                waiting.pop_front();
            }
            waiting.push_back(Idle { place, since: Instant::now(), connection });
        }
        outcome
    }
}
