//! Properties as a card of one version.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Card, Property, Value, Version, is_structured};

/// Octets of a line (RFC 6350 §3.2, RFC 2426 §2.6).
const LINE: usize = 75;
/// Of quoted-printable and of base64 in 2.1.
const OLD_LINE: usize = 72;

/// One card.
pub(super) fn card(card: &Card, version: Version) -> String {
    let mut out = String::new();
    line(&mut out, "BEGIN:VCARD", version);
    line(&mut out, &format!("VERSION:{}", version.name()), version);
    let has = |name: &str| card.properties.iter().any(|property| property.name == name);
    // 3.0 and 4.0 must have a name as it is shown, 2.1 and 3.0 one in its fields.
    if !has("FN")
        && let Some(shown) = shown_name(card)
    {
        property(&mut out, &text("FN", vec![vec![shown]]), version);
    }
    for one in &card.properties {
        property(&mut out, one, version);
        let is_shown = one.name == "FN" && !has("N") && version != Version::V40;
        if is_shown && let Value::Text(fields) = &one.value {
            property(&mut out, &text("N", name_fields(fields)), version);
        }
    }
    line(&mut out, "END:VCARD", version);
    out
}

fn text(name: &str, fields: Vec<Vec<String>>) -> Property {
    Property {
        group: None,
        name: name.to_owned(),
        types: Vec::new(),
        params: Vec::new(),
        value: Value::Text(fields),
    }
}

/// Prefix, given, further, family, suffix, out of the fields that have them (RFC 6350 §6.2.2).
fn shown_name(card: &Card) -> Option<String> {
    let Value::Text(fields) = &card.properties.iter().find(|property| property.name == "N")?.value else {
        return None;
    };
    let field = |at: usize| fields.get(at).map(|names| names.join(" ")).unwrap_or_default();
    let names: Vec<String> = [3, 1, 2, 0, 4].map(field).into_iter().filter(|name| !name.is_empty()).collect();
    Some(names.join(" "))
}

/// The last word is the family's, unless it is the only one.
fn name_fields(shown: &[Vec<String>]) -> Vec<Vec<String>> {
    let shown = shown.first().and_then(|list| list.first()).map(String::as_str).unwrap_or_default();
    let (given, family) = shown.rsplit_once(' ').unwrap_or(("", shown));
    let rest = if given.is_empty() { vec![String::new(); 4] } else { vec![given.to_owned()] };
    std::iter::once(family.to_owned()).chain(rest).map(|field| vec![field]).collect()
}

/// The name that a version has for a property; `None`: it has none, and nobody misses it.
fn name_in(name: &str, version: Version) -> Option<String> {
    let is_new = matches!(
        name,
        "KIND" | "XML" | "MEMBER" | "RELATED" | "LANG" | "CLIENTPIDMAP" | "CALADRURI" | "CALURI" | "FBURL"
    );
    let is_old = matches!(name, "MAILER" | "LABEL" | "CLASS" | "NAME" | "PROFILE" | "SORT-STRING");
    match version {
        Version::V40 if is_old => None,
        Version::V40 => Some(match name {
            "X-GENDER" | "X-ANNIVERSARY" => name.trim_start_matches("X-").to_owned(),
            name => name.to_owned(),
        }),
        _ if is_new => None,
        _ => Some(match name {
            "GENDER" | "ANNIVERSARY" => format!("X-{name}"),
            name => name.to_owned(),
        }),
    }
}

fn property(out: &mut String, property: &Property, version: Version) {
    let Some(name) = name_in(&property.name, version) else { return };
    let group = property.group.as_ref().map(|group| format!("{group}.")).unwrap_or_default();
    let mut head = format!("{group}{name}");
    let is_binary = matches!(property.value, Value::Binary { .. });
    types(&mut head, property, is_binary, version);
    for (name, value) in
        property.params.iter().filter(|(name, _)| version == Version::V40 || name == "LANGUAGE")
    {
        head.push_str(&format!(
            ";{name}={}",
            if value.contains([',', ';', ':']) { format!("\"{value}\"") } else { value.clone() }
        ));
    }
    match &property.value {
        Value::Binary { octets, media_type } => binary(out, head, octets, media_type.as_deref(), version),
        Value::Plain(value) => {
            let value = if matches!(name.as_str(), "BDAY" | "ANNIVERSARY") {
                date(value, version)
            } else {
                value.clone()
            };
            let is_media = matches!(name.as_str(), "PHOTO" | "LOGO" | "SOUND" | "KEY");
            if is_media && version != Version::V40 {
                head.push_str(if version == Version::V21 { ";VALUE=URL" } else { ";VALUE=uri" });
            }
            line(out, &format!("{head}:{value}"), version);
        }
        Value::Text(fields) => {
            let value = joined(fields, is_structured(&property.name), version);
            if version == Version::V21 && !is_bare(&value) {
                head.push_str(";CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE");
                quoted(out, &head, &value);
            } else {
                line(out, &format!("{head}:{value}"), version);
            }
        }
    }
}

/// What it is for, in the version's way. The type of a picture is not among it: it is written with its octets.
fn types(head: &mut String, property: &Property, is_binary: bool, version: Version) {
    let mut words: Vec<&str> = property.types.iter().map(String::as_str).collect();
    if is_binary {
        words.clear();
    }
    match version {
        Version::V21 => {
            words.iter().for_each(|word| head.push_str(&format!(";{}", word.to_ascii_uppercase())))
        }
        Version::V30 if words.is_empty() => {}
        Version::V30 => head.push_str(&format!(";TYPE={}", words.join(","))),
        Version::V40 => {
            let is_preferred = words.contains(&"pref");
            words.retain(|word| *word != "pref" && *word != "internet");
            if !words.is_empty() {
                head.push_str(&format!(";TYPE={}", words.join(",")));
            }
            if is_preferred {
                head.push_str(";PREF=1");
            }
        }
    }
}

fn binary(out: &mut String, mut head: String, octets: &[u8], media_type: Option<&str>, version: Version) {
    let coded = STANDARD.encode(octets);
    let word = media_type.and_then(|kind| kind.split('/').nth(1)).map(str::to_ascii_uppercase);
    match version {
        Version::V40 => {
            let media_type = media_type.unwrap_or("application/octet-stream");
            line(out, &format!("{head}:data:{media_type};base64,{coded}"), version);
        }
        Version::V30 => {
            head.push_str(";ENCODING=b");
            if let Some(word) = word {
                head.push_str(&format!(";TYPE={word}"));
            }
            line(out, &format!("{head}:{coded}"), version);
        }
        Version::V21 => {
            if let Some(word) = word {
                head.push_str(&format!(";{word}"));
            }
            out.push_str(&format!("{head};ENCODING=BASE64:\r\n"));
            let mut rest = coded.as_str();
            while !rest.is_empty() {
                let (one, more) = rest.split_at(rest.len().min(OLD_LINE));
                out.push_str(&format!(" {one}\r\n"));
                rest = more;
            }
            // An empty line ends it.
            out.push_str("\r\n");
        }
    }
}

/// 3.0 has hyphens in a date, 4.0 has none (RFC 6350 §4.3.1), and phones of 2.1 write none either.
fn date(value: &str, version: Version) -> String {
    let digits: String = value.chars().filter(|c| *c != '-').collect();
    let is_date =
        digits.len() == 8 && digits.bytes().all(|octet| octet.is_ascii_digit()) && !value.starts_with('-');
    match (is_date, version) {
        (true, Version::V40 | Version::V21) => digits,
        (true, Version::V30) => {
            let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
            format!("{}-{}-{}", part(0..4), part(4..6), part(6..8))
        }
        _ => value.to_owned(),
    }
}

/// Fields with their lists, escaped in the version's way.
fn joined(fields: &[Vec<String>], structured: bool, version: Version) -> String {
    let escape = |text: &String| match version {
        // Only what separates fields has a backslash.
        Version::V21 if structured => text.replace(';', "\\;"),
        Version::V21 => text.clone(),
        _ => {
            let text = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "").replace(',', "\\,");
            text.replace(';', "\\;")
        }
    };
    let list = |items: &Vec<String>| items.iter().map(escape).collect::<Vec<String>>().join(",");
    fields.iter().map(list).collect::<Vec<String>>().join(";")
}

/// Whether 2.1 can write it without an encoding.
fn is_bare(value: &str) -> bool {
    value.is_ascii() && !value.contains(['\n', '\r'])
}

/// Quoted-printable with soft line breaks; line ends within are CRLF.
fn quoted(out: &mut String, head: &str, value: &str) {
    out.push_str(head);
    out.push(':');
    let mut width = head.len() + 1;
    for octet in value.replace('\n', "\r\n").bytes() {
        let plain = matches!(octet, b' '..=b'~') && octet != b'=';
        let octets = if plain { 1 } else { 3 };
        if width + octets > OLD_LINE {
            out.push_str("=\r\n");
            width = 0;
        }
        if plain {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("={octet:02X}"));
        }
        width += octets;
    }
    out.push_str("\r\n");
}

/// A line, folded where the version folds in the middle of words.
fn line(out: &mut String, text: &str, version: Version) {
    let mut width = 0;
    for c in text.chars().filter(|c| !matches!(c, '\r' | '\n')) {
        if version != Version::V21 && width + c.len_utf8() > LINE {
            out.push_str("\r\n ");
            width = 1;
        }
        out.push(c);
        width += c.len_utf8();
    }
    out.push_str("\r\n");
}
