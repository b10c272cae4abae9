//! IMAP URLs that name a part of a message and carry their authorisation (RFC 5092, RFC 4467, RFC 5593).
//!
//! What the server authorised is the octets it gave out: the URL goes back to it as it came, and nothing of it is
//! ever unescaped or escaped again. Only what a client must know is read: where the server is, and who may fetch.

use std::fmt;

/// The longest URL that is read, in octets.
const LONGEST: usize = 4096;

/// Who may fetch a URL (RFC 4467 §3, RFC 5593).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Anonymous,
    /// Every user of the server.
    AuthUser,
    /// A server that streams, known to the IMAP server as one.
    Stream,
    /// That user.
    User(String),
    /// Another application, such as `submit+fred`.
    Other(String),
}

/// Why octets are no such URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It does not begin with `imap://`.
    #[error("the URL does not begin with imap://")]
    Scheme,
    /// It is too long, or holds an octet that no URL may.
    #[error("the URL is longer than {LONGEST} octets or holds an octet that must be escaped")]
    Octet,
    /// No user, host or port can be read.
    #[error("the server part of the URL can't be read")]
    Server,
    /// There is a password, or something else that is none of our business.
    #[error("the URL holds credentials")]
    Credentials,
    /// It names no message.
    #[error("the URL names no part of a message")]
    Part,
    /// It carries no authorisation.
    #[error("the URL has no URLAUTH with a mechanism and a token")]
    Authorization,
}

/// A URL as it came, and what was read of it.
#[derive(Clone, PartialEq, Eq)]
pub struct ImapUrl {
    text: String,
    host: String,
    port: u16,
    access: Access,
    /// Where `:<mechanism>:<token>` begins.
    rump: usize,
}

impl ImapUrl {
    /// Reads a URL that is authorised (`authimapurlfull` of RFC 4467 §9).
    ///
    /// # Errors
    /// [`UrlError`] if it is none.
    pub fn parse(text: &str) -> Result<ImapUrl, UrlError> {
        let allowed = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'<' | b'>');
        if text.len() > LONGEST || !text.bytes().all(allowed) {
            return Err(UrlError::Octet);
        }
        let rest = text
            .get(..7)
            .filter(|scheme| scheme.eq_ignore_ascii_case("imap://"))
            .and_then(|_| text.get(7..))
            .ok_or(UrlError::Scheme)?;
        let (server, path) = rest.split_once('/').ok_or(UrlError::Part)?;
        let (host, port) = host_and_port(server)?;
        if !lower(path).contains(";uid=") || path.contains('?') {
            return Err(UrlError::Part);
        }
        let (access, rump) = authorization(text)?;
        Ok(ImapUrl { text: text.to_owned(), host, port, access, rump })
    }

    /// As it came: what the server must see.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The server's name or address (an IPv6 address without brackets).
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port; 143 where none is written.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Who may fetch it.
    pub const fn access(&self) -> &Access {
        &self.access
    }

    /// All but mechanism and token: what may be shown.
    pub fn rump(&self) -> &str {
        self.text.get(..self.rump).unwrap_or_default()
    }
}

/// The token is never shown, and of the rest the server alone.
impl fmt::Debug for ImapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "imap://..@{}:{}/..;urlauth={:?}:..", self.host, self.port, self.access)
    }
}

fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// `[user[;AUTH=mechanism]@]host[:port]`.
fn host_and_port(server: &str) -> Result<(String, u16), UrlError> {
    let (user, place) = server.rsplit_once('@').unwrap_or(("", server));
    // RFC 5092 has no place for a password, and one that is there all the same is not ours to pass on.
    if user.contains(':') || user.contains('@') {
        return Err(UrlError::Credentials);
    }
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or(UrlError::Server)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| UrlError::Server)?;
            (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some("143")))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, Some("143")),
        },
    };
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(named) {
        return Err(UrlError::Server);
    }
    let port = port.filter(|port| port.bytes().all(|b| b.is_ascii_digit()));
    let port = port.and_then(|port| port.parse().ok()).filter(|port| *port > 0);
    Ok((lower(host), port.ok_or(UrlError::Server)?))
}

/// The access, and where `:<mechanism>:<token>` begins.
fn authorization(text: &str) -> Result<(Access, usize), UrlError> {
    let start = lower(text).rfind(";urlauth=").ok_or(UrlError::Authorization)? + 9;
    let value = text.get(start..).unwrap_or_default();
    let mut parts = value.splitn(3, ':');
    let (access, mechanism, token) = (parts.next(), parts.next(), parts.next());
    let (Some(access), Some(mechanism), Some(token)) = (access, mechanism, token) else {
        return Err(UrlError::Authorization);
    };
    let is_word = |word: &str| !word.is_empty() && !word.contains([';', '/']);
    if !is_word(access) || !is_word(mechanism) || !is_word(token) {
        return Err(UrlError::Authorization);
    }
    let named = lower(access);
    let read = match named.as_str() {
        "anonymous" => Access::Anonymous,
        "authuser" => Access::AuthUser,
        "stream" => Access::Stream,
        _ => match named.starts_with("user+") {
            true => Access::User(access.get(5..).unwrap_or_default().to_owned()),
            false => Access::Other(access.to_owned()),
        },
    };
    Ok((read, start + access.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "imap://joe@example.com/INBOX/;uid=20/;section=1.2;expire=2006-12-19T16:39:57-08:00;\
                       urlauth=anonymous:internal:91354a473744909de610943775f92038";

    #[test]
    fn host_port_access_and_rump_are_read_and_the_text_stays() {
        let url = ImapUrl::parse(URL).unwrap();
        assert_eq!((url.host(), url.port(), url.access()), ("example.com", 143, &Access::Anonymous));
        assert_eq!(url.as_str(), URL);
        assert!(url.rump().ends_with(";urlauth=anonymous"));
        let shown = format!("{url:?}");
        assert!(!shown.contains("91354") && !shown.contains("joe"), "{shown}");
    }

    #[test]
    fn nothing_of_a_url_is_unescaped() {
        let url = URL.replace("INBOX", "a%20b%2Fc").replace("joe@", "joe%40x;AUTH=PLAIN@");
        assert_eq!(ImapUrl::parse(&url).unwrap().as_str(), url);
    }

    #[test]
    fn every_access_of_the_rfcs_is_known() {
        let access = |named: &str| {
            let url = URL.replace("anonymous", named);
            ImapUrl::parse(&url).map(|url| url.access().clone())
        };
        assert_eq!(access("AuthUser"), Ok(Access::AuthUser));
        assert_eq!(access("stream"), Ok(Access::Stream));
        assert_eq!(access("user+Bob"), Ok(Access::User("Bob".into())));
        assert_eq!(access("submit+fred"), Ok(Access::Other("submit+fred".into())));
        assert_eq!(access(""), Err(UrlError::Authorization));
    }

    #[test]
    fn ports_and_ipv6_addresses_are_read() {
        let at = |server: &str| {
            let url = URL.replace("example.com", server);
            ImapUrl::parse(&url).map(|url| (url.host().to_owned(), url.port()))
        };
        assert_eq!(at("EXAMPLE.com:10143"), Ok(("example.com".into(), 10143)));
        assert_eq!(at("[2001:db8::1]:993"), Ok(("2001:db8::1".into(), 993)));
        assert_eq!(at("[::1]"), Ok(("::1".into(), 143)));
        for bad in ["h:", "h:0", "h:65536", "h:1x", "[::1", "[x]", "", "h:1:2", "h]", "h\u{7f}", "[::1]x"] {
            assert!(at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_authorised_names_no_part_or_brings_a_password_is_refused() {
        let refused = |text: &str| ImapUrl::parse(text).unwrap_err();
        assert_eq!(refused(&URL.replace("imap:", "http:")), UrlError::Scheme);
        assert_eq!(refused("imap"), UrlError::Scheme);
        assert_eq!(refused(&URL.replace(";uid=20", "")), UrlError::Part);
        assert_eq!(refused("imap://h"), UrlError::Part);
        assert_eq!(refused(&URL.replace("joe@", "joe:secret@")), UrlError::Credentials);
        assert_eq!(refused(&URL.replace("joe@", "a@b@")), UrlError::Credentials);
        assert_eq!(refused(&URL.replace(":91354a473744909de610943775f92038", "")), UrlError::Authorization);
        for bad in ["\"", "\\", " ", "\r\n", "é"] {
            assert_eq!(refused(&URL.replace("INBOX", bad)), UrlError::Octet, "{bad:?}");
        }
        assert_eq!(refused(&URL.replace("INBOX", &"x".repeat(4096))), UrlError::Octet);
    }
}
