//! The reference page of the config, printed from the declarations in [`super::keys`].

use std::fmt::Write;

use super::keys::Config;
use super::section::{Key, Section};

/// The page, in Markdown.
pub(crate) fn page() -> String {
    let mut keys = Vec::new();
    Config::default().keys("", &mut keys);
    let mut page = HEAD.to_owned();
    let mut table = String::new();
    for key in &keys {
        if key.is_table {
            table = key.path.clone();
            let _infallible = write!(page, "\n## `{}`\n\n{}\n", title(&table), text(key));
        } else {
            let name = key.path.strip_prefix(&table).unwrap_or(&key.path).trim_start_matches('.');
            let _infallible =
                write!(page, "\n- `{name}`: {}, {}.\n{}\n", key.kind, default(key), indent(&text(key)));
        }
    }
    page
}

const HEAD: &str = "# Configuration

This page is printed by `bespoke config reference`. The file is TOML; unknown keys are refused, and
`bespoke config check FILE` says what is wrong with file, line and column. Any key can be set on the
command line: `--set log.level=debug`. A key that asks for what this version does not have is refused.

Durations are a whole number and `ms`, `s`, `m`, `h` or `d`; sizes a whole number and `KiB`, `MiB` or
`GiB`, or a plain number of octets. A list of one value may stand without its brackets.

## Before the first table
";

fn title(path: &str) -> String {
    match path.strip_suffix("[]") {
        Some(list) => format!("[[{list}]]"),
        None => format!("[{path}]"),
    }
}

fn default(key: &Key) -> String {
    match key.value.as_str() {
        "" | "\"\"" => "unset unless written".to_owned(),
        value => format!("by default `{value}`"),
    }
}

fn text(key: &Key) -> String {
    let lines: Vec<&str> = key.doc.lines().map(str::trim).collect();
    lines.join("\n")
}

fn indent(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_in_docs_is_the_one_the_program_prints() {
        let kept = include_str!("../../docs/config-reference.md");
        assert!(
            kept == super::page(),
            "write it anew: cargo run -- config reference > docs/config-reference.md"
        );
    }
}
