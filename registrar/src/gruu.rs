//! Globally routable user agent URIs (RFC 5627): addresses of one device of a user.
//!
//! A public one is the AOR with the instance id in `gr`. A temporary one tells nobody whose it is: its user
//! part is what to look up, enciphered and sealed under the registrar's key, so that nothing is kept of the
//! many that are given out. It holds the generation that was the instance's when it was made; a binding keeps
//! that number, and all temporary ones end when it changes or goes (RFC 5627 §5.1, §5.3).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use sip::Uri;

use crate::instance::{self, DIGEST};

/// How the user part of a temporary GRUU begins.
const MARK: &[u8] = b"tgruu.";

/// Octets that make each one different from all others.
const NONCE: usize = 8;

/// Octets of the seal, 80 bits.
const SEAL: usize = 10;

/// User names are filled up to multiples of this, so that their length tells little.
const BLOCK: usize = 16;

/// Octets of an enciphered text beyond which nothing is tried: no user part we wrote is longer.
const LONGEST: usize = 1536;

/// What the temporary GRUUs of one instance have in common while they hold.
pub(crate) type Generation = u32;

/// The key of temporary GRUUs. Those made under another are not recognised: give every server of one domain
/// the same, and keep it over restarts.
#[derive(Clone)]
pub struct GruuKey([u8; 32]);

/// What a URI with `gr` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    /// The device with this instance id.
    Public(Vec<u8>),
    /// The device whose instance id has this digest, as long as it is of this generation.
    Temporary { instance: [u8; DIGEST], generation: Generation },
}

/// What a temporary GRUU is made of.
pub(crate) struct Temporary<'a> {
    /// The canonical AOR.
    pub(crate) aor: &'a str,
    pub(crate) instance: &'a [u8],
    pub(crate) generation: Generation,
    /// What is different at each refresh: Call-ID and CSeq.
    pub(crate) refresh: (&'a [u8], u32),
}

/// The public GRUU of a device.
pub(crate) fn public(aor: &str, instance: &[u8]) -> Vec<u8> {
    [aor.as_bytes(), b";gr=", &escaped(instance)].concat()
}

/// The generation that begins with this registration.
pub(crate) fn generation(call_id: &[u8], cseq: u32, now: u64) -> Generation {
    let digest = Sha256::new().chain_update(call_id).chain_update([0]);
    let digest = digest.chain_update(cseq.to_be_bytes()).chain_update(now.to_be_bytes()).finalize();
    digest.first_chunk().copied().map(u32::from_be_bytes).unwrap_or_default()
}

impl GruuKey {
    /// A key that was kept.
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// A key for this run alone.
    pub(crate) fn fresh() -> Self {
        let mut key = [0; 32];
        if getrandom::fill(&mut key).is_err() {
            tracing::error!("the operating system gives no random numbers: temporary GRUUs can be guessed");
        }
        Self(key)
    }

    /// A temporary GRUU, the same for the same refresh.
    pub(crate) fn temporary(&self, of: &Temporary<'_>) -> Option<Vec<u8>> {
        let (user, host) = of.aor.strip_prefix("sip:")?.rsplit_once('@')?;
        let mut text =
            [&of.generation.to_be_bytes()[..], &instance::digest(of.instance), user.as_bytes()].concat();
        text.resize(text.len().next_multiple_of(BLOCK), 0);
        let (call_id, cseq) = of.refresh;
        let nonce = self.mac(b'n', &[&text, host.as_bytes(), call_id, &cseq.to_be_bytes()]);
        let nonce = nonce.get(..NONCE)?;
        self.encipher(nonce, &mut text);
        let seal = self.mac(b's', &[nonce, &text, host.as_bytes()]);
        let token = [nonce, &text, seal.get(..SEAL)?].concat();
        Some(
            [b"sip:", MARK, URL_SAFE_NO_PAD.encode(token).as_bytes(), b"@", host.as_bytes(), b";gr"].concat(),
        )
    }

    /// Whose a URI with `gr` is, as a bare URI of the user, and which of the user's devices is meant. `None`
    /// for a URI without `gr`, and for one we never gave out.
    pub(crate) fn read(&self, uri: &Uri) -> Option<(Uri, Device)> {
        let gr = uri.param(b"gr")?;
        let (user, host) = (uri.user()?, uri.host()?.to_string().to_ascii_lowercase());
        if !gr.is_empty() {
            let bare = Uri::parse(&[b"sip:", user, b"@", host.as_bytes()].concat()).ok()?;
            return Some((bare, Device::Public(grammar::percent_decode(gr).into_owned())));
        }
        let user = grammar::percent_decode(user);
        let token = user.strip_prefix(MARK).filter(|token| token.len() <= LONGEST)?;
        let token = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, rest) = token.split_at_checked(NONCE)?;
        let (text, seal) = rest.split_at_checked(rest.len().checked_sub(SEAL)?)?;
        let mac = self.hmac(b's', &[nonce, text, host.as_bytes()])?;
        mac.verify_truncated_left(seal).ok()?;
        let mut text = text.to_vec();
        self.encipher(nonce, &mut text);
        let (generation, rest) = text.split_first_chunk::<4>()?;
        let (instance, user) = rest.split_first_chunk::<DIGEST>()?;
        let filled = user.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
        let bare = [b"sip:", user.get(..filled)?, b"@", host.as_bytes()].concat();
        let generation = u32::from_be_bytes(*generation);
        Some((Uri::parse(&bare).ok()?, Device::Temporary { instance: *instance, generation }))
    }

    /// Adds the key stream of that nonce, which is its own reverse.
    fn encipher(&self, nonce: &[u8], text: &mut [u8]) {
        for (counter, block) in (0u32..).zip(text.chunks_mut(32)) {
            let stream = self.mac(b'e', &[nonce, &counter.to_be_bytes()]);
            block.iter_mut().zip(stream).for_each(|(octet, key)| *octet ^= key);
        }
    }

    fn mac(&self, purpose: u8, parts: &[&[u8]]) -> Vec<u8> {
        self.hmac(purpose, parts).map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default()
    }

    fn hmac(&self, purpose: u8, parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(&[purpose]);
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Some(mac)
    }
}

impl std::fmt::Debug for GruuKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GruuKey(..)")
    }
}

/// An instance id as the value of a URI parameter (`paramchar` of RFC 3261 §25.1).
fn escaped(id: &[u8]) -> Cow<'_, [u8]> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.!~*'()[]/:&+$".contains(b);
    if id.iter().all(plain) {
        return Cow::Borrowed(id);
    }
    let mut out = Vec::with_capacity(id.len() + 16);
    for b in id {
        match plain(b) {
            true => out.push(*b),
            false => out.extend_from_slice(format!("%{b:02X}").as_bytes()),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AOR: &str = "sip:john@example.com";
    const ID: &[u8] = b"urn:uuid:00000000-0000-1000-8000-000A95A0E128";

    fn temporary(key: &GruuKey, cseq: u32) -> String {
        let of = Temporary { aor: AOR, instance: ID, generation: 7, refresh: (b"c@h", cseq) };
        String::from_utf8(key.temporary(&of).unwrap()).unwrap()
    }

    #[test]
    fn a_temporary_gruu_is_new_at_each_refresh_and_leads_back_to_its_device() {
        let key = GruuKey::new([1; 32]);
        let (one, other) = (temporary(&key, 1), temporary(&key, 2));
        assert_ne!(one, other);
        assert_eq!(one, temporary(&key, 1));
        assert!(!one.contains("john"));
        for gruu in [one, other] {
            let (user, device) = key.read(&gruu.parse().unwrap()).unwrap();
            assert_eq!(user.as_bytes(), AOR.as_bytes());
            assert_eq!(device, Device::Temporary { instance: instance::digest(ID), generation: 7 });
        }
    }

    #[test]
    fn a_temporary_gruu_that_was_changed_or_moved_to_another_domain_is_none() {
        let key = GruuKey::new([1; 32]);
        let gruu = temporary(&key, 1);
        for at in 0..gruu.find('@').unwrap() - 10 {
            let mut changed = gruu.clone().into_bytes();
            let octet = &mut changed[at + 10];
            *octet = if *octet == b'A' { b'B' } else { b'A' };
            assert!(Uri::parse(&changed).is_ok_and(|uri| key.read(&uri).is_none()), "{at}");
        }
        assert!(key.read(&gruu.replace("example.com", "example.org").parse().unwrap()).is_none());
        assert!(GruuKey::new([2; 32]).read(&gruu.parse().unwrap()).is_none());
        assert!(key.read(&"sip:tgruu.@example.com;gr".parse().unwrap()).is_none());
        assert!(key.read(&"sip:john@example.com;gr".parse().unwrap()).is_none());
    }

    #[test]
    fn an_instance_that_no_uri_parameter_could_hold_is_escaped_in_the_public_gruu() {
        let gruu = public(AOR, b"a;b\"c%d");
        assert_eq!(gruu, b"sip:john@example.com;gr=a%3Bb%22c%25d");
        let (user, device) = GruuKey::fresh().read(&Uri::parse(&gruu).unwrap()).unwrap();
        assert_eq!(user.as_bytes(), AOR.as_bytes());
        assert_eq!(device, Device::Public(b"a;b\"c%d".to_vec()));
    }
}
