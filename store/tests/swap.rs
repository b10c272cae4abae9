//! Compare-and-swap: who wins, what readers see, what a restart brings back.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use store::{OpenError, Options, Store, SwapError};

fn open(dir: &tempfile::TempDir) -> Store {
    Store::open(dir.path(), Options::default()).unwrap()
}

fn value(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

#[tokio::test]
async fn a_swap_needs_the_version_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let space = open(&dir).space("things");

    let first = space.swap(b"k", None, value("one")).await.unwrap();
    assert_eq!(space.swap(b"k", None, value("two")).await, Err(SwapError::Conflict { current: Some(first) }));
    let second = space.swap(b"k", Some(first), value("two")).await.unwrap();
    assert!(second > first);
    assert_eq!(space.swap(b"k", Some(first), None).await, Err(SwapError::Conflict { current: Some(second) }));
    assert_eq!(space.get(b"k").unwrap().value, "two");
    assert_eq!(space.get(b"k").unwrap().version, second);
}

#[tokio::test]
async fn a_removed_key_written_again_has_a_new_version() {
    let dir = tempfile::tempdir().unwrap();
    let space = open(&dir).space("things");

    let first = space.swap(b"k", None, value("one")).await.unwrap();
    space.swap(b"k", Some(first), None).await.unwrap();
    assert_eq!(space.get(b"k"), None);
    assert_eq!(space.swap(b"k", Some(first), value("two")).await, Err(SwapError::Conflict { current: None }));
    assert_ne!(space.swap(b"k", None, value("two")).await.unwrap(), first);
}

#[tokio::test]
async fn spaces_do_not_see_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    store.space("a").swap(b"k", None, value("a")).await.unwrap();
    store.space("b").swap(b"k", None, value("b")).await.unwrap();
    assert_eq!(store.space("a").get(b"k").unwrap().value, "a");
    assert_eq!((store.space("a").len(), store.space("b").len(), store.space("c").is_empty()), (1, 1, true));
}

#[tokio::test]
async fn a_restart_brings_back_what_was_there_and_nothing_that_was_removed() {
    let dir = tempfile::tempdir().unwrap();
    let kept = {
        let space = open(&dir).space("things");
        let gone = space.swap(b"gone", None, value("x")).await.unwrap();
        space.swap(b"gone", Some(gone), None).await.unwrap();
        space.swap(b"empty", None, value("")).await.unwrap();
        space.swap(b"nul\0in\0key", None, value("\0\0")).await.unwrap();
        space.swap(b"kept", None, value("y")).await.unwrap()
    };
    let space = open(&dir).space("things");
    let mut seen = HashSet::new();
    space.scan(|key, _, value| assert!(seen.insert((key.to_vec(), value.to_vec()))));
    let all = [(&b"empty"[..], &b""[..]), (b"nul\0in\0key", b"\0\0"), (b"kept", b"y")];
    assert_eq!(seen, all.map(|(key, value)| (key.to_vec(), value.to_vec())).into());

    assert_eq!(space.get(b"kept").unwrap().version, kept);
    assert!(space.swap(b"kept", Some(kept), value("z")).await.unwrap() > kept);
}

#[tokio::test]
async fn a_restart_brings_back_what_the_engine_moved_into_tables() {
    const KEYS: u32 = 2000;
    let dir = tempfile::tempdir().unwrap();
    let options = Options { write_buffer: 64 * 1024, ..Options::default() };
    for round in 0..3u32 {
        let space = Store::open(dir.path(), options.clone()).unwrap().space("things");
        let mut tasks = tokio::task::JoinSet::new();
        for key in (0..KEYS).map(|i| i.to_be_bytes()) {
            let space = space.clone();
            tasks.spawn(async move {
                let expected = space.get(&key).map(|record| record.version);
                space.swap(&key, expected, Some(vec![round as u8; 600].into())).await.unwrap();
            });
        }
        tasks.join_all().await;
    }
    let space = Store::open(dir.path(), options).unwrap().space("things");
    assert_eq!(space.len(), KEYS as usize);
    space.scan(|_, _, value| assert_eq!(value, [2; 600]));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_swaps_on_one_version_exactly_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let space = open(&dir).space("things");
    let tasks: Vec<_> = (0..300u32)
        .map(|i| {
            let space = space.clone();
            tokio::spawn(async move { space.swap(b"k", None, Some(i.to_string().into())).await })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => winners += 1,
            Err(error) => assert!(matches!(error, SwapError::Conflict { current: Some(_) })),
        }
    }
    assert_eq!(winners, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_increments_of_one_counter_are_all_counted() {
    const TASKS: u64 = 8;
    const EACH: u64 = 25;
    let dir = tempfile::tempdir().unwrap();
    let space = open(&dir).space("things");
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let space = space.clone();
            tokio::spawn(async move {
                for _ in 0..EACH {
                    loop {
                        let now = space.get(b"n");
                        let count: u64 = now
                            .as_ref()
                            .map_or(0, |record| std::str::from_utf8(&record.value).unwrap().parse().unwrap());
                        let new = (count + 1).to_string().into();
                        match space.swap(b"n", now.map(|record| record.version), Some(new)).await {
                            Ok(_) => break,
                            Err(SwapError::Conflict { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(space.get(b"n").unwrap().value, (TASKS * EACH).to_string());
}

#[tokio::test]
async fn a_key_or_value_over_the_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { key_limit: 4, value_limit: 4, ..Options::default() };
    let store = Store::open(dir.path(), options).unwrap();
    let space = store.space("things");
    assert_eq!(
        space.swap(b"12345", None, value("")).await,
        Err(SwapError::KeyTooLong { octets: 5, limit: 4 })
    );
    assert_eq!(
        space.swap(b"1234", None, value("12345")).await,
        Err(SwapError::ValueTooLong { octets: 5, limit: 4 })
    );
    assert!(space.swap(b"1234", None, value("1234")).await.is_ok());
    let bad_name = store.space("with\0nul").swap(b"k", None, value("")).await;
    assert!(matches!(bad_name, Err(SwapError::KeyTooLong { .. })));
}

#[tokio::test]
async fn a_full_queue_says_busy() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { queue: 1, group: 1, linger: Duration::ZERO, ..Options::default() };
    let space = Store::open(dir.path(), options).unwrap().space("things");
    // All are queued before the first answer can be taken, far faster than a sync each.
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..2000u32 {
        let space = space.clone();
        tasks.spawn(async move { space.swap(&i.to_be_bytes(), None, value("x")).await });
    }
    let results = tasks.join_all().await;
    assert!(results.contains(&Err(SwapError::Busy)));
    let stored = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(stored, space.len());
}

#[test]
fn a_folder_in_use_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(&dir);
    let second = Store::open(dir.path(), Options::default());
    assert!(matches!(second, Err(OpenError::Locked { .. })), "{second:?}");
}

#[test]
fn a_damaged_folder_is_refused_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    std::fs::write(dir.path().join("version"), b"something else").unwrap();
    let error = Store::open(dir.path(), Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("backup"), "{error}");
}

#[test]
fn a_folder_that_can_not_be_made_is_an_io_error_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let error = Store::open(file.join("below"), Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("below"), "{error}");
}
