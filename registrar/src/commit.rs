//! A REGISTER takes effect: decided on what there is, written, told to whoever follows.

use bytes::Bytes;
use cpi::Cpi;
use store::SwapError;

use crate::feed::ContactEvent;
use crate::interned::Pinned;
use crate::options::Options;
use crate::outcome::Refusal;
use crate::record::{Record, Stored};
use crate::request::{Contacts, Registration};
use crate::rules::{self, Decision, Slot};
use crate::said::{Meaning, Words};
use crate::{Registrar, Settings};

/// How often a REGISTER is decided anew because another for the same AOR was faster.
const ATTEMPTS: usize = 32;

impl Registrar {
    /// Steps 6 and 7 of CPI.md 6.1, and the commit. Returns the bindings there are then.
    pub(crate) async fn commit(
        &self,
        registration: &Registration<'_>,
        settings: &Settings,
        now: u64,
    ) -> Result<Vec<Stored>, Refusal> {
        let options = &settings.options;
        for _ in 0..ATTEMPTS {
            let (version, record) = self.load(&registration.aor).unzip();
            let record = record.unwrap_or_default();
            let (ended, devices) = (record.ended_at(), record.devices());
            let (mut live, expired) = record.part(now);
            live.iter_mut().for_each(|binding| binding.set_back(now));
            if matches!(registration.contacts, Contacts::None) {
                return Ok(live);
            }
            let had: Vec<_> =
                live.iter().map(|stored| (stored.uri.clone(), stored.call_id.clone())).collect();
            let Decision { slots, removed } = rules::decide(live, registration, options, now)?;
            if slots.is_empty() && had.is_empty() {
                return Ok(Vec::new());
            }
            if version.is_none() && self.records.len() >= options.users {
                return Err(Refusal::RegistrarFull);
            }
            let events: Vec<_> = slots.iter().map(Slot::event).collect();
            let (bindings, _pinned) = self.equip(slots, registration, settings).await?;
            let ended = if had.is_empty() { ended.unwrap_or(now) } else { now };
            let record = Record::new(bindings, ended, devices);
            match self.records.swap(registration.aor.as_bytes(), version, Some(record.encode())).await {
                Ok(version) => {
                    self.forget_learned(&registration.aor, &had, &record);
                    self.publish(&registration.aor, version, || {
                        let gone = expired.into_iter().map(|each| (each, ContactEvent::Expired));
                        let removed = removed.into_iter().map(|each| (each, ContactEvent::Unregistered));
                        let changed = record.bindings.iter().cloned().zip(events);
                        let changed = changed.filter_map(|(each, event)| Some((each, event?)));
                        gone.chain(removed).chain(changed).collect()
                    });
                    return Ok(record.bindings);
                }
                Err(SwapError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::Busy)
    }

    /// Gives each binding that the request adds or refreshes its CPI (rules L1, L2, L5). The pins keep a CPI
    /// from being cleared away before the record that names it is written.
    async fn equip(
        &self,
        slots: Vec<Slot>,
        registration: &Registration<'_>,
        settings: &Settings,
    ) -> Result<(Vec<Stored>, Vec<Pinned>), Refusal> {
        let (mut bindings, mut pinned, mut octets) = (Vec::with_capacity(slots.len()), Vec::new(), 0);
        for Slot { mut binding, fresh } in slots {
            if let Some(fresh) = fresh {
                let (request, kept) = (registration.request, fresh.kept_headers);
                let words = Words { request, params: &fresh.said, kept };
                let meaning = self.understand(&words, settings, &mut pinned).await?;
                binding.boot = self.boot;
                binding.q = meaning.q;
                binding.headers = meaning.headers;
                binding.effective = meaning.effective;
            }
            octets += binding.effective.map_or(0, |id| self.cpis.octets(id));
            bindings.push(binding);
        }
        if octets > settings.options.cpi_octets {
            return Err(Refusal::CapabilitiesTooLarge);
        }
        Ok((bindings, pinned))
    }

    /// What a terminal says, worked out only if nobody said it before.
    async fn understand(
        &self,
        words: &Words<'_>,
        settings: &Settings,
        pinned: &mut Vec<Pinned>,
    ) -> Result<Meaning, Refusal> {
        let key = settings.said.key(words, &settings.options);
        if let Some(meaning) = settings.said.find(key)
            && self.pin_known(meaning, pinned)
        {
            return Ok(meaning);
        }
        let meaning = Box::pin(self.work_out(words, &settings.options, pinned)).await?;
        settings.said.remember(key, meaning);
        Ok(meaning)
    }

    async fn work_out(
        &self,
        words: &Words<'_>,
        options: &Options,
        pinned: &mut Vec<Pinned>,
    ) -> Result<Meaning, Refusal> {
        let contact = words.contact(options);
        let kept = words.kept.and_then(|id| self.cpis.find(id));
        let headers = cpi::merge::refresh(kept.as_deref(), words.headers(options), kept.is_some());
        let headers = headers.with_source(cpi::Source::Binding);
        let effective = cpi::merge::binding(&headers, &contact);
        // Most terminals say what they can show once, in the headers.
        let is_same = headers == effective;
        let headers = self.pin(&headers, options).await?;
        let effective = match &headers {
            Some(pinned) if is_same => Some(pinned.again()),
            _ => self.pin(&effective, options).await?,
        };
        let id = |pinned: &Option<Pinned>| pinned.as_ref().map(Pinned::id);
        let meaning = Meaning { q: contact.q, headers: id(&headers), effective: id(&effective) };
        pinned.extend(headers.into_iter().chain(effective));
        Ok(meaning)
    }

    /// Pins what was worked out before, unless some of it was cleared away since.
    fn pin_known(&self, meaning: Meaning, pinned: &mut Vec<Pinned>) -> bool {
        let ids = [meaning.headers, meaning.effective].into_iter().flatten();
        let before = pinned.len();
        for id in ids {
            let Some(pin) = self.cpis.pin_known(id) else {
                pinned.truncate(before);
                return false;
            };
            pinned.push(pin);
        }
        true
    }

    async fn pin(&self, cpi: &Cpi, options: &Options) -> Result<Option<Pinned>, Refusal> {
        let says_nothing = cpi.is_unknown() && cpi.features.is_empty() && cpi.user_agent.is_none();
        if says_nothing {
            return Ok(None);
        }
        self.cpis.pin(cpi, options).await.map(Some)
    }

    /// What was learned of a terminal ends with its binding, or with its Call-ID (rule L7).
    fn forget_learned(&self, aor: &str, had: &[(Bytes, Bytes)], record: &Record) {
        if self.learned.is_empty() {
            return;
        }
        let has: Vec<_> = record.bindings.iter().map(|now| (now.uri.clone(), now.call_id.clone())).collect();
        let gone = had.iter().filter(|each| !has.contains(each));
        let new = has.iter().filter(|each| !had.contains(each));
        gone.chain(new).for_each(|(uri, _)| self.learned.forget(aor, uri));
    }
}
