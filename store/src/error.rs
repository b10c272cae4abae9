//! What can go wrong, named by who is to blame.

use std::io;
use std::path::PathBuf;

use crate::Version;

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use: another bespoke runs on it; stop that one or choose another data_dir", .dir.display())]
    Locked {
        /// The store's folder.
        dir: PathBuf,
    },
    /// The folder holds something else, or what it held was damaged.
    #[error("{} can't be read as a store ({what}): restore it from a backup, or move it away to start empty", .dir.display())]
    Corrupt {
        /// The store's folder.
        dir: PathBuf,
        /// What the engine says.
        what: String,
    },
    /// The operating system refused: permissions, a full disk, a broken one.
    #[error("{} can't be opened: {source}", .dir.display())]
    Io {
        /// The store's folder.
        dir: PathBuf,
        /// The refusal.
        source: io::Error,
    },
}

/// Why a swap did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwapError {
    /// The record is not the one the caller expected. Read it again and decide anew.
    #[error("the record was changed by another writer")]
    Conflict {
        /// Its version now; `None` if there is none.
        current: Option<Version>,
    },
    /// More writes wait than the queue holds.
    #[error("too many writes are waiting")]
    Busy,
    /// No room on the disk, in the quota or under the file size limit.
    #[error("the disk is full")]
    Full,
    /// The disk failed, or is being opened again after it did.
    #[error("the disk does not take writes")]
    Unavailable,
    /// The key is over the limit, or the space's name is.
    #[error("a key of {octets} octets is over the limit of {limit}")]
    KeyTooLong {
        /// Its length.
        octets: usize,
        /// The limit.
        limit: usize,
    },
    /// The value is over the limit.
    #[error("a value of {octets} octets is over the limit of {limit}")]
    ValueTooLong {
        /// Its length.
        octets: usize,
        /// The limit.
        limit: usize,
    },
}

/// Why a record could not be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// More writes and reads wait than the queue holds.
    #[error("too much waits for the disk")]
    Busy,
    /// The disk failed, or is being opened again after it did.
    #[error("the disk can't be read")]
    Unavailable,
}
