//! What can stop a request on its road, and the one place where that becomes a SIP status.

use std::borrow::Cow;

use crate::settings::Settings;

/// Why a request, or one branch of it, goes no further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The Request-URI has a scheme this server can't route (RFC 3261 §16.3 step 2).
    #[error("unsupported URI scheme")]
    Scheme,
    /// Max-Forwards is used up (§16.3 step 3).
    #[error("too many hops")]
    TooManyHops,
    /// The request came by here before, unchanged (RFC 5393 §4.2).
    #[error("loop detected")]
    Looped,
    /// Proxy-Require or, where we are the recipient, Require names what we don't have (§16.3 step 5).
    #[error("unsupported extension")]
    BadExtension {
        /// The option tags not understood, as a list.
        unsupported: String,
    },
    /// Max-Breadth lets nothing be forwarded (RFC 5393 §5.3).
    #[error("max-breadth exceeded")]
    Breadth,
    /// Policy: the sender may not send there.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The flow that a Route names is gone (RFC 5626 §5.3.1); whoever put it there tries another.
    #[error("the flow is gone")]
    FlowFailed,
    /// The sender must know an extension and doesn't say so (RFC 3261 §21.4.16).
    #[error("extension required")]
    ExtensionRequired(&'static str),
    /// The sender is asked for a password (RFC 3261 §22), which only a terminal can answer.
    #[error("asked for a password")]
    Unproven {
        /// 401 of a registrar, 407 of a proxy.
        status: u16,
        /// WWW-Authenticate or Proxy-Authenticate, in this order.
        challenges: Vec<String>,
    },
    /// Too many wrong passwords came from there.
    #[error("too many wrong passwords")]
    Banned {
        /// Until it is over.
        seconds: u64,
    },
    /// Credentials that can't be read, or are for another request.
    #[error("{0}")]
    BadCredentials(String),
    /// No such user here.
    #[error("unknown user")]
    UnknownUser,
    /// A user without a usable contact.
    #[error("no contact is registered")]
    Unavailable,
    /// Who asks for a way that nobody reads is told of none (RFC 5630 §5.3).
    #[error("not over TLS all the way")]
    SipsNotAllowed,
    /// A contact that wants such a way, and there is none.
    #[error("the contact takes nothing but TLS")]
    SipsRequired,
    /// A user who is not there, and the message can't be kept for him.
    #[error("not kept: {0}")]
    NotKept(&'static str),
    /// Expires has passed (RFC 3428 §8); CPI.md leaves the policy to us: it is not delivered, and the
    /// sender is told, since a 202 would promise otherwise.
    #[error("message expired")]
    Expired,
    /// The body does not fit the terminal and can't be made to (CPI.md 3.8).
    #[error("{reason}")]
    Unacceptable {
        /// 413, 415 or 513.
        status: u16,
        /// What to tell the sender.
        reason: Cow<'static, str>,
        /// Accept, Accept-Encoding or Accept-Language of a 415, types only.
        headers: Vec<(Cow<'static, str>, String)>,
    },
    /// The next hop takes no connection, or has no address: counts as its 503 (RFC 3261 §16.9).
    #[error("next hop unreachable")]
    Unreachable,
    /// The domain that the sender wrote is not there, or has no server.
    #[error("no such domain")]
    NoDomain,
    /// The name servers did not say in time where the next hop is.
    #[error("the name servers did not answer")]
    NoAnswer,
    /// What came back can't be passed on: it has no Via but ours (RFC 3261 §16.7 step 3).
    #[error("the answer has no way back")]
    BadAnswer,
    /// Something of ours broke on this request.
    #[error("an error of this server")]
    Broken,
    /// An INVITE nobody answered.
    #[error("nobody answered")]
    Timeout,
    /// Every branch said 503, which is about them and not about us (§16.7 step 6).
    #[error("every contact is out of service")]
    Internal,
    /// Too much at once.
    #[error("overloaded")]
    Busy,
}

/// A response in plain values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// 200..=699.
    pub(crate) status: u16,
    /// The reason phrase, written for people.
    pub(crate) reason: Cow<'static, str>,
    /// Fields beyond the copies every response has.
    pub(crate) headers: Vec<(Cow<'static, str>, Vec<u8>)>,
    /// The tag of To, where the answer makes a dialog.
    pub(crate) tag: Option<String>,
}

impl Reply {
    /// A response without fields of its own.
    pub(crate) const fn new(status: u16, reason: &'static str) -> Reply {
        Reply { status, reason: Cow::Borrowed(reason), headers: Vec::new(), tag: None }
    }

    /// With one more field.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Reply {
        self.headers.push((Cow::Borrowed(name), value.into()));
        self
    }
}

impl Refused {
    /// The response; `settings` have the name this server gives itself in Warning, and when to come back.
    pub(crate) fn reply(&self, settings: &Settings) -> Reply {
        let host = &settings.host;
        match self {
            Refused::Scheme => Reply::new(416, "Unsupported URI Scheme"),
            Refused::TooManyHops => Reply::new(483, "Too Many Hops"),
            Refused::Looped => Reply::new(482, "Loop Detected"),
            Refused::BadExtension { unsupported } => {
                Reply::new(420, "Bad Extension").with("Unsupported", unsupported.as_str())
            }
            Refused::Breadth => Reply::new(440, "Max-Breadth Exceeded"),
            Refused::Forbidden(why) => Reply::new(403, "Forbidden").with("Warning", warning(host, why)),
            Refused::FlowFailed => Reply::new(430, "Flow Failed"),
            Refused::ExtensionRequired(option) => {
                Reply::new(421, "Extension Required").with("Require", *option)
            }
            Refused::Unproven { status, challenges } => unproven(*status, challenges),
            Refused::Banned { seconds } => Reply::new(403, "Too Many Failures")
                .with("Retry-After", seconds.to_string())
                .with("Warning", warning(host, "Too many wrong passwords; wait and try again")),
            Refused::BadCredentials(why) => {
                Reply { reason: Cow::Owned(why.clone()), ..Reply::new(400, "Bad Request") }
            }
            Refused::UnknownUser => Reply::new(404, "Not Found"),
            Refused::Unavailable => Reply::new(480, "Temporarily Unavailable"),
            Refused::SipsNotAllowed => Reply::new(480, "Temporarily Unavailable")
                .with("Warning", coded(380, host, "SIPS Not Allowed")),
            Refused::SipsRequired => {
                Reply::new(480, "Temporarily Unavailable").with("Warning", coded(381, host, "SIPS Required"))
            }
            // Not there is what matters to the sender; that it is not kept either says when to try again.
            Refused::NotKept(why) => {
                Reply::new(480, "Temporarily Unavailable").with("Warning", warning(host, why))
            }
            Refused::Expired => Reply::new(480, "Message Expired")
                .with("Warning", warning(host, "The message's Expires has passed; not delivered")),
            Refused::Unacceptable { status, reason, headers } => Reply {
                status: *status,
                reason: Cow::Borrowed(match status {
                    413 => "Request Entity Too Large",
                    513 => "Message Too Large",
                    _ => "Unsupported Media Type",
                }),
                headers: headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect(),
                tag: None,
            }
            .with("Warning", warning(host, reason)),
            Refused::Unreachable => Reply::new(503, "Service Unavailable"),
            Refused::NoDomain => Reply::new(404, "No Such Domain")
                .with("Warning", warning(host, "The domain has no SIP server and no address")),
            Refused::NoAnswer => Reply::new(504, "Server Time-out")
                .with("Warning", warning(host, "The name servers of the next hop did not answer")),
            Refused::BadAnswer => Reply::new(502, "Bad Gateway"),
            Refused::Broken => Reply::new(500, "Server Internal Error"),
            Refused::Timeout => Reply::new(408, "Request Timeout"),
            Refused::Internal => Reply::new(500, "No Contact In Service"),
            Refused::Busy => {
                Reply::new(503, "Service Unavailable").with("Retry-After", settings.retry_after.to_string())
            }
        }
    }
}

fn unproven(status: u16, challenges: &[String]) -> Reply {
    let (reply, name) = match status {
        401 => (Reply::new(401, "Unauthorized"), "WWW-Authenticate"),
        _ => (Reply::new(407, "Proxy Authentication Required"), "Proxy-Authenticate"),
    };
    challenges.iter().fold(reply, |reply, challenge| reply.with(name, challenge.as_bytes()))
}

/// `399 host "text"` (RFC 3261 §20.43: miscellaneous, no automated action).
fn warning(host: &str, text: &str) -> String {
    coded(399, host, text)
}

fn coded(code: u16, host: &str, text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    format!("{code} {host} \"{quoted}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_a_body_tells_why_in_a_warning() {
        let refused = Refused::Unacceptable {
            status: 415,
            reason: "image/bmp \"x\" is not accepted".into(),
            headers: vec![("Accept".into(), "text/plain".into())],
        };
        let reply = refused.reply(&Settings::new("example.com", "proxy.example.com"));
        assert_eq!((reply.status, &*reply.reason), (415, "Unsupported Media Type"));
        assert!(reply.headers.contains(&("Accept".into(), b"text/plain".to_vec())));
        let warning = br#"399 proxy.example.com "image/bmp \"x\" is not accepted""#;
        assert!(reply.headers.contains(&("Warning".into(), warning.to_vec())));
    }

    #[test]
    fn a_bad_extension_names_what_is_not_supported() {
        let reply = Refused::BadExtension { unsupported: "foo, bar".into() }.reply(&Settings::new("d", "h"));
        assert_eq!((reply.status, reply.headers), (420, vec![("Unsupported".into(), b"foo, bar".to_vec())]));
    }

    #[test]
    fn who_asks_for_tls_or_lacks_it_is_told_by_the_codes_of_rfc_5630() {
        let warning = |refused: Refused| {
            let reply = refused.reply(&Settings::new("d", "h"));
            assert_eq!(reply.status, 480);
            String::from_utf8(reply.headers[0].1.clone()).unwrap()
        };
        assert_eq!(warning(Refused::SipsNotAllowed), "380 h \"SIPS Not Allowed\"");
        assert_eq!(warning(Refused::SipsRequired), "381 h \"SIPS Required\"");
    }

    #[test]
    fn a_busy_server_says_when_to_come_back() {
        let settings = Settings { retry_after: 7, ..Settings::new("d", "h") };
        let reply = Refused::Busy.reply(&settings);
        assert_eq!((reply.status, reply.headers), (503, vec![("Retry-After".into(), b"7".to_vec())]));
    }
}
