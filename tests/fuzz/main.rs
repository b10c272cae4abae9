//! The fuzz targets of `fuzz/` on stable: over their corpus, and over random changes to it. The number of inputs is
//! fixed and so is every one of them: a failure is the same on every machine, and the octets that caused it
//! are in a file whose name is printed. Put that file into `fuzz/corpus/<target>` and it is a regression test.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step here is a failed test"
)]

mod mutation;

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use mutation::Random;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What every run begins with; the target's name and the number of the input are added.
const SEED: u64 = 0x0022_1120_2600_5ee0;

/// Larger examples are left to the corpus alone: a change to them is seldom one to their structure.
const LARGEST: usize = 8 << 10;

#[test]
fn framing_holds_for_the_corpus_and_for_random_input() {
    let mut seeds = examples("tests/data/messages", "msg");
    seeds.extend(examples("tests/data/torture", "dat"));
    // The first octet says how the rest is cut.
    let seeds = seeds.into_iter().zip([0, 1, 7, 40, 255].into_iter().cycle());
    fuzz("frame", 50_000, seeds.map(|(octets, cut)| prefixed(cut, &octets)).collect(), targets::frame::run);
}

#[test]
fn heads_hold_for_the_corpus_and_for_random_input() {
    let mut seeds = examples("tests/data/messages", "msg");
    seeds.extend(examples("tests/data/torture", "dat"));
    fuzz("head", 60_000, seeds, targets::head::run);
}

#[test]
fn capabilities_hold_for_the_corpus_and_for_random_input() {
    fuzz("cpi", 25_000, examples("tests/data/messages", "msg"), targets::cpi::run);
}

#[test]
fn presence_documents_hold_for_the_corpus_and_for_random_input() {
    let documents: Vec<Vec<u8>> = examples("tests/data/messages", "msg")
        .into_iter()
        .filter_map(|octets| {
            let text = String::from_utf8_lossy(&octets).into_owned();
            let start = text.find("<?xml")?;
            let end = text.rfind('>')? + 1;
            text.get(start..end).map(|document| document.as_bytes().to_vec())
        })
        .collect();
    // Two of them at a time.
    let pairs = documents.iter().zip(documents.iter().cycle().skip(1));
    let pairs = pairs.map(|(one, two)| [&one[..], b"\0", two].concat());
    let rules: &[u8] = include_bytes!("../data/presence/rules.xml");
    let ruled = documents.iter().map(|document| [rules, b"\0", document].concat());
    let seeds = pairs.chain(ruled).collect();
    fuzz("document", 20_000, seeds, targets::document::run);
}

#[test]
fn expressions_hold_for_the_corpus_and_for_random_input() {
    fuzz("expression", 60_000, examples("tests/data/messages", "expr"), targets::expression::run);
}

#[test]
fn bodies_hold_for_the_corpus_and_for_random_input() {
    let seeds = examples("tests/data/messages", "msg").into_iter().zip(0..=31);
    // The first octet chooses the terminal.
    fuzz(
        "mime",
        30_000,
        seeds.map(|(octets, choice)| prefixed(choice, &octets)).collect(),
        targets::mime::run,
    );
}

#[test]
fn pictures_hold_for_the_corpus_and_for_random_input() {
    fuzz("image", 20_000, Vec::new(), targets::image::run);
}

#[test]
fn scaled_jpegs_hold_for_the_corpus_and_for_random_input() {
    fuzz("jpeg", 30_000, Vec::new(), targets::jpeg::run);
}

#[test]
fn transactions_hold_for_the_corpus_and_for_random_steps() {
    fuzz("transaction", 6_000, Vec::new(), targets::transaction::run);
}

#[test]
fn replies_of_mail_servers_hold_for_the_corpus_and_for_random_input() {
    fuzz("imap", 60_000, Vec::new(), targets::imap::run);
}

#[test]
fn orders_and_descriptions_of_announcements_hold_for_the_corpus_and_for_random_input() {
    fuzz("announcement", 40_000, Vec::new(), targets::announcement::run);
}

#[test]
fn clips_hold_for_the_corpus_and_for_random_input() {
    fuzz("clip", 4_000, Vec::new(), targets::clip::run);
}

fn prefixed(first: u8, octets: &[u8]) -> Vec<u8> {
    [&[first], octets].concat()
}

/// The files of `folder` whose names end with that extension, in the order of their names.
fn examples(folder: &str, extension: &str) -> Vec<Vec<u8>> {
    let seeds = files(&Path::new(ROOT).join(folder));
    let seeds = seeds.into_iter().filter(|path| path.extension().is_some_and(|is| is == extension));
    let seeds: Vec<_> = seeds.map(|path| std::fs::read(path).unwrap()).collect();
    assert!(!seeds.is_empty(), "no .{extension} in {folder}");
    seeds
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The target over its corpus and `seeds`, then over `count` inputs made of them.
fn fuzz(target: &str, count: u64, mut seeds: Vec<Vec<u8>>, run: fn(&[u8])) {
    let corpus = files(&Path::new(ROOT).join("fuzz/corpus").join(target));
    seeds.extend(corpus.iter().map(|path| std::fs::read(path).unwrap()));
    assert!(!seeds.is_empty(), "{target} has no seeds");
    for (number, seed) in seeds.iter().enumerate() {
        tried(target, &format!("seed {number}"), seed, run);
    }
    seeds.retain(|seed| seed.len() <= LARGEST);
    let of_target = target.bytes().fold(SEED, |seed, octet| seed.rotate_left(7) ^ u64::from(octet));
    for number in 0..count {
        let input = Random::new(of_target.wrapping_add(number)).input(&seeds);
        tried(target, &format!("random seed {of_target:#x} + {number}"), &input, run);
    }
}

fn tried(target: &str, which: &str, input: &[u8], run: fn(&[u8])) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}"));
        std::fs::write(&file, input).unwrap();
        eprintln!("{target}, {which}: the {} octets are in {}", input.len(), file.display());
        std::panic::resume_unwind(panic);
    }
}
