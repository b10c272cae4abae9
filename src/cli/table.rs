//! Parts of a plan as a person reads them, at most 80 columns wide.

use adapter::PartReport;

const WIDTH: usize = 78;

/// One part in two or three lines: what it was and became, what was done, why.
pub(super) fn part(part: &PartReport) -> String {
    let before = entity(&part.type_before, part.octets_before, part.pixels_before);
    let unchanged = part.octets_before == part.octets_after && part.type_before == part.type_after;
    let mut out = if unchanged {
        format!("  part {}: {before}\n", part.part)
    } else {
        let after = entity(&part.type_after, part.octets_after, part.pixels_after);
        format!("  part {}: {before}\n      ->  {after}\n", part.part)
    };
    let ops = if part.ops.is_empty() { String::new() } else { format!(" ({})", part.ops.join(", ")) };
    out.push_str(&wrapped(&format!("{}{ops}: {}", part.action.as_str(), part.why), "          "));
    out
}

/// `image/jpeg, 640x480, 40,130 octets`.
pub(super) fn entity(media_type: &str, octets: u64, pixels: Option<[u32; 2]>) -> String {
    let pixels = pixels.map(|[width, height]| format!("{width}x{height}, ")).unwrap_or_default();
    format!("{media_type}, {pixels}{} octets", thousands(octets))
}

/// A number with commas between its thousands.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `label` and `text` beside it in lines that fit the screen. Parameters may stand on lines of their own.
pub(super) fn labelled(label: &str, text: &str) -> String {
    const INDENT: &str = "            ";
    let text = wrapped(&text.replace(';', "; "), INDENT);
    format!("    {label:<8}{}", text.trim_start())
}

/// `text` in lines that fit the screen, each begun with `indent`.
pub(super) fn wrapped(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut line = indent.to_owned();
    for word in text.split_whitespace() {
        let is_first = line.len() == indent.len();
        if !is_first && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            indent.clone_into(&mut line);
        } else if !is_first {
            line.push(' ');
        }
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_threes() {
        let shown = [0, 999, 1000, 3_012_050].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "3,012,050"]);
    }

    #[test]
    fn long_reasons_wrap_within_the_screen() {
        let text = "word ".repeat(60);
        let lines = wrapped(&text, "    ");
        assert!(lines.lines().count() > 3);
        assert!(lines.lines().all(|line| line.len() <= WIDTH && line.starts_with("    word")));
    }
}
