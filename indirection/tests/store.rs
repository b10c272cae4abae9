//! The store on its own: what is durable, what is shared, what goes when.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use indirection::{Content, ContentStore, Link, Lookup, OpenError, Options, PutError, Swept};
use tokio::io::{AsyncRead, ReadBuf};

const DAY: Duration = Duration::from_hours(24);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)
}

async fn open(dir: &Path) -> ContentStore {
    ContentStore::open(dir, Options::default(), start()).await.unwrap()
}

fn gif() -> Content {
    Content { content_type: "image/gif".into(), ..Content::default() }
}

async fn put(store: &ContentStore, octets: &'static [u8]) -> Link {
    store.put(gif(), Bytes::from_static(octets), start()).await.unwrap()
}

fn files(dir: &Path, room: &str) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(dir.join(room)).unwrap().map(|entry| entry.unwrap().path());
    let inside =
        folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    inside.collect()
}

fn found(store: &ContentStore, link: &Link, now: SystemTime) -> bool {
    matches!(store.lookup(&link.token, now), Lookup::Found(_))
}

#[tokio::test]
async fn a_link_says_what_rfc_4483_wants() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let content = Content { fixed: true, ..gif() };
    let link = store.put(content, Bytes::from_static(b"abc"), start()).await.unwrap();
    assert_eq!(link.size, 3);
    assert_eq!(link.hash().unwrap(), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(link.expiration(), "Sun, 24 Mar 2030 17:46:40 GMT");
    assert_eq!(link.url, format!("http://127.0.0.1:8080/c/{}", link.token));
    assert_eq!(link.url.len(), store.url_octets());
    assert_eq!(
        put(&store, b"abc").await.hash(),
        None,
        "a store that adapts at the fetch can't promise octets"
    );
}

#[tokio::test]
async fn one_content_for_many_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let (a, b) = tokio::join!(put(&store, b"picture"), put(&store, b"picture"));
    let c = store.put_stream(gif(), &b"picture"[..], start()).await.unwrap();
    assert!(a.token != b.token && b.token != c.token);
    assert_eq!((files(dir.path(), "blobs").len(), files(dir.path(), "links").len()), (1, 3));
    let usage = store.usage();
    assert_eq!((usage.links, usage.contents, usage.octets), (3, 1, 7));
}

#[tokio::test]
async fn links_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let content = Content {
        description: Some("Sunset".into()),
        recipient: Some("sip:john@example.com".into()),
        ..gif()
    };
    let store = open(dir.path()).await;
    let link = store.put(content, Bytes::from_static(b"octets"), start()).await.unwrap();
    drop(store);
    let store = open(dir.path()).await;
    let Lookup::Found(record) = store.lookup(&link.token, start()) else { panic!("the link is gone") };
    assert_eq!((record.size, record.description.as_deref()), (6, Some("Sunset")));
    assert_eq!(record.expires(), link.expires);
    assert_eq!(store.usage().octets, 6);
}

#[tokio::test]
async fn what_a_crash_left_half_done_is_swept_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let link = put(&store, b"whole").await;
    put(&store, b"its record never came").await;
    drop(store);
    let orphan = files(dir.path(), "links").into_iter().find(|path| {
        let own = path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
            + path.file_name().unwrap().to_str().unwrap();
        let record = std::fs::read_to_string(path).unwrap();
        assert!(!record.contains(&link.token.to_string()) && !own.contains(&link.token.to_string()));
        record.contains("\"size\":21")
    });
    std::fs::remove_file(orphan.unwrap()).unwrap();
    std::fs::write(dir.path().join("tmp/17"), b"half").unwrap();
    let store = open(dir.path()).await;
    assert!(found(&store, &link, start()));
    assert_eq!(files(dir.path(), "blobs").len(), 1);
    assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_record_that_can_not_be_read_does_not_keep_the_store_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let (good, bad) = (put(&store, b"good").await, put(&store, b"other").await);
    drop(store);
    for path in files(dir.path(), "links") {
        if std::fs::read_to_string(&path).unwrap().contains("\"size\":5") {
            std::fs::write(path, b"{").unwrap();
        }
    }
    let store = open(dir.path()).await;
    assert!(found(&store, &good, start()));
    assert!(matches!(store.lookup(&bad.token, start()), Lookup::Unknown));
}

#[tokio::test]
async fn a_link_ends_is_gone_for_a_week_and_then_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let link = put(&store, b"x").await;
    assert_eq!(link.expires, start() + DAY * 7);
    let second = Duration::from_secs(1);
    assert!(found(&store, &link, link.expires));
    assert!(matches!(store.lookup(&link.token, link.expires + second), Lookup::Gone));
    assert_eq!(store.sweep(link.expires).await, Swept::default());
    let swept = store.sweep(link.expires + second).await;
    assert_eq!((swept.expired, swept.contents, swept.forgotten), (1, 1, 0));
    assert!(files(dir.path(), "blobs").is_empty());
    assert!(matches!(store.lookup(&link.token, start()), Lookup::Gone));
    drop(store);
    let store = ContentStore::open(dir.path(), Options::default(), link.expires + DAY).await.unwrap();
    assert!(
        matches!(store.lookup(&link.token, link.expires + DAY), Lookup::Gone),
        "a tombstone outlives a restart"
    );
    assert_eq!(store.sweep(link.expires + DAY * 7 + second).await.forgotten, 1);
    assert!(matches!(store.lookup(&link.token, start()), Lookup::Unknown));
    assert!(files(dir.path(), "links").is_empty());
}

#[tokio::test]
async fn a_shared_content_stays_until_its_last_link_ends() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let short = put(&store, b"shared").await;
    let content = Content { keep_until: Some(start() + DAY * 20), ..gif() };
    let long = store.put(content, Bytes::from_static(b"shared"), start()).await.unwrap();
    assert_eq!(long.expires, start() + DAY * 20);
    let swept = store.sweep(short.expires + DAY).await;
    assert_eq!((swept.expired, swept.contents), (1, 0));
    assert_eq!(files(dir.path(), "blobs").len(), 1);
    assert_eq!(store.sweep(long.expires + DAY).await.contents, 1);
    assert_eq!(store.usage().octets, 0);
}

#[tokio::test]
async fn a_message_can_not_keep_its_content_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let content = Content { keep_until: Some(start() + DAY * 10_000), ..gif() };
    let link = store.put(content, Bytes::new(), start()).await.unwrap();
    assert_eq!(link.expires, start() + Options::default().max_ttl);
}

#[tokio::test]
async fn each_limit_refuses_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        quota_octets: 100,
        content_octets: 60,
        recipient_octets: 70,
        max_links: 3,
        ..Options::default()
    };
    let store = ContentStore::open(dir.path(), options, start()).await.unwrap();
    let to = |aor: &str| Content { recipient: Some(aor.into()), ..gif() };
    let octets = |first: u8, n: usize| {
        let mut octets = vec![0; n];
        octets[0] = first;
        Bytes::from(octets)
    };
    let error = store.put(to("a"), octets(1, 61), start()).await.unwrap_err();
    assert!(matches!(error, PutError::TooLarge { limit: 60 }) && !error.is_temporary());
    let error = store.put_stream(to("a"), &octets(1, 61)[..], start()).await.unwrap_err();
    assert!(matches!(error, PutError::TooLarge { limit: 60 }));
    store.put(to("a"), octets(1, 50), start()).await.unwrap();
    let error = store.put(to("a"), octets(2, 30), start()).await.unwrap_err();
    assert!(matches!(error, PutError::RecipientFull { limit: 70 }) && error.is_temporary());
    let error = store.put_stream(to("b"), &octets(2, 55)[..], start()).await.unwrap_err();
    assert!(matches!(error, PutError::QuotaFull { limit: 100 }));
    assert_eq!(store.usage().octets, 50, "what was refused is not counted");
    store.put(to("b"), octets(3, 50), start()).await.unwrap();
    assert!(matches!(store.put(to("c"), octets(4, 1), start()).await, Err(PutError::QuotaFull { .. })));
    assert_eq!(files(dir.path(), "blobs").len(), 2);
    store.put(gif(), Bytes::new(), start()).await.unwrap();
    assert!(matches!(
        store.put(gif(), Bytes::new(), start()).await,
        Err(PutError::TooManyLinks { limit: 3 })
    ));
    assert_eq!((files(dir.path(), "links").len(), files(dir.path(), "blobs").len()), (3, 3));
    assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    store.sweep(start() + DAY * 8).await;
    store.put(to("a"), octets(2, 30), start()).await.expect_err("tombstones count as links");
    store.sweep(start() + DAY * 15).await;
    store.put(to("a"), octets(2, 60), start()).await.unwrap();
}

/// A stream that gives `left` octets and counts how many were asked for at a time.
struct Endless {
    left: u64,
    largest: usize,
    fails: bool,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.largest = self.largest.max(into.remaining());
        let n = self.left.min(into.remaining() as u64);
        if n == 0 && self.fails {
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
        }
        into.initialize_unfilled_to(n as usize).fill(7);
        into.advance(n as usize);
        self.left -= n;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_long_stream_passes_in_small_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut stream = Endless { left: 5 << 20, largest: 0, fails: false };
    let link = store.put_stream(gif(), &mut stream, start()).await.unwrap();
    assert_eq!(link.size, 5 << 20);
    assert!(stream.largest <= 128 * 1024, "{}", stream.largest);
    assert_eq!(std::fs::metadata(&files(dir.path(), "blobs")[0]).unwrap().len(), 5 << 20);
}

#[tokio::test]
async fn a_stream_that_breaks_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let stream = Endless { left: 100_000, largest: 0, fails: true };
    let error = store.put_stream(gif(), stream, start()).await.unwrap_err();
    assert!(matches!(error, PutError::Source(_)));
    assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    assert_eq!((store.usage().links, store.usage().octets), (0, 0));
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_an_error_and_not_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    // The folder of temporary files is a file: whatever is written fails.
    std::fs::remove_dir(dir.path().join("tmp")).unwrap();
    std::fs::write(dir.path().join("tmp"), b"").unwrap();
    assert!(matches!(store.put(gif(), Bytes::from_static(b"x"), start()).await, Err(PutError::Disk(_))));
    assert_eq!((store.usage().links, store.usage().contents, store.usage().octets), (0, 0, 0));
    std::fs::remove_file(dir.path().join("tmp")).unwrap();
    std::fs::create_dir(dir.path().join("tmp")).unwrap();
    assert!(found(&store, &put(&store, b"x").await, start()), "and works again when the disk does");
}

#[tokio::test]
async fn two_processes_can_not_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let second = ContentStore::open(dir.path(), Options::default(), start()).await;
    assert!(matches!(second, Err(OpenError::InUse(_))));
    drop(store);
    open(dir.path()).await;
}

/// Runs under the limit that `a_stream_whose_last_octets_find_no_room_is_no_link` sets.
#[tokio::test]
#[ignore = "run by the next test, in a process of its own"]
async fn under_a_limit_on_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let stream = Endless { left: 50_000, largest: 0, fails: false };
    let error = store.put_stream(gif(), stream, start()).await.unwrap_err();
    assert!(matches!(error, PutError::DiskFull), "{error}");
    assert_eq!((files(dir.path(), "blobs").len(), store.usage().octets), (0, 0));
    println!("it was refused");
}

#[test]
fn a_stream_whose_last_octets_find_no_room_is_no_link() {
    let limited = "trap '' XFSZ; ulimit -f 8; exec \"$@\"";
    let done = std::process::Command::new("sh")
        .args(["-c", limited, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "under_a_limit_on_files", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("it was refused"), "{said}");
}

#[tokio::test]
async fn a_time_to_live_without_end_is_a_date_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { ttl: Duration::MAX, max_ttl: Duration::MAX, ..Options::default() };
    let store = ContentStore::open(dir.path(), options, start()).await.unwrap();
    assert_eq!(put(&store, b"x").await.expiration(), "Fri, 31 Dec 9999 23:59:59 GMT");
}
