//! Pictures: a phone's photo and one of a screen's size, for a phone of 2003 and for one that shows VGA.

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

fn fit((w, h): (u32, u32), (max_w, max_h): (u32, u32)) -> (u32, u32) {
    if max_w * h <= max_h * w { (max_w, max_w * h / w) } else { (max_h * w / h, max_h) }
}

criterion_group!(benches, transcode);
criterion_main!(benches);
