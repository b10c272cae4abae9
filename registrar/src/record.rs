//! What is stored of one AOR.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::binding::Source;
use crate::codec::{Reader, Writer};
use crate::interned::CpiId;

/// The layout of a record; another number is another layout.
const FORMAT: [u8; 1] = [1];

/// Preference of a Contact without q (RFC 3841 §7.2.3).
const Q_DEFAULT: u16 = 1000;

#[derive(Debug, Default)]
pub(crate) struct Record {
    /// In the order they were added. Some may have expired.
    pub(crate) bindings: Vec<Stored>,
    /// When the last binding ended, if there is none; Unix seconds, 0 if unknown.
    ended_at: u64,
}

/// One binding as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) uri: Bytes,
    pub(crate) params: Bytes,
    pub(crate) q: Option<u16>,
    pub(crate) call_id: Bytes,
    pub(crate) cseq: u32,
    /// Unix seconds.
    pub(crate) expires_at: u64,
    pub(crate) refreshed_at: u64,
    pub(crate) path: Vec<Bytes>,
    pub(crate) source: Source,
    /// Of the run that wrote it.
    pub(crate) boot: u64,
    /// What the REGISTER's headers said, for the next refresh (rule L5).
    pub(crate) headers: Option<CpiId>,
    /// Headers and Contact merged.
    pub(crate) effective: Option<CpiId>,
}

impl Record {
    pub(crate) const fn new(bindings: Vec<Stored>, ended_at: u64) -> Self {
        Self { bindings, ended_at }
    }

    /// The bindings that have not expired at `now`.
    pub(crate) fn into_live(self, now: u64) -> impl Iterator<Item = Stored> {
        self.bindings.into_iter().filter(move |binding| binding.is_live(now))
    }

    /// When the last binding ends or ended; `None` if there never was one.
    pub(crate) fn ended_at(&self) -> Option<u64> {
        let last = self.bindings.iter().map(|binding| binding.expires_at).max();
        last.or((self.ended_at > 0).then_some(self.ended_at))
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Writer::default();
        out.fixed(&FORMAT);
        // First, so that a sweep needs to read no more of a record that is not due.
        out.number(self.bindings.iter().map(|binding| binding.expires_at).min().unwrap_or(self.ended_at));
        out.number(self.bindings.len() as u64);
        for binding in &self.bindings {
            binding.encode(&mut out);
        }
        out.finish()
    }

    pub(crate) fn decode(octets: &Bytes) -> Option<Self> {
        let mut input = Reader::new(octets.clone());
        let (due, count) = head(&mut input)?;
        let mut bindings = Vec::new();
        for _ in 0..count {
            bindings.push(Stored::decode(&mut input)?);
        }
        let ended_at = if bindings.is_empty() { due } else { 0 };
        input.is_empty().then_some(Self { bindings, ended_at })
    }
}

/// Of an encoded record: when its first binding ends, or its last one ended, and how many it has.
pub(crate) fn peek(octets: &[u8]) -> Option<(u64, u64)> {
    let start = octets.get(..octets.len().min(24))?;
    head(&mut Reader::new(Bytes::copy_from_slice(start)))
}

fn head(input: &mut Reader) -> Option<(u64, u64)> {
    if input.fixed()? != FORMAT {
        return None;
    }
    Some((input.number()?, input.number()?))
}

impl Stored {
    pub(crate) const fn is_live(&self, now: u64) -> bool {
        now < self.expires_at
    }

    pub(crate) fn q(&self) -> u16 {
        self.q.unwrap_or(Q_DEFAULT)
    }

    fn encode(&self, out: &mut Writer) {
        out.octets(&self.uri);
        out.octets(&self.params);
        out.optional(self.q, |out, q| out.number(q.into()));
        out.octets(&self.call_id);
        out.number(self.cseq.into());
        out.number(self.expires_at);
        out.number(self.refreshed_at);
        out.number(self.path.len() as u64);
        self.path.iter().for_each(|value| out.octets(value));
        out.octets(self.source.transport.as_bytes());
        out.address(self.source.local);
        out.address(self.source.remote);
        out.optional(self.source.flow, Writer::number);
        out.fixed(&self.boot.to_be_bytes());
        out.optional(self.headers, |out, id| out.fixed(&id));
        out.optional(self.effective, |out, id| out.fixed(&id));
    }

    fn decode(input: &mut Reader) -> Option<Self> {
        Some(Self {
            uri: input.octets()?,
            params: input.octets()?,
            q: input.optional(|input| input.number()?.try_into().ok())?,
            call_id: input.octets()?,
            cseq: input.small()?,
            expires_at: input.number()?,
            refreshed_at: input.number()?,
            path: decode_path(input)?,
            source: decode_source(input)?,
            boot: input.fixed().map(u64::from_be_bytes)?,
            headers: input.optional(Reader::fixed)?,
            effective: input.optional(Reader::fixed)?,
        })
    }
}

fn decode_path(input: &mut Reader) -> Option<Vec<Bytes>> {
    let count = input.number()?;
    let mut path = Vec::new();
    for _ in 0..count {
        path.push(input.octets()?);
    }
    Some(path)
}

fn decode_source(input: &mut Reader) -> Option<Source> {
    let transport = String::from_utf8(input.octets()?.to_vec()).ok()?;
    let (local, remote): (SocketAddr, SocketAddr) = (input.address()?, input.address()?);
    Some(Source { transport, local, remote, flow: input.optional(Reader::number)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding() -> Stored {
        Stored {
            uri: "sip:john@192.0.2.7".into(),
            params: ";type=\"image/gif\"".into(),
            q: Some(500),
            call_id: "reg-001@192.0.2.7".into(),
            cseq: 7,
            expires_at: 1_908_600_000,
            refreshed_at: 1_908_596_400,
            path: vec!["<sip:ep1.example.com;lr>".into()],
            source: Source {
                transport: "TCP".into(),
                local: "192.0.2.1:5060".parse().unwrap(),
                remote: "[2001:db8::7]:40000".parse().unwrap(),
                flow: Some(9),
            },
            boot: 0x0102_0304_0506_0708,
            headers: Some([1; 16]),
            effective: None,
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let record = Record::new(vec![binding(), Stored { expires_at: 5, q: None, ..binding() }], 0);
        let octets = record.encode();
        assert_eq!(Record::decode(&octets).unwrap().bindings, record.bindings);
        assert_eq!(peek(&octets), Some((5, 2)));
    }

    #[test]
    fn a_record_without_bindings_knows_when_the_last_one_ended() {
        let octets = Record::new(Vec::new(), 77).encode();
        assert_eq!(Record::decode(&octets).unwrap().ended_at(), Some(77));
        assert_eq!(peek(&octets), Some((77, 0)));
    }

    #[test]
    fn every_cut_of_a_record_is_refused() {
        let octets = Record::new(vec![binding()], 0).encode();
        for end in 0..octets.len() {
            assert!(Record::decode(&octets.slice(..end)).is_none(), "{end}");
        }
    }
}
