//! The names of all counters of this room, and what they count. Nothing else spells a name.
//!
//! What every request counts is looked up in the recorder once, at the first request; so the recorder is installed
//! before.

use std::sync::LazyLock;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use transport::Protocol;

use crate::offline::Tally;

const REQUESTS: &str = "bespoke_requests_total";
const RESPONSES: &str = "bespoke_responses_total";
const BRANCHES: &str = "bespoke_branches_total";
const STRAY: &str = "bespoke_stray_responses_total";
const IN_PROGRESS: &str = "bespoke_requests_in_progress";
const SECONDS: &str = "bespoke_request_seconds";
const PLANS: &str = "bespoke_plans_total";
const LINKS: &str = "bespoke_links_total";
const ADAPT_SECONDS: &str = "bespoke_adapt_seconds";
const ADAPT_FALLBACKS: &str = "bespoke_adapt_fallbacks_total";
const FETCHED: &str = "bespoke_fetched_contents_total";
const OPTIONS_QUERIES: &str = "bespoke_options_queries_total";
const FAILOVERS: &str = "bespoke_failovers_total";
const LEARNED: &str = "bespoke_learned_total";
const OVERLOAD: &str = "bespoke_overload_refused_total";
const KEPT: &str = "bespoke_offline_stored_total";
const NOT_KEPT: &str = "bespoke_offline_refused_total";
const ATTEMPTS: &str = "bespoke_offline_attempts_total";
const GONE: &str = "bespoke_offline_removed_total";
const WAITING: &str = "bespoke_offline_waiting";
const WAITING_OCTETS: &str = "bespoke_offline_waiting_octets";
const PRESENCE: &str = "bespoke_presence_requests_total";
const SUBSCRIPTIONS: &str = "bespoke_presence_subscriptions";
const PRESENTITIES: &str = "bespoke_presence_presentities";
const ELSEWHERE: &str = "bespoke_presence_elsewhere";
const NOTIFIES: &str = "bespoke_presence_notifies_total";
const AUTHENTICATIONS: &str = "bespoke_authentications_total";

/// Tells the installed recorder what each metric means. Call once, after installing it.
pub fn describe() {
    describe_counter!(REQUESTS, "Requests taken in, by method; unknown methods together as `other`");
    describe_counter!(RESPONSES, "Final responses sent, by class");
    describe_counter!(BRANCHES, "Branches forwarded, by transport");
    describe_counter!(STRAY, "Responses that belong to no transaction, dropped (RFC 6026)");
    describe_gauge!(IN_PROGRESS, "Requests on their road now");
    describe_histogram!(SECONDS, Unit::Seconds, "From a request's arrival to its final response");
    describe_counter!(PLANS, "Plans made for a branch's body, by verdict");
    describe_counter!(LINKS, "Parts of bodies that were stored and replaced by a link");
    describe_histogram!(ADAPT_SECONDS, Unit::Seconds, "Planning, storing and transforming one body");
    describe_counter!(ADAPT_FALLBACKS, "Bodies not transformed as planned, by cause: busy or deadline");
    describe_counter!(FETCHED, "Contents of external bodies fetched from listed hosts, by result");
    describe_counter!(OPTIONS_QUERIES, "Terminals asked with OPTIONS what they can show, by result");
    describe_counter!(
        FAILOVERS,
        "Requests sent on to the next address of their next hop, by cause: 503, silent or failed"
    );
    describe_counter!(
        AUTHENTICATIONS,
        "Senders asked who they are, by result: proven, asked (no credentials), stale, wrong, banned, malformed"
    );
    describe_counter!(PRESENCE, "PUBLISH and SUBSCRIBE answered by the presence server, by method and class");
    describe_gauge!(SUBSCRIPTIONS, "Subscriptions there are");
    describe_gauge!(PRESENTITIES, "Users who have published something");
    describe_gauge!(
        ELSEWHERE,
        "Members of lists at other presence servers, by state: watched, or waiting for room"
    );
    describe_counter!(
        NOTIFIES,
        "NOTIFYs of the presence server, by outcome: taken, refused, silent or unsent"
    );
    describe_counter!(LEARNED, "Capabilities learned from a 413, 415 or 513");
    describe_counter!(OVERLOAD, "Requests answered 503 at once: too many under way, too late, over a rate");
    describe_counter!(KEPT, "Messages kept for users who could not be reached, answered 202");
    describe_counter!(NOT_KEPT, "Messages that could not be kept, by the quota that was full, or `store`");
    describe_counter!(ATTEMPTS, "Attempts to deliver a kept message, by result");
    describe_counter!(GONE, "Kept messages that wait no longer, by reason: delivered, expired and others");
    describe_gauge!(WAITING, "Kept messages that wait");
    describe_gauge!(WAITING_OCTETS, Unit::Bytes, "Their octets");
}

/// The methods that are counted by their name; all others are the last.
const METHODS: [&str; 9] =
    ["REGISTER", "MESSAGE", "OPTIONS", "INVITE", "BYE", "SUBSCRIBE", "NOTIFY", "PUBLISH", "other"];

const CLASSES: [&str; 6] = ["2xx", "3xx", "4xx", "5xx", "6xx", "none"];

const VERDICTS: [&str; 3] = ["unchanged", "adapted", "refused"];

/// What every request counts.
struct Handles {
    requests: [Counter; METHODS.len()],
    responses: [Counter; CLASSES.len()],
    branches: [Counter; Protocol::ALL.len()],
    plans: [Counter; VERDICTS.len()],
    in_progress: Gauge,
    seconds: Histogram,
}

static HANDLES: LazyLock<Handles> = LazyLock::new(|| Handles {
    requests: METHODS.map(|method| counter!(REQUESTS, "method" => method)),
    responses: CLASSES.map(|class| counter!(RESPONSES, "class" => class)),
    branches: Protocol::ALL.map(|protocol| counter!(BRANCHES, "transport" => protocol.name())),
    plans: VERDICTS.map(|verdict| counter!(PLANS, "verdict" => verdict)),
    in_progress: gauge!(IN_PROGRESS),
    seconds: histogram!(SECONDS),
});

pub(crate) fn request(method: &[u8]) {
    let at = METHODS.iter().position(|known| known.as_bytes() == method);
    let handle = at.map_or(HANDLES.requests.last(), |at| HANDLES.requests.get(at));
    handle.into_iter().for_each(|requests| requests.increment(1));
    HANDLES.in_progress.increment(1.0);
}

pub(crate) fn finished(status: Option<u16>, took: Duration) {
    let class = status.map(|status| usize::from(status / 100)).filter(|class| (2..7).contains(class));
    let handle = class.map_or(HANDLES.responses.last(), |class| HANDLES.responses.get(class - 2));
    handle.into_iter().for_each(|responses| responses.increment(1));
    HANDLES.in_progress.decrement(1.0);
    HANDLES.seconds.record(took.as_secs_f64());
}

pub(crate) fn branch(protocol: Protocol) {
    let branches = Protocol::ALL.iter().zip(&HANDLES.branches);
    branches.filter(|(each, _)| **each == protocol).for_each(|(_, branches)| branches.increment(1));
}

pub(crate) fn stray() {
    counter!(STRAY).increment(1);
}

/// One of [`VERDICTS`].
pub(crate) fn plan(verdict: &'static str) {
    let plans = VERDICTS.iter().zip(&HANDLES.plans);
    plans.filter(|(each, _)| **each == verdict).for_each(|(_, plans)| plans.increment(1));
}

pub(crate) fn link() {
    counter!(LINKS).increment(1);
}

pub(crate) fn adapted(took: Duration) {
    histogram!(ADAPT_SECONDS).record(took.as_secs_f64());
}

pub(crate) fn fallback(cause: &'static str) {
    counter!(ADAPT_FALLBACKS, "cause" => cause).increment(1);
}

pub(crate) fn fetched(is_there: bool) {
    counter!(FETCHED, "result" => if is_there { "fetched" } else { "failed" }).increment(1);
}

pub(crate) fn options_query(result: &'static str) {
    counter!(OPTIONS_QUERIES, "result" => result).increment(1);
}

pub(crate) fn failover(cause: &'static str) {
    counter!(FAILOVERS, "cause" => cause).increment(1);
}

pub(crate) fn authentication(result: &'static str) {
    counter!(AUTHENTICATIONS, "result" => result).increment(1);
}

pub(crate) fn presence_request(method: &'static str, status: u16) {
    let class = match status {
        200..=299 => "2xx",
        401 => "401",
        412 => "412",
        400..=499 => "4xx",
        _ => "5xx",
    };
    counter!(PRESENCE, "method" => method, "class" => class).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact up to 2^53")]
pub(crate) fn watched(subscriptions: usize, presentities: usize) {
    gauge!(SUBSCRIPTIONS).set(subscriptions as f64);
    gauge!(PRESENTITIES).set(presentities as f64);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact up to 2^53")]
pub(crate) fn elsewhere(watched: usize, waiting: usize) {
    gauge!(ELSEWHERE, "state" => "watched").set(watched as f64);
    gauge!(ELSEWHERE, "state" => "waiting").set(waiting as f64);
}

pub(crate) fn notify(outcome: &'static str) {
    counter!(NOTIFIES, "outcome" => outcome).increment(1);
}

pub(crate) fn learned() {
    counter!(LEARNED).increment(1);
}

pub(crate) fn overload(cause: &'static str) {
    counter!(OVERLOAD, "cause" => cause).increment(1);
}

pub(crate) fn kept() {
    counter!(KEPT).increment(1);
}

pub(crate) fn not_kept(reason: &'static str) {
    counter!(NOT_KEPT, "reason" => reason).increment(1);
}

pub(crate) fn attempt(result: &'static str) {
    counter!(ATTEMPTS, "result" => result).increment(1);
}

pub(crate) fn gone(reason: &'static str) {
    counter!(GONE, "reason" => reason).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact up to 2^53")]
pub(crate) fn waiting(all: Tally) {
    gauge!(WAITING).set(all.messages as f64);
    gauge!(WAITING_OCTETS).set(all.octets as f64);
}
