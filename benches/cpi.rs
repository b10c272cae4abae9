//! Capabilities: reading them from a REGISTER, and asking them for one item of a message.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench without its example is no bench")]

use std::fs;
use std::hint::black_box;

use cpi::matching::{Item, Options, fit, implied, quality, tiers};
use cpi::{Cpi, Extensions};
use criterion::Criterion;

type Head = Vec<(Vec<u8>, Vec<u8>)>;

fn head(name: &str) -> Head {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/messages/");
    let octets = fs::read(format!("{path}{name}")).expect("an example message");
    let fields = grammar::fields(&octets).skip(1);
    fields.map(|field| (field.name.to_vec(), field.value.to_vec())).collect()
}

fn pairs(head: &Head) -> impl Iterator<Item = (&[u8], &[u8])> {
    head.iter().map(|(name, value)| (&name[..], &value[..]))
}

fn contact(head: &Head) -> &[u8] {
    let (_, value) = head.iter().find(|(name, _)| name == b"Contact").expect("a Contact");
    let uri = value.iter().position(|&b| b == b'>').expect("a URI in brackets");
    &value[uri + 1..]
}

fn headers(head: &Head) -> Cpi {
    cpi::decode::from_headers(pairs(head), &Extensions::NONE).0
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("cpi-decode");
    let accept = head("007-register-accept-complex.msg");
    group.bench_function("007-accept", |b| b.iter(|| headers(black_box(&accept))));
    let grouped = head("012-register-contact-complex.msg");
    let params = contact(&grouped);
    group.bench_function("012-contact", |b| {
        b.iter(|| cpi::contact::decode(grammar::params(black_box(params)), &Extensions::NONE));
    });
    let expression =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/messages/expr-E6.expr"))
            .expect("an example expression");
    group.bench_function("E6-expression", |b| {
        b.iter(|| cpi::expr::parse(black_box(&expression), &Extensions::NONE));
    });
    group.finish();
}

fn matching(c: &mut Criterion) {
    let terminal = headers(&head("007-register-accept-complex.msg"));
    let options = Options { strict_specificity: false, implied: implied("MESSAGE", None) };
    let item = Item {
        media_type: "image/gif",
        length: Some(3073),
        width: Some(320),
        height: Some(240),
        ..Item::default()
    };
    let mut group = c.benchmark_group("cpi-match");
    group.bench_function("quality", |b| b.iter(|| quality(black_box(&terminal), black_box(&item), options)));
    group.bench_function("tiers-and-fit", |b| {
        b.iter(|| {
            let tiers = tiers(black_box(&terminal), black_box("image/gif"), &[], options);
            tiers.first().and_then(|tier| fit(320, 240, &tier.pix_x, &tier.pix_y))
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    decode(&mut criterion);
    matching(&mut criterion);
    criterion.final_summary();
}
