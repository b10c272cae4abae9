//! Adapted contents, kept so that the second fetch costs nothing: some in memory, more on the disk, the least
//! recently used leave first.
//!
//! Nothing here must survive: a file is not synced, and one that a crash cut off is known by its sum and made again.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;

use crate::content::{hex, unhex};
use crate::home::Home;
use crate::variant::{Made, Variant, VariantKey};

/// Both halves.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    memory: Arc<Mutex<Recent<Arc<Made>>>>,
    disk: Arc<Mutex<Recent<()>>>,
    home: Home,
    folder: Arc<PathBuf>,
}

impl Cache {
    /// Opens the half on the disk, whose files of an earlier run are used again. Blocks.
    pub(crate) fn open(home: Home, memory: u64, disk: u64) -> std::io::Result<Cache> {
        let folder = home.root().join("variants");
        fs::create_dir_all(&folder)?;
        let mut found: Vec<(SystemTime, VariantKey, u64)> = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            match (key_of(&entry.file_name().to_string_lossy()), entry.metadata()) {
                (Some(key), Ok(about)) => {
                    found.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), key, about.len()));
                }
                _ => fs::remove_file(entry.path())?,
            }
        }
        found.sort_unstable();
        let cache = Cache {
            memory: Arc::new(Mutex::new(Recent::new(memory))),
            disk: Arc::new(Mutex::new(Recent::new(disk))),
            home,
            folder: Arc::new(folder),
        };
        for (_, key, octets) in found {
            let evicted = lock(&cache.disk).insert(key, (), octets);
            cache.delete(&evicted);
        }
        Ok(cache)
    }

    /// What is in memory.
    pub(crate) fn recall(&self, key: &VariantKey) -> Option<Arc<Made>> {
        lock(&self.memory).find(key).map(Arc::clone)
    }

    /// What is on the disk; it is in memory afterwards.
    pub(crate) async fn fetch(&self, key: &VariantKey) -> Option<Arc<Made>> {
        lock(&self.disk).find(key)?;
        let (this, key) = (self.clone(), *key);
        let read = tokio::task::spawn_blocking(move || {
            let octets = Bytes::from(fs::read(this.path(&key)).ok()?);
            Variant::from_octets(&octets)
        });
        let Some(variant) = read.await.ok().flatten() else {
            lock(&self.disk).remove(&key);
            return None;
        };
        let made = Arc::new(Made::Variant(variant));
        self.remember(key, &made);
        Some(made)
    }

    /// Keeps what was made.
    pub(crate) async fn keep(&self, key: VariantKey, made: &Arc<Made>) {
        self.remember(key, made);
        let (this, made) = (self.clone(), Arc::clone(made));
        let written = tokio::task::spawn_blocking(move || this.write(key, &made)).await;
        if let Ok(Err(error)) = written {
            tracing::debug!(%error, "an adapted content is kept in memory only");
        }
    }

    /// Forgets all that was made of a content.
    pub(crate) fn forget(&self, blob: &crate::token::Sum) {
        lock(&self.memory).remove_all(blob);
        let gone = lock(&self.disk).remove_all(blob);
        self.delete(&gone);
    }

    fn remember(&self, key: VariantKey, made: &Arc<Made>) {
        lock(&self.memory).insert(key, Arc::clone(made), made.octets());
    }

    fn write(&self, key: VariantKey, made: &Made) -> std::io::Result<()> {
        let Made::Variant(variant) = made else { return Ok(()) };
        let Some(octets) = variant.to_octets() else { return Ok(()) };
        let aside = self.home.aside();
        fs::write(&aside.path, &octets)?;
        aside.place(&self.path(&key))?;
        let evicted = lock(&self.disk).insert(key, (), octets.len() as u64);
        self.delete(&evicted);
        Ok(())
    }

    fn delete(&self, keys: &[VariantKey]) {
        for key in keys {
            // One that stays is found at the next start, or written over.
            let _ = fs::remove_file(self.path(key));
        }
    }

    fn path(&self, key: &VariantKey) -> PathBuf {
        self.folder.join(format!("{}-{}", hex(&key.blob), hex(&key.wish)))
    }
}

fn key_of(name: &str) -> Option<VariantKey> {
    let (blob, wish) = name.split_once('-')?;
    Some(VariantKey { blob: unhex(blob)?, wish: unhex(wish)? })
}

fn lock<T>(half: &Mutex<Recent<T>>) -> MutexGuard<'_, Recent<T>> {
    // No code that holds the lock can panic half way through a change.
    half.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Values of so many octets together, the least recently used leave first.
#[derive(Debug)]
struct Recent<T> {
    values: BTreeMap<VariantKey, (T, u64, u64)>,
    /// By when they were last used.
    order: BTreeMap<u64, VariantKey>,
    next: u64,
    octets: u64,
    most: u64,
}

impl<T> Recent<T> {
    fn new(most: u64) -> Recent<T> {
        Recent { values: BTreeMap::new(), order: BTreeMap::new(), next: 0, octets: 0, most }
    }

    fn find(&mut self, key: &VariantKey) -> Option<&T> {
        let (value, used, _) = self.values.get_mut(key)?;
        self.order.remove(used);
        *used = self.next;
        self.order.insert(self.next, *key);
        self.next += 1;
        Some(value)
    }

    /// Returns what had to leave, which may be what came.
    fn insert(&mut self, key: VariantKey, value: T, octets: u64) -> Vec<VariantKey> {
        self.remove(&key);
        self.values.insert(key, (value, self.next, octets));
        self.order.insert(self.next, key);
        self.next += 1;
        self.octets += octets;
        let mut left = Vec::new();
        while self.octets > self.most {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            let oldest = *oldest;
            self.remove(&oldest);
            left.push(oldest);
        }
        left
    }

    fn remove(&mut self, key: &VariantKey) {
        if let Some((_, used, octets)) = self.values.remove(key) {
            self.order.remove(&used);
            self.octets = self.octets.saturating_sub(octets);
        }
    }

    fn remove_all(&mut self, blob: &crate::token::Sum) -> Vec<VariantKey> {
        let (first, last) =
            (VariantKey { blob: *blob, wish: [0; 32] }, VariantKey { blob: *blob, wish: [0xff; 32] });
        let gone: Vec<VariantKey> = self.values.range(first..=last).map(|(key, _)| *key).collect();
        for key in &gone {
            self.remove(key);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> VariantKey {
        VariantKey { blob: [number / 10; 32], wish: [number; 32] }
    }

    fn variant(octets: usize) -> Arc<Made> {
        let body = Bytes::from(vec![7; octets]);
        Arc::new(Made::Variant(Variant::new("image/gif".into(), Vec::new(), body)))
    }

    fn open(dir: &std::path::Path, memory: u64, disk: u64) -> Cache {
        Cache::open(Home::open(dir).unwrap().unwrap(), memory, disk).unwrap()
    }

    #[test]
    fn the_least_recently_used_leave_first_and_the_bound_holds() {
        let mut recent = Recent::new(30);
        assert!(recent.insert(key(1), 'a', 10).is_empty());
        assert!(recent.insert(key(2), 'b', 10).is_empty());
        assert!(recent.insert(key(3), 'c', 10).is_empty());
        assert_eq!(recent.find(&key(1)), Some(&'a'));
        assert_eq!(recent.insert(key(4), 'd', 11), [key(2), key(3)]);
        assert_eq!((recent.octets, recent.values.len(), recent.order.len()), (21, 2, 2));
        assert_eq!(recent.insert(key(5), 'e', 31), [key(1), key(4), key(5)], "one that is too large leaves");
        assert_eq!((recent.octets, recent.values.len()), (0, 0));
    }

    #[tokio::test]
    async fn what_left_the_memory_is_on_the_disk_and_outlives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), 1000, 1 << 20);
        cache.keep(key(1), &variant(400)).await;
        cache.keep(key(2), &variant(400)).await;
        assert!(cache.recall(&key(1)).is_none());
        assert_eq!(cache.fetch(&key(1)).await, Some(variant(400)));
        assert!(cache.recall(&key(1)).is_some());
        drop(cache);
        let cache = open(dir.path(), 1000, 1 << 20);
        assert_eq!(cache.fetch(&key(2)).await, Some(variant(400)));
        assert_eq!(cache.fetch(&key(3)).await, None);
    }

    #[tokio::test]
    async fn the_disk_is_bounded_and_a_file_cut_off_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), 0, 2000);
        for number in 1..6 {
            cache.keep(key(number), &variant(600)).await;
        }
        let files = || fs::read_dir(dir.path().join("variants")).unwrap().map(|file| file.unwrap().path());
        assert_eq!(files().count(), 2);
        for file in files() {
            fs::write(file, b"half").unwrap();
        }
        assert_eq!((cache.fetch(&key(4)).await, cache.fetch(&key(5)).await), (None, None));
    }

    #[tokio::test]
    async fn what_was_made_of_a_content_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), 10_000, 10_000);
        for number in [11, 12, 21] {
            cache.keep(key(number), &variant(10)).await;
        }
        cache.forget(&[1; 32]);
        assert!(cache.recall(&key(11)).is_none() && cache.fetch(&key(12)).await.is_none());
        assert!(cache.recall(&key(21)).is_some());
        assert_eq!(fs::read_dir(dir.path().join("variants")).unwrap().count(), 1);
    }
}
