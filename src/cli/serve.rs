//! `bespoke serve`: start, say where, run until told to end.

use std::path::PathBuf;
use std::time::Duration;

use super::{Failure, say};
use crate::app::signals::{Asked, Signals};
use crate::app::{self, StartError};
use crate::config::{self, Config};

/// How long requests in progress may take after SIGTERM. A MESSAGE over UDP ends after 32 s (Timer F), but
/// an operator does not wait for phones that are gone.
const DRAIN: Duration = Duration::from_secs(10);

#[derive(clap::Args, Debug)]
pub(super) struct ServeArgs {
    /// The config; without one the embedded default holds
    #[arg(short, long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key over the config, as in `--set log.level=debug`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let config = args.load()?;
    let log = app::log::start(config.log.level);
    app::runtime()?.block_on(serve(args, config, &log))
}

async fn serve(args: &ServeArgs, config: Config, log: &app::log::LogControl) -> Result<(), Failure> {
    let mut signals = Signals::take().map_err(StartError::Signals)?;
    let mut server = app::start(config).await?;
    for line in server.greeting() {
        say(&line);
    }
    say("ready");
    while signals.next().await == Asked::Reload {
        match args.load() {
            Ok(config) => server.reload(config, log),
            Err(error) => {
                tracing::error!(%error, "the config was not read again, the old one stays in force")
            }
        }
    }
    tracing::info!("ending: what was begun is finished first, a second signal ends at once");
    tokio::select! {
        () = server.drain(DRAIN) => {}
        () = told_twice(&mut signals) => tracing::warn!("ended at once"),
    }
    Ok(())
}

async fn told_twice(signals: &mut Signals) {
    while signals.next().await != Asked::Drain {}
}

impl ServeArgs {
    fn load(&self) -> Result<Config, config::ConfigError> {
        config::load(self.config.as_deref(), &self.set)
    }
}
