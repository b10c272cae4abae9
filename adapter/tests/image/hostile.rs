use proptest::prelude::*;

use super::*;

fn small() -> Vec<Vec<u8>> {
    let photo = file("life_640x480.jpg");
    let mut seeds = vec![sunset()];
    for kind in [Kind::Jpeg, Kind::Png, Kind::Gif] {
        seeds.push(make(&photo, &Spec::new(kind, 40, 30)).bytes.to_vec());
    }
    seeds.push(make(&file("anim_24f_320x240.gif"), &Spec::new(Kind::Gif, 32, 24)).bytes.to_vec());
    let drawn = image::RgbaImage::from_fn(20, 20, |x, y| image::Rgba([x as u8, y as u8, 0, 200]));
    for format in [image::ImageFormat::Bmp, image::ImageFormat::WebP, image::ImageFormat::Ico] {
        let mut bytes = Vec::new();
        drawn.write_to(&mut std::io::Cursor::new(&mut bytes), format).unwrap();
        seeds.push(bytes);
    }
    for name in [
        "p3.png",
        "p3.jpg",
        "rgb-lzw.tiff",
        "palette.tiff",
        "bilevel-group4.tiff",
        "moving.webp",
        "bitmap.ico",
    ] {
        seeds.push(
            std::fs::read(format!("{}/../tests/data/formats/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap(),
        );
    }
    seeds
}

fn all(bytes: &[u8]) {
    let guards = Guards { pixels: 1 << 20, frames: 16, ..Guards::default() };
    let _ = strip(bytes);
    for kind in [Kind::Jpeg, Kind::Png, Kind::Gif, Kind::Bmp, Kind::Wbmp, Kind::Webp] {
        let spec = Spec { octets: Some(2000), ..Spec::new(kind, 16, 12) };
        if let Ok(made) = transform(bytes, &spec, &guards, &|| false) {
            assert!(made.bytes.len() <= 2000);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn no_change_to_a_picture_makes_it_panic(
        seed in 0usize..15,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        use std::sync::OnceLock;
        static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
        let mut bytes = SEEDS.get_or_init(small)[seed].clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        all(&bytes);
    }

    #[test]
    fn no_octets_behind_a_signature_make_it_panic(seed in 0usize..5, tail in proptest::collection::vec(any::<u8>(), 0..200)) {
        let signatures: [&[u8]; 5] =
            [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"GIF89a", b"BM", b"RIFF\0\0\0\0WEBPVP8"];
        all(&[signatures[seed], &tail].concat());
    }
}

/// A progressive picture with its first scan so many times more.
fn with_scans(more: usize) -> Vec<u8> {
    let bytes = file("friends_prog_1200x1600.jpg");
    let start = bytes.windows(2).position(|w| w == [0xff, 0xda]).unwrap();
    let marker = |w: &[u8]| w[0] == 0xff && !matches!(w[1], 0 | 0xd0..=0xd7);
    let end = start + 2 + bytes[start + 2..].windows(2).position(marker).unwrap();
    [&bytes[..end], &bytes[start..end].repeat(more), &bytes[end..]].concat()
}

#[test]
fn a_jpeg_of_more_than_64_scans_is_not_walked_through() {
    let spec = Spec::new(Kind::Jpeg, 16, 12);
    let made = |more| transform(&with_scans(more), &spec, &Guards::default(), &|| false);
    assert!(made(5).is_ok());
    assert!(made(100).is_err());
}
