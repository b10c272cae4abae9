//! The stages of a picture one by one, on a phone's photo that is shown on 640x480, and the whole message around it.

#![expect(clippy::expect_used, reason = "a bench without its picture measures nothing")]

use std::hint::black_box;

use adapter::image::{Guards, Kind, Spec, probe, transform};
use adapter::{Entity, Field, Settings, adapt_one};
use cpi::{Cpi, Extensions};
use criterion::{Criterion, criterion_group, criterion_main};
use jpeg::write::{Sample, Samples as Plane, Spectrum};
use jpeg::{Eighths, Head, decode};
use resample::{Resampler, Samples, Source};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/images/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a test picture")
}

fn stages(c: &mut Criterion) {
    let mut group = c.benchmark_group("stage");
    group.sample_size(20);
    let photo = file("phone_12mp_o6.jpg");
    group.bench_function("probe", |b| b.iter(|| probe(black_box(&photo))));
    let head = Head::read(&photo).expect("a baseline photo");
    for eighths in [1, 2, 4, 8] {
        let eighths = Eighths { luma: eighths, chroma: eighths };
        group.bench_function(format!("decode-{}-8", eighths.luma), |b| b.iter(|| decode(&head, eighths)));
    }
    let planes = decode(&head, Eighths { luma: 2, chroma: 2 }).expect("a whole photo");
    let scaled = |resampler: &mut Resampler| {
        let sizes = [(480, 360), (240, 180), (240, 180)];
        planes
            .iter()
            .zip(sizes)
            .map(|(plane, (width, height))| {
                let whole =
                    Source::whole(&plane.samples, Samples::One, plane.stride as u32, plane.rows as u32);
                resampler.resample(whole, width, height).expect("a plane")
            })
            .collect::<Vec<_>>()
    };
    group.bench_function("scale", |b| b.iter(|| scaled(&mut Resampler::default())));
    let small = scaled(&mut Resampler::default());
    let sizes = [(480, 360), (240, 180), (240, 180)];
    let small: Vec<Plane<'_>> =
        small.iter().zip(sizes).map(|(samples, (width, height))| Plane { width, height, samples }).collect();
    group.bench_function("encode-transform", |b| b.iter(|| Spectrum::of(&small)));
    let spectrum = Spectrum::of(&small).expect("a picture");
    group.bench_function("encode-write", |b| b.iter(|| spectrum.write(80)));
    group.bench_function("fit-estimate", |b| b.iter(|| Sample::of(&small).map(|sample| sample.octets(50))));
    group.finish();
}

/// From a file that has the size already: what the search costs is what the second takes more than the first.
fn fit(c: &mut Criterion) {
    let mut group = c.benchmark_group("stage");
    group.sample_size(20);
    let (guards, photo) = (Guards::default(), file("life_640x480.jpg"));
    let spec = Spec::new(Kind::Jpeg, 640, 480);
    group.bench_function("fit-none", |b| b.iter(|| transform(&photo, &spec, &guards, &|| false)));
    let limited = Spec { octets: Some(16_384), ..spec };
    group.bench_function("fit-16k", |b| b.iter(|| transform(&photo, &limited, &guards, &|| false)));
    let film = file("anim_24f_320x240.gif");
    let spec = Spec::new(Kind::Gif, 160, 120);
    group.bench_function("gif", |b| b.iter(|| transform(&film, &spec, &guards, &|| false)));
    group.finish();
}

/// The plan, its jobs and the new body.
fn message(c: &mut Criterion) {
    let mut group = c.benchmark_group("stage");
    group.sample_size(20);
    let entity = Entity {
        fields: vec![Field::new("Content-Type", "image/jpeg")],
        body: file("phone_12mp_o6.jpg").into(),
    };
    let accept =
        [(&b"Accept"[..], &b"image/jpeg;media-pix-x=max+640;media-pix-y=max+480;length=max+16384"[..])];
    let cpi: Cpi = cpi::decode::from_headers(accept, &Extensions::NONE).0;
    let settings = Settings::new("proxy.example.com");
    assert!(adapt_one(&entity, &cpi, &settings, &|| false).is_ok());
    group.bench_function("message", |b| b.iter(|| adapt_one(&entity, &cpi, &settings, &|| false)));
    group.finish();
}

criterion_group!(benches, stages, fit, message);
criterion_main!(benches);
