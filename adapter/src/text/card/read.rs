//! Cards of every version into properties.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Card, MOST_CARDS, MOST_PROPERTIES, Property, Value, is_list, is_plain, is_structured};
use crate::mime::TransferEncoding;
use crate::text::decode;

/// All cards of a text, up to a thousand. What is in no card, and cards within cards, are passed over.
pub(super) fn read_cards(text: &str) -> Vec<Card> {
    let mut cards = Vec::new();
    let mut open: Option<Card> = None;
    let mut depth = 0_usize;
    let mut properties = 0;
    let mut lines = Lines { rest: text };
    while let Some(line) = lines.next_line() {
        let is = |what: &str| line.trim_end().eq_ignore_ascii_case(what);
        if is("BEGIN:VCARD") {
            depth += 1;
            open.get_or_insert_with(Card::default);
            continue;
        }
        if is("END:VCARD") {
            depth = depth.saturating_sub(1);
            if depth == 0
                && let Some(card) = open.take()
                && cards.len() < MOST_CARDS
            {
                cards.push(card);
            }
            continue;
        }
        if let Some(card) = open.as_mut().filter(|_| depth == 1 && properties < MOST_PROPERTIES)
            && let Some(property) = property(&line, &mut lines)
        {
            properties += 1;
            card.properties.push(property);
        }
    }
    // A card that was cut off is one all the same.
    cards.extend(open.filter(|card| !card.properties.is_empty() && cards.len() < MOST_CARDS));
    cards
}

/// Lines with their folds taken out.
struct Lines<'a> {
    rest: &'a str,
}

impl Lines<'_> {
    fn raw(&mut self) -> Option<&str> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    /// The next line, with those that continue it (RFC 6350 §3.2).
    fn next_line(&mut self) -> Option<String> {
        let mut line = self.raw()?.to_owned();
        while self.rest.starts_with([' ', '\t']) {
            // A fold is one white space; in base64 of 2.1 it is any number, which nothing minds.
            let more = self.raw().unwrap_or_default();
            line.push_str(more.get(1..).unwrap_or_default());
        }
        Some(line)
    }

    /// Soft line breaks of quoted-printable are lines of their own without a fold (2.1).
    fn quoted(&mut self, mut value: String) -> String {
        while value.ends_with('=') {
            value.pop();
            let Some(more) = self.raw() else { break };
            value.push_str(more);
        }
        value
    }
}

fn property(line: &str, lines: &mut Lines<'_>) -> Option<Property> {
    let (head, value) = split_head(line)?;
    let mut pieces = pieces(head, ';').into_iter();
    let name = pieces.next()?;
    let (group, name) = match name.rsplit_once('.') {
        Some((group, name)) => (Some(group.to_owned()), name),
        None => (None, name),
    };
    let name = name.trim().to_ascii_uppercase();
    let is_word = |text: &str| text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    if name.is_empty() || !is_word(&name) || matches!(name.as_str(), "VERSION" | "AGENT") {
        return None;
    }
    let group = group.filter(|group| !group.is_empty() && is_word(group));
    let head = Head::read(pieces);
    let value = head.value(&name, value.to_owned(), lines);
    Some(Property { group, name, types: head.types, params: head.params, value })
}

/// Name and parameters, and the value behind the first colon outside quotes.
fn split_head(line: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let at = line.bytes().position(|octet| {
        quoted ^= octet == b'"';
        octet == b':' && !quoted
    })?;
    Some((line.get(..at)?, line.get(at + 1..)?))
}

/// Pieces between `separator`s outside quotes.
fn pieces(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .collect()
}

/// What the parameters say.
#[derive(Default)]
struct Head {
    types: Vec<String>,
    params: Vec<(String, String)>,
    encoding: Option<String>,
    charset: Option<String>,
    is_uri: bool,
}

impl Head {
    fn read<'a>(pieces: impl Iterator<Item = &'a str>) -> Head {
        let mut head = Head::default();
        for piece in pieces {
            let Some((name, value)) = piece.split_once('=') else {
                head.bare(piece.trim());
                continue;
            };
            let name = name.trim().to_ascii_uppercase();
            let unquoted = value.trim().trim_matches('"');
            match name.as_str() {
                "TYPE" => {
                    let words =
                        unquoted.split(',').map(|word| word.trim().trim_matches('"').to_ascii_lowercase());
                    head.types.extend(words.filter(|word| !word.is_empty()));
                }
                "ENCODING" => head.encoding = Some(unquoted.to_ascii_uppercase()),
                "CHARSET" => head.charset = Some(unquoted.to_owned()),
                "VALUE" => head.is_uri = matches!(unquoted.to_ascii_lowercase().as_str(), "uri" | "url"),
                "PREF" => head.types.push("pref".to_owned()),
                "MEDIATYPE" | "LANGUAGE" => head.params.push((name, unquoted.to_owned())),
                _ => {}
            }
        }
        head.types.dedup();
        head
    }

    /// 2.1 writes a value without its name.
    fn bare(&mut self, word: &str) {
        match word.to_ascii_uppercase().as_str() {
            "" => {}
            encoding @ ("QUOTED-PRINTABLE" | "BASE64" | "B" | "8BIT" | "7BIT") => {
                self.encoding = Some(encoding.to_owned());
            }
            "URL" | "URI" => self.is_uri = true,
            _ => self.types.push(word.to_ascii_lowercase()),
        }
    }

    fn value(&self, name: &str, value: String, lines: &mut Lines<'_>) -> Value {
        let text = match self.encoding.as_deref() {
            Some("BASE64" | "B") => return self.binary(&value),
            Some("QUOTED-PRINTABLE") => {
                let value = lines.quoted(value);
                let carried = bytes::Bytes::from(value.into_bytes());
                let octets = TransferEncoding::QuotedPrintable.decode(&carried).unwrap_or(carried);
                let text = decode(&octets, self.charset.as_deref().or(Some("utf-8")));
                text.map_or_else(|| String::from_utf8_lossy(&octets).into_owned(), |text| text.into_owned())
            }
            _ => value,
        };
        if let Some(binary) = data_uri(&text) {
            return binary;
        }
        let is_binary = matches!(name, "PHOTO" | "LOGO" | "SOUND" | "KEY");
        if name == "TEL" {
            // A tel: URI says no more than its number.
            let number = text.strip_prefix("tel:").unwrap_or(&text);
            return Value::Text(vec![vec![unescaped(number)]]);
        }
        if self.is_uri || is_binary || is_plain(name) {
            return Value::Plain(text);
        }
        // 2.1 has no commas that separate; one that stands there is text.
        let fields = if is_structured(name) { escaped_split(&text, ';') } else { vec![text.as_str()] };
        let list = |field: &str| -> Vec<String> {
            let items = if is_list(name) { escaped_split(field, ',') } else { vec![field] };
            items.into_iter().map(unescaped).collect()
        };
        Value::Text(fields.into_iter().map(list).collect())
    }

    fn binary(&self, value: &str) -> Value {
        let clean: Vec<u8> = value.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
        let octets = STANDARD.decode(clean).unwrap_or_default();
        let media_type = self.types.iter().find_map(|word| media_type(word));
        Value::Binary { octets, media_type }
    }
}

/// `image/jpeg` of `jpeg`.
fn media_type(word: &str) -> Option<String> {
    Some(match word {
        "jpeg" | "jpg" => "image/jpeg".to_owned(),
        "gif" | "png" | "bmp" | "tiff" => format!("image/{word}"),
        "wave" | "wav" => "audio/wav".to_owned(),
        "basic" | "pcm" => "audio/basic".to_owned(),
        word if word.contains('/') => word.to_owned(),
        _ => return None,
    })
}

fn data_uri(text: &str) -> Option<Value> {
    let (head, data) = text.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?;
    let octets = STANDARD.decode(data.trim()).ok()?;
    Some(Value::Binary { octets, media_type: Some(media_type.to_owned()).filter(|kind| !kind.is_empty()) })
}

/// Pieces between separators that no backslash stands before.
fn escaped_split(text: &str, separator: char) -> Vec<&str> {
    let mut escaped = false;
    text.split(move |c: char| {
        let splits = c == separator && !escaped;
        escaped = c == '\\' && !escaped;
        splits
    })
    .collect()
}

/// `\n`, `\,`, `\;` and `\\` as what they stand for; other backslashes are text (2.1 has them).
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut behind = after.chars();
        match behind.next() {
            Some('n' | 'N') => out.push('\n'),
            Some(c @ (',' | ';' | '\\' | ':')) => out.push(c),
            _ => {
                out.push('\\');
                rest = after;
                continue;
            }
        }
        rest = behind.as_str();
    }
    out.push_str(rest);
    out.replace("\r\n", "\n")
}
