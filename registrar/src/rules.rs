//! Steps 6 and 7 of CPI.md 6.1 (RFC 3261 §10.3): what the bindings of an AOR are after a REGISTER. All of it
//! applies, or the request is refused and none of it does.

use bytes::Bytes;
use cpi::ContactCpi;
use sip::Uri;

use crate::contact::NewContact;
use crate::interned::CpiId;
use crate::options::Options;
use crate::outcome::Refusal;
use crate::record::Stored;
use crate::request::{Contacts, Registration};

/// An expiry of an hour and more is never too brief (RFC 3261 §10.3 step 7).
const NEVER_TOO_BRIEF: u32 = 3600;

/// A binding after the request.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) binding: Stored,
    /// There if the request added or refreshed it.
    pub(crate) fresh: Option<Fresh>,
}

/// What the CPI of an added or refreshed binding is made from.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) contact: ContactCpi,
    /// The header CPI to go on with, if this request's headers say nothing: the stored one, if the Call-ID is
    /// the same (rule L5).
    pub(crate) kept_headers: Option<CpiId>,
}

/// The bindings after `registration`, in the order they were added; `live` are those before.
pub(crate) fn decide(
    live: Vec<Stored>,
    registration: &Registration,
    options: &Options,
    now: u64,
) -> Result<Vec<Slot>, Refusal> {
    let before = live.len();
    let mut table = Table::of(live);
    match &registration.contacts {
        Contacts::None => {}
        Contacts::Wildcard => {
            table.check_order(registration)?;
            table.slots.clear();
        }
        Contacts::List(contacts) => {
            for contact in contacts {
                table.apply(contact, registration, options, now)?;
            }
        }
    }
    if table.slots.len() > options.contacts.max(before) {
        return Err(Refusal::TooManyContacts);
    }
    Ok(table.slots.into_iter().map(|(_, slot)| slot).collect())
}

struct Table {
    slots: Vec<(Uri, Slot)>,
}

impl Table {
    fn of(live: Vec<Stored>) -> Self {
        let slot = |binding: Stored| {
            let uri = Uri::shared(binding.uri.clone()).ok()?;
            Some((uri, Slot { binding, fresh: None }))
        };
        Self { slots: live.into_iter().filter_map(slot).collect() }
    }

    fn check_order(&self, registration: &Registration) -> Result<(), Refusal> {
        if self.slots.iter().any(|(_, slot)| is_out_of_order(slot, registration)) {
            return Err(Refusal::OutOfOrder);
        }
        Ok(())
    }

    fn apply(
        &mut self,
        contact: &NewContact,
        registration: &Registration,
        options: &Options,
        now: u64,
    ) -> Result<(), Refusal> {
        let lifetime = contact.lifetime;
        if lifetime > 0 && lifetime < NEVER_TOO_BRIEF && lifetime < options.min_expires {
            return Err(Refusal::TooBrief { min_expires: options.min_expires });
        }
        let place = self.find(&contact.uri);
        if let Some((_, slot)) = place.and_then(|at| self.slots.get(at))
            && is_out_of_order(slot, registration)
        {
            return Err(Refusal::OutOfOrder);
        }
        if lifetime == 0 {
            if let Some(at) = place {
                self.slots.remove(at);
            }
            return Ok(());
        }
        let lifetime = lifetime.min(options.max_expires);
        let old = place.and_then(|at| self.slots.get(at)).map(|(_, slot)| slot);
        let kept_headers = old.and_then(|slot| kept_headers(slot, registration));
        let binding = stored(contact, registration, now, lifetime);
        let fresh = Some(Fresh { contact: contact.cpi.clone(), kept_headers });
        let new = (contact.uri.clone(), Slot { binding, fresh });
        match place.and_then(|at| self.slots.get_mut(at)) {
            Some(slot) => *slot = new,
            None => self.slots.push(new),
        }
        Ok(())
    }

    /// The binding that the URI means. Equivalence is not transitive, so several may be: one written the same
    /// comes first, then the oldest.
    fn find(&self, uri: &Uri) -> Option<usize> {
        let same = self.slots.iter().position(|(each, _)| each == uri);
        same.or_else(|| self.slots.iter().position(|(each, _)| each.equivalent(uri)))
    }
}

/// Same Call-ID and a CSeq that is not higher. A Contact that stands twice in one request meets the first of
/// the two here, which is no earlier request: the last one counts.
fn is_out_of_order(slot: &Slot, registration: &Registration) -> bool {
    slot.fresh.is_none()
        && slot.binding.call_id == registration.call_id
        && registration.cseq <= slot.binding.cseq
}

fn kept_headers(old: &Slot, registration: &Registration) -> Option<CpiId> {
    match &old.fresh {
        Some(fresh) => fresh.kept_headers,
        None => old.binding.headers.filter(|_| old.binding.call_id == registration.call_id),
    }
}

fn stored(contact: &NewContact, registration: &Registration, now: u64, lifetime: u32) -> Stored {
    Stored {
        uri: Bytes::copy_from_slice(contact.uri.as_bytes()),
        params: contact.params.clone(),
        q: contact.cpi.q,
        call_id: registration.call_id.clone(),
        cseq: registration.cseq,
        expires_at: now.saturating_add(lifetime.into()),
        refreshed_at: now,
        path: registration.path.clone(),
        source: registration.source.clone(),
        boot: 0,
        headers: None,
        effective: None,
    }
}
