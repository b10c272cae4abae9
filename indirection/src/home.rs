//! The store's own folder on this machine: its lock, its key, and files on their way to the shelf.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::token::Sum;

#[derive(Clone, Debug)]
pub(crate) struct Home {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    next: AtomicU64,
    /// Held as long as the store is open.
    _lock: File,
}

impl Home {
    /// Makes the folder, takes the lock, and empties `tmp`: what lies there was cut off by a crash. `Ok(None)`:
    /// somebody else has the lock.
    pub(crate) fn open(root: &Path) -> io::Result<Option<Home>> {
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
        let inner = Inner { root: root.into(), next: AtomicU64::new(0), _lock: lock };
        Ok(Some(Home { inner: Arc::new(inner) }))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.inner.root
    }

    /// A name nobody uses, in the folder that is emptied at the next start.
    pub(crate) fn aside(&self) -> Aside {
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        Aside { path: self.inner.root.join("tmp").join(number.to_string()), placed: false }
    }

    /// The key file's octets, made by `make` the first time.
    pub(crate) fn key<E: From<io::Error>>(&self, make: impl FnOnce() -> Result<Sum, E>) -> Result<Sum, E> {
        let path = self.inner.root.join("key");
        if let Some(key) = fs::read(&path).ok().and_then(|key| key.try_into().ok()) {
            return Ok(key);
        }
        let key = make()?;
        let aside = self.aside();
        let mut file = File::create_new(&aside.path)?;
        file.write_all(&key)?;
        file.sync_all()?;
        aside.place(&path)?;
        sync_folder(&self.inner.root)?;
        Ok(key)
    }
}

/// A file that goes when this is dropped, unless it was [placed](Aside::place).
#[derive(Debug)]
pub(crate) struct Aside {
    pub(crate) path: PathBuf,
    placed: bool,
}

impl Aside {
    /// Moves the file to where it stays.
    pub(crate) fn place(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.placed {
            // If it can't be removed now, the next start does.
            let _ = fs::remove_file(&self.path);
        }
    }
}

pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
