//! Pictures: a phone's photo and one of a screen's size, for a phone of 2003 and for one that shows VGA; then
//! every codec in and out, at 160x120.

#![expect(clippy::expect_used, reason = "a bench without its picture measures nothing")]

use adapter::image::{Guards, Kind, Spec, probe, transform};
use criterion::{Criterion, criterion_group, criterion_main};

fn transcode(c: &mut Criterion) {
    let guards = Guards::default();
    let mut group = c.benchmark_group("image");
    group.sample_size(10);
    for (name, file) in [("12mp", "phone_12mp_o6.jpg"), ("1080p", "life_1080p.jpg")] {
        let path = format!("{}/tests/data/images/{file}", env!("CARGO_MANIFEST_DIR"));
        let photo = std::fs::read(path).expect("a test picture");
        group.bench_function(format!("{name}-probe"), |b| b.iter(|| probe(&photo)));
        let head = probe(&photo).expect("a photo");
        for (side, width, height) in [("160x120", 160, 120), ("640x480", 640, 480)] {
            let (width, height) = fit((head.width, head.height), (width, height));
            let spec = Spec { quality: 80, ..Spec::new(Kind::Jpeg, width, height) };
            group.bench_function(format!("{name}-{side}"), |b| {
                b.iter(|| transform(&photo, &spec, &guards, &|| false))
            });
            let limited = Spec { octets: Some(16_384), ..Spec::new(Kind::Jpeg, width, height) };
            group.bench_function(format!("{name}-{side}-16k"), |b| {
                b.iter(|| transform(&photo, &limited, &guards, &|| false));
            });
        }
    }
    group.finish();
}

/// The rows of one picture differ by what is written, those of one target by what is read.
fn codecs(c: &mut Criterion) {
    let guards = Guards::default();
    let mut group = c.benchmark_group("codec");
    group.sample_size(10);
    for (name, file) in [
        ("jpeg", "picos_1280x960.jpg"),
        ("progressive", "friends_prog_1200x1600.jpg"),
        ("palette-png", "astronaut_pal_800x600.png"),
        ("rgba-png", "screenshot_rgba_1080x1920.png"),
        ("deep-png", "seed_16bit_320x240.png"),
        ("gif", "anim_24f_320x240.gif"),
        ("webp", "seed_1280x720.webp"),
    ] {
        let path = format!("{}/tests/data/images/{file}", env!("CARGO_MANIFEST_DIR"));
        let picture = std::fs::read(path).expect("a test picture");
        let head = probe(&picture).expect("a picture");
        let (width, height) = fit((head.width, head.height), (160, 120));
        for (target, kind) in [("jpeg", Kind::Jpeg), ("png", Kind::Png), ("gif", Kind::Gif)] {
            let spec = Spec::new(kind, width, height);
            group.bench_function(format!("{name}-to-{target}"), |b| {
                b.iter(|| transform(&picture, &spec, &guards, &|| false))
            });
        }
    }
    group.finish();
}

fn fit((w, h): (u32, u32), (max_w, max_h): (u32, u32)) -> (u32, u32) {
    if max_w * h <= max_h * w { (max_w, max_w * h / w) } else { (max_h * w / h, max_h) }
}

criterion_group!(benches, transcode, codecs);
criterion_main!(benches);
