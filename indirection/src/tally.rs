//! The counters of fetches. What every fetch counts is looked up in the recorder once, at the first; so the recorder is
//! installed before.

use std::sync::LazyLock;

use axum::http::StatusCode;
use metrics::{Counter, counter};

const FETCHES: &str = "bespoke_content_fetches_total";
const VARIANTS: &str = "bespoke_content_variants_total";

/// Statuses of fetches that are counted by a handle of their own.
const FREQUENT: [StatusCode; 5] = [
    StatusCode::OK,
    StatusCode::PARTIAL_CONTENT,
    StatusCode::NOT_MODIFIED,
    StatusCode::NOT_FOUND,
    StatusCode::NOT_ACCEPTABLE,
];

static FETCHED: LazyLock<[Counter; FREQUENT.len()]> =
    LazyLock::new(|| FREQUENT.map(|status| counter!(FETCHES, "status" => status.as_str().to_owned())));

/// Where what is sent came from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    Memory,
    Disk,
    Adapter,
}

static REMEMBERED: LazyLock<Counter> = LazyLock::new(|| counter!(VARIANTS, "from" => "memory"));

/// A fetch was answered.
pub(crate) fn fetch(status: StatusCode) {
    match FREQUENT.iter().zip(&*FETCHED).find(|(frequent, _)| **frequent == status) {
        Some((_, counter)) => counter.increment(1),
        None => counter!(FETCHES, "status" => status.as_str().to_owned()).increment(1),
    }
}

/// An adapted content was sent.
pub(crate) fn variant(from: From) {
    match from {
        From::Memory => REMEMBERED.increment(1),
        From::Disk => counter!(VARIANTS, "from" => "disk").increment(1),
        From::Adapter => counter!(VARIANTS, "from" => "adapter").increment(1),
    }
}
