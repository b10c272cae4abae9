//! Lanczos with three lobes, as every scaling here uses it.

use std::f64::consts::PI;
use std::sync::LazyLock;

use fast_image_resize::{Filter, FilterType, ResizeAlg, ResizeOptions};

/// How to scale.
pub(crate) fn options() -> ResizeOptions {
    let filter = Filter::new("lanczos", weight, 3.0).map_or(FilterType::Lanczos3, FilterType::Custom);
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter))
}

/// Values of the filter kept for one pixel of distance.
const STEPS: usize = 1024;

/// [`exact`] at every step from 0 to 3, and behind it: a small picture asks for as many weights as it has pixels, and the
/// straight line between two neighbours is nearer to it than the weights' own 15 bits.
static KEPT: LazyLock<Vec<f64>> =
    LazyLock::new(|| (0..=3 * STEPS + 1).map(|at| exact(at as f64 / STEPS as f64)).collect());

/// sinc(x) sinc(x/3) within three lobes.
fn weight(x: f64) -> f64 {
    let place = x.abs() * STEPS as f64;
    let at = place as usize;
    match KEPT.get(at..).and_then(<[f64]>::first_chunk) {
        Some([near, far]) => near + (far - near) * (place - at as f64),
        None => 0.0,
    }
}

/// The sine of a threefold angle follows from that of the single one, and that from its series: the same on every
/// machine.
fn exact(x: f64) -> f64 {
    if x >= 3.0 {
        return 0.0;
    }
    let square = (x * PI / 3.0) * (x * PI / 3.0);
    let mut sinc = 0.0;
    for at in (1..=11).rev() {
        let at = f64::from(at);
        sinc = (1.0 - sinc) * square / ((2.0 * at) * (2.0 * at + 1.0));
    }
    let sinc = 1.0 - sinc;
    sinc * sinc * (1.0 - sinc * sinc * square * 4.0 / 3.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_is_that_of_two_sines() {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
        for at in -320..=320 {
            let x = f64::from(at) / 100.0;
            let expected = if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 };
            assert!((weight(x) - expected).abs() < 1e-6, "{x}: {} for {expected}", weight(x));
        }
    }
}
