//! Lanczos with three lobes, as every scaling here uses it.

use std::f64::consts::PI;

use fast_image_resize::{Filter, FilterType, ResizeAlg, ResizeOptions};

/// How to scale.
pub(crate) fn options() -> ResizeOptions {
    let filter = Filter::new("lanczos", weight, 3.0).map_or(FilterType::Lanczos3, FilterType::Custom);
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter))
}

/// sinc(x) sinc(x/3) within three lobes. The sine of a threefold angle follows from that of the single one, and that
/// from its series: cheaper than two sines, of which a small picture needs as many as it has pixels, and the same on
/// every machine.
fn weight(x: f64) -> f64 {
    if !(-3.0..3.0).contains(&x) {
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
            assert!((weight(x) - expected).abs() < 1e-8, "{x}: {} for {expected}", weight(x));
        }
    }
}
