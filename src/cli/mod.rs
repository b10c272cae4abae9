//! The command line (INTERFACE.md): one module for each command, one place for exit codes.

mod config;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    let line = CommandLine::parse();
    let done = match line.command {
        None => crate::cli::serve(&line.serve),
        Some(Command::Serve(serve)) => crate::cli::serve(&serve),
        Some(Command::Config { command }) => config::run(command),
        Some(Command::User { .. }) => Err(Failure::NotYet("user")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn serve(_args: &ServeArgs) -> Result<(), Failure> {
    Ok(())
}

/// Why a command did not do what was asked; each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The config is wrong.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The command has no code in this version.
    #[error("bespoke {0}: not in this version")]
    NotYet(&'static str),
}

impl Failure {
    /// 1: it failed. 2: the command line or the config is wrong.
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 2,
            Self::NotYet(_) => 1,
        }
    }
}

#[derive(Debug, Parser)]
#[command(name = "bespoke", version, about, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (what happens without a command)
    Serve(ServeArgs),
    /// Check a config, or print the reference of all keys
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
    /// Credentials of users (not in this version)
    User {
        /// add, list or remove, and whom
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// The config; without one the embedded default holds
    #[arg(short, long = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set one key over the config, as in `--set log.level=debug`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}
