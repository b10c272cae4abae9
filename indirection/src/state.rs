//! What the store knows in memory: which links there are, which blobs they hold, and how much that is.

use std::collections::{BTreeSet, HashMap, VecDeque, hash_map};
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
    /// Whether it is being taken away: nobody may hold it before that is over.
    leaving: bool,
}

/// What [`State::hold`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// It is stored already.
    Stored,
    /// It is to be written.
    Absent,
    /// It is being taken away, and not held: ask again once [`State::left`] was called.
    Leaving,
}

/// What one sender has lying here: each content once, however many it was sent to.
#[derive(Debug, Default)]
struct Sent {
    octets: u64,
    links: HashMap<Sum, u32>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    links: HashMap<Sum, Entry>,
    /// Links that are about to be.
    promised: usize,
    blobs: HashMap<Sum, Blob>,
    recipients: HashMap<Sum, u64>,
    senders: HashMap<Sum, Sent>,
    /// When live links end, and when expired ones are forgotten; both with the key of `links`.
    ends: BTreeSet<(u64, Sum)>,
    graves: BTreeSet<(u64, Sum)>,
    /// Blobs that nobody held when they were let go.
    idle: VecDeque<Sum>,
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

    /// The live links to what is for `recipient`.
    pub(crate) fn of_recipient(&self, recipient: &Sum) -> Vec<Sum> {
        let theirs = self.links.iter().filter(|(_, entry)| match entry {
            Entry::Live(record) => record.recipient.as_ref() == Some(recipient),
            Entry::Gone => false,
        });
        theirs.map(|(link, _)| *link).collect()
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

    /// Counts `octets` no more as arriving.
    pub(crate) fn arrived(&mut self, octets: u64) {
        self.arriving = self.arriving.saturating_sub(octets);
    }

    /// Counts a link that is about to be, if it may: against the links there may be, and for its sender and its
    /// recipient. Who got this either makes the [link](State::link) or [takes it back](State::unpromise).
    pub(crate) fn promise(&mut self, share: &Share, options: &Options) -> Result<(), PutError> {
        if self.links.len() + self.promised >= options.max_links {
            return Err(PutError::TooManyLinks { limit: options.max_links });
        }
        if let Some(recipient) = &share.recipient {
            let (held, limit) = (self.recipients.get(recipient).copied(), options.recipient_octets);
            if held.unwrap_or(0).saturating_add(share.octets) > limit {
                return Err(PutError::RecipientFull { limit });
            }
        }
        if let Some(sent) = share.sender.as_ref().and_then(|sender| self.senders.get(sender)) {
            let (more, limit) = (!sent.links.contains_key(&share.blob), options.sender_octets);
            if more && sent.octets.saturating_add(share.octets) > limit {
                return Err(PutError::SenderFull { limit });
            }
        } else if share.sender.is_some() && share.octets > options.sender_octets {
            return Err(PutError::SenderFull { limit: options.sender_octets });
        }
        self.count(share);
        self.promised += 1;
        Ok(())
    }

    pub(crate) fn unpromise(&mut self, share: &Share) {
        self.promised = self.promised.saturating_sub(1);
        self.uncount(share);
    }

    fn count(&mut self, share: &Share) {
        if let Some(recipient) = share.recipient {
            *self.recipients.entry(recipient).or_default() += share.octets;
        }
        if let Some(sender) = share.sender {
            let sent = self.senders.entry(sender).or_default();
            let links = sent.links.entry(share.blob).or_default();
            if *links == 0 {
                sent.octets += share.octets;
            }
            *links = links.saturating_add(1);
        }
    }

    fn uncount(&mut self, share: &Share) {
        let recipient = share.recipient.map(|recipient| self.recipients.entry(recipient));
        if let Some(hash_map::Entry::Occupied(mut held)) = recipient {
            *held.get_mut() = held.get().saturating_sub(share.octets);
            if *held.get() == 0 {
                held.remove();
            }
        }
        let sender = share.sender.map(|sender| self.senders.entry(sender));
        if let Some(hash_map::Entry::Occupied(mut sent)) = sender {
            if let hash_map::Entry::Occupied(mut links) = sent.get_mut().links.entry(share.blob) {
                *links.get_mut() -= 1;
                if *links.get() == 0 {
                    links.remove();
                    sent.get_mut().octets = sent.get().octets.saturating_sub(share.octets);
                }
            }
            if sent.get().links.is_empty() {
                sent.remove();
            }
        }
    }

    /// Holds a blob so that no sweep takes it, unless it is just being taken away.
    pub(crate) fn hold(&mut self, blob: Sum, octets: u64) -> Held {
        match self.blobs.entry(blob) {
            hash_map::Entry::Occupied(known) if known.get().leaving => Held::Leaving,
            hash_map::Entry::Occupied(mut known) => {
                known.get_mut().holders += 1;
                if known.get().stored { Held::Stored } else { Held::Absent }
            }
            hash_map::Entry::Vacant(place) => {
                place.insert(Blob { octets, holders: 1, stored: false, leaving: false });
                self.stored += octets;
                Held::Absent
            }
        }
    }

    pub(crate) fn is_stored(&mut self, blob: &Sum) {
        if let Some(blob) = self.blobs.get_mut(blob) {
            blob.stored = true;
        }
    }

    /// Lets a blob go. When nobody holds it any more it is [idle](State::next_idle).
    pub(crate) fn let_go(&mut self, blob: &Sum) {
        let Some(known) = self.blobs.get_mut(blob) else { return };
        known.holders = known.holders.saturating_sub(1);
        if known.holders == 0 {
            self.idle.push_back(*blob);
        }
    }

    pub(crate) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// A blob nobody holds. It is leaving from here on, and the caller takes it away.
    pub(crate) fn next_idle(&mut self) -> Option<Sum> {
        while let Some(blob) = self.idle.pop_front() {
            if let Some(known) =
                self.blobs.get_mut(&blob).filter(|known| known.holders == 0 && !known.leaving)
            {
                known.leaving = true;
                return Some(blob);
            }
        }
        None
    }

    /// A leaving blob has left, or could not be taken away and is idle again.
    pub(crate) fn left(&mut self, blob: &Sum, has_left: bool) {
        if has_left {
            if let Some(gone) = self.blobs.remove(blob) {
                self.stored = self.stored.saturating_sub(gone.octets);
            }
        } else if let Some(known) = self.blobs.get_mut(blob) {
            known.leaving = false;
            self.idle.push_back(*blob);
        }
    }

    pub(crate) fn holds(&self, blob: &Sum) -> bool {
        self.blobs.contains_key(blob)
    }

    /// Adds a link whose blob is [held](State::hold), [promised](State::promise) before.
    pub(crate) fn link(&mut self, link: Sum, record: Arc<Record>) {
        self.promised = self.promised.saturating_sub(1);
        self.insert(link, record);
    }

    /// Adds a link that was there when the store was closed.
    pub(crate) fn restore(&mut self, link: Sum, record: Arc<Record>) {
        self.count(&Share::of(&record));
        self.insert(link, record);
    }

    fn insert(&mut self, link: Sum, record: Arc<Record>) {
        self.ends.insert((record.expires, link));
        self.links.insert(link, Entry::Live(record));
    }

    /// Adds an expired link, known until `until`.
    pub(crate) fn bury(&mut self, link: Sum, until: u64) {
        self.graves.insert((until, link));
        self.links.insert(link, Entry::Gone);
    }

    /// Ends a live link, and lets its blob go.
    pub(crate) fn end(&mut self, link: &Sum) -> Option<Arc<Record>> {
        let Some(Entry::Live(record)) = self.links.get(link) else { return None };
        let record = Arc::clone(record);
        self.links.remove(link);
        self.ends.remove(&(record.expires, *link));
        self.uncount(&Share::of(&record));
        self.let_go(&record.blob);
        Some(record)
    }

    /// Ends the next link whose time was over before `now`; it is a tombstone from here on.
    pub(crate) fn end_next(&mut self, now: u64, tombstone: u64) -> bool {
        let Some(&(end, link)) = self.ends.first().filter(|(end, _)| *end < now) else { return false };
        self.end(&link);
        self.bury(link, end.saturating_add(tombstone));
        true
    }

    /// The next tombstone whose time is over.
    pub(crate) fn next_forgotten(&mut self, now: u64) -> Option<Sum> {
        let &(_, link) = self.graves.first().filter(|(until, _)| *until < now)?;
        self.graves.pop_first();
        self.links.remove(&link);
        Some(link)
    }
}

/// For whom a link counts.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) blob: Sum,
    pub(crate) octets: u64,
    /// Keyed hashes of the AORs.
    pub(crate) recipient: Option<Sum>,
    pub(crate) sender: Option<Sum>,
}

impl Share {
    fn of(record: &Record) -> Share {
        Share { blob: record.blob, octets: record.size, recipient: record.recipient, sender: record.sender }
    }
}
