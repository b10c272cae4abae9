//! How near a picture that was made is to the one it was made of, at the size the phone shows.
//!
//! For each JSON line `{"in": path, "out": path, "w": 640, "h": 480}` on stdin a line `{"ssimulacra2": 71.3}` or
//! `{"error": ..}`. The reference is `in`, upright, over white, reduced by Lanczos with three lobes, in floats, to fit
//! within w x h; `out`, where it has fewer pixels, is enlarged by the same filter to the reference's size. Both are
//! compared by SSIMULACRA2: 100 is the same, 90 can't be told apart, 70 is good, 50 fair, 30 poor. It imports nothing
//! of ours: what is judged does not judge.

use std::io::{BufRead, Cursor, Write, stdin, stdout};

use image::imageops::{FilterType, resize};
use image::{DynamicImage, ImageDecoder, ImageReader, Rgb32FImage, Rgba, RgbaImage};
use serde::Deserialize;
use ssimulacra2::{ColorPrimaries, Rgb, TransferCharacteristic, compute_frame_ssimulacra2};

#[derive(Deserialize)]
struct Job {
    #[serde(rename = "in")]
    input: String,
    out: String,
    w: u32,
    h: u32,
}

fn main() -> std::io::Result<()> {
    let mut out = stdout().lock();
    // The same reference serves many limits.
    let mut last: Option<(String, u32, u32, Rgb32FImage)> = None;
    for line in stdin().lock().lines() {
        let answer = match scored(&line?, &mut last) {
            Ok(score) => serde_json::json!({ "ssimulacra2": score }),
            Err(error) => serde_json::json!({ "error": error }),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn scored(line: &str, last: &mut Option<(String, u32, u32, Rgb32FImage)>) -> Result<f64, String> {
    let job: Job = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let known = last.take().filter(|(input, w, h, _)| (input, *w, *h) == (&job.input, job.w, job.h));
    let reference = match known {
        Some((.., reference)) => reference,
        None => reduced(&opened(&job.input)?, job.w, job.h),
    };
    let made = DynamicImage::ImageRgb32F(opened(&job.out)?).to_rgb32f();
    let (width, height) = reference.dimensions();
    let made = if made.dimensions() == (width, height) {
        made
    } else {
        resize(&made, width, height, FilterType::Lanczos3)
    };
    let score =
        compute_frame_ssimulacra2(samples(&reference)?, samples(&made)?).map_err(|error| error.to_string());
    *last = Some((job.input, job.w, job.h, reference));
    score
}

/// The picture upright and over white.
fn opened(path: &str) -> Result<Rgb32FImage, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{path}: {error}");
    let octets = std::fs::read(path).map_err(|error| failed(&error))?;
    let reader =
        ImageReader::new(Cursor::new(octets)).with_guessed_format().map_err(|error| failed(&error))?;
    let mut decoder = reader.into_decoder().map_err(|error| failed(&error))?;
    let orientation = decoder.orientation().map_err(|error| failed(&error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| failed(&error))?;
    picture.apply_orientation(orientation);
    if picture.color().has_alpha() {
        let mut white = RgbaImage::from_pixel(picture.width(), picture.height(), Rgba([255; 4]));
        image::imageops::overlay(&mut white, &picture.to_rgba8(), 0, 0);
        picture = DynamicImage::ImageRgba8(white);
    }
    Ok(picture.to_rgb32f())
}

/// The largest size within `w` x `h` that keeps the aspect, never larger than it is.
fn reduced(picture: &Rgb32FImage, w: u32, h: u32) -> Rgb32FImage {
    let (width, height) = picture.dimensions();
    let scale = |size: u32, most: u32| f64::from(most) / f64::from(size.max(1));
    let scale = scale(width, w).min(scale(height, h)).min(1.0);
    let of = |size: u32| ((f64::from(size) * scale).round() as u32).max(1);
    if scale < 1.0 { resize(picture, of(width), of(height), FilterType::Lanczos3) } else { picture.clone() }
}

fn samples(picture: &Rgb32FImage) -> Result<Rgb, String> {
    let pixels = picture.pixels().map(|pixel| pixel.0.map(|sample| sample.clamp(0.0, 1.0))).collect();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    Rgb::new(pixels, width, height, TransferCharacteristic::SRGB, ColorPrimaries::BT709)
        .map_err(|error| error.to_string())
}
