//! Certificates that change on disk while the server runs.
//!
//! The folders are watched and not the files: tools replace a file by renaming another one onto it, or turn a
//! link round above it.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::sleep;
use transport::{Endpoint, TlsFiles};

/// The quiet time after a change: certificate and key are seldom written in one moment.
const QUIET: Duration = Duration::from_millis(500);

/// Reads certificates again, and says how that went.
pub(super) fn reload(endpoint: &Endpoint, files: &TlsFiles) {
    match endpoint.reload_tls(files) {
        Ok(()) => tracing::info!("certificates read again, in force from now on"),
        Err(error) => {
            tracing::error!(%error, "certificates were not read again, the old ones stay in force");
        }
    }
}

/// Watches while it lives.
pub(super) struct Watch {
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches the folders of those files. What can't be watched is still read on SIGHUP.
    pub(super) fn begin(endpoint: Endpoint, files: TlsFiles) -> Self {
        let folders = folders(&files);
        if folders.is_empty() {
            return Self { _watcher: None };
        }
        // One waiting change stands for all that come before it is looked at.
        let (changes, seen) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_change(event.kind)) {
                let _one_waits = changes.try_send(());
            }
        });
        let watching = watcher.and_then(|mut watcher| {
            folders.iter().try_for_each(|folder| watcher.watch(folder, RecursiveMode::NonRecursive))?;
            Ok(watcher)
        });
        match watching {
            Ok(watcher) => {
                tokio::spawn(follow(endpoint, files, seen));
                Self { _watcher: Some(watcher) }
            }
            Err(error) => {
                tracing::warn!(%error, "certificates are not watched: send SIGHUP when they change");
                Self { _watcher: None }
            }
        }
    }
}

/// Ends with its [`Watch`].
async fn follow(endpoint: Endpoint, files: TlsFiles, mut changes: mpsc::Receiver<()>) {
    let mut before = contents(&files);
    while changes.recv().await.is_some() {
        sleep(QUIET).await;
        while changes.try_recv().is_ok() {}
        let now = contents(&files);
        if now != before {
            before = now;
            reload(&endpoint, &files);
        }
    }
}

/// Reading a file is an event too, and none that concerns us.
const fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => matches!(kind, AccessKind::Close(AccessMode::Write)),
        _ => true,
    }
}

fn all(files: &TlsFiles) -> impl Iterator<Item = &PathBuf> {
    [&files.cert, &files.key, &files.ca, &files.client_ca].into_iter().flatten()
}

fn folders(files: &TlsFiles) -> BTreeSet<PathBuf> {
    let folder = |file: &PathBuf| match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => Path::new(".").to_owned(),
    };
    all(files).map(folder).collect()
}

/// A mark of what the files hold, so that others that change beside them are no change.
fn contents(files: &TlsFiles) -> u64 {
    let mut hasher = DefaultHasher::new();
    all(files).for_each(|file| std::fs::read(file).ok().hash(&mut hasher));
    hasher.finish()
}
