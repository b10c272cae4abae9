//! The store itself: opening, finding, sweeping. Putting is in [`crate::put`].

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::cache::Cache;
use crate::error::{OpenError, PutError, ShelfError};
use crate::home::Home;
use crate::place::Place;
use crate::record::{Record, seconds};
use crate::shelf::{Bucket, Disk, Parcel, Pieces, Room, Shelf, whole};
use crate::state::{Entry, State};
use crate::token::{Sum, Token, same};

/// Records read at the same time when a store is opened.
const READ_AT_ONCE: usize = 64;

/// Octets of the longest record that is read.
const RECORD: u64 = 256 << 10;

/// The sum of no token.
const NOBODY: Sum = [0; 32];

/// Limits and times of a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the octets lie.
    pub place: Place,
    /// How links begin, without a slash at the end: `https://content.example.com`.
    pub public_url: String,
    /// How long a link lasts at least.
    pub ttl: Duration,
    /// How long it lasts at most, whatever the message's Expires says.
    pub max_ttl: Duration,
    /// How long an expired link is still known, to answer 410 and not 404.
    pub tombstone: Duration,
    /// Most octets of all contents, each counted once.
    pub quota_octets: u64,
    /// Most octets of one content.
    pub content_octets: u64,
    /// Most octets of one recipient's links together.
    pub recipient_octets: u64,
    /// Most octets of what one sender has lying here, each content once.
    pub sender_octets: u64,
    /// Most octets of adapted contents that are kept in memory.
    pub cache_memory: u64,
    /// Most octets of them on this machine's disk.
    pub cache_disk: u64,
    /// Most links, expired ones that are still known included.
    pub max_links: usize,
}

impl Options {
    /// Octets of every link's URL.
    pub fn url_octets(&self) -> usize {
        self.public_url.len() + "/c/".len() + Token::OCTETS
    }
}

impl Default for Options {
    /// A week, 10 GiB in all, 64 MiB one content, 512 MiB one recipient and one sender, a million links, 64 MiB
    /// and 1 GiB of adapted contents.
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Options {
            place: Place::Disk,
            public_url: "http://127.0.0.1:8080".into(),
            ttl: DAY * 7,
            max_ttl: DAY * 90,
            tombstone: DAY * 7,
            quota_octets: 10 << 30,
            content_octets: 64 << 20,
            recipient_octets: 512 << 20,
            sender_octets: 512 << 20,
            cache_memory: 64 << 20,
            cache_disk: 1 << 30,
            max_links: 1_000_000,
        }
    }
}

/// Contents and the links to them. Cheap to clone; all clones are one store.
#[derive(Clone, Debug)]
pub struct ContentStore {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) home: Home,
    pub(crate) shelf: Box<dyn Shelf>,
    /// What was made of contents.
    pub(crate) cache: Cache,
    /// Of the persons' hashes.
    key: Sum,
    state: Mutex<State>,
    /// Rung when a content has been taken away.
    pub(crate) left: Notify,
}

/// What a token leads to.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// A content.
    Found(Arc<Record>),
    /// One that was there: 410.
    Gone,
    /// Nothing that is known: 404.
    Unknown,
}

/// What a sweep took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Links that expired.
    pub expired: u64,
    /// Tombstones forgotten.
    pub forgotten: u64,
    /// Contents nobody links to any more.
    pub contents: u64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Links that are served.
    pub links: usize,
    /// Contents, each counted once.
    pub contents: usize,
    /// Their octets.
    pub octets: u64,
}

impl ContentStore {
    /// Opens the store whose folder is `dir`, made if it is not there, and removes what a crash left half done. It
    /// reads every link's record.
    ///
    /// # Errors
    /// [`OpenError`]: the folder can't be used, or another process uses it.
    pub async fn open(
        dir: impl AsRef<Path>,
        options: Options,
        now: SystemTime,
    ) -> Result<ContentStore, OpenError> {
        let dir = dir.as_ref().to_owned();
        let (cache_memory, cache_disk) = (options.cache_memory, options.cache_disk);
        let place = options.place.clone();
        let opening = tokio::task::spawn_blocking(move || {
            let failed = |source| OpenError::Io { path: dir.clone(), source };
            let home = Home::open(&dir).map_err(failed)?.ok_or_else(|| OpenError::InUse(dir.clone()))?;
            let key = home.key(|| {
                let mut key = [0; 32];
                getrandom::fill(&mut key).map(|()| key).map_err(Failed::Random)
            });
            let key = key.map_err(|error| match error {
                Failed::Io(source) => failed(source),
                Failed::Random(error) => OpenError::Random(error),
            })?;
            let disk = match place {
                Place::Disk => Some(Disk::open(home.clone()).map_err(failed)?),
                Place::Bucket(_) => None,
            };
            let cache = Cache::open(home.clone(), cache_memory, cache_disk).map_err(failed)?;
            Ok((home, key, disk, cache))
        });
        let (home, key, disk, cache) =
            opening.await.map_err(|broken| OpenError::Shelf(ShelfError::Io(broken.into())))??;
        let shelf: Box<dyn Shelf> = match (&options.place, disk) {
            (Place::Bucket(address), _) => {
                let owner = Sum::from(Sha256::new().chain_update(key).chain_update("owner").finalize());
                Box::new(Bucket::open(address, &owner).await.map_err(OpenError::Shelf)?)
            }
            (Place::Disk, Some(disk)) => Box::new(disk),
            (Place::Disk, None) => return Err(OpenError::Shelf(ShelfError::Missing)),
        };
        let state = restore(&*shelf, &options, seconds(now)).await.map_err(OpenError::Shelf)?;
        let inner = Inner { options, home, shelf, cache, key, state: Mutex::new(state), left: Notify::new() };
        let store = ContentStore { inner: Arc::new(inner) };
        store.inner.collect().await;
        Ok(store)
    }

    /// Octets of every link's URL.
    pub fn url_octets(&self) -> usize {
        self.inner.options.url_octets()
    }

    /// The address of a link.
    pub(crate) fn url_of(&self, token: &Token) -> String {
        format!("{}/c/{token}", self.inner.options.public_url)
    }

    /// What `token` leads to at `now`.
    pub fn lookup(&self, token: &Token, now: SystemTime) -> Lookup {
        let sum = token.sum();
        let state = self.inner.state();
        let found = state.entry(&sum);
        // A token that is nobody's is compared with something as well.
        let is_known = same(found.map_or(&NOBODY, |(known, _)| known), &sum);
        let Some((_, entry)) = found.filter(|_| is_known) else { return Lookup::Unknown };
        match entry {
            Entry::Live(record) if seconds(now) <= record.expires => Lookup::Found(record.clone()),
            Entry::Live(_) | Entry::Gone => Lookup::Gone,
        }
    }

    /// The octets `range` of a content, in pieces. They may be swept away once its link has expired; what is being
    /// read stays readable.
    pub(crate) async fn read(&self, record: &Record, range: Range<u64>) -> Result<Pieces, ShelfError> {
        self.inner.shelf.read(Room::Blobs, record.blob, range).await
    }

    /// All of a content, held against its sum.
    pub(crate) async fn load(&self, record: &Record) -> Result<Bytes, ShelfError> {
        let octets = whole(self.read(record, 0..record.size).await?, record.size).await?;
        let (summed, blob) = (octets.clone(), record.blob);
        let sum = tokio::task::spawn_blocking(move || Sum::from(Sha256::digest(&summed))).await;
        if sum.is_ok_and(|sum| sum == blob) { Ok(octets) } else { Err(ShelfError::Corrupt) }
    }

    /// Takes away what has expired at `now`. Call it now and then.
    pub async fn sweep(&self, now: SystemTime) -> Swept {
        let (now, tombstone) = (seconds(now), self.inner.options.tombstone.as_secs());
        let mut swept = Swept::default();
        // The lock is taken for one link at a time, so that fetches get their turn.
        while self.inner.end_next(now, tombstone) {
            swept.expired += 1;
            tokio::task::consume_budget().await;
        }
        swept.contents = self.inner.collect().await;
        loop {
            let next = self.inner.state().next_forgotten(now);
            let Some(link) = next else { break };
            swept.forgotten += 1;
            self.inner.forget(link).await;
        }
        swept
    }

    /// Ends a link that was given out: from now on it is gone. Whether there was one.
    ///
    /// # Errors
    /// It could not be written down: the link is ended until a restart only.
    pub async fn revoke(&self, token: &Token, now: SystemTime) -> Result<bool, PutError> {
        self.inner.revoke(token.sum(), seconds(now)).await
    }

    /// Ends all links for a recipient; how many those were.
    ///
    /// # Errors
    /// As for [`ContentStore::revoke`].
    pub async fn revoke_all(&self, recipient: &str, now: SystemTime) -> Result<u64, PutError> {
        let links = self.inner.state().of_recipient(&self.inner.person(recipient));
        let mut ended = 0;
        for link in links {
            ended += u64::from(self.inner.revoke(link, seconds(now)).await?);
        }
        Ok(ended)
    }

    /// Takes away a link that nobody was given.
    pub async fn discard(&self, token: &Token) {
        let ended = self.inner.state().end(&token.sum());
        if ended.is_some() {
            self.inner.forget(token.sum()).await;
            self.inner.collect().await;
        }
    }

    /// How much there is.
    pub fn usage(&self) -> Usage {
        let (links, contents, octets) = self.inner.state().counts();
        Usage { links, contents, octets }
    }
}

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_next(&self, now: u64, tombstone: u64) -> bool {
        self.state().end_next(now, tombstone)
    }

    /// The tombstone is written before the answer is given: a restart must not bring the link back.
    async fn revoke(self: &Arc<Self>, link: Sum, now: u64) -> Result<bool, PutError> {
        let Some(record) = self.state().end(&link) else { return Ok(false) };
        let end = now.saturating_sub(1);
        self.state().bury(link, end.saturating_add(self.options.tombstone.as_secs()));
        let ended = Record { expires: end, ..(*record).clone() };
        let json = ended.to_json().map_err(|error| PutError::Disk(error.into()))?;
        let written = self.shelf.write(Room::Links, link, Parcel::Octets(json.into())).await;
        self.collect().await;
        written.map_err(PutError::shelf)?;
        Ok(true)
    }

    async fn forget(&self, link: Sum) {
        if let Err(error) = self.shelf.remove(Room::Links, link).await {
            tracing::warn!(%error, "an expired link's record could not be removed");
        }
    }

    /// Takes away the contents nobody holds; how many those were. A task of its own does it: a removal that was
    /// begun and not waited for could meet a put of the same content.
    pub(crate) async fn collect(self: &Arc<Self>) -> u64 {
        if self.state().idle() == 0 {
            return 0;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move { this.collect_now().await }).await.unwrap_or_default()
    }

    async fn collect_now(&self) -> u64 {
        let mut collected = 0;
        // What can't be removed is idle again, and not tried again before the next sweep.
        let idle = self.state().idle();
        for _ in 0..idle {
            let next = self.state().next_idle();
            let Some(blob) = next else { break };
            let removed = self.shelf.remove(Room::Blobs, blob).await;
            self.state().left(&blob, removed.is_ok());
            self.left.notify_waiters();
            match removed {
                Ok(()) => {
                    self.cache.forget(&blob);
                    collected += 1;
                }
                Err(error) => tracing::warn!(%error, "a content nobody links to could not be removed"),
            }
        }
        collected
    }

    /// What is kept of a person.
    pub(crate) fn person(&self, aor: &str) -> Sum {
        Sha256::new().chain_update(self.key).chain_update(aor).finalize().into()
    }
}

enum Failed {
    Io(std::io::Error),
    Random(getrandom::Error),
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Failed {
        Failed::Io(error)
    }
}

/// The state that the shelf says. Contents without a link are idle: their put was cut off by a crash.
async fn restore(shelf: &dyn Shelf, options: &Options, now: u64) -> Result<State, ShelfError> {
    let mut state = State::default();
    let blobs: HashMap<Sum, u64> = shelf.list(Room::Blobs).await?.into_iter().collect();
    let links = shelf.list(Room::Links).await?;
    let tombstone = options.tombstone.as_secs();
    let reading = links.into_iter().map(async |(link, octets)| {
        let pieces = shelf.read(Room::Links, link, 0..octets).await?;
        Ok::<_, ShelfError>((link, Record::from_json(&whole(pieces, RECORD).await?)))
    });
    let mut records = futures_util::stream::iter(reading).buffer_unordered(READ_AT_ONCE);
    let (mut unreadable, mut lost) = (0u64, 0u64);
    while let Some(read) = records.next().await {
        let (link, record) = read?;
        match record {
            None => unreadable += 1,
            Some(record) if record.expires < now => {
                state.bury(link, record.expires.saturating_add(tombstone));
            }
            Some(record) if blobs.get(&record.blob) == Some(&record.size) => {
                state.hold(record.blob, record.size);
                state.is_stored(&record.blob);
                state.restore(link, Arc::new(record));
            }
            Some(record) => {
                lost += 1;
                state.bury(link, record.expires.saturating_add(tombstone));
            }
        }
    }
    if unreadable > 0 || lost > 0 {
        tracing::warn!(unreadable, lost, "links of the content store can't be read or lead to nothing");
    }
    // A record that can't be read may name any of them.
    if unreadable == 0 {
        for (blob, octets) in blobs.into_iter().filter(|(blob, _)| !state.holds(blob)).collect::<Vec<_>>() {
            state.hold(blob, octets);
            state.let_go(&blob);
        }
    }
    Ok(state)
}
