//! May this item be shown, how well is it liked, and how small must it be (CPI.md §2).
//!
//! Whole numbers only, so that every machine decides the same. [`quality`] allocates nothing.

mod fit;
mod tier;
mod whole;

use crate::model::{Cpi, MediaEntry, Q_MAX};

pub use fit::fit;
pub use tier::{Tier, tiers};
pub use whole::{charset_ok, coding_quality, language_quality, whole_limit};

/// One thing to be shown: a leaf of a body, or what a variant of it would be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Item<'a> {
    /// `type/subtype`, any case.
    pub media_type: &'a str,
    /// Media-type parameters.
    pub params: &'a [(&'a str, &'a str)],
    /// Octets of the body as carried, after transfer and content encoding, without MIME head or
    /// delimiters. `None`: not known yet, no limit is asked.
    pub length: Option<u64>,
    /// Width in pixels after EXIF orientation; of an animation, its logical screen (rule M8). `None`: not
    /// to be found out, so that an entry that limits it doesn't hold the item.
    pub width: Option<u32>,
    /// Height in pixels, likewise.
    pub height: Option<u32>,
    /// Values of extension names (`audio-rate`), names in lower case. One that isn't here isn't asked.
    pub ext: &'a [(&'a str, u64)],
}

/// What the caller knows about the request and the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// `cpi.strict_specificity`: less specific ranges never add tiers (rule M3).
    pub strict_specificity: bool,
    /// Types implied by the method or the event package, see [`implied`] (rule M9).
    pub implied: &'a [&'a str],
}

/// Types a terminal takes in `method` (with `event`, for NOTIFY) without listing them (rule M9).
///
/// `application/sdp` in an INVITE is implied only without an Accept (RFC 3261 §20.1), and then there is no
/// restriction anyway.
pub fn implied(method: &str, event: Option<&str>) -> &'static [&'static str] {
    const MIXED: &str = "multipart/mixed";
    const ALTERNATIVE: &str = "multipart/alternative";
    match (method, event) {
        ("MESSAGE", _) => &["text/plain", MIXED, ALTERNATIVE],
        (_, Some("presence")) => &["application/pidf+xml", MIXED, ALTERNATIVE],
        (_, Some("reg")) => &["application/reginfo+xml", MIXED, ALTERNATIVE],
        (_, Some(event)) if event.ends_with(".winfo") => &["application/watcherinfo+xml", MIXED, ALTERNATIVE],
        _ => &[MIXED, ALTERNATIVE],
    }
}

/// How much the terminal likes `item`, in thousandths; 0 = not acceptable (rule M5).
///
/// ```
/// use cpi::matching::{Item, Options, quality};
///
/// let accept = b"image/*;q=.5;media-pix-x=max+640, image/gif;media-pix-x=max+160";
/// let (cpi, _) = cpi::decode::from_headers([(&b"Accept"[..], &accept[..])], &cpi::Extensions::NONE);
/// let gif = |width| Item { media_type: "image/gif", width: Some(width), height: Some(1), ..Item::default() };
/// assert_eq!(quality(&cpi, &gif(160), Options::default()), 1000);
/// assert_eq!(quality(&cpi, &gif(320), Options::default()), 500);
/// assert_eq!(quality(&cpi, &gif(700), Options::default()), 0);
/// ```
pub fn quality(cpi: &Cpi, item: &Item<'_>, options: Options<'_>) -> u16 {
    let inside = |entry: &MediaEntry| holds(entry, item);
    let limited = |entry: &MediaEntry| level(entry, item.media_type, item.params).is_some() && !inside(entry);
    if cpi.implicit.iter().any(limited) {
        return 0;
    }
    best(cpi, item.media_type, item.params, options, inside, inside)
}

/// The best q of a type whatever its constraints; 0 if no tier takes it.
pub fn type_quality(cpi: &Cpi, media_type: &str, params: &[(&str, &str)], options: Options<'_>) -> u16 {
    best(cpi, media_type, params, options, |_| true, |entry| entry.constraints() == 0)
}

/// Whether content of `referenced` type may be replaced by a `message/external-body`: the terminal lists
/// that, and takes the type (rule M10). Without a list, nobody knows, and so: no.
pub fn accepts_external_body(cpi: &Cpi, referenced: &str, options: Options<'_>) -> bool {
    cpi.media.is_some()
        && type_quality(cpi, EXTERNAL_BODY, &[], options) > 0
        && type_quality(cpi, referenced, &[], options) > 0
}

/// The media type of RFC 2046 §5.2.3, which `*/*` doesn't imply (rule M10, RFC 4483 §5.1).
pub const EXTERNAL_BODY: &str = "message/external-body";

/// How specific an entry is for an item (rule M1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Any,
    Type,
    Subtype,
    Params,
}

impl Level {
    const MOST_SPECIFIC_FIRST: [Self; 4] = [Self::Params, Self::Subtype, Self::Type, Self::Any];
}

/// The q of the first level that holds the item, most specific first (rules M2-M5).
fn best(
    cpi: &Cpi,
    media_type: &str,
    params: &[(&str, &str)],
    options: Options<'_>,
    holds: impl Fn(&MediaEntry) -> bool,
    forbids: impl Fn(&MediaEntry) -> bool,
) -> u16 {
    let Some(media) = &cpi.media else { return Q_MAX };
    let implied = is_implied(media, media_type, params, options);
    let mut below = u16::MAX;
    for step in Level::MOST_SPECIFIC_FIRST {
        let mut found = 0;
        let mut least = below;
        if implied && step == Level::Subtype {
            (found, least) = (Q_MAX, Q_MAX);
        }
        for entry in at_level(media, media_type, params, step) {
            if entry.q == 0 {
                if forbids(entry) {
                    return 0;
                }
                continue;
            }
            least = least.min(entry.q);
            if entry.q < below && holds(entry) {
                found = found.max(entry.q);
            }
        }
        if found > 0 {
            return found;
        }
        below = next_bound(least, options);
    }
    0
}

/// The q under which entries of the next level still are tiers, given the least q above them (rule M3).
const fn next_bound(least: u16, options: Options<'_>) -> u16 {
    if options.strict_specificity && least != u16::MAX { 0 } else { least }
}

/// The entries of one level that some item could satisfy (rule D2).
fn at_level<'a>(
    media: &'a [MediaEntry],
    media_type: &str,
    params: &[(&str, &str)],
    wanted: Level,
) -> impl Iterator<Item = &'a MediaEntry> {
    media.iter().filter(move |entry| {
        level(entry, media_type, params) == Some(wanted)
            && !entry.is_unsatisfiable()
            && !(wanted == Level::Any && media_type.eq_ignore_ascii_case(EXTERNAL_BODY))
    })
}

/// Whether the type counts as listed with q=1 although it isn't (rule M9). `type/*` lists it, `*/*` doesn't,
/// as little as it lists external bodies; but `*/*;q=0` refuses it.
fn is_implied(media: &[MediaEntry], media_type: &str, params: &[(&str, &str)], options: Options<'_>) -> bool {
    let listed = |entry: &MediaEntry| match level(entry, media_type, params) {
        Some(Level::Any) => entry.q == 0 && entry.constraints() == 0,
        Some(_) => true,
        None => false,
    };
    options.implied.iter().any(|known| known.eq_ignore_ascii_case(media_type))
        && !media.iter().any(|entry| !entry.is_unsatisfiable() && listed(entry))
}

fn level(entry: &MediaEntry, media_type: &str, params: &[(&str, &str)]) -> Option<Level> {
    let same_params = || entry.params.iter().all(|(name, value)| has_param(media_type, params, name, value));
    let range = entry.range.as_str();
    if range == "*/*" {
        return same_params().then_some(Level::Any);
    }
    if let Some(major) = range.strip_suffix("/*") {
        let matches = media_type
            .split_at_checked(major.len())
            .is_some_and(|(head, tail)| head.eq_ignore_ascii_case(major) && tail.starts_with('/'));
        return (matches && same_params()).then_some(Level::Type);
    }
    if !range.eq_ignore_ascii_case(media_type) {
        return None;
    }
    if entry.params.is_empty() {
        return Some(Level::Subtype);
    }
    same_params().then_some(Level::Params)
}

/// Whether the item has the parameter; text without a charset is utf-8 (RFC 3261 §7.4.1).
fn has_param(media_type: &str, params: &[(&str, &str)], name: &str, value: &str) -> bool {
    let own = params.iter().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|&(_, own)| own);
    if name != "charset" {
        return own.is_some_and(|own| own.eq_ignore_ascii_case(value));
    }
    match own {
        Some(own) => whole::charset_covers(value, own),
        None => is_major(media_type, "text") && value.eq_ignore_ascii_case("utf-8"),
    }
}

/// Whether the item lies inside the entry's constraints (rules M6, M8).
fn holds(entry: &MediaEntry, item: &Item<'_>) -> bool {
    let pixels = |interval: crate::Interval, side: Option<u32>| {
        interval.is_unlimited() || side.is_some_and(|side| interval.contains(side.into()))
    };
    item.length.is_none_or(|length| entry.length.within_high(length))
        && (!has_pixels(item.media_type)
            || pixels(entry.pix_x, item.width) && pixels(entry.pix_y, item.height))
        && item
            .ext
            .iter()
            .all(|&(name, value)| entry.ext.get(name).is_none_or(|interval| interval.contains(value)))
}

/// Whether pixel constraints apply to the type (rule M8).
fn has_pixels(media_type: &str) -> bool {
    is_major(media_type, "image") || is_major(media_type, "video")
}

fn is_major(media_type: &str, major: &str) -> bool {
    media_type.split_once('/').is_some_and(|(own, _)| own.eq_ignore_ascii_case(major))
}
