//! What a killed or a starved process leaves behind. Each test runs itself again as a child process, which does
//! what `BESPOKE_STORE_CHILD` names and talks to its parent in lines.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use store::{Options, Store, SwapError};

const ROLE: &str = "BESPOKE_STORE_CHILD";
const DIR: &str = "BESPOKE_STORE_DIR";
const WRITERS: u32 = 16;

/// Not a test by itself: what the children run.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let dir = std::env::var(DIR).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match role.as_str() {
        "write" => runtime.block_on(write_for_ever(Path::new(&dir))),
        "fill" => runtime.block_on(fill_and_wait_for_room(Path::new(&dir))),
        other => panic!("{other}"),
    }
}

#[test]
fn every_acknowledged_key_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = spawn(this_test("write", dir.path()));
    let mut acknowledged = Vec::new();
    for line in lines(&mut child) {
        let Some(key) = line.strip_prefix("ack ") else { continue };
        acknowledged.push(key.to_owned());
        if acknowledged.len() == 3000 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= 3000);

    let space = Store::open(dir.path(), Options::default()).unwrap().space("things");
    for key in acknowledged {
        let record = space.get(key.as_bytes());
        assert_eq!(record.map(|record| record.value), Some(content(&key)), "{key} was acknowledged");
    }
}

#[test]
fn under_a_file_size_limit_reads_go_on_and_writes_come_back_when_it_is_lifted() {
    let dir = tempfile::tempdir().unwrap();
    // A new journal asks for 64 MiB at once, one that is opened again grows as it is written.
    drop(Store::open(dir.path(), Options::default()).unwrap());
    let exe = std::env::current_exe().unwrap();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", r#"trap "" XFSZ; ulimit -S -f 1024; exec "$0" --exact child --nocapture"#])
        .arg(exe)
        .env(ROLE, "fill")
        .env(DIR, dir.path());
    fills_and_recovers(shell, |child| {
        let pid = child.id().to_string();
        let lifted = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:unlimited"]).status();
        assert!(lifted.unwrap().success(), "prlimit (util-linux) lifts the limit");
    });
    recovered_folder_is_sound(dir.path());
}

#[test]
fn on_a_full_disk_reads_go_on_and_writes_come_back_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let mount = r#"mount -t tmpfs -o size=2m tmpfs "$BESPOKE_STORE_DIR""#;
    let allowed = Command::new("unshare")
        .args(["-m", "sh", "-c", mount])
        .env(DIR, dir.path())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !allowed {
        println!("skipped: mounting a tmpfs in a private namespace needs root");
        return;
    }
    // The child's own ballast is what is taken away, as nobody outside sees its mount.
    let script = r#"head -c 1000000 /dev/zero > "$BESPOKE_STORE_DIR/ballast"
        exec "$0" --exact child --nocapture"#;
    let mut unshare = Command::new("unshare");
    unshare
        .args(["-m", "sh", "-c", &format!("{mount} && {script}")])
        .arg(std::env::current_exe().unwrap())
        .env(ROLE, "fill")
        .env(DIR, dir.path());
    fills_and_recovers(unshare, |_| {});
}

/// The parent's half of [`fill_and_wait_for_room`].
fn fills_and_recovers(command: Command, make_room: impl FnOnce(&Child)) {
    let mut child = spawn(command);
    let mut lines = lines(&mut child);
    let full = lines.by_ref().find(|line| line.starts_with("full "));
    assert!(full.is_some(), "the child saw SwapError::Full");
    make_room(&child);
    writeln!(child.stdin.take().unwrap(), "go").unwrap();
    assert!(lines.any(|line| line == "recovered"), "writes come back");
    assert!(child.wait().unwrap().success());
}

fn recovered_folder_is_sound(dir: &Path) {
    let space = Store::open(dir, Options::default()).unwrap().space("things");
    assert_eq!(space.get(b"refused"), None);
    assert_eq!(space.get(b"after").unwrap().value, content("after"));
    space.scan(|key, _, value| {
        let key = std::str::from_utf8(key).unwrap();
        assert_eq!(value, content(key), "{key}");
    });
    assert!(space.len() > 10);
}

async fn write_for_ever(dir: &Path) {
    let space = Store::open(dir, Options::default()).unwrap().space("things");
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let space = space.clone();
        tasks.spawn(async move {
            for i in 0u64.. {
                let key = format!("{writer}-{i}");
                space.swap(key.as_bytes(), None, Some(content(&key))).await.unwrap();
                // One write call, so that lines of several writers do not mix.
                std::io::stdout().write_all(format!("ack {key}\n").as_bytes()).unwrap();
            }
        });
    }
    tasks.join_all().await;
}

async fn fill_and_wait_for_room(dir: &Path) {
    // Small enough that tables are written too, and fail for want of room.
    let options = Options { reopen_every: Duration::ZERO, write_buffer: 128 * 1024, ..Options::default() };
    let store = Store::open(dir, options).unwrap();
    let space = store.space("things");
    let mut count = 0u32;
    let refusal = loop {
        let key = count.to_string();
        match space.swap(key.as_bytes(), None, Some(content(&key))).await {
            Ok(_) => count += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, SwapError::Full | SwapError::Unavailable), "{refusal:?}");
    assert!(!store.is_writable());
    let large: Bytes = (0..200).flat_map(|i: u32| content(&i.to_string())).take(1_000_000).collect();
    for _ in 0..3 {
        // The torn end of the failed group is free again, so only what is larger than it can't be written.
        let again = space.swap(b"refused", None, Some(large.clone())).await;
        assert!(matches!(again, Err(SwapError::Full | SwapError::Unavailable)), "{again:?}");
    }
    assert_eq!(space.get(b"refused"), None);
    for key in (0..count).map(|i| i.to_string()) {
        assert_eq!(space.get(key.as_bytes()).unwrap().value, content(&key));
    }
    println!("full {count}");

    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    let _ = std::fs::remove_file(dir.join("ballast"));
    space.swap(b"after", None, Some(content("after"))).await.unwrap();
    assert!(store.is_writable());
    drop((space, store));

    let space = Store::open(dir, Options::default()).unwrap().space("things");
    for key in (0..count).map(|i| i.to_string()) {
        assert_eq!(space.get(key.as_bytes()).unwrap().value, content(&key));
    }
    assert_eq!(space.get(b"refused"), None);
    assert_eq!(space.len(), count as usize + 1);
    println!("recovered");
}

/// A value that tells whether it is whole: of a length and with octets that its key decides, and that the
/// engine's compression can't shrink much.
fn content(key: &str) -> Bytes {
    let mut state = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let length = 1 + state % 9000;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .collect()
}

fn this_test(role: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(ROLE, role).env(DIR, dir);
    command
}

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok)
}
