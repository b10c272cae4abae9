//! What Accept elements and Contact groups share: media ranges, and the names that carry constraints.

use std::collections::BTreeMap;

use crate::model::{Interval, MediaEntry};
use crate::{Extensions, value};

/// A name that carries a constraint (`cpi-name` of CPI.md §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name<'e> {
    Length,
    PixX,
    PixY,
    Extension(&'e str),
}

impl<'e> Name<'e> {
    /// Reads a name of any case.
    pub(crate) fn read(name: &[u8], extensions: &'e Extensions) -> Option<Self> {
        match name.len() {
            6 if name.eq_ignore_ascii_case(b"length") => Some(Self::Length),
            11 if name.eq_ignore_ascii_case(b"media-pix-x") => Some(Self::PixX),
            11 if name.eq_ignore_ascii_case(b"media-pix-y") => Some(Self::PixY),
            _ => extensions.name(name).map(Self::Extension),
        }
    }
}

/// Constraints by name: an entry without its range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Constraints {
    pub(crate) length: Interval,
    pub(crate) pix_x: Interval,
    pub(crate) pix_y: Interval,
    pub(crate) ext: BTreeMap<String, Interval>,
}

impl Constraints {
    /// No constraint.
    pub(crate) const NONE: Self = Self {
        length: Interval::UNLIMITED,
        pix_x: Interval::UNLIMITED,
        pix_y: Interval::UNLIMITED,
        ext: BTreeMap::new(),
    };

    /// Both together.
    #[must_use]
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.length = self.length.intersect(other.length);
        self.pix_x = self.pix_x.intersect(other.pix_x);
        self.pix_y = self.pix_y.intersect(other.pix_y);
        for (name, &interval) in &other.ext {
            self.add(Name::Extension(name), interval);
        }
        self
    }

    /// Adds a constraint; one more on the same name narrows it (rule G4).
    pub(crate) fn add(&mut self, name: Name<'_>, interval: Interval) {
        let slot = match name {
            Name::Length => &mut self.length,
            Name::PixX => &mut self.pix_x,
            Name::PixY => &mut self.pix_y,
            Name::Extension(name) => self.ext.entry(name.to_owned()).or_default(),
        };
        *slot = slot.intersect(interval);
    }

    /// An entry for `range` under these constraints.
    pub(crate) fn entry(&self, range: Range, q: u16) -> MediaEntry {
        let Self { length, pix_x, pix_y, ext } = self.clone();
        MediaEntry { range: range.text, params: range.params, q, length, pix_x, pix_y, ext }
    }
}

/// A media range with the parameters that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) text: String,
    pub(crate) params: BTreeMap<String, String>,
}

impl Range {
    /// `type/subtype`, `type/*` or `*/*`, with white space allowed round the slash; in lower case.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let (major, minor) = grammar::split_once(text, |b| b == b'/')?;
        let (major, minor) = (grammar::trim(major), grammar::trim(minor));
        let token = |text: &[u8]| !text.is_empty() && text.iter().all(|&b| grammar::is_tchar(b));
        if !token(major) || !token(minor) || major == b"*" && minor != b"*" {
            return None;
        }
        let mut text = String::with_capacity(major.len() + 1 + minor.len());
        for &b in major.iter().chain(b"/").chain(minor) {
            text.push(char::from(b.to_ascii_lowercase()));
        }
        Some(Self { text, params: BTreeMap::new() })
    }

    /// A range with its own parameters behind it: `text/plain;charset=utf-8`.
    pub(crate) fn with_params(text: &[u8]) -> Option<Self> {
        let mut params = grammar::params(text);
        let mut range = Self::read(params.next()?.raw)?;
        for param in params {
            range.add(param);
        }
        Some(range)
    }

    /// Adds a media-type parameter; the first of a name stays.
    pub(crate) fn add(&mut self, param: grammar::Param<'_>) {
        self.params.entry(lower(param.name)).or_insert_with(|| text_of(param));
    }
}

/// Reads the constraint a parameter carries; `Err` is the value that is none (rule G5).
pub(crate) fn interval<'a>(
    param: grammar::Param<'a>,
    read: fn(&[u8]) -> Option<Interval>,
) -> Result<Interval, &'a [u8]> {
    let Some(value) = param.value else { return Err(b"") };
    read(grammar::trim(&value.text())).ok_or_else(|| value.raw())
}

/// The constraint of a header parameter.
pub(crate) fn header_interval(param: grammar::Param<'_>) -> Result<Interval, &[u8]> {
    interval(param, value::constraint)
}

/// Octets as text in lower case.
pub(crate) fn lower(octets: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(octets).into_owned();
    text.make_ascii_lowercase();
    text
}

/// A parameter's value as text, quotes and folds taken away; empty without one.
pub(crate) fn text_of(param: grammar::Param<'_>) -> String {
    let octets = param.value.map(|value| value.text()).unwrap_or_default();
    String::from_utf8_lossy(&grammar::unfold(&octets)).into_owned()
}
