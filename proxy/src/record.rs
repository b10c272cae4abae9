//! The marks in the Record-Route URIs this server writes (RFC 3261 §16.6 step 4).
//!
//! Each request that makes a dialog gets two, one for the end it came from and one for the end it goes to
//! (RFC 5658): a request of the dialog names both, first that of its sender, last that of its recipient. A mark
//! holds where that end is, its address and flow, so that a phone behind a NAT is found again over the connection
//! it made (RFC 5626 §4.3). It is sealed under a key that only this server knows, together with who the dialog is
//! between: its Call-ID, both addresses of record, the caller's tag. So whoever sees a mark can have requests of
//! that dialog taken to the other end of it and nowhere else, and a request that says it is from one end can be
//! held against where that end was. Without a mark, anyone could write our name in a Route and be relayed anywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use sip::{Request, Uri};
use subtle::ConstantTimeEq;
use transport::{Flow, Protocol};

use crate::ours::own_uri;

/// Octets of the seal, 96 bits.
const SEAL: usize = 12;

/// How a user part with a flow token begins.
const TOKEN: &[u8] = b"flow.";

/// Octets of the seal of a token, 80 bits.
const TOKEN_SEAL: usize = 10;

/// Characters of the shortest mark: seal, kind, IPv4 address, port.
const SHORTEST: usize = ((SEAL + 1 + 4 + 2) * 4).div_ceil(3);

/// Characters of the longest mark: seal, kind, IPv6 address, two ports, flow, in base64.
const LONGEST: usize = ((SEAL + 1 + 16 + 2 + 2 + 8) * 4).div_ceil(3);

/// The key of the marks. Dialogs set up under another key are not recognised: give every server of one
/// domain the same, and keep it over restarts.
#[derive(Clone)]
pub struct RouteKey([u8; 32]);

/// What tells a request's dialog from others (RFC 3261 §12).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialog<'a> {
    pub(crate) call_id: &'a [u8],
    /// URI and tag.
    pub(crate) from: (&'a [u8], Option<&'a [u8]>),
    pub(crate) to: (&'a [u8], Option<&'a [u8]>),
}

impl<'a> Dialog<'a> {
    /// The dialog of a request.
    pub(crate) fn of(request: &'a Request) -> Self {
        Self {
            call_id: request.call_id(),
            from: (request.from().uri_octets(), request.from_tag()),
            to: (request.to().uri_octets(), request.to_tag()),
        }
    }

    /// The same as its other end writes it.
    const fn reversed(self) -> Self {
        Self { call_id: self.call_id, from: self.to, to: self.from }
    }
}

/// The two ends of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Who sent the request that the marks were written into.
    Caller,
    /// Who got it.
    Callee,
}

/// What a mark says of the request that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Where the end is that the request says it is from.
    Sender(Side),
    /// Where the end is that the request is for.
    Recipient(Side),
}

/// Where one end of a dialog is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Side {
    /// What carried the request that made the dialog on this side.
    pub(crate) protocol: Protocol,
    /// The next element on this side, as it was seen.
    pub(crate) remote: SocketAddr,
    /// The port that it wants requests at, if that is another one than `remote`'s.
    pub(crate) port: Option<u16>,
    /// The flow to it, if there is one.
    pub(crate) flow: Option<u64>,
    /// Whether there is no other way to it than that flow.
    pub(crate) only_flow: bool,
}

impl Side {
    /// The flow to this side. Our end of it follows from its id.
    pub(crate) fn flow(&self) -> Option<Flow> {
        let local = match self.remote.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let id = self.flow?;
        Some(Flow { protocol: self.protocol, local: SocketAddr::new(local, 0), remote: self.remote, id })
    }

    /// Whether that address is this side's: the one it was seen at, or the one it is called at there.
    pub(crate) fn is_at(&self, addr: SocketAddr) -> bool {
        let port = Some(addr.port());
        self.remote.ip() == addr.ip() && (port == Some(self.remote.port()) || port == self.port)
    }

    /// `kind address port [port] [flow]`; the kind says which protocol, family and what follows.
    pub(crate) fn octets(&self, end: End) -> Vec<u8> {
        let protocol = Protocol::ALL.iter().position(|p| *p == self.protocol).unwrap_or_default();
        let flags = [
            (self.remote.is_ipv6(), IPV6),
            (self.flow.is_some(), FLOW),
            (self.only_flow, ONLY),
            (self.port.is_some(), PORT),
            (end == End::Callee, CALLEE),
        ];
        let kind = flags.iter().filter(|(set, _)| *set).fold(0, |kind, (_, bit)| kind | bit);
        let mut octets = vec![kind | u8::try_from(protocol).unwrap_or_default()];
        match self.remote.ip() {
            IpAddr::V4(ip) => octets.extend(ip.octets()),
            IpAddr::V6(ip) => octets.extend(ip.octets()),
        }
        octets.extend(self.remote.port().to_be_bytes());
        octets.extend(self.port.map(u16::to_be_bytes).into_iter().flatten());
        if let Some(id) = self.flow {
            // Leading zeros say nothing; ids of datagram sockets are small.
            let id = id.to_be_bytes();
            let zeros = id.iter().take_while(|octet| **octet == 0).count();
            octets.extend(id.get(zeros..).unwrap_or_default());
        }
        octets
    }

    /// What [`Self::octets`] wrote.
    pub(crate) fn read(octets: &[u8]) -> Option<(Side, End)> {
        let (&kind, rest) = octets.split_first()?;
        let protocol = *Protocol::ALL.get(usize::from(kind & PROTOCOL))?;
        let (ip, rest) = match kind & IPV6 {
            0 => rest.split_first_chunk::<4>().map(|(ip, rest)| (IpAddr::from(*ip), rest))?,
            _ => rest.split_first_chunk::<16>().map(|(ip, rest)| (IpAddr::from(*ip), rest))?,
        };
        let (at, rest) = port(rest)?;
        let (port, id) = match kind & PORT {
            0 => (None, rest),
            _ => port(rest).map(|(port, id)| (Some(port), id))?,
        };
        let id = id.iter().fold(0, |id, octet| (id << 8) | u64::from(*octet));
        let side = Side {
            protocol,
            remote: SocketAddr::new(ip, at),
            port,
            flow: (kind & FLOW != 0).then_some(id),
            only_flow: kind & ONLY != 0,
        };
        Some((side, if kind & CALLEE == 0 { End::Caller } else { End::Callee }))
    }
}

fn port(octets: &[u8]) -> Option<(u16, &[u8])> {
    octets.split_first_chunk().map(|(port, rest)| (u16::from_be_bytes(*port), rest))
}

const PROTOCOL: u8 = 0b0000_0111;
const IPV6: u8 = 0b0000_1000;
const FLOW: u8 = 0b0001_0000;
const ONLY: u8 = 0b0010_0000;
const PORT: u8 = 0b0100_0000;
const CALLEE: u8 = 0b1000_0000;

impl RouteKey {
    /// A key that was kept.
    pub const fn new(key: [u8; 32]) -> RouteKey {
        RouteKey(key)
    }

    /// A fresh key from the operating system.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<RouteKey, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(RouteKey(key))
    }

    /// A Record-Route value that leads requests of the dialog that `dialog`'s request makes to that end, which is
    /// at `side`; `host` is how we are reached from there, `is_sips` whether by a SIPS URI.
    pub(crate) fn record(
        &self,
        dialog: &Dialog<'_>,
        end: End,
        side: &Side,
        host: &str,
        is_sips: bool,
    ) -> String {
        let user = format!("{}@", self.mark(dialog, end, side));
        format!("<{};lr>", own_uri(&user, host, side.protocol, is_sips))
    }

    /// Octets of the header lines of two such values, at most.
    pub(crate) fn record_octets(longest_host: usize) -> usize {
        2 * ("Record-Route: <sip:@;transport=tcp;lr>\r\n".len() + LONGEST + longest_host)
    }

    /// The user part of a Record-Route URI.
    pub(crate) fn mark(&self, dialog: &Dialog<'_>, end: End, side: &Side) -> String {
        let octets = side.octets(end);
        let seal = self.seal(dialog, &octets);
        URL_SAFE_NO_PAD.encode([&seal, &octets[..]].concat())
    }

    /// Whether a user part is long enough for a mark. Those of people seldom are.
    pub(crate) const fn may_be_mark(user: &[u8]) -> bool {
        user.len() >= SHORTEST
    }

    /// What a mark says of a request of `dialog`; `None` if it is none of ours, or another dialog's.
    pub(crate) fn read(&self, user: &[u8], dialog: &Dialog<'_>) -> Option<Mark> {
        // What can't be a mark costs no seal.
        let mark = URL_SAFE_NO_PAD.decode(user).ok()?;
        let (seal, octets) = mark.split_at_checked(SEAL)?;
        let (side, end) = Side::read(octets)?;
        let is_of = |dialog: &Dialog<'_>| bool::from(self.seal(dialog, octets).ct_eq(seal));
        let sender = match () {
            () if is_of(dialog) => End::Caller,
            () if is_of(&dialog.reversed()) => End::Callee,
            () => return None,
        };
        Some(if sender == end { Mark::Sender(side) } else { Mark::Recipient(side) })
    }

    /// The user part of a Path URI that leads to `side` over its flow, in any request (RFC 5626 §5.2).
    pub(crate) fn token(&self, side: &Side) -> String {
        let octets = side.octets(End::Caller);
        let seal: [u8; TOKEN_SEAL] = self.mac(&[b"flow", &octets]);
        format!("{}{}", String::from_utf8_lossy(TOKEN), URL_SAFE_NO_PAD.encode([&seal, &octets[..]].concat()))
    }

    /// The side that a user part leads to; `Some(None)` if it says to be a token and is none of ours.
    pub(crate) fn read_token(&self, user: &[u8]) -> Option<Option<Side>> {
        let user = grammar::percent_decode(user);
        let text = user.strip_prefix(TOKEN)?;
        let read = || {
            let token = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (seal, octets) = token.split_at_checked(TOKEN_SEAL)?;
            let expected: [u8; TOKEN_SEAL] = self.mac(&[b"flow", octets]);
            bool::from(expected.ct_eq(seal)).then(|| Side::read(octets)).flatten()
        };
        Some(read().map(|(side, _)| side))
    }

    /// Binds what a mark says to the dialog whose caller is in `dialog`'s From.
    fn seal(&self, dialog: &Dialog<'_>, octets: &[u8]) -> [u8; SEAL] {
        let aor = |uri: &[u8]| Uri::parse(uri).map(|uri| uri.aor()).unwrap_or_default();
        let (caller, callee) = (aor(dialog.from.0), aor(dialog.to.0));
        let tag = dialog.from.1.unwrap_or_default();
        self.mac(&[b"dialog", dialog.call_id, tag, caller.as_bytes(), callee.as_bytes(), octets])
    }

    /// The first octets of an HMAC over parts of which the first says what it is for.
    fn mac<const OCTETS: usize>(&self, parts: &[&[u8]]) -> [u8; OCTETS] {
        let mut seal = [0; OCTETS];
        // A key of any length is taken, so this is never an error.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return seal };
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        seal.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
        seal
    }
}

impl std::fmt::Debug for RouteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RouteKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: &[u8] = b"sip:w@example.org";
    const J: &[u8] = b"sip:j@example.com";
    const CALLER: (&[u8], Option<&[u8]>) = (W, Some(b"caller"));
    const CALLEE: (&[u8], Option<&[u8]>) = (J, Some(b"callee"));
    const FIRST: Dialog<'_> = Dialog { call_id: b"a@b", from: CALLER, to: (J, None) };
    const FORTH: Dialog<'_> = Dialog { to: CALLEE, ..FIRST };
    const BACK: Dialog<'_> = Dialog { from: CALLEE, to: CALLER, ..FIRST };

    fn sides() -> [Side; 4] {
        let udp = Side {
            protocol: Protocol::Udp,
            remote: "192.0.2.1:5060".parse().unwrap(),
            port: None,
            flow: Some(0),
            only_flow: false,
        };
        let tcp = Side { protocol: Protocol::Tcp, flow: Some(u64::MAX), only_flow: true, ..udp };
        let v6 =
            Side { protocol: Protocol::Wss, remote: "[2001:db8::1]:9".parse().unwrap(), flow: None, ..udp };
        [udp, tcp, v6, Side { port: Some(5061), flow: Some(u64::MAX), ..v6 }]
    }

    #[test]
    fn the_marks_of_a_dialog_say_to_both_ends_who_sends_and_who_is_sent_to() {
        let key = RouteKey::generate().unwrap();
        for side in sides() {
            let [caller, callee] = [End::Caller, End::Callee].map(|end| key.mark(&FIRST, end, &side));
            assert_eq!(key.read(caller.as_bytes(), &FORTH), Some(Mark::Sender(side)));
            assert_eq!(key.read(callee.as_bytes(), &FORTH), Some(Mark::Recipient(side)));
            assert_eq!(key.read(caller.as_bytes(), &BACK), Some(Mark::Recipient(side)));
            assert_eq!(key.read(callee.as_bytes(), &BACK), Some(Mark::Sender(side)));
            assert!(caller.len() <= LONGEST);
        }
    }

    #[test]
    fn a_mark_holds_for_its_key_its_side_and_its_dialog_only() {
        let key = RouteKey::generate().unwrap();
        let [udp, ..] = sides();
        let mark = key.mark(&FIRST, End::Callee, &udp);
        let read = |dialog: &Dialog<'_>| key.read(mark.as_bytes(), dialog).is_some();
        assert!(read(&Dialog { from: (b"sip:w@Example.org;x=y", CALLER.1), ..FORTH }), "the same user");
        for (why, dialog) in [
            ("Call-ID", Dialog { call_id: b"a@c", ..FORTH }),
            ("caller", Dialog { from: (b"sip:W@example.org", CALLER.1), ..FORTH }),
            ("callee", Dialog { to: (b"sip:x@example.com", CALLEE.1), ..FORTH }),
            ("tag", Dialog { from: (W, Some(b"other")), ..FORTH }),
            ("no tag", Dialog { from: (W, None), ..FORTH }),
            ("tags exchanged", Dialog { from: (W, CALLEE.1), to: (J, CALLER.1), ..FORTH }),
        ] {
            assert!(!read(&dialog), "{why}");
        }
        assert_eq!(RouteKey::generate().unwrap().read(mark.as_bytes(), &FORTH), None);
        let whole = URL_SAFE_NO_PAD.decode(&mark).unwrap();
        for at in 0..whole.len() {
            let mut octets = whole.clone();
            octets[at] ^= 1;
            assert_eq!(key.read(URL_SAFE_NO_PAD.encode(octets).as_bytes(), &FORTH), None, "octet {at}");
        }
        for nonsense in [&b""[..], b"john", b"!", &mark.as_bytes()[..15], &mark.as_bytes()[..16]] {
            assert_eq!(key.read(nonsense, &FORTH), None);
        }
    }

    #[test]
    fn a_token_leads_back_to_its_flow_and_to_nobody_elses() {
        let key = RouteKey::new([7; 32]);
        for side in sides() {
            let token = key.token(&side);
            assert!(Uri::parse(format!("sip:{token}@h;lr;ob").as_bytes()).is_ok());
            assert_eq!(key.read_token(token.as_bytes()), Some(Some(side)));
            for at in TOKEN.len()..token.len() - 1 {
                let mut changed = token.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                assert_eq!(key.read_token(&changed), Some(None), "{at}");
            }
            assert_eq!(RouteKey::new([8; 32]).read_token(token.as_bytes()), Some(None));
            assert_eq!(key.read(token.as_bytes(), &FORTH), None, "nor is it a mark");
            let mark = key.mark(&FIRST, End::Caller, &side);
            assert_eq!(key.read_token(format!("flow.{mark}").as_bytes()), Some(None), "nor a mark one");
        }
        for bad in ["flow.", "flow.AAAA", "flow.%00", "flow.~~~"] {
            assert_eq!(key.read_token(bad.as_bytes()), Some(None), "{bad}");
        }
        assert_eq!(key.read_token(b"john"), None);
    }

    #[test]
    fn a_side_is_at_the_port_it_was_seen_at_and_the_one_it_names() {
        let [_, _, v6, named] = sides();
        let at = |side: &Side, addr: &str| side.is_at(addr.parse().unwrap());
        assert!(at(&v6, "[2001:db8::1]:9") && !at(&v6, "[2001:db8::1]:5061"));
        assert!(at(&named, "[2001:db8::1]:9") && at(&named, "[2001:db8::1]:5061"));
        assert!(!at(&named, "[2001:db8::2]:5061") && !at(&named, "192.0.2.1:5061"));
    }
}
