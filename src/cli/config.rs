//! `bespoke config check FILE` and `bespoke config reference`.

use std::path::PathBuf;

use clap::Subcommand;

use super::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Say what is wrong in a config, with file, line and column
    Check {
        /// The config
        file: PathBuf,
        /// Set one key over the config, as `serve` would
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Print the reference page of all keys
    Reference,
}

pub(super) fn run(command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check { file, set } => {
            crate::config::load(Some(&file), &set)?;
            super::say(&format!("{}: nothing wrong", file.display()));
        }
        ConfigCommand::Reference => super::say(crate::config::reference().trim_end()),
    }
    Ok(())
}
