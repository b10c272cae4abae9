//! A REGISTER read into what the rules ask of it: steps 2 and 5 of CPI.md 6.1, and the form of its Contacts.

use std::cell::LazyCell;

use bytes::Bytes;
use sip::{Contact, HeaderId, NameAddr, Request, Uri};

use crate::binding::Source;
use crate::contact::{self, NewContact};
use crate::gruu::GruuKey;
use crate::options::Options;
use crate::outcome::Refusal;

/// Option tags that a Require may hold (CPI.md 6.1 step 2, F5).
const UNDERSTOOD: [&[u8]; 4] = [b"path", b"outbound", b"gruu", b"pref"];

/// Contacts in one request, in multiples of those a user may have: removals count too.
const CONTACTS_PER_REQUEST: usize = 2;

/// Octets of a Call-ID, which every binding keeps.
const CALL_ID: usize = 512;

#[derive(Debug)]
pub(crate) struct Registration<'r> {
    /// Its headers say of the terminal what it can show (rule L1).
    pub(crate) request: &'r Request,
    /// Canonical.
    pub(crate) aor: String,
    pub(crate) call_id: Bytes,
    pub(crate) cseq: u32,
    pub(crate) contacts: Contacts,
    pub(crate) path: Vec<Bytes>,
    pub(crate) source: Source,
    pub(crate) supports: Supports,
    /// Whether outbound processing is applied (RFC 5626 §6); if not, a reg-id means nothing.
    pub(crate) keeps_flows: bool,
}

/// Option tags of Supported and Require.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Supports {
    pub(crate) path: bool,
    pub(crate) outbound: bool,
    pub(crate) gruu: bool,
}

#[derive(Debug)]
pub(crate) enum Contacts {
    /// A query.
    None,
    /// `Contact: *` with `Expires: 0`.
    Wildcard,
    List(Vec<NewContact>),
}

impl<'r> Registration<'r> {
    pub(crate) fn read(request: &'r Request, source: Source, options: &Options) -> Result<Self, Refusal> {
        let supports = Supports::of(request);
        check_require(request, supports, options)?;
        // Steps 3 and 4, authentication and authorisation, were the caller's, who knows whom to trust.
        let to = request.to().uri().map_err(|_| Refusal::UnknownUser)?;
        if !to.is_sip() {
            return Err(Refusal::NoAddressOfRecord);
        }
        let aor = options.aor(&to).ok_or(Refusal::UnknownUser)?;
        if request.call_id().len() > CALL_ID {
            return Err(Refusal::CallIdTooLong);
        }
        let (contacts, path) = (read_contacts(request, options)?, read_path(request, options)?);
        check_sips(request, &contacts, &path)?;
        Ok(Self {
            request,
            aor,
            call_id: Bytes::copy_from_slice(request.call_id()),
            cseq: request.cseq().number,
            keeps_flows: keeps_flows(request, &contacts, &path, supports)?,
            contacts,
            path,
            source,
            supports,
        })
    }

    /// A Contact that leads back to its AOR would be a loop, as would a GRUU of it, and a device is reached by
    /// SIP alone (RFC 5627 §5.1). A public GRUU is equivalent to its AOR.
    pub(crate) fn check_targets(&self, key: &GruuKey, options: &Options) -> Result<(), Refusal> {
        let Contacts::List(list) = &self.contacts else { return Ok(()) };
        let aor = LazyCell::new(|| self.aor.parse::<Uri>().ok());
        for contact in list.iter().filter(|contact| contact.lifetime > 0) {
            if contact.instance.is_some() && !contact.uri.is_sip() {
                return Err(Refusal::ContactNotSip);
            }
            let is_aor = |uri: &Uri| aor.as_ref().is_some_and(|aor| aor.equivalent(uri));
            let is_gruu = || key.read(&contact.uri).is_some_and(|(user, _)| is_aor(&user));
            let may_be_user = options.is_ours(&contact.uri) || contact.uri.param(b"gr").is_some();
            if may_be_user && (is_aor(&contact.uri) || is_gruu()) {
                return Err(Refusal::ContactLoops);
            }
        }
        Ok(())
    }

    /// The reg-id of a Contact, where it counts.
    pub(crate) fn reg_id(&self, contact: &NewContact) -> Option<u32> {
        contact.reg_id.filter(|_| self.keeps_flows)
    }

    /// Whether the 200 says `Require: outbound`: the terminal asked, and a flow of it is registered.
    pub(crate) fn is_outbound(&self) -> bool {
        let Contacts::List(list) = &self.contacts else { return false };
        self.supports.outbound && list.iter().any(|each| each.lifetime > 0 && self.reg_id(each).is_some())
    }
}

impl Supports {
    pub(crate) fn of(request: &Request) -> Self {
        let mut supports = Self::default();
        for tag in request.values(HeaderId::Supported).chain(request.values(HeaderId::Require)) {
            supports.path |= tag.eq_ignore_ascii_case(b"path");
            supports.outbound |= tag.eq_ignore_ascii_case(b"outbound");
            supports.gruu |= tag.eq_ignore_ascii_case(b"gruu");
        }
        supports
    }
}

pub(crate) fn check_require(request: &Request, supports: Supports, options: &Options) -> Result<(), Refusal> {
    let understood = |tag: &&[u8]| UNDERSTOOD.iter().any(|known| known.eq_ignore_ascii_case(tag));
    let unknown: Vec<_> = request.values(HeaderId::Require).filter(|tag| !understood(tag)).collect();
    if !unknown.is_empty() {
        return Err(Refusal::Unsupported(unknown.join(&b", "[..])));
    }
    let has_path = request.header(HeaderId::Path).is_some();
    if has_path && options.path_needs_support && !supports.path {
        return Err(Refusal::Unsupported(b"path".to_vec()));
    }
    Ok(())
}

/// RFC 5630 §5.2: what is registered as reached securely is so on all the way, or nobody could say so of it.
fn check_sips(request: &Request, contacts: &Contacts, path: &[Bytes]) -> Result<(), Refusal> {
    let Contacts::List(list) = contacts else { return Ok(()) };
    let mut added = list.iter().filter(|contact| contact.lifetime > 0);
    let is_secure = |value: &Bytes| {
        let uri = NameAddr::parse(value).ok().and_then(|address| address.uri().ok());
        uri.is_some_and(|uri| uri.is_sips())
    };
    let is_kept = || request.uri().is_sips() && path.iter().all(is_secure);
    if added.any(|contact| contact.uri.is_sips()) && !is_kept() { Err(Refusal::NotSips) } else { Ok(()) }
}

/// RFC 5626 §6: whether the terminal's flow is kept, by us or by the proxy it came through.
///
/// The one it came through stands at the bottom of Path, since each proxy puts its value on top; RFC 5626
/// calls that the first URI.
fn keeps_flows(
    request: &Request,
    contacts: &Contacts,
    path: &[Bytes],
    supports: Supports,
) -> Result<bool, Refusal> {
    let Contacts::List(list) = contacts else { return Ok(false) };
    let mut flows = list.iter().filter(|contact| contact.reg_id.is_some()).peekable();
    if flows.peek().is_none() {
        return Ok(false);
    }
    let is_first_hop = request.vias().nth(1).is_none();
    if !is_first_hop && !path.last().is_some_and(|value| keeps_flow(value)) {
        let wants = flows.any(|contact| contact.lifetime > 0);
        return if supports.outbound && wants { Err(Refusal::FirstHopLacksOutbound) } else { Ok(false) };
    }
    let added = list.iter().filter(|contact| contact.lifetime > 0).count();
    if added > 1 && flows.any(|contact| contact.lifetime > 0) {
        return Err(Refusal::SeveralFlows);
    }
    Ok(true)
}

fn keeps_flow(path: &[u8]) -> bool {
    let uri = NameAddr::parse(path).ok().and_then(|address| address.uri().ok());
    uri.is_some_and(|uri| uri.param(b"ob").is_some())
}

fn read_contacts(request: &Request, options: &Options) -> Result<Contacts, Refusal> {
    let expires = request.header(HeaderId::Expires).map(contact::seconds);
    let mut wildcard = false;
    let mut list = Vec::new();
    for each in request.contacts() {
        match each.map_err(|_| Refusal::MalformedContact)? {
            Contact::Wildcard if wildcard => return Err(Refusal::WildcardMisused),
            Contact::Wildcard => wildcard = true,
            Contact::Address(_) if list.len() >= options.contacts.saturating_mul(CONTACTS_PER_REQUEST) => {
                return Err(Refusal::TooManyContacts);
            }
            Contact::Address(address) => list.push(NewContact::read(&address, expires, options)?),
        }
    }
    match (wildcard, list.is_empty()) {
        (true, true) if expires == Some(0) => Ok(Contacts::Wildcard),
        (true, _) => Err(Refusal::WildcardMisused),
        (false, true) => Ok(Contacts::None),
        (false, false) => Ok(Contacts::List(list)),
    }
}

fn read_path(request: &Request, options: &Options) -> Result<Vec<Bytes>, Refusal> {
    let (mut path, mut octets) = (Vec::new(), 0);
    for value in request.values(HeaderId::Path) {
        octets += value.len();
        if path.len() >= options.path_values || octets > options.path_octets {
            return Err(Refusal::PathTooLong);
        }
        let value = grammar::unfold(value);
        if !is_route(&value) {
            return Err(Refusal::MalformedPath);
        }
        path.push(Bytes::copy_from_slice(&value));
    }
    Ok(path)
}

/// Whether a Path value can be a Route value later, and stand in the 200 now: `<uri>` and parameters, with
/// nothing that ends a line.
fn is_route(value: &[u8]) -> bool {
    let uri = NameAddr::parse(value).ok().and_then(|address| address.uri().ok());
    let is_plain = value.contains(&b'<') && !value.iter().any(|b| b.is_ascii_control() && *b != b'\t');
    is_plain && uri.is_some_and(|uri| uri.is_sip())
}
