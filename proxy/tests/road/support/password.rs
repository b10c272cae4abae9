//! What a user agent does with a challenge.

use registrar::digest::{self, Algorithm, Credentials};

use super::ua::Received;

/// The request again, with the answer to the first challenge of `asked` under another branch.
pub(crate) fn proven(request: &str, asked: &Received, user: &str, password: &str) -> String {
    let name = match asked.status() {
        401 => "WWW-Authenticate",
        407 => "Proxy-Authenticate",
        other => panic!("no challenge in a {other}: {asked:#?}"),
    };
    let field = if asked.status() == 401 { "Authorization" } else { "Proxy-Authorization" };
    let line = format!("{field}: {}\r\n", credentials(request, asked.field(name), user, password, 1));
    let again = request.replacen("branch=z9hG4bK", "branch=z9hG4bKp", 1);
    again.replacen("Max-Forwards:", &format!("{line}Max-Forwards:"), 1)
}

/// Credentials for that request and challenge, with the count `nc`.
pub(crate) fn credentials(request: &str, challenge: &str, user: &str, password: &str, nc: u32) -> String {
    let param = |name: &str| {
        let at = challenge.find(&format!("{name}=")).unwrap() + name.len() + 1;
        challenge[at..].trim_start_matches('"').split(['"', ',']).next().unwrap()
    };
    let algorithm = Algorithm::from_name(param("algorithm").as_bytes()).unwrap();
    let (realm, nonce) = (param("realm"), param("nonce"));
    let mut words = request.split(' ');
    let (method, uri) = (words.next().unwrap(), words.next().unwrap());
    let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let line = |response: &str| {
        format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", qop=auth-int, \
             nc={nc:08x}, cnonce=\"0a4f113b\", algorithm={}, response=\"{response}\"",
            algorithm.name()
        )
    };
    let unsigned = line("");
    let parsed = Credentials::parse(unsigned.as_bytes()).unwrap().unwrap();
    let ha1 = digest::ha1(algorithm, user.as_bytes(), realm, password.as_bytes());
    line(digest::response(algorithm, &ha1, &parsed, method.as_bytes(), body.as_bytes()).as_str())
}
