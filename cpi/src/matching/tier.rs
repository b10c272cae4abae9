//! The tiers of a type: independent constraint sets, best first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Level, Options, at_level, has_pixels, is_implied, level, next_bound};
use crate::model::{Cpi, Interval, MediaEntry, Q_MAX};

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

impl<'a> Tier<'a> {
    const OPEN: Self = Self {
        q: Q_MAX,
        length: Interval::UNLIMITED,
        pix_x: Interval::UNLIMITED,
        pix_y: Interval::UNLIMITED,
        ext: None,
    };

    fn of(entry: &'a MediaEntry, pixels: bool) -> Self {
        let open = Interval::UNLIMITED;
        Self {
            q: entry.q,
            length: entry.length,
            pix_x: if pixels { entry.pix_x } else { open },
            pix_y: if pixels { entry.pix_y } else { open },
            ext: (!entry.ext.is_empty()).then_some(&entry.ext),
        }
    }

    /// How many names it constrains.
    pub fn constraints(&self) -> usize {
        let own = [self.length, self.pix_x, self.pix_y];
        own.iter().filter(|interval| !interval.is_unlimited()).count() + self.ext.map_or(0, BTreeMap::len)
    }
}

/// The tiers in which `media_type` with `params` is accepted, best first: q descending, then more
/// constraints, then list order (rule M5). Empty: never.
///
/// What was fitted into a tier is still to be asked with [`quality`](super::quality): an entry with q=0 may
/// forbid some of it (rule M4).
pub fn tiers<'a>(
    cpi: &'a Cpi,
    media_type: &str,
    params: &[(&str, &str)],
    options: Options<'_>,
) -> Vec<Tier<'a>> {
    let mut tiers = match &cpi.media {
        Some(media) => listed(media, media_type, params, options),
        None => vec![Tier::OPEN],
    };
    tiers.sort_by_key(|tier| Reverse((tier.q, tier.constraints())));
    narrow(&mut tiers, cpi, media_type, params);
    tiers
}

fn listed<'a>(
    media: &'a [MediaEntry],
    media_type: &str,
    params: &[(&str, &str)],
    options: Options<'_>,
) -> Vec<Tier<'a>> {
    let pixels = has_pixels(media_type);
    let implied = is_implied(media, media_type, params, options);
    let mut tiers = Vec::new();
    let mut below = u16::MAX;
    for step in Level::MOST_SPECIFIC_FIRST {
        let here = || at_level(media, media_type, params, step);
        if here().any(|entry| entry.q == 0 && entry.constraints() == 0) {
            break;
        }
        let mut least = below;
        if implied && step == Level::Subtype {
            tiers.push(Tier::OPEN);
            least = Q_MAX;
        }
        for entry in here().filter(|entry| entry.q > 0) {
            least = least.min(entry.q);
            if entry.q < below {
                tiers.push(Tier::of(entry, pixels));
            }
        }
        below = next_bound(least, options);
    }
    tiers
}

/// Cuts the tiers down to the implicit limits (rule K5) and drops those of which nothing is left.
fn narrow(tiers: &mut Vec<Tier<'_>>, cpi: &Cpi, media_type: &str, params: &[(&str, &str)]) {
    let limits = || cpi.implicit.iter().filter(|entry| level(entry, media_type, params).is_some());
    tiers.retain_mut(|tier| {
        for limit in limits() {
            tier.length = tier.length.intersect(limit.length);
            tier.pix_x = tier.pix_x.intersect(limit.pix_x);
            tier.pix_y = tier.pix_y.intersect(limit.pix_y);
        }
        ![tier.length, tier.pix_x, tier.pix_y].iter().any(|interval| interval.is_empty())
    });
}
