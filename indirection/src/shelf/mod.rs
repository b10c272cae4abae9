//! Where the octets of a store lie: one trait, a folder or a bucket behind it.
//!
//! A shelf knows names, octets and nothing else. What is written is there whole or not at all, and durable once the
//! write has returned; that is all the store above it relies on.

mod bucket;
mod disk;

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt};

use crate::error::ShelfError;
use crate::home::Aside;
use crate::token::Sum;

pub(crate) use bucket::Bucket;
pub(crate) use disk::Disk;

/// Octets read at a time.
const PIECE: usize = 64 * 1024;

/// The two kinds of things a store keeps, each named by a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Room {
    /// Contents.
    Blobs,
    /// Records of links.
    Links,
}

impl Room {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Room::Blobs => "blobs",
            Room::Links => "links",
        }
    }
}

/// What is to be written.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// Octets in memory.
    Octets(Bytes),
    /// A synced file of so many octets in the store's own folder.
    File(Aside, u64),
}

/// An answer of a shelf, when it comes.
pub(crate) type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, ShelfError>> + Send + 'a>>;

/// Octets of a shelf, in pieces.
pub(crate) type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, ShelfError>> + Send>>;

/// Named octets that outlive crashes.
pub(crate) trait Shelf: Debug + Send + Sync + 'static {
    /// Writes what `name` names, over what is there. Durable when this returns.
    fn write(&self, room: Room, name: Sum, parcel: Parcel) -> Doing<'_, ()>;

    /// The octets `range` of what `name` names, which ends within it.
    fn read(&self, room: Room, name: Sum, range: Range<u64>) -> Doing<'_, Pieces>;

    /// Takes away what `name` names; what is not there is as good as taken away.
    fn remove(&self, room: Room, name: Sum) -> Doing<'_, ()>;

    /// Every name of a room with its octets.
    fn list(&self, room: Room) -> Doing<'_, Vec<(Sum, u64)>>;
}

/// All of `pieces`, which may be `most` octets.
pub(crate) async fn whole(pieces: Pieces, most: u64) -> Result<Bytes, ShelfError> {
    let too_long = || ShelfError::Io(io::Error::other("it is longer than it was written"));
    let all = pieces.try_fold(BytesMut::new(), |mut all, piece| async move {
        if (all.len() + piece.len()) as u64 > most {
            return Err(too_long());
        }
        all.extend_from_slice(&piece);
        Ok(all)
    });
    all.await.map(BytesMut::freeze)
}
