//! May this item be shown, how well is it liked, and how small must it be (CPI.md §2).
//!
//! Whole numbers only, so that every machine decides the same. [`quality`] allocates nothing.

use std::collections::BTreeMap;

use crate::{Cpi, Interval};

/// One thing to be shown: a leaf of a body, or what a variant of it would be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Item<'a> {
    /// `type/subtype`, any case.
    pub media_type: &'a str,
    /// Media-type parameters.
    pub params: &'a [(&'a str, &'a str)],
    /// Octets of the body as carried, after transfer and content encoding, without MIME head or delimiters.
    pub length: Option<u64>,
    /// Width in pixels after EXIF orientation; of an animation, its logical screen (rule M8).
    pub width: Option<u32>,
    /// Height in pixels, likewise.
    pub height: Option<u32>,
    /// Values of extension names (`audio-rate`), names in lower case.
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
pub fn implied(method: &str, event: Option<&str>) -> &'static [&'static str] {
    let _ = (method, event);
    &[]
}

/// One independent set of constraints under which a type is accepted (rule M2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier<'a> {
    /// Preference, 1..=1000.
    pub q: u16,
    /// Octets of the part; only the upper end counts (rule M6).
    pub length: Interval,
    /// Width; unlimited for types that have none.
    pub pix_x: Interval,
    /// Height; unlimited for types that have none.
    pub pix_y: Interval,
    /// Extension constraints.
    pub ext: Option<&'a BTreeMap<String, Interval>>,
}

/// How much the terminal likes `item`, in thousandths; 0 = not acceptable (rule M5).
pub fn quality(cpi: &Cpi, item: &Item<'_>, options: Options<'_>) -> u16 {
    let _ = (cpi, item, options);
    0
}

/// The tiers in which `media_type` with `params` is accepted, best first (rule M5). Empty: never.
pub fn tiers<'a>(
    cpi: &'a Cpi,
    media_type: &str,
    params: &[(&str, &str)],
    options: Options<'_>,
) -> Vec<Tier<'a>> {
    let _ = (cpi, media_type, params, options);
    Vec::new()
}

/// The best q of a type whatever its constraints; 0 if no tier takes it.
pub fn type_quality(cpi: &Cpi, media_type: &str, params: &[(&str, &str)], options: Options<'_>) -> u16 {
    tiers(cpi, media_type, params, options).first().map_or(0, |tier| tier.q)
}

/// The limit on the whole body in `coding` (rule M7).
pub fn whole_limit(cpi: &Cpi, coding: &str) -> Interval {
    let _ = (cpi, coding);
    Interval::UNLIMITED
}

/// How much the content coding is liked, 0 = not accepted (rule G6).
pub fn coding_quality(cpi: &Cpi, coding: &str) -> u16 {
    let _ = (cpi, coding);
    0
}

/// Whether content of `referenced` type may be replaced by a `message/external-body` (rule M10).
pub fn accepts_external_body(cpi: &Cpi, referenced: &str, options: Options<'_>) -> bool {
    let _ = (cpi, referenced, options);
    false
}

/// Whether text in `charset` may be sent as it is (rules G6, M12).
pub fn charset_ok(cpi: &Cpi, charset: &str) -> bool {
    let _ = (cpi, charset);
    true
}

/// How much `language` is liked; it orders alternatives and never blocks (rule M12).
pub fn language_quality(cpi: &Cpi, language: &str) -> u16 {
    let _ = (cpi, language);
    0
}

/// The largest size of the same aspect that fits, never larger than `width`x`height` (downscale rule).
/// `None` if a lower bound can't be met.
pub fn fit(width: u32, height: u32, pix_x: &Interval, pix_y: &Interval) -> Option<(u32, u32)> {
    let _ = (width, height, pix_x, pix_y);
    None
}
