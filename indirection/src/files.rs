//! Files that are there whole or not at all: written aside, synced, renamed, their folder synced.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::content::{hex, unhex};
use crate::token::Sum;

/// The folders of a store.
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
    next: AtomicU64,
    /// Folders that a crash leaves standing. One that is there may have been made a moment ago by somebody who has not
    /// synced it yet. At most 512.
    durable: Mutex<HashSet<PathBuf>>,
    /// Held as long as the store is open.
    _lock: File,
}

/// Which files a sum names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Room {
    Blobs,
    Links,
}

impl Room {
    const fn name(self) -> &'static str {
        match self {
            Room::Blobs => "blobs",
            Room::Links => "links",
        }
    }
}

impl Files {
    /// Makes the folders, takes the lock, and empties `tmp`: what lies there was cut off by a crash. `Ok(None)`:
    /// somebody else has the lock.
    pub(crate) fn open(root: &Path) -> io::Result<Option<Files>> {
        for room in [Room::Blobs, Room::Links] {
            fs::create_dir_all(root.join(room.name()))?;
        }
        fs::create_dir_all(root.join("tmp"))?;
        sync_folder(root)?;
        let lock = File::options().create(true).truncate(false).write(true).open(root.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        for left in fs::read_dir(root.join("tmp"))? {
            fs::remove_file(left?.path())?;
        }
        Ok(Some(Files { root: root.into(), next: AtomicU64::new(0), durable: Mutex::default(), _lock: lock }))
    }

    pub(crate) fn path(&self, room: Room, sum: &Sum) -> PathBuf {
        let (prefix, rest) = sum.split_at(1);
        self.root.join(room.name()).join(hex(prefix)).join(hex(rest))
    }

    /// A name nobody uses, in the folder that is emptied at the next start.
    pub(crate) fn temporary(&self) -> Temporary {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Temporary { path: self.root.join("tmp").join(number.to_string()), done: false }
    }

    /// Writes the file that `sum` names. It is durable when this returns.
    pub(crate) fn write(&self, room: Room, sum: &Sum, octets: &[u8]) -> io::Result<()> {
        let aside = self.temporary();
        let mut file = File::create_new(&aside.path)?;
        file.write_all(octets)?;
        file.sync_all()?;
        self.place(aside, room, sum)
    }

    /// Moves a synced file to its place.
    pub(crate) fn place(&self, mut aside: Temporary, room: Room, sum: &Sum) -> io::Result<()> {
        let path = self.path(room, sum);
        let folder = path.parent().unwrap_or(&self.root);
        if !self.durable().contains(folder) {
            fs::create_dir_all(folder)?;
            sync_folder(&self.root.join(room.name()))?;
            self.durable().insert(folder.into());
        }
        fs::rename(&aside.path, &path)?;
        aside.done = true;
        sync_folder(folder)
    }

    fn durable(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a file; one that is not there is as good as removed. Not synced: after a crash it is removed again.
    pub(crate) fn remove(&self, room: Room, sum: &Sum) -> io::Result<()> {
        match fs::remove_file(self.path(room, sum)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Calls `each` with the sum and the path of every file of a room. What is not named by a sum is not ours and
    /// passed over.
    pub(crate) fn walk(
        &self,
        room: Room,
        mut each: impl FnMut(Sum, &Path) -> io::Result<()>,
    ) -> io::Result<()> {
        for prefix in fs::read_dir(self.root.join(room.name()))? {
            let prefix = prefix?;
            for entry in fs::read_dir(prefix.path())? {
                let entry = entry?;
                let name = format!("{}{}", prefix.file_name().display(), entry.file_name().display());
                if let Some(sum) = unhex(&name) {
                    each(sum, &entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// The key file's octets, made by `make` the first time.
    pub(crate) fn key<E: From<io::Error>>(&self, make: impl FnOnce() -> Result<Sum, E>) -> Result<Sum, E> {
        let path = self.root.join("key");
        if let Some(key) = fs::read(&path).ok().and_then(|key| key.try_into().ok()) {
            return Ok(key);
        }
        let key = make()?;
        let mut aside = self.temporary();
        let mut file = File::create_new(&aside.path)?;
        file.write_all(&key)?;
        file.sync_all()?;
        fs::rename(&aside.path, &path)?;
        aside.done = true;
        sync_folder(&self.root)?;
        Ok(key)
    }
}

/// A file that goes when it is dropped, unless it was [placed](Files::place).
#[derive(Debug)]
pub(crate) struct Temporary {
    pub(crate) path: PathBuf,
    done: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.done {
            // If it can't be removed now, the next start does.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
