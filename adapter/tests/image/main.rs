//! Pictures in, pictures out: what a phone gets, what it must never get, and what no file can make us do.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]
#![expect(clippy::disallowed_methods, reason = "the pictures lie in files")]

mod animation;
mod bombs;
mod formats;
mod heads;
mod hostile;
mod memory;
mod octets;
mod scaling;
mod stripping;

use adapter::image::{
    Floor, Guards, Image, ImageError, Kind, Op, Spec, predict, probe, probe_within, strip, transform,
};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/data/images/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn sunset() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/messages/020-fig1-message-original.msg");
    let message = std::fs::read(path).unwrap();
    message[message.len() - 3073..].to_vec()
}

fn make(bytes: &[u8], spec: &Spec) -> Image {
    transform(bytes, spec, &Guards::default(), &|| false).unwrap()
}

fn jpeg(width: u32, height: u32) -> Spec {
    Spec::new(Kind::Jpeg, width, height)
}

/// Decoded by a library this room does not use for it.
fn rgba(image: &Image) -> image::RgbaImage {
    let decoded = image::load_from_memory(&image.bytes).unwrap().to_rgba8();
    assert_eq!(decoded.dimensions(), (image.width, image.height));
    decoded
}
