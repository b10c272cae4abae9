//! Addresses in headers (RFC 3261 §20.10): `"Name" <uri>;params` and the bare form, where every `;` belongs
//! to the header.

use std::borrow::Cow;

use crate::cursor::Cursor;
use crate::uri::{self, Uri, UriError};

/// An address with its header parameters, as in From, To, Contact, Route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    pub(crate) display: &'a [u8],
    pub(crate) uri: &'a [u8],
    pub(crate) params: &'a [u8],
}

/// Why an address can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A quoted display name does not end, or `<` has no `>`.
    #[error("a quote or bracket is not closed")]
    Unclosed,
    /// The display name has octets that need quotes.
    #[error("the display name needs quotes")]
    Display,
    /// White space stands inside `<>`.
    #[error("white space stands in the URI")]
    Blank,
    /// A URI with `?` or `,` needs `<>` (RFC 3261 §20.10).
    #[error("the URI needs angle brackets")]
    NeedsBrackets,
    /// Something else than `;` follows the URI.
    #[error("octets follow the address")]
    Trailing,
    /// The URI is none.
    #[error(transparent)]
    Uri(#[from] UriError),
}

/// One value of a Contact header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact<'a> {
    /// `*`
    Wildcard,
    /// An address.
    Address(NameAddr<'a>),
}

impl<'a> Contact<'a> {
    /// Reads one value of the list.
    ///
    /// # Errors
    /// As [`NameAddr::parse`].
    pub fn parse(value: &'a [u8]) -> Result<Self, AddressError> {
        match grammar::trim(value) {
            b"*" => Ok(Contact::Wildcard),
            address => NameAddr::parse(address).map(Contact::Address),
        }
    }
}

impl<'a> NameAddr<'a> {
    /// Reads an address. The URI is judged too, so that [`NameAddr::uri`] holds what it says.
    ///
    /// # Errors
    /// [`AddressError`]; nothing is repaired (RFC 4475 §3.1.2.6, .13 to .15 let an element refuse).
    pub fn parse(value: &'a [u8]) -> Result<Self, AddressError> {
        let value = grammar::trim(value);
        if let Some(address) = plain(value) {
            return Ok(address);
        }
        let address = match value.first() {
            Some(b'"') => quoted(value)?,
            _ => match value.iter().position(|&b| matches!(b, b'<' | b'"')) {
                Some(at) => {
                    let (display, rest) = value.split_at_checked(at).unwrap_or_default();
                    bracketed(display, rest)?
                }
                None => bare(value)?,
            },
        };
        match uri::check(address.uri) {
            Ok(_) => Ok(address),
            Err(_) if address.uri.iter().any(|&b| grammar::is_lws(b)) => Err(AddressError::Blank),
            Err(error) => Err(error.into()),
        }
    }

    /// The display name with quotes and escapes taken away; `None` if there is none.
    pub fn display_name(&self) -> Option<Cow<'a, [u8]>> {
        match self.display.first() {
            None => None,
            Some(b'"') => Some(grammar::Value::read(self.display).text()),
            Some(_) => Some(grammar::unfold(self.display)),
        }
    }

    /// The URI as written.
    pub const fn uri_octets(&self) -> &'a [u8] {
        self.uri
    }

    /// The URI, copied out.
    pub fn uri(&self) -> Result<Uri, UriError> {
        Uri::parse(self.uri)
    }

    /// The header parameters.
    pub const fn params(&self) -> grammar::Params<'a> {
        grammar::params(self.params)
    }

    /// The header parameters as written, from the first `;` on.
    pub const fn params_octets(&self) -> &'a [u8] {
        self.params
    }

    /// The value of the header parameter `name`; empty for one without a value.
    pub fn param(&self, name: &[u8]) -> Option<&'a [u8]> {
        let param = self.params().find_name(name)?;
        Some(param.value.map_or(&b""[..], |value| value.raw()))
    }

    /// The tag; an empty one is none.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.param(b"tag").filter(|tag| !tag.is_empty())
    }
}

/// The form nearly every address has, read in one pass: a quoted name without escapes or none, then
/// `<sip:user@host>` of plain octets. `None` for all others, which take the long way.
#[inline]
pub(crate) fn plain(value: &[u8]) -> Option<NameAddr<'_>> {
    let (display, rest) = match value.split_first()? {
        (b'<', _) => value.split_at_checked(0)?,
        (b'"', inner) => {
            let len = inner.iter().position(|&b| matches!(b, b'"' | b'\\'))?;
            let (display, rest) = value.split_at_checked(len + 2)?;
            (display, rest.strip_prefix(b" ").unwrap_or(rest))
        }
        _ => return None,
    };
    let inner = rest.strip_prefix(b"<")?;
    let uri_len = uri::plain_before(inner, b'>')?;
    let (uri, after) = inner.split_at_checked(uri_len)?;
    let params = after.get(1..)?;
    if !display.ends_with(b"\\") && matches!(params.first(), None | Some(b';')) {
        return Some(NameAddr { display, uri, params });
    }
    None
}

fn quoted(value: &[u8]) -> Result<NameAddr<'_>, AddressError> {
    let mut escaped = false;
    let closing = value.iter().skip(1).position(|&b| match b {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        _ => b == b'"',
    });
    let end = closing.ok_or(AddressError::Unclosed)?.saturating_add(2);
    let (display, rest) = value.split_at_checked(end).ok_or(AddressError::Unclosed)?;
    let mut cursor = Cursor::new(rest);
    cursor.lws();
    if cursor.rest.first() != Some(&b'<') {
        return Err(AddressError::Display);
    }
    Ok(NameAddr { display, ..bracketed(b"", cursor.rest)? })
}

/// `rest` begins with `<`, or with what no display name may hold.
fn bracketed<'a>(display: &'a [u8], rest: &'a [u8]) -> Result<NameAddr<'a>, AddressError> {
    let display = grammar::trim(display);
    if display.iter().fold(false, |any, &b| any | needs_quotes(b)) {
        return Err(AddressError::Display);
    }
    let inner = rest.strip_prefix(b"<").ok_or(AddressError::Display)?;
    let end = memchr::memchr(b'>', inner).ok_or(AddressError::Unclosed)?;
    let (uri, after) = inner.split_at_checked(end).ok_or(AddressError::Unclosed)?;
    let params = grammar::trim(after.get(1..).unwrap_or_default());
    if !matches!(params.first(), None | Some(b';')) {
        return Err(AddressError::Trailing);
    }
    Ok(NameAddr { display, uri, params })
}

const fn needs_quotes(b: u8) -> bool {
    matches!(b, b',' | b';' | b'>' | b'\\' | 0..=8 | 11 | 12 | 14..=31 | 127)
}

fn bare(value: &[u8]) -> Result<NameAddr<'_>, AddressError> {
    let end = value.iter().position(|&b| b == b';').unwrap_or(value.len());
    let (uri, params) = value.split_at_checked(end).unwrap_or_default();
    let uri = grammar::trim(uri);
    if uri.iter().any(|&b| matches!(b, b'?' | b',')) {
        return Err(AddressError::NeedsBrackets);
    }
    Ok(NameAddr { display: b"", uri, params })
}
