//! Writing CPI: header values and Contact parameters, and the lists of a 415.

use std::fmt::Write as _;

use crate::model::{Cpi, Interval, MediaEntry, Preference, Q_MAX, WholeLimit};

/// The Accept of a 415: the acceptable types only, without parameters, because capabilities are the callee's
/// secret (CPI.md §3.8, RFC 3841 §7.2.4). Empty if nothing is listed.
pub fn accept_types(cpi: &Cpi) -> String {
    let usable = cpi.media.iter().flatten().filter(|entry| entry.q > 0 && !entry.is_unsatisfiable());
    names(usable.map(|entry| entry.range.as_str()))
}

/// The Accept-Encoding of a 415: the acceptable codings only; `identity` if none is listed.
pub fn accept_codings(cpi: &Cpi) -> String {
    let listed = names(cpi.whole.iter().filter(|limit| limit.q > 0).map(|limit| limit.coding.as_str()));
    if listed.is_empty() { "identity".to_owned() } else { listed }
}

/// The Accept-Language of a 415: the acceptable ranges only.
pub fn accept_languages(cpi: &Cpi) -> String {
    let usable = cpi.languages.iter().flatten().filter(|preference| preference.q > 0);
    names(usable.map(|preference| preference.name.as_str()))
}

/// An Accept value with all its CPI. Of a two-sided interval only the upper end is written: a parameter must
/// not stand twice (rule G4), so a header has no form for both.
pub fn accept(media: &[MediaEntry]) -> String {
    list(media, |out, entry| {
        range(out, entry);
        quality(out, entry.q);
        for (name, interval) in constraints(entry) {
            header_constraint(out, name, interval);
        }
    })
}

/// An Accept-Encoding value with its whole-message limits.
pub fn accept_encoding(whole: &[WholeLimit]) -> String {
    list(whole, |out, limit| {
        out.push_str(&limit.coding);
        quality(out, limit.q);
        header_constraint(out, "length", limit.length);
    })
}

/// An Accept-Charset or Accept-Language value.
pub fn preferences(listed: &[Preference]) -> String {
    list(listed, |out, preference| {
        out.push_str(&preference.name);
        quality(out, preference.q);
    })
}

/// Contact parameters, each with its leading `;`: the Contact's q first, as rule K4 demands of emitters, then
/// `encoding` groups, then `type` groups in the draft's form. With `q` absent and a single group that has a q
/// and no constraint, `q=1` is written, because that group's q would be read as the Contact's.
pub fn contact_params(q: Option<u16>, whole: &[WholeLimit], media: &[MediaEntry]) -> String {
    let mut out = String::new();
    match q {
        Some(q) => push(&mut out, format_args!(";q={}", Thousandths(q))),
        None if is_ambiguous(whole, media) => out.push_str(";q=1"),
        None => {}
    }
    for limit in whole {
        push(&mut out, format_args!(";encoding=\"{}\"", limit.coding));
        quality(&mut out, limit.q);
        contact_constraint(&mut out, "length", limit.length);
    }
    for entry in media {
        let mut text = String::new();
        range(&mut text, entry);
        push(&mut out, format_args!(";type={}", Quoted(&text)));
        quality(&mut out, entry.q);
        for (name, interval) in constraints(entry) {
            contact_constraint(&mut out, name, interval);
        }
    }
    out
}

fn is_ambiguous(whole: &[WholeLimit], media: &[MediaEntry]) -> bool {
    match (whole, media) {
        ([limit], []) => limit.q != Q_MAX && limit.length.is_unlimited(),
        ([], [entry]) => entry.q != Q_MAX && entry.constraints() == 0,
        _ => false,
    }
}

fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for name in all {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen.join(", ")
}

fn list<T>(all: &[T], write: impl Fn(&mut String, &T)) -> String {
    let mut out = String::new();
    for each in all {
        if !out.is_empty() {
            out.push_str(", ");
        }
        write(&mut out, each);
    }
    out
}

fn range(out: &mut String, entry: &MediaEntry) {
    out.push_str(&entry.range);
    for (name, value) in &entry.params {
        if grammar::is_token(value.as_bytes()) {
            push(out, format_args!(";{name}={value}"));
        } else {
            push(out, format_args!(";{name}={}", Quoted(value)));
        }
    }
}

fn quality(out: &mut String, q: u16) {
    if q != Q_MAX {
        push(out, format_args!(";q={}", Thousandths(q)));
    }
}

fn constraints(entry: &MediaEntry) -> impl Iterator<Item = (&str, Interval)> {
    let own = [("length", entry.length), ("media-pix-x", entry.pix_x), ("media-pix-y", entry.pix_y)];
    let ext = entry.ext.iter().map(|(name, &interval)| (name.as_str(), interval));
    own.into_iter().chain(ext).filter(|(_, interval)| !interval.is_unlimited())
}

fn header_constraint(out: &mut String, name: &str, interval: Interval) {
    match (interval.lo, interval.hi) {
        _ if interval.is_empty() => push(out, format_args!(";{name}=max-0")),
        (None, None) => {}
        (Some(lo), Some(hi)) if lo == hi => push(out, format_args!(";{name}={lo}")),
        (Some(lo), None) => match lo.checked_sub(1) {
            // The greatest number that may be written is 2^63-1.
            Some(below) if i64::try_from(lo).is_err() => push(out, format_args!(";{name}=min-{below}")),
            _ => push(out, format_args!(";{name}=min+{lo}")),
        },
        (_, Some(hi)) => push(out, format_args!(";{name}=max+{hi}")),
    }
}

fn contact_constraint(out: &mut String, name: &str, interval: Interval) {
    match (interval.lo, interval.hi) {
        (Some(lo), Some(hi)) if lo < hi => push(out, format_args!(";{name}=\"#{lo}:{hi}\"")),
        _ => header_constraint(out, name, interval),
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = out.write_fmt(text);
}

/// A q in thousandths as a qvalue.
struct Thousandths(u16);

impl std::fmt::Display for Thousandths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 >= Q_MAX {
            return f.write_str("1");
        }
        if self.0 == 0 {
            return f.write_str("0");
        }
        let digits = format!("{:03}", self.0);
        write!(f, "0.{}", digits.trim_end_matches('0'))
    }
}

/// A quoted string with its escapes.
struct Quoted<'a>(&'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_415_names_types_only_once_and_no_limits() {
        let mut gif = MediaEntry::new("image/gif");
        gif.pix_x = Interval::at_most(160);
        let refused = MediaEntry { q: 0, ..MediaEntry::new("image/bmp") };
        let never = MediaEntry { length: Interval::EMPTY, ..MediaEntry::new("image/png") };
        let media = vec![MediaEntry::new("text/plain"), gif.clone(), refused, never, gif];
        let cpi = Cpi { media: Some(media), ..Cpi::default() };
        assert_eq!(accept_types(&cpi), "text/plain, image/gif");
        assert_eq!(accept_codings(&cpi), "identity");
    }

    #[test]
    fn the_two_sided_form_stands_in_a_contact_only() {
        let entry =
            MediaEntry { pix_x: Interval { lo: Some(32), hi: Some(640) }, ..MediaEntry::new("image/png") };
        let media = [entry];
        assert_eq!(contact_params(None, &[], &media), r##";type="image/png";media-pix-x="#32:640""##);
        assert_eq!(accept(&media), "image/png;media-pix-x=max+640");
    }

    #[test]
    fn the_contacts_q_stands_before_the_first_group() {
        let media = [MediaEntry { q: 500, ..MediaEntry::new("image/gif") }];
        assert_eq!(contact_params(Some(300), &[], &media), r#";q=0.3;type="image/gif";q=0.5"#);
        assert_eq!(contact_params(None, &[], &media), r#";q=1;type="image/gif";q=0.5"#);
    }
}
