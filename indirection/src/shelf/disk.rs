//! A folder of files that are there whole or not at all: written aside, synced, renamed, their folder synced.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::TryStreamExt;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::{Doing, PIECE, Parcel, Pieces, Room, Shelf};
use crate::content::{hex, unhex};
use crate::error::ShelfError;
use crate::home::{Home, sync_folder};
use crate::token::Sum;

/// The rooms as folders below the store's own.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    home: Home,
    /// Folders that a crash leaves standing. One that is there may have been made a moment ago by somebody who has not
    /// synced it yet. At most 512.
    durable: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Disk {
    /// Makes the rooms. Blocks.
    pub(crate) fn open(home: Home) -> io::Result<Disk> {
        for room in [Room::Blobs, Room::Links] {
            fs::create_dir_all(home.root().join(room.name()))?;
        }
        sync_folder(home.root())?;
        Ok(Disk { home, durable: Arc::default() })
    }

    fn path(&self, room: Room, name: &Sum) -> PathBuf {
        let (prefix, rest) = name.split_at(1);
        self.home.root().join(room.name()).join(hex(prefix)).join(hex(rest))
    }

    fn put(&self, room: Room, name: &Sum, parcel: Parcel) -> io::Result<()> {
        let aside = match parcel {
            Parcel::File(aside, _) => aside,
            Parcel::Octets(octets) => {
                let aside = self.home.aside();
                let mut file = File::create_new(&aside.path)?;
                file.write_all(&octets)?;
                file.sync_all()?;
                aside
            }
        };
        let path = self.path(room, name);
        let folder = path.parent().unwrap_or(self.home.root());
        if !self.durable().contains(folder) {
            fs::create_dir_all(folder)?;
            sync_folder(&self.home.root().join(room.name()))?;
            self.durable().insert(folder.into());
        }
        aside.place(&path)?;
        sync_folder(folder)
    }

    /// What is not named by a sum is not ours and passed over.
    fn names(&self, room: Room) -> io::Result<Vec<(Sum, u64)>> {
        let mut names = Vec::new();
        for prefix in fs::read_dir(self.home.root().join(room.name()))? {
            let prefix = prefix?;
            for entry in fs::read_dir(prefix.path())? {
                let entry = entry?;
                let name = format!("{}{}", prefix.file_name().display(), entry.file_name().display());
                if let Some(sum) = unhex(&name) {
                    names.push((sum, entry.metadata()?.len()));
                }
            }
        }
        Ok(names)
    }

    fn durable(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf for Disk {
    fn write(&self, room: Room, name: Sum, parcel: Parcel) -> Doing<'_, ()> {
        let this = self.clone();
        Box::pin(off_thread(move || this.put(room, &name, parcel)))
    }

    fn read(&self, room: Room, name: Sum, range: Range<u64>) -> Doing<'_, Pieces> {
        let path = self.path(room, &name);
        Box::pin(async move { open(&path, range).await.map_err(ShelfError::from) })
    }

    /// Not synced: after a crash it is removed again.
    fn remove(&self, room: Room, name: Sum) -> Doing<'_, ()> {
        let path = self.path(room, &name);
        Box::pin(off_thread(move || match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }))
    }

    fn list(&self, room: Room) -> Doing<'_, Vec<(Sum, u64)>> {
        let this = self.clone();
        Box::pin(off_thread(move || this.names(room)))
    }
}

async fn open(path: &Path, range: Range<u64>) -> io::Result<Pieces> {
    let mut file = tokio::fs::File::open(path).await?;
    if range.start > 0 {
        file.seek(SeekFrom::Start(range.start)).await?;
    }
    let octets = range.end.saturating_sub(range.start);
    let piece = usize::try_from(octets).unwrap_or(PIECE).clamp(1, PIECE);
    let stream = ReaderStream::with_capacity(file.take(octets), piece);
    Ok(Box::pin(stream.map_err(ShelfError::from)))
}

/// Runs what waits for the disk where that disturbs nobody.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ShelfError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(io::Error::other)??)
}
