//! Steps 6 and 7 of CPI.md 6.1 (RFC 3261 §10.3): what the bindings of an AOR are after a REGISTER. All of it
//! applies, or the request is refused and none of it does.

use bytes::Bytes;
use sip::Uri;

use crate::contact::NewContact;
use crate::feed::ContactEvent;
use crate::gruu::{self, Generation};
use crate::interned::CpiId;
use crate::options::Options;
use crate::outcome::Refusal;
use crate::record::Stored;
use crate::request::{Contacts, Registration};

/// An expiry of an hour and more is never too brief (RFC 3261 §10.3 step 7).
const NEVER_TOO_BRIEF: u32 = 3600;

/// What a request does to the bindings of its AOR.
#[derive(Debug)]
pub(crate) struct Decision {
    /// The bindings after it, in the order they were added.
    pub(crate) slots: Vec<Slot>,
    /// Those it took away.
    pub(crate) removed: Vec<Stored>,
}

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
    /// The parameters of its Contact that say what it can show, as they came.
    pub(crate) said: Bytes,
    /// The header CPI to go on with, if this request's headers say nothing: the stored one, if the Call-ID is
    /// the same (rule L5).
    pub(crate) kept_headers: Option<CpiId>,
    /// Whether there was a binding before.
    refreshes: bool,
}

impl Slot {
    /// What happened to it.
    pub(crate) fn event(&self) -> Option<ContactEvent> {
        let fresh = self.fresh.as_ref()?;
        Some(if fresh.refreshes { ContactEvent::Refreshed } else { ContactEvent::Created })
    }

    /// Whether there was a binding before the request.
    fn was_there(&self) -> bool {
        self.fresh.as_ref().is_none_or(|fresh| fresh.refreshes)
    }
}

/// What `registration` does; `live` are the bindings before.
pub(crate) fn decide(
    live: Vec<Stored>,
    registration: &Registration<'_>,
    options: &Options,
    now: u64,
) -> Result<Decision, Refusal> {
    let before = live.len();
    let mut table = Table::of(live);
    match &registration.contacts {
        Contacts::None => {}
        Contacts::Wildcard => {
            table.check_order(registration)?;
            table.removed =
                std::mem::take(&mut table.slots).into_iter().map(|(_, slot)| slot.binding).collect();
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
    let slots = table.slots.into_iter().map(|(_, slot)| slot).collect();
    Ok(Decision { slots, removed: table.removed })
}

struct Table {
    slots: Vec<(Uri, Slot)>,
    removed: Vec<Stored>,
}

impl Table {
    fn of(live: Vec<Stored>) -> Self {
        let slot = |binding: Stored| {
            let uri = Uri::shared(binding.uri.clone()).ok()?;
            Some((uri, Slot { binding, fresh: None }))
        };
        Self { slots: live.into_iter().filter_map(slot).collect(), removed: Vec::new() }
    }

    fn check_order(&self, registration: &Registration<'_>) -> Result<(), Refusal> {
        if self.slots.iter().any(|(_, slot)| is_out_of_order(slot, registration)) {
            return Err(Refusal::OutOfOrder);
        }
        Ok(())
    }

    fn apply(
        &mut self,
        contact: &NewContact,
        registration: &Registration<'_>,
        options: &Options,
        now: u64,
    ) -> Result<(), Refusal> {
        let lifetime = contact.lifetime;
        if lifetime > 0 && lifetime < NEVER_TOO_BRIEF && lifetime < options.min_expires {
            return Err(Refusal::TooBrief { min_expires: options.min_expires });
        }
        let reg_id = registration.reg_id(contact);
        let place = self.find(contact, reg_id);
        if let Some((_, slot)) = place.and_then(|at| self.slots.get(at))
            && is_out_of_order(slot, registration)
        {
            return Err(Refusal::OutOfOrder);
        }
        if lifetime == 0 {
            if let Some(at) = place {
                let (_, slot) = self.slots.remove(at);
                self.removed.extend(slot.was_there().then_some(slot.binding));
            }
            return Ok(());
        }
        let lifetime = lifetime.min(options.max_expires);
        let old = place.and_then(|at| self.slots.get(at)).map(|(_, slot)| slot);
        let kept_headers = old.and_then(|slot| kept_headers(slot, registration));
        let gruu = self.gruus_of(contact, reg_id, registration, now);
        let binding = Stored { reg_id, gruu, ..stored(contact, registration, now, lifetime) };
        let refreshes = place.and_then(|at| self.slots.get(at)).is_some_and(|(_, slot)| slot.was_there());
        let fresh = Some(Fresh { said: contact.said.clone(), kept_headers, refreshes });
        let new = (contact.uri.clone(), Slot { binding, fresh });
        match place.and_then(|at| self.slots.get_mut(at)) {
            Some(slot) => *slot = new,
            None => self.slots.push(new),
        }
        Ok(())
    }

    /// The binding that a Contact means: that of its device's flow (RFC 5626 §6), else the one of its URI.
    /// Equivalence of URIs is not transitive, so several may be: one written the same comes first, then the
    /// oldest. A flow's binding is refreshed by its device alone, and removed by whoever names its URI.
    fn find(&self, contact: &NewContact, reg_id: Option<u32>) -> Option<usize> {
        if let (Some(_), Some(id)) = (reg_id, &contact.instance) {
            return self
                .slots
                .iter()
                .position(|(_, slot)| slot.binding.reg_id == reg_id && slot.binding.is_of_instance(id));
        }
        let counts = |slot: &Slot| slot.binding.reg_id.is_none() || contact.lifetime == 0;
        let same = self.slots.iter().position(|(uri, slot)| counts(slot) && *uri == contact.uri);
        // RFC 5630 §5.1.1.1: a SIPS Contact takes the place of the SIP Contact it corresponds to, and the other way round.
        let plain = contact.uri.as_sip();
        same.or_else(|| {
            self.slots.iter().position(|(uri, slot)| counts(slot) && uri.as_sip().equivalent(&plain))
        })
    }

    /// What the temporary GRUUs of the Contact's device are told by from now on: the same as before, unless
    /// its latest registration (over this flow, if it has one) had another Call-ID (RFC 5627 §5.1).
    fn gruus_of(
        &mut self,
        contact: &NewContact,
        reg_id: Option<u32>,
        registration: &Registration<'_>,
        now: u64,
    ) -> Option<Generation> {
        let id = contact.instance.as_deref()?;
        if !registration.supports.gruu && self.slots.iter().all(|(_, slot)| slot.binding.gruu.is_none()) {
            return None;
        }
        let of_device =
            || self.slots.iter().map(|(_, slot)| slot).filter(|slot| slot.binding.is_of_instance(id));
        let known = of_device().find_map(|slot| slot.binding.gruu);
        let of_flow = of_device().filter(|slot| slot.binding.reg_id == reg_id);
        let latest = of_flow.max_by_key(|slot| slot.binding.refreshed_at);
        let restarted = latest.is_some_and(|slot| slot.binding.call_id != registration.call_id);
        if known.is_some() && !restarted {
            return known;
        }
        let (call_id, cseq) = (&registration.call_id, registration.cseq);
        let new = registration.supports.gruu.then(|| gruu::generation(call_id, cseq, now));
        if known.is_some() {
            let slots =
                self.slots.iter_mut().map(|(_, slot)| slot).filter(|slot| slot.binding.is_of_instance(id));
            slots.for_each(|slot| slot.binding.gruu = new);
        }
        new
    }
}

/// Same Call-ID and a CSeq that is not higher. A Contact that stands twice in one request meets the first of
/// the two here, which is no earlier request: the last one counts.
fn is_out_of_order(slot: &Slot, registration: &Registration<'_>) -> bool {
    slot.fresh.is_none()
        && slot.binding.call_id == registration.call_id
        && registration.cseq <= slot.binding.cseq
}

fn kept_headers(old: &Slot, registration: &Registration<'_>) -> Option<CpiId> {
    match &old.fresh {
        Some(fresh) => fresh.kept_headers,
        None => old.binding.headers.filter(|_| old.binding.call_id == registration.call_id),
    }
}

fn stored(contact: &NewContact, registration: &Registration<'_>, now: u64, lifetime: u32) -> Stored {
    Stored {
        uri: Bytes::copy_from_slice(contact.uri.as_bytes()),
        params: contact.params.clone(),
        q: None,
        call_id: registration.call_id.clone(),
        cseq: registration.cseq,
        expires_at: now.saturating_add(lifetime.into()),
        refreshed_at: now,
        path: registration.path.clone(),
        source: registration.source.clone(),
        boot: 0,
        reg_id: None,
        gruu: None,
        headers: None,
        effective: None,
    }
}
