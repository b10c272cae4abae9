//! The result, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::tally::Counts;

/// What a run came to. Latencies are in microseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) what: String,
    pub(crate) transport: &'static str,
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) succeeded: u64,
    pub(crate) refused: BTreeMap<u16, u64>,
    pub(crate) unanswered: u64,
    pub(crate) repeated: u64,
    /// Requests that reached a phone.
    pub(crate) delivered: u64,
    /// Connections the server closed.
    pub(crate) closed: u64,
    pub(crate) latency_us: Latency,
    /// Processor time of the server for each request that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_cpu_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connections: Option<Connections>,
}

/// Percentiles, from the time a request was meant to be sent to its 2xx.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    p50: u64,
    p90: u64,
    p99: u64,
    #[serde(rename = "p99.9")]
    p999: u64,
    max: u64,
}

/// Phones that stay connected.
#[derive(Debug, Serialize)]
pub(crate) struct Connections {
    pub(crate) held: u64,
    /// Octets of the server's memory for each, connected and registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) octets_registered: Option<f64>,
    /// The same once each got a MESSAGE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) octets_after_message: Option<f64>,
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: histogram.max() }
    }
}

impl Report {
    pub(crate) fn new(
        what: String,
        transport: &'static str,
        requests: u64,
        seconds: f64,
        (counts, latency): (Counts, Histogram<u64>),
    ) -> Self {
        Self {
            what,
            transport,
            requests,
            seconds,
            succeeded: counts.succeeded,
            unanswered: requests.saturating_sub(counts.finals()),
            refused: counts.refused,
            repeated: counts.repeated,
            delivered: counts.delivered,
            closed: counts.closed,
            latency_us: Latency::of(&latency),
            server_cpu_us: None,
            connections: None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, transport, requests, seconds, succeeded, unanswered, repeated, delivered, .. } =
            self;
        writeln!(f, "{what} over {transport}: {requests} requests in {seconds:.1} s")?;
        let refused: u64 = self.refused.values().sum();
        writeln!(
            f,
            "succeeded {succeeded}, refused {refused}, unanswered {unanswered}, answered twice {repeated}, \
             reached a phone {delivered}, connections closed {}",
            self.closed
        )?;
        let Latency { p50, p90, p99, p999, max } = self.latency_us;
        write!(f, "latency in us: 50 % {p50}, 90 % {p90}, 99 % {p99}, 99.9 % {p999}, longest {max}")?;
        if let Some(cpu) = self.server_cpu_us {
            write!(f, "\nprocessor time of the server: {cpu:.1} us a request")?;
        }
        let Some(connections) = &self.connections else { return Ok(()) };
        write!(f, "\nheld {} connections", connections.held)?;
        if let (Some(registered), Some(after)) =
            (connections.octets_registered, connections.octets_after_message)
        {
            write!(
                f,
                ", octets of the server for each: registered {registered:.0}, after a MESSAGE {after:.0}"
            )?;
        }
        Ok(())
    }
}
