//! Encryption of RTP and RTCP (RFC 3711) with AES in counter mode and HMAC-SHA1: the two suites of RFC 4568 that
//! everybody has.

use aes::Aes128;
use aes::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::packet::HEAD;
use crate::sdp::{Key, Suite};

type Counter = ctr::Ctr128BE<Aes128>;
type Tagger = Hmac<Sha1>;

/// Octets of the tag of RTCP, in both suites (RFC 4568 §6.2).
const RTCP_TAG: usize = 10;

/// Octets of RTCP that stay in clear: its first head and SSRC.
const RTCP_HEAD: usize = 8;

/// Packets under one key: 2^48 of RTP, 2^31 of RTCP (RFC 3711 §9.2).
const MOST_RTCP: u32 = 1 << 31;

/// Why nothing is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// The packet is shorter than its head.
    #[error("a packet is too short")]
    Short,
    /// So many packets were sent that the key is used up.
    #[error("the key is used up")]
    UsedUp,
}

/// The keys of one direction of a stream, and how far it is.
pub struct Protector {
    suite: Suite,
    rtp: Keys,
    rtcp: Keys,
    /// How often the sequence number began again, and the last one.
    rollover: u32,
    last: Option<u16>,
    /// Of the next RTCP packet.
    index: u32,
}

struct Keys {
    cipher: [u8; 16],
    salt: [u8; 14],
    tagger: Tagger,
}

/// Keys are never shown.
impl std::fmt::Debug for Protector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Protector").field("suite", &self.suite).finish_non_exhaustive()
    }
}

impl Protector {
    /// Keys derived from a master key and its salt (RFC 3711 §4.3), never again for the life of the stream.
    pub fn new(key: &Key) -> Protector {
        Protector {
            suite: key.suite,
            rtp: Keys::derive(key, 0),
            rtcp: Keys::derive(key, 3),
            rollover: 0,
            last: None,
            index: 0,
        }
    }

    /// Encrypts an RTP packet with a head of twelve octets, and puts its tag behind it. Packets come in the order of
    /// their sequence numbers.
    ///
    /// # Errors
    /// [`SrtpError`].
    pub fn rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        let (Some(&[_, _, high, low]), Some(ssrc)) = (packet.first_chunk::<4>(), ssrc(packet, 8)) else {
            return Err(SrtpError::Short);
        };
        let sequence = u16::from_be_bytes([high, low]);
        if self.last.is_some_and(|last| sequence < last) {
            self.rollover = self.rollover.checked_add(1).ok_or(SrtpError::UsedUp)?;
        }
        self.last = Some(sequence);
        let index = u64::from(self.rollover) << 16 | u64::from(sequence);
        self.rtp.apply(ssrc, index, packet.get_mut(HEAD..).ok_or(SrtpError::Short)?);
        let tag = self.rtp.tag(packet, &self.rollover.to_be_bytes());
        packet.extend_from_slice(tag.get(..self.suite.tag()).unwrap_or_default());
        Ok(())
    }

    /// Encrypts a compound of RTCP, and puts its index and tag behind it.
    ///
    /// # Errors
    /// [`SrtpError`].
    pub fn rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        let ssrc = ssrc(packet, 4).ok_or(SrtpError::Short)?;
        let index = self.index;
        self.index = index.checked_add(1).filter(|next| *next < MOST_RTCP).ok_or(SrtpError::UsedUp)?;
        self.rtcp.apply(ssrc, index.into(), packet.get_mut(RTCP_HEAD..).ok_or(SrtpError::Short)?);
        packet.extend_from_slice(&(index | MOST_RTCP).to_be_bytes());
        let tag = self.rtcp.tag(packet, &[]);
        packet.extend_from_slice(tag.get(..RTCP_TAG).unwrap_or_default());
        Ok(())
    }

    /// Whether a packet of RTCP that came is by who has these keys.
    pub fn is_of_peer(&self, packet: &[u8]) -> bool {
        let Some(at) = packet.len().checked_sub(RTCP_TAG).filter(|at| *at >= RTCP_HEAD + 4) else {
            return false;
        };
        let (signed, tag) = packet.split_at_checked(at).unwrap_or_default();
        let mut tagger = self.rtcp.tagger.clone();
        tagger.update(signed);
        tagger.verify_truncated_left(tag).is_ok()
    }
}

fn ssrc(packet: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*packet.get(at..)?.first_chunk()?))
}

impl Keys {
    /// Labels `first` to `first + 2` are of the cipher, of the tag and of the salt.
    fn derive(key: &Key, first: u8) -> Keys {
        let (mut cipher, mut auth, mut salt) = ([0; 16], [0; 20], [0; 14]);
        stretch(key, first, &mut cipher);
        stretch(key, first + 1, &mut auth);
        stretch(key, first + 2, &mut salt);
        Keys { cipher, salt, tagger: tagger(&auth) }
    }

    /// The key stream of a packet over its octets (RFC 3711 §4.1.1).
    fn apply(&self, ssrc: u32, index: u64, octets: &mut [u8]) {
        let mut iv = u128::from(ssrc) << 64 ^ u128::from(index) << 16;
        iv ^= number(&self.salt) << 16;
        Counter::new(&self.cipher.into(), &iv.to_be_bytes().into()).apply_keystream(octets);
    }

    fn tag(&self, signed: &[u8], beside: &[u8]) -> [u8; 20] {
        let mut tagger = self.tagger.clone();
        tagger.update(signed);
        tagger.update(beside);
        tagger.finalize().into_bytes().into()
    }
}

/// HMAC takes keys of every length.
fn tagger(key: &[u8; 20]) -> Tagger {
    let mut block = hmac::digest::generic_array::GenericArray::default();
    for (place, octet) in block.iter_mut().zip(key) {
        *place = *octet;
    }
    <Tagger as hmac::digest::KeyInit>::new(&block)
}

fn stretch(key: &Key, label: u8, out: &mut [u8]) {
    let (master, salt) = key.secret.split_at_checked(16).unwrap_or_default();
    let mut cipher = [0; 16];
    cipher.iter_mut().zip(master).for_each(|(place, octet)| *place = *octet);
    // The label stands seven octets from the end of the salt, where the index of a packet would be divided by 0.
    let iv = (number(salt) ^ u128::from(label) << 48) << 16;
    out.fill(0);
    Counter::new(&cipher.into(), &iv.to_be_bytes().into()).apply_keystream(out);
}

fn number(octets: &[u8]) -> u128 {
    octets.iter().fold(0, |number, octet| number << 8 | u128::from(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
    }

    /// RFC 3711 B.3.
    fn key(suite: Suite) -> Key {
        let secret = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        Key { tag: 1, suite, secret: secret.try_into().unwrap() }
    }

    #[test]
    fn keys_are_derived_as_in_rfc_3711_b_3() {
        let keys = Keys::derive(&key(Suite::Sha1_80), 0);
        assert_eq!(keys.cipher.to_vec(), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(keys.salt.to_vec(), hex("30CBBC08863D8C85D49DB34A9AE1"));
        let mut auth = [0; 20];
        stretch(&key(Suite::Sha1_80), 1, &mut auth);
        assert_eq!(auth.to_vec(), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
    }

    #[test]
    fn the_key_stream_is_that_of_rfc_3711_b_2() {
        let mut salt = [0; 14];
        salt.copy_from_slice(&hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"));
        let mut cipher = [0; 16];
        cipher.copy_from_slice(&hex("2B7E151628AED2A6ABF7158809CF4F3C"));
        let keys = Keys { cipher, salt, tagger: tagger(&[0; 20]) };
        let mut stream = [0; 48];
        keys.apply(0, 0, &mut stream);
        assert_eq!(
            stream.to_vec(),
            hex(
                "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0"
            )
        );
    }

    /// The vectors that libsrtp tests itself with (`srtp_validate` of its `srtp_driver.c`), under the same master key. Its
    /// first packet of RTCP has the index 1. What RFC 3711 §3.4 says, done by hand with the AES and HMAC of OpenSSL, is the
    /// same.
    #[test]
    fn packets_are_those_of_libsrtp() {
        let mut packet = hex("800f1234decafbadcafebabe abababababababababababababababab");
        Protector::new(&key(Suite::Sha1_80)).rtp(&mut packet).unwrap();
        let expected = "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb";
        assert_eq!(packet, hex(expected));
        let mut packet = hex("81c8000bcafebabe abababababababababababababababab");
        Protector { index: 1, ..Protector::new(&key(Suite::Sha1_80)) }.rtcp(&mut packet).unwrap();
        let expected = "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798";
        assert_eq!(packet, hex(expected));
    }

    #[test]
    fn the_short_tag_is_of_rtp_alone() {
        let (mut rtp, mut rtcp) = (vec![0x80; 32], vec![0x80; 32]);
        let mut protector = Protector::new(&key(Suite::Sha1_32));
        protector.rtp(&mut rtp).unwrap();
        protector.rtcp(&mut rtcp).unwrap();
        assert_eq!((rtp.len(), rtcp.len()), (36, 46));
        assert!(protector.is_of_peer(&rtcp));
        rtcp[9] ^= 1;
        assert!(
            !protector.is_of_peer(&rtcp) && !protector.is_of_peer(&rtcp[..20]) && !protector.is_of_peer(b"")
        );
    }

    #[test]
    fn the_rollover_of_sequence_numbers_is_counted() {
        let mut protector = Protector::new(&key(Suite::Sha1_80));
        for sequence in [65_534u16, 65_535, 0, 1] {
            let mut packet = [&[0x80, 0][..], &sequence.to_be_bytes(), &[0; 12]].concat();
            protector.rtp(&mut packet).unwrap();
        }
        assert_eq!(protector.rollover, 1);
    }

    #[test]
    fn what_is_too_short_or_too_much_is_an_error() {
        let mut protector = Protector::new(&key(Suite::Sha1_80));
        assert_eq!(protector.rtp(&mut vec![0; 11]), Err(SrtpError::Short));
        assert_eq!(protector.rtcp(&mut vec![0; 7]), Err(SrtpError::Short));
        protector.index = MOST_RTCP - 1;
        assert_eq!(protector.rtcp(&mut vec![0; 32]), Err(SrtpError::UsedUp));
    }
}
