//! Digest authentication (RFC 7616 and RFC 8760 within RFC 3261 §22): the grammar of credentials, the
//! arithmetic of responses, nonces that only this server can make. Pure: the time and randomness come in as
//! arguments, and who the users are is `crate::guard`'s business.

mod algorithm;
mod credentials;
mod nonce;
mod replay;

#[cfg(test)]
pub(crate) use algorithm::work;
pub use algorithm::{Algorithm, Hex};
pub use credentials::{Credentials, Malformed, Qop};
pub(crate) use nonce::{Key, Minted};
pub(crate) use replay::Replay;

/// The HA1 of a user (RFC 7616 §3.4.2): all that is kept of a password.
pub fn ha1(algorithm: Algorithm, username: &[u8], realm: &str, password: &[u8]) -> Hex {
    algorithm.digest(&[username, realm.as_bytes(), password])
}

/// The `response` that proves the password behind `ha1` (RFC 7616 §3.4.1), for a request of that method and
/// body.
pub fn response(
    algorithm: Algorithm,
    ha1: &Hex,
    credentials: &Credentials<'_>,
    method: &[u8],
    body: &[u8],
) -> Hex {
    let nonce = &credentials.nonce[..];
    let session = credentials.session.then(|| {
        let cnonce = credentials.proof.as_ref().map(|proof| &proof.cnonce[..]);
        algorithm.digest(&[ha1.as_bytes(), nonce, cnonce.unwrap_or_default()])
    });
    let ha1 = session.as_ref().unwrap_or(ha1).as_bytes();
    let uri = &credentials.uri[..];
    let Some(proof) = &credentials.proof else {
        // RFC 2069, as RFC 7616 §3.4.1 has it for a response without qop.
        let ha2 = algorithm.digest(&[method, uri]);
        return algorithm.digest(&[ha1, nonce, ha2.as_bytes()]);
    };
    let (word, ha2) = match proof.qop {
        Qop::Auth => (&b"auth"[..], algorithm.digest(&[method, uri])),
        Qop::AuthInt => {
            let body = algorithm.digest(&[body]);
            (&b"auth-int"[..], algorithm.digest(&[method, uri, body.as_bytes()]))
        }
    };
    algorithm.digest(&[ha1, nonce, proof.nc_octets, &proof.cnonce, word, ha2.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CPI.md 6.3, and the Authorization lines of examples 062 and 063.
    const NONCE: &str = "dcd98b7102dd2f0e8b11d0f600bfb0c093";

    fn example(name: &str) -> Vec<u8> {
        let path = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/messages/{}"), name);
        let text = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("Authorization: "));
        line.unwrap().as_bytes().to_vec()
    }

    #[test]
    fn the_example_registers_carry_the_right_responses() {
        for (name, algorithm, expected) in [
            (
                "062-register-auth-sha-256.msg",
                Algorithm::Sha256,
                "2c24be0e5982c1164dd830442d388ac950c4c4f27e80b10c1dfff1682bdfe35b",
            ),
            ("063-register-auth-md5.msg", Algorithm::Md5, "4bd3a03c3ff74d1e42ae2f56f6863885"),
        ] {
            let line = example(name);
            let credentials = Credentials::parse(&line).unwrap().unwrap();
            assert_eq!((&*credentials.username, &*credentials.nonce), (&b"john"[..], NONCE.as_bytes()));
            assert_eq!(credentials.algorithm, Some(algorithm));
            let ha1 = ha1(algorithm, b"john", "example.com", b"secret");
            let response = response(algorithm, &ha1, &credentials, b"REGISTER", b"");
            assert_eq!(response.as_str(), expected);
            assert!(response.is(&credentials.response));
        }
    }

    /// RFC 7616 §3.9.1.
    #[test]
    fn the_rfcs_own_example_comes_out() {
        for (algorithm, expected) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let line = format!(
                "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
                 algorithm={}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
                 cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"{expected}\"",
                algorithm.name()
            );
            let credentials = Credentials::parse(line.as_bytes()).unwrap().unwrap();
            let ha1 = ha1(algorithm, b"Mufasa", "http-auth@example.org", b"Circle of Life");
            assert_eq!(response(algorithm, &ha1, &credentials, b"GET", b"").as_str(), expected);
        }
    }

    #[test]
    fn auth_int_covers_the_body_and_legacy_neither_it_nor_a_count() {
        let line = |qop: &str| {
            format!(
                "Digest username=\"j\", realm=\"r\", nonce=\"n\", uri=\"sip:r\", response=\"x\"{qop}, \
                 algorithm=MD5"
            )
        };
        let made = |line: &str, body: &[u8]| {
            let credentials = Credentials::parse(line.as_bytes()).unwrap().unwrap();
            let ha1 = ha1(Algorithm::Md5, b"j", "r", b"p");
            response(Algorithm::Md5, &ha1, &credentials, b"MESSAGE", body).as_str().to_owned()
        };
        let int = line(", qop=auth-int, cnonce=\"c\", nc=00000001");
        assert_ne!(made(&int, b"one"), made(&int, b"two"));
        let auth = line(", qop=auth, cnonce=\"c\", nc=00000001");
        assert_eq!(made(&auth, b"one"), made(&auth, b"two"));
        // md5(md5("j:r:p") ":n:" md5("MESSAGE:sip:r")), by md5sum.
        assert_eq!(made(&line(""), b""), "88c03d403aec8445d5e7046903cf7311");
    }

    #[test]
    fn a_session_algorithm_mixes_both_nonces_into_the_ha1() {
        let line = |algorithm: &str| {
            format!(
                "Digest username=\"j\", realm=\"r\", nonce=\"n\", uri=\"sip:r\", response=\"x\", qop=auth, \
                 cnonce=\"c\", nc=00000001, algorithm={algorithm}"
            )
        };
        let made = |line: String| {
            let credentials = Credentials::parse(line.as_bytes()).unwrap().unwrap();
            let ha1 = ha1(Algorithm::Sha256, b"j", "r", b"p");
            response(Algorithm::Sha256, &ha1, &credentials, b"MESSAGE", b"").as_str().to_owned()
        };
        assert_ne!(made(line("SHA-256")), made(line("SHA-256-sess")));
    }
}
