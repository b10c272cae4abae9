//! What is counted. Each counter is readable here and published under its name through `metrics`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One number that only grows.
#[derive(Debug)]
pub struct Counter {
    value: AtomicU64,
    published: metrics::Counter,
}

impl Counter {
    fn new(name: &'static str, what: &'static str) -> Self {
        metrics::describe_counter!(name, what);
        Self { value: AtomicU64::new(0), published: metrics::counter!(name) }
    }

    pub(crate) fn add_one(&self) {
        self.value.fetch_add(1, Ordering::Relaxed);
        self.published.increment(1);
    }

    /// The number now.
    pub fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

/// The histogram of what questions about names took.
const LOOKUP_SECONDS: &str = "bespoke_dns_lookup_seconds";

impl Metrics {
    /// The resolver was asked something.
    pub(crate) fn looked_up(&self, took: Duration, failed: bool) {
        self.lookups.add_one();
        if failed {
            self.lookups_failed.add_one();
        }
        metrics::histogram!(LOOKUP_SECONDS).record(took.as_secs_f64());
    }
}

macro_rules! counters {
    ($($field:ident = $name:literal, $what:literal;)*) => {
        /// The counters of one endpoint.
        #[derive(Debug)]
        pub struct Metrics {
            $(#[doc = $what] pub $field: Counter,)*
        }

        impl Metrics {
            /// Registers them with the recorder that is installed now.
            pub(crate) fn register() -> Self {
                metrics::describe_histogram!(LOOKUP_SECONDS, metrics::Unit::Seconds, "One question to the resolver");
                Self { $($field: Counter::new($name, $what),)* }
            }
        }
    };
}

counters! {
    requests_in = "bespoke_sip_requests_in_total", "Valid requests that arrived, retransmissions included.";
    responses_in = "bespoke_sip_responses_in_total", "Valid responses that arrived.";
    messages_out = "bespoke_sip_messages_out_total", "Messages handed to a socket or a connection.";
    keepalives = "bespoke_sip_keepalives_total", "Keep-alives that arrived.";
    invalid_answered = "bespoke_sip_invalid_answered_total", "Invalid requests answered with an error.";
    invalid_dropped = "bespoke_sip_invalid_dropped_total", "Invalid messages dropped, and what is no message.";
    invalid_closed = "bespoke_sip_invalid_closed_total", "Connections closed because of what they sent.";
    stray_responses = "bespoke_sip_stray_responses_total", "Responses that match no transaction of ours.";
    foreign_responses = "bespoke_sip_foreign_responses_total", "Responses whose top Via is not ours, dropped.";
    queue_full = "bespoke_sip_queue_full_total", "Messages dropped because a shard's queue was full.";
    send_queue_full = "bespoke_sip_send_queue_full_total", "Messages not sent because a send queue was full.";
    user_queue_full = "bespoke_sip_user_queue_full_total", "Provisional responses dropped because their user is slow.";
    transactions_refused = "bespoke_sip_transactions_refused_total", "Requests answered 503: too many transactions, or draining.";
    late_responses = "bespoke_sip_late_responses_total", "Responses not sent because their transaction was over or forbids them.";
    send_errors = "bespoke_sip_send_errors_total", "Messages the system or the other end did not take.";
    icmp_errors = "bespoke_sip_icmp_errors_total", "ICMP errors for datagrams we sent.";
    connections_opened = "bespoke_sip_connections_opened_total", "Connections opened, both ways.";
    connections_refused = "bespoke_sip_connections_refused_total", "Connections closed at once or not opened: a limit was reached.";
    handshakes_failed = "bespoke_sip_handshakes_failed_total", "TLS and WebSocket handshakes that came to nothing, both ways.";
    buffers_full = "bespoke_sip_buffers_full_total", "Messages given up because all connections together held too many octets.";
    connections_idle = "bespoke_sip_connections_idle_total", "Connections closed because nothing happened.";
    lookups = "bespoke_dns_lookups_total", "Questions the resolver was asked; what it kept it answers too.";
    lookups_failed = "bespoke_dns_lookup_failures_total", "Questions without an answer: no server spoke in time, or it failed.";
    lookups_refused = "bespoke_dns_lookups_refused_total", "Questions not asked because too many waited.";
    connections_slow = "bespoke_sip_connections_slow_total", "Connections closed because a head, a body or a write took too long.";
}
