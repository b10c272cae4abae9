//! Which messages wait for whom, in memory: their order, and what counts against whose quota.
//!
//! Pure: numbers and times come in. A message takes its place before it is written, so that many writers
//! together stay within a quota, and is seen by others once it is durable.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use store::Version;

use super::shelf::Gone;
use crate::settings::Offline as Quotas;

/// What a new message wants of the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) aor: Arc<str>,
    pub(crate) sender: Arc<str>,
    pub(crate) octets: u64,
    pub(crate) fingerprint: u64,
    /// Unix seconds.
    pub(crate) expires_at: u64,
}

/// Why a message gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    /// The same request waits already.
    #[error("it waits already")]
    Waits,
    /// Too much waits for that user.
    #[error("too much waits for this user")]
    User,
    /// Too much waits of that sender.
    #[error("too much of this sender waits to be delivered")]
    Sender,
    /// Too much waits altogether.
    #[error("the offline store is full")]
    All,
}

impl NoPlace {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            NoPlace::Waits => "repeated",
            NoPlace::User => "user",
            NoPlace::Sender => "sender",
            NoPlace::All => "all",
        }
    }
}

/// One message that waits.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// `None` until it is durable.
    pub(crate) version: Option<Version>,
    pub(crate) sender: Arc<str>,
    pub(crate) octets: u64,
    pub(crate) fingerprint: u64,
    pub(crate) expires_at: u64,
    /// When an attempt last counted, Unix seconds.
    pub(crate) counted_at: u64,
    /// It waits for nothing but its removal.
    pub(crate) done: bool,
}

/// Messages and their octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub messages: u64,
    /// Their octets together.
    pub octets: u64,
}

/// All that waits.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    users: BTreeMap<Arc<str>, User>,
    senders: HashMap<Arc<str>, Tally>,
    all: Tally,
    /// The last number given.
    last: u64,
}

#[derive(Debug, Default)]
struct User {
    entries: BTreeMap<u64, Entry>,
    tally: Tally,
}

impl Ledger {
    /// Gives a message its number among those of its user: later ones have larger numbers, over restarts
    /// too as long as the clock does not go back behind what was loaded.
    pub(crate) fn claim(&mut self, claim: &Claim, micros: u64, quotas: &Quotas) -> Result<u64, NoPlace> {
        let user = self.users.get(&claim.aor);
        let same = |entry: &Entry| entry.version.is_some() && entry.fingerprint == claim.fingerprint;
        if user.is_some_and(|user| user.entries.values().any(same)) {
            return Err(NoPlace::Waits);
        }
        let fits = |tally: Tally, messages: u32, octets: u64| {
            tally.messages < u64::from(messages) && tally.octets.saturating_add(claim.octets) <= octets
        };
        if !fits(self.all, quotas.messages, quotas.octets) {
            return Err(NoPlace::All);
        }
        if !fits(user.map_or_else(Tally::default, |u| u.tally), quotas.user_messages, quotas.user_octets) {
            return Err(NoPlace::User);
        }
        let sent = self.senders.get(&claim.sender).copied().unwrap_or_default();
        if !fits(sent, quotas.sender_messages, quotas.sender_octets) {
            return Err(NoPlace::Sender);
        }
        let number = micros.max(self.last.saturating_add(1));
        self.enter(claim, number, None);
        Ok(number)
    }

    /// Takes up what the store held.
    pub(crate) fn load(&mut self, claim: &Claim, number: u64, version: Version) {
        self.enter(claim, number, Some(version));
    }

    fn enter(&mut self, claim: &Claim, number: u64, version: Option<Version>) {
        self.last = self.last.max(number);
        let sender = match self.senders.get_key_value(&claim.sender) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::clone(&claim.sender),
        };
        self.senders.entry(Arc::clone(&sender)).or_default().add(claim.octets);
        self.all.add(claim.octets);
        let user = self.users.entry(Arc::clone(&claim.aor)).or_default();
        user.tally.add(claim.octets);
        let Claim { octets, fingerprint, expires_at, .. } = *claim;
        let entry = Entry { version, sender, octets, fingerprint, expires_at, counted_at: 0, done: false };
        user.entries.insert(number, entry);
    }

    /// The message is durable in this version.
    pub(crate) fn settle(&mut self, aor: &str, number: u64, version: Version) {
        if let Some(entry) = self.entry(aor, number) {
            entry.version = Some(version);
        }
    }

    /// Says whether an attempt at `now` counts: not within `apart` seconds of the last that did.
    pub(crate) fn counts(&mut self, aor: &str, number: u64, now: u64, apart: u64) -> bool {
        let Some(entry) = self.entry(aor, number) else { return false };
        let counts = entry.counted_at == 0 || entry.counted_at.saturating_add(apart) <= now;
        if counts {
            entry.counted_at = now;
        }
        counts
    }

    /// The message waits no longer, and will be removed when that can be written.
    pub(crate) fn done(&mut self, aor: &str, number: u64) {
        if let Some(entry) = self.entry(aor, number) {
            entry.done = true;
        }
    }

    /// The message waits no longer.
    pub(crate) fn strike(&mut self, aor: &str, number: u64) -> Option<Entry> {
        let user = self.users.get_mut(aor)?;
        let entry = user.entries.remove(&number)?;
        user.tally.take(entry.octets);
        if user.entries.is_empty() {
            self.users.remove(aor);
        }
        self.all.take(entry.octets);
        if let Some(tally) = self.senders.get_mut(&entry.sender) {
            tally.take(entry.octets);
            if tally.messages == 0 {
                self.senders.remove(&entry.sender);
            }
        }
        Some(entry)
    }

    /// The durable message behind `after` of a user, with its version and until when it is good.
    pub(crate) fn next(&self, aor: &str, after: u64) -> Option<(u64, Version, u64)> {
        let behind = self.users.get(aor)?.entries.range(after.saturating_add(1)..);
        let mut waiting = behind.filter(|(_, entry)| !entry.done);
        waiting.find_map(|(&number, entry)| Some((number, entry.version?, entry.expires_at)))
    }

    /// Whether anything durable waits for a user.
    pub(crate) fn waits(&self, aor: &str) -> bool {
        self.next(aor, 0).is_some()
    }

    /// What is durable and done with, or no longer good at `now`; at most `most`.
    pub(crate) fn over(&self, now: u64, most: usize) -> Vec<(Arc<str>, u64, Gone)> {
        let of_user = |(aor, user): (&Arc<str>, &User)| {
            let durable = user.entries.iter().filter(|(_, entry)| entry.version.is_some());
            let over = durable.filter(|(_, entry)| entry.done || entry.expires_at <= now);
            let why = |entry: &Entry| if entry.done { Gone::Delivered } else { Gone::Expired };
            over.map(|(&number, entry)| (Arc::clone(aor), number, why(entry))).collect::<Vec<_>>()
        };
        self.users.iter().flat_map(of_user).take(most).collect()
    }

    /// Users behind `after` for whom something waits, in the order of their names.
    pub(crate) fn users(&self, after: &str, most: usize) -> Vec<(Arc<str>, Tally)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let behind = self.users.range::<str, _>((Excluded(after), Unbounded));
        behind.take(most).map(|(aor, user)| (Arc::clone(aor), user.tally)).collect()
    }

    /// The numbers of what is durable and waits for a user, in order.
    pub(crate) fn numbers(&self, aor: &str) -> Vec<u64> {
        let entries = self.users.get(aor).map(|user| user.entries.iter()).into_iter().flatten();
        entries
            .filter(|(_, entry)| entry.version.is_some() && !entry.done)
            .map(|(&number, _)| number)
            .collect()
    }

    /// What waits altogether.
    pub(crate) const fn all(&self) -> Tally {
        self.all
    }

    fn entry(&mut self, aor: &str, number: u64) -> Option<&mut Entry> {
        self.users.get_mut(aor)?.entries.get_mut(&number)
    }
}

impl Tally {
    fn add(&mut self, octets: u64) {
        self.messages += 1;
        self.octets = self.octets.saturating_add(octets);
    }

    fn take(&mut self, octets: u64) {
        self.messages = self.messages.saturating_sub(1);
        self.octets = self.octets.saturating_sub(octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(aor: &str, sender: &str, octets: u64, fingerprint: u64) -> Claim {
        Claim { aor: aor.into(), sender: sender.into(), octets, fingerprint, expires_at: 100 }
    }

    /// Each quota small in its turn.
    fn quotas(change: impl FnOnce(&mut Quotas)) -> Quotas {
        let mut quotas = Quotas::default();
        change(&mut quotas);
        quotas
    }

    fn enter(ledger: &mut Ledger, claim: &Claim, quotas: &Quotas) -> Result<u64, NoPlace> {
        let number = ledger.claim(claim, 0, quotas)?;
        ledger.settle(&claim.aor, number, number);
        Ok(number)
    }

    #[test]
    fn messages_of_a_user_come_in_the_order_they_came_and_only_when_durable() {
        let (mut ledger, quotas) = (Ledger::default(), Quotas::default());
        let first = ledger.claim(&claim("a", "s", 1, 1), 50, &quotas).unwrap();
        let second = ledger.claim(&claim("a", "s", 1, 2), 10, &quotas).unwrap();
        assert!(second > first, "a clock that goes back puts nothing in front");
        assert!(!ledger.waits("a"));
        ledger.settle("a", second, 8);
        assert_eq!(ledger.next("a", 0), Some((second, 8, 100)));
        ledger.settle("a", first, 7);
        assert_eq!(ledger.next("a", 0), Some((first, 7, 100)));
        assert_eq!(ledger.next("a", first), Some((second, 8, 100)));
        assert_eq!(ledger.next("a", second), None);
    }

    #[test]
    fn every_quota_refuses_one_more_and_is_free_again_when_something_goes() {
        let cases: [(Quotas, NoPlace); 6] = [
            (quotas(|q| q.user_messages = 1), NoPlace::User),
            (quotas(|q| q.user_octets = 15), NoPlace::User),
            (quotas(|q| q.sender_messages = 1), NoPlace::Sender),
            (quotas(|q| q.sender_octets = 15), NoPlace::Sender),
            (quotas(|q| q.messages = 1), NoPlace::All),
            (quotas(|q| q.octets = 15), NoPlace::All),
        ];
        for (quotas, expected) in cases {
            let mut ledger = Ledger::default();
            let first = enter(&mut ledger, &claim("a", "s", 10, 1), &quotas).unwrap();
            assert_eq!(enter(&mut ledger, &claim("a", "s", 10, 2), &quotas), Err(expected));
            ledger.strike("a", first);
            assert_eq!(ledger.all(), Tally::default());
            enter(&mut ledger, &claim("a", "s", 10, 2), &quotas).unwrap();
        }
    }

    #[test]
    fn one_sender_fills_his_own_quota_over_all_recipients_and_nobody_elses() {
        let (mut ledger, quotas) = (Ledger::default(), quotas(|q| q.sender_messages = 2));
        for (number, aor) in ["a", "b"].into_iter().enumerate() {
            enter(&mut ledger, &claim(aor, "s", 1, number as u64), &quotas).unwrap();
        }
        assert_eq!(enter(&mut ledger, &claim("c", "s", 1, 9), &quotas), Err(NoPlace::Sender));
        assert!(enter(&mut ledger, &claim("c", "t", 1, 9), &quotas).is_ok());
    }

    #[test]
    fn a_repetition_of_what_waits_takes_no_second_place() {
        let (mut ledger, quotas) = (Ledger::default(), Quotas::default());
        let first = enter(&mut ledger, &claim("a", "s", 1, 1), &quotas).unwrap();
        assert_eq!(enter(&mut ledger, &claim("a", "s", 1, 1), &quotas), Err(NoPlace::Waits));
        assert!(enter(&mut ledger, &claim("b", "s", 1, 1), &quotas).is_ok());
        ledger.strike("a", first);
        assert!(enter(&mut ledger, &claim("a", "s", 1, 1), &quotas).is_ok());
    }

    #[test]
    fn attempts_in_quick_succession_count_once() {
        let (mut ledger, quotas) = (Ledger::default(), Quotas::default());
        let number = enter(&mut ledger, &claim("a", "s", 1, 1), &quotas).unwrap();
        assert!(ledger.counts("a", number, 1000, 60));
        assert!(!ledger.counts("a", number, 1059, 60));
        assert!(ledger.counts("a", number, 1060, 60));
    }

    #[test]
    fn what_is_done_with_is_delivered_no_more_and_cleared_away() {
        let (mut ledger, quotas) = (Ledger::default(), Quotas::default());
        let number = enter(&mut ledger, &claim("a", "s", 1, 1), &quotas).unwrap();
        ledger.done("a", number);
        assert!(!ledger.waits("a") && ledger.numbers("a").is_empty());
        assert_eq!(ledger.over(0, 10), [("a".into(), number, Gone::Delivered)]);
    }

    #[test]
    fn what_is_over_is_found_and_users_are_listed_page_by_page() {
        let (mut ledger, quotas) = (Ledger::default(), Quotas::default());
        for aor in ["a", "b", "c"] {
            enter(&mut ledger, &claim(aor, "s", 2, 1), &quotas).unwrap();
        }
        assert_eq!(ledger.over(99, 10).len(), 0);
        assert_eq!(ledger.over(100, 2).len(), 2);
        let page = |after| ledger.users(after, 2).iter().map(|(aor, _)| aor.to_string()).collect::<Vec<_>>();
        assert_eq!((page(""), page("b")), (vec!["a".into(), "b".into()], vec!["c".into()]));
    }
}
