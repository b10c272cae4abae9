//! One request on its road: what every stage may look at, and what the log says of it at the end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use registrar::UserName;
use sip::{Method, Request, Uri};
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
    /// Its Request-URI.
    pub(crate) uri: Uri,
    /// Where that points, once it was asked for.
    place: OnceLock<Place>,
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
            uri: request.uri(),
            place: OnceLock::new(),
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

    /// How long before `now` it came.
    pub(crate) fn age_at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// Where a URI of this request points.
    pub(crate) fn place(&self, uri: &Uri) -> Place {
        let place = || self.policy.ours.place(uri, self.flow.local.ip());
        // Nearly always it is the Request-URI that is asked for, again and again.
        let is_own = std::ptr::eq(uri.as_bytes(), self.uri.as_bytes());
        if is_own { *self.place.get_or_init(place) } else { place() }
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

    /// In the form that fields have, but written in one go and without the formatting machinery: there is one for
    /// every request.
    fn line(&self, status: Option<u16>, took: Duration) -> String {
        let notes = std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner));
        let mut line = String::with_capacity(LINE);
        line.push_str(&String::from_utf8_lossy(self.request.method().as_bytes()));
        for (name, value) in [
            (" from=", self.request.from().uri_octets()),
            (" to=", announce::shown(self.request.uri_octets())),
            (" call=", self.request.call_id()),
        ] {
            line.push_str(name);
            self.redacted(value).write(&mut line);
        }
        line.push_str(" source=");
        push_address(&mut line, self.flow.remote);
        line.extend([" transport=\"", self.flow.protocol.name(), "\" status="]);
        line.push_str(itoa::Buffer::new().format(status.unwrap_or(0)));
        line.push_str(" done=");
        push_quoted(&mut line, &notes.join("; "));
        let tenths = took.as_micros() / 100;
        line.push_str(" ms=");
        line.push_str(itoa::Buffer::new().format(tenths / 10));
        line.push('.');
        line.push_str(itoa::Buffer::new().format(tenths % 10));
        line
    }
}

fn push_address(line: &mut String, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            sip::write_ip((*v4.ip()).into(), |piece| line.push_str(piece));
            line.push(':');
            line.push_str(itoa::Buffer::new().format(v4.port()));
        }
        SocketAddr::V6(_) => line.push_str(&address.to_string()),
    }
}

fn push_quoted(line: &mut String, text: &str) {
    if grammar::is_printable(text.as_bytes()) && memchr::memchr2(b'"', b'\\', text.as_bytes()).is_none() {
        line.extend(["\"", text, "\""]);
    } else {
        line.push_str(&format!("{text:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_the_formatting_machinery_would() {
        for address in ["192.0.2.1:5060", "255.255.255.255:65535", "[2001:db8::1]:5060", "0.0.0.0:0"] {
            let mut line = String::new();
            push_address(&mut line, address.parse().unwrap());
            assert_eq!(line, address);
        }
        for text in ["", "branch 200; 2 contacts", "a \"b\" \\c", "tab\tand\r\nline", "jörg"] {
            let mut line = String::new();
            push_quoted(&mut line, text);
            assert_eq!(line, format!("{text:?}"));
        }
    }
}
