//! text/html to text/plain.

/// Octets of HTML that `nanohtml2text` gets. It looks ahead for the end of every tag, which a stranger can make
/// cost the square of the length; beyond this a plainer converter, linear in the length, does it.
const MAX_RICH: usize = 32 * 1024;

/// The text of an HTML document: no markup, scripts or styles; links named by their address, as far as
/// the document is not unusually long.
pub fn html_to_text(html: &str) -> String {
    let text = if html.len() <= MAX_RICH { nanohtml2text::html2text(html) } else { strip_tags(html) };
    tidy(&text)
}

/// Text between the tags, with line ends where blocks end.
fn strip_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        push_text(&mut text, before);
        if let Some(comment) = tag.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        // What opens no tag is a sign of its own.
        let opens = tag.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
        let Some((inside, after)) = tag.split_once('>').filter(|_| opens) else {
            text.push('<');
            rest = tag;
            if opens {
                break;
            }
            continue;
        };
        rest = after;
        let name = inside.split(|c: char| c.is_whitespace() || c == '/').find(|name| !name.is_empty());
        match name.unwrap_or_default().to_ascii_lowercase().as_str() {
            name @ ("script" | "style" | "head" | "title") if !inside.starts_with('/') => {
                rest = behind(after, name)
            }
            "br" | "p" | "div" | "li" | "tr" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "ul" | "ol"
            | "table" => {
                text.push('\n');
            }
            _ => {}
        }
    }
    push_text(&mut text, rest);
    text
}

/// What follows the end tag of `name`; nothing if there is none.
fn behind<'a>(html: &'a str, name: &str) -> &'a str {
    let mut rest = html;
    while let Some((_, tag)) = rest.split_once("</") {
        if tag.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return tag.split_once('>').map_or("", |(_, after)| after);
        }
        rest = tag;
    }
    ""
}

/// White space of the source is one space; character references are put in place.
fn push_text(text: &mut String, source: &str) {
    let mut spaced = text.ends_with(char::is_whitespace) || text.is_empty();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_whitespace() {
            if !spaced {
                text.push(' ');
            }
            spaced = true;
            rest = rest.trim_ascii_start();
            continue;
        }
        let (shown, after) = reference(rest).unwrap_or((c, rest.get(c.len_utf8()..).unwrap_or_default()));
        text.push(shown);
        spaced = false;
        rest = after;
    }
}

/// The character reference at the start of `text`, and what follows it.
fn reference(text: &str) -> Option<(char, &str)> {
    /// The longest name looked for.
    const LONGEST: usize = 10;
    let name = text.strip_prefix('&')?;
    let end = name.bytes().take(LONGEST).position(|b| b == b';')?;
    let (name, after) = (name.get(..end)?, name.get(end + 1..)?);
    let shown = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?).filter(|c| !c.is_control() || *c == '\n')?
        }
    };
    Some((shown, after))
}

/// SIP text has CRLF line ends (RFC 3261 §7.4.1 by way of MIME); no more than one empty line in a row, and
/// none at the ends.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.trim().lines().map(str::trim_end) {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty > 1 {
            continue;
        }
        if !out.is_empty() {
            out.push_str("\r\n");
        }
        out.push_str(line);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_scripts_and_comments_are_gone_and_text_stays() {
        let html = "<html><head><style>p{}</style></head><body><h1>Hi&nbsp;John</h1><!-- x --><p>5 &lt; 6 \
                    <a href=\"http://example.com/\">here</a><script>alert('<p>')</script></p></body></html>";
        let text = html_to_text(html);
        assert!(text.starts_with("Hi"), "{text}");
        assert!(text.contains("5 < 6 here (http://example.com/)"), "{text}");
        assert!(!text.contains("alert") && !text.contains("p{}") && !text.contains(" x "), "{text}");
    }

    #[test]
    fn a_long_document_loses_no_text() {
        let paragraph = "<div class='x'>one&amp;two &#8364; <b>three</b></div>";
        let html = format!("<head><title>t</title></head>{}tail < end", paragraph.repeat(2000));
        let text = html_to_text(&html);
        assert_eq!(text.matches("one&two € three").count(), 2000);
        assert!(text.ends_with("tail < end"), "{}", &text[text.len() - 40..]);
    }

    #[test]
    fn a_tag_that_never_ends_is_shown_as_it_stands() {
        let html = format!("{}<b unfinished", "x".repeat(MAX_RICH));
        assert!(html_to_text(&html).ends_with("x<b unfinished"));
    }

    #[test]
    fn many_unfinished_tags_do_not_take_the_square_of_their_number() {
        // 8 MiB of these would take hours by looking ahead from each.
        let text = html_to_text(&"<a=\">\" ".repeat(8 << 17));
        assert!(text.len() < 8 << 20);
    }

    #[test]
    fn line_ends_are_crlf() {
        assert_eq!(html_to_text("<p>a</p><p></p><p></p><p>b</p>"), "a\r\n\r\nb");
    }
}
