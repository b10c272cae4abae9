//! `bespoke user add | list | remove`: through `data_dir/admin.sock` while a server runs, else on the store itself.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Subcommand;
use registrar::{UserError, UserName, Users};

use super::{Failure, password, say};
use crate::admin::{Listed, Password, Set, listed};
use crate::app::{self, settings};
use crate::config::{self, Config};

/// How long a running server may take to answer: it waits for its disk.
const PATIENCE: Duration = Duration::from_secs(30);
/// Octets of an answer, at most: a list of a million users is shorter.
const LONGEST: u64 = 256 << 20;

#[derive(clap::Args, Debug)]
pub(super) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
    /// The config of the server
    #[arg(short, long = "config", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Set one key over the config, as `serve` would
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add a user, or set another password; it is asked for, or the first line of stdin
    Add {
        /// As in john@example.com
        #[arg(value_name = "USER@DOMAIN")]
        user: String,
    },
    /// Show who has a password
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a user's password away; what is registered stays until it expires
    Remove {
        /// As in john@example.com
        #[arg(value_name = "USER@DOMAIN")]
        user: String,
    },
}

/// Why a user was not added, listed or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserFailure {
    /// The name, or the domain in it, is wrong.
    #[error("{0}")]
    Name(String),
    /// There is none of that name.
    #[error("{0}: no such user; `bespoke user list` shows those there are")]
    Unknown(String),
    /// No password was read.
    #[error("no password: {0}")]
    Password(io::Error),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] UserError),
    /// The server refused.
    #[error("the server says {status}: {detail}")]
    Refused {
        /// Of HTTP.
        status: u16,
        /// Its own words.
        detail: String,
    },
    /// The server's socket does not answer as it should.
    #[error("{}: {what}", path.display())]
    Socket {
        /// Which.
        path: PathBuf,
        /// What happened.
        what: String,
    },
}

pub(super) fn run(args: &UserArgs) -> Result<(), Failure> {
    let config = config::load(args.config.as_deref(), &args.set)?;
    let place = Place::find(config)?;
    match &args.command {
        UserCommand::Add { user } => {
            let name = place.name(user)?;
            let password = password::read(name.as_str()).map_err(UserFailure::Password)?;
            let is_new = place.add(&name, password)?;
            say(&format!("{}: {}", name.as_str(), if is_new { "added" } else { "has another password now" }));
        }
        UserCommand::List { json } => show(&place.list()?, *json),
        UserCommand::Remove { user } => {
            let name = UserName::parse(user).map_err(|error| UserFailure::Name(error.to_string()))?;
            if !place.remove(&name)? {
                return Err(UserFailure::Unknown(name.as_str().to_owned()).into());
            }
            say(&format!("{}: removed", name.as_str()));
        }
    }
    Ok(())
}

fn show(list: &Listed, json: bool) {
    if json {
        return super::print_json(list);
    }
    for user in &list.users {
        say(&format!("{}  {}", user.user, user.algorithms.join(", ")));
    }
}

/// Where the users are kept.
enum Place {
    /// With a server that runs.
    Server { config: Box<Config>, socket: PathBuf },
    /// In a store that nobody has open.
    Store { config: Box<Config>, users: Users },
}

impl Place {
    fn find(config: Config) -> Result<Self, Failure> {
        let (socket, config) = (settings::console_socket(&config), Box::new(config));
        match UnixStream::connect(&socket) {
            Ok(_) => Ok(Place::Server { config, socket }),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                let users = Users::open(&app::open_store(&config)?);
                Ok(Place::Store { config, users })
            }
            Err(error) => Err(UserFailure::Socket { path: socket, what: error.to_string() }.into()),
        }
    }

    fn name(&self, text: &str) -> Result<UserName, UserFailure> {
        let name = UserName::parse(text).map_err(|error| UserFailure::Name(error.to_string()))?;
        let (Place::Server { config, .. } | Place::Store { config, .. }) = self;
        if config.domain.iter().any(|domain| domain.name == name.domain()) {
            return Ok(name);
        }
        let domains: Vec<&str> = config.domain.iter().map(|domain| domain.name.as_str()).collect();
        let what = format!("{} is no domain of this server, which has {}", name.domain(), domains.join(", "));
        Err(UserFailure::Name(format!("{what}; name its config with -c or --set domain=")))
    }

    fn add(&self, name: &UserName, password: String) -> Result<bool, Failure> {
        match self {
            Place::Server { socket, .. } => {
                let body = serde_json::to_string(&Password { password }).unwrap_or_default();
                let answer = ask(socket, "PUT", &target(name), &body)?;
                Ok(read::<Set>(socket, &answer)?.new)
            }
            Place::Store { config, users } => {
                let algorithms = settings::algorithms(&config.auth);
                let set = users.set(name, password.as_bytes(), &algorithms, SystemTime::now());
                Ok(app::runtime()?.block_on(set).map_err(UserFailure::from)?)
            }
        }
    }

    fn list(&self) -> Result<Listed, Failure> {
        match self {
            Place::Server { socket, .. } => Ok(read(socket, &ask(socket, "GET", "/api/v1/users", "")?)?),
            Place::Store { users, .. } => Ok(listed(users)),
        }
    }

    fn remove(&self, name: &UserName) -> Result<bool, Failure> {
        match self {
            Place::Server { socket, .. } => match ask(socket, "DELETE", &target(name), "") {
                Ok(_) => Ok(true),
                Err(UserFailure::Refused { status: 404, .. }) => Ok(false),
                Err(error) => Err(error.into()),
            },
            Place::Store { users, .. } => {
                Ok(app::runtime()?.block_on(users.remove(name)).map_err(UserFailure::from)?)
            }
        }
    }
}

fn target(name: &UserName) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'@');
    let escaped =
        name.as_str().bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") });
    format!("/api/v1/users/{}", escaped.collect::<String>())
}

/// The body of the server's answer.
fn ask(socket: &Path, method: &str, target: &str, body: &str) -> Result<Vec<u8>, UserFailure> {
    let octets = exchange(socket, method, target, body)
        .map_err(|error| UserFailure::Socket { path: socket.to_owned(), what: error.to_string() })?;
    let no_http = || UserFailure::Socket {
        path: socket.to_owned(),
        what: "no server of ours answers there".to_owned(),
    };
    let end = octets.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(no_http)?;
    let head = octets.get(..end).map(String::from_utf8_lossy).unwrap_or_default();
    let body = octets.get(end + 4..).unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(no_http)?;
    if (200..300).contains(&status) {
        return Ok(body.to_vec());
    }
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let detail =
        problem.get("detail").and_then(|detail| detail.as_str()).unwrap_or("nothing more").to_owned();
    Err(UserFailure::Refused { status, detail })
}

fn exchange(socket: &Path, method: &str, target: &str, body: &str) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut octets = Vec::new();
    stream.take(LONGEST).read_to_end(&mut octets)?;
    Ok(octets)
}

fn read<T: serde::de::DeserializeOwned>(socket: &Path, body: &[u8]) -> Result<T, UserFailure> {
    let wrong =
        |error: serde_json::Error| UserFailure::Socket { path: socket.to_owned(), what: error.to_string() };
    serde_json::from_slice(body).map_err(wrong)
}
