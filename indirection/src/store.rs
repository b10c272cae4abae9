//! The store itself: opening, finding, sweeping. Putting is in [`crate::put`].

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::error::OpenError;
use crate::files::{Files, Room};
use crate::record::{Record, seconds};
use crate::state::{Entry, State};
use crate::token::{Sum, Token, same};

/// Limits and times of a store.
#[derive(Clone, Debug)]
pub struct Options {
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
    /// Most links, expired ones that are still known included.
    pub max_links: usize,
}

impl Default for Options {
    /// A week, 10 GiB in all, 64 MiB one content, 512 MiB one recipient, a million links.
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Options {
            public_url: "http://127.0.0.1:8080".into(),
            ttl: DAY * 7,
            max_ttl: DAY * 90,
            tombstone: DAY * 7,
            quota_octets: 10 << 30,
            content_octets: 64 << 20,
            recipient_octets: 512 << 20,
            max_links: 1_000_000,
        }
    }
}

/// Contents on disk and the links to them. Cheap to clone; all clones are one store.
#[derive(Clone, Debug)]
pub struct ContentStore {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) files: Files,
    /// Of the recipients' hashes.
    key: Sum,
    state: Mutex<State>,
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
    /// Opens the store in `dir`, made if it is not there, and removes what a crash left half done. Blocks: it
    /// reads every link's record.
    ///
    /// # Errors
    /// [`OpenError`]: the folder can't be used, or another process uses it.
    pub fn open(dir: impl AsRef<Path>, options: Options, now: SystemTime) -> Result<ContentStore, OpenError> {
        let dir = dir.as_ref();
        let failed = |source| OpenError::Io { path: dir.into(), source };
        let files = Files::open(dir).map_err(failed)?.ok_or_else(|| OpenError::InUse(dir.into()))?;
        let key = files.key(|| {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map(|()| key).map_err(Failed::Random)
        });
        let key = key.map_err(|error| match error {
            Failed::Io(source) => failed(source),
            Failed::Random(error) => OpenError::Random(error),
        })?;
        let state = read(&files, &options, seconds(now)).map_err(failed)?;
        let inner = Inner { options, files, key, state: Mutex::new(state) };
        Ok(ContentStore { inner: Arc::new(inner) })
    }

    /// Octets of every link's URL.
    pub fn url_octets(&self) -> usize {
        self.inner.options.public_url.len() + "/c/".len() + Token::OCTETS
    }

    /// What `token` leads to at `now`.
    pub fn lookup(&self, token: &Token, now: SystemTime) -> Lookup {
        let sum = token.sum();
        let state = self.inner.state();
        let Some((_, entry)) = state.entry(&sum).filter(|(known, _)| same(known, &sum)) else {
            return Lookup::Unknown;
        };
        match entry {
            Entry::Live(record) if seconds(now) <= record.expires => Lookup::Found(record.clone()),
            Entry::Live(_) | Entry::Gone => Lookup::Gone,
        }
    }

    /// Where the octets of a record lie. They may be swept away once it has expired; a file that is open stays
    /// readable.
    pub(crate) fn path(&self, record: &Record) -> PathBuf {
        self.inner.files.path(Room::Blobs, &record.blob)
    }

    /// Takes away what has expired at `now`. Blocks shortly for each file; call it now and then, off the
    /// threads of sockets.
    pub fn sweep(&self, now: SystemTime) -> Swept {
        let (now, tombstone) = (seconds(now), self.inner.options.tombstone.as_secs());
        let mut swept = Swept::default();
        // The lock is taken for one link at a time, so that fetches get their turn.
        while let Some(freed) = self.inner.end_one(now, tombstone) {
            swept.expired += 1;
            swept.contents += u64::from(freed);
        }
        loop {
            let next = self.inner.state().next_forgotten(now);
            let Some(link) = next else { break };
            swept.forgotten += 1;
            if let Err(error) = self.inner.files.remove(Room::Links, &link) {
                tracing::warn!(%error, "an expired link's record could not be removed");
            }
        }
        swept
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

    /// Ends one link; whether that freed its content.
    fn end_one(&self, now: u64, tombstone: u64) -> Option<bool> {
        let mut state = self.state();
        let record = state.next_ended(now, tombstone)?;
        Some(self.let_go(&mut state, &record.blob))
    }

    /// Lets a blob go, and removes its file with the last holder. The state stays locked meanwhile: a put of the
    /// same content must not find it stored and lose it.
    pub(crate) fn let_go(&self, state: &mut State, blob: &Sum) -> bool {
        let last = state.let_go(blob);
        if last && let Err(error) = self.files.remove(Room::Blobs, blob) {
            tracing::warn!(%error, "a content nobody links to could not be removed");
        }
        last
    }

    pub(crate) fn recipient(&self, aor: &str) -> Sum {
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

/// The state that the files say. Blobs without a link are removed: their put was cut off by a crash.
fn read(files: &Files, options: &Options, now: u64) -> std::io::Result<State> {
    let mut state = State::default();
    let mut unreadable = 0u64;
    files.walk(Room::Links, |link, path| {
        let Some(record) = Record::from_json(&std::fs::read(path)?) else {
            unreadable += 1;
            return Ok(());
        };
        if record.expires < now {
            state.bury(link, record.expires.saturating_add(options.tombstone.as_secs()));
        } else if files.path(Room::Blobs, &record.blob).try_exists()? {
            state.hold(record.blob, record.size);
            state.is_stored(&record.blob);
            state.link(link, Arc::new(record));
        } else {
            unreadable += 1;
        }
        Ok(())
    })?;
    if unreadable > 0 {
        tracing::warn!(unreadable, "links of the content store can't be read and are not served");
    }
    let mut left = 0u64;
    files.walk(Room::Blobs, |blob, _| {
        if state.holds(&blob) {
            return Ok(());
        }
        left += 1;
        files.remove(Room::Blobs, &blob)
    })?;
    if left > 0 {
        tracing::info!(left, "contents without a link removed from the content store");
    }
    Ok(state)
}
