//! What a server says it can do (RFC 3501 §7.2.1).

/// What counts here of a server's capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// STARTTLS.
    pub starttls: bool,
    /// AUTH=PLAIN.
    pub plain: bool,
    /// AUTH=ANONYMOUS.
    pub anonymous: bool,
    /// LOGINDISABLED.
    pub login_disabled: bool,
    /// SASL-IR: the first response goes with the command (RFC 4959).
    pub initial_response: bool,
    /// URLAUTH (RFC 4467).
    pub urlauth: bool,
    /// URLAUTH=BINARY (RFC 5524).
    pub binary: bool,
}

impl Capabilities {
    /// Those in a list of names with blanks between them.
    pub fn of(list: &[u8]) -> Capabilities {
        let mut capabilities = Capabilities::default();
        for name in list.split(|&octet| octet == b' ') {
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            let this = &mut capabilities;
            match () {
                () if is("STARTTLS") => this.starttls = true,
                () if is("AUTH=PLAIN") => this.plain = true,
                () if is("AUTH=ANONYMOUS") => this.anonymous = true,
                () if is("LOGINDISABLED") => this.login_disabled = true,
                () if is("SASL-IR") => this.initial_response = true,
                () if is("URLAUTH") => this.urlauth = true,
                // RFC 5524 §6 registers the other spelling.
                () if is("URLAUTH=BINARY") || is("URLFETCH=BINARY") => this.binary = true,
                () => {}
            }
        }
        capabilities.urlauth |= capabilities.binary;
        capabilities
    }

    /// Those in a response code, `[CAPABILITY ..]`, or in an untagged CAPABILITY, of a reply's text.
    pub(crate) fn within(text: &[u8]) -> Option<Capabilities> {
        if let Some(list) = text.strip_prefix(b"* CAPABILITY ") {
            return Some(Capabilities::of(list));
        }
        let start = text.windows(12).position(|at| at.eq_ignore_ascii_case(b"[CAPABILITY "))? + 12;
        let list = text.get(start..)?;
        let end = list.iter().position(|&octet| octet == b']')?;
        list.get(..end).map(Capabilities::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_of_a_greeting_and_of_a_reply_of_their_own() {
        let read =
            Capabilities::within(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=Plain starttls] ready").unwrap();
        assert!(read.initial_response && read.plain && read.starttls && !read.anonymous && !read.urlauth);
        let read = Capabilities::within(b"* CAPABILITY IMAP4rev1 URLAUTH URLAUTH=BINARY").unwrap();
        assert!(read.urlauth && read.binary);
        assert_eq!(Capabilities::within(b"* OK ready"), None);
        assert_eq!(Capabilities::within(b"* OK [CAPABILITY IMAP4rev1"), None);
    }
}
