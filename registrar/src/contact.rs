//! One Contact of a REGISTER. What is kept of it goes out again in every 200 of its AOR, so that nothing is
//! kept that a reader of that header could misread.

use std::borrow::Cow;

use bytes::Bytes;
use grammar::Value;
use sip::{NameAddr, Uri};

use crate::instance;
use crate::options::Options;
use crate::outcome::Refusal;

/// What an expiry that is no number means (RFC 3261 §10.3).
const MALFORMED_EXPIRES: u32 = 3600;

#[derive(Debug)]
pub(crate) struct NewContact {
    pub(crate) uri: Uri,
    /// As they came, in order, repeated ones too; without those the registrar writes itself.
    pub(crate) params: Bytes,
    /// Seconds asked for.
    pub(crate) lifetime: u32,
    /// The parameters in which it says what it can show, as they came: all but those that name the device and its
    /// time.
    pub(crate) said: Bytes,
    /// The device it belongs to.
    pub(crate) instance: Option<Vec<u8>>,
    /// Which flow of that device it is, if it says so (RFC 5626 §4.2).
    pub(crate) reg_id: Option<u32>,
}

impl NewContact {
    /// `expires` is what the Expires header says, for a Contact that doesn't.
    pub(crate) fn read(
        address: &NameAddr<'_>,
        expires: Option<u32>,
        options: &Options,
    ) -> Result<Self, Refusal> {
        let uri = address.uri().map_err(|_| Refusal::MalformedContact)?;
        if uri.as_bytes().len() > options.contact_uri_octets {
            return Err(Refusal::ContactTooLong);
        }
        let mut read = Params::with_room(address.params_octets().len());
        for (count, param) in address.params().enumerate() {
            if count >= options.contact_params {
                return Err(Refusal::ContactTooLong);
            }
            read.take(&param)?;
        }
        let Params { written, said, expires: own_expires, instance, reg_id } = read;
        if uri.as_bytes().len() + written.len() > options.contact_octets {
            return Err(Refusal::ContactTooLong);
        }
        let instance = instance.and_then(|at| instance::of(written.get(at..)?)).map(Cow::into_owned);
        Ok(Self {
            uri,
            reg_id: reg_id.and_then(|at| instance::reg_id(written.get(at..)?)).filter(|_| instance.is_some()),
            instance,
            params: written.into(),
            lifetime: own_expires.or(expires).unwrap_or(options.default_expires),
            said: said.into(),
        })
    }
}

/// What one look at every parameter of a Contact gives.
struct Params {
    written: Vec<u8>,
    said: Vec<u8>,
    expires: Option<u32>,
    /// Where the first `+sip.instance` stands among the written ones.
    instance: Option<usize>,
    /// And the first `reg-id`.
    reg_id: Option<usize>,
}

impl Params {
    fn with_room(octets: usize) -> Self {
        let (written, said) = (Vec::with_capacity(octets), Vec::with_capacity(octets));
        Self { written, said, expires: None, instance: None, reg_id: None }
    }

    fn take(&mut self, param: &grammar::Param<'_>) -> Result<(), Refusal> {
        let at = self.written.len();
        match param.name.first() {
            Some(b'e' | b'E') if param.is(b"expires") => {
                let text = param.value.map_or(&b""[..], |value| value.raw());
                self.expires = self.expires.or(Some(seconds(text)));
                return Ok(());
            }
            Some(b'+') if param.is(b"+sip.instance") => self.instance = self.instance.or(Some(at)),
            Some(b'r' | b'R') if param.is(b"reg-id") => self.reg_id = self.reg_id.or(Some(at)),
            _ => {
                self.said.push(b';');
                self.said.extend_from_slice(param.raw);
            }
        }
        if is_assigned_by_registrar(param) { Ok(()) } else { write_param(&mut self.written, param) }
    }
}

/// `delta-seconds`: what is above 2^32-1 counts as that, what is no number as an hour.
pub(crate) fn seconds(text: &[u8]) -> u32 {
    let text = grammar::trim(text);
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return MALFORMED_EXPIRES;
    }
    grammar::decimal(text).and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX)
}

/// A terminal's idea of its GRUUs is ignored (RFC 5627 §5.1).
fn is_assigned_by_registrar(param: &grammar::Param<'_>) -> bool {
    param.is(b"pub-gruu") || param.is(b"temp-gruu")
}

fn write_param(out: &mut Vec<u8>, param: &grammar::Param<'_>) -> Result<(), Refusal> {
    if !grammar::is_token(param.name) {
        return Err(Refusal::MalformedContact);
    }
    out.push(b';');
    out.extend_from_slice(param.name);
    match param.value {
        None => {}
        Some(Value::Plain(text)) if !text.is_empty() && text.iter().all(|&b| is_plain(b)) => {
            out.push(b'=');
            out.extend_from_slice(text);
        }
        // No defect of what a terminal says of itself fails its REGISTER (CPI.md D4): it goes back in quotes.
        Some(Value::Plain(text)) if text.iter().all(|&b| is_quotable(b)) => {
            out.extend_from_slice(b"=\"");
            out.extend_from_slice(text);
            out.push(b'"');
        }
        Some(Value::Quoted(inner)) if is_closed(param.raw, inner) => {
            let inner = grammar::unfold(inner);
            if inner.iter().any(|&b| b.is_ascii_control() && b != b'\t') {
                return Err(Refusal::MalformedContact);
            }
            out.extend_from_slice(b"=\"");
            out.extend_from_slice(&inner);
            out.push(b'"');
        }
        Some(_) => return Err(Refusal::MalformedContact),
    }
    Ok(())
}

/// A token, a host, or what else is met unquoted (`type=image/gif`), without an octet that ends the value.
const fn is_plain(b: u8) -> bool {
    !matches!(b, 0..=b' ' | b'"' | b',' | b';' | b'<' | b'>' | b'\\' | 0x7f)
}

/// What stands in a quoted string as it is.
const fn is_quotable(b: u8) -> bool {
    !b.is_ascii_control() && !matches!(b, b'"' | b'\\')
}

/// Whether the quoted string ends with its quote and nothing follows.
fn is_closed(raw: &[u8], inner: &[u8]) -> bool {
    raw.strip_suffix(b"\"").is_some_and(|before| before.ends_with(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &[u8]) -> Result<NewContact, Refusal> {
        NewContact::read(&NameAddr::parse(value).unwrap(), None, &Options::default())
    }

    #[test]
    fn seconds_follow_rfc_3261_10_3() {
        for (text, value) in [
            (&b"0"[..], 0),
            (b" 60 ", 60),
            (b"4294967295", u32::MAX),
            (b"4294967296", u32::MAX),
            (b"99999999999999999999999", u32::MAX),
            (b"-1", 3600),
            (b"soon", 3600),
            (b"", 3600),
        ] {
            assert_eq!(seconds(text), value, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn order_and_repetition_are_kept_white_space_and_folds_are_not() {
        let contact = read(
            b"<sip:a@h> ; type=\"image/gif\" ;q = 0.5\r\n ;type=\"image/jpeg\";expires=7;audio;+x=\"#<=5\"",
        )
        .unwrap();
        assert_eq!(contact.params, ";type=\"image/gif\";q=0.5;type=\"image/jpeg\";audio;+x=\"#<=5\"");
        assert_eq!(contact.lifetime, 7);
    }

    #[test]
    fn the_first_expires_counts_and_gruus_of_the_terminal_are_dropped() {
        let contact = read(b"<sip:a@h>;expires=7;expires=8;pub-gruu=\"sip:x@h;gr\";temp-gruu=\"y\"").unwrap();
        assert_eq!((contact.lifetime, &contact.params[..]), (7, &b""[..]));
    }

    #[test]
    fn a_parameter_that_would_break_the_200_is_refused() {
        for bad in [
            &b"<sip:a@h>;x=\"open"[..],
            b"<sip:a@h>;x=\"open\\\"",
            b"<sip:a@h>;x=\"a\"b",
            b"<sip:a@h>;x=a\"b",
            b"<sip:a@h>;x=a\\b",
            b"<sip:a@h>;a b=c",
            b"<sip:a@h>;=c",
            b"<sip:a@h>;x=\"a\x00b\"",
        ] {
            assert_eq!(read(bad).err(), Some(Refusal::MalformedContact), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn a_value_that_is_no_token_goes_back_in_quotes() {
        for (sent, kept) in [
            (&b"<sip:a@h>;media-pix-x="[..], &b";media-pix-x=\"\""[..]),
            (b"<sip:a@h>;type=<image/gif>;q=0.5", b";type=\"<image/gif>\";q=0.5"),
            (b"<sip:a@h>;x=a b", b";x=\"a b\""),
        ] {
            assert_eq!(&read(sent).unwrap().params[..], kept, "{}", sent.escape_ascii());
        }
    }

    #[test]
    fn a_contact_over_the_limit_is_refused() {
        let long = [b"<sip:a@h>;x=".as_slice(), &[b'y'; 9000]].concat();
        assert_eq!(read(&long).err(), Some(Refusal::ContactTooLong));
        let many = [b"<sip:a@h>".as_slice(), &b";x".repeat(65)].concat();
        assert_eq!(read(&many).err(), Some(Refusal::ContactTooLong));
    }
}
