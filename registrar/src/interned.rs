//! Each distinct CPI once, in memory and on disk, however many bindings have it. Records name a CPI by its id,
//! a digest of its stored form; here are the CPIs to the ids.
//!
//! A CPI is durable before a record names it, and is cleared away when none does any more ([`CpiTable::clear`]).
//! Between the two stands the pin: a request pins what it is about to name.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use cpi::Cpi;
use dashmap::DashMap;
use sha2::{Digest, Sha256};
use store::{Space, SwapError, Version};
use tokio::sync::OnceCell;

use crate::options::Options;
use crate::outcome::Refusal;

/// The first half of the SHA-256 of a CPI's stored form.
pub(crate) type CpiId = [u8; 16];

/// How often a CPI is written anew because it is being cleared away at the same time.
const ATTEMPTS: usize = 8;

pub(crate) struct CpiTable {
    space: Space,
    entries: DashMap<CpiId, Arc<Entry>>,
    /// Counts clearings.
    epoch: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    id: CpiId,
    /// Read when it is first asked for: what only a refresh would need stays octets of the space.
    cpi: OnceLock<Option<Arc<Cpi>>>,
    octets: usize,
    /// Set once it is on disk.
    durable: OnceCell<Version>,
    pins: AtomicUsize,
    /// The clearing during which it was last pinned.
    pinned_in: AtomicU64,
}

/// Keeps a CPI from being cleared away.
#[derive(Debug)]
pub(crate) struct Pinned(Arc<Entry>);

impl CpiTable {
    pub(crate) fn load(space: Space) -> Self {
        let entries = DashMap::new();
        space.scan(|id, version, value| {
            let Ok(id) = CpiId::try_from(id) else { return };
            let entry = Entry::new(id, value.len());
            // A cell just made is empty.
            let _ = entry.durable.set(version);
            entries.insert(id, Arc::new(entry));
        });
        Self { space, entries, epoch: AtomicU64::new(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The CPI of that id, if it is on disk.
    pub(crate) fn find(&self, id: CpiId) -> Option<Arc<Cpi>> {
        let entry = Arc::clone(&*self.entries.get(&id)?);
        if let Some(known) = entry.cpi.get() {
            return known.clone();
        }
        let read = self.space.read(&id, |_, text| serde_json::from_slice::<Cpi>(text))?;
        let cpi = read.inspect_err(|_| tracing::error!("a stored CPI can't be read and counts as none")).ok();
        entry.cpi.get_or_init(|| cpi.map(Arc::new)).clone()
    }

    /// Octets of the stored form.
    pub(crate) fn octets(&self, id: CpiId) -> usize {
        self.entries.get(&id).map_or(0, |entry| entry.octets)
    }

    /// Makes `cpi` durable, unless it is, and keeps it while the pin is held.
    pub(crate) async fn pin(&self, cpi: &Cpi, options: &Options) -> Result<Pinned, Refusal> {
        let text = serde_json::to_vec(cpi).map_err(|_| Refusal::CapabilitiesTooLarge)?;
        if text.len() > options.contact_cpi_octets {
            return Err(Refusal::CapabilitiesTooLarge);
        }
        let digest = Sha256::digest(&text);
        let id = digest.first_chunk::<16>().copied().unwrap_or_default();
        let is_new = !self.entries.contains_key(&id);
        if is_new && self.entries.len() >= options.distinct_cpis {
            return Err(Refusal::RegistrarFull);
        }
        let pinned = {
            let entry = self.entries.entry(id).or_insert_with(|| Arc::new(Entry::new(id, text.len())));
            self.pinned(&entry)
        };
        pinned.0.durable.get_or_try_init(|| self.write(id, text)).await?;
        Ok(pinned)
    }

    /// Keeps a CPI that is durable while the pin is held; `None` if there is none of that id any more.
    pub(crate) fn pin_known(&self, id: CpiId) -> Option<Pinned> {
        let entry = self.entries.get(&id).filter(|entry| entry.durable.initialized())?;
        Some(self.pinned(&entry))
    }

    /// The entry's place is locked meanwhile, so that it is not cleared away before the pin counts.
    fn pinned(&self, entry: &Arc<Entry>) -> Pinned {
        entry.pins.fetch_add(1, Ordering::SeqCst);
        entry.pinned_in.store(self.epoch.load(Ordering::SeqCst), Ordering::SeqCst);
        Pinned(Arc::clone(entry))
    }

    /// Writes over whatever is there: a clearing under way then finds another version and leaves it alone.
    async fn write(&self, id: CpiId, text: Vec<u8>) -> Result<Version, SwapError> {
        let mut expected = None;
        for _ in 0..ATTEMPTS {
            match self.space.swap(&id, expected, Some(text.clone().into())).await {
                Err(SwapError::Conflict { current }) => expected = current,
                outcome => return outcome,
            }
        }
        Err(SwapError::Busy)
    }

    /// What a clearing that begins now may take away, unless it is pinned or named meanwhile.
    pub(crate) fn begin_clearing(&self) -> Clearing {
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        let unpinned = |entry: &Entry| entry.pins.load(Ordering::SeqCst) == 0;
        let all = self.entries.iter();
        Clearing {
            epoch,
            candidates: all.filter(|entry| unpinned(entry)).map(|entry| *entry.key()).collect(),
        }
    }

    /// Takes away the candidates that `named`, gathered after [`CpiTable::begin_clearing`], does not hold. Who
    /// held a pin when it began is no candidate, who took one since has its epoch, and whoever named one and
    /// let go of its pin before it began is seen in the records.
    pub(crate) async fn clear(&self, clearing: Clearing, named: &HashSet<CpiId>) -> usize {
        let mut cleared = 0;
        for id in clearing.candidates.into_iter().filter(|id| !named.contains(id)) {
            let unused = |entry: &Arc<Entry>| {
                entry.pins.load(Ordering::SeqCst) == 0
                    && entry.pinned_in.load(Ordering::SeqCst) < clearing.epoch
            };
            let Some((_, entry)) = self.entries.remove_if(&id, |_, entry| unused(entry)) else { continue };
            let Some(version) = entry.durable.get() else { continue };
            // If it stays on disk it is loaded at the next start, and cleared then.
            let _ = self.space.swap(&id, Some(*version), None).await;
            cleared += 1;
        }
        cleared
    }
}

/// A clearing that began.
#[derive(Debug)]
pub(crate) struct Clearing {
    epoch: u64,
    candidates: Vec<CpiId>,
}

impl Entry {
    fn new(id: CpiId, octets: usize) -> Self {
        Self {
            id,
            cpi: OnceLock::new(),
            octets,
            durable: OnceCell::new(),
            pins: AtomicUsize::new(0),
            pinned_in: AtomicU64::new(0),
        }
    }
}

impl Pinned {
    /// A second pin on the same CPI.
    pub(crate) fn again(&self) -> Self {
        self.0.pins.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(&self.0))
    }

    pub(crate) fn id(&self) -> CpiId {
        self.0.id
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.0.pins.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpi(max_size: u64) -> Cpi {
        Cpi { max_size: Some(max_size), ..Cpi::default() }
    }

    fn table(dir: &tempfile::TempDir) -> (store::Store, CpiTable) {
        let store = store::Store::open(dir.path(), store::Options::default()).unwrap();
        let table = CpiTable::load(store.space("cpi"));
        (store, table)
    }

    #[tokio::test]
    async fn equal_cpis_are_one_and_durable() {
        let dir = tempfile::tempdir().unwrap();
        let id = {
            let (_store, table) = table(&dir);
            let one = table.pin(&cpi(1), &Options::default()).await.unwrap();
            let other = table.pin(&cpi(1), &Options::default()).await.unwrap();
            assert!(Arc::ptr_eq(&one.0, &other.0));
            one.id()
        };
        let (_store, table) = table(&dir);
        assert_eq!(*table.find(id).unwrap(), cpi(1));
    }

    #[tokio::test]
    async fn what_is_pinned_or_named_is_not_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let (store, table) = table(&dir);
        let options = Options::default();
        let pinned = table.pin(&cpi(1), &options).await.unwrap();
        let named = table.pin(&cpi(2), &options).await.unwrap().id();
        let unused = table.pin(&cpi(3), &options).await.unwrap().id();

        let clearing = table.begin_clearing();
        let late = table.pin(&cpi(4), &options).await.unwrap().id();
        assert_eq!(table.clear(clearing, &HashSet::from([named])).await, 1);
        assert!(table.find(unused).is_none());
        assert!([pinned.id(), named, late].iter().all(|id| table.find(*id).is_some()));
        assert_eq!(store.space("cpi").len(), 3);
    }

    #[tokio::test]
    async fn a_cpi_pinned_again_after_its_clearing_began_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (_store, table) = table(&dir);
        let id = table.pin(&cpi(1), &Options::default()).await.unwrap().id();
        let clearing = table.begin_clearing();
        drop(table.pin(&cpi(1), &Options::default()).await.unwrap());
        assert_eq!(table.clear(clearing, &HashSet::new()).await, 0);
        assert!(table.find(id).is_some());
    }

    #[tokio::test]
    async fn a_cpi_that_a_clearing_left_on_disk_is_written_over_and_cleared_later() {
        let dir = tempfile::tempdir().unwrap();
        let (store, table) = table(&dir);
        let id = table.pin(&cpi(1), &Options::default()).await.unwrap().id();
        table.entries.remove(&id);
        table.pin(&cpi(1), &Options::default()).await.unwrap();
        assert_eq!(table.clear(table.begin_clearing(), &HashSet::new()).await, 1);
        assert!(store.space("cpi").is_empty());
    }

    #[tokio::test]
    async fn more_distinct_cpis_than_the_limit_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (_store, table) = table(&dir);
        let options = Options { distinct_cpis: 1, ..Options::default() };
        table.pin(&cpi(1), &options).await.unwrap();
        table.pin(&cpi(1), &options).await.unwrap();
        assert_eq!(table.pin(&cpi(2), &options).await.err(), Some(Refusal::RegistrarFull));
    }
}
