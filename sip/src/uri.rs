//! URIs (RFC 3261 §19.1): SIP and SIPS in their parts, tel (RFC 3966) and every other scheme kept as written.

mod aor;
mod compare;

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::cursor::Cursor;
use crate::host::{self, Host};
use crate::span::Span;

/// A URI: its octets as written, and where its parts stand. Equality is of octets; for RFC 3261 §19.1.4 see
/// [`Uri::equivalent`].
#[derive(Clone)]
pub struct Uri {
    text: Bytes,
    parts: Parts,
}

/// Which kind of URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// Any other; what follows the colon is opaque.
    Other,
}

/// Why octets are no URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// No scheme before a colon.
    #[error("the URI has no scheme")]
    Scheme,
    /// White space, a control, a quote or an angle bracket stands in it.
    #[error("the URI holds an octet that must be escaped")]
    Octet,
    /// The user part is empty or holds an `@`.
    #[error("the user part can't be read")]
    User,
    /// No host, or one that is neither name nor address.
    #[error("the host can't be read")]
    Host,
    /// The port is no number up to 65535.
    #[error("the port can't be read")]
    Port,
    /// Nothing follows the scheme.
    #[error("the URI is empty")]
    Empty,
}

#[derive(Clone, Copy)]
struct Parts {
    scheme: Scheme,
    scheme_len: u32,
    user: Option<Span>,
    password: Option<Span>,
    host: Option<Span>,
    port: Option<u16>,
    params: Span,
    headers: Option<Span>,
}

impl Uri {
    /// Reads a URI and copies it out of `text`.
    ///
    /// # Errors
    /// [`UriError`] if it is none.
    pub fn parse(text: &[u8]) -> Result<Self, UriError> {
        Ok(Uri { parts: Parts::read(text)?, text: Bytes::copy_from_slice(text) })
    }

    /// Reads a URI that shares `text`; not for URIs that are kept, since they keep all it is a slice of.
    ///
    /// # Errors
    /// [`UriError`] if it is none.
    pub fn shared(text: Bytes) -> Result<Self, UriError> {
        Ok(Uri { parts: Parts::read(&text)?, text })
    }

    /// The URI as written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Which kind it is.
    pub const fn scheme(&self) -> Scheme {
        self.parts.scheme
    }

    /// The scheme as written.
    pub fn scheme_octets(&self) -> &[u8] {
        self.text.get(..self.parts.scheme_len as usize).unwrap_or_default()
    }

    /// Whether it is a SIP or SIPS URI.
    pub const fn is_sip(&self) -> bool {
        matches!(self.parts.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// Whether it is a SIPS URI.
    pub const fn is_sips(&self) -> bool {
        matches!(self.parts.scheme, Scheme::Sips)
    }

    /// The SIP URI that a SIPS URI corresponds to: all but the scheme is the same (RFC 5630 §5.3). Any other URI is itself.
    #[must_use]
    pub fn as_sip(&self) -> Uri {
        let rest = self.text.get(self.parts.scheme_len as usize..).unwrap_or_default();
        let plain = self.is_sips().then(|| Uri::parse(&[b"sip", rest].concat()).ok());
        plain.flatten().unwrap_or_else(|| self.clone())
    }

    /// The user part as written (escapes in place, without the password), of a tel URI its number.
    pub fn user(&self) -> Option<&[u8]> {
        self.parts.user.map(|span| span.in_buf(&self.text))
    }

    /// The password, which nobody should write.
    pub fn password(&self) -> Option<&[u8]> {
        self.parts.password.map(|span| span.in_buf(&self.text))
    }

    /// The host; `None` unless it is a SIP or SIPS URI.
    pub fn host(&self) -> Option<Host<'_>> {
        Host::parse(self.host_octets()?)
    }

    /// The host as written.
    pub fn host_octets(&self) -> Option<&[u8]> {
        self.parts.host.map(|span| span.in_buf(&self.text))
    }

    /// The port, if it is written.
    pub const fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// The URI parameters.
    pub fn params(&self) -> grammar::Params<'_> {
        grammar::params(self.params_octets())
    }

    /// The URI parameters as written, from the first `;` on.
    pub fn params_octets(&self) -> &[u8] {
        self.parts.params.in_buf(&self.text)
    }

    /// The value of the parameter `name` as written; empty for one without a value.
    pub fn param(&self, name: &[u8]) -> Option<&[u8]> {
        if self.params_octets().is_empty() {
            return None;
        }
        let found = self.params().find(|param| compare::same_text_any_case(param.name, name))?;
        Some(found.value.map_or(&b""[..], |value| value.raw()))
    }

    /// What follows `?`, as written.
    pub fn headers(&self) -> Option<&[u8]> {
        self.parts.headers.map(|span| span.in_buf(&self.text))
    }

    /// Stands for a URI that was judged readable and is not; keeps accessors free of a panic.
    pub(crate) fn unreadable() -> Self {
        let parts = Parts {
            scheme: Scheme::Other,
            scheme_len: 0,
            user: None,
            password: None,
            host: None,
            port: None,
            params: Span::default(),
            headers: None,
        };
        Uri { text: Bytes::new(), parts }
    }

    /// A copy with octets of its own.
    pub fn detached(&self) -> Self {
        Uri { text: Bytes::copy_from_slice(&self.text), parts: self.parts }
    }
}

/// Whether `text` is a URI; if so, whether it has a header part.
#[inline]
pub(crate) fn check(text: &[u8]) -> Result<bool, UriError> {
    if text.strip_prefix(b"sip:").is_some_and(|rest| plain(rest).is_some()) {
        return Ok(false);
    }
    Parts::read(text).map(|parts| parts.headers.is_some())
}

impl Parts {
    fn read(text: &[u8]) -> Result<Self, UriError> {
        let scheme = Scheme::read(text)?;
        let rest = text.get(scheme.1 + 1..).unwrap_or_default();
        if rest.is_empty() {
            return Err(UriError::Empty);
        }
        let parts = Parts {
            scheme: scheme.0,
            scheme_len: u32::try_from(scheme.1).map_err(|_| UriError::Scheme)?,
            user: None,
            password: None,
            host: None,
            port: None,
            params: Span::default(),
            headers: None,
        };
        if scheme.0 == Scheme::Sip
            && let Some(plain) = plain(rest)
        {
            return Ok(parts.plain(scheme.1 + 1, plain));
        }
        let marks = Marks::find(rest).ok_or(UriError::Octet)?;
        match scheme.0 {
            Scheme::Sip | Scheme::Sips => parts.sip(text, scheme.1 + 1, &marks),
            Scheme::Tel => parts.tel(text, rest),
            Scheme::Other => Ok(parts),
        }
    }

    /// The parts of a URI for which [`plain`] holds.
    #[inline(always)]
    fn plain(mut self, base: usize, plain: Plain) -> Self {
        let Plain { user_end, host_end, port } = plain;
        let host_start = if user_end == 0 { base } else { base + user_end + 1 };
        self.user = (user_end > 0).then(|| Span::between(base, base + user_end));
        self.host = Some(Span::between(host_start, base + host_end));
        self.port = port;
        self
    }

    /// The parts behind `sip:`. The user part may hold `;`, `?`, `/` and `,`, so it is cut off first: an `@`
    /// stands nowhere else unescaped (RFC 3261 §25.1).
    fn sip(mut self, text: &[u8], base: usize, marks: &Marks) -> Result<Self, UriError> {
        let mut host_start = base;
        let at = match marks.ats {
            0 | 1 => marks.at,
            _ => Some(announcement(text.get(base..).unwrap_or_default()).ok_or(UriError::User)?),
        };
        if let Some(at) = at {
            let user_end = marks.colon.filter(|&colon| colon < at).unwrap_or(at);
            if user_end == 0 {
                return Err(UriError::User);
            }
            self.user = Some(Span::between(base, base + user_end));
            self.password = (user_end < at).then(|| Span::between(base + user_end + 1, base + at));
            host_start = base + at + 1;
        }
        let mut cursor = Cursor::new(text.get(host_start..).unwrap_or_default());
        let host = host::take(&mut cursor).ok_or(UriError::Host)?;
        self.host = Some(Span::between(host_start, host_start + host.len()));
        if cursor.eat(b':') {
            self.port = Some(host::take_port(&mut cursor).ok_or(UriError::Port)?);
        }
        let tail = cursor.rest;
        match tail.first() {
            None => return Ok(self),
            Some(b';' | b'?') => {}
            Some(_) => return Err(UriError::Host),
        }
        let tail_start = text.len() - tail.len();
        let params_end = tail_start + tail.iter().position(|&b| b == b'?').unwrap_or(tail.len());
        self.params = Span::between(tail_start, params_end);
        self.headers = (params_end < text.len()).then(|| Span::between(params_end + 1, text.len()));
        Ok(self)
    }

    fn tel(mut self, text: &[u8], rest: &[u8]) -> Result<Self, UriError> {
        let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let (number, params) = rest.split_at_checked(end).unwrap_or_default();
        if number.is_empty() {
            return Err(UriError::User);
        }
        self.scheme = Scheme::Tel;
        self.user = Some(Span::of(text, number));
        self.params = Span::of(text, params);
        Ok(self)
    }
}

impl Scheme {
    /// The scheme of `text` and its length.
    #[inline]
    fn read(text: &[u8]) -> Result<(Self, usize), UriError> {
        if text.starts_with(b"sip:") {
            return Ok((Scheme::Sip, 3));
        }
        let len = text.iter().position(|&b| b == b':').ok_or(UriError::Scheme)?;
        let scheme = text.get(..len).unwrap_or_default();
        let named = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !scheme.iter().all(named) {
            return Err(UriError::Scheme);
        }
        let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
        let kind = match () {
            () if is("sip") => Scheme::Sip,
            () if is("sips") => Scheme::Sips,
            () if is("tel") => Scheme::Tel,
            () => Scheme::Other,
        };
        Ok((kind, len))
    }
}

/// The length of the URI that begins `text` and ends before `end`, if it is `sip:` and then [`plain`].
#[inline(always)]
pub(crate) fn plain_before(text: &[u8], end: u8) -> Option<usize> {
    let rest = text.strip_prefix(b"sip:")?;
    let mut host_start = 0;
    for (at, &b) in rest.iter().enumerate() {
        if host::is_plain(b) {
            continue;
        }
        if b == end {
            return (at > host_start).then_some(at + 4);
        }
        if b != b'@' || host_start != 0 || at == 0 {
            return None;
        }
        host_start = at + 1;
    }
    None
}

/// What [`plain`] finds, by position; no user part ends at 0.
struct Plain {
    user_end: usize,
    host_end: usize,
    port: Option<u16>,
}

/// Whether `text` is `user@host`, `user@host:port` or `host` of letters, digits, dots and hyphens only, as most are:
/// then one look at every octet is enough.
#[inline(always)]
fn plain(text: &[u8]) -> Option<Plain> {
    let mut user_end = 0;
    for (at, &b) in text.iter().enumerate() {
        if host::is_plain(b) {
            continue;
        }
        // Before an `@` it would begin a password.
        if b == b':' && user_end != 0 && at > user_end + 1 {
            let mut port = Cursor::new(text.get(at + 1..)?);
            let number = host::take_port(&mut port)?;
            return port.rest.is_empty().then_some(Plain { user_end, host_end: at, port: Some(number) });
        }
        if b != b'@' || user_end != 0 || at == 0 {
            return None;
        }
        user_end = at;
    }
    (user_end + 1 < text.len()).then_some(Plain { user_end, host_end: text.len(), port: None })
}

/// Where the user part of an announcement ends though another `@` stands behind it: `annc@host;play=imap:%2F%2Fjoe@..`.
/// Deviation from RFC 3261 §25.1, which has no `@` in parameters: RFC 5616 §3.5 and draft-cook-lemonade-streaming §2.3
/// write the URL to be played like this, and nothing but this user has such parameters. Where `annc` begins there is no
/// other way to read what follows: a user part never has an `@`.
fn announcement(text: &[u8]) -> Option<usize> {
    let user = text.get(..5)?;
    user.eq_ignore_ascii_case(b"annc@").then_some(4)
}

/// What one look at every octet behind the scheme finds.
#[derive(Default)]
struct Marks {
    /// The first colon.
    colon: Option<usize>,
    /// The last `@`, and how many there are.
    at: Option<usize>,
    ats: usize,
}

impl Marks {
    /// `None` if an octet stands there that no URI may hold.
    fn find(text: &[u8]) -> Option<Self> {
        let mut marks = Marks::default();
        for (at, &b) in text.iter().enumerate() {
            match CLASSES.get(usize::from(b)).copied().unwrap_or(BAD) {
                PLAIN => {}
                BAD => return None,
                _ if b == b'@' => {
                    marks.at = Some(at);
                    marks.ats += 1;
                }
                _ => marks.colon = marks.colon.or(Some(at)),
            }
        }
        Some(marks)
    }
}

const PLAIN: u8 = 0;
const MARK: u8 = 1;
const BAD: u8 = 2;

/// What [`Marks::find`] does with an octet.
static CLASSES: [u8; 256] = classes();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where a bad index is an error")]
const fn classes() -> [u8; 256] {
    let mut table = [PLAIN; 256];
    let mut b = 0;
    while b < 256 {
        if matches!(b as u8, 0..=b' ' | b'"' | b'<' | b'>' | 0x7f) {
            table[b] = BAD;
        }
        b += 1;
    }
    table[b'@' as usize] = MARK;
    table[b':' as usize] = MARK;
    table
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Uri {}

impl std::hash::Hash for Uri {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Uri::parse(text.as_bytes())
    }
}

/// As written; octets that are no UTF-8 can only be had from [`Uri::as_bytes`].
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

/// The host only: who is meant is not for logs.
impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if self.parts.user.is_some() { "..@" } else { "" };
        let host = self.host().map_or_else(|| "..".to_owned(), |host| host.to_string());
        write!(f, "{}:{user}{host}", self.scheme_octets().escape_ascii())
    }
}
