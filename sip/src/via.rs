//! Via values (RFC 3261 §20.42, RFC 3581): `SIP/2.0/UDP host:port;branch=..`, with white space where the
//! grammar has it and any transport.

use std::net::{IpAddr, SocketAddr};

use crate::cursor::Cursor;
use crate::host::{self, Host};

/// The branch prefix of RFC 3261 (§8.1.1.7); a branch without it comes from an RFC 2543 element.
pub(crate) const COOKIE: &[u8] = b"z9hG4bK";

/// One Via value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    pub(crate) transport: &'a [u8],
    pub(crate) host: &'a [u8],
    pub(crate) port: Option<u16>,
    pub(crate) params: &'a [u8],
}

impl<'a> Via<'a> {
    /// Reads one value (an element of the list). `None` if transport or sent-by can't be read; parameters
    /// are not judged here.
    #[inline]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = grammar::trim(value);
        let mut cursor = Cursor::new(value);
        if let Some(rest) = value.strip_prefix(b"SIP/2.0/") {
            cursor.rest = rest;
        } else {
            cursor.token()?;
            cursor.separator(b'/').then_some(())?;
            cursor.token()?;
            cursor.separator(b'/').then_some(())?;
        }
        let transport = cursor.token()?;
        cursor.lws().then_some(())?;
        let host = host::take(&mut cursor)?;
        let port = if cursor.separator(b':') { Some(host::take_port(&mut cursor)?) } else { None };
        cursor.lws();
        if !matches!(cursor.rest.first(), None | Some(b';')) {
            return None;
        }
        Some(Via { transport, host, port, params: cursor.rest })
    }

    /// The transport as written: `UDP`, `TCP`, `TLS`, `WS`, or any other. Compare without case.
    pub const fn transport(&self) -> &'a [u8] {
        self.transport
    }

    /// The host of sent-by.
    pub fn host(&self) -> Host<'a> {
        Host::parse(self.host).unwrap_or(Host::Name(self.host))
    }

    /// The port of sent-by, if it is written.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Host and port of sent-by as the transaction key has them: lower case, one spelling.
    pub fn sent_by(&self) -> String {
        let host = self.host().to_string().to_ascii_lowercase();
        self.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }

    /// The branch.
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.param(b"branch").filter(|branch| !branch.is_empty())
    }

    /// Whether the branch identifies the transaction (RFC 3261 §17.2.3): the cookie and something behind.
    pub fn has_cookie(&self) -> bool {
        self.branch().is_some_and(is_transaction_branch)
    }

    /// The address that the next element saw, where answers go.
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.param(b"received")?;
        let bare = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
        std::str::from_utf8(bare).ok()?.parse().ok()
    }

    /// The port that the next element saw (RFC 3581); `Some(None)` when it is asked for and not filled in.
    pub fn rport(&self) -> Option<Option<u16>> {
        let param = self.params().find_name(b"rport")?;
        let value = param.value.map(|value| value.raw()).filter(|value| !value.is_empty());
        Some(value.and_then(grammar::decimal).and_then(|port| u16::try_from(port).ok()))
    }

    /// The multicast address answers go to.
    pub fn maddr(&self) -> Option<Host<'a>> {
        self.param(b"maddr").and_then(Host::parse)
    }

    /// All parameters.
    pub const fn params(&self) -> grammar::Params<'a> {
        grammar::params(self.params)
    }

    fn param(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.params().find_name(name)?.value.map(|value| value.raw())
    }

    /// Whether the parameters are what the grammar says: none empty (RFC 4475 §3.1.2.1), at most `most`,
    /// every one a token with or without a value. Gives the branch, which everyone needs next.
    pub(crate) fn judge_params(&self, most: usize) -> ParamsJudged<'a> {
        let Some(text) = self.params.strip_prefix(b";") else { return ParamsJudged::Clean { branch: None } };
        let mut first_branch = None;
        for (count, piece) in grammar::split_outside_quotes(text, b';', false).enumerate() {
            if count >= most {
                return ParamsJudged::TooMany;
            }
            let mut cursor = Cursor::new(piece);
            let Some(name) = cursor.token() else { return ParamsJudged::Broken };
            let has_value = cursor.separator(b'=');
            if !has_value && !cursor.rest.is_empty() {
                return ParamsJudged::Broken;
            }
            if has_value && first_branch.is_none() && name.eq_ignore_ascii_case(b"branch") {
                first_branch = Some(cursor.rest).filter(|branch| !branch.is_empty());
            }
        }
        ParamsJudged::Clean { branch: first_branch }
    }
}

/// A header value that is one Via in the form nearly every one has, without white space but the blank before
/// sent-by, read in one pass. `None` for all others, which take the long way.
#[inline]
pub(crate) fn plain(value: &[u8], most_params: usize) -> Option<(Via<'_>, ParamsJudged<'_>)> {
    let mut cursor = Cursor::new(value.strip_prefix(b"SIP/2.0/")?);
    let transport = cursor.token()?;
    if !cursor.eat(b' ') {
        return None;
    }
    let host = cursor.take_while(host::is_plain);
    let port = if cursor.eat(b':') { Some(host::take_port(&mut cursor)?) } else { None };
    let via = Via { transport, host, port, params: cursor.rest };
    let (mut count, mut branch) = (0, None);
    while cursor.eat(b';') {
        count += 1;
        let name = cursor.token()?;
        if cursor.eat(b'=') {
            let value = cursor.take_while(is_value_byte);
            if branch.is_none() && !value.is_empty() && name.eq_ignore_ascii_case(b"branch") {
                branch = Some(value);
            }
        }
    }
    if host.is_empty() || !cursor.rest.is_empty() {
        return None;
    }
    let clean = ParamsJudged::Clean { branch };
    Some((via, if count > most_params { ParamsJudged::TooMany } else { clean }))
}

/// A token, or an address of either family.
#[inline(always)]
fn is_value_byte(b: u8) -> bool {
    grammar::is_token_byte(b) || matches!(b, b':' | b'[' | b']')
}

/// Outcome of [`Via::judge_params`].
pub(crate) enum ParamsJudged<'a> {
    Clean { branch: Option<&'a [u8]> },
    Broken,
    TooMany,
}

/// Whether `branch` is one of RFC 3261.
pub(crate) fn is_transaction_branch(branch: &[u8]) -> bool {
    branch.len() > COOKIE.len() && branch.get(..COOKIE.len()).is_some_and(|b| b.eq_ignore_ascii_case(COOKIE))
}

/// `value`, a Via, with `received` and `rport` as RFC 3261 §18.2.1 and RFC 3581 §4 want them; `None` if it
/// can't be read or needs no change.
pub(crate) fn stamp(value: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let via = Via::parse(value)?;
    let address = source.ip().to_canonical();
    let named = is_written(address, via.host) || via.host().ip().is_some_and(|host| host == address);
    let before = value.get(..value.len() - via.params.len())?;
    let mut stamped = Vec::with_capacity(value.len() + MOST_STAMP);
    stamped.extend_from_slice(before.trim_ascii_end());
    let (mut wants_port, mut claimed) = (false, false);
    for param in via.params() {
        if param.is(b"rport") {
            wants_port = true;
            stamped.extend_from_slice(b";rport=");
            stamped.extend_from_slice(itoa::Buffer::new().format(source.port()).as_bytes());
        } else if param.is(b"received") {
            claimed = true;
        } else {
            stamped.push(b';');
            stamped.extend_from_slice(param.raw);
        }
    }
    if named && !wants_port && !claimed {
        return None;
    }
    if wants_port || !named {
        stamped.extend_from_slice(b";received=");
        host::write_ip(address, |piece| stamped.extend_from_slice(piece.as_bytes()));
    }
    Some(stamped)
}

/// Whether that is how `address` is nearly always written.
fn is_written(address: IpAddr, host: &[u8]) -> bool {
    let mut left = Some(host);
    host::write_ip(address, |piece| left = left.and_then(|left| left.strip_prefix(piece.as_bytes())));
    left.is_some_and(<[u8]>::is_empty)
}

/// Octets that a stamp adds: `;rport=65535;received=` and an IPv6 address.
const MOST_STAMP: usize = 22 + 45;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_fills_rport_and_replaces_what_the_sender_claims() {
        let source = "192.0.2.9:5099".parse().unwrap();
        let stamped = |value: &[u8]| stamp(value, source).map(|via| String::from_utf8(via).unwrap());
        assert_eq!(stamped(b"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"), None);
        assert_eq!(
            stamped(b"SIP/2.0/UDP h.example;branch=z9hG4bK1").unwrap(),
            "SIP/2.0/UDP h.example;branch=z9hG4bK1;received=192.0.2.9"
        );
        assert_eq!(
            stamped(b"SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bK1").unwrap(),
            "SIP/2.0/UDP 192.0.2.9:5060;rport=5099;branch=z9hG4bK1;received=192.0.2.9"
        );
        assert_eq!(
            stamped(b"SIP/2.0/UDP h;received=203.0.113.1;branch=b").unwrap(),
            "SIP/2.0/UDP h;branch=b;received=192.0.2.9"
        );
    }

    #[test]
    fn white_space_stands_where_the_grammar_has_it() {
        let via =
            Via::parse(b"SIP  /   2.0\r\n /UDP\r\n    192.0.2.2 : 5070 ; branch =\r\n z9hG4bK1").unwrap();
        assert_eq!((via.transport(), via.port()), (&b"UDP"[..], Some(5070)));
        assert_eq!(via.host(), Host::V4([192, 0, 2, 2].into()));
        assert_eq!(via.branch(), Some(&b"z9hG4bK1"[..]));
    }

    #[test]
    fn ipv6_and_unknown_transports_are_read() {
        let via = Via::parse(b"SIP/2.0/UNKNOWN [2001:db8::9:1]:5061;received=2001:db8::9:255;rport").unwrap();
        assert_eq!(via.sent_by(), "[2001:db8::9:1]:5061");
        assert_eq!(via.received(), "2001:db8::9:255".parse().ok());
        assert_eq!(via.rport(), Some(None));
    }

    #[test]
    fn a_branch_needs_more_than_the_cookie() {
        assert!(!Via::parse(b"SIP/2.0/UDP h;branch=z9hG4bK").unwrap().has_cookie());
        assert!(Via::parse(b"SIP/2.0/UDP h;branch=z9hG4bKx").unwrap().has_cookie());
    }

    #[test]
    fn what_has_no_sent_by_is_no_via() {
        for bad in [
            &b"SIP/2.0/UDP"[..],
            b"SIP/2.0/UDP ;branch=1",
            b"SIP/2.0 h",
            b"",
            b"SIP/2.0/UDP h:99999",
            b"SIP/2.0/UDP h x",
        ] {
            assert_eq!(Via::parse(bad), None);
        }
    }
}
