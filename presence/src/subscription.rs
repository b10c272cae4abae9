//! A subscription as it is stored: the dialog, who watches what, and what his terminal takes.

use std::sync::Arc;

use bytes::Bytes;

use crate::codec::{Reader, Writer};
use crate::event::Package;
use crate::rules::Decision;

/// A subscription's number, which is the tag of our end of its dialog: nobody can guess it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u64);

impl Id {
    /// As a tag.
    pub fn tag(self) -> String {
        format!("p{:016x}", self.0)
    }

    /// The subscription whose tag that is, if it has the form of one of ours.
    pub fn of_tag(tag: &[u8]) -> Option<Self> {
        let digits = tag.strip_prefix(b"p").filter(|digits| digits.len() == 16)?;
        let is_ours = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let digits = std::str::from_utf8(digits).ok().filter(|_| is_ours)?;
        u64::from_str_radix(digits, 16).ok().map(Self)
    }

    /// The key of its record.
    pub const fn key(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// The subscription of a record's key.
    pub fn of_key(key: &[u8]) -> Option<Self> {
        key.try_into().ok().map(u64::from_be_bytes).map(Self)
    }
}

/// What is subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// What of it.
    pub package: Package,
    /// The canonical address of record, of a user or of a list.
    pub aor: Arc<str>,
}

/// What a subscription is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One resource.
    One,
    /// A list that is kept under the resource's address (RFC 4662).
    List,
    /// The list that its SUBSCRIBE carried (RFC 5367).
    Carried,
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// What is watched.
    pub resource: Resource,
    /// Whether that is a list.
    pub kind: Kind,
    /// The members of a list that was carried.
    pub members: Vec<Bytes>,
    /// Who watches: his address of record.
    pub watcher: Arc<str>,
    /// Whether that was proven.
    pub proven: bool,
    /// What the presentity's rules said last.
    pub decision: Decision,
    /// `id` of the Event field.
    pub event_id: Option<Bytes>,
    /// Call-ID of the dialog.
    pub call_id: Bytes,
    /// To of the SUBSCRIBE without a tag: our From.
    pub local: Bytes,
    /// From of the SUBSCRIBE with its tag: our To.
    pub remote: Bytes,
    /// The subscriber's Contact: the Request-URI of a NOTIFY.
    pub target: Bytes,
    /// Record-Route values of the SUBSCRIBE, in order.
    pub routes: Vec<Bytes>,
    /// CSeq of the last SUBSCRIBE.
    pub remote_cseq: u32,
    /// Accept and what belongs to it, as `Name: value` lines, and the parameters of Contact below `;`.
    pub capabilities: Vec<Bytes>,
    /// When it ends; Unix seconds.
    pub expires_at: u64,
    /// When it began; Unix seconds.
    pub created_at: u64,
    /// CSeq and version that the next NOTIFY has at least.
    pub floor: u32,
    /// Where the SUBSCRIBE came from; a matter of whoever sends.
    pub origin: Bytes,
}

const FORM: u8 = 1;
const PROVEN: u8 = 1;
const EVENT_ID: u8 = 2;
const LIST: u8 = 4;
const CARRIED: u8 = 8;

impl Subscription {
    /// The octets to store.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::default();
        let kind = match self.kind {
            Kind::One => 0,
            Kind::List => LIST,
            Kind::Carried => CARRIED,
        };
        let decision = Decision::ALL.iter().position(|(_, each)| *each == self.decision).unwrap_or_default();
        let flags =
            kind | if self.proven { PROVEN } else { 0 } | if self.event_id.is_some() { EVENT_ID } else { 0 };
        let decision = u8::try_from(decision).unwrap_or_default();
        writer.fixed(&[FORM, self.resource.package.code(), flags, decision]);
        for octets in [self.resource.aor.as_bytes(), self.watcher.as_bytes()] {
            writer.octets(octets);
        }
        for octets in [&self.call_id, &self.local, &self.remote, &self.target, &self.origin] {
            writer.octets(octets);
        }
        if let Some(id) = &self.event_id {
            writer.octets(id);
        }
        for list in [&self.members, &self.routes, &self.capabilities] {
            writer.all(list, |writer, octets| writer.octets(octets));
        }
        for number in [self.remote_cseq, self.floor] {
            writer.number(number.into());
        }
        writer.number(self.expires_at);
        writer.number(self.created_at);
        writer.finish()
    }

    /// What [`Self::encode`] wrote, sharing the octets; `None` for anything else.
    pub fn decode(octets: Bytes) -> Option<Self> {
        let mut reader = Reader::new(octets);
        let [form, package, flags, decision] = reader.fixed()?;
        let package = Package::from_code(package).filter(|_| form == FORM)?;
        let (_, decision) = *Decision::ALL.get(usize::from(decision))?;
        let text = |reader: &mut Reader| Some(Arc::from(std::str::from_utf8(&reader.octets()?).ok()?));
        let (aor, watcher) = (text(&mut reader)?, text(&mut reader)?);
        let list = |reader: &mut Reader| reader.all(Reader::octets);
        Some(Self {
            resource: Resource { package, aor },
            kind: match flags & (LIST | CARRIED) {
                0 => Kind::One,
                LIST => Kind::List,
                _ => Kind::Carried,
            },
            watcher,
            proven: flags & PROVEN != 0,
            decision,
            call_id: reader.octets()?,
            local: reader.octets()?,
            remote: reader.octets()?,
            target: reader.octets()?,
            origin: reader.octets()?,
            event_id: if flags & EVENT_ID != 0 { Some(reader.octets()?) } else { None },
            members: list(&mut reader)?,
            routes: list(&mut reader)?,
            capabilities: list(&mut reader)?,
            remote_cseq: reader.small()?,
            floor: reader.small()?,
            expires_at: reader.number()?,
            created_at: reader.number()?,
        })
    }

    /// Whether a request is of this dialog, seen from our end.
    pub fn is_of(&self, call_id: &[u8], from_tag: Option<&[u8]>) -> bool {
        let remote = sip::NameAddr::parse(&self.remote).ok();
        self.call_id == call_id && remote.and_then(|remote| remote.tag()) == from_tag
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example() -> Subscription {
        Subscription {
            resource: Resource { package: Package::Presence, aor: "sip:alice@example.org".into() },
            kind: Kind::One,
            members: Vec::new(),
            watcher: "sip:john@example.com".into(),
            proven: true,
            decision: Decision::Allow,
            event_id: None,
            call_id: "sub-022@192.0.2.7".into(),
            local: "<sip:alice@example.org>".into(),
            remote: "<sip:john@example.com>;tag=w022".into(),
            target: "sip:john@192.0.2.7;transport=tcp".into(),
            routes: Vec::new(),
            remote_cseq: 1,
            capabilities: vec!["Accept: application/pidf+xml".into()],
            expires_at: 3600,
            created_at: 0,
            floor: 1,
            origin: Bytes::new(),
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let carried = Subscription {
            kind: Kind::Carried,
            members: vec!["sip:a@b".into()],
            event_id: Some("7".into()),
            decision: Decision::PoliteBlock,
            routes: vec!["<sip:p;lr>".into()],
            proven: false,
            ..example()
        };
        for subscription in [example(), carried] {
            let octets = subscription.encode();
            assert_eq!(Subscription::decode(octets.clone()), Some(subscription));
            for end in 0..octets.len() {
                assert_eq!(Subscription::decode(octets.slice(..end)), None, "{end}");
            }
        }
    }

    #[test]
    fn a_tag_is_the_number_and_nothing_else_is() {
        for id in [Id(0), Id(u64::MAX), Id(0x0123_4567_89ab_cdef)] {
            assert_eq!(Id::of_tag(id.tag().as_bytes()), Some(id));
            assert_eq!(Id::of_key(&id.key()), Some(id));
        }
        for tag in [&b""[..], b"p", b"p+123456789abcdef", b"p0123456789ABCDEF", b"q0123456789abcdef"] {
            assert_eq!(Id::of_tag(tag), None);
        }
    }

    #[test]
    fn a_request_is_of_the_dialog_by_its_call_and_its_tag() {
        let subscription = example();
        assert!(subscription.is_of(b"sub-022@192.0.2.7", Some(b"w022")));
        assert!(!subscription.is_of(b"sub-022@192.0.2.7", Some(b"w023")));
        assert!(!subscription.is_of(b"other", Some(b"w022")));
        assert!(!subscription.is_of(b"sub-022@192.0.2.7", None));
    }
}
