//! The downscale rule (CPI.md §2).

use crate::Interval;

/// The largest size of the same aspect that fits, never larger than `width`x`height`. `None` if a lower
/// bound can't be met, or nothing of the picture would be left.
///
/// ```
/// use cpi::{Interval, matching::fit};
///
/// let screen = (Interval::below(160), Interval::below(120));
/// assert_eq!(fit(640, 480, &screen.0, &screen.1), Some((158, 119)));
/// ```
pub fn fit(width: u32, height: u32, pix_x: &Interval, pix_y: &Interval) -> Option<(u32, u32)> {
    let (w, h) = (u64::from(width), u64::from(height));
    let high_x = pix_x.hi.map_or(w, |hi| hi.min(w));
    let high_y = pix_y.hi.map_or(h, |hi| hi.min(h));
    if high_x == 0 || high_y == 0 {
        return None;
    }
    // No product overflows: all factors are below 2^32.
    let (x, y) = if high_x * h <= high_y * w {
        (high_x, (h * high_x).checked_div(w)?.max(1))
    } else {
        ((w * high_y).checked_div(h)?.max(1), high_y)
    };
    if !pix_x.contains(x) || !pix_y.contains(y) {
        return None;
    }
    Some((u32::try_from(x).ok()?, u32::try_from(y).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_downscale_vector_of_the_digest_comes_out() {
        const UP: fn(u64) -> Interval = Interval::at_most;
        const EQ: fn(u64) -> Interval = Interval::exactly;
        let rows = [
            ((640, 480), UP(159), UP(119), Some((158, 119))),
            ((320, 240), UP(159), UP(119), Some((158, 119))),
            ((1024, 768), UP(640), UP(480), Some((640, 480))),
            ((800, 500), UP(160), UP(120), Some((160, 100))),
            ((3000, 20), UP(160), UP(120), Some((160, 1))),
            ((640, 400), EQ(160), EQ(120), None),
            ((640, 480), EQ(160), EQ(120), Some((160, 120))),
            ((120, 90), UP(160), UP(120), Some((120, 90))),
            ((100, 100), Interval::at_least(160), Interval::UNLIMITED, None),
            ((0, 10), Interval::UNLIMITED, Interval::UNLIMITED, None),
            ((10, 10), UP(0), Interval::UNLIMITED, None),
            ((u32::MAX, u32::MAX), UP(100), Interval::UNLIMITED, Some((100, 100))),
        ];
        for ((w, h), x, y, expected) in rows {
            assert_eq!(fit(w, h, &x, &y), expected, "{w}x{h} into {x:?} {y:?}");
        }
    }
}
