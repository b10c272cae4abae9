//! Methods (case-sensitive, RFC 3261 §7.1) and CSeq values.

use std::fmt;

macro_rules! methods {
    ($($id:ident $name:literal,)*) => {
        /// A request method; one this crate does not know is carried as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Method<'a> {
            $(#[doc = $name] $id,)*
            /// Any other method, as written.
            Other(&'a [u8]),
        }

        impl<'a> Method<'a> {
            /// The method that `text`, a token, is.
            pub fn of(text: &'a [u8]) -> Self {
                const NAMES: &[&str] = &[$($name,)*];
                const IDS: &[Method<'static>] = &[$(Method::$id,)*];
                let at = NAMES.iter().position(|name| name.as_bytes() == text);
                at.and_then(|at| IDS.get(at)).copied().unwrap_or(Method::Other(text))
            }

            /// The octets to write.
            pub const fn as_bytes(&self) -> &'a [u8] {
                match *self {
                    $(Method::$id => $name.as_bytes(),)*
                    Method::Other(text) => text,
                }
            }
        }
    };
}

methods! {
    Register "REGISTER",
    Message "MESSAGE",
    Options "OPTIONS",
    Invite "INVITE",
    Ack "ACK",
    Bye "BYE",
    Cancel "CANCEL",
    Subscribe "SUBSCRIBE",
    Notify "NOTIFY",
    Publish "PUBLISH",
    Prack "PRACK",
    Update "UPDATE",
    Info "INFO",
    Refer "REFER",
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

/// A CSeq value: `4711 INVITE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The sequence number, below 2^31 (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// The method.
    pub method: Method<'a>,
}

impl<'a> CSeq<'a> {
    /// Reads a value; `None` if it is no number below 2^31 followed by a method.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (number, method) = split(grammar::trim(value))?;
        grammar::is_token(method).then(|| CSeq { number, method: Method::of(method) })
    }
}

impl fmt::Display for CSeq<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// The number of a CSeq value, which is trimmed, and what follows the white space behind it.
#[inline(always)]
pub(crate) fn split(value: &[u8]) -> Option<(u32, &[u8])> {
    let (mut number, mut rest) = (0u64, value);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        number = (number * 10 + u64::from(digit & 0xf)).min(1 << 31);
        rest = after;
    }
    let digits = rest.len() < value.len() && number < 1 << 31;
    let (&blank, mut method) = rest.split_first().filter(|_| digits)?;
    if blank != b' ' || method.first().is_some_and(|&b| grammar::is_lws(b)) {
        method = grammar::trim(method);
    }
    grammar::is_lws(blank).then_some((number as u32, method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_case_and_unknown_ones_are_carried() {
        assert_eq!(Method::of(b"REGISTER"), Method::Register);
        assert_eq!(Method::of(b"register"), Method::Other(b"register"));
        assert_eq!(Method::of(b"RE%47IST%45R").as_bytes(), b"RE%47IST%45R");
    }

    #[test]
    fn a_cseq_may_be_folded_and_padded_with_zeros() {
        assert_eq!(CSeq::parse(b"0009\r\n  INVITE"), Some(CSeq { number: 9, method: Method::Invite }));
    }

    #[test]
    fn a_cseq_of_31_bits_and_more_is_refused() {
        assert!(CSeq::parse(b"2147483647 INVITE").is_some());
        for bad in
            [&b"2147483648 INVITE"[..], b"36893488147419103232 REGISTER", b"-1 A", b"1", b"1INVITE", b"1 A B"]
        {
            assert_eq!(CSeq::parse(bad), None);
        }
    }
}
