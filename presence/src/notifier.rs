//! The notifier: what a SUBSCRIBE asks for, and what it makes of a subscription (RFC 6665 §4.2.1). Who sends it, and
//! what the presentity says of him, was found out before.

use bytes::Bytes;
use cpi::{ContactCpi, Cpi, Extensions, Source, matching};
use sip::{Contact, HeaderId, Request};

use crate::event::{Event, Package};
use crate::refusal::{Answer, Refusal};
use crate::rules::Decision;
use crate::subscription::{Id, Kind, Resource, Subscription};
use crate::time::Moment;

/// What an operator allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Seconds a subscription lasts at least.
    pub min_expires: u32,
    /// Seconds it lasts at most.
    pub max_expires: u32,
    /// Octets of what a subscriber may say of his terminal, and of the route to him.
    pub octets: usize,
    /// Members of a list that a SUBSCRIBE carries.
    pub members: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { min_expires: 60, max_expires: 86_400, octets: 4096, members: 100 }
    }
}

/// What a subscriber's documents are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `application/pidf+xml`
    Pidf,
    /// `application/cpim-pidf+xml`
    CpimPidf,
    /// `application/pidf-diff+xml` (RFC 5263)
    PidfDiff,
    /// `application/watcherinfo+xml`
    Watcherinfo,
    /// `application/reginfo+xml`
    Reginfo,
}

impl Format {
    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Pidf => "application/pidf+xml",
            Self::CpimPidf => "application/cpim-pidf+xml",
            Self::PidfDiff => "application/pidf-diff+xml",
            Self::Watcherinfo => "application/watcherinfo+xml",
            Self::Reginfo => "application/reginfo+xml",
        }
    }

    /// The best that a subscriber takes (CPI.md 5): by q, and of equals the first of those that there are.
    ///
    /// # Errors
    /// [`Refusal::NotAcceptable`] if he takes none.
    pub fn choose(cpi: &Cpi, package: Package) -> Result<Self, Refusal> {
        let candidates: &[Self] = match package {
            Package::Presence => &[Self::Pidf, Self::CpimPidf, Self::PidfDiff],
            Package::Winfo => &[Self::Watcherinfo],
            Package::Reg => &[Self::Reginfo],
        };
        let Some(media) = &cpi.media else {
            return candidates.first().copied().ok_or(Refusal::NotAcceptable);
        };
        let quality = |format: &&Self| {
            let name = format.media_type();
            // Who writes a wildcard does not mean that he can put changes together.
            let is_named = || media.iter().any(|entry| entry.range == name);
            let may = **format != Self::PidfDiff || is_named();
            if may { matching::type_quality(cpi, name, &[], matching::Options::default()) } else { 0 }
        };
        // The first of equals.
        let best = candidates.iter().rev().max_by_key(|format| quality(format));
        best.filter(|format| quality(format) > 0).copied().ok_or(Refusal::NotAcceptable)
    }
}

/// What a SUBSCRIBE asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The package.
    pub package: Package,
    /// `id` of Event.
    pub event_id: Option<Bytes>,
    /// Seconds; 0 fetches, or ends.
    pub expires: u32,
    /// The Contact URI.
    pub target: Bytes,
    /// Record-Route values.
    pub routes: Vec<Bytes>,
    /// What is stored of the terminal, see [`Subscription::capabilities`].
    pub capabilities: Vec<Bytes>,
    /// The same, read.
    pub cpi: Cpi,
    /// Whether lists are taken (`Supported: eventlist`).
    pub takes_lists: bool,
    /// Whether it carries a list (`Require: recipient-list-subscribe`).
    pub carries_list: bool,
}

impl Asked {
    /// Reads a SUBSCRIBE.
    ///
    /// # Errors
    /// 489, 400, 423; 415 for a body that asks for something that is not done.
    pub fn read(request: &Request, limits: &Limits, extensions: &Extensions) -> Result<Self, Refusal> {
        let event = Event::of(request).ok_or(Refusal::BadEvent)?;
        let package = event.package.ok_or(Refusal::BadEvent)?;
        let expires = expires(request, package, limits)?;
        if request.from_tag().is_none() {
            return Err(Refusal::Malformed("From Has No Tag"));
        }
        let mut contacts = request.contacts();
        let contact = contacts.next().and_then(Result::ok);
        let (Some(Contact::Address(contact)), None) = (contact, contacts.next()) else {
            return Err(Refusal::Malformed("SUBSCRIBE Needs One Contact"));
        };
        contact.uri().map_err(|_| Refusal::Malformed("Contact Is No URI"))?;
        takes_body(request)?;
        let routes: Vec<Bytes> = request.values(HeaderId::RecordRoute).map(Bytes::copy_from_slice).collect();
        let capabilities = capabilities(request, &contact);
        let octets = routes.iter().chain(&capabilities).map(Bytes::len).sum::<usize>();
        if octets.saturating_add(contact.uri_octets().len()) > limits.octets {
            return Err(Refusal::Malformed("Accept, Contact And Record-Route Are Too Long"));
        }
        let has = |id, tag: &[u8]| request.values(id).any(|value| value.eq_ignore_ascii_case(tag));
        Ok(Self {
            package,
            event_id: event.id,
            expires,
            target: Bytes::copy_from_slice(contact.uri_octets()),
            routes,
            cpi: read_capabilities(&capabilities, extensions),
            capabilities,
            takes_lists: has(HeaderId::Supported, b"eventlist") || has(HeaderId::Require, b"eventlist"),
            carries_list: has(HeaderId::Require, b"recipient-list-subscribe"),
        })
    }

    /// A new subscription.
    pub fn subscribe(self, request: &Request, of: New, now: Moment) -> Subscription {
        let to = request.to();
        let local = [b"<".as_slice(), to.uri_octets(), b">"].concat();
        Subscription {
            resource: of.resource,
            kind: of.kind,
            members: of.members,
            watcher: of.watcher,
            proven: of.proven,
            decision: of.decision,
            event_id: self.event_id,
            call_id: Bytes::copy_from_slice(request.call_id()),
            local: local.into(),
            remote: Bytes::copy_from_slice(&grammar::unfold(
                request.header(HeaderId::From).unwrap_or_default(),
            )),
            target: self.target,
            routes: self.routes,
            remote_cseq: request.cseq().number,
            capabilities: self.capabilities,
            expires_at: now.seconds().saturating_add(self.expires.into()),
            created_at: now.seconds(),
            floor: floor(now),
            origin: of.origin,
        }
    }

    /// The subscription of `before` after this SUBSCRIBE in its dialog.
    ///
    /// # Errors
    /// 481 for one that is not of the dialog, 403 for another subscription in it, 500 for one out of order.
    pub fn refresh(
        self,
        before: &Subscription,
        request: &Request,
        origin: Bytes,
        now: Moment,
    ) -> Result<Subscription, Refusal> {
        if !before.is_of(request.call_id(), request.from_tag()) {
            return Err(Refusal::NoSubscription);
        }
        if before.resource.package != self.package || before.event_id != self.event_id {
            return Err(Refusal::SharedDialog);
        }
        let cseq = request.cseq().number;
        if cseq <= before.remote_cseq {
            return Err(Refusal::OutOfOrder);
        }
        // Who says nothing of his terminal has said it before (CPI.md L5).
        let says = self.cpi.has_header_cpi();
        Ok(Subscription {
            target: self.target,
            remote_cseq: cseq,
            capabilities: if says { self.capabilities } else { before.capabilities.clone() },
            expires_at: now.seconds().saturating_add(self.expires.into()),
            origin,
            ..before.clone()
        })
    }
}

/// What there is of a new subscription beside its SUBSCRIBE.
#[derive(Clone, Debug)]
pub struct New {
    /// What is watched.
    pub resource: Resource,
    /// Whether that is a list.
    pub kind: Kind,
    /// The members of one that was carried.
    pub members: Vec<Bytes>,
    /// Who watches.
    pub watcher: std::sync::Arc<str>,
    /// Whether that was proven.
    pub proven: bool,
    /// What the presentity says of him.
    pub decision: Decision,
    /// Where the SUBSCRIBE came from.
    pub origin: Bytes,
}

/// CSeq numbers and versions of NOTIFYs begin at what the clock says, so that they rise over restarts without being
/// written down: no dialog has more than one NOTIFY a second for long. In 31 bits for a hundred years (RFC 3261
/// §8.1.1.5 allows 2^31).
pub fn floor(now: Moment) -> u32 {
    const YEAR_2020: u64 = 1_577_836_800;
    u32::try_from(now.seconds().saturating_sub(YEAR_2020)).unwrap_or(u32::MAX / 2).clamp(1, u32::MAX / 2)
}

/// The 200 to a SUBSCRIBE; `contact` is where we take requests of the dialog.
pub fn accepted(request: &Request, expires: u32, kind: Kind, contact: &str) -> Answer {
    let mut answer = Answer::new(200, "OK");
    for route in request.headers().filter(|header| header.id == HeaderId::RecordRoute) {
        answer = answer.with(HeaderId::RecordRoute, route.value);
    }
    let answer = answer.with(HeaderId::Contact, contact).with(HeaderId::Expires, expires.to_string());
    match kind {
        Kind::One => answer,
        Kind::List | Kind::Carried => answer.with(HeaderId::Require, "eventlist"),
    }
}

/// A SUBSCRIBE may carry a list. No filter is applied (RFC 4660 §5.2: 415), and no other body means anything here; one
/// that the sender marks as optional is passed over (RFC 3261 §20.11).
fn takes_body(request: &Request) -> Result<(), Refusal> {
    use crate::document::lists;
    if request.body().is_empty() {
        return Ok(());
    }
    let kind = request.header(HeaderId::ContentType).unwrap_or_default();
    let kind = grammar::split_once(kind, |b| b == b';').map_or(kind, |(kind, _)| kind);
    let disposition = request.header_named("Content-Disposition").unwrap_or_default();
    let handling = grammar::split_once(disposition, |b| b == b';')
        .and_then(|(_, params)| grammar::params(params).find_name(b"handling")?.value);
    let is_optional = handling.is_some_and(|value| value.text().eq_ignore_ascii_case(b"optional"));
    if grammar::trim(kind).eq_ignore_ascii_case(lists::MEDIA_TYPE.as_bytes()) || is_optional {
        return Ok(());
    }
    Err(Refusal::MediaType { accept: lists::MEDIA_TYPE })
}

/// Seconds that a SUBSCRIBE asks for (RFC 6665 §4.2.1.1).
fn expires(request: &Request, package: Package, limits: &Limits) -> Result<u32, Refusal> {
    let asked = match request.header(HeaderId::Expires) {
        None => package.default_expires(),
        Some(value) => match grammar::decimal(grammar::trim(value)) {
            Some(seconds) => u32::try_from(seconds).unwrap_or(u32::MAX),
            None => return Err(Refusal::Malformed("Expires Is No Number")),
        },
    };
    if asked > 0 && asked < limits.min_expires {
        return Err(Refusal::TooBrief { least: limits.min_expires });
    }
    Ok(asked.min(limits.max_expires))
}

const STATED: [HeaderId; 6] = [
    HeaderId::Accept,
    HeaderId::AcceptEncoding,
    HeaderId::AcceptCharset,
    HeaderId::AcceptLanguage,
    HeaderId::MaxSize,
    HeaderId::UserAgent,
];

fn capabilities(request: &Request, contact: &sip::NameAddr<'_>) -> Vec<Bytes> {
    let stated = request.headers().filter(|header| STATED.contains(&header.id));
    let line = |header: sip::Header<'_>| {
        [header.id.name().as_bytes(), b": ", &grammar::unfold(header.value)].concat().into()
    };
    let params = Some(contact.params_octets()).filter(|params| !params.is_empty());
    let params = params.map(|params| [b";", grammar::unfold(params).trim_ascii_start()].concat().into());
    stated.map(line).chain(params).collect()
}

/// The CPI of what [`Subscription::capabilities`] keeps: headers win over the Contact (CPI.md L3).
pub fn read_capabilities(capabilities: &[Bytes], extensions: &Extensions) -> Cpi {
    let is_params = |line: &&Bytes| line.starts_with(b";");
    let fields = capabilities.iter().filter(|line| !is_params(line)).filter_map(|line| {
        let (name, value) = grammar::split_once(line, |b| b == b':')?;
        Some((name, grammar::trim(value)))
    });
    let (headers, _) = cpi::decode::from_headers(fields, extensions);
    let params = capabilities.iter().find(is_params);
    let contact: Option<ContactCpi> =
        params.map(|params| cpi::contact::decode(grammar::params(params), extensions));
    let mut cpi = cpi::merge::headers_win(&headers, contact.as_ref(), Source::Dialog);
    // The types of a Contact are what the terminal shows; without an Accept the packages' documents go unsaid (M9).
    if let (None, Some(media)) = (&headers.media, &mut cpi.media) {
        let implied = [Format::Pidf, Format::Watcherinfo, Format::Reginfo];
        media.extend(implied.map(|format| cpi::MediaEntry::new(format.media_type())));
    }
    cpi
}

/// Which subscription a SUBSCRIBE goes on with, if its To has the tag of one of ours.
pub fn goes_on_with(request: &Request) -> Option<Id> {
    Id::of_tag(request.to_tag()?)
}
