//! Putting a content into the store: streamed to a file aside, synced, named by its sum, linked.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use crate::content::{Content, Link};
use crate::error::PutError;
use crate::record::{Record, Sums, seconds};
use crate::shelf::{Parcel, Room};
use crate::state::{Held, Share};
use crate::store::{ContentStore, Inner};
use crate::token::{Sum, Token};

/// Octets of a stream that are in memory at a time.
const CHUNK: usize = 64 * 1024;

/// Octets whose sums are made where they are: moving them to another thread would cost more.
const SUMMED_HERE: usize = 16 * 1024;

/// 31 December 9999, 23:59:59: the last date RFC 1123 can write.
const LAST_SECOND: u64 = 253_402_300_799;

impl ContentStore {
    /// Stores `octets` and links to them. When this returns, both are durable. Octets that are stored already are
    /// linked once more. Dropped before it returns, it leaves no link.
    ///
    /// # Errors
    /// [`PutError`]; nothing is left behind then.
    pub async fn put(&self, content: Content, octets: Bytes, now: SystemTime) -> Result<Link, PutError> {
        let size = octets.len() as u64;
        self.check_size(size)?;
        let mut arriving = Arriving { inner: self.inner.clone(), octets: 0 };
        arriving.more(size)?;
        let sums = if octets.len() <= SUMMED_HERE {
            Summing::of(&octets)
        } else {
            let octets = octets.clone();
            let summed = tokio::task::spawn_blocking(move || Summing::of(&octets)).await;
            summed.map_err(|error| PutError::Disk(std::io::Error::other(error)))?
        };
        self.shelve(content, Parcel::Octets(octets), sums, arriving, now).await
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
        let aside = self.inner.home.aside();
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
        let size = arriving.octets;
        self.shelve(content, Parcel::File(aside, size), sums.finish(), arriving, now).await
    }

    fn check_size(&self, octets: u64) -> Result<(), PutError> {
        let limit = self.inner.options.content_octets;
        if octets > limit { Err(PutError::TooLarge { limit }) } else { Ok(()) }
    }

    /// Writes a content whose sums are known, and a link to it. A task of its own does it: a write that was begun
    /// can't be taken back half way, and what nobody waits for any more is discarded after it.
    async fn shelve(
        &self,
        content: Content,
        parcel: Parcel,
        sums: Sums,
        arriving: Arriving,
        now: SystemTime,
    ) -> Result<Link, PutError> {
        let (done, result) = oneshot::channel();
        let this = self.clone();
        tokio::spawn(async move {
            let linked = this.write(content, parcel, &sums, arriving, seconds(now)).await;
            if linked.is_err() {
                this.inner.collect().await;
            }
            if let Err(Ok(unwanted)) = done.send(linked) {
                this.discard(&unwanted.token).await;
            }
        });
        let broken = |_| PutError::Disk(std::io::Error::other("the store broke while it wrote"));
        result.await.unwrap_or_else(|gone| Err(broken(gone)))
    }

    async fn write(
        &self,
        content: Content,
        parcel: Parcel,
        sums: &Sums,
        arriving: Arriving,
        now: u64,
    ) -> Result<Link, PutError> {
        let inner = &self.inner;
        let share = Share {
            blob: sums.sha256,
            octets: sums.size,
            recipient: content.recipient.as_deref().map(|aor| inner.person(aor)),
            sender: content.sender.as_deref().map(|aor| inner.person(aor)),
        };
        let mut promise = Promise::new(inner.clone(), share)?;
        let mut hold = Hold::new(arriving, sums).await;
        if !hold.is_stored {
            inner.shelf.write(Room::Blobs, sums.sha256, parcel).await.map_err(PutError::shelf)?;
            inner.state().is_stored(&sums.sha256);
        }
        let expires = inner.options.expiry(content.keep_until, now);
        let fixed = content.fixed;
        let record = Record::new(content, &promise.share, sums.sha1, expires);
        let token = Token::random().map_err(PutError::Random)?;
        let json = record.to_json().map_err(|error| PutError::Disk(error.into()))?;
        let parcel = Parcel::Octets(json.into());
        inner.shelf.write(Room::Links, token.sum(), parcel).await.map_err(PutError::shelf)?;
        let link = Link {
            url: self.url_of(&token),
            token,
            expires: record.expires(),
            size: sums.size,
            sha1: fixed.then_some(sums.sha1),
        };
        inner.state().link(token.sum(), Arc::new(record));
        (promise.is_kept, hold.is_linked) = (true, true);
        metrics::counter!("bespoke_content_links_total").increment(1);
        Ok(link)
    }
}

impl crate::store::Options {
    /// The last second of a link made `now`.
    fn expiry(&self, keep_until: Option<SystemTime>, now: u64) -> u64 {
        let asked = keep_until.map_or(0, seconds);
        let latest = now.saturating_add(self.max_ttl.as_secs()).min(LAST_SECOND);
        now.saturating_add(self.ttl.as_secs()).max(asked).min(latest)
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

/// A link that is counted for its sender and its recipient before it is made, so that no two puts at the same
/// time pass a quota together.
struct Promise {
    inner: Arc<Inner>,
    share: Share,
    is_kept: bool,
}

impl Promise {
    fn new(inner: Arc<Inner>, share: Share) -> Result<Promise, PutError> {
        inner.state().promise(&share, &inner.options)?;
        Ok(Promise { inner, share, is_kept: false })
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if !self.is_kept {
            self.inner.state().unpromise(&self.share);
        }
    }
}

/// A blob no sweep takes, until it is linked or this is dropped.
struct Hold {
    inner: Arc<Inner>,
    blob: Sum,
    is_stored: bool,
    is_linked: bool,
}

impl Hold {
    /// What was arriving is the blob's from here on.
    async fn new(arriving: Arriving, sums: &Sums) -> Hold {
        let inner = arriving.inner.clone();
        let is_stored = loop {
            let mut left = std::pin::pin!(inner.left.notified());
            // Before the state is asked, so that what leaves in between is heard of.
            left.as_mut().enable();
            let held = inner.state().hold(sums.sha256, sums.size);
            match held {
                Held::Leaving => left.await,
                Held::Stored => break true,
                Held::Absent => break false,
            }
        };
        Hold { inner, blob: sums.sha256, is_stored, is_linked: false }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.is_linked {
            self.inner.state().let_go(&self.blob);
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
    fn of(octets: &[u8]) -> Sums {
        let mut sums = Summing::default();
        sums.add(octets);
        sums.finish()
    }

    fn add(&mut self, octets: &[u8]) {
        self.sha1.update(octets);
        self.sha256.update(octets);
        self.size += octets.len() as u64;
    }

    fn finish(self) -> Sums {
        Sums { size: self.size, sha1: self.sha1.finalize().into(), sha256: self.sha256.finalize().into() }
    }
}
