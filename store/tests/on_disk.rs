//! Spaces whose values are too large for memory: fronts in the index, wholes on the disk.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use bytes::Bytes;
use store::{OnDisk, Options, Space, Store, SwapError};

const FRONT: usize = 8;
const LARGE: usize = 2 * 1024 * 1024;

fn open(dir: &tempfile::TempDir) -> Space {
    let large = OnDisk { space: "large", front: FRONT, value_limit: LARGE };
    Store::open(dir.path(), Options { on_disk: vec![large], ..Options::default() }).unwrap().space("large")
}

fn value(first: u8) -> Bytes {
    (0..LARGE).map(|at| u8::try_from(at % 251).unwrap() ^ first).collect()
}

#[tokio::test]
async fn readers_see_the_front_and_fetch_the_whole_over_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let version = open(&dir).swap(b"k", None, Some(value(1))).await.unwrap();
    let space = open(&dir);
    assert_eq!(space.get(b"k").unwrap().value, value(1).slice(..FRONT));
    let mut fronts = Vec::new();
    space.scan(|_, version, front| fronts.push((version, front.len())));
    assert_eq!(fronts, [(version, FRONT)]);
    let whole = space.fetch(b"k").await.unwrap().unwrap();
    assert_eq!((whole.version, whole.value), (version, value(1)));
    assert_eq!(space.fetch(b"other").await, Ok(None));
}

#[tokio::test]
async fn a_fetch_sees_the_swap_that_was_answered_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let space = open(&dir);
    let first = space.swap(b"k", None, Some(value(1))).await.unwrap();
    let second = space.swap(b"k", Some(first), Some(value(2))).await.unwrap();
    assert_eq!(space.fetch(b"k").await.unwrap().unwrap().value, value(2));
    space.swap(b"k", Some(second), None).await.unwrap();
    assert_eq!(space.fetch(b"k").await, Ok(None));
}

#[tokio::test]
async fn its_limit_is_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let long = vec![0; LARGE + 1].into();
    let refused = open(&dir).swap(b"k", None, Some(long)).await;
    assert_eq!(refused, Err(SwapError::ValueTooLong { octets: LARGE + 1, limit: LARGE }));
}

#[tokio::test]
async fn a_space_in_memory_is_fetched_from_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    store.space("small").swap(b"k", None, Some(Bytes::from_static(b"v"))).await.unwrap();
    assert_eq!(store.space("small").fetch(b"k").await.unwrap().unwrap().value, "v");
}
