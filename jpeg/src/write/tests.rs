use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::*;
use crate::{Eighths, Head, decode};

fn plane(width: usize, height: usize, shade: impl Fn(usize, usize) -> usize) -> Vec<u8> {
    (0..height).flat_map(|y| (0..width).map(|x| shade(x, y) as u8).collect::<Vec<_>>()).collect()
}

/// Luma with an edge and a ramp, chroma with ramps.
fn drawn(width: usize, height: usize) -> [(usize, usize, Vec<u8>); 3] {
    let half = (width.div_ceil(2), height.div_ceil(2));
    [
        (width, height, plane(width, height, |x, y| 40 + x * 90 / width + if y * 3 > x { 100 } else { 0 })),
        (half.0, half.1, plane(half.0, half.1, |x, _| 80 + x * 90 / half.0)),
        (half.0, half.1, plane(half.0, half.1, |_, y| 170 - y * 90 / half.1)),
    ]
}

fn samples(planes: &[(usize, usize, Vec<u8>)]) -> Vec<Samples<'_>> {
    planes
        .iter()
        .map(|(width, height, samples)| Samples { width: *width, height: *height, samples })
        .collect()
}

fn spectrum(planes: &[(usize, usize, Vec<u8>)]) -> Spectrum {
    Spectrum::of(&samples(planes)).unwrap()
}

fn far(a: &[u8], b: &[u8]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / a.len() as f64
}

#[test]
fn at_the_best_quality_every_plane_comes_back() {
    for (width, height) in [(1, 1), (8, 8), (16, 16), (17, 9), (100, 75)] {
        let planes = drawn(width, height);
        let file = spectrum(&planes).write(100);
        let read = decode(&Head::read(&file).unwrap(), Eighths { luma: 8, chroma: 8 }).unwrap();
        for ((width, _, samples), read) in planes.iter().zip(&read) {
            let rows: Vec<u8> = samples
                .chunks(*width)
                .zip(read.samples.chunks(read.stride))
                .flat_map(|(_, row)| row[..*width].to_vec())
                .collect();
            assert!(far(samples, &rows) < 0.6, "{width}: {}", far(samples, &rows));
        }
        let other = image::load_from_memory(&file).unwrap();
        assert_eq!((other.width() as usize, other.height() as usize), (width, height));
    }
}

#[test]
fn gray_is_gray() {
    let [luma, ..] = drawn(50, 40);
    let file = spectrum(std::slice::from_ref(&luma)).write(100);
    let other = image::load_from_memory(&file).unwrap();
    assert_eq!(other.color(), image::ColorType::L8);
    assert!(far(other.as_bytes(), &luma.2) < 0.6);
}

/// Two encoders that agree in transform and tables agree in almost every coefficient, so their pictures do too.
#[test]
fn the_picture_is_that_of_another_encoder_and_the_file_is_shorter() {
    let [luma, ..] = drawn(160, 120);
    for quality in [35, 50, 80, 95] {
        let ours = spectrum(std::slice::from_ref(&luma)).write(quality);
        let mut theirs = Vec::new();
        let mut encoder = Encoder::new(&mut theirs, quality);
        encoder.set_sampling_factor(SamplingFactor::F_1_1);
        encoder.encode(&luma.2, 160, 120, ColorType::Luma).unwrap();
        let pixels = |file: &[u8]| image::load_from_memory(file).unwrap().to_luma8().into_raw();
        assert!(far(&pixels(&ours), &pixels(&theirs)) < 0.3, "{quality}");
        assert!(ours.len() < theirs.len(), "{quality}");
    }
}

#[test]
fn the_estimate_is_near() {
    let half = plane(160, 120, |x, y| (x + y * y / 9) % 256);
    let noise = plane(320, 240, |x, y| (x * x + y * 7 + (x * y) % 31) % 256);
    let planes = [(320, 240, noise), (160, 120, half.clone()), (160, 120, half)];
    let (spectrum, sample) = (spectrum(&planes), Sample::of(&samples(&planes)).unwrap());
    for quality in [35, 60, 85] {
        let (about, octets) = (sample.octets(quality), spectrum.write(quality).len() as f64);
        assert!((about / octets - 1.0).abs() < 0.06, "{quality}: {about} for {octets}");
    }
}

#[test]
fn coefficients_beyond_baseline_are_held() {
    let checks = plane(16, 16, |x, y| if (x + y).is_multiple_of(2) { 255 } else { 0 });
    let file = spectrum(&[(16, 16, checks.clone())]).write(100);
    let read = image::load_from_memory(&file).unwrap().to_luma8().into_raw();
    assert!(far(&checks, &read) < 2.0);
}

#[test]
fn planes_that_do_not_belong_together_are_refused() {
    let samples = vec![0; 64];
    let of = |width, height| Samples { width, height, samples: &samples };
    assert!(Spectrum::of(&[]).is_none());
    assert!(Spectrum::of(&[of(8, 9)]).is_none());
    assert!(Spectrum::of(&[of(8, 8), of(8, 8), of(8, 8)]).is_none());
    assert!(Spectrum::of(&[of(0, 0)]).is_none());
}
