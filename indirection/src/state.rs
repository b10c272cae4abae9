//! What the store knows in memory: which links there are, which blobs they hold, and how much that is.

use std::collections::{BTreeSet, HashMap, hash_map};
use std::sync::Arc;

use crate::error::PutError;
use crate::record::Record;
use crate::store::Options;
use crate::token::Sum;

/// A link, or what is left of it.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Live(Arc<Record>),
    /// Expired: answered 410 for a while.
    Gone,
}

/// A stored content.
#[derive(Debug)]
struct Blob {
    octets: u64,
    /// Links to it, and puts that are about to make one.
    holders: u64,
    /// Whether it is durable; until then each put writes it for itself.
    stored: bool,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    links: HashMap<Sum, Entry>,
    blobs: HashMap<Sum, Blob>,
    recipients: HashMap<Sum, u64>,
    /// When live links end, and when expired ones are forgotten; both with the key of `links`.
    ends: BTreeSet<(u64, Sum)>,
    graves: BTreeSet<(u64, Sum)>,
    /// Octets of all blobs.
    stored: u64,
    /// Octets being received whose blob is not known yet.
    arriving: u64,
}

impl State {
    pub(crate) fn entry(&self, link: &Sum) -> Option<(&Sum, &Entry)> {
        self.links.get_key_value(link)
    }

    pub(crate) fn counts(&self) -> (usize, usize, u64) {
        (self.ends.len(), self.blobs.len(), self.stored)
    }

    /// Counts `octets` more as arriving.
    pub(crate) fn arrive(&mut self, octets: u64, options: &Options) -> Result<(), PutError> {
        let limit = options.quota_octets;
        if self.stored.saturating_add(self.arriving).saturating_add(octets) > limit {
            return Err(PutError::QuotaFull { limit });
        }
        self.arriving += octets;
        Ok(())
    }

    pub(crate) fn arrived(&mut self, octets: u64) {
        self.arriving = self.arriving.saturating_sub(octets);
    }

    /// Whether a link of `octets` for `recipient` may be added.
    pub(crate) fn admit(
        &self,
        recipient: Option<&Sum>,
        octets: u64,
        options: &Options,
    ) -> Result<(), PutError> {
        if self.links.len() >= options.max_links {
            return Err(PutError::TooManyLinks { limit: options.max_links });
        }
        let held = recipient.and_then(|recipient| self.recipients.get(recipient)).copied().unwrap_or(0);
        if recipient.is_some() && held.saturating_add(octets) > options.recipient_octets {
            return Err(PutError::RecipientFull { limit: options.recipient_octets });
        }
        Ok(())
    }

    /// Holds a blob so that no sweep takes it. True if it is stored already.
    pub(crate) fn hold(&mut self, blob: Sum, octets: u64) -> bool {
        match self.blobs.entry(blob) {
            hash_map::Entry::Occupied(mut known) => {
                known.get_mut().holders += 1;
                known.get().stored
            }
            hash_map::Entry::Vacant(place) => {
                place.insert(Blob { octets, holders: 1, stored: false });
                self.stored += octets;
                false
            }
        }
    }

    pub(crate) fn is_stored(&mut self, blob: &Sum) {
        if let Some(blob) = self.blobs.get_mut(blob) {
            blob.stored = true;
        }
    }

    /// Lets a blob go. True if nobody holds it any more: its file may go too, while the caller keeps the
    /// state locked.
    pub(crate) fn let_go(&mut self, blob: &Sum) -> bool {
        let Some(known) = self.blobs.get_mut(blob) else { return false };
        known.holders = known.holders.saturating_sub(1);
        if known.holders > 0 {
            return false;
        }
        self.stored = self.stored.saturating_sub(known.octets);
        self.blobs.remove(blob);
        true
    }

    pub(crate) fn holds(&self, blob: &Sum) -> bool {
        self.blobs.contains_key(blob)
    }

    /// Adds a link whose blob is [held](State::hold).
    pub(crate) fn link(&mut self, link: Sum, record: Arc<Record>) {
        if let Some(recipient) = record.recipient {
            *self.recipients.entry(recipient).or_default() += record.size;
        }
        self.ends.insert((record.expires, link));
        self.links.insert(link, Entry::Live(record));
    }

    /// Adds an expired link, known until `until`.
    pub(crate) fn bury(&mut self, link: Sum, until: u64) {
        self.graves.insert((until, link));
        self.links.insert(link, Entry::Gone);
    }

    /// The next link that ended before `now`; it is a tombstone from here on, and the caller lets its blob go.
    pub(crate) fn next_ended(&mut self, now: u64, tombstone: u64) -> Option<Arc<Record>> {
        let &(end, link) = self.ends.first().filter(|(end, _)| *end < now)?;
        self.ends.pop_first();
        let Some(Entry::Live(record)) = self.links.get(&link).cloned() else { return None };
        if let Some(hash_map::Entry::Occupied(mut held)) =
            record.recipient.map(|sum| self.recipients.entry(sum))
        {
            *held.get_mut() = held.get().saturating_sub(record.size);
            if *held.get() == 0 {
                held.remove();
            }
        }
        self.bury(link, end.saturating_add(tombstone));
        Some(record)
    }

    /// The next tombstone whose time is over.
    pub(crate) fn next_forgotten(&mut self, now: u64) -> Option<Sum> {
        let &(_, link) = self.graves.first().filter(|(until, _)| *until < now)?;
        self.graves.pop_first();
        self.links.remove(&link);
        Some(link)
    }
}
