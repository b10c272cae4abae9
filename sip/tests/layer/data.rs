//! The files of tests/data.

const MESSAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/messages");
const TORTURE6: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/torture6");
const TORTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/torture");

/// A torture message by its name in RFC 4475.
pub(crate) fn torture(name: &str) -> Vec<u8> {
    read(&format!("{TORTURE}/{name}.dat"))
}

/// A torture message by its name in RFC 5118, as it is printed there.
pub(crate) fn torture6_as_printed(name: &str) -> Vec<u8> {
    read(&format!("{TORTURE6}/{name}.dat"))
}

/// A torture message by its name in RFC 5118, with the Content-Length that its body has (see the README there).
pub(crate) fn torture6(name: &str) -> Vec<u8> {
    let printed = String::from_utf8(torture6_as_printed(name)).unwrap();
    let (head, body) = printed.split_once("\r\n\r\n").unwrap();
    let (before, after) = head.split_once("Content-Length: ").unwrap();
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}Content-Length: {}{after}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The names of the torture messages of RFC 5118.
pub(crate) fn torture6_names() -> Vec<String> {
    names(TORTURE6, ".dat")
}

/// The names of all torture messages.
pub(crate) fn torture_names() -> Vec<String> {
    names(TORTURE, ".dat")
}

/// One of the example messages.
pub(crate) fn example(name: &str) -> Vec<u8> {
    read(&format!("{MESSAGES}/{name}.msg"))
}

/// The names of the example messages that are SIP.
pub(crate) fn example_names() -> Vec<String> {
    let mut names = names(MESSAGES, ".msg");
    names.retain(|name| !name.contains("-http-"));
    names
}

/// What the examples decode to.
pub(crate) fn index() -> serde_json::Value {
    serde_json::from_slice(&read(&format!("{MESSAGES}/INDEX.json"))).unwrap()
}

fn names(folder: &str, ending: &str) -> Vec<String> {
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        files.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect();
    names.sort();
    names
}

#[expect(clippy::disallowed_methods, reason = "the room opens no files, its tests read their data")]
fn read(path: &str) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
