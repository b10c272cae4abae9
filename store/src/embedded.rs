//! The embedded form: an index in memory that answers every read, and one thread that writes.

mod commit;
mod engine;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::oneshot;

use crate::{FetchError, OpenError, Options, Record, SPACE_NAME_LIMIT, SwapError, Version};
use commit::{Committer, Fetch, Job, Reply, Swap};
use engine::Engine;

#[derive(Debug)]
pub(crate) struct Embedded {
    options: Options,
    spaces: DashMap<Box<str>, Arc<Index>>,
    writable: Arc<AtomicBool>,
    /// `None` only while it is being dropped.
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    pub(crate) fn open(dir: &Path, options: Options) -> Result<Arc<Self>, OpenError> {
        let engine = Engine::open(dir, options.write_buffer)?;
        let spaces: DashMap<Box<str>, Arc<Index>> = DashMap::new();
        let mut last = 0;
        engine.load(dir, |name, key, version, value| {
            last = last.max(version);
            let index = Arc::clone(&*spaces.entry(name.into()).or_insert_with(|| Index::new(name, &options)));
            index.put(key.into(), Some((version, value)));
        })?;

        let (queue, jobs) = sync_channel(options.queue);
        let writable = Arc::new(AtomicBool::new(true));
        let committer = Committer::new(dir, &options, engine, last, Arc::clone(&writable));
        let thread = std::thread::Builder::new()
            .name("store-commit".into())
            .spawn(move || committer.run(&jobs))
            .map_err(|source| OpenError::Io { dir: dir.into(), source })?;
        Ok(Arc::new(Self { options, spaces, writable, queue: Some(queue), thread: Some(thread) }))
    }

    pub(crate) fn index(&self, name: &str) -> Arc<Index> {
        if let Some(index) = self.spaces.get(name) {
            return Arc::clone(&index);
        }
        Arc::clone(&*self.spaces.entry(name.into()).or_insert_with(|| Index::new(name, &self.options)))
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    pub(crate) async fn swap(
        &self,
        index: &Arc<Index>,
        key: &[u8],
        expected: Option<Version>,
        new: Option<Bytes>,
    ) -> Result<Version, SwapError> {
        self.check_limits(index, key, new.as_deref())?;
        let (sender, answer) = oneshot::channel();
        let reply = Reply::new(sender);
        let swap = Swap { index: Arc::clone(index), key: key.into(), expected, new, reply };
        let queue = self.queue.as_ref().ok_or(SwapError::Unavailable)?;
        queue.try_send(Job::Swap(swap)).map_err(|refused| match refused {
            TrySendError::Full(_) => SwapError::Busy,
            TrySendError::Disconnected(_) => SwapError::Unavailable,
        })?;
        answer.await.unwrap_or(Err(SwapError::Unavailable))
    }

    pub(crate) async fn fetch(&self, index: &Arc<Index>, key: &[u8]) -> Result<Option<Record>, FetchError> {
        if index.front.is_none() {
            let record = |version, value: &[u8]| Record { version, value: Bytes::copy_from_slice(value) };
            return Ok(index.read(key, record));
        }
        let (reply, answer) = oneshot::channel();
        let fetch = Fetch { index: Arc::clone(index), key: key.into(), reply };
        let queue = self.queue.as_ref().ok_or(FetchError::Unavailable)?;
        queue.try_send(Job::Fetch(fetch)).map_err(|refused| match refused {
            TrySendError::Full(_) => FetchError::Busy,
            TrySendError::Disconnected(_) => FetchError::Unavailable,
        })?;
        answer.await.unwrap_or(Err(FetchError::Unavailable))
    }

    fn check_limits(&self, index: &Index, key: &[u8], new: Option<&[u8]>) -> Result<(), SwapError> {
        let (key_limit, value_limit) = (self.options.key_limit, index.value_limit);
        if index.name.is_empty() || index.name.len() > SPACE_NAME_LIMIT || index.name.contains('\0') {
            return Err(SwapError::KeyTooLong { octets: index.name.len(), limit: SPACE_NAME_LIMIT });
        }
        if key.len() > key_limit {
            return Err(SwapError::KeyTooLong { octets: key.len(), limit: key_limit });
        }
        match new {
            Some(value) if value.len() > value_limit => {
                Err(SwapError::ValueTooLong { octets: value.len(), limit: value_limit })
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Embedded {
    /// Lets the thread finish what is queued, so that the folder is free when this returns.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The committed records of one space.
pub(crate) struct Index {
    name: Box<str>,
    records: DashMap<Box<[u8]>, Committed>,
    /// Octets of a value that are held; `None`: all.
    front: Option<usize>,
    value_limit: usize,
}

struct Committed {
    version: Version,
    value: Box<[u8]>,
}

/// Without the records, which are their owner's business.
impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("name", &self.name).field("records", &self.len()).finish()
    }
}

impl Index {
    fn new(name: &str, options: &Options) -> Arc<Self> {
        let on_disk = options.on_disk.iter().find(|each| each.space == name);
        let value_limit = on_disk.map_or(options.value_limit, |each| each.value_limit);
        let front = on_disk.map(|each| each.front);
        Arc::new(Self { name: name.into(), records: DashMap::new(), front, value_limit })
    }

    pub(crate) fn read<R>(&self, key: &[u8], look: impl FnOnce(Version, &[u8]) -> R) -> Option<R> {
        let record = self.records.get(key)?;
        Some(look(record.version, &record.value))
    }

    pub(crate) fn scan(&self, mut visit: impl FnMut(&[u8], Version, &[u8])) {
        for record in &self.records {
            visit(record.key(), record.version, &record.value);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    fn put(&self, key: Box<[u8]>, record: Option<(Version, &[u8])>) {
        match record {
            Some((version, value)) => {
                let held = value.get(..self.front.unwrap_or(usize::MAX)).unwrap_or(value);
                self.records.insert(key, Committed { version, value: held.into() });
            }
            None => drop(self.records.remove(&key)),
        }
    }

    /// The key under which the engine keeps `key` of this space.
    fn engine_key(&self, key: &[u8]) -> Vec<u8> {
        [self.name.as_bytes(), b"\0", key].concat()
    }
}
