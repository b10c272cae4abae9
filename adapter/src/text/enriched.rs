//! text/enriched to text/plain (RFC 1896).

/// The text of a text/enriched document: formatting commands left out, what they tell a formatter with them, and lines
/// joined as a formatter would. Line ends are CRLF.
pub fn enriched_to_text(enriched: &str) -> String {
    let mut reader =
        Reader { out: String::with_capacity(enriched.len()), line_ends: 0, verbatim: 0, parameters: 0 };
    let mut rest = enriched;
    while let Some(at) = rest.find(['<', '\n']) {
        reader.text(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        rest = match rest.strip_prefix('\n') {
            Some(after) => {
                reader.line_end();
                after
            }
            None => reader.command(rest),
        };
    }
    reader.text(rest);
    reader.settle();
    reader.out.trim_end().lines().map(str::trim_end).collect::<Vec<&str>>().join("\r\n")
}

struct Reader {
    out: String,
    /// Line ends in a row that are not in the text yet.
    line_ends: usize,
    /// How deep in `nofill`.
    verbatim: usize,
    /// How deep in `param`, whose content nobody sees.
    parameters: usize,
}

impl Reader {
    fn text(&mut self, text: &str) {
        let text = text.trim_end_matches('\r');
        if text.is_empty() || self.parameters > 0 {
            return;
        }
        self.settle();
        self.out.push_str(text);
    }

    fn line_end(&mut self) {
        if self.parameters > 0 {
            return;
        }
        if self.verbatim > 0 {
            self.settle();
            self.out.push('\n');
        } else {
            self.line_ends += 1;
        }
    }

    /// One line end is a space, of several one goes (RFC 1896 §2).
    fn settle(&mut self) {
        match std::mem::take(&mut self.line_ends) {
            0 => {}
            1 => self.out.push(' '),
            // As many as anybody needs between two lines.
            several => self.out.push_str(&"\n".repeat((several - 1).min(8))),
        }
    }

    /// What stands behind the command that `rest` begins with. `<<` is the sign itself, and so is one that opens nothing.
    fn command<'a>(&mut self, rest: &'a str) -> &'a str {
        /// Octets of the longest name (RFC 1896 §2: 60 characters).
        const LONGEST: usize = 62;
        let behind = rest.get(1..).unwrap_or_default();
        if let Some(after) = behind.strip_prefix('<') {
            self.text("<");
            return after;
        }
        let end = behind.bytes().take(LONGEST).position(|octet| octet == b'>');
        let name = end.and_then(|end| behind.get(..end)).filter(|name| is_name(name));
        let Some(name) = name else {
            self.text("<");
            return behind;
        };
        let step = |depth: &mut usize, closes: bool| {
            *depth = if closes { depth.saturating_sub(1) } else { depth.saturating_add(1) };
        };
        let (name, closes) = match name.strip_prefix('/') {
            Some(name) => (name, true),
            None => (name, false),
        };
        if name.eq_ignore_ascii_case("param") {
            step(&mut self.parameters, closes);
        } else if name.eq_ignore_ascii_case("nofill") {
            self.settle();
            step(&mut self.verbatim, closes);
        }
        behind.get(name.len() + usize::from(closes) + 1..).unwrap_or_default()
    }
}

fn is_name(name: &str) -> bool {
    let name = name.strip_prefix('/').unwrap_or(name);
    !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_reads_as_it_says() {
        let enriched = "<bold>Now</bold> is the time for <italic>all</italic>\r\ngood men\r\n<smaller>(and <<women>)\
                        </smaller> to\r\n<ignoreme>come</ignoreme>\r\n\r\nto the aid of their\r\n\r\n\r\n\
                        <color><param>red</param>beloved</color>\r\ncountry.\r\n\r\n";
        let plain = "Now is the time for all good men (and <women>) to come\r\nto the aid of their\r\n\r\nbeloved \
                     country.";
        assert_eq!(enriched_to_text(enriched), plain);
    }

    #[test]
    fn lines_of_nofill_stay() {
        assert_eq!(enriched_to_text("a\n<nofill>b\nc\n</nofill>d"), "a b\r\nc\r\nd");
    }

    #[test]
    fn what_opens_no_command_is_text() {
        assert_eq!(enriched_to_text("1 < 2 and <3, <never closed"), "1 < 2 and <3, <never closed");
    }

    #[test]
    fn a_parameter_that_never_ends_hides_the_rest_and_no_more() {
        assert_eq!(enriched_to_text("seen<param>hidden\n\n\nhidden"), "seen");
        assert_eq!(enriched_to_text(&"</param>".repeat(1000)), "");
    }
}
