use super::*;

#[test]
fn an_upright_phone_photo_becomes_90x120_and_stands() {
    let phone = file("phone_12mp_o6.jpg");
    let small = make(&phone, &jpeg(90, 120));
    assert_eq!((small.width, small.height), (90, 120));
    assert_eq!(small.ops, [Op::Scale]);
    // The same as decoding whole, turning by an independent library, and averaging.
    let full = image::load_from_memory(&phone).unwrap().rotate90().thumbnail_exact(90, 120).to_rgba8();
    let ours = rgba(&small);
    let far: u64 = ours.as_raw().iter().zip(full.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    assert!(far / (90 * 120 * 4) <= 6, "mean difference {}", far / (90 * 120 * 4));
}

#[test]
fn position_exif_and_thumbnail_are_gone() {
    let phone = file("phone_12mp_o6.jpg");
    assert!(phone.windows(4).any(|w| w == b"Exif"));
    for kind in [Kind::Jpeg, Kind::Png, Kind::Gif] {
        let small = make(&phone, &Spec::new(kind, 90, 120));
        for word in [&b"Exif"[..], b"eXIf", b"GPS", b"http://ns.adobe.com", b"ICC_PROFILE"] {
            assert!(!small.bytes.windows(word.len()).any(|w| w == word), "{kind:?}");
        }
        assert!(!probe(&small.bytes).unwrap().metadata);
    }
}

#[test]
fn never_up() {
    let sunset = sunset();
    for kind in [Kind::Jpeg, Kind::Png, Kind::Gif] {
        let same = make(&sunset, &Spec::new(kind, 4000, 3000));
        assert_eq!((same.width, same.height), (320, 240));
    }
}

#[test]
fn the_sunset_fits_a_phone_of_2003() {
    let small = make(&sunset(), &Spec::new(Kind::Gif, 158, 119));
    assert_eq!((small.kind, small.width, small.height), (Kind::Gif, 158, 119));
    assert!(small.bytes.len() < 3073, "{}", small.bytes.len());
    rgba(&small);
}

#[test]
fn as_few_pixels_as_will_do_are_decoded_and_one_attempt_is_made() {
    let work = make(&file("life_1080p.jpg"), &jpeg(160, 90)).work;
    // A quarter of the size is the smallest eighth that leaves 1.75 times what is wanted; whole units are decoded.
    assert_eq!((work.decoded, work.encoded, work.encodes), (480 * 272, 160 * 90, 1));
}

#[test]
fn every_kind_becomes_every_kind() {
    let mut bmp = Vec::new();
    let drawn = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8 * 3, y as u8 * 4, 99]));
    drawn.write_to(&mut std::io::Cursor::new(&mut bmp), image::ImageFormat::Bmp).unwrap();
    let sources = [
        bmp,
        sunset(),
        file("seed_1280x720.webp"),
        file("seed_16bit_320x240.png"),
        file("astronaut_pal_800x600.png"),
    ];
    for source in sources {
        let head = probe(&source).unwrap();
        for kind in [Kind::Jpeg, Kind::Png, Kind::Gif] {
            let made = make(&source, &Spec::new(kind, head.width / 2, head.height / 2));
            let there = probe(&made.bytes).unwrap();
            assert_eq!((there.kind, there.width, there.height), (kind, head.width / 2, head.height / 2));
            assert_eq!(made.ops.contains(&Op::Transcode), kind != head.kind);
            rgba(&made);
        }
    }
}

#[test]
fn a_progressive_photo_comes_out_baseline_and_like_itself() {
    let made = make(&file("friends_prog_1200x1600.jpg"), &jpeg(120, 160));
    assert!(!probe(&made.bytes).unwrap().progressive);
    let reference = image::load_from_memory(&file("friends_prog_1200x1600.jpg")).unwrap();
    let reference = reference.thumbnail_exact(120, 160).to_rgba8();
    let ours = rgba(&made);
    let far: u64 = ours.as_raw().iter().zip(reference.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    assert!(far / (120 * 160 * 4) <= 6);
}

#[test]
fn cmyk_photos_keep_their_colours() {
    // Cyan, magenta, yellow and paper white; Adobe stores them inverted, as the encoder here does.
    let squares: Vec<u8> = (0..64 * 64usize)
        .flat_map(|i| match (i % 64 / 32, i / 64 / 32) {
            (0, 0) => [255, 0, 0, 0],
            (1, 0) => [0, 255, 0, 0],
            (0, 1) => [0, 0, 255, 0],
            _ => [0, 0, 0, 0],
        })
        .collect();
    let mut cmyk = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut cmyk, 95);
    encoder.encode(&squares, 64, 64, jpeg_encoder::ColorType::Cmyk).unwrap();
    for kind in [Kind::Jpeg, Kind::Png] {
        let made = rgba(&make(&cmyk, &Spec::new(kind, 32, 32)));
        for ((x, y), expected) in [
            ((8, 8), [0, 255, 255]),
            ((24, 8), [255, 0, 255]),
            ((8, 24), [255, 255, 0]),
            ((24, 24), [255; 3]),
        ] {
            let [r, g, b, _] = made.get_pixel(x, y).0;
            let far = [r, g, b].iter().zip(expected).map(|(a, b): (&u8, u8)| a.abs_diff(b)).max().unwrap();
            assert!(far < 40, "{kind:?} at {x},{y}: {:?}", [r, g, b]);
        }
    }
}

#[test]
fn transparency_is_white_in_jpeg_and_stays_in_png_and_gif() {
    let screenshot = file("screenshot_rgba_1080x1920.png");
    let corner = |kind| rgba(&make(&screenshot, &Spec::new(kind, 108, 192))).get_pixel(0, 0).0;
    let [r, g, b, a] = corner(Kind::Jpeg);
    assert!(r > 230 && g > 230 && b > 230 && a == 255);
    assert!(corner(Kind::Png)[3] < 64);
    assert_eq!(corner(Kind::Gif)[3], 0);
}

#[test]
fn a_stop_between_the_stages_is_heeded() {
    let asked = std::cell::Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) >= 1;
    let made = transform(&file("life_640x480.jpg"), &jpeg(160, 120), &Guards::default(), &stop);
    assert_eq!(made.unwrap_err(), ImageError::Stopped);
}

#[test]
fn only_what_can_be_written_is_asked_for() {
    let made = transform(&sunset(), &Spec::new(Kind::Tiff, 10, 10), &Guards::default(), &|| false);
    assert_eq!(made.unwrap_err(), ImageError::NotWritable { kind: Kind::Tiff });
}
