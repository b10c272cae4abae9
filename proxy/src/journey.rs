//! One request on its road: what every stage may look at, and what the log says of it at the end.

use std::fmt::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use registrar::UserName;
use sip::{Method, Request};
use tokio::time::Instant;
use transport::Flow;

use crate::announce;
use crate::fetch;
use crate::metrics;
use crate::ours::Place;
use crate::redact::Redacted;
use crate::relay::Standing;
use crate::rooms::{Policy, Rooms};

/// Notes of branches kept for the log line of one request.
const NOTES: usize = 16;

/// Octets that most lines have.
const LINE: usize = 320;

/// A request that came in, with the rooms it passes and the rules that held when it came.
pub(crate) struct Journey {
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) request: Request,
    pub(crate) flow: Flow,
    /// By the wall clock, for Expires and bindings.
    pub(crate) arrived: SystemTime,
    standing: OnceLock<Standing>,
    started: Instant,
    notes: Mutex<Vec<String>>,
    /// It was kept for a user who was not there, and is delivered now; `flow` is what it came on then.
    pub(crate) from_store: bool,
    /// What was fetched of contents that its sender only named.
    pub(crate) fetched: fetch::Memory,
}

impl Journey {
    /// The request has come.
    pub(crate) fn begin(rooms: Arc<Rooms>, request: Request, flow: Flow) -> Journey {
        metrics::request(request.method().as_bytes());
        Journey::new(rooms, request, flow, false)
    }

    /// A message that was kept is delivered; `sender` is the user who had proven to be its sender.
    pub(crate) fn from_store(
        rooms: Arc<Rooms>,
        request: Request,
        flow: Flow,
        sender: Option<UserName>,
    ) -> Journey {
        let journey = Journey::new(rooms, request, flow, true);
        match sender {
            _ if journey.is_from_peer() => journey.stands(Standing::Peer),
            Some(user) => journey.stands(Standing::User(user)),
            None => {}
        }
        journey.note(|| "it was kept".to_owned());
        journey
    }

    fn new(rooms: Arc<Rooms>, request: Request, flow: Flow, from_store: bool) -> Journey {
        let policy = rooms.policy.load_full();
        Journey {
            rooms,
            policy,
            request,
            flow,
            arrived: transport::now(),
            standing: OnceLock::new(),
            started: Instant::now(),
            notes: Mutex::new(Vec::new()),
            from_store,
            fetched: fetch::Memory::default(),
        }
    }

    /// How long ago it came.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Where a URI of this request points.
    pub(crate) fn place(&self, uri: &sip::Uri) -> Place {
        self.policy.ours.place(uri, self.flow.local.ip())
    }

    /// What is known of the sender, once it was asked for.
    pub(crate) fn standing(&self) -> &Standing {
        self.standing.get().unwrap_or(&Standing::Stranger)
    }

    /// Notes what is known of the sender; the first note holds.
    pub(crate) fn stands(&self, standing: Standing) {
        let _first_holds = self.standing.set(standing);
    }

    /// Whether the sender is a trusted neighbour.
    pub(crate) fn is_from_peer(&self) -> bool {
        self.policy.is_peer(&self.flow, &self.rooms.endpoint)
    }

    /// Whether it is an INVITE.
    pub(crate) fn is_invite(&self) -> bool {
        self.request.method() == Method::Invite
    }

    /// Says in the log what was done on a branch. Beyond [`NOTES`] nothing is kept.
    pub(crate) fn note(&self, note: impl FnOnce() -> String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < NOTES {
            notes.push(note());
        }
    }

    /// A value for the log.
    pub(crate) fn redacted<'a>(&self, value: &'a [u8]) -> Redacted<'a> {
        Redacted::new(value, self.policy.settings.open_logs)
    }

    /// The one line of the log: who, to whom, what was done, how long. `status` is what went upstream,
    /// `None` for silence.
    pub(crate) fn end(&self, status: Option<u16>) {
        let took = self.started.elapsed();
        if !self.from_store {
            metrics::finished(status, took);
        }
        if tracing::enabled!(tracing::Level::INFO) {
            tracing::info!("{}", self.line(status, took));
        }
    }

    /// In the form that fields have, but written in one go: there is one for every request.
    fn line(&self, status: Option<u16>, took: Duration) -> String {
        let notes = std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner));
        let mut line = String::with_capacity(LINE);
        // A String takes all that is written.
        let _always = write!(
            line,
            "{} from={} to={} call={} source={} transport=\"{}\" status={} done={:?} ms={:.1}",
            self.request.method(),
            self.redacted(self.request.from().uri_octets()),
            self.redacted(announce::shown(self.request.uri_octets())),
            self.redacted(self.request.call_id()),
            self.flow.remote,
            self.flow.protocol.name(),
            status.unwrap_or(0),
            notes.join("; "),
            took.as_secs_f64() * 1000.0
        );
        line
    }
}
