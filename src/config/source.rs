//! From text to [`Config`]: the file, then `--set key=value` laid over it, with the place of every key
//! kept so that whatever is wrong later can be shown where it stands.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::keys::Config;
use super::values::Transport;
use super::{ConfigError, Problem};

/// A config as it was read, before [`super::check`].
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) config: Config,
    pub(crate) places: Places,
}

/// Reads `file` (the embedded default without one) and lays `overrides` over it.
pub(crate) fn read(file: Option<&Path>, overrides: &[String]) -> Result<Source, ConfigError> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?,
        None => String::new(),
    };
    let mut source = parse(file.unwrap_or(Path::new("(embedded default)")), &text, overrides)?;
    if file.is_none() {
        keep_localhost(&mut source.config);
    }
    Ok(source)
}

/// Without a file, `--set domain=` names a domain beside the default one (INTERFACE.md).
fn keep_localhost(config: &mut Config) {
    for standard in Config::default().domain.0 {
        if !config.domain.contains(&standard) {
            config.domain.0.push(standard);
        }
    }
}

/// The default WebSocket stands where links are served, wherever that is.
fn follow_http(config: &mut Config) {
    for entry in config.sip.listen.0.iter_mut().filter(|entry| entry.transport == Transport::Ws) {
        entry.address = config.http.listen;
    }
}

/// Reads `text`; `path` is only how the file is called in problems.
pub(super) fn parse(path: &Path, text: &str, overrides: &[String]) -> Result<Source, ConfigError> {
    let mut places = Places { file: path.to_owned(), lines: Lines::of(text), keys: BTreeMap::new() };
    if let Ok(table) = DeTable::parse(text) {
        walk("", table.get_ref(), &mut places.keys);
    }
    toml::from_str::<Config>(text).map_err(|error| places.wrong(&error))?;
    let mut merged: toml::Table = toml::from_str(text).map_err(|error| places.wrong(&error))?;
    for text in overrides {
        let (key, table) = read_override(text).map_err(|problem| ConfigError::Wrong(vec![problem]))?;
        lay_over(&mut merged, table);
        let below = format!("{key}.");
        places.keys.retain(|path, _| *path != key && !path.starts_with(&below));
        places.keys.insert(key, At::Override(text.clone()));
    }
    let mut config = Config::deserialize(merged).map_err(|error| places.wrong(&error))?;
    if !places.keys.contains_key("sip.listen") {
        follow_http(&mut config);
    }
    Ok(Source { config, places })
}

/// One `key=value`. What is no TOML value is a string, so that `--set domain=example.com` needs no quotes
/// inside quotes.
fn read_override(text: &str) -> Result<(String, toml::Table), Problem> {
    let problem = |what: String| Problem { place: format!("--set {text}"), what };
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let key_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if key.is_empty() || !text.contains('=') || !key.bytes().all(key_byte) {
        return Err(problem("write key=value, as in log.level=debug".to_owned()));
    }
    let as_toml = format!("{key} = {value}");
    let line = match value.contains(['\n', '\r']) || toml::from_str::<toml::Table>(&as_toml).is_err() {
        true => format!("{key} = {}", super::values::quote(value)),
        false => as_toml,
    };
    toml::from_str::<Config>(&line).map_err(|error| problem(plain(error.message())))?;
    let table = toml::from_str(&line).map_err(|error: toml::de::Error| problem(plain(error.message())))?;
    Ok((key.to_owned(), table))
}

fn lay_over(below: &mut toml::Table, above: toml::Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => lay_over(old, new),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

fn walk(path: &str, table: &DeTable<'_>, keys: &mut BTreeMap<String, At>) {
    for (key, value) in table {
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{}", key.get_ref());
        keys.insert(path.clone(), At::File { key: key.span(), value: value.span() });
        match value.get_ref() {
            DeValue::Table(below) => walk(&path, below, keys),
            DeValue::Array(entries) => {
                for (at, entry) in entries.iter().enumerate() {
                    let path = format!("{path}[{at}]");
                    keys.insert(path.clone(), At::File { key: entry.span(), value: entry.span() });
                    if let DeValue::Table(below) = entry.get_ref() {
                        walk(&path, below, keys);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Where each key was written.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    file: PathBuf,
    lines: Lines,
    keys: BTreeMap<String, At>,
}

#[derive(Clone, Debug)]
enum At {
    File { key: Range<usize>, value: Range<usize> },
    Override(String),
}

impl Places {
    /// A problem with the key `path`, shown where it (or what it belongs to) was written.
    pub(crate) fn problem(&self, path: &str, what: impl Into<String>) -> Problem {
        let what = format!("{path}: {}", what.into());
        let place = match self.at(path) {
            Some(At::File { key, .. }) => self.place(key.start),
            Some(At::Override(text)) => format!("--set {text}"),
            None => self.file.display().to_string(),
        };
        Problem { place, what }
    }

    /// `file:line` of what was written for `path` in the file.
    pub(crate) fn line(&self, path: &str) -> Option<String> {
        let Some(At::File { key, .. }) = self.at(path) else { return None };
        Some(format!("{}:{}", self.file.display(), self.lines.line_and_column(key.start).0))
    }

    fn at(&self, path: &str) -> Option<&At> {
        self.keys.get(path).or_else(|| self.keys.get(parent(path)))
    }

    fn wrong(&self, error: &toml::de::Error) -> ConfigError {
        ConfigError::Wrong(vec![self.problem_of(error)])
    }

    fn problem_of(&self, error: &toml::de::Error) -> Problem {
        let what = plain(error.message());
        let Some(span) = error.span() else {
            return Problem { place: self.file.display().to_string(), what };
        };
        let what = self.key_around(&span).map_or(what.clone(), |key| format!("{key}: {what}"));
        Problem { place: self.place(span.start), what }
    }

    /// The innermost key that, or whose value, holds `span`.
    fn key_around(&self, span: &Range<usize>) -> Option<&str> {
        let within = |range: &Range<usize>| range.start <= span.start && span.end <= range.end;
        let holds = |at: &At| match at {
            At::File { key, value } => within(key) || within(value),
            At::Override(_) => false,
        };
        self.keys.iter().filter(|(_, at)| holds(at)).map(|(key, _)| key.as_str()).max_by_key(|key| key.len())
    }

    fn place(&self, offset: usize) -> String {
        let (line, column) = self.lines.line_and_column(offset);
        format!("{}:{line}:{column}", self.file.display())
    }
}

/// The table of a key, or the list of an entry.
fn parent(path: &str) -> &str {
    path.rfind(['.', '[']).and_then(|at| path.get(..at)).unwrap_or_default()
}

/// The words of serde in the words of an operator.
fn plain(message: &str) -> String {
    message
        .trim_end()
        .replace("unknown field", "unknown key")
        .replace("missing field", "missing key")
        .replace("unknown variant", "unknown value")
        .replace('\n', "; ")
}

/// Where lines begin, to turn an offset into what an editor shows.
#[derive(Clone, Debug)]
struct Lines {
    text: String,
}

impl Lines {
    fn of(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    /// Both from 1; columns count characters.
    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str, overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        parse(Path::new("b.toml"), text, &overrides).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_column() {
        let said = problem("domain = [\"a.example\"]\n\n[sip]\n  lisen = []\n", &[]);
        assert!(said.starts_with("b.toml:4:3: sip.lisen: unknown key `lisen`, expected"), "{said}");
    }

    #[test]
    fn a_bad_value_is_shown_where_it_stands_with_its_key_and_the_cure() {
        let said = problem("[adapt]\ndeadline = \"4\"\n", &[]);
        assert!(said.starts_with("b.toml:2:12: adapt.deadline: `4` is no duration: write"), "{said}");
        let said = problem("[sip]\nlisten = [\"udp:127.0.0.1:5060\", \"tcp:localhost\"]\n", &[]);
        assert!(said.starts_with("b.toml:2:33: sip.listen[1]: `localhost` is no address"), "{said}");
    }

    #[test]
    fn broken_toml_is_shown_where_it_breaks() {
        let said = problem("[sip\nlisten = 1\n", &[]);
        assert!(said.starts_with("b.toml:1:5: "), "{said}");
    }

    #[test]
    fn an_override_is_laid_over_the_file_and_blamed_for_its_own_faults() {
        let overrides = ["log.level=debug", "domain=example.com", "adapt.workers=3"].map(str::to_owned);
        let source =
            parse(Path::new("b.toml"), "[log]\nlevel = \"warn\"\nredact = false\n", &overrides).unwrap();
        assert_eq!(source.config.log.level, super::super::choices::Level::Debug);
        assert!(!source.config.log.redact);
        assert_eq!(source.config.domain[0].name, "example.com");
        assert_eq!(source.config.adapt.workers, 3);
        let said = problem("", &["log.level=loud"]);
        assert!(said.starts_with("--set log.level=loud: unknown value `loud`"), "{said}");
        for text in ["log.level", "=x", "a b=c"] {
            assert!(problem("", &[text]).contains("write key=value"), "{text}");
        }
    }

    #[test]
    fn domains_are_names_or_tables_with_a_switch() {
        let text = "[[domain]]\nname = \"A.example\"\nadapt = false\n[[domain]]\nname = \"b.example\"\n";
        let domains = parse(Path::new("b.toml"), text, &[]).unwrap().config.domain;
        assert_eq!((domains[0].name.as_str(), domains[0].adapt), ("a.example", Some(false)));
        assert_eq!(domains[1].adapt, None);
    }
}
