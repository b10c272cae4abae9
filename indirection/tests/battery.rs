//! What every place of contents must do, as one function: run on a disk and on an S3 server of others over HTTP.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

#[expect(dead_code, reason = "what only the other tests use")]
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use indirection::{Content, ContentStore, Link, Lookup, OpenError, Options, Place, PutError, ShelfError};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use support::{START, Server, of, time};

const DAY: u64 = 86_400;

/// How often a folder that was just closed is opened before it counts as in use.
const LOOKS: usize = 10_000;

async fn open(dir: &Path, place: &Place, change: impl FnOnce(&mut Options)) -> ContentStore {
    let mut options = Options { place: place.clone(), ..Options::default() };
    change(&mut options);
    for _ in 0..LOOKS {
        match ContentStore::open(dir, options.clone(), time(START)).await {
            // A child that another test is starting has our files open until it executes its program.
            Err(OpenError::InUse(_)) => tokio::task::yield_now().await,
            opened => return opened.unwrap(),
        }
    }
    panic!("{} stays in use", dir.display())
}

async fn put(store: &ContentStore, octets: impl Into<Bytes>) -> Link {
    store.put(of("image/gif"), octets.into(), time(START)).await.unwrap()
}

fn octets(first: u8, count: usize) -> Bytes {
    let mut octets = vec![7; count];
    octets[0] = first;
    octets.into()
}

/// `place` gives a new one for each name.
async fn battery(place: impl Fn(&str) -> Place) {
    let dir = || tempfile::tempdir().unwrap();
    serves_what_was_put_once_for_all(dir().path(), &place("one")).await;
    streams_what_is_long(dir().path(), &place("two")).await;
    holds_quotas_against_those_who_come_together(dir().path(), &place("three")).await;
    ends_links_and_takes_away_what_nobody_links_to(dir().path(), &place("four")).await;
    never_takes_away_what_a_live_token_names(dir().path(), &place("five")).await;
}

async fn serves_what_was_put_once_for_all(dir: &Path, place: &Place) {
    let store = open(dir, place, |_| ()).await;
    let (a, b) = tokio::join!(put(&store, octets(1, 3000)), put(&store, octets(1, 3000)));
    assert_eq!((store.usage().links, store.usage().contents, store.usage().octets), (2, 1, 3000));
    drop(store);
    let store = open(dir, place, |_| ()).await;
    assert_eq!((store.usage().links, store.usage().contents), (2, 1), "a restart changes nothing");
    let server = Server::over(store.clone(), |_| ()).await;
    for link in [&a, &b] {
        assert_eq!(server.get(link, "").await.body, octets(1, 3000));
        let part = server.get(link, "Range: bytes=0-0,2990-\r\n").await;
        assert_eq!(part.status, 206);
        assert!(part.body.windows(10).any(|part| part == [7; 10]));
    }
    for link in [a, b] {
        store.discard(&link.token).await;
        assert!(matches!(store.lookup(&link.token, time(START)), Lookup::Unknown));
    }
    assert_eq!((store.usage().links, store.usage().octets), (0, 0));
    let empty = put(&store, Bytes::new()).await;
    assert_eq!((server.get(&empty, "").await.status, server.get(&empty, "").await.body.len()), (200, 0));
    store.discard(&empty.token).await;
}

async fn streams_what_is_long(dir: &Path, place: &Place) {
    let store = open(dir, place, |_| ()).await;
    let long = octets(2, (20 << 20) + 5);
    let link = store.put_stream(of("video/mp4"), &*long, time(START)).await.unwrap();
    let server = Server::over(store.clone(), |_| ()).await;
    assert!(server.get(&link, "").await.body == long);
    let end = server.get(&link, "Range: bytes=-7\r\n").await;
    assert_eq!((end.status, end.body.len()), (206, 7));
    store.discard(&link.token).await;
}

async fn holds_quotas_against_those_who_come_together(dir: &Path, place: &Place) {
    let store = open(dir, place, |options| {
        options.recipient_octets = 100;
        options.sender_octets = 100;
    })
    .await;
    let full = async |content: fn() -> Content, expected: fn(&PutError) -> bool| {
        let puts = (0..10).map(|n| store.put(content(), octets(n, 30), time(START)));
        let done = futures_util::future::join_all(puts).await;
        let (kept, refused): (Vec<_>, Vec<_>) = done.into_iter().partition(Result::is_ok);
        assert_eq!(kept.len(), 3, "three times 30 octets fit into 100");
        assert!(refused.into_iter().all(|refused| expected(&refused.unwrap_err())));
        kept.into_iter().map(Result::unwrap).collect::<Vec<Link>>()
    };
    let for_one = full(
        || Content { recipient: Some("sip:john@example.com".into()), ..of("image/gif") },
        |error| matches!(error, PutError::RecipientFull { limit: 100 }),
    )
    .await;
    assert_eq!(store.revoke_all("sip:john@example.com", time(START)).await.unwrap(), 3);
    assert!(for_one.iter().all(|link| matches!(store.lookup(&link.token, time(START)), Lookup::Gone)));
    let from = || Content { sender: Some("sip:alice@example.com".into()), ..of("image/gif") };
    let from_one = full(from, |error| matches!(error, PutError::SenderFull { limit: 100 })).await;
    for link in &from_one {
        store.discard(&link.token).await;
    }
    // What he sends to many counts once.
    let mut links = Vec::new();
    for _ in 0..20 {
        links.push(store.put(from(), octets(1, 90), time(START)).await.unwrap());
    }
    for link in &links {
        store.discard(&link.token).await;
    }
    assert_eq!((store.usage().links, store.usage().octets), (0, 0));
}

async fn ends_links_and_takes_away_what_nobody_links_to(dir: &Path, place: &Place) {
    let store = open(dir, place, |_| ()).await;
    let kept = Content { keep_until: Some(time(START + 20 * DAY)), ..of("image/gif") };
    let long = store.put(kept, octets(3, 500), time(START)).await.unwrap();
    let (short, revoked) = (put(&store, octets(3, 500)).await, put(&store, octets(4, 400)).await);
    assert!(store.revoke(&revoked.token, time(START)).await.unwrap());
    assert!(!store.revoke(&revoked.token, time(START)).await.unwrap());
    assert_eq!(store.usage().octets, 500, "what only a revoked link named is gone");
    drop(store);
    let store = open(dir, place, |_| ()).await;
    let server = Server::over(store.clone(), |_| ()).await;
    assert_eq!(server.get(&revoked, "").await.status, 410, "a revoked link stays so over a restart");
    assert_eq!(server.get(&long, "").await.body, octets(3, 500));
    let unknown = server.ask("GET", "/c/AAAAAAAAAAAAAAAAAAAAAA", "").await;
    assert_eq!(unknown.status, 404);
    let swept = store.sweep(time(START + 8 * DAY)).await;
    assert_eq!((swept.expired, swept.contents), (1, 0));
    server.now.store(START + 8 * DAY, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(server.get(&short, "").await.status, 410);
    let swept = store.sweep(time(START + 40 * DAY)).await;
    assert_eq!((swept.contents, store.usage().octets, store.usage().links), (1, 0, 0));
}

async fn never_takes_away_what_a_live_token_names(dir: &Path, place: &Place) {
    let store = open(dir, place, |_| ()).await;
    let server = Server::over(store.clone(), |_| ()).await;
    // The same content comes and goes in many hands at once; who keeps his link can read it.
    let hands = (0..16).map(|hand| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut kept = put(&store, octets(5, 200)).await;
            for _ in 0..6 {
                let next = put(&store, octets(5, 200)).await;
                store.discard(&kept.token).await;
                kept = next;
            }
            if hand % 4 == 0 {
                return Some(kept);
            }
            store.discard(&kept.token).await;
            None
        })
    });
    let kept: Vec<Link> =
        futures_util::future::join_all(hands).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(kept.len(), 4);
    for link in &kept {
        assert_eq!(server.get(link, "").await.body, octets(5, 200));
    }
    assert_eq!((store.usage().links, store.usage().contents), (4, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_does_all_of_it() {
    battery(|_| Place::Disk).await;
}

/// An S3 server with a bucket, in a folder of its own.
async fn s3(root: &Path) -> (SocketAddr, AbortHandle) {
    std::fs::create_dir_all(root.join("bucket")).unwrap();
    let mut builder = s3s::service::S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    builder.set_auth(s3s::auth::SimpleAuth::from_single("key", "secret"));
    let service = builder.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service.clone();
            connections.spawn(async move {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                builder.serve_connection(TokioIo::new(stream), service).await
            });
        }
    });
    (address, serving.abort_handle())
}

fn bucket(server: SocketAddr, prefix: &str) -> Place {
    format!("s3://bucket/contents/{prefix}?endpoint=http://{server}&region=eu").parse().unwrap()
}

/// Runs with the credentials that `an_s3_server_does_all_of_it` sets.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test, in a process of its own"]
async fn with_credentials() {
    let root = tempfile::tempdir().unwrap();
    let (server, serving) = s3(root.path()).await;
    battery(|name| bucket(server, name)).await;

    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let place = bucket(server, "six");
    let store = open(dir.path(), &place, |_| ()).await;
    let options = Options { place: place.clone(), ..Options::default() };
    let taken = ContentStore::open(other.path(), options, time(START)).await;
    assert!(matches!(taken, Err(OpenError::Shelf(ShelfError::Taken))), "a prefix has one owner");

    let link = put(&store, octets(6, 2000)).await;
    let fetches = Server::over(store.clone(), |_| ()).await;
    serving.abort();
    let dead = store.put(of("image/gif"), octets(7, 2000), time(START)).await;
    assert!(matches!(dead, Err(PutError::Unreachable(_))), "{dead:?}");
    assert_eq!(fetches.get(&link, "").await.status, 503);
    assert_eq!(store.usage().links, 1, "what could not be stored is not counted");
    println!("all of it is done");
}

/// With `S3_SERVER=127.0.0.1:5000`, whose bucket `bucket` is there, and its keys in `AWS_ACCESS_KEY_ID` and
/// `AWS_SECRET_ACCESS_KEY`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "against a server that runs already: see benches/runs"]
async fn any_other_s3_server_does_all_of_it() {
    let server: SocketAddr = std::env::var("S3_SERVER").unwrap().parse().unwrap();
    battery(|name| bucket(server, name)).await;
}

#[test]
fn an_s3_server_does_all_of_it() {
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "with_credentials", "--ignored", "--nocapture"])
        .envs([("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let why = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("all of it is done"), "{said}{why}");
}

/// Puts contents until it is killed, and says which links it was given.
#[tokio::test]
#[ignore = "run by the next test, in a process of its own"]
async fn until_it_is_killed() {
    use std::io::Write;
    let dir = std::env::var("BATTERY_DIR").unwrap();
    let store = open(Path::new(&dir), &Place::Disk, |_| ()).await;
    for number in 0u64.. {
        let content = Bytes::from(number.to_string().repeat(20_000));
        let link = put(&store, content).await;
        let mut out = std::io::stdout().lock();
        writeln!(out, "link {number} {}", link.token).unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn a_kill_during_writes_leaves_no_half_content_and_loses_no_link() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "until_it_is_killed", "--ignored", "--nocapture"])
        .env("BATTERY_DIR", dir.path())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut given = Vec::new();
    while given.len() < 20 {
        let line = lines.next_line().await.unwrap().unwrap();
        given.extend(said(&line));
    }
    child.kill().await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        given.extend(said(&line));
    }
    let store = open(dir.path(), &Place::Disk, |_| ()).await;
    let server = Server::over(store.clone(), |_| ()).await;
    for (number, token) in &given {
        let answer = server.ask("GET", &format!("/c/{token}"), "").await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == number.repeat(20_000).as_bytes());
    }
    let (links, contents) = (store.usage().links, store.usage().contents);
    assert!(links >= given.len() && links <= given.len() + 1 && contents == links, "{links} {contents}");
}

fn said(line: &str) -> Option<(String, String)> {
    let (number, token) = line.split_once("link ")?.1.split_once(' ')?;
    Some((number.to_owned(), token.to_owned()))
}

#[tokio::test]
async fn a_bucket_nobody_serves_does_not_open_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let place: Place = "s3://b/p?endpoint=http://127.0.0.1:9&region=eu".parse().unwrap();
    let opening = ContentStore::open(dir.path(), Options { place, ..Options::default() }, time(START));
    let opened = tokio::time::timeout(Duration::from_secs(60), opening).await.unwrap();
    assert!(matches!(opened, Err(OpenError::Shelf(ShelfError::Unreachable(_)))), "{opened:?}");
}
