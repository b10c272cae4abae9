//! The event state compositor: what a PUBLISH does, in the order of RFC 3903 §6 from step 2 on. That the user is
//! ours (step 1), and who may publish for him, was found out before.

use bytes::Bytes;
use sip::{HeaderId, Request};

use crate::event::{Event, Package};
use crate::publication::{Digest, Object, Publication, Publications};
use crate::refusal::{Answer, Refusal};
use crate::time::Moment;

/// What an operator allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Publications of one user at the same time.
    pub publications: usize,
    /// Seconds a publication lasts at least.
    pub min_expires: u32,
    /// Seconds it lasts if it does not say.
    pub default_expires: u32,
    /// Seconds it lasts at most.
    pub max_expires: u32,
    /// Octets of the body, at most.
    pub octets: usize,
    /// Objects in it, at most.
    pub objects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            publications: 16,
            min_expires: 60,
            default_expires: 3600,
            max_expires: 86_400,
            octets: 1024 * 1024,
            objects: 16,
        }
    }
}

/// The types that can be published, for Accept.
pub const ACCEPT: &str = "application/pidf+xml, application/cpim-pidf+xml, multipart/related";

/// A body, as far as it was taken apart.
#[derive(Clone, Debug)]
pub enum Body {
    /// There is none.
    None,
    /// A presence document, read and found good, and what came with it.
    Document {
        /// As it came.
        document: Bytes,
        /// The parts beside it that it may show: what each is stored as, and its octets.
        objects: Vec<(Object, Bytes)>,
    },
    /// Something that can't be published.
    Unsupported,
    /// More than may be published.
    TooLarge,
    /// A document that is no good.
    Bad(&'static str),
}

/// What a PUBLISH comes to.
#[derive(Clone, Debug)]
pub struct Published {
    /// The 200.
    pub answer: Answer,
    /// What is published now, to be stored in place of what was read.
    pub next: Publications,
    /// Objects to store before that.
    pub store: Vec<(Digest, Bytes)>,
    /// Objects that nothing shows any more, to be removed after it.
    pub remove: Vec<Digest>,
    /// Whether watchers are to hear of it.
    pub changed: bool,
}

/// Steps 2 to 6 on what is published now. `tag` is a fresh entity-tag nobody has had.
///
/// # Errors
/// [`Refusal`], and nothing is to be changed.
pub fn publish(
    request: &Request,
    body: Body,
    current: &Publications,
    now: Moment,
    tag: u64,
    limits: &Limits,
) -> Result<Published, Refusal> {
    if Event::of(request).and_then(|event| event.package) != Some(Package::Presence) {
        return Err(Refusal::BadEvent);
    }
    let live = current.without_expired(now.seconds()).unwrap_or_else(|| current.clone());
    let replaced = matched(request, &live)?;
    let expires = expires(request, limits)?;
    let content = content(body, replaced.is_some(), limits)?;
    if expires > 0 && replaced.is_none() && live.entries.len() >= limits.publications {
        return Err(Refusal::Full("Too Many Publications"));
    }
    let before = replaced.and_then(|at| live.entries.get(at)).cloned();
    let mut next = live.clone();
    if let Some(at) = replaced {
        next.entries.remove(at);
    }
    let mut store = Vec::new();
    let mut changed = live.entries.len() != current.entries.len();
    if expires > 0 {
        let fresh = content.map(|(document, objects)| {
            let kept = objects.iter().map(|(object, _)| object.clone()).collect();
            store = objects.into_iter().map(|(object, octets)| (object.digest, octets)).collect();
            (document, kept, now.millis())
        });
        changed |= fresh.is_some();
        let kept = before.map(|before| (before.document, before.objects, before.published_at));
        let Some((document, objects, published_at)) = fresh.or(kept) else {
            return Err(Refusal::Malformed("There Is Nothing To Publish"));
        };
        let expires_at = now.seconds().saturating_add(expires.into());
        let entry = Publication { tag, expires_at, published_at, document, objects };
        // Where it was, so that a change moves nothing in what is composed of them.
        next.entries.insert(replaced.unwrap_or(next.entries.len()), entry);
    } else {
        changed |= before.is_some();
    }
    if changed {
        next.changed_at = now.seconds();
    }
    store.retain(|(digest, _)| !current.shows(digest));
    let remove = current.digests().filter(|digest| !next.shows(digest)).copied().collect();
    let answer = Answer::new(200, "OK")
        .with(HeaderId::SipEtag, format!("{tag:016x}"))
        .with(HeaderId::Expires, expires.to_string());
    Ok(Published { answer, next, store, remove, changed })
}

/// Step 3: the publication that SIP-If-Match names.
fn matched(request: &Request, current: &Publications) -> Result<Option<usize>, Refusal> {
    let mut tags = request.values(HeaderId::SipIfMatch).map(grammar::trim);
    let Some(tag) = tags.next() else {
        // A field without a value is a precondition that nothing can meet.
        let is_empty = request.header(HeaderId::SipIfMatch).is_some();
        return if is_empty { Err(Refusal::Malformed("SIP-If-Match Names No Entity-Tag")) } else { Ok(None) };
    };
    if tags.next().is_some() {
        return Err(Refusal::Malformed("SIP-If-Match Names More Than One Entity-Tag"));
    }
    let tag = std::str::from_utf8(tag).ok().filter(|tag| tag.len() == 16);
    let tag = tag.and_then(|tag| u64::from_str_radix(tag, 16).ok());
    let found = current.entries.iter().position(|entry| Some(entry.tag) == tag);
    found.map(Some).ok_or(Refusal::NoSuchTag)
}

/// Step 4, in seconds.
fn expires(request: &Request, limits: &Limits) -> Result<u32, Refusal> {
    let asked = request.header(HeaderId::Expires);
    let asked = match asked {
        None => limits.default_expires,
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

type Content = (Bytes, Vec<(Object, Bytes)>);

/// Step 5.
fn content(body: Body, known: bool, limits: &Limits) -> Result<Option<Content>, Refusal> {
    match body {
        Body::None if known => Ok(None),
        Body::None => Err(Refusal::Malformed("There Is Nothing To Publish")),
        Body::Unsupported => Err(Refusal::MediaType { accept: ACCEPT }),
        Body::TooLarge => Err(Refusal::TooLarge),
        Body::Bad(why) => Err(Refusal::Malformed(why)),
        Body::Document { document, objects } => {
            let octets = objects.iter().map(|(_, octets)| octets.len()).sum::<usize>();
            let fits = octets.saturating_add(document.len()) <= limits.octets;
            if !fits || objects.len() > limits.objects {
                return Err(Refusal::TooLarge);
            }
            Ok(Some((document, objects)))
        }
    }
}
