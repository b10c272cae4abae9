//! What is stored of one AOR. It is kept as octets in memory too, so they are few.

use std::borrow::Cow;

use bytes::Bytes;

use crate::binding::Source;
use crate::codec::{Reader, Writer};
use crate::compact;
use crate::gruu::Generation;
use crate::instance::{self, DIGEST};
use crate::interned::CpiId;

/// The layout of a record; another number is another layout.
const FORMAT: u8 = 3;

/// The layout before, which is read too: its texts are written out.
const SPELLED_OUT: u8 = 2;

/// Transports that are stored as their place here, counted from 1.
const TRANSPORTS: [&str; 5] = ["UDP", "TCP", "TLS", "WS", "WSS"];

/// Preference of a Contact without q (RFC 3841 §7.2.3).
const Q_DEFAULT: u16 = 1000;

/// Devices of one user that are remembered after their last Contact ended, the latest ones.
const GONE: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Record {
    /// In the order they were added. Some may have expired.
    pub(crate) bindings: Vec<Stored>,
    /// When the last binding ended, if there is none; Unix seconds, 0 if unknown.
    ended_at: u64,
    /// Devices that have a public GRUU and no Contact (RFC 5627 §5.3), the latest last.
    gone: Vec<[u8; DIGEST]>,
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
    pub(crate) boot: u32,
    /// The reg-id, where outbound processing was applied (RFC 5626 §6).
    pub(crate) reg_id: Option<u32>,
    /// What its temporary GRUUs are told by, if any were given out.
    pub(crate) gruu: Option<Generation>,
    /// What the REGISTER's headers said, for the next refresh (rule L5).
    pub(crate) headers: Option<CpiId>,
    /// Headers and Contact merged.
    pub(crate) effective: Option<CpiId>,
}

impl Record {
    /// `devices` are those that have a public GRUU, the latest last; those without a Contact are remembered.
    /// `ended_at` counts if there are no bindings.
    pub(crate) fn new(bindings: Vec<Stored>, ended_at: u64, mut devices: Vec<[u8; DIGEST]>) -> Self {
        if !devices.is_empty() {
            let mut taken: Vec<_> = bindings.iter().filter_map(Stored::device).collect();
            let present = taken.len();
            devices.reverse();
            devices.retain(|device| {
                let remembered = !taken.contains(device) && taken.len() < present + GONE;
                taken.extend(remembered.then_some(*device));
                remembered
            });
            devices.reverse();
        }
        Self { bindings, ended_at, gone: devices }
    }

    /// The devices that have a public GRUU, with a Contact or without, the latest last.
    pub(crate) fn devices(&self) -> Vec<[u8; DIGEST]> {
        self.gone.iter().copied().chain(self.bindings.iter().filter_map(Stored::device)).collect()
    }

    /// Whether the device has a public GRUU but no Contact.
    pub(crate) fn is_gone(&self, device: [u8; DIGEST]) -> bool {
        self.gone.contains(&device)
    }

    /// The bindings that have not expired at `now`, and those that have.
    pub(crate) fn part(self, now: u64) -> (Vec<Stored>, Vec<Stored>) {
        self.bindings.into_iter().partition(|binding| binding.is_live(now))
    }

    /// When the last binding ends or ended; `None` if there never was one.
    pub(crate) fn ended_at(&self) -> Option<u64> {
        let last = self.bindings.iter().map(|binding| binding.expires_at).max();
        last.or((self.ended_at > 0).then_some(self.ended_at))
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.fixed(&[FORMAT]);
        // First, so that a sweep needs to read no more of a record that is not due.
        out.number(self.bindings.iter().map(|binding| binding.expires_at).min().unwrap_or(self.ended_at));
        out.number(self.bindings.len() as u64);
        for binding in &self.bindings {
            binding.encode(&mut out);
        }
        self.gone.iter().for_each(|device| out.fixed(device));
        out.finish()
    }

    pub(crate) fn decode(octets: &Bytes) -> Option<Self> {
        let mut input = Reader::new(octets.clone());
        let Head { format, due, count } = head(&mut input)?;
        let mut bindings = Vec::new();
        for _ in 0..count {
            bindings.push(Stored::decode(&mut input, format)?);
        }
        let mut gone = Vec::new();
        while !input.is_empty() {
            gone.push(input.fixed()?);
        }
        let ended_at = if bindings.is_empty() { due } else { 0 };
        Some(Self { bindings, ended_at, gone })
    }
}

/// Of an encoded record: when its first binding ends, or its last one ended, and how many it has.
pub(crate) fn peek(octets: &[u8]) -> Option<(u64, u64)> {
    let start = octets.get(..octets.len().min(24))?;
    let Head { due, count, .. } = head(&mut Reader::new(Bytes::copy_from_slice(start)))?;
    Some((due, count))
}

struct Head {
    format: u8,
    due: u64,
    count: u64,
}

fn head(input: &mut Reader) -> Option<Head> {
    let [format @ (FORMAT | SPELLED_OUT)] = input.fixed()? else { return None };
    Some(Head { format, due: input.number()?, count: input.number()? })
}

/// What follows the fixed part of a stored binding.
mod flag {
    pub(super) const Q: u8 = 1;
    pub(super) const PATH: u8 = 1 << 1;
    pub(super) const FLOW: u8 = 1 << 2;
    pub(super) const REG_ID: u8 = 1 << 3;
    pub(super) const GRUU: u8 = 1 << 4;
    pub(super) const HEADERS: u8 = 1 << 5;
    pub(super) const EFFECTIVE: u8 = 1 << 6;
    /// Headers and Contact merged are what the headers said: written once.
    pub(super) const SAME_CPI: u8 = 1 << 7;
}

impl Stored {
    pub(crate) const fn is_live(&self, now: u64) -> bool {
        now < self.expires_at
    }

    /// Seconds it has left, never more than were granted, whatever the clock does.
    pub(crate) fn left(&self, now: u64) -> u64 {
        self.expires_at.saturating_sub(now).min(self.lifetime())
    }

    /// Seconds that were granted.
    pub(crate) const fn lifetime(&self) -> u64 {
        self.expires_at.saturating_sub(self.refreshed_at)
    }

    /// Leaves it these seconds at most.
    pub(crate) fn shorten(&mut self, now: u64, seconds: u32) {
        self.expires_at = self.expires_at.min(now.saturating_add(seconds.into()));
    }

    /// Counts anew from `now` what was granted later than that: the clock was set back, and the binding would
    /// outlive its time by as much.
    pub(crate) fn set_back(&mut self, now: u64) {
        if self.refreshed_at > now {
            self.expires_at = now.saturating_add(self.lifetime());
            self.refreshed_at = now;
        }
    }

    pub(crate) fn q(&self) -> u16 {
        self.q.unwrap_or(Q_DEFAULT)
    }

    /// Whether it belongs to the device of that instance id.
    pub(crate) fn is_of_instance(&self, id: &[u8]) -> bool {
        instance::of(&self.params).is_some_and(|own| instance::same(&own, id))
    }

    /// The device, if it has a GRUU.
    fn device(&self) -> Option<[u8; DIGEST]> {
        self.gruu?;
        instance::of(&self.params).map(|id| instance::digest(&id))
    }

    fn flags(&self) -> u8 {
        let same = self.effective.is_some() && self.effective == self.headers;
        [
            (flag::Q, self.q.is_some()),
            (flag::PATH, !self.path.is_empty()),
            (flag::FLOW, self.source.flow.is_some()),
            (flag::REG_ID, self.reg_id.is_some()),
            (flag::GRUU, self.gruu.is_some()),
            (flag::HEADERS, self.headers.is_some()),
            (flag::EFFECTIVE, self.effective.is_some() && !same),
            (flag::SAME_CPI, same),
        ]
        .into_iter()
        .fold(0, |flags, (flag, is_set)| if is_set { flags | flag } else { flags })
    }

    fn encode(&self, out: &mut Writer) {
        out.fixed(&[self.flags()]);
        out.octets(&compact::pack(&self.uri));
        out.octets(&compact::pack(&self.params));
        out.octets(&self.call_id);
        out.number(self.cseq.into());
        out.number(self.expires_at);
        out.number(self.lifetime());
        encode_transport(&self.source.transport, out);
        out.address(self.source.local);
        out.address(self.source.remote);
        if let Some(q) = self.q {
            out.number(q.into());
        }
        if !self.path.is_empty() {
            out.number(self.path.len() as u64);
            self.path.iter().for_each(|value| out.octets(&compact::pack(value)));
        }
        if let Some(flow) = self.source.flow {
            out.number(flow);
            out.fixed(&self.boot.to_be_bytes());
        }
        if let Some(reg_id) = self.reg_id {
            out.number(reg_id.into());
        }
        if let Some(generation) = self.gruu {
            out.fixed(&generation.to_be_bytes());
        }
        if let Some(id) = self.headers {
            out.fixed(&id);
        }
        if let Some(id) = self.effective.filter(|_| self.effective != self.headers) {
            out.fixed(&id);
        }
    }

    fn decode(input: &mut Reader, format: u8) -> Option<Self> {
        let text = |input: &mut Reader| match format {
            SPELLED_OUT => input.octets(),
            _ => compact::unpack(&input.octets()?),
        };
        let [flags] = input.fixed()?;
        let (uri, params, call_id) = (text(input)?, text(input)?, input.octets()?);
        let (cseq, expires_at, lifetime) = (input.small()?, input.number()?, input.number()?);
        let transport = decode_transport(input, format)?;
        let (local, remote) = (input.address()?, input.address()?);
        let q = input.if_set(flags & flag::Q, |input| input.number()?.try_into().ok())?;
        let path = input.if_set(flags & flag::PATH, |input| decode_path(input, text))?.unwrap_or_default();
        let flow = input.if_set(flags & flag::FLOW, |input| Some((input.number()?, input.fixed()?)))?;
        let reg_id = input.if_set(flags & flag::REG_ID, Reader::small)?;
        let gruu = input.if_set(flags & flag::GRUU, Reader::fixed)?.map(u32::from_be_bytes);
        let headers = input.if_set(flags & flag::HEADERS, Reader::fixed)?;
        let effective = input.if_set(flags & flag::EFFECTIVE, Reader::fixed)?;
        let same = headers.filter(|_| flags & flag::SAME_CPI != 0);
        Some(Self {
            uri,
            params,
            q,
            call_id,
            cseq,
            expires_at,
            refreshed_at: expires_at.saturating_sub(lifetime),
            path,
            source: Source { transport, local, remote, flow: flow.map(|(id, _)| id) },
            boot: flow.map_or(0, |(_, boot)| u32::from_be_bytes(boot)),
            reg_id,
            gruu,
            headers,
            effective: effective.or(same),
        })
    }
}

fn decode_path(input: &mut Reader, text: impl Fn(&mut Reader) -> Option<Bytes>) -> Option<Vec<Bytes>> {
    let count = input.number()?;
    let mut path = Vec::new();
    for _ in 0..count {
        path.push(text(input)?);
    }
    Some(path)
}

fn encode_transport(name: &str, out: &mut Writer) {
    match TRANSPORTS.iter().zip(1..).find(|(known, _)| **known == name) {
        Some((_, code)) => out.number(code),
        None => {
            out.number(0);
            out.octets(name.as_bytes());
        }
    }
}

fn decode_transport(input: &mut Reader, format: u8) -> Option<Cow<'static, str>> {
    let code = if format == SPELLED_OUT { 0 } else { usize::try_from(input.number()?).ok()? };
    if let Some(place) = code.checked_sub(1) {
        return TRANSPORTS.get(place).copied().map(Cow::Borrowed);
    }
    let name = String::from_utf8(input.octets()?.to_vec()).ok()?;
    let known = TRANSPORTS.iter().find(|known| **known == name);
    Some(known.map_or(Cow::Owned(name), |known| Cow::Borrowed(*known)))
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
            boot: 0x0102_0304,
            reg_id: Some(1),
            gruu: Some(0x0a0b_0c0d),
            headers: Some([1; 16]),
            effective: None,
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let bare = Stored {
            expires_at: 5,
            refreshed_at: 1,
            q: None,
            path: Vec::new(),
            source: Source { flow: None, ..binding().source },
            boot: 0,
            reg_id: None,
            gruu: None,
            headers: None,
            ..binding()
        };
        let same = Stored { effective: Some([1; 16]), ..binding() };
        let other = Stored { effective: Some([2; 16]), ..binding() };
        let record = Record::new(vec![binding(), bare, same, other], 0, Vec::new());
        let octets = record.encode();
        assert_eq!(Record::decode(&octets).unwrap().bindings, record.bindings);
        assert_eq!(peek(&octets), Some((5, 4)));
    }

    #[test]
    fn a_record_without_bindings_knows_when_the_last_one_ended() {
        let octets = Record::new(Vec::new(), 77, Vec::new()).encode();
        assert_eq!(Record::decode(&octets).unwrap().ended_at(), Some(77));
        assert_eq!(peek(&octets), Some((77, 0)));
    }

    #[test]
    fn a_device_with_a_gruu_is_remembered_when_its_last_contact_goes_but_not_for_ever() {
        let device = |number: usize| Stored {
            params: format!(";+sip.instance=\"<urn:x:{number}>\"").into(),
            ..binding()
        };
        let digest = |number: usize| instance::digest(format!("urn:x:{number}").as_bytes());
        let after = |record: &Record, bindings| Record::new(bindings, 0, record.devices());
        let mut record = after(&Record::default(), vec![device(0), device(0)]);
        record = after(&record, vec![device(0)]);
        assert!(!record.is_gone(digest(0)));
        for number in 1..=GONE + 1 {
            record = after(&record, vec![device(number)]);
        }
        record = Record::decode(&record.encode()).unwrap();
        assert!(!record.is_gone(digest(0)) && !record.is_gone(digest(GONE + 1)));
        assert!((1..=GONE).all(|number| record.is_gone(digest(number))));
        assert!(!after(&record, vec![device(1)]).is_gone(digest(1)));
        let plain = Record::new(vec![Stored { gruu: None, ..device(1) }], 0, Vec::new());
        assert!(!after(&plain, Vec::new()).is_gone(digest(1)));
    }

    #[test]
    fn a_clock_that_was_set_back_gives_nobody_more_than_was_granted() {
        let mut binding = Stored { refreshed_at: 1000, expires_at: 1600, ..binding() };
        assert_eq!((binding.left(1100), binding.left(500)), (500, 600));
        binding.set_back(500);
        assert_eq!((binding.refreshed_at, binding.expires_at), (500, 1100));
        binding.set_back(700);
        assert_eq!(binding.expires_at, 1100);
    }

    #[test]
    fn a_record_of_the_layout_before_is_read() {
        let mut out = Writer::new();
        out.fixed(&[SPELLED_OUT]);
        out.number(60);
        out.number(1);
        out.fixed(&[0]);
        out.octets(b"sip:john@192.0.2.7");
        out.octets(b";+sip.instance=\"<urn:x:1>\"");
        out.octets(b"call");
        [7, 60, 30].into_iter().for_each(|number| out.number(number));
        out.octets(b"TCP");
        out.address(binding().source.local);
        out.address(binding().source.remote);
        let record = Record::decode(&out.finish()).unwrap();
        let [read] = &record.bindings[..] else { panic!("{record:?}") };
        assert_eq!((&read.uri[..], &read.source.transport[..]), (&b"sip:john@192.0.2.7"[..], "TCP"));
        assert_eq!(Record::decode(&record.encode()).unwrap().bindings, record.bindings);
    }

    #[test]
    fn every_cut_of_a_record_is_refused() {
        let octets = Record::new(vec![binding()], 0, Vec::new()).encode();
        for end in 0..octets.len() {
            assert!(Record::decode(&octets.slice(..end)).is_none(), "{end}");
        }
    }
}
