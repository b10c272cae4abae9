//! Putting a content into the store: streamed to a file aside, synced, named by its sum, linked.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::content::{Content, Link};
use crate::error::PutError;
use crate::files::{Room, Temporary};
use crate::record::{Record, Sums, seconds};
use crate::store::{ContentStore, Inner};
use crate::token::{Sum, Token};

/// Octets of a stream that are in memory at a time.
const CHUNK: usize = 64 * 1024;

/// 31 December 9999, 23:59:59: the last date RFC 1123 can write.
const LAST_SECOND: u64 = 253_402_300_799;

impl ContentStore {
    /// Stores `octets` and links to them. When this returns, both are durable. Octets that are stored already are
    /// linked once more.
    ///
    /// # Errors
    /// [`PutError`]; nothing is left behind then.
    pub async fn put(&self, content: Content, octets: Bytes, now: SystemTime) -> Result<Link, PutError> {
        let size = octets.len() as u64;
        self.check_size(size)?;
        let mut arriving = Arriving { inner: self.inner.clone(), octets: 0 };
        arriving.more(size)?;
        let this = self.clone();
        off_thread(move || {
            let mut sums = Summing::default();
            sums.add(&octets);
            let sums = sums.finish();
            let held = Held::new(arriving, &sums);
            if !held.stored {
                this.inner.files.write(Room::Blobs, &sums.sha256, &octets).map_err(PutError::disk)?;
            }
            this.link(content, &sums, held, now)
        })
        .await
    }

    /// As [`ContentStore::put`], from a stream of any length, with bounded memory.
    ///
    /// # Errors
    /// [`PutError`]; nothing is left behind then.
    pub async fn put_stream(
        &self,
        content: Content,
        mut source: impl AsyncRead + Unpin,
        now: SystemTime,
    ) -> Result<Link, PutError> {
        let aside = self.inner.files.temporary();
        let mut file = tokio::fs::File::create_new(&aside.path).await.map_err(PutError::disk)?;
        let mut arriving = Arriving { inner: self.inner.clone(), octets: 0 };
        let mut sums = Summing::default();
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            chunk.clear();
            let read =
                (&mut source).take(CHUNK as u64).read_buf(&mut chunk).await.map_err(PutError::Source)?;
            if read == 0 {
                break;
            }
            arriving.more(read as u64)?;
            self.check_size(arriving.octets)?;
            sums.add(&chunk);
            file.write_all(&chunk).await.map_err(PutError::disk)?;
        }
        // The last write may still be under way; its error would not come from `sync_all`.
        file.flush().await.map_err(PutError::disk)?;
        file.sync_all().await.map_err(PutError::disk)?;
        drop(file);
        let sums = sums.finish();
        let this = self.clone();
        off_thread(move || {
            let held = Held::new(arriving, &sums);
            if !held.stored {
                this.inner.files.place(aside, Room::Blobs, &sums.sha256).map_err(PutError::disk)?;
            } else {
                drop::<Temporary>(aside);
            }
            this.link(content, &sums, held, now)
        })
        .await
    }

    fn check_size(&self, octets: u64) -> Result<(), PutError> {
        let limit = self.inner.options.content_octets;
        if octets > limit { Err(PutError::TooLarge { limit }) } else { Ok(()) }
    }

    /// Writes the record of a link to a blob that is durable.
    fn link(&self, content: Content, sums: &Sums, mut held: Held, now: SystemTime) -> Result<Link, PutError> {
        let inner = &self.inner;
        let options = &inner.options;
        let recipient = content.recipient.as_deref().map(|aor| inner.recipient(aor));
        {
            let mut state = inner.state();
            state.is_stored(&sums.sha256);
            state.admit(recipient.as_ref(), sums.size, options)?;
        }
        let now = seconds(now);
        let asked = content.keep_until.map_or(0, seconds);
        let latest = now.saturating_add(options.max_ttl.as_secs()).min(LAST_SECOND);
        let expires = now.saturating_add(options.ttl.as_secs()).max(asked).min(latest);
        let fixed = content.fixed;
        let record = Record::new(content, sums, recipient, expires);
        let token = Token::random().map_err(PutError::Random)?;
        let json = record.to_json().map_err(|error| PutError::Disk(error.into()))?;
        inner.files.write(Room::Links, &token.sum(), &json).map_err(PutError::disk)?;
        let link = Link {
            url: format!("{}/c/{token}", options.public_url),
            token,
            expires: record.expires(),
            size: sums.size,
            sha1: fixed.then_some(sums.sha1),
        };
        inner.state().link(token.sum(), Arc::new(record));
        held.linked = true;
        metrics::counter!("bespoke_content_links_total").increment(1);
        Ok(link)
    }
}

/// Octets counted against the quota until their blob is known; given back when dropped.
struct Arriving {
    inner: Arc<Inner>,
    octets: u64,
}

impl Arriving {
    fn more(&mut self, octets: u64) -> Result<(), PutError> {
        self.inner.state().arrive(octets, &self.inner.options)?;
        self.octets += octets;
        Ok(())
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.inner.state().arrived(self.octets);
    }
}

/// A blob no sweep takes, until it is linked or this is dropped.
struct Held {
    inner: Arc<Inner>,
    blob: Sum,
    stored: bool,
    linked: bool,
}

impl Held {
    /// What was arriving is the blob's from here on.
    fn new(arriving: Arriving, sums: &Sums) -> Held {
        let inner = arriving.inner.clone();
        let stored = inner.state().hold(sums.sha256, sums.size);
        drop(arriving);
        Held { inner, blob: sums.sha256, stored, linked: false }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.linked {
            let mut state = self.inner.state();
            self.inner.let_go(&mut state, &self.blob);
        }
    }
}

#[derive(Default)]
struct Summing {
    sha1: Sha1,
    sha256: Sha256,
    size: u64,
}

impl Summing {
    fn add(&mut self, octets: &[u8]) {
        self.sha1.update(octets);
        self.sha256.update(octets);
        self.size += octets.len() as u64;
    }

    fn finish(self) -> Sums {
        Sums { size: self.size, sha1: self.sha1.finalize().into(), sha256: self.sha256.finalize().into() }
    }
}

/// Runs what waits for the disk where that disturbs nobody.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PutError> + Send + 'static,
) -> Result<T, PutError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(PutError::Disk(std::io::Error::other(error))))
}
