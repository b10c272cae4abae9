//! The one recorder of the process's metrics, and those of the program itself.

use std::sync::OnceLock;

use metrics::{describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds, for everything whose name ends so: from a forwarded text to a photo at its deadline.
const SECONDS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 4.0];

const AORS: &str = "bespoke_aors";
const CPIS: &str = "bespoke_distinct_cpis";

/// Starts recording; the handle renders the text of `/metrics`. Every server of one process shares it.
pub(super) fn recorder() -> Option<PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE.get_or_init(install).clone()
}

fn install() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new();
    let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS).ok()?;
    let handle = builder.install_recorder().ok()?;
    proxy::metrics::describe();
    super::log::describe();
    describe_gauge!(AORS, "Addresses of record with a record: bound, or remembered");
    describe_gauge!(CPIS, "Different capabilities held, however many phones share each");
    Some(handle)
}

/// How much state there is.
pub(super) fn state(aors: usize, cpis: usize) {
    gauge!(AORS).set(f64::from(u32::try_from(aors).unwrap_or(u32::MAX)));
    gauge!(CPIS).set(f64::from(u32::try_from(cpis).unwrap_or(u32::MAX)));
}
