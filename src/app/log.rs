//! Where log lines go and how they look: one line each on stderr, time first.

use std::io::IsTerminal;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Level;

/// Changes how much is logged while the program runs.
pub(crate) struct LogControl {
    change: Box<dyn Fn(EnvFilter) -> bool + Send + Sync>,
}

/// Starts logging. Called once; later calls change nothing.
pub(crate) fn start(level: Level) -> LogControl {
    let (filter, handle) = reload::Layer::new(filter(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .compact();
    let _already_logging = tracing_subscriber::registry().with(filter).with(lines).try_init();
    LogControl { change: Box::new(move |filter| handle.reload(filter).is_ok()) }
}

impl LogControl {
    /// Logs that much from now on.
    pub(crate) fn set(&self, level: Level) {
        if !(self.change)(filter(level)) {
            tracing::warn!("the log level can't be changed any more");
        }
    }
}

/// `RUST_LOG` wins over the config. The store's engine has nothing to say to an operator below a warning.
fn filter(level: Level) -> EnvFilter {
    let named = format!("{},fjall=warn,lsm_tree=warn,hyper=info,hyper_util=info", level.name());
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(named))
}
