//! The config: TOML text to typed keys ([`source`]), checked as a whole ([`check`]), then used by
//! [`crate::app`] to build the server. Names and defaults are in [`keys`].

mod announce;
mod check;
mod choices;
mod keys;
mod reference;
mod section;
mod source;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) use announce::{Annc, AnncImap};
pub(crate) use check::tls_files;
pub(crate) use choices::{
    AuthMode, ForkMode, Level, MailTls, Relay, TierReading, UnknownTerminal, WatcherRule,
};
pub(crate) use keys::{Auth, Config, Device, Limits, Offline, Peer, Route};
pub(crate) use reference::page as reference;
pub(crate) use values::{Listen, Transport};

/// Reads a config and holds it against what this version can do.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub(crate) fn load(file: Option<&Path>, overrides: &[String]) -> Result<Config, ConfigError> {
    let source = source::read(file, overrides)?;
    let problems = check::problems(&source);
    if problems.is_empty() { Ok(source.config) } else { Err(ConfigError::Wrong(problems)) }
}

/// Tables and lists of tables in which `new` differs from `old`, for a reload to name.
pub(crate) fn differences(old: &Config, new: &Config) -> Vec<String> {
    let (old, new) = (keys_of(old), keys_of(new));
    let mut changed: Vec<String> = Vec::new();
    for key in old.iter().filter(|key| !new.contains(key)).chain(new.iter().filter(|key| !old.contains(key)))
    {
        if !changed.contains(&key.path) {
            changed.push(key.path.clone());
        }
    }
    changed
}

fn keys_of(config: &Config) -> Vec<section::Key> {
    let mut keys = Vec::new();
    section::Section::keys(config, "", &mut keys);
    keys
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// `file:line:column`, or the override.
    pub(crate) place: String,
    /// The key, what is wrong with it and what to write instead.
    pub(crate) what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.what)
    }
}

/// Why there is no config.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file can't be read.
    #[error("{}: {source}; check the path and its permissions", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What stands in it is wrong.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Wrong(Vec<Problem>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_config_is_valid_or_says_what_this_version_lacks() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/configs"));
        let mut read = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|kind| kind != "toml") {
                continue;
            }
            read += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            if text.starts_with("# Later version") {
                source::read(Some(&path), &[]).unwrap();
                let said = load(Some(&path), &[]).unwrap_err().to_string();
                // The certificates it names lie on another machine.
                let absent = |line: &str| line.contains(": tls.cert: fullchain.pem: ");
                let known = |line: &str| line.ends_with("not in this version") || absent(line);
                assert!(said.lines().all(known), "{said}");
            } else if let Err(error) = load(Some(&path), &[]) {
                panic!("{error}");
            }
        }
        assert!(read >= 3, "only {read} sample configs in {}", folder.display());
    }

    #[test]
    fn the_sample_of_the_embedded_default_is_the_default() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/configs/embedded-default.toml"));
        assert_eq!(load(Some(path), &[]).unwrap(), Config::default());
    }

    #[test]
    fn a_reload_names_the_keys_that_changed() {
        let mut new = Config::default();
        assert!(differences(&Config::default(), &new).is_empty());
        new.log.redact = false;
        new.peer.push(keys::Peer { address: "192.0.2.1".parse().ok(), tls_name: None });
        let changed = differences(&Config::default(), &new);
        assert!(changed.contains(&"log.redact".to_owned()), "{changed:?}");
        assert!(changed.contains(&"peer[0].address".to_owned()), "{changed:?}");
    }
}
