//! What goes wrong with the store, by who is to blame.

use std::io;
use std::path::PathBuf;

/// Why the store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{}: another process uses this content store", .0.display())]
    InUse(PathBuf),
    /// The folder can't be used.
    #[error("content store {}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// What lies in it can't be read.
    #[error("content store: {0}")]
    Shelf(#[source] ShelfError),
    /// There was no randomness for the key of the recipients' hashes.
    #[error("no randomness from the operating system: {0}")]
    Random(getrandom::Error),
}

/// Why a shelf did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// Nothing of that name lies there.
    #[error("it is not there")]
    Missing,
    /// There is no room.
    #[error("there is no room")]
    Full,
    /// The octets are not those that were written.
    #[error("its octets are not those that were stored")]
    Corrupt,
    /// The server of a bucket does not do it.
    #[error("the bucket's server: {0}")]
    Unreachable(String),
    /// The prefix of a bucket is another server's.
    #[error("its prefix belongs to another server: choose a prefix of its own for each")]
    Taken,
    /// The disk failed.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for ShelfError {
    fn from(error: io::Error) -> ShelfError {
        match error.kind() {
            io::ErrorKind::NotFound => ShelfError::Missing,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                ShelfError::Full
            }
            _ => ShelfError::Io(error),
        }
    }
}

/// Why a content was not stored. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The sender's content is longer than one may be.
    #[error("the content is longer than {limit} octets")]
    TooLarge {
        /// [`crate::Options::content_octets`]
        limit: u64,
    },
    /// The recipient has too much lying here.
    #[error("the recipient's links hold more than {limit} octets")]
    RecipientFull {
        /// [`crate::Options::recipient_octets`]
        limit: u64,
    },
    /// The sender has too much lying here.
    #[error("the sender's contents hold more than {limit} octets")]
    SenderFull {
        /// [`crate::Options::sender_octets`]
        limit: u64,
    },
    /// The store is at its quota.
    #[error("the content store is full ({limit} octets)")]
    QuotaFull {
        /// [`crate::Options::quota_octets`]
        limit: u64,
    },
    /// There are too many links.
    #[error("the content store is full ({limit} links)")]
    TooManyLinks {
        /// [`crate::Options::max_links`]
        limit: usize,
    },
    /// The disk has no room.
    #[error("no room on the disk of the content store")]
    DiskFull,
    /// The disk failed.
    #[error("the content store's disk: {0}")]
    Disk(#[source] io::Error),
    /// The server of the bucket does not store it.
    #[error("the content store's bucket: {0}")]
    Unreachable(String),
    /// The content's source failed.
    #[error("the content could not be read: {0}")]
    Source(#[source] io::Error),
    /// There was no randomness for a token.
    #[error("no randomness from the operating system: {0}")]
    Random(getrandom::Error),
}

impl PutError {
    /// Whether it may work later, without anything done about the content.
    pub const fn is_temporary(&self) -> bool {
        !matches!(self, PutError::TooLarge { .. } | PutError::Source(_))
    }

    pub(crate) fn disk(error: io::Error) -> PutError {
        PutError::shelf(ShelfError::from(error))
    }

    pub(crate) fn shelf(error: ShelfError) -> PutError {
        match error {
            ShelfError::Full => PutError::DiskFull,
            ShelfError::Io(error) => PutError::Disk(error),
            ShelfError::Unreachable(why) => PutError::Unreachable(why),
            ShelfError::Taken => PutError::Disk(io::ErrorKind::PermissionDenied.into()),
            ShelfError::Missing => PutError::Disk(io::ErrorKind::NotFound.into()),
            ShelfError::Corrupt => PutError::Disk(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        for full in [libc_error(28), libc_error(122), libc_error(27)] {
            assert!(matches!(PutError::disk(full), PutError::DiskFull));
        }
        assert!(matches!(PutError::disk(libc_error(5)), PutError::Disk(_)));
    }

    /// ENOSPC is 28, EDQUOT 122, EFBIG 27, EIO 5 on Linux.
    fn libc_error(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }
}
