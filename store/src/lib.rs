//! Durable key spaces with compare-and-swap. Knows no SIP: keys and values are octets, and what they mean
//! is their owner's business.
//!
//! [`Store`] is one type with several forms, chosen when it is opened. Today there is the embedded form: an
//! index in memory over fjall, with group commit on a thread of its own. A form on Redis has its place beside
//! it in `Form`; nothing of the embedded form shows through this interface.
//!
//! # What holds
//! - [`Space::swap`] returns only after an `fdatasync` that began after its record was written.
//! - Readers see committed records only: a value appears in [`Space::get`] after that `fdatasync`, and before
//!   the swap that wrote it returns. So whoever acts on what was read acts on what survives `kill -9`.
//! - Swaps are linearizable: those on one key are decided one after the other, each against the value the one
//!   before it left. A [`Version`] is never used twice while the store is open, so a key that was removed and
//!   written again is not mistaken for the old one.
//! - A swap that failed with [`SwapError::Full`] or [`SwapError::Unavailable`] is not seen by any reader. If the
//!   process dies before the store could write again, its record may be found after the restart, as with any
//!   answer that got lost on its way.
//! - With a full disk the store goes on reading, refuses to write, and opens itself again when there is room.
//! - Of a space named in [`Options::on_disk`] the index holds only the front of each value; [`Space::fetch`]
//!   reads the whole from the disk. There a swap of a record that was already there and failed may have taken
//!   effect when the store takes writes again: the value it replaced is nowhere else.

mod embedded;
mod error;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use embedded::{Embedded, Index};
pub use error::{FetchError, OpenError, SwapError};

/// Names one state of one key. Larger is later; versions of different keys share one sequence.
pub type Version = u64;

/// Longest name of a space, in octets.
pub const SPACE_NAME_LIMIT: usize = 32;

/// A set of key spaces. Cloning gives another handle to the same store; when the last handle and the last
/// [`Space`] are dropped the store is closed.
#[derive(Clone, Debug)]
pub struct Store {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Embedded(Arc<Embedded>),
}

impl Store {
    /// Opens the embedded form in the folder `dir`, made if it is missing, and loads its index.
    ///
    /// # Errors
    /// [`OpenError::Locked`] while another process has it open; [`OpenError::Corrupt`] for a folder that can't
    /// be read back; [`OpenError::Io`] for what the operating system refuses.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        Ok(Self { form: Form::Embedded(Embedded::open(dir.as_ref(), options)?) })
    }

    /// The space of that name, empty if nothing was ever written to it. The name is part of the format on
    /// disk. An empty one, one of more than [`SPACE_NAME_LIMIT`] octets or
    /// one with a NUL in it refuses every write.
    pub fn space(&self, name: &'static str) -> Space {
        match &self.form {
            Form::Embedded(store) => {
                Space { form: SpaceForm::Embedded { index: store.index(name), store: Arc::clone(store) } }
            }
        }
    }

    /// Whether the last write reached the disk. While this is false, reads go on and a later write that
    /// succeeds makes it true again.
    pub fn is_writable(&self) -> bool {
        match &self.form {
            Form::Embedded(store) => store.is_writable(),
        }
    }
}

/// One class of records of a [`Store`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Space {
    form: SpaceForm,
}

#[derive(Clone, Debug)]
enum SpaceForm {
    Embedded { index: Arc<Index>, store: Arc<Embedded> },
}

/// A committed value with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What [`Space::swap`] must be given to replace exactly this state.
    pub version: Version,
    /// The value as it was written.
    pub value: Bytes,
}

impl Space {
    /// The committed record at `key`, copied out. See [`Space::read`] for a look without the copy.
    pub fn get(&self, key: &[u8]) -> Option<Record> {
        self.read(key, |version, value| Record { version, value: Bytes::copy_from_slice(value) })
    }

    /// Calls `look` with the committed record at `key`. Writers of neighbouring keys wait meanwhile: `look`
    /// must be short and must not touch this space.
    pub fn read<R>(&self, key: &[u8], look: impl FnOnce(Version, &[u8]) -> R) -> Option<R> {
        match &self.form {
            SpaceForm::Embedded { index, .. } => index.read(key, look),
        }
    }

    /// The committed record at `key` with its whole value, from the disk if the index holds only its front.
    ///
    /// # Errors
    /// [`FetchError::Busy`] if the queue to the disk is full; [`FetchError::Unavailable`] if the disk can't be
    /// read now.
    pub async fn fetch(&self, key: &[u8]) -> Result<Option<Record>, FetchError> {
        match &self.form {
            SpaceForm::Embedded { index, store } => store.fetch(index, key).await,
        }
    }

    /// Calls `visit` with each committed record, in no order. A record that is written or removed meanwhile may
    /// or may not be among them. The same care as for [`Space::read`].
    pub fn scan(&self, visit: impl FnMut(&[u8], Version, &[u8])) {
        match &self.form {
            SpaceForm::Embedded { index, .. } => index.scan(visit),
        }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        match &self.form {
            SpaceForm::Embedded { index, .. } => index.len(),
        }
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces the record at `key` by `new` (`None` removes it) if its version is `expected` (`None`: there is
    /// no record), and returns the version of the new state once it is durable. A swap whose future is dropped
    /// may still take effect.
    ///
    /// # Errors
    /// [`SwapError::Conflict`] if the record is another by now; [`SwapError::Busy`] if the queue of writes is
    /// full; [`SwapError::Full`] and [`SwapError::Unavailable`] if the disk refuses; [`SwapError::KeyTooLong`]
    /// and [`SwapError::ValueTooLong`] over the limits of [`Options`].
    pub async fn swap(
        &self,
        key: &[u8],
        expected: Option<Version>,
        new: Option<Bytes>,
    ) -> Result<Version, SwapError> {
        match &self.form {
            SpaceForm::Embedded { index, store } => store.swap(index, key, expected, new).await,
        }
    }
}

/// How an embedded store works. The defaults fit a registrar of a million bindings.
#[derive(Clone, Debug)]
pub struct Options {
    /// Writes that may wait for the commit thread; one more is [`SwapError::Busy`].
    pub queue: usize,
    /// Records in one group commit, at most.
    pub group: usize,
    /// How long the first record of a group waits for others, at most. A group that no one joins for a while
    /// does not wait that long.
    pub linger: Duration,
    /// Least time between two attempts to open the store again after a failed write. It doubles with every
    /// failure, up to eight times this.
    pub reopen_every: Duration,
    /// Octets of a key, at most.
    pub key_limit: usize,
    /// Octets of a value, at most.
    pub value_limit: usize,
    /// Octets of recent writes that the engine keeps in memory beside the index before it writes a table.
    pub write_buffer: u64,
    /// Spaces whose values are too large to be held in memory.
    pub on_disk: Vec<OnDisk>,
}

/// A space of which only the front of each value is held in memory.
#[derive(Clone, Debug)]
pub struct OnDisk {
    /// Its name.
    pub space: &'static str,
    /// Octets of a value that [`Space::get`], [`Space::read`] and [`Space::scan`] give.
    pub front: usize,
    /// Octets of a value, at most, in place of [`Options::value_limit`].
    pub value_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 8192,
            group: 128,
            linger: Duration::from_millis(2),
            reopen_every: Duration::from_millis(250),
            key_limit: 1024,
            value_limit: 1024 * 1024,
            write_buffer: 2 * 1024 * 1024,
            on_disk: Vec::new(),
        }
    }
}
