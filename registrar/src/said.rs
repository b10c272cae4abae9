//! What terminals say of themselves, found again by its octets: a model's phones all say the same, and say it again
//! with every refresh, so that it is decoded, merged, written and digested once (rules L1, L2, L5).

use std::hash::{BuildHasher, RandomState};

use cpi::{ContactCpi, Cpi};
use dashmap::DashMap;
use sip::{HeaderId, Request};

use crate::interned::CpiId;
use crate::options::Options;

/// Things said that are known at a time; 80 octets each. A table that is full is begun anew.
const MOST: usize = 1 << 16;

/// Octets that most of what is said has.
const ROOM: usize = 512;

/// A digest under two keys that nobody outside knows, so that none can be found that says something else.
type Key = [u64; 2];

/// Of one configuration, since that decides how octets are read.
#[derive(Debug, Default)]
pub(crate) struct Said {
    hashers: [RandomState; 2],
    known: DashMap<Key, Meaning>,
}

/// What a REGISTER's headers and one Contact of it mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) q: Option<u16>,
    pub(crate) headers: Option<CpiId>,
    pub(crate) effective: Option<CpiId>,
}

/// What is read of one Contact and the headers above it, and the header CPI that it goes on with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'a> {
    pub(crate) request: &'a Request,
    /// The parameters of the Contact as they came, without those that say nothing of what it can show.
    pub(crate) params: &'a [u8],
    pub(crate) kept: Option<CpiId>,
}

impl Said {
    pub(crate) fn key(&self, words: &Words<'_>, options: &Options) -> Key {
        let octets = words.octets(options);
        self.hashers.each_ref().map(|hasher| hasher.hash_one(&octets))
    }

    pub(crate) fn find(&self, key: Key) -> Option<Meaning> {
        self.known.get(&key).map(|meaning| *meaning)
    }

    pub(crate) fn remember(&self, key: Key, meaning: Meaning) {
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(key, meaning);
    }
}

impl Words<'_> {
    /// Of what the headers say.
    pub(crate) fn headers(&self, options: &Options) -> Cpi {
        let fields = self.fields(options).map(|(id, value)| (id.name().as_bytes(), value));
        cpi::decode::from_headers(fields, &options.extensions).0
    }

    /// What the Contact says.
    pub(crate) fn contact(&self, options: &Options) -> ContactCpi {
        cpi::contact::decode(grammar::params(self.params), &options.extensions)
    }

    fn fields(&self, options: &Options) -> impl Iterator<Item = (HeaderId, &[u8])> {
        let accepts = options.from_register_accept;
        let counts = move |id| match id {
            HeaderId::UserAgent => true,
            HeaderId::Accept
            | HeaderId::AcceptEncoding
            | HeaderId::AcceptCharset
            | HeaderId::AcceptLanguage
            | HeaderId::MaxSize => accepts,
            _ => false,
        };
        let headers = self.request.headers().filter(move |header| counts(header.id));
        headers.map(|header| (header.id, header.value))
    }

    /// All that the meaning depends on; lengths stand in front, so that no two texts run into each other.
    fn octets(&self, options: &Options) -> Vec<u8> {
        let mut octets = Vec::with_capacity(ROOM);
        for (id, value) in self.fields(options) {
            octets.extend_from_slice(&(id as usize).to_le_bytes());
            octets.extend_from_slice(&value.len().to_le_bytes());
            octets.extend_from_slice(value);
        }
        octets.push(u8::from(self.kept.is_some()));
        octets.extend_from_slice(self.kept.as_ref().map_or(&[][..], |id| id));
        octets.extend_from_slice(self.params);
        octets
    }
}

#[cfg(test)]
mod tests {
    use sip::{Framed, Limits, Message};

    use super::*;

    fn request(fields: &str) -> Request {
        let text = format!(
            "REGISTER sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:a@h>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n{fields}\r\n"
        );
        let limits = Limits::default();
        let Ok(Framed::Message(raw)) = sip::frame::datagram(text.into(), &limits) else { panic!("framed") };
        let Ok(Message::Request(request)) = sip::validate(raw, &limits) else { panic!("valid") };
        request
    }

    #[test]
    fn what_says_the_same_has_one_key_and_what_says_something_else_another() {
        let (said, options) = (Said::default(), Options::default());
        let key = |fields: &str, params: &str, kept| {
            said.key(&Words { request: &request(fields), params: params.as_bytes(), kept }, &options)
        };
        let accept = "Accept: image/gif\r\n";
        let base = key(accept, ";type=\"image/gif\"", None);
        assert_eq!(base, key(&format!("Subject: x\r\n{accept}"), ";type=\"image/gif\"", None));
        for other in [
            key("Accept: image/gif, text/plain\r\n", ";type=\"image/gif\"", None),
            key(&format!("{accept}User-Agent: x\r\n"), ";type=\"image/gif\"", None),
            key("Accept-Encoding: image/gif\r\n", ";type=\"image/gif\"", None),
            key(accept, ";type=\"image/gif\";q=0.5", None),
            key(accept, ";q=0.5;type=\"image/gif\"", None),
            key(accept, "", None),
            key(accept, ";type=\"image/gif\"", Some([1; 16])),
        ] {
            assert_ne!(base, other);
        }
        let silent = Options { from_register_accept: false, ..Options::default() };
        let words = |request| said.key(&Words { request, params: b"", kept: None }, &silent);
        assert_eq!(words(&request(accept)), words(&request("")));
    }

    #[test]
    fn a_table_that_is_full_is_begun_anew() {
        let said = Said::default();
        let meaning = Meaning { q: Some(500), headers: None, effective: Some([7; 16]) };
        for number in 0..=u64::try_from(MOST).unwrap() {
            said.remember([number, 0], meaning);
            assert!(said.known.len() <= MOST);
        }
        assert_eq!(said.find([u64::try_from(MOST).unwrap(), 0]), Some(meaning));
        assert_eq!(said.find([0, 0]), None);
    }
}
