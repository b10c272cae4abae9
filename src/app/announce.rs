//! From the config to the announcement service.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use annc::source::{Allowed, ImapServer, Network, SystemNames};
use annc::{Annc, StartError, TlsMode, TrustError};
use media::Ffmpeg;

use super::settings;
use crate::config::{self, Config, MailTls};

/// Seconds of a clip that are decoded beyond what is played: nobody hears them.
const BEYOND: u64 = 1;

/// Why the announcement service did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnncError {
    /// A thread or a client is missing.
    #[error("annc: {0}")]
    Start(#[from] StartError),
    /// No roots.
    #[error("tls.ca: {0}")]
    Trust(#[from] TrustError),
    /// A key is wrong.
    #[error("annc.{0}: {1}")]
    Key(String, String),
}

/// The service, if it is wanted.
pub(super) fn start(config: &Config, ffmpeg: Option<Ffmpeg>) -> Result<Option<Annc>, AnncError> {
    if !config.annc.enabled {
        return Ok(None);
    }
    match &ffmpeg {
        None => tracing::warn!(
            "no ffmpeg for announcements: AMR and the sound of most videos are 415 where they can't pass as they are, \
             and video in another coding than the phone's is left out"
        ),
        Some(ffmpeg) => say_missing(ffmpeg),
    }
    let settings = settings_of(config, ffmpeg)?;
    Ok(Some(Annc::start(settings, Arc::new(SystemNames))?))
}

/// What this ffmpeg was built without, so that no announcement is turned into it.
fn say_missing(ffmpeg: &Ffmpeg) {
    let wanted = [("libx264", "H.264"), ("libvpx", "VP8"), ("mpeg1video", "MPEG video"), ("libopus", "Opus")];
    let missing = wanted.into_iter().filter(|(encoder, _)| !ffmpeg.encodes(encoder));
    let missing: Vec<&str> = missing.map(|(_, name)| name).collect();
    if !missing.is_empty() {
        tracing::info!(codecs = %missing.join(", "), "ffmpeg makes no announcements in these: it has no encoder");
    }
}

/// Reads what TOML can't judge; the key below `annc` and what is wrong with it.
pub(crate) fn check(annc: &config::Annc) -> Result<(), (String, String)> {
    let wrong = |key: &str, what: String| (key.to_owned(), what);
    let (first, last) = ports(&annc.ports).ok_or_else(|| {
        wrong("ports", format!("`{}` is no range of ports: write one as in \"30000-30999\"", annc.ports))
    })?;
    if first % 2 == 0 && u32::from(last) < u32::from(first) + 1 {
        return Err(wrong("ports", format!("`{}` has no even port with one behind it", annc.ports)));
    }
    if let Some(address) = &annc.address
        && address.parse::<IpAddr>().is_err()
    {
        return Err(wrong("address", format!("`{address}` is no address: write one as in \"192.0.2.1\"")));
    }
    for (at, entry) in annc.allow.iter().enumerate() {
        entry
            .parse::<Allowed>()
            .map_err(|error| wrong(&format!("allow[{at}]"), format!("`{entry}`: {error}")))?;
    }
    for (at, server) in annc.imap.iter().enumerate() {
        let key = |name: &str| format!("imap[{at}].{name}");
        if server.host.is_empty() {
            return Err(wrong(&key("host"), "missing: which server is it?".to_owned()));
        }
        if u16::try_from(server.port).ok().filter(|port| *port > 0).is_none() {
            return Err(wrong(&key("port"), "is no port".to_owned()));
        }
        if server.user.is_some() != server.password_file.is_some() {
            return Err(wrong(&key("user"), "user and password_file belong together".to_owned()));
        }
    }
    if !matches!(annc.failed, 404 | 400) {
        return Err(wrong("failed", "write 404 or 400".to_owned()));
    }
    if annc.memory.octets() < annc.octets.octets() {
        return Err(wrong("memory", "is below annc.octets: nothing could be fetched".to_owned()));
    }
    if annc.session.0.as_secs() < u64::from(annc::dialog::LEAST_INTERVAL) {
        return Err(wrong("session", "below 90s, the least RFC 4028 has".to_owned()));
    }
    Ok(())
}

fn ports(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first > 0 && first < last).then_some((first, last))
}

fn settings_of(config: &Config, ffmpeg: Option<Ffmpeg>) -> Result<annc::Settings, AnncError> {
    let annc = &config.annc;
    check(annc).map_err(|(key, what)| AnncError::Key(key, what))?;
    let first = config.domain.first().map_or("localhost", |domain| &domain.name);
    let address = annc.address.as_deref().and_then(|address| address.parse().ok());
    let sources = annc::source::Settings {
        allow: annc.allow.iter().filter_map(|entry| entry.parse().ok()).collect(),
        networks: annc
            .networks
            .iter()
            .filter_map(|network| network.to_string().parse::<Network>().ok())
            .collect(),
        imap: annc.imap.iter().enumerate().map(imap).collect::<Result<_, _>>()?,
        folder: annc.folder.clone(),
        octets: annc.octets.octets(),
        deadline: annc.deadline.0,
        trust: annc::trust(config.tls.ca.as_deref())?,
        contact: annc.contact.clone().unwrap_or_else(|| format!("annc@{first}")),
        connections: [settings::count(annc.connections), settings::count(annc.idle_connections)],
    };
    let seconds = u32::try_from(annc.longest.0.as_secs() + BEYOND).unwrap_or(u32::MAX);
    Ok(annc::Settings {
        address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        ports: ports(&annc.ports).unwrap_or_default(),
        streams: settings::count(annc.calls),
        longest: annc.longest.0,
        seconds,
        ffmpeg: ffmpeg.map(|ffmpeg| ffmpeg.reading(seconds)),
        children: settings::count(annc.transcodes),
        effort: annc.effort.0,
        memory: annc.memory.octets(),
        offer_srtp: annc.offer_srtp,
        hold: annc.hold.0,
        patience: annc.silence.0,
        session: u32::try_from(annc.session.0.as_secs()).unwrap_or(u32::MAX),
        symmetric: annc.symmetric,
        strangers: annc.strangers,
        keys_in_clear: annc.keys_in_clear,
        failed: u16::try_from(annc.failed).unwrap_or(404),
        sources,
    })
}

fn imap((at, server): (usize, &config::AnncImap)) -> Result<ImapServer, AnncError> {
    let user = match (&server.user, &server.password_file) {
        (Some(user), Some(path)) => {
            let wrong = |what: String| AnncError::Key(format!("imap[{at}].password_file"), what);
            let text = std::fs::read_to_string(path)
                .map_err(|error| wrong(format!("{}: {error}", path.display())))?;
            let password = text.lines().next().unwrap_or_default().to_owned();
            Some((user.clone(), password))
        }
        _ => None,
    };
    Ok(ImapServer {
        host: server.host.to_ascii_lowercase(),
        port: u16::try_from(server.port).unwrap_or(143),
        tls: match server.tls {
            MailTls::StartTls => TlsMode::StartTls,
            MailTls::Offered => TlsMode::IfOffered,
            MailTls::Implicit => TlsMode::Implicit,
            MailTls::Off => TlsMode::Off,
        },
        user,
        in_clear: server.in_clear,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        let annc: config::Annc = toml::from_str(text).unwrap();
        check(&annc).unwrap_err().0
    }

    #[test]
    fn the_defaults_are_good() {
        assert_eq!(check(&config::Annc::default()), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(wrong("ports = \"1\""), "ports");
        assert_eq!(wrong("ports = \"5-4\""), "ports");
        assert_eq!(wrong("address = \"here\""), "address");
        assert_eq!(wrong("allow = [\"https://a\", \"b\"]"), "allow[1]");
        assert_eq!(wrong("[[imap]]\nport = 993"), "imap[0].host");
        assert_eq!(wrong("[[imap]]\nhost = \"h\"\nport = 0"), "imap[0].port");
        assert_eq!(wrong("[[imap]]\nhost = \"h\"\nuser = \"u\""), "imap[0].user");
        assert_eq!(wrong("failed = 500"), "failed");
        assert_eq!(wrong("memory = \"1MiB\""), "memory");
        assert_eq!(wrong("session = \"60s\""), "session");
    }
}
