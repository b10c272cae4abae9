//! What a phone with a password does: digest as RFC 7616 has it, written once more so that a mistake of the server's
//! can't hide.

use md5::Md5;
use sha2::{Digest, Sha256};

use super::{Line, Message};

/// A user with a password.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
}

/// john, whose password is `secret`.
pub(crate) const JOHN: Login<'_> = Login { user: "john", password: "secret" };

impl Login<'_> {
    /// Sends a request; when it is challenged, once more with the answer to the first challenge.
    pub(crate) fn ask(&self, line: &mut Line, request: &Message) -> Message {
        let asked = line.request(request);
        match asked.status() {
            401 | 407 => line.request(&self.sign(request, &asked, 0, 1)),
            _ => asked,
        }
    }

    /// The request with the answer to the challenge at `at` of a 401 or 407, counted `nc`.
    pub(crate) fn sign(&self, request: &Message, asked: &Message, at: usize, nc: u32) -> Message {
        let (challenge, field) = match asked.status() {
            401 => ("WWW-Authenticate", "Authorization"),
            _ => ("Proxy-Authenticate", "Proxy-Authorization"),
        };
        request.clone().with(field, &self.credentials(request, asked.all(challenge)[at], nc))
    }

    /// Credentials for that request and challenge.
    pub(crate) fn credentials(&self, request: &Message, challenge: &str, nc: u32) -> String {
        let (realm, nonce) = (param(challenge, "realm"), param(challenge, "nonce"));
        let algorithm = param(challenge, "algorithm");
        let hash = |text: &str| match algorithm {
            "SHA-256" => hex(&Sha256::digest(text)),
            "MD5" => hex(&Md5::digest(text)),
            other => panic!("an algorithm of {other}"),
        };
        let (method, uri) = (request.method(), request.request_uri());
        let ha1 = hash(&format!("{}:{realm}:{}", self.user, self.password));
        let ha2 = hash(&format!("{method}:{uri}"));
        let response = hash(&format!("{ha1}:{nonce}:{nc:08x}:0a4f113b:auth:{ha2}"));
        format!(
            "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm={algorithm}, cnonce=\"0a4f113b\", opaque=\"{}\", qop=auth, nc={nc:08x}",
            self.user,
            param(challenge, "opaque"),
        )
    }
}

/// A parameter of a challenge.
pub(crate) fn param<'a>(challenge: &'a str, name: &str) -> &'a str {
    let at = challenge.find(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {challenge}"));
    let value = &challenge[at + name.len() + 1..];
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap(),
        None => value.split(',').next().unwrap(),
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
