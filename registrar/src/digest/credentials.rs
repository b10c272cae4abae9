//! `Authorization` and `Proxy-Authorization` (RFC 3261 §25.1 `credentials`, RFC 7616 §3.4).

use std::borrow::Cow;

use grammar::Value;

use super::Algorithm;

/// Parameters of one field; RFC 7616 knows 13.
const PARAMS: usize = 32;

/// What a sender proves itself with.
#[derive(Clone, Debug)]
pub struct Credentials<'a> {
    /// Escapes taken away; UTF-8, or whatever the sender wrote.
    pub username: Cow<'a, [u8]>,
    /// Whose password it is.
    pub realm: Cow<'a, [u8]>,
    /// As in the challenge.
    pub nonce: Cow<'a, [u8]>,
    /// What the request was for when it was signed.
    pub uri: Cow<'a, [u8]>,
    /// The hash, in hex.
    pub response: Cow<'a, [u8]>,
    /// MD5 if it is not named; `None` for one this server does not know.
    pub algorithm: Option<Algorithm>,
    /// Whether it is the `-sess` form.
    pub session: bool,
    /// What comes with a quality of protection; `None` is RFC 2069.
    pub proof: Option<Proof<'a>>,
}

/// What a response with `qop` has besides.
#[derive(Clone, Debug)]
pub struct Proof<'a> {
    /// What is protected.
    pub qop: Qop,
    /// The sender's nonce.
    pub cnonce: Cow<'a, [u8]>,
    /// The eight digits of the count, as they were hashed.
    pub(crate) nc_octets: &'a [u8],
    /// How often the nonce was used, this time included.
    pub nc: u32,
}

/// Quality of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// Method and URI.
    Auth,
    /// And the body.
    AuthInt,
}

/// Why credentials can't be read; the text is for the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not a list of parameters, or too long a one.
    #[error("Malformed Credentials")]
    List,
    /// A parameter stands there twice.
    #[error("Repeated Parameter In Credentials")]
    Repeated,
    /// One of those that must be there is not.
    #[error("Parameter Missing In Credentials")]
    Missing,
    /// `nc` is not eight hex digits, or `qop` is none that was offered.
    #[error("Bad qop Or nc In Credentials")]
    Proof,
}

impl<'a> Credentials<'a> {
    /// Reads a field's value; `Ok(None)` for a scheme other than Digest.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(value: &'a [u8]) -> Result<Option<Self>, Malformed> {
        let value = grammar::trim(value);
        let Some((scheme, rest)) = grammar::split_once(value, grammar::is_lws) else { return Ok(None) };
        if !scheme.eq_ignore_ascii_case(b"Digest") {
            return Ok(None);
        }
        let mut fields = Fields::default();
        for (count, piece) in grammar::split_commas(rest).enumerate() {
            let (name, value) = grammar::split_once(piece, |b| b == b'=').ok_or(Malformed::List)?;
            if count >= PARAMS {
                return Err(Malformed::List);
            }
            fields.take(grammar::trim(name), Value::read(grammar::trim(value)))?;
        }
        fields.credentials().map(Some)
    }

    /// The realm of credentials that need not be well-formed otherwise: whom they are for.
    pub fn realm_of(value: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let (scheme, rest) = grammar::split_once(grammar::trim(value), grammar::is_lws)?;
        if !scheme.eq_ignore_ascii_case(b"Digest") {
            return None;
        }
        grammar::split_commas(rest).take(PARAMS).find_map(|piece| {
            let (name, value) = grammar::split_once(piece, |b| b == b'=')?;
            let is_realm = grammar::trim(name).eq_ignore_ascii_case(b"realm");
            is_realm.then(|| Value::read(grammar::trim(value)).text())
        })
    }
}

#[derive(Default)]
struct Fields<'a> {
    values: [Option<Value<'a>>; NAMES.len()],
}

const NAMES: [&[u8]; 11] = [
    b"username",
    b"username*",
    b"realm",
    b"nonce",
    b"uri",
    b"response",
    b"algorithm",
    b"qop",
    b"cnonce",
    b"nc",
    b"userhash",
];

impl<'a> Fields<'a> {
    fn take(&mut self, name: &[u8], value: Value<'a>) -> Result<(), Malformed> {
        let known = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
        // Parameters of other versions are ignored (RFC 7616 §3.4).
        let Some(slot) = known.and_then(|at| self.values.get_mut(at)) else { return Ok(()) };
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(Malformed::Repeated),
        }
    }

    fn value(&self, name: &[u8]) -> Option<Value<'a>> {
        let at = NAMES.iter().position(|known| *known == name)?;
        self.values.get(at).copied().flatten()
    }

    fn text(&self, name: &[u8]) -> Option<Cow<'a, [u8]>> {
        self.value(name).map(|value| value.text())
    }

    fn credentials(&self) -> Result<Credentials<'a>, Malformed> {
        let required = |name: &[u8]| self.text(name).ok_or(Malformed::Missing);
        let (algorithm, session) = self.algorithm();
        Ok(Credentials {
            username: self.username().ok_or(Malformed::Missing)?,
            realm: required(b"realm")?,
            nonce: required(b"nonce")?,
            uri: required(b"uri")?,
            response: required(b"response")?,
            algorithm,
            session,
            proof: self.proof()?,
        })
    }

    /// In quotes, or as RFC 7616 §3.4 has it for names that quotes can't hold. A hashed name (`userhash`) was
    /// not asked for and is nobody's.
    fn username(&self) -> Option<Cow<'a, [u8]>> {
        if let Some(plain) = self.text(b"username") {
            return Some(plain);
        }
        let extended = self.value(b"username*")?.raw();
        let escaped = extended.get(..7)?.eq_ignore_ascii_case(b"UTF-8''").then(|| extended.get(7..))??;
        Some(grammar::percent_decode(escaped))
    }

    fn algorithm(&self) -> (Option<Algorithm>, bool) {
        const SESSION: &[u8] = b"-sess";
        let Some(name) = self.text(b"algorithm") else { return (Some(Algorithm::Md5), false) };
        match name.len().checked_sub(SESSION.len()).and_then(|at| name.split_at_checked(at)) {
            Some((base, tail)) if tail.eq_ignore_ascii_case(SESSION) => (Algorithm::from_name(base), true),
            _ => (Algorithm::from_name(&name), false),
        }
    }

    fn proof(&self) -> Result<Option<Proof<'a>>, Malformed> {
        let Some(qop) = self.text(b"qop") else { return Ok(None) };
        let qop = match () {
            () if qop.eq_ignore_ascii_case(b"auth") => Qop::Auth,
            () if qop.eq_ignore_ascii_case(b"auth-int") => Qop::AuthInt,
            () => return Err(Malformed::Proof),
        };
        let cnonce = self.text(b"cnonce").ok_or(Malformed::Missing)?;
        let nc_octets = self.value(b"nc").ok_or(Malformed::Missing)?.raw();
        let digits = std::str::from_utf8(nc_octets)
            .ok()
            .filter(|digits| digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let nc = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or(Malformed::Proof)?;
        Ok(Some(Proof { qop, cnonce, nc_octets, nc }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str =
        r#"Digest username="j\"o", realm="r", nonce="n", uri="sip:a,b", response="x", opaque="o""#;

    fn read(text: &str) -> Result<Option<Credentials<'_>>, Malformed> {
        Credentials::parse(text.as_bytes())
    }

    #[test]
    fn quotes_commas_folds_and_case_are_read_as_the_grammar_has_them() {
        let text = FULL.replace(", ", "\r\n ,\t").replace("Digest", "dIGEST").replace("uri=", "URI = ");
        let credentials = read(&text).unwrap().unwrap();
        assert_eq!((&*credentials.username, &*credentials.uri), (&b"j\"o"[..], &b"sip:a,b"[..]));
        assert_eq!((credentials.algorithm, credentials.session), (Some(Algorithm::Md5), false));
        assert!(credentials.proof.is_none());
    }

    #[test]
    fn algorithms_have_a_session_form_and_may_be_unknown() {
        let of = |name: &str| {
            let text = format!("{FULL}, algorithm={name}");
            let credentials = read(&text).unwrap().unwrap();
            (credentials.algorithm, credentials.session)
        };
        assert_eq!(of("sha-256"), (Some(Algorithm::Sha256), false));
        assert_eq!(of("\"MD5-sess\""), (Some(Algorithm::Md5), true));
        assert_eq!(of("SHA-512-256"), (None, false));
        assert_eq!(of("sess"), (None, false));
    }

    #[test]
    fn a_name_may_be_utf_8_in_quotes_or_escaped() {
        let plain = FULL.replace("j\\\"o", "jürgen");
        assert_eq!(&*read(&plain).unwrap().unwrap().username, "jürgen".as_bytes());
        let extended = FULL.replace("username=\"j\\\"o\"", "username*=UTF-8''j%C3%BCrgen");
        assert_eq!(&*read(&extended).unwrap().unwrap().username, "jürgen".as_bytes());
    }

    #[test]
    fn a_count_is_eight_hex_digits() {
        let with = |nc: &str| format!("{FULL}, qop=auth, cnonce=\"c\", nc={nc}");
        assert_eq!(read(&with("0000000a")).unwrap().unwrap().proof.unwrap().nc, 10);
        for bad in ["1", "000000001", "+0000001", "0000000g", ""] {
            assert_eq!(read(&with(bad)).err(), Some(Malformed::Proof), "{bad}");
        }
    }

    #[test]
    fn what_is_missing_repeated_or_no_list_is_told() {
        for name in ["username", "realm", "nonce", "uri", "response"] {
            let without = FULL.replace(&format!("{name}="), "x=");
            assert_eq!(read(&without).err(), Some(Malformed::Missing), "{name}");
        }
        assert_eq!(read(&format!("{FULL}, qop=auth")).err(), Some(Malformed::Missing));
        assert_eq!(read(&format!("{FULL}, nonce=\"m\"")).err(), Some(Malformed::Repeated));
        assert_eq!(read(&format!("{FULL}, junk")).err(), Some(Malformed::List));
        assert_eq!(read(&format!("{FULL}{}", ", a=b".repeat(40))).err(), Some(Malformed::List));
        assert!(read("Basic am9objpzZWNyZXQ=").unwrap().is_none());
        assert_eq!(Credentials::realm_of(b"Digest junk, realm=\"r\"").as_deref(), Some(&b"r"[..]));
    }
}
