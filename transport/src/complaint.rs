//! What the log says of those who send what is no valid SIP: one line per source and minute, so that neither a broken
//! phone nor an attacker fills it. The counters tell the rest, by reason.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long nothing more is said of a source.
const QUIET: Duration = Duration::from_secs(60);

/// Sources that are remembered. While as many were heard of within [`QUIET`], further ones are counted only: their
/// addresses may be made up, there is no end of them.
const SOURCES: usize = 4096;

/// How often the sources that may be named again are looked for in a full table.
const SWEEP: Duration = Duration::from_secs(1);

/// Counts by reason what was invalid; the reasons are those of [`sip::Kind`].
const COUNTER: &str = "bespoke_sip_invalid_total";

/// Who was complained of lately.
#[derive(Debug)]
pub(crate) struct Complaints {
    sources: Mutex<Sources>,
}

#[derive(Debug)]
struct Sources {
    said: HashMap<IpAddr, Said>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Said {
    again: Instant,
    unsaid: u64,
}

impl Complaints {
    pub(crate) fn new() -> Self {
        metrics::describe_counter!(COUNTER, "Invalid messages that arrived, by what is wrong.");
        Self { sources: Mutex::new(Sources { said: HashMap::new(), swept: None }) }
    }

    /// Counts what a source sent, and says it in the log if it is time. `reason` never holds input.
    pub(crate) fn note(&self, source: SocketAddr, reason: impl Display, done: &'static str) {
        metrics::counter!(COUNTER, "reason" => reason.to_string()).increment(1);
        let due =
            self.sources.lock().unwrap_or_else(PoisonError::into_inner).due(source.ip(), Instant::now());
        if let Some(unsaid) = due {
            tracing::info!(%source, %reason, done, unsaid, "invalid message");
        }
    }
}

impl Sources {
    /// How many complaints of `source` were left unsaid since the last line, if it is time for another.
    fn due(&mut self, source: IpAddr, now: Instant) -> Option<u64> {
        let source = source.to_canonical();
        let again = now + QUIET;
        if let Some(said) = self.said.get_mut(&source) {
            if now < said.again {
                said.unsaid = said.unsaid.saturating_add(1);
                return None;
            }
            let unsaid = std::mem::take(&mut said.unsaid);
            said.again = again;
            return Some(unsaid);
        }
        if self.said.len() >= SOURCES {
            self.sweep(now);
        }
        if self.said.len() >= SOURCES {
            return None;
        }
        self.said.insert(source, Said { again, unsaid: 0 });
        Some(0)
    }

    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now >= swept + SWEEP) {
            self.swept = Some(now);
            self.said.retain(|_, said| now < said.again);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        Sources { said: HashMap::new(), swept: None }
    }

    fn v4(number: usize) -> IpAddr {
        IpAddr::from(u32::try_from(number).unwrap().to_be_bytes())
    }

    #[test]
    fn a_source_is_named_once_a_minute_with_what_was_left_unsaid() {
        let (mut sources, start) = (sources(), Instant::now());
        assert_eq!(sources.due(v4(1), start), Some(0));
        assert_eq!(sources.due(v4(1), start), None);
        assert_eq!(sources.due("::ffff:0.0.0.1".parse().unwrap(), start + QUIET / 2), None);
        assert_eq!(sources.due(v4(2), start), Some(0));
        assert_eq!(sources.due(v4(1), start + QUIET), Some(2));
        assert_eq!(sources.due(v4(1), start + QUIET), None);
    }

    #[test]
    fn a_flood_of_sources_is_forgotten_and_never_kept_beyond_the_limit() {
        let (mut sources, start) = (sources(), Instant::now());
        let said = (0..2 * SOURCES).filter(|&number| sources.due(v4(number), start).is_some()).count();
        assert_eq!((said, sources.said.len()), (SOURCES, SOURCES));
        assert_eq!(sources.due(v4(3 * SOURCES), start + QUIET), Some(0));
        assert_eq!(sources.said.len(), 1);
    }
}
