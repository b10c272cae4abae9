//! Holds the house to its plan (ARCHITECTURE.md): which room imports which, what pure rooms may not see,
//! how long a file may be.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step here is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The arrows. A room may import fewer than these, never others.
const ARROWS: &[(&str, &[&str])] = &[
    ("grammar", &[]),
    ("store", &[]),
    ("media", &[]),
    ("sip", &["grammar"]),
    ("cpi", &["grammar"]),
    ("transport", &["sip"]),
    ("resample", &[]),
    ("lemonade", &[]),
    ("annc", &["sip", "lemonade", "media"]),
    ("jpeg", &[]),
    ("adapter", &["cpi", "grammar", "jpeg", "resample"]),
    ("registrar", &["grammar", "sip", "cpi", "store"]),
    ("presence", &["grammar", "sip", "cpi"]),
    ("indirection", &["adapter", "cpi"]),
    (
        "proxy",
        &[
            "grammar",
            "sip",
            "cpi",
            "store",
            "transport",
            "registrar",
            "presence",
            "adapter",
            "indirection",
            "annc",
        ],
    ),
    (
        "bespoke",
        &[
            "grammar",
            "sip",
            "cpi",
            "store",
            "transport",
            "registrar",
            "presence",
            "adapter",
            "indirection",
            "media",
            "lemonade",
            "annc",
            "proxy",
        ],
    ),
    // Measures a server from outside, ours or another.
    ("load", &[]),
    // The picture path behind a line protocol.
    ("transcode-worker", &["adapter"]),
    // Judges what it made, and imports nothing of ours.
    ("fidelity", &[]),
];

/// Rooms that see no clock, no socket, no file and no runtime.
const PURE: &[&str] = &["grammar", "sip", "cpi", "presence", "resample", "jpeg", "adapter"];

/// What opens sockets, runs tasks or keeps state; nothing pure may have one of them below it.
const IMPURE_CRATES: &[&str] = &[
    "tokio",
    "tokio-util",
    "mio",
    "async-std",
    "smol",
    "socket2",
    "hyper",
    "axum",
    "reqwest",
    "fjall",
    "rusqlite",
    "redis",
    "tempfile",
    "chrono",
    "time",
    "tracing-subscriber",
];

const FORBIDDEN_NAMES: &[&str] = &["common", "utils", "util", "core", "types", "helpers", "misc"];

const LONGEST_FILE: usize = 600;

#[test]
fn rooms_import_only_along_the_arrows() {
    let metadata = metadata();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let rooms = rooms(&metadata);
    for room in &rooms {
        assert!(allowed.contains_key(room.as_str()), "`{room}` has no place among the arrows");
    }
    for package in array(&metadata, "packages") {
        let name = text(package, "name");
        let Some(may) = allowed.get(name).filter(|_| rooms.contains(name)) else { continue };
        for dependency in array(package, "dependencies") {
            let target = text(dependency, "name");
            let is_normal = dependency["kind"].is_null();
            if is_normal && rooms.contains(target) {
                assert!(may.contains(&target), "`{name}` imports `{target}`, and no arrow says so");
            }
        }
    }
}

#[test]
fn pure_rooms_have_no_runtime_socket_or_store_below_them() {
    let metadata = metadata();
    for room in PURE {
        for name in below(&metadata, room) {
            assert!(!IMPURE_CRATES.contains(&name.as_str()), "`{room}` reaches `{name}`");
        }
    }
}

#[test]
fn pure_rooms_ban_the_clock_files_and_sockets_by_lint() {
    for room in PURE {
        let path = Path::new(ROOT).join(room).join("clippy.toml");
        let lints =
            std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{} is missing", path.display()));
        for banned in
            ["std::time::Instant::now", "std::time::SystemTime::now", "std::fs::File::open", "std::net::"]
        {
            assert!(lints.contains(banned), "{} does not ban {banned}", path.display());
        }
    }
}

#[test]
fn every_room_forbids_unsafe_and_takes_the_workspace_lints() {
    let workspace = std::fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    assert!(workspace.contains("unsafe_code = \"forbid\""));
    for (room, _) in ARROWS {
        let manifest = std::fs::read_to_string(folder(room).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "`{room}` has lints of its own");
    }
}

#[test]
fn no_lint_is_allowed_only_expected_with_a_reason() {
    let is_test =
        |path: &&PathBuf| path.strip_prefix(ROOT).is_ok_and(|path| path.iter().any(|part| part == "tests"));
    for path in sources().iter().filter(|path| !is_test(path)) {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            !text.contains("#[allow(") && !text.contains("#![allow("),
            "{} allows a lint",
            path.display()
        );
    }
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    for path in sources() {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines", path.display());
    }
}

#[test]
fn no_room_is_named_for_what_has_no_place() {
    for path in sources() {
        let relative = path.strip_prefix(ROOT).unwrap();
        for part in relative.with_extension("").iter().filter_map(|part| part.to_str()) {
            assert!(!FORBIDDEN_NAMES.contains(&part), "{}", relative.display());
        }
    }
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let workspace = std::fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    let table = workspace.split("[workspace.dependencies]").nth(1).unwrap();
    let table = table.split("\n[").next().unwrap();
    for line in table.lines().filter(|line| line.contains('=') && !line.contains("path =")) {
        assert!(line.contains("# "), "no reason beside `{line}`");
    }
}

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    // What other systems need is not there, and need not be.
    let platform = format!("--filter-platform={}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--offline", &platform])
        .current_dir(ROOT)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rooms(metadata: &Value) -> BTreeSet<String> {
    let members: BTreeSet<&str> =
        array(metadata, "workspace_members").iter().filter_map(Value::as_str).collect();
    let packages = array(metadata, "packages").iter();
    packages.filter(|p| members.contains(text(p, "id"))).map(|p| text(p, "name").to_owned()).collect()
}

/// Names of everything `room` links, tests and build scripts left out.
fn below(metadata: &Value, room: &str) -> BTreeSet<String> {
    let names: BTreeMap<&str, &str> =
        array(metadata, "packages").iter().map(|p| (text(p, "id"), text(p, "name"))).collect();
    let nodes: BTreeMap<&str, &Value> =
        array(&metadata["resolve"], "nodes").iter().map(|node| (text(node, "id"), node)).collect();
    let is_room = |id: &&str| names[id] == room && id.starts_with("path+file://");
    let mut waiting: Vec<&str> = names.keys().copied().filter(is_room).collect();
    assert_eq!(waiting.len(), 1, "{room}");
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dependency in array(nodes[id], "deps") {
            let is_normal = array(dependency, "dep_kinds").iter().any(|kind| kind["kind"].is_null());
            if is_normal {
                waiting.push(text(dependency, "pkg"));
            }
        }
    }
    seen.into_iter().map(|id| names[id].to_owned()).collect()
}

fn folder(room: &str) -> PathBuf {
    match room {
        "bespoke" => PathBuf::from(ROOT),
        "load" => Path::new(ROOT).join("benches/load"),
        "transcode-worker" => Path::new(ROOT).join("benches/worker"),
        "fidelity" => Path::new(ROOT).join("benches/fidelity"),
        room => Path::new(ROOT).join(room),
    }
}

/// Every Rust file that is ours.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let is_room = |room: &&str| !matches!(*room, "bespoke" | "load" | "transcode-worker" | "fidelity");
    let mut folders: Vec<PathBuf> =
        ARROWS.iter().map(|(room, _)| *room).filter(is_room).map(folder).collect();
    folders
        .extend(["src", "tests", "benches", "examples", "fuzz"].map(|folder| Path::new(ROOT).join(folder)));
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 50, "only {} files found", found.len());
    found
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
