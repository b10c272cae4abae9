//! The one spelling of an address of record, the key under which a registrar knows a user.

use std::fmt::Write;

use super::{Scheme, Uri, compare};
use crate::Host;

impl Uri {
    /// The canonical address of record (RFC 3261 §10.3 step 5): parameters, headers and password dropped,
    /// scheme and host in lower case, the user part unescaped as far as it can be written without escapes.
    /// What can't (a NUL, an `@`) keeps one spelling of its escape, so that two users never become one
    /// (RFC 4475 §3.1.1.4) and the text stays ASCII. A port that is written stays.
    ///
    /// ```
    /// let uri: sip::Uri = "sip:%75se%72@Example.COM;transport=udp".parse()?;
    /// assert_eq!(uri.aor(), "sip:user@example.com");
    /// # Ok::<(), sip::UriError>(())
    /// ```
    pub fn aor(&self) -> String {
        let mut aor = String::from_utf8_lossy(self.scheme_octets()).to_ascii_lowercase();
        aor.push(':');
        match self.scheme() {
            Scheme::Sip | Scheme::Sips => self.write_sip_aor(&mut aor),
            Scheme::Tel => {
                let number = grammar::percent_decode(self.user().unwrap_or_default());
                write_user(&mut aor, &compare::digits(&number));
            }
            Scheme::Other => {
                let opaque = self.text.get(self.parts.scheme_len as usize + 1..).unwrap_or_default();
                write_escaped(&mut aor, opaque, |b| b.is_ascii_graphic());
            }
        }
        aor
    }

    /// The address of record of the same user without a port and as a SIP URI, whatever this one says: what a
    /// registrar knows a user by, whose domain has neither. `None` without a user.
    pub fn account(&self) -> Option<String> {
        self.user().filter(|_| self.is_sip())?;
        let mut account = String::with_capacity(self.as_bytes().len());
        account.push_str("sip:");
        self.write_account(&mut account);
        Some(account)
    }

    fn write_account(&self, aor: &mut String) {
        if let Some(user) = self.user() {
            write_user(aor, &grammar::percent_decode(user));
            aor.push('@');
        }
        match self.host() {
            Some(Host::Name(name)) => {
                let start = aor.len();
                // A name is ASCII.
                aor.push_str(std::str::from_utf8(name).unwrap_or_default());
                aor.get_mut(start..).into_iter().for_each(str::make_ascii_lowercase);
            }
            Some(host) => aor.push_str(&host.to_string().to_ascii_lowercase()),
            None => {}
        }
    }

    fn write_sip_aor(&self, aor: &mut String) {
        self.write_account(aor);
        if let Some(port) = self.port() {
            // Writing to a String can't fail.
            let _ = write!(aor, ":{port}");
        }
    }
}

fn write_user(aor: &mut String, user: &[u8]) {
    write_escaped(aor, user, is_user_byte);
}

fn write_escaped(aor: &mut String, octets: &[u8], plain: impl Fn(u8) -> bool) {
    if octets.iter().all(|&b| plain(b))
        && let Ok(text) = std::str::from_utf8(octets)
    {
        return aor.push_str(text);
    }
    for &b in octets {
        if plain(b) {
            aor.push(char::from(b));
        } else {
            let _ = write!(aor, "%{b:02X}");
        }
    }
}

/// `unreserved / user-unreserved` of RFC 3261 §25.1.
const fn is_user_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(b, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
        || matches!(b, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/')
}
