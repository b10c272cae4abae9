//! Where a user is: the bindings that a request may go to, and in which order.

use std::sync::Arc;
use std::time::SystemTime;

use sip::Uri;

use crate::binding::Binding;
use crate::gruu::Device;
use crate::instance;
use crate::record::{Record, Stored};
use crate::{Registrar, UserName, unix_seconds};

/// Where an AOR is, or the device of a GRUU.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// Its bindings, the highest q first, among equals the most recently refreshed. Never empty. Of those that
    /// belong to one device only one at a time may get a request: see [`by_terminal`].
    Bindings(Vec<Arc<Binding>>),
    /// Nowhere, but it exists: a listed user, one whose last binding ended not long ago, or a device of such a
    /// user that had a public GRUU. 480.
    Known,
    /// No such user or device. 404.
    Unknown,
}

/// Groups the bindings of a [`Lookup`]: one group for each terminal, the most preferred terminal first. Of a
/// group only the first gets the request; the others, in their order, are other ways to the same terminal,
/// for when the one before was answered 430 or 408 or could not be reached, and after no other answer
/// (RFC 5626 §7, RFC 5627 §6.1). Bindings without an instance id are terminals of their own.
pub fn by_terminal(bindings: Vec<Arc<Binding>>) -> Vec<Vec<Arc<Binding>>> {
    let mut terminals: Vec<Vec<Arc<Binding>>> = Vec::with_capacity(bindings.len());
    for binding in bindings {
        let same = |other: &Arc<Binding>| match (binding.instance(), other.instance()) {
            (Some(id), Some(other)) => instance::same(&id, &other),
            _ => false,
        };
        match terminals.iter_mut().find(|ways| ways.first().is_some_and(same)) {
            Some(ways) => ways.push(binding),
            None => terminals.push(vec![binding]),
        }
    }
    for ways in &mut terminals {
        ways.sort_by_key(|way| std::cmp::Reverse(way.refreshed_at));
    }
    terminals.sort_by_key(|ways| std::cmp::Reverse(ways.first().map_or(0, |way| way.q)));
    terminals
}

impl Registrar {
    /// The bindings of the address of record `aor`, whose URI parameters don't count, or of one device of a
    /// user, if it is a GRUU (RFC 5627 §6.1: `gr` stays until here).
    pub fn lookup(&self, aor: &Uri, now: SystemTime) -> Lookup {
        let (settings, now) = (self.settings(), unix_seconds(now));
        let asks_for_device = aor.param(b"gr").is_some();
        let device = if asks_for_device { self.gruu_key.read(aor) } else { None };
        let aor = match &device {
            Some((user, _)) => settings.options.aor(user),
            None if asks_for_device => None,
            None => settings.options.aor(aor),
        };
        let Some(aor) = aor else { return Lookup::Unknown };
        if device.is_none()
            && let Some(live) = self.recent(&aor, now)
        {
            return Lookup::Bindings(live);
        }
        let (version, record) = self.load(&aor).unzip();
        let record = record.unwrap_or_default();
        let remembered = record.ended_at().is_some_and(|ended| now < settings.options.forgotten_at(ended));
        let is_known = match &device {
            None => remembered || settings.listed.contains(&aor) || self.has_password(&aor),
            Some((_, Device::Public(id))) => remembered && has_device(&record, id, now),
            // Temporary ones end with the last Contact of their device (RFC 5627 §5.3).
            Some((_, Device::Temporary { .. })) => false,
        };
        let (mut live, expired) = record.part(now);
        live.retain(|stored| device.as_ref().is_none_or(|(_, device)| is_of(stored, device)));
        live.sort_by_key(|stored| std::cmp::Reverse((stored.q(), stored.refreshed_at)));
        let aor: Arc<str> = aor.into();
        let bindings: Vec<_> = live.into_iter().filter_map(|stored| self.binding(stored, &aor)).collect();
        if device.is_none()
            && expired.is_empty()
            && let Some(version) = version
        {
            self.recent.keep(version, &bindings);
        }
        match bindings.is_empty() {
            false => Lookup::Bindings(bindings),
            true if is_known => Lookup::Known,
            true => Lookup::Unknown,
        }
    }

    /// The bindings of an AOR that are live, if its record was looked up lately and some are.
    fn recent(&self, aor: &str, now: u64) -> Option<Vec<Arc<Binding>>> {
        let version = self.records.read(aor.as_bytes(), |version, _| version)?;
        let mut bindings = self.recent.find(version)?;
        bindings.retain(|binding| &*binding.aor == aor && now < unix_seconds(binding.expires_at));
        (!bindings.is_empty()).then_some(bindings)
    }

    fn has_password(&self, aor: &str) -> bool {
        UserName::parse(aor).is_ok_and(|name| self.users().contains(&name))
    }
}

/// Whether a device that has no live Contact had a public GRUU: it is remembered, or its Contact expired and
/// nothing was written since.
fn has_device(record: &Record, id: &[u8], now: u64) -> bool {
    let had = |stored: &Stored| !stored.is_live(now) && stored.gruu.is_some() && stored.is_of_instance(id);
    record.is_gone(instance::digest(id)) || record.bindings.iter().any(had)
}

fn is_of(stored: &Stored, device: &Device) -> bool {
    match device {
        Device::Public(id) => stored.is_of_instance(id),
        Device::Temporary { instance, generation } => {
            stored.gruu == Some(*generation)
                && instance::of(&stored.params).is_some_and(|id| instance::digest(&id) == *instance)
        }
    }
}
