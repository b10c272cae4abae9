//! `config`, `explain`, `adapt`, `demo`, `user`, and how they fail.

use crate::harness::picture::{Picture, picture};
use crate::{bespoke, bespoke_in};

#[test]
fn a_wrong_config_says_file_line_and_column_and_exits_2() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.toml"), "[sip]\nlisten = [\"udp:127.0.0.1\"]\n").unwrap();
    for args in [&["config", "check", "b.toml"][..], &["serve", "-c", "b.toml"], &["-c", "b.toml"]] {
        let said = bespoke_in(folder.path(), args);
        assert_eq!(said.code, Some(2));
        assert!(said.stderr.starts_with("b.toml:2:11: sip.listen[0]: "), "{}", said.stderr);
        assert_eq!(said.stderr.lines().count(), 1);
    }
}

#[test]
fn what_this_version_lacks_is_refused_at_start_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.toml"), "[store]\nurl = \"redis://h:6379/0\"\n").unwrap();
    let said = bespoke_in(folder.path(), &["serve", "-c", "b.toml"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(2), "b.toml:2: store.url: not in this version\n"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for args in [
        &["cpi", "nowhere.msg"][..],
        &["explain", "nowhere.msg", "--to", "nowhere.msg"],
        &["adapt", "nowhere.jpg", "--accept", "image/gif"],
    ] {
        let said = bespoke(args);
        assert_eq!(said.code, Some(1), "{args:?}");
        assert!(said.stderr.starts_with("nowhere."), "{}", said.stderr);
    }
    assert_eq!(bespoke(&["config", "check", "nowhere.toml"]).code, Some(2));
}

#[test]
fn a_command_line_that_means_nothing_exits_2() {
    for args in [&["fly"][..], &["adapt"], &["--set"]] {
        assert_eq!(bespoke(args).code, Some(2), "{args:?}");
    }
    assert_eq!(bespoke(&["--set", "log.level"]).code, Some(2));
}

#[test]
fn the_reference_page_in_docs_is_the_one_printed() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config-reference.md")).unwrap();
    assert!(bespoke(&["config", "reference"]).stdout == page, "print it anew");
}

#[test]
fn explain_tells_every_part_and_why_in_json_and_in_words() {
    let files = ["tests/data/messages/020-fig1-message-original.msg", "--to"];
    let terminal = "tests/data/messages/005-register-accept-gif-tiers.msg";
    let told = bespoke(&["explain", files[0], files[1], terminal, "--json"]).json();
    assert_eq!(told["verdict"], "adapt");
    let part = &told["parts"][0];
    assert_eq!(part["type_before"], "image/gif");
    assert_eq!(part["octets_before"], 3073);
    assert_eq!(part["pixels_after"], serde_json::json!([158, 119]));
    assert!(!part["why"].as_str().unwrap().is_empty());
    let words = bespoke(&["explain", files[0], files[1], terminal]).stdout;
    assert!(words.contains("320x240") && words.contains("158x119"), "{words}");
}

#[test]
fn explain_says_the_status_of_a_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let register = folder.path().join("r.msg");
    std::fs::write(
        &register,
        "REGISTER sip:example.com SIP/2.0\r\nContact: <sip:a@h>\r\nAccept: text/plain\r\nContent-Length: 0\r\n\r\n",
    )
    .unwrap();
    let message = "tests/data/messages/020-fig1-message-original.msg";
    let register = register.to_str().unwrap();
    let told =
        bespoke(&["explain", message, "--to", register, "--json", "--set", "content.store=off"]).json();
    assert_eq!((&told["verdict"], &told["refusal"]["status"]), (&"refuse".into(), &415.into()));
    let linked = bespoke(&["explain", message, "--to", register, "--json"]).json();
    assert_eq!(linked["parts"][0]["action"], "link-text");
}

#[test]
fn adapt_fits_a_picture_and_says_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("small.jpg");
    let accept = "image/jpeg;media-pix-x=max+160;length=max+12288";
    let photo = "tests/data/images/life_640x480.jpg";
    let told = bespoke(&["adapt", photo, "--accept", accept, "-o", out.to_str().unwrap(), "--json"]).json();
    let small = std::fs::read(&out).unwrap();
    assert_eq!(picture(&small), Picture { kind: "image/jpeg", width: 160, height: 120 });
    assert_eq!(told["type"], "image/jpeg");
    assert_eq!(told["octets"], small.len());
    assert!(small.len() <= 12_288);
    assert_eq!((&told["width"], &told["height"]), (&160.into(), &120.into()));
    assert!(told["ops"].as_array().unwrap().contains(&"scale".into()), "{told}");
    assert!(told["quality"].as_u64().unwrap() >= 35, "{told}");
    let refused = bespoke(&["adapt", photo, "--accept", "audio/amr"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.starts_with("not adapted: "), "{}", refused.stderr);
}

#[test]
fn the_demo_fits_the_photo_for_one_phone_and_links_it_for_the_other_on_one_screen() {
    let folder = tempfile::tempdir().unwrap();
    let said = bespoke_in(folder.path(), &["demo", "-o", "pictures"]);
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert!(lines.len() <= 40, "{} lines:\n{}", lines.len(), said.stdout);
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{}", said.stdout);
    let kept = |name: &str| std::fs::read(folder.path().join("pictures").join(name)).unwrap();
    let john = kept("john.jpg");
    assert_eq!(picture(&john), Picture { kind: "image/jpeg", width: 90, height: 120 });
    assert!(john.len() <= 16_384);
    assert_eq!(picture(&kept("mary.jpg")), Picture { kind: "image/jpeg", width: 180, height: 240 });
    assert!(kept("photo.jpg").len() <= 3_000_000, "3 MB at most");
    let watched = kept("john-presence.jpg");
    assert_eq!(picture(&watched), Picture { kind: "image/jpeg", width: 48, height: 64 });
    assert!(watched.len() <= 4096);
    let plain = said.stdout.split("Mary's terminal takes the document alone").nth(1).unwrap();
    assert!(plain.contains("  http://127.0.0.1:"), "{}", said.stdout);
    assert!(said.stdout.contains("    why "), "{}", said.stdout);
    assert_eq!(said.stderr, "", "the story is not disturbed by the log");
}
