//! A REGISTER read into what the rules ask of it: steps 2 and 5 of CPI.md 6.1, and the form of its Contacts.

use bytes::Bytes;
use cpi::Cpi;
use sip::{Contact, HeaderId, NameAddr, Request};

use crate::binding::Source;
use crate::contact::{self, NewContact};
use crate::options::Options;
use crate::outcome::Refusal;

/// Option tags that a Require may hold (CPI.md 6.1 step 2, F5). Outbound and GRUU are understood so far as
/// their parameters are kept and echoed.
const UNDERSTOOD: [&[u8]; 4] = [b"path", b"outbound", b"gruu", b"pref"];

/// Contacts in one request, in multiples of those a user may have: removals count too.
const CONTACTS_PER_REQUEST: usize = 2;

#[derive(Debug)]
pub(crate) struct Registration {
    /// Canonical.
    pub(crate) aor: String,
    pub(crate) call_id: Bytes,
    pub(crate) cseq: u32,
    pub(crate) contacts: Contacts,
    pub(crate) path: Vec<Bytes>,
    /// What its headers say of the terminal (rule L1).
    pub(crate) headers: Cpi,
    pub(crate) source: Source,
}

#[derive(Debug)]
pub(crate) enum Contacts {
    /// A query.
    None,
    /// `Contact: *` with `Expires: 0`.
    Wildcard,
    List(Vec<NewContact>),
}

impl Registration {
    pub(crate) fn read(request: &Request, source: Source, options: &Options) -> Result<Self, Refusal> {
        check_require(request, options)?;
        // Steps 3 and 4, authentication and authorisation, were the caller's, who knows whom to trust.
        let to = request.to().uri().map_err(|_| Refusal::UnknownUser)?;
        let aor = options.aor(&to).ok_or(Refusal::UnknownUser)?;
        Ok(Self {
            aor,
            call_id: Bytes::copy_from_slice(request.call_id()),
            cseq: request.cseq().number,
            contacts: read_contacts(request, options)?,
            path: read_path(request, options)?,
            headers: read_headers(request, options),
            source,
        })
    }
}

pub(crate) fn check_require(request: &Request, options: &Options) -> Result<(), Refusal> {
    let understood = |tag: &&[u8]| UNDERSTOOD.iter().any(|known| known.eq_ignore_ascii_case(tag));
    let unknown: Vec<_> = request.values(HeaderId::Require).filter(|tag| !understood(tag)).collect();
    if !unknown.is_empty() {
        return Err(Refusal::Unsupported(unknown.join(&b", "[..])));
    }
    let has_path = request.header(HeaderId::Path).is_some();
    let supports_path = || request.values(HeaderId::Supported).any(|tag| tag.eq_ignore_ascii_case(b"path"));
    if has_path && options.path_needs_support && !supports_path() {
        return Err(Refusal::Unsupported(b"path".to_vec()));
    }
    Ok(())
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
    let mut path = Vec::new();
    for value in request.values(HeaderId::Path) {
        let well_formed = NameAddr::parse(value).is_ok() && value.contains(&b'<');
        if !well_formed || path.len() >= options.path_values {
            return Err(Refusal::MalformedPath);
        }
        path.push(Bytes::copy_from_slice(&grammar::unfold(value)));
    }
    Ok(path)
}

fn read_headers(request: &Request, options: &Options) -> Cpi {
    let counts = |id| options.from_register_accept || id == HeaderId::UserAgent;
    let fields = request.headers().filter(|header| counts(header.id));
    cpi::decode::from_headers(fields.map(|header| (header.name, header.value)), &options.extensions).0
}
