//! fjall, kept behind a few calls: open, load, write a group durably.
//!
//! All spaces share one keyspace of the engine (`name NUL key`), so that a new space needs no file of its own
//! and a group is one journal entry. A value is its version (8 octets, big-endian) and then the octets.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fjall::config::{BlockSizePolicy, FilterPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::{OpenError, SwapError, Version};

const KEYSPACE: &str = "records";

/// The index answers all reads, so the engine's own cache serves compaction only.
const BLOCK_CACHE: u64 = 512 * 1024;

/// Octets of a block of a table: few lookups, many records one after the other.
const BLOCK: u32 = 16 * 1024;

/// Above these the engine itself would stop a writer, in a loop that does not end if its workers died of a
/// full disk meanwhile. So the writer waits out here, where it sees that.
const SEALED_TABLES: usize = 3;
const LEVEL_ZERO_TABLES: usize = 24;
const LONGEST_STALL: Duration = Duration::from_secs(5);
const STALL_STEP: Duration = Duration::from_millis(2);

pub(super) struct Engine {
    // Before the database: the last handle frees the lock on the folder.
    records: Keyspace,
    database: Database,
}

/// One record of a group, as the engine takes it.
pub(super) struct Write {
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Vec<u8>>,
}

impl Engine {
    pub(super) fn open(dir: &Path, write_buffer: u64) -> Result<Self, OpenError> {
        // Recovery asserts what it finds; a damaged folder must not take the process down.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let database =
                Database::builder(dir).cache_size(BLOCK_CACHE).manual_journal_persist(true).open()?;
            let records = database.keyspace(KEYSPACE, || {
                KeyspaceCreateOptions::default()
                    .manual_journal_persist(true)
                    .max_memtable_size(write_buffer)
                    .data_block_size_policy(BlockSizePolicy::all(BLOCK))
                    // They would answer what is asked of the index.
                    .filter_policy(FilterPolicy::disabled())
            })?;
            Ok(Self { records, database })
        }));
        match opened {
            Ok(result) => result.map_err(|error| open_error(dir, error)),
            Err(_) => {
                Err(OpenError::Corrupt { dir: dir.into(), what: "its files contradict each other".into() })
            }
        }
    }

    /// Calls `each` with the space, key, version and value of every record.
    pub(super) fn load(
        &self,
        dir: &Path,
        mut each: impl FnMut(&str, &[u8], Version, &[u8]),
    ) -> Result<(), OpenError> {
        for record in self.records.iter() {
            let (key, value) = record.into_inner().map_err(|error| open_error(dir, error))?;
            let (space, key, version, value) = split(&key, &value).ok_or_else(|| OpenError::Corrupt {
                dir: dir.into(),
                what: "a record in it was not written by this program".into(),
            })?;
            if !space.is_empty() {
                each(space, key, version, value);
            }
        }
        Ok(())
    }

    /// The version and value at a key.
    pub(super) fn read(&self, key: &[u8]) -> Result<Option<(Version, Bytes)>, SwapError> {
        let found = catch_unwind(AssertUnwindSafe(|| self.records.get(key)));
        let value = match found {
            Ok(Ok(Some(value))) => value,
            Ok(Ok(None)) => return Ok(None),
            Ok(Err(_)) | Err(_) => return Err(SwapError::Unavailable),
        };
        let (version, value) = value.split_first_chunk::<8>().ok_or(SwapError::Unavailable)?;
        Ok(Some((Version::from_be_bytes(*version), Bytes::copy_from_slice(value))))
    }

    /// Writes all of `group` or nothing, and syncs it. Says how long it had to wait for tables of the engine.
    pub(super) fn write(&self, group: Vec<Write>) -> Result<Duration, SwapError> {
        let written = catch_unwind(AssertUnwindSafe(|| {
            let waited = self.wait_for_tables()?;
            let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
            for Write { key, value } in group {
                match value {
                    Some(value) => batch.insert(&self.records, key, value),
                    None => batch.remove(&self.records, key),
                }
            }
            batch.commit()?;
            Ok(waited)
        }));
        match written {
            Ok(Ok(waited)) => Ok(waited),
            Ok(Err(error)) => Err(refusal(&error)),
            Err(_) => Err(SwapError::Unavailable),
        }
    }

    fn wait_for_tables(&self) -> fjall::Result<Duration> {
        let start = Instant::now();
        let mut waited = Duration::ZERO;
        while self.records.sealed_memtable_count() >= SEALED_TABLES
            || self.records.l0_table_count() >= LEVEL_ZERO_TABLES
        {
            self.database.persist(PersistMode::Buffer)?;
            if start.elapsed() > LONGEST_STALL {
                return Err(fjall::Error::Poisoned);
            }
            std::thread::sleep(STALL_STEP);
            waited = start.elapsed();
        }
        Ok(waited)
    }
}

/// Waits until no file of a closed engine in `dir` is open any more. A worker of the engine may hold its
/// journal for a moment after the database is dropped, and then writes what was left in its buffer, at its old
/// place: under a journal that was opened again meanwhile.
pub(super) fn wait_until_closed(dir: &Path) -> bool {
    let Ok(dir) = dir.canonicalize() else { return true };
    let start = Instant::now();
    while has_open_journal(&dir) {
        if start.elapsed() > LONGEST_STALL {
            return false;
        }
        std::thread::sleep(STALL_STEP);
    }
    true
}

fn has_open_journal(dir: &Path) -> bool {
    // Where there is no /proc, the wait between two attempts has to be enough.
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return false };
    open.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|file| {
        file.parent() == Some(dir) && file.extension().is_some_and(|extension| extension == "jnl")
    })
}

pub(super) fn encode(version: Version, value: &[u8]) -> Vec<u8> {
    [&version.to_be_bytes(), value].concat()
}

fn split<'a>(key: &'a [u8], value: &'a [u8]) -> Option<(&'a str, &'a [u8], Version, &'a [u8])> {
    let nul = key.iter().position(|&b| b == 0)?;
    let space = std::str::from_utf8(key.get(..nul)?).ok()?;
    let (version, value) = value.split_first_chunk::<8>()?;
    Some((space, key.get(nul + 1..)?, Version::from_be_bytes(*version), value))
}

fn open_error(dir: &Path, error: fjall::Error) -> OpenError {
    let dir = dir.into();
    match error {
        fjall::Error::Locked => OpenError::Locked { dir },
        fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source))
            if !is_damage(&source) =>
        {
            OpenError::Io { dir, source }
        }
        other => OpenError::Corrupt { dir, what: other.to_string() },
    }
}

/// Reading past the end of a file, or octets that make no sense, speak of the content and not of the disk.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
}

/// What a failed write means for the writer.
fn refusal(error: &fjall::Error) -> SwapError {
    match error {
        fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => io_refusal(source),
        _ => SwapError::Unavailable,
    }
}

fn io_refusal(error: &io::Error) -> SwapError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            SwapError::Full
        }
        _ => SwapError::Unavailable,
    }
}

/// The same for a store that did not open again.
pub(super) fn open_refusal(error: &OpenError) -> SwapError {
    match error {
        OpenError::Io { source, .. } => io_refusal(source),
        OpenError::Locked { .. } | OpenError::Corrupt { .. } => SwapError::Unavailable,
    }
}
