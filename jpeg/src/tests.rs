#![expect(clippy::disallowed_methods, reason = "the pictures lie in files")]

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use zune_jpeg::zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};

use super::*;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/data/images/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn read(file: &[u8], eighths: u8) -> Result<Vec<Plane>, Unread> {
    decode(&Head::read(file)?, Eighths { luma: eighths, chroma: eighths })
}

/// The luma of the whole picture, by another decoder.
fn whole_luma(file: &[u8]) -> (usize, usize, Vec<u8>) {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::YCbCr);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().unwrap();
    let gray = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let step = if gray { 1 } else { 3 };
    if gray {
        decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
    }
    let samples = decoder.decode().unwrap();
    let (width, height) = decoder.dimensions().unwrap();
    (width, height, samples.iter().step_by(step).copied().collect())
}

/// The waves of a DCT of `size` samples, by the definition (T.81 §A.3.3); with fewer than eight samples the smaller
/// picture of the same mean.
fn wave(size: usize, frequency: usize, at: usize) -> f64 {
    let angle = (2 * at + 1) as f64 * frequency as f64 * std::f64::consts::PI / (2 * size) as f64;
    if frequency == 0 { 0.125f64.sqrt() } else { 0.5 * angle.cos() }
}

/// Mean difference between the luma at a fraction of the size and that of the whole picture, as another decoder reads
/// it, turned into frequencies and back into fewer samples. The blocks at the edge are left out.
fn difference(file: &[u8], eighths: u8) -> f64 {
    let (width, height, whole) = whole_luma(file);
    let planes = read(file, eighths).unwrap();
    let (luma, n) = (&planes[0], usize::from(eighths));
    let (mut sum, mut count) = (0.0, 0);
    for (top, left) in (0..height / 8).flat_map(|y| (0..width / 8).map(move |x| (y, x))) {
        let sample = |y: usize, x: usize| f64::from(whole[(top * 8 + y) * width + left * 8 + x]) - 128.0;
        let all = || (0..64).map(|at| (at / 8, at % 8));
        let coefficients: Vec<f64> = all()
            .map(|(v, u)| all().map(|(y, x)| sample(y, x) * wave(8, v, y) * wave(8, u, x)).sum())
            .collect();
        for (y, x) in (0..n * n).map(|at| (at / n, at % n)) {
            let low = all().filter(|&(v, u)| v < n && u < n);
            let expected: f64 =
                low.map(|(v, u)| coefficients[v * 8 + u] * wave(n, v, y) * wave(n, u, x)).sum();
            let found = luma.samples[(top * n + y) * luma.stride + left * n + x];
            sum += ((expected + 128.0).clamp(0.0, 255.0) - f64::from(found)).abs();
            count += 1;
        }
    }
    if count == 0 { 0.0 } else { sum / f64::from(count) }
}

/// A picture with an edge, a ramp and a texture, of so many samples a pixel.
fn pixels(width: u16, height: u16, step: usize) -> Vec<u8> {
    let shade =
        |x: usize, y: usize| (x * 3 + y * 2 + if (x / 9 + y / 7).is_multiple_of(2) { 60 } else { 0 }) % 256;
    let (w, h) = (usize::from(width), usize::from(height));
    let row = move |y: usize| (0..w).flat_map(move |x| (0..step).map(move |c| (shade(x, y) / (c + 1)) as u8));
    (0..h).flat_map(row).collect()
}

/// The same picture as [`drawn`] makes it of colours, in scans that each add some coefficients.
fn turned_progressive(width: u16, height: u16, sampling: SamplingFactor, restart: Option<u16>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 90);
    encoder.set_sampling_factor(sampling);
    encoder.set_progressive(true);
    if let Some(units) = restart {
        encoder.set_restart_interval(units);
    }
    encoder.encode(&pixels(width, height, 3), width, height, ColorType::Rgb).unwrap();
    out
}

/// It as a file.
fn drawn(
    width: u16,
    height: u16,
    colours: ColorType,
    sampling: SamplingFactor,
    restart: Option<u16>,
) -> Vec<u8> {
    let pixels = pixels(width, height, if matches!(colours, ColorType::Luma) { 1 } else { 3 });
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 90);
    encoder.set_sampling_factor(sampling);
    if let Some(units) = restart {
        encoder.set_restart_interval(units);
    }
    encoder.encode(&pixels, width, height, colours).unwrap();
    out
}

#[test]
fn every_fraction_is_what_the_frequencies_of_the_whole_give() {
    for eighths in 1..=8 {
        let far = difference(&file("life_640x480.jpg"), eighths);
        assert!(far < 0.6, "at {eighths}/8: {far}");
    }
}

#[test]
fn a_progressive_photo_is_read_at_every_fraction() {
    for eighths in [1, 2, 5, 8] {
        let far = difference(&file("friends_prog_1200x1600.jpg"), eighths);
        assert!(far < 0.6, "at {eighths}/8: {far}");
    }
}

#[test]
fn progressive_files_of_every_sampling_are_the_same_as_their_baseline() {
    let samplings =
        [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2];
    for sampling in samplings {
        for (width, height) in [(1, 1), (17, 9), (100, 75)] {
            for restart in [None, Some(2)] {
                let baseline = drawn(width, height, ColorType::Rgb, sampling, restart);
                let progressive = turned_progressive(width, height, sampling, restart);
                assert!(Head::read(&progressive).unwrap().progressive);
                for eighths in [1, 3, 8] {
                    let (a, b) = (read(&baseline, eighths).unwrap(), read(&progressive, eighths).unwrap());
                    assert_eq!(a, b, "{width}x{height} {sampling:?} {restart:?} at {eighths}/8");
                }
            }
        }
    }
}

#[test]
fn too_many_scans_are_too_many() {
    let file = turned_progressive(64, 48, SamplingFactor::F_1_1, None);
    let scan = file.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    let mut bomb = file[..file.len() - 2].to_vec();
    for _ in 0..70 {
        bomb.extend_from_slice(&file[scan..file.len() - 2]);
    }
    assert_eq!(read(&bomb, 8), Err(Unread::Damaged("too many scans")));
}

#[test]
fn every_sampling_and_size_is_read() {
    let samplings =
        [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2];
    for (sampling, halves) in samplings.into_iter().zip([(1, 1), (2, 1), (1, 2), (2, 2)]) {
        for (width, height) in [(1, 1), (8, 8), (17, 9), (64, 48), (100, 75)] {
            for restart in [None, Some(1), Some(3)] {
                let file = drawn(width, height, ColorType::Rgb, sampling, restart);
                let whole = difference(&file, 8);
                assert!(whole < 1.0, "{width}x{height} {sampling:?} {restart:?}: {whole}");
                let planes = read(&file, 4).unwrap();
                assert_eq!(planes.len(), 3);
                assert_eq!(planes[0].extent(), (f64::from(width) / 2.0, f64::from(height) / 2.0));
                let near = |extent: f64, size: u16, half: i32| {
                    (extent - f64::from(size) / 2.0 / f64::from(half)).abs() < 0.13
                };
                let chroma = planes[1].extent();
                assert!(near(chroma.0, width, halves.0) && near(chroma.1, height, halves.1), "{chroma:?}");
            }
        }
    }
}

#[test]
fn gray_is_one_plane() {
    let file = drawn(50, 40, ColorType::Luma, SamplingFactor::F_1_1, None);
    assert!(difference(&file, 8) < 1.0);
    assert_eq!(read(&file, 2).unwrap().len(), 1);
}

#[test]
fn components_in_scans_of_their_own_are_read() {
    let (width, height, pixels) = (50u16, 37u16, vec![90u8; 50 * 37 * 3]);
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 90);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.set_optimized_huffman_tables(true);
    encoder.encode(&pixels, width, height, ColorType::Rgb).unwrap();
    assert!(out.windows(2).filter(|pair| *pair == [0xff, 0xda]).count() == 3, "one scan each");
    for eighths in [3, 8] {
        let luma = &read(&out, eighths).unwrap()[0];
        assert!(
            luma.samples.iter().all(|sample| sample.abs_diff(90) <= 1),
            "at {eighths}/8, padding and all"
        );
    }
}

#[test]
fn what_is_not_read_here_says_so_at_the_head() {
    let mut lossless = file("life_640x480.jpg");
    let frame = lossless.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    lossless[frame + 1] = 0xc3;
    let unfit = Unread::Unfit("neither baseline nor progressive");
    assert_eq!(Head::read(&lossless).unwrap_err(), unfit);
    let cmyk = drawn_cmyk();
    assert!(matches!(Head::read(&cmyk), Err(Unread::Unfit(_))));
    assert!(matches!(Head::read(b"GIF89a"), Err(Unread::Damaged(_))));
    assert!(matches!(Head::read(&[0xff, 0xd8, 0xff, 0xd9]), Err(Unread::Damaged(_))));
}

fn drawn_cmyk() -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out, 90).encode(&[7; 16 * 16 * 4], 16, 16, ColorType::Cmyk).unwrap();
    out
}

#[test]
fn a_file_that_is_cut_is_damaged() {
    let file = file("life_640x480.jpg");
    for part in [2, 4, 10] {
        assert!(
            matches!(read(&file[..file.len() * (part - 1) / part], 4), Err(Unread::Damaged(_))),
            "{part}"
        );
    }
}

#[test]
fn no_change_to_a_file_makes_it_panic() {
    broken(&drawn(64, 48, ColorType::Rgb, SamplingFactor::F_2_2, Some(2)));
    broken(&turned_progressive(64, 48, SamplingFactor::F_2_2, Some(2)));
}

fn broken(file: &[u8]) {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for round in 0..2500 {
        let mut broken = file.to_vec();
        for _ in 0..=random(6) {
            let at = random(broken.len());
            broken[at] = random(256) as u8;
        }
        if round % 5 == 0 {
            broken.truncate(random(broken.len()));
        }
        // Sizes that a caller would not admit are not asked for.
        let head =
            Head::read(&broken).ok().filter(|head| u32::from(head.width) * u32::from(head.height) < 1 << 16);
        let _ = head
            .map(|head| decode(&head, Eighths { luma: 1 + random(8) as u8, chroma: 1 + random(8) as u8 }));
    }
}
