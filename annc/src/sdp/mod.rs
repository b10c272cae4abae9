//! Session descriptions (RFC 8866), as far as an offer and an answer need them (RFC 3264).

mod again;
mod agree;
mod bandwidth;
mod crypto;
mod write;

pub use again::again;
pub use agree::{Agreed, Agreement, Disagreement, Making, Means, agree};
pub use crypto::{Key, Suite};
pub use write::{Local, LocalMedium, answer, offer};

use std::net::IpAddr;

use bandwidth::Limit;

/// Octets, lines and media of a description that are read.
const OCTETS: usize = 64 << 10;
const LINES: usize = 1000;
const MEDIA: usize = 16;
/// Formats of one medium.
const FORMATS: usize = 64;

/// Why octets are no description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Too long, or too much of something.
    #[error("the session description is too long")]
    TooLong,
    /// No UTF-8, or a line without `letter=`.
    #[error("a line of the session description can't be read")]
    Line,
    /// An `m=` line that can't be read.
    #[error("a medium of the session description can't be read")]
    Media,
    /// No address for a medium.
    #[error("the session description has no address that can be read")]
    Address,
}

/// Which way media go, seen from who wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// `sendrecv`, which is what nothing says.
    #[default]
    Both,
    /// `sendonly`
    Send,
    /// `recvonly`
    Receive,
    /// `inactive`
    Neither,
}

/// A description of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The version in `o=`, as written.
    pub version: String,
    /// The value of the first `t=` line.
    pub time: String,
    /// Its media, in order.
    pub media: Vec<Media>,
    /// What may be sent of all of them together.
    limit: Option<Limit>,
}

/// An `m=` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video` and others.
    pub kind: String,
    /// 0: none is wanted.
    pub port: u16,
    /// `RTP/AVP` and others.
    pub protocol: String,
    /// Payload types, as written.
    pub formats: Vec<String>,
    /// Where it is to be sent; `None`: a name, which is not looked up.
    pub address: Option<IpAddr>,
    /// Which way it goes.
    pub direction: Direction,
    /// `a=` lines, its own only: name, and what follows the colon.
    pub attributes: Vec<(String, String)>,
    /// What may be sent of it.
    limit: Option<Limit>,
}

impl Media {
    /// The value of the first attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Encoding name (lower case), clock and channels of a format, from `a=rtpmap` or RFC 3551.
    pub fn rtpmap(&self, format: &str) -> Option<(String, u32, u16)> {
        let maps = self.attributes.iter().filter(|(name, _)| name == "rtpmap");
        let mapped = maps.filter_map(|(_, value)| value.split_once(' ')).find(|(of, _)| *of == format);
        let Some((_, encoding)) = mapped else { return known(format) };
        let mut parts = encoding.trim().split('/');
        let name = parts.next()?.to_ascii_lowercase();
        let clock = parts.next()?.parse().ok()?;
        let channels = parts.next().and_then(|channels| channels.parse().ok()).unwrap_or(1);
        Some((name, clock, channels))
    }

    /// What `a=fmtp` says of a format.
    pub fn fmtp(&self, format: &str) -> Option<&str> {
        let all = self.attributes.iter().filter(|(name, _)| name == "fmtp");
        all.filter_map(|(_, value)| value.split_once(' '))
            .find(|(of, _)| *of == format)
            .map(|(_, value)| value)
    }
}

/// Static payload types that are played here (RFC 3551 §6).
fn known(format: &str) -> Option<(String, u32, u16)> {
    let (name, clock) = match format {
        "0" => ("pcmu", 8000),
        "8" => ("pcma", 8000),
        "9" => ("g722", 8000),
        "14" => ("mpa", 90_000),
        "32" => ("mpv", 90_000),
        _ => return None,
    };
    Some((name.to_owned(), clock, 1))
}

impl Session {
    /// Whether pictures are offered to be sent here.
    pub fn wants_video(&self) -> bool {
        self.media.iter().any(|medium| medium.kind == "video" && medium.port > 0)
    }

    /// Whether it says how much may be sent.
    pub fn is_limited(&self) -> bool {
        self.limit.is_some() || self.media.iter().any(|medium| medium.limit.is_some())
    }

    /// What an offer to who wrote it must have of it: its media, how they travel, and its time.
    #[must_use]
    pub fn outline(&self) -> Session {
        let of = |medium: &Media| Media {
            formats: medium.formats.first().cloned().into_iter().collect(),
            attributes: medium.attributes.iter().filter(|(name, _)| name == "rtcp-mux").cloned().collect(),
            ..medium.clone()
        };
        Session { media: self.media.iter().map(of).collect(), ..self.clone() }
    }

    /// Reads a description.
    ///
    /// # Errors
    /// [`SdpError`].
    pub fn read(octets: &[u8]) -> Result<Session, SdpError> {
        if octets.len() > OCTETS {
            return Err(SdpError::TooLong);
        }
        let text = std::str::from_utf8(octets).map_err(|_| SdpError::Line)?;
        let (version, time) = (String::new(), "0 0".to_owned());
        let mut session = Session { version, time, media: Vec::new(), limit: None };
        let (mut address, mut direction) = (None, Direction::Both);
        for (number, line) in text.lines().enumerate() {
            if number >= LINES {
                return Err(SdpError::TooLong);
            }
            if line.is_empty() {
                continue;
            }
            let (kind, value) =
                line.split_once('=').filter(|(kind, _)| kind.len() == 1).ok_or(SdpError::Line)?;
            match (kind, session.media.last_mut()) {
                ("m", _) => {
                    if session.media.len() >= MEDIA {
                        return Err(SdpError::TooLong);
                    }
                    session.media.push(media(value, address, direction)?);
                }
                ("o", None) => session.version = value.split(' ').nth(2).unwrap_or_default().to_owned(),
                ("t", None) if session.time == "0 0" => session.time = value.trim().to_owned(),
                ("c", Some(medium)) => medium.address = connection(value)?,
                ("c", None) => address = connection(value)?,
                ("a", Some(medium)) => {
                    let (name, value) = value.split_once(':').unwrap_or((value, ""));
                    medium.direction = directed(name).unwrap_or(medium.direction);
                    medium.attributes.push((name.to_owned(), value.trim().to_owned()));
                }
                ("b", Some(medium)) => medium.limit = Limit::and(medium.limit, Limit::read(value)),
                ("b", None) => session.limit = Limit::and(session.limit, Limit::read(value)),
                ("a", None) => direction = directed(value).unwrap_or(direction),
                _ => {}
            }
        }
        match text.starts_with("v=0") {
            true => Ok(session),
            false => Err(SdpError::Line),
        }
    }
}

fn directed(attribute: &str) -> Option<Direction> {
    match attribute {
        "sendrecv" => Some(Direction::Both),
        "sendonly" => Some(Direction::Send),
        "recvonly" => Some(Direction::Receive),
        "inactive" => Some(Direction::Neither),
        _ => None,
    }
}

/// `audio 49170/2 RTP/AVP 0 8`
fn media(value: &str, address: Option<IpAddr>, direction: Direction) -> Result<Media, SdpError> {
    let mut words = value.split(' ').filter(|word| !word.is_empty());
    let (kind, port, protocol) = (words.next(), words.next(), words.next());
    let (Some(kind), Some(port), Some(protocol)) = (kind, port, protocol) else {
        return Err(SdpError::Media);
    };
    let port = port.split('/').next().and_then(|port| port.parse().ok()).ok_or(SdpError::Media)?;
    let formats: Vec<String> = words.map(str::to_owned).collect();
    if formats.is_empty() {
        return Err(SdpError::Media);
    }
    if formats.len() > FORMATS {
        return Err(SdpError::TooLong);
    }
    Ok(Media {
        kind: kind.to_owned(),
        port,
        protocol: protocol.to_owned(),
        formats,
        address,
        direction,
        attributes: Vec::new(),
        limit: None,
    })
}

/// `IN IP4 192.0.2.1`; a name is `None`.
fn connection(value: &str) -> Result<Option<IpAddr>, SdpError> {
    let address = value.split(' ').nth(2).ok_or(SdpError::Address)?;
    Ok(address.split('/').next().and_then(|address| address.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=alice 1 2 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\na=recvonly\r\n\
                         m=audio 9224 RTP/AVP 0 8 98 101\r\na=fmtp:101 0-15\r\na=rtpmap:98 opus/48000/2\r\n\
                         a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\nm=video 0 RTP/AVP 34\r\nc=IN IP6 2001:db8::1\r\n";

    #[test]
    fn media_have_the_address_and_direction_of_the_session_or_their_own() {
        let session = Session::read(OFFER.as_bytes()).unwrap();
        let [audio, video] = session.media.as_slice() else { panic!("{session:?}") };
        assert_eq!(session.version, "2");
        assert_eq!((audio.kind.as_str(), audio.port), ("audio", 9224));
        assert_eq!(audio.address, Some("192.0.2.7".parse().unwrap()));
        assert_eq!((audio.direction, video.direction), (Direction::Both, Direction::Receive));
        assert_eq!((video.port, video.address), (0, Some("2001:db8::1".parse().unwrap())));
    }

    #[test]
    fn formats_are_named_by_rtpmap_or_by_rfc_3551() {
        let session = Session::read(OFFER.as_bytes()).unwrap();
        let audio = &session.media[0];
        assert_eq!(audio.rtpmap("0"), Some(("pcmu".into(), 8000, 1)));
        assert_eq!(audio.rtpmap("98"), Some(("opus".into(), 48_000, 2)));
        assert_eq!(audio.rtpmap("97"), None);
        assert_eq!(audio.fmtp("101"), Some("0-15"));
    }

    #[test]
    fn what_is_no_description_is_refused() {
        let refused = |text: &str| Session::read(text.as_bytes()).unwrap_err();
        assert_eq!(refused(""), SdpError::Line);
        assert_eq!(refused("hello"), SdpError::Line);
        assert_eq!(refused("v=0\r\nm=audio\r\n"), SdpError::Media);
        assert_eq!(refused("v=0\r\nm=audio 70000 RTP/AVP 0\r\n"), SdpError::Media);
        assert_eq!(refused("v=0\r\nm=audio 1 RTP/AVP\r\n"), SdpError::Media);
        assert_eq!(refused("v=0\r\nc=IN\r\n"), SdpError::Address);
        assert_eq!(refused(&format!("v=0\r\nm=audio 1 RTP/AVP{}\r\n", " 0".repeat(65))), SdpError::TooLong);
        assert_eq!(refused(&format!("v=0\r\n{}", "m=audio 1 RTP/AVP 0\r\n".repeat(17))), SdpError::TooLong);
        assert_eq!(refused(&format!("v=0\r\n{}", "a=x\r\n".repeat(1000))), SdpError::TooLong);
        assert_eq!(refused(&format!("v=0\r\ns={}\r\n", "x".repeat(64 << 10))), SdpError::TooLong);
    }

    #[test]
    fn a_name_as_address_is_not_looked_up() {
        let session = Session::read(b"v=0\r\nc=IN IP4 phone.example\r\nm=audio 1 RTP/AVP 0\r\n").unwrap();
        assert_eq!(session.media[0].address, None);
    }
}
