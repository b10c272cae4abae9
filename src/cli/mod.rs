//! The command line (INTERFACE.md): one module for each command, one place for exit codes.

mod adapt;
mod config;
mod cpi;
mod demo;
mod explain;
mod message_file;
mod password;
mod sandbox;
mod serve;
mod table;
mod user;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde::Serialize;

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    let line = CommandLine::parse();
    let done = match line.command {
        None => serve::run(&line.serve),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Demo(args)) => demo::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Adapt(args)) => adapt::run(&args),
        Some(Command::Cpi(args)) => cpi::run(&args),
        Some(Command::Config { command }) => config::run(command),
        Some(Command::User(args)) => user::run(&args),
        Some(Command::SandboxExec(args)) => sandbox::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _nobody_reads = writeln!(std::io::stderr(), "{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

#[derive(Debug, Parser)]
#[command(name = "bespoke", version, about, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (what happens without a command)
    Serve(serve::ServeArgs),
    /// The whole story on one screen: a photo, a server, two phones
    Demo(demo::DemoArgs),
    /// What would be done with a message for a phone, and why
    Explain(explain::ExplainArgs),
    /// Adapt one body outside SIP
    Adapt(adapt::AdaptArgs),
    /// What a message says its sender can show, as JSON
    Cpi(cpi::CpiArgs),
    /// Check a config, or print the reference of all keys
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
    /// The users who have a password
    User(user::UserArgs),
    /// Become another program, without sockets, files to write and time without end
    SandboxExec(sandbox::SandboxArgs),
}

/// Why a command did not do what was asked; each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The config is wrong.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The server did not start.
    #[error(transparent)]
    Start(#[from] crate::app::StartError),
    /// A file can't be used.
    #[error("{}: {what}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Nothing acceptable can be made of the body.
    #[error("not adapted: {0}")]
    Refused(#[from] Box<adapter::Refusal>),
    /// The demo came to a halt.
    #[error("demo: {0}")]
    Demo(String),
    /// A user was not added, listed or removed.
    #[error(transparent)]
    User(#[from] user::UserFailure),
    /// A program was not caged, and so not started.
    #[error("sandbox-exec: {0}")]
    Cage(#[from] media::EnterError),
}

impl Failure {
    fn file(path: &Path, what: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), what: what.into() }
    }

    /// 1: it failed. 2: the command line or the config is wrong.
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::User(user::UserFailure::Name(_)) => 2,
            Self::Start(_)
            | Self::File { .. }
            | Self::Refused(_)
            | Self::Demo(_)
            | Self::User(_)
            | Self::Cage(_) => 1,
        }
    }
}

/// One line, or several, on stdout. A reader who went away (`| head`) is no error.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _nobody_reads = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => say(&text),
        // Maps with keys that are no strings: none of ours has one.
        Err(error) => say(&format!("{{\"error\":\"{error}\"}}")),
    }
}
