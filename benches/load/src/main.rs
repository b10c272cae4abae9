//! `load`: puts a load on a running SIP server and says what it cost.
//!
//! Needs nothing but the server: it registers phones of its own, which answer what they get. Knows no code of the
//! server, so that it measures any. Two ways of working: requests at a rate that does not wait for answers
//! ([`rate`]), and phones that stay connected ([`held`]).

mod burst;
mod held;
mod line;
mod message;
mod presence;
mod process;
mod rate;
mod report;
mod secure;
mod tally;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use line::{Transport, Way};
use secure::Trust;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// REGISTER, each for the next user, with what the phone can show
    Register,
    /// MESSAGE with 90 octets of text
    Text,
    /// MESSAGE with a photo of 640x480 for phones that show 160x120; over TCP
    Picture,
}

#[derive(Debug, Parser)]
#[command(name = "load", about = "Puts a load on a SIP server and reports what it cost")]
pub(crate) struct Arguments {
    /// Where the server listens
    #[arg(long, default_value = "127.0.0.1:5060")]
    server: SocketAddr,
    /// A domain of the server, which asks for no authentication
    #[arg(long, default_value = "localhost")]
    domain: String,
    /// With --transport tls: the root (PEM) of the server's certificate, which must be for the domain
    #[arg(long)]
    ca: Option<PathBuf>,
    /// What is sent
    #[arg(long, value_enum, default_value = "text")]
    send: Kind,
    /// How
    #[arg(long, value_enum, default_value = "udp")]
    transport: Transport,
    /// Requests a second, sent at their time whether answers come or not
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Seconds
    #[arg(long, default_value_t = 10)]
    duration: u32,
    /// Users
    #[arg(long, default_value_t = 1000)]
    users: u32,
    /// Sockets or connections that send, and as many phones that users share
    #[arg(long, default_value_t = 16)]
    lines: u32,
    /// In place of a rate: so many phones, each on a connection of its own, each getting one MESSAGE
    #[arg(long)]
    connections: Option<u32>,
    /// In place of a rate: so many watchers of one user, who are told of each of --rounds changes (UDP)
    #[arg(long)]
    watchers: Option<u32>,
    /// With --watchers: changes
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// In place of a rate: so many users who publish, each watched by one (UDP)
    #[arg(long)]
    published: Option<u32>,
    /// In place of a rate: so many users who publish, each watched by one, which all ends in the same second, while
    /// MESSAGEs go back and forth at --rate (UDP); the server's least Expires must be below --expires
    #[arg(long)]
    burst: Option<u32>,
    /// With --burst: seconds from the start of the load until the end of all that it made
    #[arg(long, default_value_t = 90)]
    expires: u64,
    /// The server's process, whose processor time and memory are read from /proc
    #[arg(long)]
    pid: Option<u32>,
    /// Writes the result there as JSON, beside the lines for people
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The options don't go together.
    #[error("{0}")]
    Arguments(&'static str),
    /// The system gave no socket, no connection or no file.
    #[error("{what}: {source}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        source: std::io::Error,
    },
    /// The phones could not be registered.
    #[error(
        "{answered} of {asked} REGISTERs got a 200; is {domain} a domain of the server, without authentication?"
    )]
    Registration {
        /// 200s.
        answered: u64,
        /// REGISTERs.
        asked: u64,
        /// The domain they were for.
        domain: String,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _nobody_reads = writeln!(std::io::stderr(), "load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), LoadError> {
    if arguments.send == Kind::Picture && arguments.transport == Transport::Udp {
        return Err(LoadError::Arguments(
            "a picture does not fit a datagram: --send picture needs --transport tcp",
        ));
    }
    if arguments.rate == 0 || arguments.duration == 0 || arguments.users == 0 || arguments.lines == 0 {
        return Err(LoadError::Arguments("--rate, --duration, --users and --lines are at least 1"));
    }
    allow_files();
    if let Some(count) = arguments.burst {
        return told(arguments, &burst::run(arguments, count)?);
    }
    let watched = match (arguments.watchers, arguments.published) {
        (Some(count), _) => Some(presence::watchers(arguments, count)?),
        (None, Some(count)) => Some(presence::held(arguments, count)?),
        (None, None) => None,
    };
    if let Some(watched) = watched {
        return told(arguments, &watched);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| LoadError::System { what: "no runtime", source })?;
    let report = runtime.block_on(async {
        match arguments.connections {
            Some(count) => held::run(arguments, count).await,
            None => rate::run(arguments).await,
        }
    })?;
    told(arguments, &report)
}

/// The result, for people and as JSON.
fn told<T: std::fmt::Display + serde::Serialize>(arguments: &Arguments, report: &T) -> Result<(), LoadError> {
    let _nobody_reads = writeln!(std::io::stdout(), "{report}");
    let Some(path) = &arguments.json else { return Ok(()) };
    let text = serde_json::to_string_pretty(report).map_err(std::io::Error::from);
    let written = text.and_then(|text| std::fs::write(path, text + "\n"));
    written.map_err(|source| LoadError::System { what: "the JSON is not written", source })
}

/// As many open files as the system lets this process have: each connection is one.
#[cfg(unix)]
fn allow_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Where it may not, connections end with a clear error.
    let _refused = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

#[cfg(not(unix))]
fn allow_files() {}

impl Arguments {
    fn way(&self) -> Result<Way, LoadError> {
        let trust = match (self.transport, &self.ca) {
            (Transport::Tls, Some(file)) => Some(
                Trust::in_root(file, &self.domain)
                    .map_err(|source| LoadError::System { what: "no root in the file of --ca", source })?,
            ),
            (Transport::Tls, None) => return Err(LoadError::Arguments("--transport tls needs --ca")),
            (Transport::Udp | Transport::Tcp, _) => None,
        };
        Ok(Way { transport: self.transport, server: self.server, trust })
    }

    /// Where phones listen: on the machine of a server that is on the loopback.
    const fn local(&self) -> std::net::IpAddr {
        use std::net::{IpAddr, Ipv4Addr};
        match self.server.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            other => other,
        }
    }

    fn requests(&self) -> u64 {
        u64::from(self.rate) * u64::from(self.duration)
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.rate
    }
}
