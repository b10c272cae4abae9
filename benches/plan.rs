//! Plans: reading the tree and deciding, without the pixels. A body that is kept must cost next to nothing.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench without its example is no bench")]

use std::fs;
use std::hint::black_box;

use adapter::mime::Tree;
use adapter::{Budget, Entity, Field, Guards, LinkShape, Settings, plan};
use bytes::Bytes;
use cpi::{Cpi, Extensions};
use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    tree(&mut criterion);
    decide(&mut criterion);
    criterion.final_summary();
}

fn message(name: &str) -> Entity {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/messages/");
    let octets = Bytes::from(fs::read(format!("{path}{name}")).expect("an example message"));
    let head = octets.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 2;
    let line = octets.iter().position(|&b| b == b'\n').expect("a start line") + 1;
    let fields = grammar::fields(&octets[line..head])
        .filter(|field| Entity::describes(field.name))
        .map(|field| Field::new(octets.slice_ref(field.name), octets.slice_ref(field.value)))
        .collect();
    Entity { fields, body: octets.slice(head + 2..) }
}

fn accepts(lines: &[(&str, &str)]) -> Cpi {
    let lines = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    cpi::decode::from_headers(lines, &Extensions::NONE).0
}

/// Parts of JPEG photos, all alike.
fn photos(count: usize) -> Entity {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/images/life_640x480.jpg");
    let photo = fs::read(path).expect("a photo");
    let mut body = Vec::new();
    for _ in 0..count {
        body.extend_from_slice(b"--b\r\nContent-Type: image/jpeg\r\n\r\n");
        body.extend_from_slice(&photo);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    Entity { fields: vec![Field::new("Content-Type", "multipart/mixed; boundary=b")], body: body.into() }
}

fn tree(c: &mut Criterion) {
    let mut group = c.benchmark_group("mime");
    let guards = Guards::default();
    for (name, entity) in [
        ("one-gif", message("020-fig1-message-original.msg")),
        ("smil", message("029-message-smil-original.msg")),
        ("32-photos-4-mb", photos(32)),
    ] {
        group.bench_function(name, |b| b.iter(|| Tree::read(black_box(&entity), &guards)));
    }
    group.finish();
}

fn decide(c: &mut Criterion) {
    let mut group = c.benchmark_group("plan");
    let settings = Settings {
        links: Some(LinkShape { url_octets: 64, adaptive: true }),
        ..Settings::new("proxy.example.com")
    };
    let tiers = "image/gif;q=0.5;media-pix-x=max+640;media-pix-y=max+480, image/gif;media-pix-x=max-160;media-pix-y=max-120";
    let related = "application/smil, multipart/related, audio/amr, image/jpeg;length=max-16384";
    let identity = |octets: &'static str| ("Accept-Encoding", octets);
    for (name, entity, cpi) in [
        ("text-kept", message("037-rfc3428-f1.msg"), accepts(&[("Accept", tiers)])),
        ("gif-kept", message("020-fig1-message-original.msg"), accepts(&[("Accept", "image/*")])),
        ("gif-scaled", message("020-fig1-message-original.msg"), accepts(&[("Accept", tiers)])),
        (
            "smil-shrunk",
            message("029-message-smil-original.msg"),
            accepts(&[("Accept", related), identity("identity;length=max+32768")]),
        ),
        (
            "32-photos-into-500-kb",
            photos(32),
            accepts(&[
                ("Accept", "image/jpeg, message/external-body"),
                identity("identity;length=max+500000"),
            ]),
        ),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| plan(black_box(&entity), Some(&cpi), &settings, Budget::default()));
        });
    }
    group.finish();
}
